"""A limit on the GPUs a user holds at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sim.errors import ConfigError
from sim.policies.base import NO_TERMS, RequestView, Terms
from sim.ranges import AtLeastOne


@dataclass(frozen=True)
class GpuQuota:
    """From a day on, nobody may hold more than so many GPUs.

    Who holds more on that day keeps them; requests without GPUs are never held back.

    Args:
        gpus_per_user: The quota, a whole number of GPUs, at least 1.
        since: First day on which the quota applies, UTC.
    """

    gpus_per_user: AtLeastOne  # says where a quota inside another policy is impossible
    since: date

    def __post_init__(self) -> None:
        """Refuse a quota that would lock everybody out for ever."""
        if self.gpus_per_user < 1:
            raise ConfigError(
                "impossible quota",
                "policy.admission.gpus_per_user",
                "at least 1 GPU",
                self.gpus_per_user,
            )

    def admits(self, request: RequestView) -> Terms | None:
        """Return no terms if the user stays within the quota."""
        if request.gpus == 0 or request.day < self.since:
            return NO_TERMS
        return NO_TERMS if request.gpus_held + request.gpus <= self.gpus_per_user else None
