"""Jobs followed from snapshot to snapshot: what is kept grows with jobs, not with snapshots.

An allocation is known by its namespace, job and alloc_ID (or alloc_start, where it has none). The
latest sighting tells what it is; an end that was seen stays. Times are whole µs since 1970 UTC.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.accounting.ai4.snapshots import Sighting
from sim.units import US_PER_H

HOLDING = ("running", "starting", "down")  # statuses of an allocation that goes on
GAP = 1.5  # a gap is longer than this many usual intervals; assumed
SOON = 0.5  # snapshots that come earlier than this share of it are irregular; assumed
RULES = ("last", "middle", "next")

MOVED = "allocations whose start, end or resources changed between snapshots: the latest counts"
TWICE = "jobs that one snapshot, or two of the same time, show twice: once counts"
AHEAD = (
    "sightings in which an allocation starts after its snapshot was taken: a clock was set, or "
    "file names are not of UTC (file_time_zone)"
)
REUSED = "job identifiers with several allocations: each is a job"


@dataclass(slots=True, eq=False)
class Watched:
    """An allocation, or a job that never had one.

    Args:
        latest: Its latest sighting.
        place: Where that is in the files.
        last_us: Time of the latest snapshot that shows it.
        held_us: Time of the latest snapshot that shows it holding resources; None if none does.
        gone_us: Time of the first snapshot that shows it ended, but not when; None if none does.
        end_us: When it ended, if any snapshot said so.
    """

    latest: Sighting
    place: int
    last_us: int
    held_us: int | None = None
    gone_us: int | None = None
    end_us: int | None = None


class Ended(NamedTuple):
    """When an allocation ended: the end that counts and between what it lies; None: it goes on."""

    end_us: int | None
    earliest_us: int
    latest_us: int


@dataclass(eq=False)
class Watch:
    """All jobs seen so far; snapshots are shown to it in order of time."""

    times: dict[str, list[int]] = field(default_factory=dict)
    allocations: dict[tuple[str, str, object], Watched] = field(default_factory=dict)
    waiting: dict[tuple[str, str], Watched] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    last_us: int = 0

    def begin(self, namespace: str, time_us: int) -> None:
        """Say that a snapshot shows a namespace, be there jobs in it or not."""
        times = self.times.setdefault(namespace, [])
        if not times or times[-1] != time_us:
            times.append(time_us)
        self.last_us = max(self.last_us, time_us)

    def see(self, seen: Sighting, time_us: int, place: int) -> None:
        """Take in what a snapshot says of a job."""
        job = (seen.namespace, seen.job)
        if seen.start_us is None or seen.status == "queued":
            self._sighted(self.waiting, job, seen, time_us, place)
            return
        self.waiting.pop(job, None)
        key = (*job, seen.allocation or seen.start_us)
        before = self.allocations[key].latest if key in self.allocations else seen
        known = self._sighted(self.allocations, key, seen, time_us, place)
        changed = _ended(known, seen, time_us)
        changed = changed or (before is not seen and _facts(before) != _facts(seen))
        self.counts[MOVED] += changed
        self.counts[AHEAD] += seen.start_us > time_us

    def _sighted(
        self, table: dict[Any, Watched], key: object, seen: Sighting, time_us: int, place: int
    ) -> Watched:
        known = table.get(key)
        if known is None:
            known = table[key] = Watched(seen, place, time_us)
        else:
            self.counts[TWICE] += known.last_us == time_us
            known.latest, known.place, known.last_us = seen, place, time_us
        return known

    def until(self, job: Watched, rule: str) -> Ended:
        """Return when an allocation ended.

        Args:
            job: With a start.
            rule: Where between two snapshots one ended that vanished: `last` shows it, `middle`, or
                `next`, which does not show it any more.
        """
        start = job.latest.start_us or 0
        if job.end_us is not None:
            return Ended(job.end_us, job.end_us, job.end_us)
        low = start if job.held_us is None else max(start, job.held_us)
        if job.gone_us is not None:
            high = max(low, job.gone_us)
        elif job.last_us == self.last_us:
            return Ended(None, low, low)
        else:
            high = max(low, self.next_after(job))
        return Ended({"last": low, "middle": (low + high) // 2, "next": high}[rule], low, high)

    def next_after(self, job: Watched) -> int:
        """Return the time of the first snapshot that no longer shows a job."""
        times = self.times[job.latest.namespace]
        at = bisect.bisect_right(times, job.last_us)
        return times[at] if at < len(times) else self.last_us

    def reused(self) -> int:
        """Return how many job identifiers have more than one allocation."""
        seen = Counter((namespace, name) for namespace, name, _ in self.allocations)
        return sum(count > 1 for count in seen.values())


def _facts(seen: Sighting) -> tuple[object, ...]:
    """Return what of an allocation never changes, if clocks do not."""
    return seen.start_us, seen.amounts


def _ended(job: Watched, seen: Sighting, time_us: int) -> bool:
    """Take in whether and when a job ended; True if that contradicts what was seen before."""
    before = job.end_us
    if seen.end_us is not None:
        job.end_us = seen.end_us
    elif seen.status in HOLDING:
        job.held_us, job.gone_us, job.end_us = time_us, None, None
    elif job.gone_us is None:
        job.gone_us = time_us
    return before is not None and before != job.end_us


def usual_interval_us(times: Sequence[int]) -> float:
    """Return the median time between snapshots, µs; nan for fewer than two."""
    steps = np.diff(np.array(times, dtype=np.int64))
    return float(np.median(steps)) if len(steps) else float("nan")


def gaps(times: Sequence[int]) -> tuple[list[tuple[int, int]], int]:
    """Return the gaps between snapshots, and how many snapshots came too soon.

    Args:
        times: Of all snapshots of a namespace, ascending, µs.

    Returns:
        Beginning and end of each gap, µs; the number of snapshots less than half the usual
        interval after the one before.
    """
    if len(times) < 3:  # nothing is usual yet
        return [], 0
    steps = np.diff(np.array(times, dtype=np.float64))
    usual = usual_interval_us(times)
    long = np.flatnonzero(steps > GAP * usual).tolist()
    return [(times[i], times[i + 1]) for i in long], int((steps < SOON * usual).sum())


def held_in(
    watch: Watch, rule: str, namespace: str, gaps: Sequence[tuple[int, int]]
) -> NDArray[np.float64]:
    """Return job-hours and GPU-h that the allocations of a namespace hold in gaps.

    Args:
        watch: All jobs.
        rule: See `Watch.until`.
        namespace: Whose jobs.
        gaps: Beginning and end of each, µs.

    Returns:
        Shape (gaps, 2).
    """
    held = [(job, watch.until(job, rule).end_us) for (name, _, _), job in watch.allocations.items()
            if name == namespace]  # fmt: skip
    start = np.array([job.latest.start_us for job, _ in held], dtype=np.int64)
    end = np.array([watch.last_us if end is None else end for _, end in held], dtype=np.int64)
    edges = np.array(gaps, dtype=np.int64)
    rates = np.array([(1.0, job.latest.amounts[-1]) for job, _ in held]).reshape(-1, 2)
    both = [held_by(edges.ravel(), start, np.maximum(start, end), rate) for rate in rates.T]
    return np.diff(np.stack(both, axis=-1).reshape(-1, 2, 2), axis=1)[:, 0] / US_PER_H


def held_by(
    moments: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64],
    rate: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """Return what intervals have held up to some moments.

    Args:
        moments: µs, shape (m,).
        start: Of each interval, µs, shape (n,).
        end: Of each interval, µs, shape (n,).
        rate: What each holds, shape (n,).

    Returns:
        Rate times µs, shape (m,).
    """

    def ramp(edges: NDArray[np.int64]) -> NDArray[np.float64]:
        order = np.argsort(edges)
        edge, weight = edges[order], rate[order]
        count = np.searchsorted(edge, moments, side="right")
        zero = edge[0] if len(edge) else 0
        rates = np.concatenate([[0.0], np.cumsum(weight)])[count]
        area = np.concatenate([[0.0], np.cumsum(weight * (edge - zero))])[count]
        return rates * (moments - zero) - area

    return ramp(start) - ramp(end)
