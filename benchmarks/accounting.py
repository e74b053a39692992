"""Reading accounting: rows a second from a file to the two tables, checks and totals included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from analysis.accounting.importing import import_as
from benchmarks.measure import Measure, at_least, seconds

ROWS = 400_000  # of each file
LEAST_ROWS_PER_S = 200_000.0  # of CSV formats, asked for by the project
ZONE = "Europe/Madrid"


def throughput() -> list[Measure]:
    """Import a year of jobs of several formats."""
    measures = []
    with TemporaryDirectory(prefix="aiaas-bench-") as made:
        for name, lines, options in (
            ("sacct", _sacct(), {"time_zone": ZONE}),
            ("tidy", _tidy(), {"time_zone": ZONE}),
            ("swf", _swf(), {"processors": "gpus"}),
        ):
            path = Path(made) / name
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            spent_s, done = seconds(lambda p=path, n=name, o=options: _import(n, p, o), times=2)
            assert done["used"] > 0.99 * ROWS, done
            measures.append(
                at_least(f"accounting.{name}", ROWS / spent_s, "rows/s", LEAST_ROWS_PER_S)
            )
    return measures


def _import(name: str, path: Path, options: dict[str, Any]) -> dict[str, int]:
    with TemporaryDirectory(prefix="aiaas-bench-") as made:
        return import_as(name, [path], options, Path(made)).rows


def _jobs() -> Iterator[tuple[int, int, int, int, int, int]]:
    """Yield number, submit (s of the year), wait, run (s), user and GPUs of jobs."""
    rng = np.random.default_rng(0)
    submit = np.sort(rng.integers(0, 365 * 86_400, ROWS))
    wait, run = (rng.exponential(mean, ROWS).astype(np.int64) for mean in (1800.0, 7200.0))
    users, gpus = rng.integers(0, 300, ROWS), rng.integers(0, 5, ROWS)
    return zip(
        range(ROWS), submit.tolist(), wait.tolist(), run.tolist(), users.tolist(), gpus.tolist(),
        strict=True,
    )  # fmt: skip


def _clock() -> list[str]:
    """Return the local time of each second of the first 14 months, without an offset, by minute."""
    minutes = pd.date_range("2025-01-01", periods=427 * 1440, freq="min", tz="UTC")
    return minutes.tz_convert(ZONE).strftime("%Y-%m-%dT%H:%M").tolist()


def _sacct() -> Iterator[str]:
    clock = _clock()

    def at(second: int) -> str:
        return f"{clock[second // 60]}:{second % 60:02d}"

    yield ("JobIDRaw|User|Account|Partition|State|Submit|Start|End|ElapsedRaw|NCPUS|AllocTRES")
    for job, submit, wait, run, user, gpus in _jobs():
        start, cpus = submit + wait, 4 * gpus + 4
        tres = f"billing={cpus},cpu={cpus},gres/gpu:a100={gpus},gres/gpu={gpus},mem={8 * cpus}G"
        yield (
            f"{job}|u{user}|a{user % 40}|gpu|COMPLETED|{at(submit)}|{at(start)}|{at(start + run)}|"
            f"{run}|{cpus}|{tres},node=1"
        )


def _tidy() -> Iterator[str]:
    clock = _clock()
    yield "job_id,user,project,start_utc,end_utc,gpus,cpus,mem_gb"
    for job, submit, wait, run, user, gpus in _jobs():
        start, end = clock[(submit + wait) // 60], clock[(submit + wait + run) // 60 + 120]
        yield f"{job},u{user},a{user % 40},{start},{end},{gpus},{4 * gpus + 4},{8 * gpus}.5"


def _swf() -> Iterator[str]:
    yield "; UnixStartTime: 1735689600"
    for job, submit, wait, run, user, gpus in _jobs():
        yield (
            f"{job} {submit} {wait} {run} {gpus} -1 -1 {gpus} 86400 -1 1 {user} {user % 40} -1 1 1 "
            "-1 -1"
        )
