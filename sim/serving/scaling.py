"""How many replicas an autoscaler wants: Knative's for functions, Kubernetes' for exposed services.

Both look at whole intervals. All arithmetic is on integers (shares in thousandths), so that a
decision does not depend on rounding.
"""

from __future__ import annotations

from typing import NamedTuple

from sim.serving.compiled import compiled
from sim.serving.scaled_state import (
    ACTIVE_SINCE,
    BUCKET,
    IDLE_SINCE,
    LIVING,
    LOAD,
    LOAD_SINCE,
    PANIC,
    PANIC_REPLICAS,
    PANIC_SINCE,
    STABLE,
    WORKING,
    ScaledState,
)
from sim.serving.state import BUSY, WAITING
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


EXPOSED = Autoscaler(
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
def add_load(state: ScaledState, scaler: Autoscaler, now: int) -> None:
    """Sum up the load of this interval to now; call before it changes."""
    scaling, counters = state.scaling, state.counters
    load = scaling[WORKING] if scaler.exposed else counters[WAITING] + counters[BUSY]
    scaling[LOAD] += load * (now - scaling[LOAD_SINCE])
    scaling[LOAD_SINCE] = now


@compiled
def wanted(state: ScaledState, scaler: Autoscaler, now: int, ready: int) -> int:
    """Return how many replicas are wanted, at the end of an interval.

    Args:
        state: The application.
        scaler: Parameters.
        now: The end of the interval, ticks.
        ready: Living replicas that are ready.
    """
    add_load(state, scaler, now)
    load = state.scaling[LOAD]
    state.scaling[LOAD] = 0
    if scaler.exposed:
        replicas = max(_by_computing(state, scaler, load, ready), 1)
    else:
        replicas = _by_concurrency(state, scaler, load, now, ready)
    return min(max(replicas, scaler.min_scale), scaler.max_scale)


@compiled
def _by_concurrency(state: ScaledState, scaler: Autoscaler, load: int, now: int, ready: int) -> int:
    scaling = state.scaling
    if scaling[STABLE] == 0 and load > 0:
        scaling[ACTIVE_SINCE] = now - scaler.tick_interval
    _roll(state, scaler, load)
    stable = panic = 0
    if scaling[STABLE] > 0:
        known = now - scaling[ACTIVE_SINCE]
        stable = _rounded_up(
            MILLI * scaling[STABLE], min(known, scaler.stable_window) * scaler.target
        )
        panic = _rounded_up(MILLI * scaling[PANIC], min(known, scaler.panic_window) * scaler.target)
    some = max(ready, 1)
    most = _rounded_up(scaler.max_scale_up_rate * some, MILLI)
    least = some * MILLI // scaler.max_scale_down_rate
    replicas = min(max(stable, least), most)
    if MILLI * panic >= scaler.panic_threshold * some:
        scaling[PANIC_SINCE] = now
    elif scaling[PANIC_SINCE] >= 0 and scaling[PANIC_SINCE] + scaler.stable_window < now:
        scaling[PANIC_SINCE], scaling[PANIC_REPLICAS] = -1, 0
    if scaling[PANIC_SINCE] >= 0:
        replicas = max(replicas, min(max(panic, least), most), scaling[PANIC_REPLICAS])
        scaling[PANIC_REPLICAS] = replicas
    return _not_yet_zero(state, scaler, now, replicas)


@compiled
def _roll(state: ScaledState, scaler: Autoscaler, load: int) -> None:
    """Put the load of the last interval into the ring and both sums."""
    scaling, buckets = state.scaling, state.buckets
    size, here = len(buckets), scaling[BUCKET]
    before = here - scaler.panic_window // scaler.tick_interval
    scaling[PANIC] += load - buckets[before if before >= 0 else before + size]
    scaling[STABLE] += load - buckets[here]
    buckets[here] = load
    scaling[BUCKET] = here + 1 if here + 1 < size else 0


@compiled
def _not_yet_zero(state: ScaledState, scaler: Autoscaler, now: int, replicas: int) -> int:
    """Return the same, or one while somebody is there or the grace period lasts."""
    scaling, counters = state.scaling, state.counters
    if replicas > 0 or counters[WAITING] + counters[BUSY] > 0:
        scaling[IDLE_SINCE] = -1
        return max(replicas, 1)
    if scaling[LIVING] == 0:
        return 0
    if scaling[IDLE_SINCE] < 0:
        scaling[IDLE_SINCE] = now
    return 1 if now - scaling[IDLE_SINCE] < scaler.scale_to_zero else 0


@compiled
def _by_computing(state: ScaledState, scaler: Autoscaler, load: int, ready: int) -> int:
    living = state.scaling[LIVING]
    replicas = living
    if ready > 0:
        share = MILLI * load // (ready * scaler.tick_interval)
        if abs(share - scaler.target) * MILLI > TOLERANCE * scaler.target:
            replicas = _rounded_up(MILLI * load, scaler.tick_interval * scaler.target)
    replicas = min(replicas, max(UP_TO_TIMES * living, living + UP_TO_MORE))
    here = state.scaling[BUCKET]
    state.buckets[here] = replicas
    state.scaling[BUCKET] = here + 1 if here + 1 < len(state.buckets) else 0
    for recent in state.buckets:
        replicas = max(replicas, recent)
    return replicas


@compiled
def _rounded_up(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
