"""The event loop: what comes first at one instant, and what never comes."""

from __future__ import annotations

from itertools import permutations

import pytest

from sim.engine.loop import Loop, Order


@pytest.fixture
def log() -> list[object]:
    """Return an empty list to write to."""
    return []


def test_order_at_one_instant_is_as_stated(log: list[object]) -> None:
    """What happens at one instant would depend on what was scheduled first."""
    for orders in permutations(Order):
        loop = Loop(10.0)
        for order in orders:
            loop.at(5.0, order, log.append, order)
        loop.run()
    stated = [Order.RELEASE, Order.CAPACITY, Order.ARRIVAL, Order.PATIENCE, Order.REVIEW]
    assert log == [*stated, Order.SWITCH] * 720


def test_ties_go_by_the_order_of_scheduling(log: list[object]) -> None:
    """Two events of one kind at one instant would change places."""
    loop = Loop(10.0)
    for k in range(5):
        loop.at(5.0, Order.ARRIVAL, log.append, k)
    loop.run()
    assert log == [0, 1, 2, 3, 4]


def test_nothing_happens_at_the_horizon(log: list[object]) -> None:
    """Something would happen at the horizon, where the next period begins."""
    loop = Loop(10.0)
    assert loop.at(10.0, Order.RELEASE, log.append, "late") is None
    loop.at(9.0, Order.RELEASE, log.append, "in time")
    loop.run()
    assert (log, loop.events) == (["in time"], 1)


def test_cancelled_action_does_not_happen(log: list[object]) -> None:
    """An action taken off would happen nevertheless, or take others with it."""
    loop = Loop(10.0)
    event = loop.at(5.0, Order.RELEASE, log.append, "cancelled")
    loop.at(5.0, Order.RELEASE, log.append, "kept")
    loop.cancel(event)
    loop.run()
    loop.cancel(event)
    loop.cancel(None)
    assert log == ["kept"]


def test_times_gone_by_are_now(log: list[object]) -> None:
    """An action for a time gone by would turn the clock back or be refused."""
    loop = Loop(10.0)

    def look() -> None:
        log.append(loop.now_h)

    loop.at(5.0, Order.RELEASE, loop.at, 2.0, Order.RELEASE, look)
    loop.run()
    assert log == [5.0]
