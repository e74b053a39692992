"""Users who learn to release what they do not need."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sim.errors import ConfigError
from sim.ranges import Fraction


@dataclass(frozen=True)
class PromptnessRamp:
    """Between two days the probability to release promptly rises evenly, and then stays.

    Whether a deployment is released promptly is decided by the day on which its work was asked for
    (assumed). Nobody unlearns: where users are as prompt already, nothing changes.

    Args:
        prompt_frac: Probability that a user releases promptly once all have learnt.
        begins: Day from which on users learn, UTC.
        ends: Day on which they have learnt, UTC; after `begins`.
    """

    prompt_frac: Fraction
    begins: date
    ends: date

    def __post_init__(self) -> None:
        """Refuse a ramp that ends before it begins."""
        if self.ends <= self.begins:
            raise ConfigError(
                "learning would end before it begins",
                "policy.education.ends",
                f"a day after {self.begins}",
                str(self.ends),
            )

    def forget_frac(self, day: date, forget_frac: float) -> float:
        """Return the probability to forget: what is left of it on that day."""
        learnt = (day - self.begins) / (self.ends - self.begins)
        excess = forget_frac - (1.0 - self.prompt_frac)
        return forget_frac - min(max(learnt, 0.0), 1.0) * max(excess, 0.0)
