"""Exact logs of deployments that an idle policy takes away, on plans written by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from math import nan

import pytest

from sim.engine.logs import Logs
from sim.errors import EngineError
from sim.plan.outages import PoolOutage
from sim.policies.auto_release import AutoRelease
from sim.policies.base import IdleRelease, IdleView
from tests.worlds_by_hand import FREE, START, Ask, federation, played, pool, story

RULE = AutoRelease(2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1, 0.0, START)
ON, PROMPT, LATE = "on pool", "released promptly", "released late"
IDLE, WARNED = "released as idle", "released after a warning"


def _logs(asks: list[Ask], rule: AutoRelease = RULE, nodes: int = 3, **more: object) -> Logs:
    roomy = federation({"pool": pool(nodes_first=nodes, nodes_top=float(nodes))})
    return played(roomy, asks, replace(FREE, idle=rule), **more)


def test_forgotten_deployment_is_released_and_its_gpu_goes_to_who_waits() -> None:
    """A tail would not be cut after the idle time, or the freed GPU stay empty."""
    logs = _logs([Ask(0.0, tail_h=48.0, forgotten=True), Ask(2.0, user=1)], nodes=1)
    assert story(logs) == [
        (0.0, "0#0.0", ON), (3.0, "0#0.0", IDLE), (3.0, "1#0.0", ON), (4.0, "1#0.0", PROMPT),
    ]  # fmt: skip
    assert logs.events == 5  # the pool joins, two arrivals, two releases


def test_pause_is_cut_and_the_user_comes_back_when_it_would_have_ended() -> None:
    """Work would go on sooner than without the policy, or bursts be lost or played twice."""
    ask = Ask(0.0, bursts=(1.0, 2.0, 3.0), gaps=(1.0, 5.0), tail_h=0.5, restart_h=1.0)
    logs = _logs([ask])
    assert story(logs) == [
        (0.0, "0#0.0", ON), (6.0, "0#0.0", IDLE), (9.0, "0#0.1", ON), (12.5, "0#0.1", PROMPT),
    ]  # fmt: skip
    first, second = logs.deployments
    assert [(s.first, s.start_h, s.end_h) for s in first.segments] == [(0, 0.0, 4.0)]
    assert [(s.first, s.start_h, s.end_h) for s in second.segments] == [(2, 9.0, 12.0)]
    assert first.lost_h == second.lost_h == 0.0


def test_user_comes_back_after_the_restart_delay_and_sets_up() -> None:
    """Neither the pause after a kill nor the set-up of a new deployment would cost time."""
    ask = Ask(0.0, bursts=(1.0, 1.0), gaps=(3.0,), restart_h=10.0)
    logs = _logs([ask], replace(RULE, setup_h=0.5))
    assert story(logs) == [
        (0.0, "0#0.0", ON), (3.0, "0#0.0", IDLE), (13.0, "0#0.1", ON), (14.5, "0#0.1", PROMPT),
    ]  # fmt: skip
    assert [(s.start_h, s.end_h) for s in logs.deployments[1].segments] == [(13.5, 14.5)]


def test_pause_as_long_as_the_idle_time_is_not_cut() -> None:
    """A user who comes back in the very moment of the release would lose his deployment."""
    ask = Ask(0.0, bursts=(1.0, 1.0), gaps=(2.0,), tail_h=2.0)
    logs = _logs([ask], replace(RULE, warning_h=0.5))
    assert story(logs) == [(0.0, "0#0.0", ON), (6.0, "0#0.0", PROMPT)]


def test_mistaken_burst_is_lost_run_again_and_then_left_alone() -> None:
    """A false positive would cost nothing, or the same burst be cut for ever."""
    ask = Ask(0.0, bursts=(1.0, 5.0, 1.0), gaps=(1.0, 1.0), tail_h=0.5, restart_h=3.0)
    logs = _logs([ask], replace(RULE, mistaken_frac=1.0))
    assert story(logs) == [
        (0.0, "0#0.0", ON), (4.0, "0#0.0", IDLE), (7.0, "0#0.1", ON), (14.5, "0#0.1", PROMPT),
    ]  # fmt: skip
    assert [d.lost_h for d in logs.deployments] == [2.0, 0.0]
    assert [(s.first, s.end_h) for s in logs.deployments[1].segments] == [(1, 14.0)]


def test_returning_user_stops_the_clock() -> None:
    """A deployment would be released though its user has come back, or never afterwards."""
    asks = [Ask(0.0, tail_h=48.0, forgotten=True)]
    asks += [Ask(2.5, bursts=(4.0,), tail_h=48.0, forgotten=True, reuse=True)]
    assert story(_logs(asks)) == [(0.0, "0#0.0", ON), (8.5, "0#0.0", IDLE)]


@pytest.mark.parametrize(
    ("reaction", "end"), [(0.1, (49.0, LATE)), (0.3, (2.5, WARNED)), (0.8, (3.0, IDLE))]
)
def test_warned_users_react(reaction: float, end: tuple[float, str]) -> None:
    """Users would not keep what they are warned of, release it, or let it go."""
    rule = replace(RULE, warning_h=0.5, keeps_frac=0.2, releases_frac=0.4)
    logs = _logs([Ask(0.0, tail_h=48.0, forgotten=True)], rule, reaction=reaction)
    assert story(logs)[1:] == [(end[0], "0#0.0", end[1])]


def test_outage_before_the_release_and_during_the_set_up() -> None:
    """A release would strike a deployment that is gone, or set-up be taken for lost computing."""
    ask = Ask(0.0, bursts=(1.0, 1.0), gaps=(3.0,), restart_h=0.0)
    out = {"pool": [PoolOutage(2.0, 3.0, 1.0)]}
    assert [s[::2] for s in story(_logs([ask], outages=out))] == [
        (0.0, ON), (2.0, "pool out"), (3.0, ON), (4.0, PROMPT),
    ]  # fmt: skip
    out = {"pool": [PoolOutage(4.5, 5.0, 1.0)]}
    logs = _logs([ask], replace(RULE, setup_h=1.0), outages=out)
    assert [s[::2] for s in story(logs)] == [
        (0.0, ON), (3.0, IDLE), (4.0, ON), (4.5, "pool out"), (5.0, ON), (6.0, PROMPT),
    ]  # fmt: skip
    assert [d.lost_h for d in logs.deployments] == [0.0, 0.0, 0.0]


@dataclass(frozen=True)
class _Says:
    """A policy that always says the same."""

    said: IdleRelease
    shortest_h: float = 0.0
    from_day: date = START

    def release(self, idle: IdleView) -> IdleRelease:
        return self.said


@pytest.mark.parametrize("hours", [-1.0, nan])
@pytest.mark.parametrize("field", ["after_h", "setup_h"])
def test_impossible_time_of_a_policy_is_refused(field: str, hours: float) -> None:
    """A mistake in a policy would release deployments in the past, or at no time at all."""
    said = IdleRelease(1.0)._replace(**{field: hours})
    with pytest.raises(EngineError, match="an idle policy gave an impossible time"):
        _logs([Ask(0.0)], _Says(said))  # type: ignore[arg-type]


def test_policy_that_releases_at_once_still_lets_all_work_end() -> None:
    """A policy could cut the same burst again and again, without any time going by."""
    ask = Ask(0.0, bursts=(1.0, 1.0), gaps=(1.0,), restart_h=0.0)
    logs = _logs([ask], _Says(IdleRelease(0.0)))  # type: ignore[arg-type]
    assert [(d.started_h, d.released_h) for d in logs.deployments] == [
        (0.0, 0.0), (0.0, 1.0), (2.0, 2.0), (2.0, 3.0),
    ]  # fmt: skip
