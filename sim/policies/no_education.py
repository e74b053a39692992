"""Users as they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sim.policies.base import Inert


@dataclass(frozen=True)
class NoEducation(Inert):
    """Users forget as often as ever."""

    def forget_frac(self, day: date, forget_frac: float) -> float:
        """Return the probability as it is."""
        return forget_frac
