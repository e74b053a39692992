"""Nodes under applications: by hand, never oversubscribed, and no trace of the windows' length."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.applications import Bursts, Duration
from sim.errors import EngineError
from sim.plan.calls import calls
from sim.plan.reader import ColdStart, Reader, ResultReader, Work
from sim.plan.traffic import PoissonReader, intensity
from sim.rng import Streams
from sim.serving.cluster import Done, ServingCluster, Tenant, Window
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.kernel.outcome import Outcome
from sim.serving.kernel.scaling import EXPOSED_SERVICE, Autoscaler
from sim.ticks import TICKS_PER_S
from sim.timeline import ProjectCalendar
from tests.serving_by_hand import Given, in_turn

S = TICKS_PER_S
MONTH = ProjectCalendar(date(2024, 1, 1), 1, 1)
COLD = ColdStart(Duration(60.0), Duration(20.0), Duration(2.0), Duration(3.0))
WARM_FOR_90_S = KeepAlive(90 * S)
STARTS = in_turn([(5 * S, 20 * S, 60 * S)])


def _called(*at_s: float, service_s: float = 10.0) -> Given:
    return Given(calls(np.array(at_s), service_s, 5.0, 20.0, 60.0))


def _tenant(
    policy: KeepAlive | Autoscaler, reader: Reader, cores: int, ram_mb: int, then: int | None = None
) -> Tenant:
    return Tenant(policy, cores, ram_mb, reader, STARTS, then=then)


def _run(cluster: ServingCluster, until_s: int, step_s: int) -> list[Window]:
    """Play in steps."""
    edges = range(cluster.now // S + step_s, until_s + 1, step_s)
    return [cluster.play(edge * S) for edge in edges]


def _done(windows: Sequence[Window], app: int = 0) -> Done:
    """Return what became of the requests of an application, in the order in which they came."""
    names = ("app", "arrival", "begin", "end", "outcome")
    columns = [np.concatenate([getattr(w.done, name) for w in windows]) for name in names]
    mine = columns[0] == app
    order = np.lexsort((columns[2][mine], columns[1][mine]))
    return Done(*(column[mine][order] for column in columns))


def _begins(windows: Sequence[Window], app: int = 0) -> list[float]:
    return (_done(windows, app).begin / S).tolist()


def test_a_cold_start_has_its_parts_and_an_empty_node_goes() -> None:
    """Boot, image or model would be paid twice or not at all; an empty node would stay on."""
    cluster = ServingCluster([_tenant(WARM_FOR_90_S, _called(100.0, 300.0, 2000.0), 2, 3000)])
    cluster.add_nodes(1, 4, 8000, idle=300 * S, on=False)
    windows = _run(cluster, 3000, 100)
    # Boot 60, pull 20, start 5; then the node is up with the image; then it was deleted again.
    assert _begins(windows) == [185.0, 305.0, 2085.0]
    assert _done(windows).outcome.tolist() == [Outcome.COLD] * 3
    # On from 100; the replica ends at 315 and goes at 405; the node has been empty 300 s at 705.
    provisioned = [w.provisioned / S for w in windows]
    assert sum(provisioned[:19]) == 705.0 - 100.0
    assert sum(provisioned[19:]) == 2485.0 - 2000.0  # the replica goes at 2185
    assert [w.nodes_on for w in windows][::5] == [0, 1, 0, 0, 1, 0]
    assert sum(w.allocated[0] for w in windows) == (95 + 90 + 15 + 90 + 95 + 90) * S


def test_nodes_that_stay_on_are_provisioned_all_the_time() -> None:
    """A pod that scales to zero would take its machine along."""
    cluster = ServingCluster([_tenant(WARM_FOR_90_S, _called(), 2, 3000)])
    cluster.add_nodes(2, 4, 8000)
    windows = _run(cluster, 1000, 250)
    assert [w.provisioned / S for w in windows] == [500.0] * 4
    assert sum(w.allocated[0] for w in windows) == 0


def test_results_call_the_next_application() -> None:
    """A chain would lose results, call before they are there, or depend on the windows' length."""

    def played(step_s: int) -> list[list[int]]:
        infer, store = (
            ResultReader(7200 * S, Work(Duration(seconds, 1.0), COLD), Streams(1), f"app/{seconds}")
            for seconds in (30.0, 2.0)
        )
        first = _called(*range(0, 7000, 50), service_s=7.0)
        chain = ((store, None), (first, 2), (infer, 0))
        cluster = ServingCluster(
            [_tenant(WARM_FOR_90_S, reader, 1, 100, then) for reader, then in chain]
        )
        cluster.add_nodes(1, 64, 64_000)
        windows = _run(cluster, 7200, step_s)
        stored, heads, inferred = (_done(windows, app) for app in range(3))
        assert len(heads.app) == len(inferred.app) == len(stored.app) == 140
        for caller, called in ((heads, inferred), (inferred, stored)):
            assert called.arrival.tolist() == sorted(caller.end.tolist())
        return [column.tolist() for d in (stored, heads, inferred) for column in (d.begin, d.end)]

    assert played(100) == played(1200) == played(7200)


def test_without_a_result_nobody_is_called() -> None:
    """A job that failed would call the next application, or one that was repeated would not."""
    jobs = _called(0.0, 0.0, 0.0)
    jobs.given = jobs.given._replace(fails=np.array([0, -2, 1]))
    after = _tenant(KeepAlive(0), _called(*[0.0] * 9), 1, 100)
    cluster = ServingCluster([_tenant(KeepAlive(0), jobs, 1, 100, then=1), after])
    cluster.add_nodes(1, 64, 64_000)
    windows = _run(cluster, 1000, 5)
    # The image is there at 20, the model at 25; failures at 35 come again at 45 with a new model.
    first = _done(windows, 0)
    assert sorted((first.end / S).tolist()) == [35.0, 60.0, 60.0]
    assert sorted(first.outcome.tolist()) == [Outcome.COLD, Outcome.COLD, Outcome.FAILED]
    assert (_done(windows, 1).arrival / S).tolist() == [35.0, 60.0]
    assert cluster.unanswered().tolist() == [0, 0]
    cluster.play(cluster.now)
    assert len(cluster._state.requests.app) == 0  # who was never called is forgotten, too


@pytest.mark.parametrize("step_s", [1, 10])
def test_at_one_instant_the_chain_that_began_first_calls_first(step_s: int) -> None:
    """Who is called first would depend on numbers of applications or on the windows' length."""
    roots = Given(calls(np.array([1.0]), 1.0)), Given(calls(np.array([0.0]), 2.0))
    later = [Given(calls(np.zeros(1), 5.0)) for _ in roots]
    chain = ((roots[0], 1, 2), (roots[1], 1, 3), (later[0], 4, None), (later[1], 4, None))
    cluster = ServingCluster([_tenant(KeepAlive(90 * S if then else 0), reader, cores, 1, then)
                              for reader, cores, then in chain])  # fmt: skip
    cluster.add_nodes(1, 6, 100)
    windows = _run(cluster, 20, step_s)
    assert [_begins(windows, app) for app in (2, 3)] == [[7.0], [2.0]]


def test_a_replica_that_was_started_in_vain_is_kept_for_the_grace_period() -> None:
    """It would go at once because an earlier one was not wanted."""
    function = Autoscaler(timeout=0)
    cluster = ServingCluster([_tenant(function, _called(100.0), 1, 1)])
    cluster.add_nodes(1, 4, 8000)
    windows = _run(cluster, 1000, 10)
    assert _done(windows).outcome.tolist() == [Outcome.TIMEOUT]
    assert [w.replicas[0] for w in windows[:14]] == [1, 1, 1] + [0] * 7 + [1, 1, 1, 0]
    assert sum(w.allocated[0] for w in windows) == (30 + 30) * S


@pytest.mark.parametrize("then", [(0,), (1, 0), (2, 2, None), (5,), (-1,), (None, 2, 1)])
def test_a_chain_that_is_none_is_refused(then: tuple[int | None, ...]) -> None:
    """Applications that wait for each other's results would hang, or share them."""
    tenants = [_tenant(WARM_FOR_90_S, _called(), 1, 1, called) for called in then]
    with pytest.raises(EngineError, match="chain"):
        ServingCluster(tenants)


@pytest.mark.parametrize(
    "change", [{"panic_window": 1}, {"stable_window": 2 * S}, {"max_scale_down_rate": 1000}]
)
def test_an_autoscaler_that_cannot_work_is_refused(change: dict[str, int]) -> None:
    """It would divide by nothing, or never let the last replica go."""
    policy = Autoscaler()._replace(**change)
    with pytest.raises(EngineError, match="autoscaler"):
        ServingCluster([_tenant(policy, _called(), 1, 1)])


@pytest.mark.parametrize("at_s", [(4.0, 3.0), (1.0, 3.0), (3.0, 20.0)])
def test_requests_that_do_not_belong_to_a_window_are_refused(at_s: tuple[float, ...]) -> None:
    """Time would run backwards, or requests would come that nobody knows of yet."""
    reader = _called(*at_s)
    reader.until = lambda tick: reader.given  # type: ignore[method-assign]
    cluster = ServingCluster([_tenant(WARM_FOR_90_S, reader, 1, 1)], now=2 * S)
    with pytest.raises(EngineError, match="window: requests out of order"):
        cluster.play(10 * S)


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    """Hours would be taken back."""
    cluster = ServingCluster([])
    assert cluster.play(10 * S).provisioned == 0
    with pytest.raises(EngineError, match="ends at"):
        cluster.play(9 * S)


@pytest.mark.parametrize(("cores", "ram_mb"), [(3, 100), (1, 5000)])
def test_cores_and_memory_both_bind(cores: int, ram_mb: int) -> None:
    """Two replicas would share a node that has room for one."""
    reader = _called(0.0, 0.0, service_s=100.0)
    cluster = ServingCluster([_tenant(KeepAlive(0), reader, cores, ram_mb)])
    cluster.add_nodes(1, 4, 8000)
    assert _begins(_run(cluster, 1000, 1000)) == [25.0, 130.0]


def test_replicas_go_where_there_are_some_already() -> None:
    """Replicas would be spread so that no node ever gets empty."""
    reader = _called(0.0, 0.0, 0.0, service_s=500.0)
    cluster = ServingCluster([_tenant(WARM_FOR_90_S, reader, 2, 100)])
    cluster.add_nodes(3, 4, 8000, idle=300 * S, on=False)
    window = cluster.play(100 * S)
    assert (window.replicas.tolist(), window.nodes_on) == ([3], 2)


def test_room_goes_to_whoever_has_waited_longest() -> None:
    """An application would be passed over because of its number."""
    readers = _called(0.0, 3.0), _called(1.0), _called(2.0)
    cluster = ServingCluster([_tenant(KeepAlive(0), reader, 4, 100) for reader in readers])
    cluster.add_nodes(1, 4, 8000)
    windows = _run(cluster, 1000, 1000)
    # 20 for each image, 5 for each model, 10 for each request.
    assert [_begins(windows, app) for app in range(3)] == [[25.0, 110.0], [60.0], [95.0]]


def _traffic(seed: int, per_month: float) -> Reader:
    expected, bursts = intensity(MONTH, 0.0, per_month, 0.0), Bursts(2.0, 1.0)
    return PoissonReader(expected, bursts, Work(Duration(20.0, 1.0), COLD), Streams(seed), "app")


def _policy(kind: str) -> KeepAlive | Autoscaler:
    return {"keep": WARM_FOR_90_S, "function": Autoscaler(), "exposed": EXPOSED_SERVICE}[kind]


@pytest.mark.parametrize("kinds", [["keep"], ["keep", "function", "exposed"]])
def test_a_lower_number_of_windows_changes_nothing(kinds: list[str]) -> None:
    """What applications get would depend on the windows' length."""

    def played(step_s: int) -> tuple[list[list[float]], list[int], int]:
        tenants = [
            _tenant(_policy(kind), _traffic(number, 40_000.0), 2, 3000)
            for number, kind in enumerate(kinds)
        ]
        cluster = ServingCluster(tenants)
        cluster.add_nodes(1, 4, 8000)
        cluster.add_nodes(1, 4, 8000, 300 * S, on=False)
        windows = _run(cluster, 86_400, step_s)
        allocated = sum(w.allocated for w in windows)
        begins = [_begins(windows, app) for app in range(len(kinds))]
        return begins, allocated.tolist(), sum(w.provisioned for w in windows)

    assert played(600) == played(7200) == played(86_400)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 1000),
    st.integers(1, 4),
    st.lists(st.sampled_from(["keep", "function", "exposed"]), min_size=1, max_size=5),
    st.sampled_from([None, 300 * S]),
    st.sampled_from([20, 300, 3600]),
)
def test_nodes_are_never_oversubscribed(seed, count, kinds, idle, step_s) -> None:
    """Applications would hold more cores or memory than there are, or than is provisioned."""
    cores = np.array([1 + number % 2 for number in range(len(kinds))])
    cluster = ServingCluster([
        _tenant(_policy(kind), _traffic(seed + number, 100_000.0), int(cores[number]), 3000)
        for number, kind in enumerate(kinds)
    ])
    cluster.add_nodes(count, 4, 8000, **({} if idle is None else {"idle": idle, "on": False}))
    for found in _run(cluster, 40 * step_s, step_s):
        assert (found.active <= found.allocated).all()
        assert found.allocated @ cores <= 4 * found.provisioned <= 4 * count * step_s * S
        assert 3000 * found.allocated.sum() <= 8000 * found.provisioned
        assert found.replicas @ cores <= 4 * found.nodes_on <= 4 * count
        assert 3000 * found.replicas.sum() <= 8000 * found.nodes_on


def test_alone_on_ample_nodes_is_alone() -> None:
    """A cluster with room would change what an application does."""

    def played(neighbours: int) -> tuple[list[float], int]:
        tenants = [
            _tenant(WARM_FOR_90_S, _traffic(3 + number, 50_000.0), 2, 3000)
            for number in range(1 + neighbours)
        ]
        cluster = ServingCluster(tenants)
        cluster.add_nodes(1, 1000, 10**9)
        windows = _run(cluster, 36_000, 3600)
        return _begins(windows), sum(int(w.allocated[0]) for w in windows)

    alone = played(0)
    assert len(alone[0]) > 100
    assert played(3) == alone


def test_a_job_cannot_become_a_function_while_it_runs() -> None:
    """Replicas would be looked for in a list that is not theirs."""
    cluster = ServingCluster([_tenant(WARM_FOR_90_S, _called(1.0), 1, 1)])
    cluster.add_nodes(1, 4, 8000)
    cluster.play(2 * S)
    with pytest.raises(EngineError, match="another kind of policy"):
        cluster.retune(0, Autoscaler())
    cluster.retune(0, KeepAlive(5 * S))
    assert _begins(_run(cluster, 102, 100)) == [26.0]
