"""Jobs that end with their script instead of deployments that somebody has to release."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sim.policies.base import NO_TERMS, RequestView, Terms
from sim.policies.gpu_quota import GpuQuota
from sim.ranges import Fraction, NonNegative


@dataclass(frozen=True)
class BatchMode:
    """From a day on, a share of the work with GPUs runs as jobs that end when their script ends.

    Its user looks at results in the pauses, without a GPU, and asks for the next job when work goes
    on: it queues each time. Nobody works in a job's deployment but the job (assumed).

    Args:
        batch_frac: Probability that work can run as batch jobs.
        phases: Names of the phases in which it does; none for all of them.
        pause_h: Up to how long a pause is the script's own (evaluation, reading data), h.
        setup_h: What the next job needs before work goes on, h.
        from_day: First day, UTC.
        quota: GPUs that a user may hold at once; None for no limit.
    """

    batch_frac: Fraction
    phases: tuple[str, ...]
    pause_h: NonNegative
    setup_h: NonNegative
    from_day: date
    quota: GpuQuota | None

    def admits(self, request: RequestView) -> Terms | None:
        """Return the terms of a batch job, unless the quota lets the request wait."""
        if self.quota is not None and self.quota.admits(request) is None:
            return None
        chosen = request.gpus > 0 and request.batch_draw < self.batch_frac
        if not chosen or request.day < self.from_day or not self._in_phase(request.phase):
            return NO_TERMS
        return Terms(pause_h=self.pause_h, setup_h=self.setup_h)

    def _in_phase(self, phase: str) -> bool:
        return not self.phases or phase in self.phases
