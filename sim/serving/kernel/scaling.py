"""How many replicas an autoscaler wants: Knative's for functions, Kubernetes' for exposed services.

Both look at whole intervals. All arithmetic is on integers (shares in thousandths), so that a
decision does not depend on rounding.
"""

from __future__ import annotations

from typing import NamedTuple

from sim.serving.kernel.compiled import compiled
from sim.serving.kernel.state import (
    ACTIVE_SINCE,
    BUCKET,
    COMPUTING_OF,
    DOWN_RATE,
    EXPOSED,
    IDLE_SINCE,
    LIVING,
    LOAD,
    LOAD_SINCE,
    LOOKS_BACK,
    MAX_SCALE,
    MIN_SCALE,
    MODE,
    PANIC,
    PANIC_LOOKS,
    PANIC_REPLICAS,
    PANIC_SINCE,
    PANIC_THRESHOLD,
    STABLE,
    TARGET,
    TICK,
    TO_ZERO,
    UP_RATE,
    WAITING,
    WORKING,
    Cluster,
)
from sim.ticks import NEVER, TICKS_PER_S

MILLI = 1000


class Autoscaler(NamedTuple):
    """Parameters of an autoscaler; names and defaults are Knative's, times in ticks.

    Args:
        tick_interval: Time between two looks.
        stable_window: What the load is averaged over; a multiple of `tick_interval`.
        panic_window: The same while it rises fast: 10 % of the stable window.
        panic_threshold: Load of the panic window over what ready replicas can take, from which on
            nothing is scaled down, thousandths.
        target: Calls a replica should have at once, thousandths: 70 % of its concurrency.
        container_concurrency: Calls a replica takes at once; OSCAR sets 1.
        initial_scale: Replicas when the application is first hosted.
        min_scale: Least replicas.
        max_scale: Most replicas.
        max_scale_up_rate: Most replicas wanted over those ready, thousandths.
        max_scale_down_rate: Most ready replicas over those wanted, thousandths.
        scale_to_zero: How long nothing is wanted before the last replica goes: the longer of
            Knative's grace period (30 s) and pod retention period (0 s).
        timeout: How long a request waits.
        queue: How many may wait.
        exposed: Whether the horizontal pod autoscaler of Kubernetes decides, by the share of
            replicas that compute: `target` is then that share (80 %), and less is wanted only when
            it has been for a whole `stable_window` (stabilisation, 300 s).

    Source: Knative Serving 1.15, `config-autoscaler` and `pkg/autoscaler/scaling/autoscaler.go`;
    Kubernetes, horizontal pod autoscaling (15 s, tolerance 10 %, up to the larger of twice and four
    more at a time).
    """

    tick_interval: int = 2 * TICKS_PER_S
    stable_window: int = 60 * TICKS_PER_S
    panic_window: int = 6 * TICKS_PER_S
    panic_threshold: int = 2000
    target: int = 700
    container_concurrency: int = 1
    initial_scale: int = 1
    min_scale: int = 0
    max_scale: int = NEVER
    max_scale_up_rate: int = 1000 * MILLI
    max_scale_down_rate: int = 2 * MILLI
    scale_to_zero: int = 30 * TICKS_PER_S
    timeout: int = 300 * TICKS_PER_S
    queue: int = NEVER
    exposed: bool = False


EXPOSED_SERVICE = Autoscaler(
    tick_interval=15 * TICKS_PER_S,
    stable_window=300 * TICKS_PER_S,
    target=800,
    min_scale=1,
    max_scale=10,
    exposed=True,
)
TOLERANCE = 100  # thousandths; Kubernetes
UP_TO_TIMES, UP_TO_MORE = 2, 4  # per look; Kubernetes


@compiled
def add_load(cluster: Cluster, app: int, now: int) -> None:
    """Sum up the load of this interval to now; call before it changes."""
    mine = cluster.apps[app]
    exposed = cluster.terms[app, MODE] == EXPOSED
    load = mine[WORKING] if exposed else mine[WAITING] + mine[COMPUTING_OF]
    mine[LOAD] += load * (now - mine[LOAD_SINCE])
    mine[LOAD_SINCE] = now


@compiled
def at_rest(cluster: Cluster, app: int) -> bool:
    """Return whether the autoscaler would find nothing to do until the next request."""
    mine, terms = cluster.apps[app], cluster.terms[app]
    return (
        mine[LIVING] == 0
        and mine[WAITING] + mine[COMPUTING_OF] == 0
        and mine[STABLE] == 0
        and mine[LOAD] == 0
        and mine[PANIC_SINCE] < 0
        and terms[MIN_SCALE] == 0
        and terms[MODE] != EXPOSED
    )


@compiled
def wanted(cluster: Cluster, app: int, now: int, ready: int) -> int:
    """Return how many replicas are wanted, at the end of an interval.

    Args:
        cluster: The cluster.
        app: The application.
        now: The end of the interval, ticks.
        ready: Living replicas that are ready.
    """
    add_load(cluster, app, now)
    mine, terms = cluster.apps[app], cluster.terms[app]
    load = mine[LOAD]
    mine[LOAD] = 0
    if terms[MODE] == EXPOSED:
        replicas = max(_by_computing(cluster, app, load, ready), 1)
    else:
        replicas = _by_concurrency(cluster, app, load, now, ready)
    return min(max(replicas, terms[MIN_SCALE]), terms[MAX_SCALE])


@compiled
def _by_concurrency(cluster: Cluster, app: int, load: int, now: int, ready: int) -> int:
    mine, terms = cluster.apps[app], cluster.terms[app]
    tick = terms[TICK]
    window, panic_window = tick * terms[LOOKS_BACK], tick * terms[PANIC_LOOKS]
    if mine[STABLE] == 0 and load > 0:
        mine[ACTIVE_SINCE] = now - tick
    _roll(cluster, app, load)
    stable = panic = 0
    if mine[STABLE] > 0:
        known = now - mine[ACTIVE_SINCE]
        stable = _rounded_up(MILLI * mine[STABLE], min(known, window) * terms[TARGET])
        panic = _rounded_up(MILLI * mine[PANIC], min(known, panic_window) * terms[TARGET])
    some = max(ready, 1)
    most = _rounded_up(terms[UP_RATE] * some, MILLI)
    least = some * MILLI // terms[DOWN_RATE]
    replicas = min(max(stable, least), most)
    if MILLI * panic >= terms[PANIC_THRESHOLD] * some:
        mine[PANIC_SINCE] = now
    elif mine[PANIC_SINCE] >= 0 and mine[PANIC_SINCE] + window < now:
        mine[PANIC_SINCE], mine[PANIC_REPLICAS] = -1, 0
    if mine[PANIC_SINCE] >= 0:
        replicas = max(replicas, min(max(panic, least), most), mine[PANIC_REPLICAS])
        mine[PANIC_REPLICAS] = replicas
    return _not_yet_zero(cluster, app, now, replicas)


@compiled
def _roll(cluster: Cluster, app: int, load: int) -> None:
    """Put the load of the last interval into the ring and both sums."""
    mine, buckets = cluster.apps[app], cluster.buckets[app]
    size, here = cluster.terms[app, LOOKS_BACK], mine[BUCKET]
    before = here - cluster.terms[app, PANIC_LOOKS]
    mine[PANIC] += load - buckets[before if before >= 0 else before + size]
    mine[STABLE] += load - buckets[here]
    buckets[here] = load
    mine[BUCKET] = here + 1 if here + 1 < size else 0


@compiled
def _not_yet_zero(cluster: Cluster, app: int, now: int, replicas: int) -> int:
    """Return the same, or one while somebody is there or the grace period lasts."""
    mine = cluster.apps[app]
    if replicas > 0 or mine[WAITING] + mine[COMPUTING_OF] > 0:
        mine[IDLE_SINCE] = -1
        return max(replicas, 1)
    if mine[LIVING] > 0:
        if mine[IDLE_SINCE] < 0:
            mine[IDLE_SINCE] = now
        if now - mine[IDLE_SINCE] < cluster.terms[app, TO_ZERO]:
            return 1
    mine[IDLE_SINCE] = -1
    return 0


@compiled
def _by_computing(cluster: Cluster, app: int, load: int, ready: int) -> int:
    mine, terms, buckets = cluster.apps[app], cluster.terms[app], cluster.buckets[app]
    living, tick = mine[LIVING], terms[TICK]
    replicas = living
    if ready > 0:
        share = MILLI * load // (ready * tick)
        if abs(share - terms[TARGET]) * MILLI > TOLERANCE * terms[TARGET]:
            replicas = _rounded_up(MILLI * load, tick * terms[TARGET])
    replicas = min(replicas, max(UP_TO_TIMES * living, living + UP_TO_MORE))
    here = mine[BUCKET]
    buckets[here] = replicas
    mine[BUCKET] = here + 1 if here + 1 < terms[LOOKS_BACK] else 0
    for look in range(terms[LOOKS_BACK]):
        replicas = max(replicas, buckets[look])
    return replicas


@compiled
def _rounded_up(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
