"""No release but the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from math import inf

from sim.policies.base import IdleRelease, IdleView, Inert


@dataclass(frozen=True)
class NeverRelease(Inert):
    """Idle deployments stay until their users release them."""

    @property
    def from_day(self) -> date:
        """Return the last day there is: never."""
        return date.max

    @property
    def shortest_h(self) -> float:
        """No stretch is ever acted on."""
        return inf

    def release(self, idle: IdleView) -> IdleRelease | None:
        """Return None."""
        return None
