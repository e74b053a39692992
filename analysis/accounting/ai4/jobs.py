"""From watched jobs to canonical ones: when each held what, with masked hours left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from analysis.accounting.ai4.masks import Interval, Mask, left_over
from analysis.accounting.ai4.watching import HOLDING, Watch, Watched
from sim.units import US_PER_H

FEWEST_MHZ = 100.0  # a cpu_MHz below counts cores; assumed: Nomad's smallest usual share is 100 MHz
STATE_OF = {
    "complete": "completed", "dead": "cancelled", "failed": "failed", "error": "failed",
    "running": "completed", "starting": "completed", "down": "unknown", "queued": "cancelled",
}  # fmt: skip
HIDDEN_CORES = f"cpu_num is 0: a cpu_MHz below {FEWEST_MHZ:.0f} is the number of cores (old jobs)"
HIDDEN_MHZ = "cpu_num is 0: cores are cpu_MHz / mhz_per_core"
VANISHED = "jobs that a snapshot no longer shows, without alloc_end"
DEAD = "jobs that a snapshot shows as ended, without alloc_end"
ERRORS = "jobs with an error_msg, which is not kept"


class Row(NamedTuple):
    """A canonical job, times in µs since 1970 (`submit_us` of the server's clock)."""

    place: int
    job: str
    owner: str
    namespace: str
    datacenter: str
    submit_us: int | None
    start_us: int | None
    end_us: int | None
    state: str
    gpus: float
    cpus: float
    memory_mb: float


@dataclass(eq=False)
class Left:
    """What a mask left out: jobs, and hours of jobs, GPUs and cores."""

    jobs: int = 0
    job_h: float = 0.0
    gpu_h: float = 0.0
    cpu_h: float = 0.0


@dataclass(eq=False)
class Rows:
    """The rows of all jobs that were watched.

    Args:
        watch: What the snapshots showed.
        rule: Where between two snapshots a job ended that vanished; see `Watch.until`.
        mhz_per_core: MHz that make a core, for jobs that have no cores.
        masks: What is left out.
        counts: Filled with how many jobs something is to be said of.
        unsure: Filled with what the end of jobs leaves open: job-h and GPU-h.
        left: Filled with what each mask left out.
        masked: Filled with places of jobs of which nothing is left.
    """

    watch: Watch
    rule: str
    mhz_per_core: float
    masks: Sequence[Mask] = ()
    counts: Counter[str] = field(default_factory=Counter)
    unsure: dict[str, list[float]] = field(default_factory=dict)
    left: dict[str, Left] = field(default_factory=dict)
    masked: list[int] = field(default_factory=list)

    def __iter__(self) -> Iterator[Row]:
        """Yield all rows, allocations first."""
        for job in self.watch.allocations.values():
            self.counts[ERRORS] += job.latest.error
            yield from self._allocated(job)
        for job in self.watch.waiting.values():
            self.counts[ERRORS] += job.latest.error
            yield self._waiting(job)

    def _waiting(self, job: Watched) -> Row:
        """Return a job that never held anything; withdrawn when the last snapshot showed it."""
        status = job.latest.status
        pending = job.last_us == self.watch.last_us and status in (*HOLDING, "queued")
        state = "pending" if pending else STATE_OF["queued" if status in HOLDING else status]
        return self._row(job, None, None if pending else job.last_us, state)

    def _allocated(self, job: Watched) -> Iterator[Row]:
        seen, ended = job.latest, self.watch.until(job, self.rule)
        state, start = STATE_OF[seen.status], seen.start_us or 0
        if ended.end_us is None:
            state = "running"
        elif job.end_us is None:
            state = "unknown" if seen.status in HOLDING else state
            why = VANISHED if job.gone_us is None else DEAD
            open_h = (ended.latest_us - ended.earliest_us) / US_PER_H
            unsure = self.unsure.setdefault(why, [0.0, 0.0])
            unsure[0] += open_h
            unsure[1] += open_h * seen.amounts[4]
            self.counts[why] += 1
        parts = self._outside(job, (start, ended.end_us))
        if not parts:
            self.masked.append(job.place)
        for begin, end in parts:
            cut = end is not None and end != ended.end_us
            yield self._row(job, begin, end, "unknown" if cut else state)

    def _outside(self, job: Watched, whole: Interval) -> list[Interval]:
        """Return what of a job no mask leaves out."""
        parts, last = [whole], self.watch.last_us
        for mask in self.masks:
            if not mask.fits(job.latest.called):
                continue
            kept = [part for one in parts for part in left_over(one, [mask])]
            lost = (_length_us(parts, last) - _length_us(kept, last)) / US_PER_H
            if kept != parts:
                left = self.left.setdefault(mask.name, Left())
                left.jobs += 1
                left.job_h += lost
                left.gpu_h += lost * job.latest.amounts[4]
                left.cpu_h += lost * cores(job.latest.amounts, self.mhz_per_core)
            parts = kept
        return parts

    def _row(self, job: Watched, start: int | None, end: int | None, state: str) -> Row:
        seen = job.latest
        cpu_num, cpu_mhz, memory_mb, _, gpus = seen.amounts
        if not cpu_num > 0.0 and cpu_mhz > 0.0:
            self.counts[HIDDEN_CORES if cpu_mhz < FEWEST_MHZ else HIDDEN_MHZ] += 1
        return Row(
            job.place, seen.job, seen.owner, seen.namespace, seen.datacenter, seen.submit_us,
            start, end, state, gpus, cores(seen.amounts, self.mhz_per_core), memory_mb,
        )  # fmt: skip


def cores(amounts: Sequence[float], mhz_per_core: float) -> float:
    """Return the cores of a job; old ones, with a cpu_num of 0, hide them in cpu_MHz.

    Args:
        amounts: In the order of `QUANTITIES`.
        mhz_per_core: MHz that make a core.

    >>> cores((4, 8000), 2000.0), cores((0, 4), 2000.0), cores((0, 8000), 2000.0)
    (4, 4, 4.0)
    """
    cpu_num, cpu_mhz = amounts[:2]
    if cpu_num > 0.0 or not cpu_mhz > 0.0:
        return cpu_num
    return cpu_mhz if cpu_mhz < FEWEST_MHZ else cpu_mhz / mhz_per_core


def _length_us(parts: list[Interval], last_us: int) -> int:
    return sum(max((last_us if end is None else end) - start, 0) for start, end in parts)


def columns_of(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Return rows as columns."""
    return dict(zip(Row._fields, map(list, zip(*rows, strict=True)), strict=True))
