"""Canonical jobs in the Standard Workload Format 2.2.

https://www.cs.huji.ac.il/labs/parallel/workload/swf.html: whole seconds by tradition. Rounded to
them, run time × processors is wrong by up to a second a job, so times have decimals (whole
microseconds) unless whole seconds are asked for. Names become numbers, which a table beside the
file explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.accounting.tables import utc, utc_us
from analysis.storing import write_atomically

STATUS_OF = {"completed": 1, "failed": 0, "cancelled": 5, "timeout": 0, "preempted": 0}
_COLUMN = {"gpus": "gpus", "cores": "cpus"}
_US_PER_S = 1_000_000
_KB = 1024.0  # bytes; assumed, the format says kilobytes
_MISSING = "-1"
_NAT = np.datetime64("NaT", "us")


@dataclass(frozen=True)
class Machine:
    """What the header says: a name, most nodes and most processors at a time (0: not known)."""

    name: str
    nodes: int = 0
    processors: float = 0.0


def numbers_of(names: Sequence[str]) -> dict[str, int]:
    """Return a number for each name, from 1 in order of the alphabet; numbers stay themselves.

    >>> numbers_of(["b", "a", "b"]), numbers_of(["12", "7"])
    ({'a': 1, 'b': 2}, {'7': 7, '12': 12})
    """
    known = sorted({name for name in names if name})
    if all(name.isascii() and name.isdecimal() and str(int(name)) == name for name in known):
        return {name: int(name) for name in sorted(known, key=int)}
    return {name: number for number, name in enumerate(known, start=1)}


def names_table(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return what the numbers of users, groups and partitions stand for, and those of jobs.

    Returns:
        Columns field, number, name.
    """
    fields = {"user": "user", "group": "project", "partition": "site"}
    rows = [(field, number, name) for field, column in fields.items()
            for name, number in numbers_of(jobs[column].tolist()).items()]  # fmt: skip
    ordered = _in_order(jobs)
    rows += [("job", number, name) for number, name in zip(ordered["number"], ordered["job_id"],
                                                           strict=True)]  # fmt: skip
    return pd.DataFrame(rows, columns=["field", "number", "name"])


def in_whole_seconds(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return jobs with all times rounded to the nearest second."""
    rounded = {name: jobs[name].dt.round("s") for name in ("submit_utc", "start_utc", "end_utc")}
    return jobs.assign(**rounded)


def write_swf(
    jobs: pd.DataFrame, path: Path, processors: str, until: pd.Timestamp,
    machine: Machine = Machine("unknown"), begin: pd.Timestamp | None = None,
) -> int:  # fmt: skip
    """Write jobs; returns how many were left out because they hold none of the processors.

    Args:
        jobs: The canonical table.
        path: The file.
        processors: `gpus` or `cores`.
        until: Up to when jobs without an end have run; their status is not known then (-1).
        machine: For the header.
        begin: What times are counted from; None: the whole second of the first time in the table.
    """
    ordered = _in_order(jobs)
    ordered = ordered[ordered[_COLUMN[processors]] > 0.0]
    left_out = len(jobs) - len(ordered)
    first = _times(ordered)[0].min(initial=utc_us(until))
    begin_s = int(first // _US_PER_S if begin is None else begin.timestamp())
    header = _header(ordered, processors, machine, begin_s, until, left_out)
    names = numbers_of(jobs["user"].tolist()), numbers_of(jobs["project"].tolist())
    lines = _lines(ordered, _COLUMN[processors], (*names, numbers_of(jobs["site"].tolist())),
                   begin_s * _US_PER_S, until)  # fmt: skip
    text = "".join(f"{line}\n" for line in [*header, *lines])
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))
    return left_out


def _times(jobs: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return submit, start and end, µs; a start or end that is not known is NaT's number.

    Nobody submits after the start: the start counts then, as where the submit is not told, and
    where nothing is told the first time in the table.
    """
    submit, start, end = (utc(jobs[n]) for n in ("submit_utc", "start_utc", "end_utc"))
    submit = np.fmin(submit, np.where(np.isnat(start), end, start))
    submit = np.where(np.isnat(submit), np.fmin.reduce(submit, initial=_NAT), submit)
    return submit.view(np.int64), start.view(np.int64), end.view(np.int64)


def _in_order(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return jobs in the order of the format, by submit time, with their numbers."""
    submit = _times(jobs)[0]
    ordered = jobs.iloc[np.argsort(submit, kind="stable")]
    return ordered.assign(number=_job_numbers(ordered["job_id"].tolist()))


def _job_numbers(names: list[str]) -> list[int]:
    """Return the jobs' own numbers if that is what all have, else numbers from 1."""
    own = numbers_of(names)
    if all(str(number) == name for name, number in own.items()) and "" not in names:
        return [own[name] for name in names]
    return list(range(1, len(names) + 1))


def _lines(
    jobs: pd.DataFrame, column: str, numbers: tuple[dict[str, int], ...], begin_us: int,
    until: pd.Timestamp,
) -> list[str]:  # fmt: skip
    """Return a line of 18 fields for each job."""
    submit, start, end = _times(jobs)
    ran = start != _NAT.view(np.int64)
    end = np.where(end == _NAT.view(np.int64), utc_us(until), end)
    held = [_decimal(value) for value in jobs[column]]
    kb = np.rint(jobs["mem_gb"].to_numpy() * 1e9 / _KB / jobs[column].to_numpy())
    memory = np.where(np.isnan(kb), -1.0, kb).astype(np.int64)
    users, groups, partitions = (
        [known.get(name, _MISSING) for name in jobs[field]]
        for known, field in zip(numbers, ("user", "project", "site"), strict=True)
    )
    status = [STATUS_OF.get(state, -1) for state in jobs["state"]]
    lines = []
    for row, number in enumerate(jobs["number"]):
        wait = _seconds(start[row] - submit[row]) if ran[row] else _MISSING
        run = _seconds(max(end[row] - start[row], 0)) if ran[row] else _MISSING
        lines.append(
            f"{number} {_seconds(submit[row] - begin_us)} {wait} {run} "
            f"{held[row] if ran[row] else _MISSING} -1 -1 {held[row]} -1 {memory[row]} "
            f"{status[row]} {users[row]} {groups[row]} -1 -1 {partitions[row]} -1 -1"
        )
    return lines


def _seconds(us: int) -> str:
    """Return microseconds as seconds, with the decimals that are needed.

    >>> _seconds(21_600_000_000), _seconds(1_500_000)
    ('21600', '1.5')
    """
    whole, part = divmod(int(us), _US_PER_S)
    return f"{whole}.{part:06d}".rstrip("0") if part else str(whole)


def _decimal(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _header(
    jobs: pd.DataFrame, processors: str, machine: Machine, begin_s: int, until: pd.Timestamp,
    left_out: int,
) -> list[str]:  # fmt: skip
    """Return the header comments; no name breaks a line."""
    sites = numbers_of(jobs["site"].tolist())
    lines = {
        "Version": "2.2", "Computer": machine.name, "Conversion": "aiaas export",
        "MaxJobs": len(jobs), "MaxRecords": len(jobs), "UnixStartTime": begin_s,
        "TimeZoneString": "UTC",
        "StartTime": f"{pd.Timestamp(begin_s, unit='s'):%a %b %d %H:%M:%S} UTC "
                     f"{pd.Timestamp(begin_s, unit='s'):%Y}",
        "EndTime": f"{until:%a %b %d %H:%M:%S} UTC {until:%Y}",
        "MaxNodes": machine.nodes or -1, "MaxProcs": _decimal(machine.processors) if
        machine.processors else -1, "MaxPartitions": len(sites),
    }  # fmt: skip
    notes = [
        f"processors = {'GPUs' if processors == 'gpus' else 'cores'}, held from start to release",
        f"left out, because they hold none: {left_out} jobs",
        "times may have decimals of seconds; users, groups and partitions are named in names.csv",
        "jobs that still ran at EndTime are as long as seen by then, with status -1",
    ]
    return [
        *(f"; {label}: {' '.join(str(value).split())}" for label, value in lines.items()),
        *(f"; Partition: {number} {' '.join(site.split())}" for site, number in sites.items()),
        *(f"; Note: {note}" for note in notes),
    ]
