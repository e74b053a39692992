"""Canonical jobs as snapshots of ai4os/ai4-accounting: JSON files, one an interval.

A snapshot shows what is queued or running at its time, and once more what ended since the one
before, with its alloc_end: so alloc times tell all that was held, however short. Nomad keeps jobs
that ended for a while, too; that every one of them is seen exactly once is assumed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.accounting.tables import utc, utc_us
from sim.units import US_PER_H

MHZ_PER_CORE = 2000  # MHz; assumed, as in the format's own example
STATUS_OF = {
    "completed": "complete", "failed": "failed", "cancelled": "dead", "timeout": "dead",
    "preempted": "dead", "unknown": "down", "running": "running", "suspended": "running",
    "pending": "queued",
}  # fmt: skip
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class _Job:
    """A job as it is written; times in µs since 1970, `_NEVER` where there is none."""

    namespace: str
    seen_us: int
    start_us: int
    end_us: int
    waiting: str
    running: str
    ended: str

    def text(self, time_us: int) -> str:
        """Return its record in a snapshot."""
        if self.end_us <= time_us:
            return self.ended
        return self.running if self.start_us <= time_us else self.waiting


def snapshot_times_us(begin_us: int, until_us: int, interval_h: float) -> list[int]:
    """Return the times of snapshots: whole intervals since 1970 UTC after the begin, and the end.

    >>> [t // 3_600_000_000 for t in snapshot_times_us(0, 13 * 3_600_000_000, 6.0)]
    [6, 12, 13]
    """
    step = round(interval_h * US_PER_H)
    first = (begin_us // step + 1) * step
    return [*range(first, until_us, step), until_us]


def snapshots_of(
    jobs: pd.DataFrame, until: pd.Timestamp, interval_h: float = 6.0,
    namespace: str | None = None, begin: pd.Timestamp | None = None,
) -> Iterator[tuple[int, str]]:  # fmt: skip
    """Yield snapshots of jobs as JSON.

    Args:
        jobs: The canonical table.
        until: Time of the last snapshot; jobs without an end, or with a later one, are running or
            waiting in it. What comes later is not shown.
        interval_h: Hours between snapshots.
        namespace: Of all jobs; None: the project of each.
        begin: The first snapshot is an interval later at most; None: the first time in the table.

    Yields:
        Time in µs since 1970, and text.
    """
    all_jobs = sorted(_jobs(jobs, namespace), key=lambda job: job.seen_us)
    names = sorted({job.namespace for job in all_jobs} | ({namespace} if namespace else set()))
    first = min((job.seen_us for job in all_jobs), default=utc_us(until))
    begin_us = first if begin is None else utc_us(begin)
    alive: list[_Job] = []
    at = 0
    for time_us in snapshot_times_us(begin_us, utc_us(until), interval_h):
        while at < len(all_jobs) and all_jobs[at].seen_us <= time_us:
            alive.append(all_jobs[at])
            at += 1
        records: dict[str, list[str]] = {name: [] for name in names}
        for job in alive:
            records[job.namespace].append(job.text(time_us))
        alive = [job for job in alive if job.end_us > time_us]
        body = (f"{json.dumps(name)}: [{', '.join(texts)}]" for name, texts in records.items())
        yield time_us, "{" + ", ".join(body) + "}"


def write_snapshots(snapshots: Iterator[tuple[int, str]], folder: Path) -> int:
    """Write snapshots into a folder, named by their UTC time; returns how many."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for time_us, text in snapshots:
        name = str(np.datetime64(time_us, "us").astype("datetime64[s]"))
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        count += 1
    return count


def _jobs(jobs: pd.DataFrame, namespace: str | None) -> Iterator[_Job]:
    times = {name: utc(jobs[name]) for name in ("submit_utc", "start_utc", "end_utc")}
    us = {name: np.where(np.isnat(t), _NEVER, t.view(np.int64)) for name, t in times.items()}
    seen = np.minimum.reduce([us["submit_utc"], us["start_utc"], us["end_utc"]])
    seen = np.where(seen == _NEVER, seen.min(initial=_NEVER), seen)  # was always there
    submit, start, end = (_texts(times[name]) for name in times)
    for row, job in enumerate(jobs.to_dict("records")):
        record = _record(job, row, submit[row][:19].replace("T", " ") or None)
        allocated = {**record, "alloc_ID": f"{job['job_id']}@{row}", "alloc_start": start[row]}
        last = {**(allocated if start[row] else record), "status": STATUS_OF[job["state"]]}
        running = {**allocated, "status": "running"}
        waiting = {**record, "status": "queued", "datacenter": None if start[row] else job["site"]}
        yield _Job(
            job["project"] if namespace is None else namespace, int(seen[row]),
            int(us["start_utc"][row]), int(us["end_utc"][row]),
            json.dumps(waiting), json.dumps(running),
            json.dumps({**last, "alloc_end": end[row] if start[row] else None}),
        )  # fmt: skip


def _texts(times: np.ndarray) -> list[str]:
    """Return times in RFC 3339 with nanoseconds; empty where there is none."""
    texts = np.datetime_as_string(times, unit="ns").tolist()
    return ["" if text == "NaT" else text + "Z" for text in texts]


def _record(job: dict[Any, Any], row: int, submit: str | None) -> dict[str, Any]:
    """Return all keys of the format; what no simulation knows is empty."""
    return {
        "job_ID": job["job_id"], "name": f"module-{row + 1}", "status": "", "owner": job["user"],
        "title": job["project"], "description": "", "docker_image": "", "docker_command": "",
        "submit_time": submit,
        "resources": {
            "cpu_num": _number(job["cpus"]), "cpu_MHz": _number(job["cpus"] * MHZ_PER_CORE),
            "gpu_num": _number(job["gpus"]), "memory_MB": _memory_mb(job["mem_gb"]), "disk_MB": 0,
        },
        "endpoints": {}, "active_endpoints": None, "main_endpoint": None, "alloc_ID": None,
        "datacenter": job["site"], "alloc_start": None, "alloc_end": None,
    }  # fmt: skip


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else float(value)


def _memory_mb(gb: float) -> int | None:
    return None if np.isnan(gb) else round(gb * 1000.0)
