"""Compiled kernels of serving against their SimPy twins: identical to the last bit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.twin.keepalive import TwinKeepAlive, TwinNode
from sim.serving.keepalive import KeepAlive
from sim.serving.requests import NEVER, TICKS_PER_S, Requests, part_of
from sim.serving.state import Nodes
from sim.serving.windows import KeepAlivePool

TEN_YEARS = 10 * 366 * 86400 * TICKS_PER_S
GAPS = st.one_of(
    st.just(0),
    st.integers(0, 4),
    st.integers(1, 200 * TICKS_PER_S),
    st.just(TEN_YEARS),
)
LENGTHS = st.one_of(st.integers(1, 6), st.integers(1, 300 * TICKS_PER_S))
DELAYS = st.one_of(st.just(0), st.integers(0, 6), st.integers(0, 60 * TICKS_PER_S))
ROOM = st.sampled_from([0, 1, 1, 2, 3, NEVER])


@st.composite
def patterns(draw: st.DrawFn) -> Requests:
    """Draw requests: none, one, ties, bursts, ten years of silence."""
    size = draw(st.integers(0, 30))
    columns = [draw(st.lists(of, min_size=size, max_size=size)) for of in (GAPS, LENGTHS)]
    delays = [draw(st.lists(DELAYS, min_size=size, max_size=size)) for _ in range(3)]
    arrival = np.cumsum(np.array(columns[0], np.int64))
    return Requests(arrival, *(np.array(c, np.int64) for c in (columns[1], *delays)))


@st.composite
def pools(draw: st.DrawFn) -> KeepAlive:
    """Draw parameters of a keep-alive pool."""
    return KeepAlive(
        idle_window=draw(st.one_of(st.just(0), st.integers(0, 6), st.just(60 * TICKS_PER_S))),
        min_scale=draw(st.sampled_from([0, 0, 1, 2])),
        max_scale=draw(st.sampled_from([1, 2, NEVER, NEVER])),
        newest_first=draw(st.booleans()),
        timeout=draw(st.one_of(st.integers(0, 6), st.just(5 * TICKS_PER_S), st.just(NEVER))),
        queue=draw(st.sampled_from([0, 1, 2, NEVER, NEVER])),
    )


@st.composite
def capacities(draw: st.DrawFn) -> list[tuple[int, list[int]]]:
    """Draw times at which the room on each node changes, the first at time 0."""
    size = draw(st.integers(1, 3))
    rooms = st.lists(ROOM, min_size=size, max_size=size)
    times = sorted(draw(st.sets(st.one_of(st.integers(1, 9), st.integers(1, 2**31)), max_size=3)))
    return [(time, draw(rooms)) for time in (0, *times)]


def as_nodes(rooms: list[int], off: bool) -> Nodes:
    """Return nodes with room, in their order; off and without the image, or on and with it."""
    size = len(rooms)
    zeros = [np.zeros(size, np.int64) for _ in range(4)]
    if off:
        zeros[1][:] = zeros[2][:] = NEVER
    order = np.arange(size)
    return Nodes(np.array(rooms, np.int64), *zeros, order)


def by_kernel(
    pool: KeepAlive,
    asked: Requests,
    capacity: list[tuple[int, list[int]]],
    cuts: list[int],
    horizon: int,
    off: bool,
) -> tuple[list[tuple[int, ...]], int, int, list[list[int]]]:
    """Play in windows that end at the cuts and where the capacity changes."""
    rooms = dict(capacity)
    edges = sorted({0, horizon, *(c for c in (*cuts, *rooms) if c < horizon)})
    kernel, nodes = KeepAlivePool(pool), as_nodes(rooms[0], off)
    rows: list[tuple[int, ...]] = []
    allocated = active = 0
    for since, until in pairwise(edges):
        if since in rooms:
            nodes.room[:] = rooms[since]
        low, high = np.searchsorted(asked.arrival, [since, until])
        window = kernel.serve(part_of(asked, slice(low, high)), until, nodes)
        columns = (window.arrival, window.begin, window.end, window.outcome)
        rows += list(zip(*(c.tolist() for c in columns), strict=True))
        allocated, active = allocated + window.allocated, active + window.active
    return rows, allocated, active, [c.tolist() for c in nodes[1:5]]


def by_twin(
    pool: KeepAlive,
    asked: Requests,
    capacity: list[tuple[int, list[int]]],
    horizon: int,
    off: bool,
) -> tuple[list[tuple[int, ...]], int, int, list[list[int]]]:
    """Play in one go, process by process."""
    at = NEVER if off else 0
    nodes = [TwinNode(room, up_at=at, cached_at=at) for room in capacity[0][1]]
    twin = TwinKeepAlive(pool, asked, nodes, capacity[1:], horizon)
    twin.play()
    arrival = asked.arrival.tolist()
    rows = [(arrival[r], begin, end, int(outcome)) for r, begin, end, outcome in twin.rows]
    left = [[getattr(n, f) for n in nodes] for f in ("count", "up_at", "cached_at", "used_at")]
    return rows, twin.allocated, twin.active, left


def horizon_of(asked: Requests, share: float) -> int:
    """Return an end of the simulated time, some way through the requests or behind them."""
    last = int(asked.arrival[-1]) if len(asked.arrival) else 0
    return int(last * share) + 7


@settings(max_examples=400, deadline=None)
@given(
    patterns(),
    pools(),
    capacities(),
    st.booleans(),
    st.sampled_from([0.5, 1.0, 1.3]),
    st.lists(st.integers(1, 2**32), max_size=4),
    st.lists(st.integers(1, 12), max_size=4),
)
def test_keep_alive_pool_is_its_twin(asked, pool, capacity, off, share, cuts, early) -> None:
    """The kernel would give other replicas, waits or hours than plain SimPy, whole or in chunks."""
    horizon = horizon_of(asked, share)
    capacity = [c for c in capacity if c[0] < horizon]
    whole = by_kernel(pool, asked, capacity, [], horizon, off)
    assert whole == by_twin(pool, asked, capacity, horizon, off)
    at_arrivals = asked.arrival[::3].tolist()
    cuts = [c for c in (*cuts, *early, *at_arrivals) if c > 0]
    assert by_kernel(pool, asked, capacity, cuts, horizon, off) == whole
