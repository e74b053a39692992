"""Exact logs of nodes that are switched off when they are empty, on plans written by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from math import inf, nan
from typing import Any

import pytest

from sim.engine.logs import Logs
from sim.errors import EngineError
from sim.plan.outages import PoolOutage
from sim.policies.base import NodesPolicy, NodeView, SwitchOff
from sim.policies.give_back import GiveBack
from sim.policies.gpu_quota import GpuQuota
from sim.policies.scale_down import ScaleDown
from sim.policies.static_nodes import StaticNodes
from tests.worlds_by_hand import FREE, NEVER_H, START, Ask, federation, played, pool, story

RULE = ScaleDown(2.0, 0.5, True, False, START)
ON, PROMPT, OUT = "on pool", "released promptly", "pool out"
END_H = 744.0 + 696.0


def _logs(
    asks: list[Ask], rule: NodesPolicy = RULE, nodes: int = 1, size: dict[str, Any] | None = None,
    **more: Any,
) -> Logs:
    of_pool = pool(nodes_first=nodes, nodes_top=float(nodes), **(size or {}))
    return played(federation({"pool": of_pool}), asks, replace(FREE, nodes=rule), **more)


def _on(logs: Logs, owner: str = "pool") -> list[tuple[float, float, float]]:
    """Return when how many nodes were on."""
    return [(h.start_h, h.end_h, h.quantity) for h in logs.nodes if h.owner == owner]


def test_empty_node_is_off_until_it_is_wanted_and_then_boots() -> None:
    """A node would stay on though it is empty, come back unasked, or be there without a boot."""
    logs = _logs([Ask(1.0), Ask(10.0)])
    assert story(logs) == [
        (1.0, "0#0.0", ON), (2.0, "0#0.0", PROMPT), (10.5, "0#1.0", ON), (11.5, "0#1.0", PROMPT),
    ]  # fmt: skip
    assert _on(logs) == [(0.0, 4.0, 1), (10.0, 13.5, 1)]
    assert [d.requested_h for d in logs.deployments] == [1.0, 10.0]
    assert [(s.start_h, s.end_h) for s in logs.deployments[1].segments] == [(10.5, 11.5)]
    # The pool joins, two arrivals, two releases, a boot; three times the node falls empty.
    assert logs.events == 9


def test_node_that_is_wanted_at_that_very_moment_stays_on() -> None:
    """A node would be switched off under a request that comes at the end of the idle time."""
    logs = _logs([Ask(2.0), Ask(5.0)])
    assert [d.started_h for d in logs.deployments] == [2.0, 5.0]
    assert _on(logs) == [(0.0, 8.0, 1)]


def test_requests_packed_onto_a_booting_node_start_when_it_is_up() -> None:
    """A second request would boot the node anew, start before it is up, or take another one."""
    logs = _logs(
        [Ask(10.0, gpus=0), Ask(10.25, user=1, gpus=0), Ask(10.5, user=2, gpus=0)],
        nodes=2, size={"gpus_per_node": 0},
    )  # fmt: skip
    assert [(d.node, d.requested_h, d.started_h) for d in logs.deployments] == [
        (0, 10.0, 10.5), (0, 10.25, 10.5), (0, 10.5, 10.5),
    ]  # fmt: skip
    assert _on(logs) == [(0.0, 2.0, 2), (10.0, 13.5, 1)]


def test_node_that_is_on_goes_before_one_that_is_off() -> None:
    """A node would be booted although one that is as empty is on."""
    asks = [Ask(0.0), Ask(0.0, user=1, bursts=(9.0,)), Ask(9.5, user=2)]
    logs = _logs(asks, nodes=2)
    assert [(d.node, d.started_h) for d in logs.deployments] == [(0, 0.0), (1, 0.0), (1, 9.5)]
    assert _on(logs) == [(0.0, 3.0, 2), (3.0, 12.5, 1)]


def test_outage_during_a_boot_sends_back_to_the_line() -> None:
    """Who waits for a boot would be lost in an outage, or be served before who waits longer."""
    out = {"pool": [PoolOutage(10.25, 12.0, 0.0)]}
    asks = [Ask(10.0), Ask(11.0, user=1)]
    logs = _logs(asks, outages=out)
    assert story(logs) == [
        (12.0, "0#0.0", ON), (13.0, "0#0.0", PROMPT), (13.0, "1#0.0", ON), (14.0, "1#0.0", PROMPT),
    ]  # fmt: skip
    assert logs.deployments[0].requested_h == 10.0
    assert logs.withdrawn == []
    assert _on(logs) == [(0.0, 2.0, 1), (10.0, 10.25, 1), (12.0, 16.0, 1)]  # the boot went on


def test_patience_is_over_while_a_node_boots_but_not_in_an_outage_then() -> None:
    """Who has a node would give up while it boots, or never do so when the node is lost."""
    ask = Ask(10.0, patience_h=0.25)
    assert [d.started_h for d in _logs([ask]).deployments] == [10.5]
    for out_h, gone_h in ((10.125, 10.25), (10.375, 10.375)):
        logs = _logs([ask], outages={"pool": [PoolOutage(out_h, 12.0, 1.0)]})
        assert story(logs) == [(gone_h, "0#0.0", "patience ended")]


def test_closing_during_a_boot_moves_to_another_pool() -> None:
    """A pool that leaves would take along who waits for its nodes, or be billed afterwards."""
    pools = {"pool": pool(left=date(2024, 1, 2)), "other": pool(joined=date(2024, 1, 2))}
    logs = played(federation(pools), [Ask(23.75)], replace(FREE, nodes=RULE))
    assert story(logs) == [(24.0, "0#0.0", "on other"), (25.0, "0#0.0", PROMPT)]
    assert _on(logs) == [(0.0, 2.0, 1), (23.75, 24.0, 1)]
    assert _on(logs, "other") == [(24.0, 27.0, 1)]


def test_boot_beyond_the_horizon_is_paid_but_nobody_starts() -> None:
    """A deployment would start after the end, or a node that boots then cost nothing."""
    logs = _logs([Ask(END_H - 0.25, patience_h=0.125)])
    assert logs.deployments == logs.withdrawn == []
    assert _on(logs) == [(0.0, 2.0, 1), (END_H - 0.25, END_H, 1)]


def test_who_waits_for_a_boot_counts_for_the_quota() -> None:
    """A user would get around the quota while nodes boot."""
    rules = replace(FREE, nodes=RULE, admission=GpuQuota(1, START))
    two = federation({"pool": pool(nodes_first=2, nodes_top=2.0)})
    logs = played(two, [Ask(10.0), Ask(10.25)], rules)
    assert [d.started_h for d in logs.deployments] == [10.5, 11.5]
    logs = played(two, [Ask(10.0), Ask(10.25)], rules, outages={"pool": [PoolOutage(10.4, 20, 1)]})
    # Back in the line before whom it held back; the node has been off since 12.4.
    started = [(d.requested_h, d.started_h) for d in logs.deployments]
    assert started == [(10.0, 20.5), (10.25, 21.5)]


@pytest.mark.parametrize(
    ("frac", "kept"),
    [(1.0, [(5.0, 9.0, 2)]), (0.5, [(5.0, 6.0, 2), (6.0, 9.0, 1)]), (0.2, [(5.0, 6.0, 2)])],
)
def test_outage_keeps_a_share_of_the_nodes_that_are_on(
    frac: float, kept: list[tuple[float, float, float]]
) -> None:
    """Nodes that are off would stay in the accounting of an outage, or come back after it."""
    asks = [Ask(0.0, user=k, bursts=(b,), restart_h=NEVER_H) for k, b in enumerate((3.0, 9.0, 9.0))]
    asks.append(Ask(12.0, user=3, bursts=(9.0,)))
    logs = _logs(asks, nodes=3, outages={"pool": [PoolOutage(6.0, 9.0, frac)]})
    assert _on(logs) == [(0.0, 5.0, 3), *kept, (12.0, 12.0 + 0.5 + 9.0 + 2.0, 1)]


def test_clock_runs_from_the_first_day_and_from_joining() -> None:
    """Idleness before the first day would count, or a node that joins empty stay on for ever."""
    rule = replace(RULE, idle_h=3.0, from_day=date(2024, 1, 2))
    pools = {"old": pool(), "new": pool(joined=date(2024, 1, 3)), "plain": pool(gpus_per_node=0)}
    logs = played(federation(pools), [Ask(22.0), Ask(30.0)], replace(FREE, nodes=rule))
    assert _on(logs, "old") == [(0.0, 27.0, 1), (30.0, 34.5, 1)]
    assert _on(logs, "new") == [(48.0, 51.0, 1)]
    assert _on(logs, "plain") == [(0.0, 27.0, 1)]


def test_review_counts_nodes_whether_on_or_off() -> None:
    """A pool would grow in a review because its nodes are off, or not when they are too few."""
    law = replace(federation().growth, law="deployed", headroom=1.0)
    three = pool(nodes_first=1, nodes_top=3.0)
    asks = [Ask(1.0), Ask(700.0, bursts=(60.0,)), Ask(730.0, user=1, bursts=(50.0,))]
    one = played(federation({"pool": three}, growth=law), asks[:1], replace(FREE, nodes=RULE))
    assert _on(one) == [(0.0, 4.0, 1)]
    two = played(federation({"pool": three}, growth=law), asks, replace(FREE, nodes=RULE))
    assert [(d.node, d.started_h) for d in two.deployments] == [(0, 1.0), (0, 700.5), (1, 744.0)]


def test_gpu_nodes_are_given_back_and_asked_for_again() -> None:
    """A node would be given back too soon, without GPUs, or come back without the site's leave."""
    rule = GiveBack(30.0, 72.0, True, START)
    pools = {"gpu": pool(), "plain": pool(gpus_per_node=0)}
    logs = played(federation(pools), [Ask(23.0), Ask(1000.0)], replace(FREE, nodes=rule))
    assert story(logs)[2:] == [(1072.0, "0#1.0", "on gpu"), (1073.0, "0#1.0", PROMPT)]
    assert _on(logs, "gpu") == [(0.0, 744.0, 1), (1000.0, END_H, 1)]
    assert _on(logs, "plain") == [(0.0, END_H, 1)]


@dataclass(frozen=True)
class _Says:
    """A policy that always says the same, and keeps what it was asked about."""

    said: SwitchOff | None
    asked: list[NodeView]
    from_day: date = START

    def switch_off(self, node: NodeView) -> SwitchOff | None:
        self.asked.append(node)
        return self.said


def test_nodes_are_asked_about_once_each_time_they_are_empty() -> None:
    """A policy would be polled, or not see the node and the day that it decides on."""
    rule = _Says(None, [])
    asks = [Ask(1.0, cores=2), Ask(1.25, user=1, cores=2), Ask(30.0)]
    _logs(asks, rule, size={"gpus_per_node": 2})
    assert rule.asked == [
        NodeView("pool", 2, 8, False, START, 0.0),
        NodeView("pool", 2, 8, False, START, 2.25),
        NodeView("pool", 2, 8, False, date(2024, 1, 2), 7.0),
    ]


@pytest.mark.parametrize("hours", [-1.0, nan, inf])
@pytest.mark.parametrize("field", ["after_h", "boot_h"])
def test_impossible_time_of_a_policy_is_refused(field: str, hours: float) -> None:
    """A mistake in a policy would switch nodes off in the past, or never let them boot."""
    said = SwitchOff(1.0)._replace(**{field: hours})
    with pytest.raises(EngineError, match="a nodes policy gave an impossible time"):
        _logs([Ask(0.0)], _Says(said, []))


def test_static_nodes_are_never_asked_about() -> None:
    """Nodes that stay on would be asked about all the same, or be switched off."""
    logs = _logs([Ask(1.0)], StaticNodes())
    assert (_on(logs), logs.events) == ([(0.0, END_H, 1)], 3)
