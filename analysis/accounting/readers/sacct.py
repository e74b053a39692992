"""Slurm's accounting, as `sacct -P` prints it (man sacct, 22.05).

A row is a job (`sacct -X`) or one of its steps, which are part of their job. GPUs are
`gres/gpu=N` of AllocTRES where it is there, else the sum of `gres/gpu:TYPE=N`: typed and untyped
ones are the same GPUs. A job held its resources from Start to End.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.accounting.delimited import Layout, split
from analysis.accounting.options import ENCODING, SITE, ZONE, Option
from analysis.accounting.reading import Chunk, Reading
from analysis.accounting.rows import Rows, by_unique, words
from analysis.accounting.tables import JOBS, KINDS
from analysis.accounting.user_tables import user_table
from sim.errors import DataError

SAYS = (
    "Slurm: sacct -X -P -a -S … -E … --format=JobIDRaw,User,Account,Partition,State,Submit,Start,"
    "End,ElapsedRaw,NCPUS,AllocTRES (man sacct)."
)
MAP = Option(
    "map", "file", None, "-",
    "table of partitions or accounts with a column kind: infer for jobs with GPUs that serve; all "
    "others train (assumed)",
)  # fmt: skip
OPTIONS = (SITE, ZONE, MAP, ENCODING)
ROW = "line"
LAYOUT = Layout(
    "|", ("State", "Start", "End", "AllocTRES"),
    ("JobIDRaw", "JobID", "User", "Account", "Partition", "Submit", "ElapsedRaw", "NCPUS",
     "AllocCPUS", "Cluster"),
    quotes=False,
)  # fmt: skip
STATE_OF = {
    "BOOT_FAIL": "failed", "CANCELLED": "cancelled", "COMPLETED": "completed",
    "COMPLETING": "running", "CONFIGURING": "running", "DEADLINE": "timeout", "FAILED": "failed",
    "NODE_FAIL": "failed", "OUT_OF_MEMORY": "failed", "PENDING": "pending",
    "PREEMPTED": "preempted", "REQUEUED": "preempted", "RESIZING": "running",
    "REVOKED": "cancelled", "RUNNING": "running", "SUSPENDED": "suspended", "TIMEOUT": "timeout",
}  # fmt: skip
STEPS = "job steps, which are part of their job"
NO_TIME = ("", "None", "Unknown", "N/A", "NONE")
TOLERANCE_S = 2.0  # by which Elapsed may differ from End - Start; assumed, times are cut to seconds
_BYTES = {"": 2**20, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50, "E": 2**60}
_MEMORY = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)([KMGTPE]?)", re.ASCII)
_COUNT = re.compile(r"\d{1,15}", re.ASCII)
_SECOND = np.timedelta64(1_000_000, "us")


class Tres(NamedTuple):
    """What a job got: nan where AllocTRES does not tell; `fine` is whether it can be read."""

    gpus: float
    gpu_model: str
    cpus: float
    mem_gb: float
    agree: bool
    fine: bool


def read(reading: Reading) -> Iterator[Chunk]:
    """Yield the jobs of all files."""
    zone, table = reading.options["time_zone"], reading.options["map"]
    reading.note(f"Times are local to {zone} (time_zone)")
    kinds = {} if table is None else user_table(table, {"kind": KINDS[:2]})
    for path in reading.files:
        for rows in split(reading, path, LAYOUT):
            yield _jobs(rows, zone, {name: row["kind"] for name, row in kinds.items()}, path)


def _jobs(rows: Rows, zone: str, kinds: dict[str, str], path: Path) -> Chunk:
    name = "JobIDRaw" if "JobIDRaw" in rows.columns else "JobID"
    if name not in rows.columns:
        raise DataError("no column of job ids in the header", str(path), "JobIDRaw or JobID")
    rows.need(name)
    steps = pc.match_substring(rows.text(name), ".").to_numpy(zero_copy_only=False)
    rows.merge(steps, STEPS)
    found, which = by_unique(rows.text("State"), lambda s: STATE_OF.get(s.partition(" ")[0], ""))
    state = np.array(found, dtype=object)[which]
    rows.refuse(state == "", "State", "unknown state", "a state of man sacct")
    start, end = _span(rows, zone, state)
    tres = _tres(rows)
    site = words(rows.text("Cluster"), np.array("")) if not rows.reading.options["site"] else None
    return rows.chunk(
        JOBS, job_id=rows.text(name), user=rows.text("User"), project=rows.text("Account"),
        site=rows.reading.options["site"] if site is None else site,
        kind=_kind(rows, tres["gpus"] > 0.0, kinds), submit_utc=rows.times("Submit", zone, NO_TIME),
        start_utc=start, end_utc=end, state=pa.array(state, pa.string()), **tres,
    )  # fmt: skip


def _span(
    rows: Rows, zone: str, state: NDArray
) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
    """Return from when to when each job held its resources, checked against ElapsedRaw."""
    start, end = (rows.times(name, zone, NO_TIME) for name in ("Start", "End"))
    expected = np.isin(state, ("pending",)) & ~np.isnat(start)
    rows.reading.note("Pending jobs have no start; the expected one is not used", expected.sum())
    start = np.where(expected, np.datetime64("NaT"), start)
    open_ = np.isin(state, ("running", "suspended", "pending"))
    rows.refuse(~open_ & np.isnat(end), "End", "no end of a job that ended", "a time")
    rows.refuse(
        np.isin(state, ("completed", "running", "suspended", "timeout")) & np.isnat(start),
        "Start", "no start of a job that ran", "a time",
    )  # fmt: skip
    elapsed_s = rows.numbers("ElapsedRaw", 0.0, 1.0e10, missing=np.nan)
    start, end = _by_elapsed(rows, start, end, elapsed_s)
    off_s = (end - start) / _SECOND - elapsed_s
    rows.refuse(
        off_s < -TOLERANCE_S, "ElapsedRaw", "longer than from Start to End", "End - Start, in s"
    )
    halted = off_s > TOLERANCE_S
    rows.reading.note(
        "Jobs whose ElapsedRaw is less than End - Start (suspended): they count from Start to End",
        (halted & rows.keep).sum(),
    )
    running = open_ & np.isnat(end) & np.isfinite(elapsed_s) & rows.keep
    rows.reading.saw(start[running] + np.rint(elapsed_s[running]).astype("m8[s]"))
    return start, end


def _by_elapsed(
    rows: Rows, start: NDArray, end: NDArray, elapsed_s: NDArray[np.float64]
) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64]]:
    """Let ElapsedRaw decide which of two readings of a local time is meant."""
    for first, last in (
        (rows.second["Start"], end), (start, rows.second["End"]),
        (rows.second["Start"], rows.second["End"]),
    ):  # fmt: skip
        wrong = np.abs((end - start) / _SECOND - elapsed_s) > TOLERANCE_S
        better = wrong & (np.abs((last - first) / _SECOND - elapsed_s) <= TOLERANCE_S)
        rows.reading.note("Local times that came twice, told by ElapsedRaw", better.sum())
        start, end = np.where(better, first, start), np.where(better, last, end)
    return start, end


def _tres(rows: Rows) -> dict[str, NDArray | pa.Array]:
    """Return what was allocated."""
    found, which = by_unique(rows.text("AllocTRES"), parsed_tres)
    fine = np.array([t.fine for t in found])[which]
    rows.refuse(~fine, "AllocTRES", "not a list of resources", "such as cpu=8,gres/gpu=2,mem=64G")
    agree = np.array([t.agree for t in found])[which]
    rows.reading.note(
        "Jobs whose gres/gpu is not the sum of its types: gres/gpu is counted", (~agree).sum()
    )
    ncpus = "NCPUS" if "NCPUS" in rows.columns else "AllocCPUS"
    told = np.array([t.cpus for t in found])[which]
    counted = rows.numbers(ncpus, 0.0, np.inf, missing=0.0)
    return {
        "gpus": np.array([t.gpus for t in found])[which],
        "gpu_model": pa.array([t.gpu_model for t in found], pa.string()).take(pa.array(which)),
        "cpus": np.where(np.isnan(told), counted, told),
        "mem_gb": np.array([t.mem_gb for t in found])[which],
    }


def parsed_tres(text: str) -> Tres:
    """Read AllocTRES.

    >>> parsed_tres("cpu=8,gres/gpu:a100=2,gres/gpu=2,mem=64G")[:3]
    (2.0, 'a100', 8.0)
    """
    wrong = Tres(0.0, "", np.nan, np.nan, True, False)
    typed: dict[str, float] = {}
    counts: dict[str, float] = {}
    mem_gb = np.nan
    for item in text.split(",") if text else []:
        key, found, value = item.partition("=")
        number = _MEMORY.fullmatch(value)
        if not found or not number:
            return wrong
        if key == "mem":
            mem_gb = float(number[1]) * _BYTES[number[2]] / 1e9
        elif key in ("cpu", "gres/gpu") or key.startswith("gres/gpu:"):
            if not _COUNT.fullmatch(value) or key in counts or key in typed:
                return wrong
            (typed if ":" in key else counts)[key] = float(value)
    total = sum(typed.values())
    gpus = counts.get("gres/gpu", total)
    model = "+".join(sorted(k.partition(":")[2] for k, n in typed.items() if n))
    agree = not typed or gpus == total
    return Tres(gpus, model, counts.get("cpu", np.nan), mem_gb, agree, True)


def _kind(rows: Rows, with_gpus: NDArray[np.bool_], kinds: dict[str, str]) -> NDArray:
    kind = np.where(with_gpus, "train", "cpu").astype(object)
    for column in ("Account", "Partition") if kinds else ():  # a partition says more
        found, which = by_unique(rows.text(column), lambda name: kinds.get(name, ""))
        told = np.array(found, dtype=object)[which]
        kind = np.where(with_gpus & (told != ""), told, kind)
    return kind
