"""Both laws of growth against steps worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from typing import Literal

import pytest

from sim.entities import Growth, Service
from sim.growth import node_joins, nodes_wanted, saturating_share, service_steps
from sim.units import MONTH_H
from tests.worlds_by_hand import START, federation, played, pool

TAU_H = 10.0 * MONTH_H
ALWAYS = Service("Here", 4.0, 6.0, 2.0, START)  # grows by three virtual machines of two cores
NOTHING: tuple[list[float], list[float]] = ([], [])


def _growth(law: Literal["saturating", "deployed"], headroom: float = 1.0) -> Growth:
    return Growth(law, 10.0, headroom)


def test_saturating_share() -> None:
    """The saturating law would not be 1 - exp(-t / tau)."""
    assert saturating_share(0.0, 5.0) == 0.0
    assert saturating_share(-3.0, 5.0) == 0.0
    assert saturating_share(5.0 * math.log(2.0), 5.0) == pytest.approx(0.5)


def test_nodes_join_when_the_curve_passes_their_half() -> None:
    """A node would join before the saturating curve is half way to it, or after."""
    joins = node_joins(pool(nodes_first=1, nodes_top=3.0), _growth("saturating"), 100.0)
    expected = [100.0 + TAU_H * math.log(4.0 / 3.0), 100.0 + TAU_H * math.log(4.0)]
    assert joins == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("top", "count"), [(1.0, 0), (1.4, 0), (1.6, 1), (0.0, 0), (5.0, 4)])
def test_as_many_nodes_join_as_the_rounded_top(top: float, count: int) -> None:
    """A pool would end with another number of nodes than its top, rounded."""
    assert len(node_joins(pool(nodes_top=top), _growth("saturating"), 0.0)) == count


@pytest.mark.parametrize(
    ("now", "peak", "waiting", "headroom", "wanted"),
    [
        (2, 1.0, False, 1.0, 2),  # never fewer than there are
        (2, 2.0, False, 1.25, 3),  # 2.5 nodes' worth, rounded up
        (2, 1.0, True, 1.0, 3),  # somebody waits: one more
        (2, 3.9, True, 2.0, 5),  # never more than the top
        (5, 5.0, True, 2.0, 5),
    ],
)
def test_nodes_wanted_in_a_review(
    now: int, peak: float, waiting: bool, headroom: float, wanted: int
) -> None:
    """The monthly review would buy too few nodes, too many, or give some back."""
    growth = _growth("deployed", headroom)
    assert nodes_wanted(pool(nodes_top=5.0), growth, now, peak, waiting) == wanted


def test_services_grow_by_whole_machines_under_the_saturating_law() -> None:
    """A service would grow by parts of a machine, at other times, or beyond its growth."""
    steps = service_steps(ALWAYS, _growth("saturating"), 50.0, 1e6, NOTHING)
    times = [50.0] + [50.0 - TAU_H * math.log1p(-(k + 0.5) / 3.0) for k in range(3)]
    assert [t for t, _ in steps] == pytest.approx(times, abs=1e-6)
    assert [cores for _, cores in steps] == [4.0, 6.0, 8.0, 10.0]


def test_services_follow_what_is_deployed_under_the_other_law() -> None:
    """A service would not follow the share of use cases and applications deployed."""
    deployed = ([10.0, 60.0, 90.0, 5000.0], [0.25, 0.5, 0.75, 1.0])
    steps = service_steps(ALWAYS, _growth("deployed"), 50.0, 1000.0, deployed)
    assert steps == [(50.0, 6.0), (60.0, 8.0), (90.0, 8.0)]  # round(1.5) is 2, round(2.25) too


def test_service_without_growth_is_constant() -> None:
    """A service that does not grow would change."""
    constant = replace(ALWAYS, cores_growth=0.0)
    for law in ("saturating", "deployed"):
        steps = service_steps(constant, _growth(law), 0.0, 1e6, ([5.0], [1.0]))
        assert {cores for _, cores in steps} == {4.0}


def test_service_ends_on_its_day() -> None:
    """A service that is shut down would stay on the bill."""
    ended = replace(ALWAYS, cores_growth=0.0, until=date(2024, 1, 11))
    logs = played(federation(services={"old": ended}))
    assert [(h.start_h, h.end_h, h.quantity) for h in logs.services] == [(0.0, 240.0, 4.0)]


def test_pool_grows_by_the_saturating_law_in_a_run() -> None:
    """The nodes a run logs would not be those of the law."""
    of = federation({"pool": pool(nodes_top=3.0)}, months=24)
    of = replace(of, growth=_growth("saturating"))
    logs = played(of)
    first, second = (TAU_H * math.log(4.0 / 3.0), TAU_H * math.log(4.0))
    assert [h.quantity for h in logs.nodes] == [1, 2, 3]
    assert [h.end_h for h in logs.nodes[:2]] == pytest.approx([first, second], abs=1e-6)
