"""Exact logs of deployments that share GPUs, on plans written by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from math import inf, nan
from typing import Any

import pytest

from sim.engine.logs import Logs
from sim.errors import EngineError
from sim.ledger import active_bursts, usage_of
from sim.plan.outages import PoolOutage
from sim.policies.auto_release import AutoRelease
from sim.policies.base import RequestView, Share
from sim.policies.gpu_fractions import GpuFractions
from sim.policies.gpu_quota import GpuQuota
from tests.worlds_by_hand import FREE, START, Ask, federation, plan, played, pool, story

HALVES = GpuFractions(2, 0.5, (), 2.0, START)
WHOLE = 0.5  # a draw that is not shared
IDLE = AutoRelease(3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1, 0.0, START)
ON, PROMPT = "on pool", "released promptly"


def _logs(asks: list[Ask], rule: Any = HALVES, gpus: int = 1, nodes: int = 1, **more: Any) -> Logs:
    policies = replace(FREE, sharing=rule, **more.pop("others", {}))
    here = pool(gpus_per_node=gpus, nodes_first=nodes, nodes_top=float(nodes), cores_per_node=64)
    return played(federation({"pool": here}), asks, policies, **more)


def _places(logs: Logs) -> list[tuple[str, int, float, int | None]]:
    return [(d.name[5:], d.node, d.gpus, d.gpu) for d in logs.deployments]


def test_two_share_a_gpu_and_the_third_waits() -> None:
    """A GPU would hold more than its parts, or computing on a part take no longer."""
    logs = _logs([Ask(0.0), Ask(0.5, user=1), Ask(1.0, user=2)])
    assert story(logs) == [
        (0.0, "0#0.0", ON), (0.5, "1#0.0", ON), (2.0, "0#0.0", PROMPT), (2.0, "2#0.0", ON),
        (2.5, "1#0.0", PROMPT), (4.0, "2#0.0", PROMPT),
    ]  # fmt: skip
    assert {(d.gpus, d.cores, d.slowdown) for d in logs.deployments} == {(0.5, 1, 2.0)}


def test_bursts_are_stretched_and_pauses_are_not() -> None:
    """Users would pause for longer because computing takes longer, or tails be stretched."""
    ask = Ask(0.0, bursts=(1.0, 0.25, 3.0), gaps=(4.0, 0.5), tail_h=5.0)
    of, logs = federation(), _logs([ask])
    (only,) = logs.deployments
    assert (only.last_active_h, only.released_h) == (13.0, 18.0)
    _, start, end = active_bursts(plan(of, [ask]), logs)
    assert (start.tolist(), end.tolist()) == ([0.0, 6.0, 7.0], [2.0, 6.5, 13.0])
    usage = usage_of(of, plan(of, [ask]), logs)
    for ledger, gpu_h, cpu_h in (("allocated", 9.0, 18.0), ("active", 4.25, 8.5)):
        assert usage.monthly("gpu", ledger).sum() == gpu_h
        assert usage.monthly("cpu", ledger).sum() == cpu_h


def test_times_are_put_on_the_grid() -> None:
    """A burst that is stretched by an odd factor would end between the points of the grid."""
    logs = _logs([Ask(0.0, bursts=(1.0, 1.0), gaps=(1.0,))], replace(HALVES, slowdown=1.1))
    burst_h = round(1.1 * 2**24) / 2**24
    assert burst_h != 1.1
    assert logs.deployments[0].released_h == 2 * burst_h + 1.0


def test_whole_gpu_is_not_put_together_from_halves_of_two() -> None:
    """A whole request would get halves of two GPUs, or wait although a whole one is free."""
    long, short = (8.0,), (1.0,)
    asks = [Ask(0.0, user=u, bursts=b) for u, b in enumerate([long, short, short, long])]
    asks.append(Ask(3.0, user=4, share=WHOLE))
    asks.append(Ask(3.0, user=5, bursts=short))
    logs = _logs(asks, gpus=2)
    assert _places(logs)[:4] == [
        ("0#0.0", 0, 0.5, 0), ("1#0.0", 0, 0.5, 0), ("2#0.0", 0, 0.5, 1), ("3#0.0", 0, 0.5, 1),
    ]  # fmt: skip
    assert story(logs)[4:] == [
        (2.0, "1#0.0", PROMPT), (2.0, "2#0.0", PROMPT),  # half of each GPU is free
        (3.0, "5#0.0", ON), (5.0, "5#0.0", PROMPT),
        (16.0, "0#0.0", PROMPT), (16.0, "3#0.0", PROMPT), (16.0, "4#0.0", ON),
        (17.0, "4#0.0", PROMPT),
    ]  # fmt: skip


def test_parts_go_where_least_is_left() -> None:
    """Parts would be spread so that whole GPUs are split without need, on any node."""
    quarters = replace(HALVES, parts=4, slowdown=1.0)
    asks = [Ask(0.0, share=WHOLE, gpus=1, bursts=(9.0,))]  # on node 0, which has one GPU left
    asks += [Ask(0.0, user=u, bursts=(9.0 - u,)) for u in range(1, 6)]
    logs = _logs([*asks, Ask(8.5, user=6)], quarters, gpus=2, nodes=2)
    assert _places(logs) == [
        ("0#0.0", 0, 1, None),
        *[(f"{u}#0.0", 0, 0.25, 0) for u in range(1, 5)],  # what is left of node 0 is taken first
        ("5#0.0", 1, 0.25, 0),
        ("6#0.0", 0, 0.25, 0),  # by then all have ended but the whole one
    ]


@dataclass(frozen=True)
class _Sized:
    """Gives each request the part that its draw says."""

    def share(self, request: RequestView) -> Share:
        return Share(request.share_draw)


def test_parts_of_any_size_fill_up_the_tightest_gap() -> None:
    """A small part would break a large gap open while a small one is left."""
    sizes = (0.75, 0.5, 0.25, 0.5, 0.25)
    asks = [Ask(0.0, user=u, share=s, bursts=(1.0 + u,)) for u, s in enumerate(sizes)]
    logs = _logs(asks, _Sized(), gpus=3)
    assert [d.gpu for d in logs.deployments] == [0, 1, 0, 1, 2]


def test_of_equal_gaps_the_one_on_the_gpu_that_was_split_first_is_filled() -> None:
    """Who shares a GPU with whom would depend on how GPUs are numbered."""
    asks = [Ask(0.0, share=0.75), Ask(0.0, user=1, share=0.75, bursts=(9.0,))]
    asks += [Ask(2.0, user=2, share=0.75), Ask(2.0, user=3, share=0.25)]
    logs = _logs(asks, _Sized(), gpus=2)
    assert [d.gpu for d in logs.deployments] == [0, 1, 0, 1]


def test_cut_work_goes_on_at_the_speed_of_where_it_comes_back() -> None:
    """Work that an outage cuts in a shared deployment would be lost, or counted as undisturbed."""
    ask = Ask(0.0, bursts=(1.0, 2.0, 1.0), gaps=(1.0, 1.0), restart_h=1.0)
    out = {"pool": [PoolOutage(5.0, 6.0, 1.0)]}
    logs = _logs([ask], outages=out)
    assert [s[::2] for s in story(logs)] == [
        (0.0, ON), (5.0, "pool out"), (6.0, ON), (13.0, PROMPT),
    ]  # fmt: skip
    first, second = logs.deployments
    assert (first.lost_h, second.lost_h) == (2.0, 0.0)
    assert [(s.first, s.start_h, s.end_h) for s in first.segments] == [(0, 0.0, 5.0)]
    assert [(s.first, s.start_h, s.end_h) for s in second.segments] == [(1, 6.0, 13.0)]
    assert active_bursts(plan(federation(), [ask]), logs)[2].tolist() == [2.0, 5.0, 10.0, 13.0]


def test_work_comes_back_on_a_whole_gpu_when_sharing_has_ended() -> None:
    """What is left of shared work would keep the speed of a deployment that is gone."""
    ask = Ask(0.0, bursts=(1.0, 2.0), gaps=(1.0,), restart_h=20.0)
    logs = _logs([ask], _FirstDay(), outages={"pool": [PoolOutage(5.0, 6.0, 1.0)]})
    assert [(d.gpus, d.slowdown, d.started_h, d.released_h) for d in logs.deployments] == [
        (0.5, 2.0, 0.0, 5.0), (1, 1.0, 25.0, 27.0),
    ]  # fmt: skip


@dataclass(frozen=True)
class _FirstDay:
    """Lets requests share on the first day only."""

    def share(self, request: RequestView) -> Share | None:
        return Share(0.5, 2.0) if request.day == START else None


def test_idle_policy_sees_stretched_bursts() -> None:
    """A pause would be cut at the time it has on a whole GPU, or a burst not seen as longer."""
    ask = Ask(0.0, bursts=(1.0, 2.0), gaps=(4.0,), tail_h=9.0, restart_h=0.0)
    logs = _logs([ask], others={"idle": IDLE})
    assert [s[::2] for s in story(logs)] == [
        (0.0, ON), (5.0, "released as idle"), (6.0, ON), (13.0, "released as idle"),
    ]  # fmt: skip
    logs = _logs([ask], others={"idle": replace(IDLE, mistaken_frac=1.0)})
    assert [(d.released_h, d.lost_h) for d in logs.deployments] == [
        (5.0, 0.0), (9.0, 3.0), (16.0, 0.0)
    ]  # fmt: skip


def test_returning_user_works_at_the_speed_of_what_he_holds() -> None:
    """A user who goes back to a shared deployment would compute as on a whole GPU."""
    asks = [Ask(0.0, tail_h=9.0, forgotten=True), Ask(4.0, reuse=True)]
    (only,) = _logs(asks).deployments
    assert [(s.start_h, s.end_h) for s in only.segments] == [(0.0, 2.0), (4.0, 6.0)]


def test_a_part_is_not_enough_for_who_needs_a_whole_gpu() -> None:
    """A user would train on a quarter of a GPU because he still holds one."""
    asks = [Ask(0.0, tail_h=9.0, forgotten=True), Ask(4.0, reuse=True, share=WHOLE)]
    logs = _logs(asks, nodes=2)
    assert [(d.gpus, d.slowdown, len(d.segments)) for d in logs.deployments] == [
        (0.5, 2.0, 1), (1, 1.0, 1)
    ]  # fmt: skip


def test_quota_counts_parts() -> None:
    """A quarter of a GPU would use up a user's quota of one."""
    quarters = replace(HALVES, parts=4, slowdown=1.0)
    others = {"admission": GpuQuota(1, START)}
    asks = [Ask(0.0, bursts=(1.0 + k,)) for k in range(5)]
    logs = _logs(asks, quarters, nodes=2, others=others)
    assert [d.started_h for d in logs.deployments] == [0.0, 0.0, 0.0, 0.0, 1.0]
    asks = [Ask(0.0), Ask(0.0, share=WHOLE)]  # 1/4 and 1 are more than 1
    logs = _logs(asks, quarters, nodes=2, others=others)
    assert [d.started_h for d in logs.deployments] == [0.0, 1.0]


def test_who_waits_keeps_what_he_asked_for() -> None:
    """Policies would see another request than the one that is placed."""
    logs = _logs([Ask(0.0, share=WHOLE), Ask(0.0, user=1), Ask(0.0, user=2, patience_h=0.5)])
    assert [(d.gpus, d.started_h) for d in logs.deployments] == [(1, 0.0), (0.5, 1.0)]
    assert [(w.gpus, w.withdrawn_h) for w in logs.withdrawn] == [(0.5, 0.5)]


@dataclass(frozen=True)
class _Says:
    """A policy that always says the same."""

    said: Share

    def share(self, request: RequestView) -> Share:
        return self.said


@pytest.mark.parametrize("gpus", [0.0, -0.5, 0.3, 1 / 128, 1.5, 4.0, nan, inf])
def test_impossible_part_is_refused(gpus: float) -> None:
    """GPUs would not add up, or a policy give more than was asked for."""
    with pytest.raises(EngineError, match="a sharing policy gave an impossible part"):
        _logs([Ask(0.0, gpus=3)], _Says(Share(gpus)), gpus=8)


@pytest.mark.parametrize("slowdown", [0.5, 0.0, nan, inf])
def test_impossible_slowdown_is_refused(slowdown: float) -> None:
    """Work on a part of a GPU would be done sooner, or never."""
    with pytest.raises(EngineError, match="a sharing policy gave an impossible slowdown"):
        _logs([Ask(0.0)], _Says(Share(0.5, slowdown)))


def test_requests_without_gpus_are_not_asked_about() -> None:
    """A policy would have to know of requests that have no GPU to share."""
    logs = _logs([Ask(0.0, gpus=0)], _Says(Share(0.5)))
    assert [d.gpus for d in logs.deployments] == [0]


def test_sharing_starts_on_its_day() -> None:
    """What was asked for before the first day would be shared, or nothing after it."""
    asks = [Ask(0.0), Ask(30.0, user=1)]
    logs = _logs(asks, replace(HALVES, from_day=date(2024, 1, 2)))
    assert [d.gpus for d in logs.deployments] == [1, 0.5]
