"""Which way nodes and serving policies must move things, in every world."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.applications import ApplicationKind
from sim.engine.logs import Logs
from sim.engine.play import play
from sim.paths import with_value
from sim.policies.base import NodesPolicy
from sim.policies.give_back import GiveBack
from sim.policies.plain import PLAIN
from sim.policies.scale_down import ScaleDown
from sim.policies.static_nodes import StaticNodes
from sim.policies.tuned_serving import TunedServing
from sim.runner import RunSpec, run_once
from sim.serving.kernel.outcome import Outcome
from tests.property.test_invariants import RUNS
from tests.worlds_by_hand import FREE, application, calls, federation, plan

FEW = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
DAYS = st.sampled_from([date(2023, 1, 1), date(2024, 3, 11), date(2024, 8, 1)])
HOURS = st.one_of(st.just(0.0), st.floats(0.0, 50.0))
AT_ONCE = st.one_of(
    st.builds(ScaleDown, HOURS, st.just(0.0), st.just(True), st.just(False), DAYS),
    st.builds(GiveBack, st.floats(1.0, 30.0), st.just(0.0), st.booleans(), DAYS),
)
LATE = st.one_of(
    st.builds(ScaleDown, HOURS, st.floats(0.0, 100.0), st.just(True), st.booleans(), DAYS),
    st.builds(GiveBack, st.floats(1.0, 30.0), st.floats(0.0, 100.0), st.booleans(), DAYS),
)


def _with(spec: RunSpec, nodes: NodesPolicy) -> RunSpec:
    return replace(spec, policies=replace(spec.policies, nodes=nodes))


@FEW
@given(RUNS, AT_ONCE)
def test_nodes_that_boot_at_once_change_only_what_is_provisioned(
    spec: RunSpec, nodes: NodesPolicy
) -> None:
    """Nodes that are off would not be there for whom they are there when they are on."""
    static, scaled = (run_once(_with(spec, n)) for n in (StaticNodes(), nodes))
    pd.testing.assert_frame_equal(
        static.deployments_frame(), scaled.deployments_frame(), check_exact=True
    )
    pd.testing.assert_frame_equal(static.serving_frame(), scaled.serving_frame(), check_exact=True)
    assert np.array_equal(static.usage.quantity[..., 1:, :], scaled.usage.quantity[..., 1:, :])
    for resource in ("gpu", "cpu"):
        one, two = (r.usage.monthly(resource, "provisioned") for r in (static, scaled))
        assert (two <= one).all()
        assert (two >= scaled.usage.monthly(resource, "allocated") * (1.0 - 1e-12)).all()
    one, two = (sum(h.quantity * (h.end_h - h.start_h) for h in r.logs.nodes)
                for r in (static, scaled))  # fmt: skip
    assert two < one or isinstance(nodes, GiveBack) or nodes.idle_h > 0.0


@FEW
@given(RUNS, LATE)
def test_nodes_that_boot_never_cost_more_than_nodes_that_stay_on(
    spec: RunSpec, nodes: NodesPolicy
) -> None:
    """A node would be paid for while it is off, before it has joined, or twice."""
    dated = with_value(spec.federation, "growth.law", "saturating")
    static, scaled = (
        run_once(_with(replace(spec, federation=dated), n)) for n in (StaticNodes(), nodes)
    )
    for resource in ("gpu", "cpu"):
        one, two = (r.usage.monthly(resource, "provisioned") for r in (static, scaled))
        assert (two <= one).all()


@st.composite
def _sparse(draw: st.DrawFn) -> list[tuple[float, float]]:
    """Draw calls of which none comes before the one before has been answered for a while."""
    gaps = draw(st.lists(st.floats(500.0, 200_000.0), min_size=5, max_size=30))
    first = draw(st.floats(0.0, 30 * 86_400.0))
    return [
        (first + since, draw(st.floats(0.1, 50.0))) for since in np.cumsum(gaps) if since < 4e6
    ]


@FEW
@given(
    _sparse(), st.sampled_from([ApplicationKind.SYNC, ApplicationKind.KEEP_ALIVE]),
    st.integers(1, 3),
)  # fmt: skip
def test_who_is_kept_warm_never_starts_cold(
    asked: list[tuple[float, float]], kind: ApplicationKind, min_scale: int
) -> None:
    """Calls would be cold though a replica is always there, or that replica cost nothing."""
    warm = TunedServing(min_scale, None, None, None, False, date(2024, 2, 1))
    midnight = 31 * 86_400.0
    asked = [a for a in asked if not midnight - 200.0 < a[0] < midnight + 200.0]
    of = federation(app=application(kind=kind))
    world = plan(of, invocations=calls(asked))

    def played(serving: object) -> Logs:
        return play(of, world, replace(FREE, serving=serving))

    before, after = played(PLAIN.serving), played(warm)
    assert after.served[0] == before.served[0]
    assert after.served[1].outcomes[Outcome.COLD] == 0
    assert sum(after.served[1].outcomes) == sum(before.served[1].outcomes)
    assert after.served[1].active_ticks == before.served[1].active_ticks
    assert after.served[1].replica_ticks > before.served[1].replica_ticks
    assert after.clusters == before.clusters
