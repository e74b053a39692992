"""Turns what a planner says of an application into the parameters of the kernel."""

from __future__ import annotations

from dataclasses import fields

from sim.applications import Application, ApplicationKind
from sim.errors import EngineError
from sim.plan.hosting import JOBS
from sim.policies.base import ServingPolicy
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.kernel.scaling import MILLI, Autoscaler
from sim.ticks import NEVER, ticks

HOW_IT_SCALES = (
    "kind", "min_scale", "max_scale", "timeout_s", "queue_most", "knative", "autoscaler",
    "keep_alive",
)  # fmt: skip


def settings_of(policy: ServingPolicy, name: str, application: Application) -> Application:
    """Return an application as a policy lets it scale.

    Raises:
        EngineError: When the policy changes anything else; what a request brings along and how
            replicas start is drawn for the kind of application, so a job cannot become a function.
    """
    said = policy.settings(application)
    other = [
        f.name
        for f in fields(application)
        if f.name not in HOW_IT_SCALES and getattr(said, f.name) != getattr(application, f.name)
    ]
    if (said.kind in JOBS) != (application.kind in JOBS):
        other.append("kind")
    if other:
        raise EngineError(
            f"a serving policy changes what {name} is", "policy.serving",
            f"other values of {', '.join(HOW_IT_SCALES)} (kind: sync or exposed, async or "
            "keep_alive), nothing else",
            ", ".join(other),
        )  # fmt: skip
    return said


def policy_of(application: Application) -> KeepAlive | Autoscaler:
    """Return how replicas of an application come and go."""
    if application.kind is ApplicationKind.SYNC:
        return _knative(application)
    if application.kind is ApplicationKind.EXPOSED:
        return _exposed(application)
    jobs = application.kind is ApplicationKind.ASYNC
    window_s = 0.0 if jobs else application.keep_alive.idle_window_s
    return KeepAlive(
        _ticks(window_s),
        0 if jobs else application.min_scale or 0,
        application.max_scale or NEVER,
        application.keep_alive.newest_first,
        _patience(application),
        _queue(application),
    )


def _knative(application: Application) -> Autoscaler:
    knative = application.knative
    tick = _ticks(knative.tick_interval_s, 1)
    looks = max(round(knative.stable_window_s / knative.tick_interval_s), 1)
    panic = max(round(looks * knative.panic_window_percentage / 100.0), 1)
    share = knative.container_concurrency_target_percentage / 100.0
    return Autoscaler(
        tick_interval=tick,
        stable_window=looks * tick,
        panic_window=panic * tick,
        panic_threshold=_milli(knative.panic_threshold_percentage / 100.0),
        target=_milli(share * knative.container_concurrency),
        container_concurrency=knative.container_concurrency,
        initial_scale=knative.initial_scale,
        min_scale=application.min_scale or 0,
        max_scale=application.max_scale or NEVER,
        max_scale_up_rate=_milli(knative.max_scale_up_rate),
        max_scale_down_rate=_milli(knative.max_scale_down_rate),
        scale_to_zero=_ticks(
            max(knative.scale_to_zero_grace_period_s, knative.scale_to_zero_pod_retention_period_s)
        ),
        timeout=_ticks(application.timeout_s or knative.revision_timeout_s),
        queue=_queue(application),
    )


def _exposed(application: Application) -> Autoscaler:
    scaler = application.autoscaler
    tick = _ticks(scaler.sync_period_s, 1)
    looks = max(round(scaler.stabilization_window_s / scaler.sync_period_s), 1)
    least = 1 if application.min_scale is None else application.min_scale
    return Autoscaler(
        tick_interval=tick,
        stable_window=looks * tick,
        panic_window=tick,
        target=_milli(scaler.cpu_threshold_percentage / 100.0),
        container_concurrency=scaler.container_concurrency,
        initial_scale=max(least, 1),
        min_scale=max(least, 1),
        max_scale=application.max_scale or 10,
        timeout=_patience(application),
        queue=_queue(application),
        exposed=True,
    )


def _patience(application: Application) -> int:
    return NEVER if application.timeout_s is None else _ticks(application.timeout_s)


def _queue(application: Application) -> int:
    return NEVER if application.queue_most is None else application.queue_most


def _ticks(seconds: float, least: int = 0) -> int:
    return int(ticks(seconds, least))


def _milli(share: float) -> int:
    return max(round(share * MILLI), 1)
