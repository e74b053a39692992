"""Deployments that end after a while, whatever their users do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sim.errors import ConfigError
from sim.policies.base import NO_TERMS, RequestView, Terms
from sim.policies.gpu_quota import GpuQuota
from sim.ranges import NonNegative


@dataclass(frozen=True)
class MaximumLifetime:
    """From a day on, a deployment is held for `lifetime_h` at most; what is left asks again.

    What started before that day was admitted without terms and keeps them (assumed). Who goes back
    to a held deployment does not lengthen its life.

    Args:
        lifetime_h: The longest that a deployment is held, h; at least 1.
        setup_h: What the user needs in the next deployment before work that was left goes on, h.
        gpus_only: Whether deployments without GPUs are left alone.
        from_day: First day, UTC.
        quota: GPUs that a user may hold at once; None for no limit.
    """

    lifetime_h: float
    setup_h: NonNegative
    gpus_only: bool
    from_day: date
    quota: GpuQuota | None

    def __post_init__(self) -> None:
        """Refuse a lifetime in which nobody could work."""
        for name, holds, expected in (
            ("lifetime_h", self.lifetime_h >= 1.0, "at least 1 h"),
            ("setup_h", self.setup_h < self.lifetime_h, f"less than lifetime_h, {self.lifetime_h}"),
        ):
            if not holds:
                raise ConfigError(
                    "impossible lifetime", f"policy.admission.{name}", expected, getattr(self, name)
                )

    def admits(self, request: RequestView) -> Terms | None:
        """Return a lifetime, unless the quota lets the request wait."""
        if self.quota is not None and self.quota.admits(request) is None:
            return None
        if request.day < self.from_day or (self.gpus_only and request.gpus == 0):
            return NO_TERMS
        return Terms(lifetime_h=self.lifetime_h, setup_h=self.setup_h)
