"""Clusters under nodes and serving policies that come into force in a run, worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest

from sim.applications import (
    Application,
    ApplicationKind,
    Duration,
    HorizontalPodAutoscaler,
    KeepAliveWindow,
    Knative,
    NodeScaling,
)
from sim.engine.logs import Logs
from sim.errors import EngineError
from sim.policies.base import NodesPolicy, NodeView, ServingPolicy, SwitchOff
from sim.policies.give_back import GiveBack
from sim.policies.scale_down import ScaleDown
from sim.policies.static_nodes import StaticNodes
from sim.policies.tuned_serving import TunedServing
from sim.serving.kernel.outcome import Outcome
from sim.serving.settings import settings_of
from sim.ticks import TICKS_PER_S
from tests.worlds_by_hand import FREE, START, application, calls, federation, played

DAY_S, FEB_S = 86_400.0, 31 * 86_400.0
FEBRUARY, SECOND = date(2024, 2, 1), date(2024, 1, 2)
DOWN = ScaleDown(0.5, 0.125, False, True, SECOND)
AS_IT_IS = TunedServing(None, None, None, None, False, FEBRUARY)
SYNC, EXPOSED = ApplicationKind.SYNC, ApplicationKind.EXPOSED


def _logs(
    asked: list[tuple[float, float]], app: Application | None = None,
    nodes: NodesPolicy = FREE.nodes, serving: ServingPolicy = FREE.serving,
    cluster: dict[str, Any] | None = None, **more: Any,
) -> Logs:
    of = federation(app=app or application())
    of = replace(of, clusters={"cluster": replace(of.clusters["cluster"], **(cluster or {}))})
    rules = replace(FREE, nodes=nodes, serving=serving)
    return played(of, policies=rules, invocations=calls(asked), **more)


def _nodes_s(logs: Logs) -> list[float]:
    return [c.node_ticks / TICKS_PER_S for c in logs.clusters]


def _replicas_s(logs: Logs) -> list[float]:
    return [s.replica_ticks / TICKS_PER_S for s in logs.served]


def test_cluster_nodes_are_switched_off_from_the_first_day_on() -> None:
    """Nodes would go before the policy is in force, stay on afterwards, or boot in no time."""
    asked = [(3600.0, 100.0), (2 * DAY_S, 100.0), (2 * DAY_S + 1000.0, 100.0)]
    logs = _logs(asked, nodes=DOWN)
    # Until half an hour into the second day; then from the second call until the third one's
    # replica (30 s to start, 100 s, idle 60 s; the node is up) has been gone for half an hour.
    assert _nodes_s(logs) == [DAY_S + 1800.0 + 1000.0 + 190.0 + 1800.0, 0.0]
    assert logs.served[0].outcomes[Outcome.COLD] == 3
    # 30 s for the first, a boot of 450 s more for the second.
    assert logs.served[0].replica_ticks == (190 + 450 + 190 + 190) * TICKS_PER_S
    assert logs.served[0].wait_s is not None
    assert logs.served[0].wait_s[2] == pytest.approx(480.0, rel=0.016)


def test_clusters_with_scaling_of_their_own_change_their_idle_time() -> None:
    """A policy would leave them as they are, or make them boot twice."""
    asked = [(DAY_S - 200.0, 1.0), (3 * DAY_S, 1.0)]
    own = {"scaling": NodeScaling(idle_s=7200.0, boot=Duration(0.0))}
    # Empty from 91 s after the call on, but counted from midnight; then a call with no boot.
    logs = _logs(asked, nodes=DOWN, cluster=own)
    assert _nodes_s(logs) == [200.0 + 1800.0 + 91.0 + 1800.0, 0.0]
    longer = _logs(asked, nodes=replace(DOWN, idle_h=1e5), cluster=own)
    assert _nodes_s(longer) == [744 * 3600.0 - DAY_S + 200.0, 696 * 3600.0]
    same = _logs(asked, nodes=replace(DOWN, idle_h=2.0, from_day=START), cluster=own)
    assert same.clusters == _logs(asked, cluster=own).clusters


def test_nodes_that_join_later_are_asked_about_then() -> None:
    """Nodes that join after the first day would stay on for ever."""
    grows = {"nodes_base": 0.0, "nodes_per_application": 2.0}
    logs = _logs([(10 * DAY_S, 1.0)], nodes=DOWN, cluster=grows, hosted_h=120.0)
    assert _nodes_s(logs) == [2 * 1800.0 + 450.0 + 91.0 + 1800.0, 0.0]


@dataclass(frozen=True)
class _Asked:
    """A policy that keeps what it was asked about."""

    seen: list[NodeView]
    from_day: date = SECOND

    def switch_off(self, node: NodeView) -> SwitchOff | None:
        self.seen.append(node)
        return None


def test_cluster_nodes_are_seen_once_when_the_policy_is_in_force() -> None:
    """A policy would be asked at each pause, for nobody, or on a day before its first."""
    rule = _Asked([])
    _logs([(10 * DAY_S, 1.0)], nodes=rule, cluster={"nodes_per_application": 2.0}, hosted_h=100.0)
    assert [v for v in rule.seen if v.serves] == [
        NodeView("cluster", 0, 8, True, SECOND, 0.0),
        NodeView("cluster", 0, 8, True, date(2024, 1, 5), 4.0),
    ]


@pytest.mark.parametrize(
    "inert",
    [
        replace(DOWN, clusters=False, pools=True, idle_h=1e4),
        replace(DOWN, idle_h=1e4, boot_h=1e7),
        replace(DOWN, from_day=date(2025, 1, 1)),
        GiveBack(1.0, 0.0, False, date(2024, 2, 29)),
    ],
)
def test_policies_for_others_leave_a_cluster_alone(inert: NodesPolicy) -> None:
    """Nodes of clusters would be switched off by a rule that is not for them, or never acts."""
    asked = [(3600.0, 100.0), (40 * DAY_S, 100.0)]
    static = _logs(asked, nodes=StaticNodes())
    assert _logs(asked, nodes=inert) == static
    assert _nodes_s(static) == [744 * 3600.0, 696 * 3600.0]


def test_a_replica_is_kept_warm_from_the_first_day_on() -> None:
    """`min_scale` would come too early or not at all, or calls still find no replica."""
    asked = [(3600.0, 100.0), (FEB_S + 3600.0, 100.0), (FEB_S + DAY_S, 100.0)]
    warm = replace(AS_IT_IS, min_scale=1)
    for app in (application(), application(kind=SYNC, knative=Knative(initial_scale=0))):
        before, logs = (_logs(asked, app, serving=rule) for rule in (FREE.serving, warm))
        assert [s.outcomes[Outcome.COLD] for s in before.served] == [1, 2]
        assert [s.outcomes[Outcome.COLD] for s in logs.served] == [1, 0]
        assert [s.outcomes[Outcome.WARM] for s in logs.served] == [0, 2]
        assert logs.served[0] == before.served[0]
        more_s = _replicas_s(logs)[1] - 696 * 3600.0  # the first look is at midnight
        assert more_s == 0.0 if app.kind is not SYNC else 0.0 < more_s < 600.0


def test_idle_windows_are_measured_from_when_they_began() -> None:
    """Replicas would be kept by the old window, or forget since when they have been idle."""
    asked = [(FEB_S - 50.0, 1.0)]  # ready after 30 s, idle from 19 s before midnight on
    for keep_s, held_s in ((600.0, [50.0, 581.0]), (10.0, [50.0, 0.0]), (30.0, [50.0, 11.0])):
        logs = _logs(asked, serving=replace(AS_IT_IS, keep_s=keep_s))
        assert _replicas_s(logs) == held_s


def test_the_last_replica_of_a_function_stays_as_long_as_the_policy_says() -> None:
    """Knative's retention period would not be the policy's from its day on."""
    app = application(kind=SYNC, knative=Knative(initial_scale=0))
    asked = [(100.0, 10.0), (FEB_S + 100.0, 10.0)]
    short, long = _replicas_s(_logs(asked, app, serving=replace(AS_IT_IS, keep_s=600.0)))
    assert long - short == 570.0  # the grace period is 30 s


def test_jobs_at_a_time_are_the_maximum() -> None:
    """More jobs would not run at once though the policy allows them, or they would wait on."""
    app = application(kind=ApplicationKind.ASYNC, max_scale=1)
    asked = [(FEB_S - 100.0 + k, 400.0) for k in range(3)]
    logs = _logs(asked, app, serving=replace(AS_IT_IS, max_scale=3, min_scale=2))
    # The first one computes from 70 s before midnight on; the others start there, 30 s later.
    assert logs.served[1].outcomes[Outcome.COLD] == 3
    assert _replicas_s(logs) == [100.0, 330.0 + 430.0 + 430.0]


def test_who_waits_goes_where_there_is_room_from_now_on() -> None:
    """More requests at once in a replica would only begin when the next one ends."""
    app = application(kind=SYNC, max_scale=1, timeout_s=1000.0)
    asked = [(FEB_S - 100.0, 400.0), (FEB_S - 99.0, 400.0), (FEB_S - 98.0, 400.0)]
    logs = _logs(asked, app, serving=replace(AS_IT_IS, concurrency=2))
    # One from 70 s before midnight on, one from midnight on, the third when the first has ended.
    assert logs.served[1].wait_s is not None
    assert logs.served[1].wait_s[0] == pytest.approx(99.0, rel=0.016)
    assert logs.served[1].wait_s[2] == pytest.approx(428.0, rel=0.016)
    assert logs.served[1].active_ticks == (330 + 400) * TICKS_PER_S


def test_patience_is_measured_from_when_it_was_asked_for() -> None:
    """Who waits would keep the old patience, or begin to wait anew."""
    asked = [(FEB_S - 100.0, 4000.0), (FEB_S - 90.0, 1.0), (FEB_S - 10.0, 1.0)]
    app = application(max_scale=1)
    rule = _Says(replace(app, timeout_s=60.0))
    logs = _logs(asked, app, serving=rule)
    assert logs.served[1].outcomes[Outcome.TIMEOUT] == 2
    assert _replicas_s(logs) == [100.0, 4000.0 - 70.0 + 60.0]
    patient = _Says(replace(app, timeout_s=None), FEBRUARY)
    logs = _logs(asked, replace(app, timeout_s=95.0), serving=patient)
    assert [s.outcomes[Outcome.TIMEOUT] for s in logs.served] == [0, 0]


def test_a_function_that_becomes_exposed_keeps_its_replicas() -> None:
    """Requests would be cut off, or the service scale by what was seen before."""
    app = application(kind=SYNC, knative=Knative(initial_scale=0))
    asked = [(FEB_S - 100.0 + k / 4, 600.0) for k in range(4)]
    logs = _logs(asked, app, serving=replace(AS_IT_IS, exposed=True, min_scale=1))
    assert sum(logs.served[1].outcomes[:2]) == 4
    # All computed until 531 s after midnight, and one stays: there is no scaling to zero.
    busy = logs.served[1].active_ticks / TICKS_PER_S
    assert _replicas_s(logs)[1] > 696 * 3600.0
    always = _logs(asked, app).served
    assert logs.served[0] == always[0]
    assert busy == always[1].active_ticks / TICKS_PER_S


@pytest.mark.parametrize("kind", list(ApplicationKind))
@pytest.mark.parametrize("hosted_h", [0.0, 100.0])
def test_policy_from_the_beginning_is_the_same_as_configuration(
    kind: ApplicationKind, hosted_h: float
) -> None:
    """A policy would scale otherwise than a federation that says the same."""
    app = application(kind=kind, min_scale=0 if kind is not EXPOSED else 1)
    asked = [(400_000.0 + 40.0 * k, 50.0 + k) for k in range(60)]
    rule = TunedServing(1, 3, 45.0, 2, True, START)
    as_policy = _logs(asked, app, serving=rule, hosted_h=hosted_h)
    configured = _logs(asked, rule.settings(app), hosted_h=hosted_h)
    assert as_policy.served == configured.served
    assert as_policy.clusters == configured.clusters
    late = _logs(asked, app, serving=replace(rule, from_day=SECOND), hosted_h=hosted_h)
    if hosted_h:  # hosted after the second day: the same once more
        assert late.served == configured.served


def test_none_leaves_everything_as_it_is() -> None:
    """A policy that says nothing would cut windows or plan events."""
    asked = [(3600.0, 100.0), (FEB_S - 10.0, 100.0)]
    for app in (application(), application(kind=SYNC), application(kind=EXPOSED)):
        assert _logs(asked, app, serving=AS_IT_IS) == _logs(asked, app)


def test_only_functions_become_exposed() -> None:
    """A kind would become one whose replicas start otherwise than was drawn."""
    rule = replace(AS_IT_IS, exposed=True, concurrency=4, keep_s=90.0)
    becomes = {k: rule.settings(application(kind=k)).kind for k in ApplicationKind}
    assert becomes == {k: k for k in ApplicationKind} | {SYNC: EXPOSED}
    tuned = rule.settings(application())
    assert tuned.knative == Knative(
        container_concurrency=4, scale_to_zero_pod_retention_period_s=90.0
    )
    assert tuned.autoscaler == HorizontalPodAutoscaler(container_concurrency=4)
    assert tuned.keep_alive == KeepAliveWindow(90.0)


@dataclass(frozen=True)
class _Says:
    """A policy that always says the same."""

    said: Application
    from_day: date = FEBRUARY

    def settings(self, application: Application) -> Application:
        return self.said


@pytest.mark.parametrize(
    "changes",
    [
        {"cluster": "other"},
        {"cores": 2},
        {"ram_mb": 1},
        {"kept_mb": 1.0},
        {"service": Duration(1.0)},
        {"then": "other"},
        {"kind": SYNC},
        {"kind": EXPOSED},
    ],
    ids=str,
)
def test_what_an_application_is_stays(changes: dict[str, Any]) -> None:
    """A policy would change the world that it is compared in."""
    app = application()
    with pytest.raises(EngineError, match=f"changes what app is .* got '{next(iter(changes))}'"):
        settings_of(_Says(replace(app, **changes)), "app", app)

