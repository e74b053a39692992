"""Nodes under applications: by hand, never oversubscribed, and no trace of the windows' length."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim.plan.chain import ChainReader
from sim.serving.scaled_state import Starts
from sim.serving.windows import AutoscaledPool, KeepAlivePool, Pool, Window

from sim.errors import EngineError
from sim.plan.calls import Calls, calls, part_of
from sim.plan.reader import ColdStart, Duration, Reader
from sim.plan.traffic import Bursts, PoissonReader, intensity
from sim.rng import Streams
from sim.serving.cluster import ClusterNodes, NodeKind, Tenant
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.kernel.scaling import EXPOSED, Autoscaler
from sim.serving.kernel.state import Nodes, ample_nodes
from sim.ticks import TICKS_PER_H, TICKS_PER_S
from sim.timeline import ProjectCalendar

S = TICKS_PER_S
MONTH = ProjectCalendar(date(2024, 1, 1), 1, 1)
COLD = ColdStart(Duration(60.0), Duration(20.0), Duration(2.0), Duration(3.0))


class Given:
    """A reader of requests that are written down."""

    def __init__(self, asked: Calls) -> None:
        """Store them."""
        self.asked = asked

    def until(self, tick: int) -> Calls:
        """Return those that come before `tick`."""
        edge = int(np.searchsorted(self.asked.arrival, tick))
        found, self.asked = part_of(self.asked, slice(edge)), part_of(self.asked, slice(edge, None))
        return found


def _called(*at_s: float, service_s: float = 10.0) -> Given:
    return Given(calls(np.array(at_s), service_s, 5.0, 20.0, 60.0))


def _begins(windows: list[Window]) -> list[float]:
    return [float(b) / S for window in windows for b in window.begin]


def _run(nodes: ClusterNodes, until_s: int, step_s: int) -> tuple[list[list[Window]], list[float]]:
    """Play in steps; return the windows of each tenant and node-seconds of each step."""
    found, provisioned = [], []
    for edge in range(nodes.now // S + step_s, until_s + 1, step_s):
        window = nodes.play(edge * S)
        found.append(window.windows)
        provisioned.append(window.provisioned / S)
    return [list(w) for w in zip(*found, strict=True)], provisioned


def test_a_cold_start_has_its_parts_and_an_empty_node_goes() -> None:
    """Boot, image or model would be paid twice or not at all; an empty node would stay on."""
    nodes = ClusterNodes(NodeKind(4, 8000, idle=300 * S))
    nodes.add_nodes(1)
    reader = _called(100.0, 300.0, 2000.0)
    nodes.add_tenant(Tenant(KeepAlivePool(KeepAlive(90 * S)), reader, 2, 3000))
    (windows,), provisioned = _run(nodes, 3000, 100)
    # Boot 60, pull 20, start 5; then the node is up with the image; then it was deleted again.
    assert _begins(windows) == [185.0, 305.0, 2085.0]
    # On from 100; the replica ends at 315 and goes at 405; empty for 300 s at 705, seen at 800.
    assert sum(provisioned[:19]) == 800.0 - 100.0
    assert sum(provisioned[19:]) == 2500.0 - 2000.0  # replica until 2185, seen empty at 2500
    assert sum(w.allocated for w in windows) == (95 + 90 + 15 + 90 + 95 + 90) * S


def test_nodes_that_stay_on_are_provisioned_all_the_time() -> None:
    """A pod that scales to zero would take its machine along."""
    nodes = ClusterNodes(NodeKind(4, 8000))
    nodes.add_nodes(2)
    nodes.add_tenant(Tenant(KeepAlivePool(KeepAlive(90 * S)), _called(), 2, 3000))
    (windows,), provisioned = _run(nodes, 1000, 250)
    assert provisioned == [500.0] * 4
    assert sum(w.allocated for w in windows) == 0


def test_results_call_the_next_application() -> None:
    """A chain would lose results, call before they are there, or depend on the windows' length."""

    def played(step_s: int) -> list[list[float]]:
        nodes = ClusterNodes(NodeKind(64, 64_000))
        nodes.add_nodes(1)
        horizon = 7200 * S
        readers = [
            ChainReader(horizon, Duration(seconds, 1.0), COLD, Streams(1), f"app/{seconds}")
            for seconds in (30.0, 2.0)
        ]
        store, infer = (
            Tenant(KeepAlivePool(KeepAlive(90 * S)), reader, 1, 100) for reader in readers[::-1]
        )
        infer.then = (store,)
        first = _called(*range(0, 7000, 50), service_s=7.0)
        head = Tenant(KeepAlivePool(KeepAlive(90 * S)), first, 1, 100, (infer,))
        for tenant in (store, head, infer):
            nodes.add_tenant(tenant)
        stored, heads, inferred = _run(nodes, 7200, step_s)[0]
        seen = [np.concatenate([w.arrival for w in part]) for part in (heads, inferred, stored)]
        ends = [np.concatenate([w.end for w in part]) for part in (heads, inferred)]
        for calls_of, results in zip(seen[1:], ends, strict=True):
            assert sorted(calls_of) == sorted(end for end in results if end < horizon)
        return [column.tolist() for column in (*seen, *ends)]

    assert played(100) == played(1200) == played(7200)


def test_a_chain_without_its_caller_is_refused() -> None:
    """An application that waits for results would hang when nobody gives any."""
    reader = ChainReader(10 * S, Duration(1.0), COLD, Streams(1), "app")
    with pytest.raises(EngineError, match="asked before its caller"):
        reader.until(5 * S)


@pytest.mark.parametrize(("cores", "ram_mb"), [(3, 100), (1, 5000)])
def test_cores_and_memory_both_bind(cores: int, ram_mb: int) -> None:
    """Two replicas would share a node that has room for one."""
    nodes = ClusterNodes(NodeKind(4, 8000))
    nodes.add_nodes(1)
    pool = KeepAlivePool(KeepAlive(0))
    nodes.add_tenant(Tenant(pool, _called(0.0, 0.0, service_s=100.0), cores, ram_mb))
    (windows,), _ = _run(nodes, 1000, 1000)
    assert _begins(windows) == [25.0, 130.0]


def test_replicas_go_where_there_are_some_already() -> None:
    """Replicas would be spread so that no node ever gets empty."""
    nodes = ClusterNodes(NodeKind(4, 8000, idle=300 * S))
    nodes.add_nodes(3)
    pool = KeepAlivePool(KeepAlive(90 * S))
    reader = _called(0.0, 0.0, 0.0, service_s=500.0)
    nodes.add_tenant(Tenant(pool, reader, 2, 100))
    nodes.play(100 * S)
    assert sorted(nodes.tenants[0].replicas.tolist()) == [0, 1, 2]


def test_a_lower_number_of_windows_changes_nothing_for_one_application() -> None:
    """What one application gets on nodes that stay on would depend on the windows' length."""

    def played(step_s: int) -> tuple[list[float], int]:
        nodes = ClusterNodes(NodeKind(4, 8000))
        nodes.add_nodes(2)
        nodes.add_tenant(Tenant(KeepAlivePool(KeepAlive(90 * S)), _traffic(0, 40_000.0), 2, 3000))
        (windows,), _ = _run(nodes, 86_400, step_s)
        return _begins(windows), sum(w.allocated for w in windows)

    assert played(600) == played(7200) == played(86_400)


def _traffic(seed: int, per_month: float) -> Reader:
    expected, bursts = intensity(MONTH, 0.0, per_month, 0.0), Bursts(2.0, 1.0)
    return PoissonReader(expected, bursts, Duration(20.0, 1.0), COLD, Streams(seed), "app")


def _starts(number: int) -> Starts:
    return Starts(*(np.full(8, seconds * S) for seconds in (5, 20, 60)))


class Watched:
    """Notes the peak of a pool on each node in each window."""

    def __init__(self, pool: Pool) -> None:
        """Wrap its `serve`."""
        self.peaks: list[np.ndarray] = []
        serve = pool.serve

        def watched(asked: Calls, until: int, nodes: Nodes) -> Window:
            window = serve(asked, until, nodes)
            self.peaks.append(nodes.peak)
            return window

        pool.serve = watched  # type: ignore[method-assign]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 1000),
    st.integers(1, 4),
    st.lists(st.sampled_from(["keep", "function", "exposed"]), min_size=1, max_size=5),
    st.sampled_from([None, 300 * S]),
    st.sampled_from([300, 3600]),
)
def test_nodes_are_never_oversubscribed(seed, count, kinds, idle, step_s) -> None:
    """Applications would hold more cores or memory than there are, or than is provisioned."""
    nodes = ClusterNodes(NodeKind(4, 8000, idle=idle))
    nodes.add_nodes(count)
    for number, kind in enumerate(kinds):
        pool: Pool = KeepAlivePool(KeepAlive(90 * S))
        if kind != "keep":
            pool = AutoscaledPool(EXPOSED if kind == "exposed" else Autoscaler(), _starts)
        reader = _traffic(seed + number, 100_000.0)
        nodes.add_tenant(Tenant(pool, reader, 1 + number % 2, 3000))
    for edge in range(step_s, 8 * step_s + 1, step_s):
        watches = [Watched(tenant.pool) for tenant in nodes.tenants]
        before = [tenant.replicas.copy() for tenant in nodes.tenants]
        found = nodes.play(edge * S)
        peaks = [w.peaks[0] if w.peaks else b for w, b in zip(watches, before, strict=True)]
        cores = sum(p * t.cores for p, t in zip(peaks, nodes.tenants, strict=True))
        ram = sum(p * t.ram_mb for p, t in zip(peaks, nodes.tenants, strict=True))
        assert (cores <= 4).all()
        assert (ram <= 8000).all()
        pairs = list(zip(found.windows, nodes.tenants, strict=True))
        allocated = sum(w.allocated * t.cores for w, t in pairs)
        active = sum(w.active * t.cores for w, t in pairs)
        assert active <= allocated <= 4 * found.provisioned <= 4 * count * step_s * S
        assert [w.replicas for w, _ in pairs] == [int(t.replicas.sum()) for _, t in pairs]


def test_alone_on_ample_nodes_is_alone() -> None:
    """A cluster with room would change what an application does."""
    nodes = ClusterNodes(NodeKind(1000, 10**9))
    nodes.add_nodes(1)
    nodes.add_tenant(Tenant(KeepAlivePool(KeepAlive(90 * S)), _traffic(3, 50_000.0), 2, 3000))
    (windows,), _ = _run(nodes, 36_000, 3600)
    alone = KeepAlivePool(KeepAlive(90 * S))
    node = ample_nodes()
    node.cached_at[:] = 2**62
    whole = alone.serve(_traffic(3, 50_000.0).until(10 * TICKS_PER_H), 10 * TICKS_PER_H, node)
    assert _begins(windows) == _begins([whole])
    assert sum(w.allocated for w in windows) == whole.allocated
