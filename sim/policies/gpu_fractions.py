"""Work that does not need a whole GPU gets a part of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from math import isfinite

from sim.errors import ConfigError
from sim.policies.base import RequestView, Share
from sim.ranges import Fraction

_PARTS = (2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class GpuFractions:
    """From a day on, some requests for one GPU get a part of it, where computing takes longer.

    Time slicing works on any GPU and isolates nobody: how much longer computing takes depends on
    what the neighbours do, between 1 (they pause) and `parts` (all compute) times as long. The
    parts that MIG cuts are isolated and slow work down less that does not fill a GPU, but need an
    A100 or newer. The cores and the memory asked for stay: loading data is not shared (assumed),
    so that a node's cores may run out before its GPUs do.

    Args:
        parts: How many share a GPU, a power of two from 2 to 64.
        share_frac: Probability that the work of such a request could run on a part of a GPU.
        phases: Only requests made in one of these phases of a use case; none: in any phase.
        slowdown: How many times as long computing takes, at least 1; pauses stay.
        from_day: First day, UTC; what was asked for before it is not shared.
    """

    parts: int
    share_frac: Fraction
    phases: tuple[str, ...]
    slowdown: float
    from_day: date

    def __post_init__(self) -> None:
        """Refuse parts that do not add up, and a part that computes faster than the whole."""
        if self.parts not in _PARTS:
            raise ConfigError(
                "impossible parts of a GPU",
                "policy.sharing.parts",
                "a power of two from 2 to 64, so that parts add up exactly",
                self.parts,
            )
        if not (isfinite(self.slowdown) and self.slowdown >= 1.0):
            raise ConfigError(
                "impossible slowdown", "policy.sharing.slowdown", "at least 1", self.slowdown
            )

    def share(self, request: RequestView) -> Share | None:
        """Return a part of a GPU for work that can run on one."""
        asked_now = request.day >= self.from_day
        meant = request.gpus == 1 and (not self.phases or request.phase in self.phases)
        if asked_now and meant and request.share_draw < self.share_frac:
            return Share(1.0 / self.parts, self.slowdown)
        return None
