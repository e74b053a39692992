"""Compiled kernels of serving against their SimPy twins: identical to the last bit."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.twin.autoscaled import TwinAutoscaled
from benchmarks.twin.keepalive import TwinKeepAlive, TwinNode
from sim.plan.calls import Calls, part_of
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.scaled_state import Starts
from sim.serving.kernel.scaling import Autoscaler
from sim.serving.kernel.state import Nodes
from sim.serving.windows import AutoscaledPool, KeepAlivePool, Pool
from sim.ticks import NEVER, TICKS_PER_S

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
def patterns(draw: st.DrawFn) -> Calls:
    """Draw requests: none, one, ties, bursts, ten years of silence."""
    size = draw(st.integers(0, 30))
    columns = [draw(st.lists(of, min_size=size, max_size=size)) for of in (GAPS, LENGTHS)]
    delays = [draw(st.lists(DELAYS, min_size=size, max_size=size)) for _ in range(3)]
    arrival = np.cumsum(np.array(columns[0], np.int64))
    return Calls(arrival, *(np.array(c, np.int64) for c in (columns[1], *delays)))


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
    replicas, peak, boot_at, up_at, cached_at, used_at = np.zeros((6, size), np.int64)
    if off:
        boot_at[:] = cached_at[:] = NEVER
    room, order = np.array(rooms, np.int64), np.arange(size)
    return Nodes(room, replicas, peak, boot_at, up_at, cached_at, used_at, order)


COLUMNS = ("replicas", "boot_at", "up_at", "cached_at", "used_at")
Played = tuple[list[tuple[int, ...]], int, int, list[list[int]]]


def by_kernel(
    kernel: Pool,
    asked: Calls,
    capacity: list[tuple[int, list[int]]],
    cuts: list[int],
    horizon: int,
    off: bool,
) -> Played:
    """Play in windows that end at the cuts and where the capacity changes."""
    rooms = dict(capacity)
    edges = sorted({0, horizon, *(c for c in (*cuts, *rooms) if c < horizon)})
    nodes = as_nodes(rooms[0], off)
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
    return rows, allocated, active, [getattr(nodes, n).tolist() for n in COLUMNS]


def twin_nodes(rooms: list[int], off: bool) -> list[TwinNode]:
    """Return the same nodes for a twin."""
    at = NEVER if off else 0
    return [TwinNode(room, boot_at=at, cached_at=at) for room in rooms]


def played(twin: TwinKeepAlive | TwinAutoscaled, asked: Calls) -> Played:
    """Play in one go, process by process."""
    twin.play()
    arrival = asked.arrival.tolist()
    rows = [(arrival[r], begin, end, int(outcome)) for r, begin, end, outcome in twin.rows]
    names = ("count", *COLUMNS[1:])
    return rows, twin.allocated, twin.active, [[getattr(n, f) for n in twin.nodes] for f in names]


def horizon_of(asked: Calls, share: float) -> int:
    """Return an end of the simulated time, some way through the requests or behind them."""
    last = int(asked.arrival[-1]) if len(asked.arrival) else 0
    return int(last * share) + 7


CUTS = st.lists(st.one_of(st.integers(1, 12), st.integers(1, 2**32)), max_size=6)
SHARES = st.sampled_from([0.5, 1.0, 1.3])


@settings(max_examples=400, deadline=None)
@given(patterns(), pools(), capacities(), st.booleans(), SHARES, CUTS)
def test_keep_alive_pool_is_its_twin(asked, pool, capacity, off, share, cuts) -> None:
    """The kernel would give other replicas, waits or hours than plain SimPy, whole or in chunks."""
    horizon = horizon_of(asked, share)
    capacity = [c for c in capacity if c[0] < horizon]
    whole = by_kernel(KeepAlivePool(pool), asked, capacity, [], horizon, off)
    nodes = twin_nodes(capacity[0][1], off)
    assert whole == played(TwinKeepAlive(pool, asked, nodes, capacity[1:], horizon), asked)
    cuts = [*cuts, *(c for c in asked.arrival[::3].tolist() if c > 0)]
    assert by_kernel(KeepAlivePool(pool), asked, capacity, cuts, horizon, off) == whole


@st.composite
def scalers(draw: st.DrawFn) -> Autoscaler:
    """Draw parameters of an autoscaler, among them intervals as short as the requests' ties."""
    tick = draw(st.sampled_from([2, 3, 2 * TICKS_PER_S, 15 * TICKS_PER_S]))
    exposed = draw(st.booleans())
    return Autoscaler(
        tick_interval=tick,
        stable_window=draw(st.sampled_from([1, 4, 30])) * tick,
        panic_window=tick,
        panic_threshold=draw(st.sampled_from([1100, 2000, 10000])),
        target=draw(st.sampled_from([300, 700, 1000, 2100])),
        container_concurrency=draw(st.sampled_from([1, 1, 3])),
        initial_scale=draw(st.sampled_from([0, 1, 2])),
        min_scale=draw(st.sampled_from([0, 0, 1])),
        max_scale=draw(st.sampled_from([1, 3, NEVER])),
        max_scale_up_rate=draw(st.sampled_from([1500, 1000_000])),
        max_scale_down_rate=draw(st.sampled_from([1500, 2000])),
        scale_to_zero=draw(st.sampled_from([0, tick, 4 * tick])),
        timeout=draw(st.sampled_from([0, 1, tick, 9 * tick + 1, NEVER])),
        queue=draw(st.sampled_from([0, 1, NEVER, NEVER])),
        exposed=exposed,
    )


def _busy_time(asked: Calls, scaler: Autoscaler, silence: int) -> Calls:
    """Return the same requests with gaps and lengths of at most so many looks, or ten years."""
    most = 60 * scaler.tick_interval
    gaps = np.diff(asked.arrival, prepend=0)
    gaps = np.where(gaps == TEN_YEARS, silence, np.minimum(gaps, most))
    return asked._replace(arrival=np.cumsum(gaps), service=np.minimum(asked.service, most))


@settings(max_examples=400, deadline=None)
@given(patterns(), scalers(), capacities(), st.booleans(), SHARES, CUTS, st.integers(0, 2**31))
def test_autoscaler_is_its_twin(asked, scaler, capacity, off, share, cuts, seed) -> None:
    """The kernel would scale, wait or count otherwise than plain SimPy, whole or in chunks."""
    sleeps = scaler.min_scale == 0 and not scaler.exposed and scaler.timeout < NEVER
    asked = _busy_time(asked, scaler, TEN_YEARS if sleeps else 40 * scaler.tick_interval)
    horizon = min(horizon_of(asked, share), int(asked.arrival.max(initial=0)) + 7)
    capacity = [(t, r) for t, r in capacity if t < horizon]
    random = np.random.default_rng(seed)
    drawn = [random.integers(0, looks * scaler.tick_interval, 5000) for looks in (1, 5, 20)]
    starts = Starts._make(drawn)

    def draw_starts(number: int) -> Starts:
        return Starts._make(column[number : number + 2] for column in drawn)

    def by_pool(cuts: list[int]) -> Played:
        pool = AutoscaledPool(scaler, draw_starts)
        return by_kernel(pool, asked, capacity, cuts, horizon, off)

    whole = by_pool([])
    nodes = twin_nodes(capacity[0][1], off)
    twin = TwinAutoscaled(scaler, asked, starts, nodes, capacity[1:], horizon, sleeps)
    assert whole == played(twin, asked)
    assert by_pool([*cuts, *(c for c in asked.arrival[::3].tolist() if c > 0)]) == whole
