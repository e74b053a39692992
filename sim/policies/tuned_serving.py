"""Applications that scale otherwise than the federation says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from sim.applications import Application, ApplicationKind
from sim.errors import ConfigError
from sim.ranges import AtLeastOne, Count, NonNegative


@dataclass(frozen=True)
class TunedServing:
    """From a day on, applications scale by other numbers; None leaves one as it is.

    What runs or waits on that day stays: replicas that are too many leave as they always do,
    missing ones are started. Where `min_scale` and `max_scale` cross, the maximum wins.

    Args:
        min_scale: Replicas that are always there (not of `async` applications).
        max_scale: Most replicas; of `async` applications jobs at a time.
        keep_s: How long the last replica of a `sync` application stays when nothing is wanted, s
            (Knative's `scale_to_zero_pod_retention_period_s`; at least the grace period counts);
            how long an idle one of a `keep_alive` application does, s.
        concurrency: Requests that a replica of a `sync` or `exposed` application computes at once.
        exposed: Whether `sync` applications become always-on services that Kubernetes scales
            (kind `exposed`); the autoscaler then begins anew.
        from_day: First day, UTC.
    """

    min_scale: Count | None
    max_scale: AtLeastOne | None
    keep_s: NonNegative | None
    concurrency: AtLeastOne | None
    exposed: bool
    from_day: date

    def __post_init__(self) -> None:
        """Refuse limits that cross."""
        least, most = self.min_scale, self.max_scale
        if least is not None and most is not None and least > most:
            raise ConfigError(
                "less than the least", "policy.serving.max_scale", f"{least} or more", most
            )

    def settings(self, application: Application) -> Application:
        """Return the application with the numbers that are given."""
        knative, autoscaler = application.knative, application.autoscaler
        keep_alive, kind = application.keep_alive, application.kind
        if self.keep_s is not None:
            knative = replace(knative, scale_to_zero_pod_retention_period_s=self.keep_s)
            keep_alive = replace(keep_alive, idle_window_s=self.keep_s)
        if self.concurrency is not None:
            knative = replace(knative, container_concurrency=self.concurrency)
            autoscaler = replace(autoscaler, container_concurrency=self.concurrency)
        if self.exposed and kind is ApplicationKind.SYNC:
            kind = ApplicationKind.EXPOSED
        return replace(
            application,
            kind=kind,
            min_scale=application.min_scale if self.min_scale is None else self.min_scale,
            max_scale=application.max_scale if self.max_scale is None else self.max_scale,
            knative=knative,
            autoscaler=autoscaler,
            keep_alive=keep_alive,
        )
