"""GPUs that are seen as idle for too long are released."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sim.errors import ConfigError
from sim.policies.base import IdleRelease, IdleView
from sim.ranges import AtLeastOne, Fraction, NonNegative


@dataclass(frozen=True)
class AutoRelease:
    """From a day on, a deployment with GPUs is released after `idle_h` of measured idleness.

    Each burst, pause and tail is judged by itself, as a whole, and users react alike whether or not
    work is left (both assumed). Who is exempt, what the detector sees and how users react are
    thresholds on uniforms of the plan.

    Args:
        idle_h: Measured idleness until the release, h; at least 0.1. Idleness before `from_day` is
            not measured.
        warning_h: How long before it the user is warned, h; less than `idle_h`, 0 means no
            warning.
        grace_h: For how long from its start a deployment is never released, h.
        exempt_frac: Probability that a user is exempt.
        missed_frac: Probability that an idle stretch is seen as computing (false negative).
        mistaken_frac: Probability that a burst is seen as idle (false positive): one that lasts
            long enough is lost and run again.
        releases_frac: Probability that a warned user who does not compute releases at once.
        keeps_frac: Probability that a warned user makes sure that the deployment is kept for as
            long as the stretch lasts. With `releases_frac` at most 1.
        games_frac: Probability that a user who was interrupted `games_after` times keeps the
            detector busy from then on (keep-alive scripts): his idle stretches are seen as
            computing.
        games_after: Interruptions until then; releases that follow a warning of his own do not
            count.
        setup_h: Time that is lost in the next deployment before work goes on, h.
        from_day: First day, UTC.
    """

    idle_h: float
    warning_h: NonNegative
    grace_h: NonNegative
    exempt_frac: Fraction
    missed_frac: Fraction
    mistaken_frac: Fraction
    releases_frac: Fraction
    keeps_frac: Fraction
    games_frac: Fraction
    games_after: AtLeastOne
    setup_h: NonNegative
    from_day: date

    def __post_init__(self) -> None:
        """Refuse what no operator could announce."""
        for name, holds, expected in (
            ("idle_h", self.idle_h >= 0.1, "at least 0.1 h"),
            ("warning_h", self.warning_h < self.idle_h, f"less than idle_h, {self.idle_h} h"),
            (
                "keeps_frac",
                self.releases_frac + self.keeps_frac <= 1.0,
                f"at most 1 with releases_frac, {self.releases_frac}",
            ),
        ):
            if not holds:
                raise ConfigError(
                    "impossible auto-release", f"policy.idle.{name}", expected, getattr(self, name)
                )

    @property
    def shortest_h(self) -> float:
        """A warned user releases `warning_h` before the policy does, nobody sooner."""
        return self.idle_h - self.warning_h

    def release(self, idle: IdleView) -> IdleRelease | None:
        """Return when the measured idleness is reached, or the warning that a user follows."""
        if idle.gpus == 0 or idle.exempt_draw < self.exempt_frac:
            return None
        if idle.interruptions >= self.games_after and idle.games_draw < self.games_frac:
            return None
        wrong = idle.detector_draw < (self.mistaken_frac if idle.computing else self.missed_frac)
        if wrong != idle.computing:
            return None
        since_h = max((self.from_day - idle.day).days * 24.0 - idle.hour, 0.0)
        after_h = max(since_h + self.idle_h, self.grace_h - idle.held_h)
        if self.warning_h and idle.reaction_draw < self.keeps_frac:
            return None
        follows = idle.reaction_draw < self.keeps_frac + self.releases_frac
        if self.warning_h and follows and not idle.computing:
            return IdleRelease(after_h - self.warning_h, True, self.setup_h)
        return IdleRelease(after_h, False, self.setup_h)
