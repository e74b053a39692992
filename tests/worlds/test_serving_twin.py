"""The compiled cluster against its SimPy twin: identical to the last bit, however it is cut."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.twin.applications import TwinTenant
from benchmarks.twin.cluster import Change, TwinCluster
from benchmarks.twin.nodes import TwinNode
from sim.plan.calls import Calls
from sim.serving.cluster import ServingCluster, Tenant
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.kernel.scaling import Autoscaler
from sim.ticks import NEVER, TICKS_PER_S
from tests.serving_by_hand import Given, in_turn

TEN_YEARS = 10 * 366 * 86400 * TICKS_PER_S
LEAST = np.array([1, 0, 0, 0])  # of a service, a start, a pull, a boot
Node = tuple[int, int, bool, int]  # cores, MB, whether it is on, how long it is empty


@dataclass(frozen=True)
class World:
    """Applications, nodes and what happens to them; drawn."""

    tenants: list[TwinTenant]
    nodes: list[Node]
    changes: list[Change]
    horizon: int
    sleeps: bool
    cuts: list[int]
    cuts_seed: int
    starts_ahead: int


@st.composite
def patterns(draw: st.DrawFn, unit: int, gaps: st.SearchStrategy[int], fails: list[int]) -> Calls:
    """Draw requests: none, one, ties, bursts, long silence."""
    groups = draw(st.lists(st.tuples(gaps, st.sampled_from([1, 1, 1, 2, 5, 40])), max_size=7))
    arrival = np.repeat(np.cumsum([gap for gap, _ in groups]), [count for _, count in groups])
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    most = [draw(st.sampled_from([1, 3, 5 * unit, 60 * unit])) for _ in LEAST]
    drawn = random.integers(0, most, (len(arrival), len(LEAST))) + LEAST
    return Calls(
        arrival.astype(np.int64), *np.ascontiguousarray(drawn.T), random.choice(fails, len(arrival))
    )


@st.composite
def pools(draw: st.DrawFn, unit: int, jobs: bool = False) -> KeepAlive:
    """Draw parameters of keep-alive, or of jobs that load their model each time."""
    windows = [0] if jobs else [0, 1, 5, 30 * unit, 90 * unit, NEVER]
    return KeepAlive(
        idle_window=draw(st.sampled_from(windows)),
        min_scale=0 if jobs else draw(st.sampled_from([0, 0, 1, 2])),
        max_scale=draw(st.sampled_from([0, 1, 2, 5, NEVER, NEVER])),
        newest_first=draw(st.booleans()),
        timeout=draw(st.sampled_from([0, 5 * unit, 40 * unit, NEVER, NEVER, NEVER])),
        queue=draw(st.sampled_from([0, 2, NEVER, NEVER, NEVER])),
    )


@st.composite
def scalers(draw: st.DrawFn, unit: int, rests: bool, exposed: bool) -> Autoscaler:
    """Draw parameters of an autoscaler, among them intervals as short as the requests' ties."""
    tick = draw(st.sampled_from([2, 3, 5])) * unit
    looks = draw(st.sampled_from([1, 4, 30]))
    return Autoscaler(
        tick_interval=tick,
        stable_window=looks * tick,
        panic_window=draw(st.sampled_from([1, min(looks, 3)])) * tick,
        panic_threshold=draw(st.sampled_from([1100, 2000, 10000])),
        target=draw(st.sampled_from([300, 700, 1000, 2100])),
        container_concurrency=draw(st.sampled_from([1, 1, 3])),
        initial_scale=draw(st.sampled_from([0, 1, 2])),
        min_scale=0 if rests else draw(st.sampled_from([0, 0, 1])),
        max_scale=draw(st.sampled_from([1, 3, 9, NEVER])),
        max_scale_up_rate=draw(st.sampled_from([1500, 1000_000])),
        max_scale_down_rate=draw(st.sampled_from([1500, 2000])),
        scale_to_zero=draw(st.sampled_from([0, tick, 4 * tick])),
        timeout=draw(st.sampled_from([0, 1, 9 * tick + 1, *[50 * tick if rests else NEVER] * 3])),
        queue=draw(st.sampled_from([0, 1, NEVER, NEVER, NEVER])),
        exposed=exposed,
    )


@st.composite
def tenants(draw: st.DrawFn, kind: str, unit: int, rests: bool, failing: bool) -> TwinTenant:
    """Draw an application."""
    if kind in ("keep", "jobs"):
        policy: KeepAlive | Autoscaler = draw(pools(unit, kind == "jobs"))
    else:
        policy = draw(scalers(unit, rests, kind == "exposed"))
    silence = TEN_YEARS if rests else 300 * unit
    gaps = st.one_of(st.integers(0, 4), st.integers(0, 60 * unit), st.just(silence))
    fails = [0, 0, 1, 3, -1, -2] if failing else [0]
    seed = draw(st.integers(0, 2**32))
    starts = np.random.default_rng(seed).integers(0, [3, 4 * unit, 30 * unit], (5, 3))
    return TwinTenant(
        policy,
        cores=draw(st.sampled_from([1, 1, 2])),
        ram_mb=draw(st.sampled_from([1, 1, 3])),
        calls=draw(patterns(unit, gaps, fails)),
        starts=[tuple(row) for row in starts.tolist()],
        hosted=draw(st.sampled_from([0, 0, 1, 7 * unit])),
        backoff=draw(st.sampled_from([0, 2, 10 * unit])),
        backoff_most=36 * unit,
    )


@st.composite
def in_chains(draw: st.DrawFn, alone: list[TwinTenant]) -> list[TwinTenant]:
    """Let results of applications call others, some of them."""
    order = draw(st.permutations(range(len(alone))))
    then = {a: b for a, b in pairwise(order) if draw(st.integers(0, 2))}
    enough = len(max((t.calls.arrival for t in alone), key=len))
    return [
        TwinTenant(**{
            **vars(tenant),
            "then": then.get(number),
            "calls": _repeated(tenant.calls, enough, number in then.values()),
        })
        for number, tenant in enumerate(alone)
    ]


def _repeated(of: Calls, count: int, is_called: bool) -> Calls:
    """Return so many requests with the durations of these, or these if they are not called."""
    if not is_called:
        return of
    if len(of.arrival) == 0:
        of = Calls(*np.ones((6, 1), np.int64))._replace(fails=np.zeros(1, np.int64))
    return Calls(*(np.resize(column, count) for column in of))


@st.composite
def retunings(
    draw: st.DrawFn, unit: int, rests: bool, apps: list[TwinTenant]
) -> dict[int, KeepAlive | Autoscaler]:
    """Draw other policies of some applications, or the same with a number changed.

    Not of those that are called before they are hosted: no plan does that.
    """
    found: dict[int, KeepAlive | Autoscaler] = {}
    called = {app.then for app in apps}
    for number in draw(st.sets(st.integers(0, len(apps) - 1))):
        policy, hosted = apps[number].policy, apps[number].hosted
        first = 0 if number in called else apps[number].calls.arrival.min(initial=NEVER)
        if hosted > first:
            continue
        if draw(st.booleans()):
            few = {"min_scale": 0 if rests else draw(st.integers(0, 2))}
            found[number] = policy._replace(max_scale=draw(st.integers(1, 4)), **few)
        elif isinstance(policy, KeepAlive):
            found[number] = draw(pools(unit))
        else:
            exposed = not rests and draw(st.booleans())
            found[number] = draw(scalers(unit, rests, exposed))
    return found


@st.composite
def worlds(
    draw: st.DrawFn, kinds: list[str], most: int = 1, failing: bool = False, chains: bool = False
) -> World:
    """Draw applications on nodes."""
    unit = draw(st.sampled_from([1, TICKS_PER_S]))
    kinds = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=most))
    rests = "exposed" not in kinds and draw(st.booleans())
    apps = [draw(tenants(kind, unit, rests, failing)) for kind in kinds]
    apps = draw(in_chains(apps)) if chains else apps
    nodes = draw(st.lists(
        st.tuples(
            st.sampled_from([0, 1, 2, 4, 9, 1000]), st.sampled_from([3, 9, 1000]), st.booleans(),
            st.sampled_from([0, 5, 60 * unit, NEVER]),
        ),
        min_size=1, max_size=3,
    ))  # fmt: skip
    last = max([int(app.calls.arrival.max(initial=0)) for app in apps])
    horizon = draw(st.sampled_from([last // 2 + 7, last + 7, *[last + 120 * unit] * 2]))
    time = st.one_of(st.integers(1, 9), st.integers(1, 200 * unit), st.integers(1, horizon))
    delta = st.tuples(st.sampled_from([-2, -1, 0, 1, 3]), st.sampled_from([-3, 0, 0, 3]))
    deltas = st.lists(delta, min_size=len(nodes), max_size=len(nodes))
    boots = st.tuples(st.sampled_from([0, 5, 60 * unit, NEVER]), st.sampled_from([0, 0, 9 * unit]))
    switched = st.dictionaries(st.integers(0, len(nodes) - 1), boots)
    changes = [
        Change(t, draw(deltas), draw(switched), draw(retunings(unit, rests, apps)))
        for t in sorted(draw(st.sets(time, max_size=3)))
        if t < horizon
    ]
    return World(
        apps, nodes, changes, horizon, rests, draw(st.lists(time, max_size=5)),
        draw(st.integers(0, 2**32)), draw(st.sampled_from([1, 3, 64])),
    )  # fmt: skip


Played = tuple[list[tuple[int, ...]], list[int], list[int], int]


def by_kernel(world: World, cuts: list[int]) -> Played:
    """Play in windows that end at the cuts and where the nodes change."""
    cluster = ServingCluster(
        [
            Tenant(t.policy, t.cores, t.ram_mb, Given(t.calls), in_turn(t.starts), t.hosted,
                   t.then, t.backoff, t.backoff_most)
            for t in world.tenants
        ],
        starts_ahead=world.starts_ahead,
    )  # fmt: skip
    for cores, ram_mb, on, idle in world.nodes:
        cluster.add_nodes(1, cores, ram_mb, idle, on)
    changes = {change.time: change for change in world.changes}
    rows: list[tuple[int, ...]] = []
    allocated = active = np.zeros(len(world.tenants), np.int64)
    provisioned = 0
    for until in sorted([*(c for c in cuts if c < world.horizon), *changes, world.horizon]):
        window = cluster.play(until)
        done = window.done
        columns = (done.app, done.arrival, done.begin, done.end, done.outcome)
        rows += zip(*(column.tolist() for column in columns), strict=True)
        allocated, active = allocated + window.allocated, active + window.active
        provisioned += window.provisioned
        if change := changes.pop(until, None):
            cluster.resize(*np.array(change.rooms).T)
            for node, (idle, boot) in change.idle.items():
                cluster.shut_down_after(idle, boot, range(node, node + 1))
            for app, policy in change.policies.items():
                cluster.retune(app, policy)
    return sorted(rows), allocated.tolist(), active.tolist(), provisioned


def by_twin(world: World) -> Played:
    """Play in one go, process by process."""
    nodes = [TwinNode(cores, ram_mb, on, idle) for cores, ram_mb, on, idle in world.nodes]
    twin = TwinCluster(world.tenants, nodes, world.changes, world.horizon, world.sleeps)
    twin.play()
    return sorted(twin.rows), twin.allocated, twin.active, twin.provisioned


def assert_same(world: World) -> None:
    """Compare what kernel and twin play, and the kernel with itself in windows."""
    whole = by_kernel(world, [])
    assert whole == by_twin(world)
    events = [time for row in whole[0] for time in row[1:4] if time > 0]
    some = np.random.default_rng(world.cuts_seed).choice([*events, 1], 5).tolist()
    assert by_kernel(world, [*world.cuts, *some]) == whole


@settings(max_examples=250, deadline=None)
@given(worlds(["keep"]))
def test_keep_alive_is_its_twin(world: World) -> None:
    """The kernel would give other replicas, waits or hours than SimPy, whole or in windows."""
    assert_same(world)


@settings(max_examples=150, deadline=None)
@given(worlds(["jobs"], failing=True))
def test_jobs_that_fail_are_their_twin(world: World) -> None:
    """Jobs would be repeated too often, too early, or not at the end of the line."""
    assert_same(world)


@settings(max_examples=600, deadline=None)
@given(worlds(["knative"]))
def test_knative_is_its_twin(world: World) -> None:
    """The kernel would scale, wait or count otherwise than Knative in plain SimPy."""
    assert_same(world)


@settings(max_examples=250, deadline=None)
@given(worlds(["exposed"]))
def test_exposed_services_are_their_twin(world: World) -> None:
    """The kernel would scale by computing replicas otherwise than plain SimPy."""
    assert_same(world)


@settings(max_examples=700, deadline=None)
@given(worlds(["keep", "jobs", "knative", "exposed"], most=4, failing=True, chains=True))
def test_a_cluster_is_its_twin(world: World) -> None:
    """Applications would share nodes, or call one another, otherwise than in plain SimPy."""
    assert_same(world)
