"""Standard Workload Format 2.2 (https://www.cs.huji.ac.il/labs/parallel/workload/swf.html).

Eighteen numbers a line, -1 where something is not known; comments begin with `;`, those at the
top are the header. Times are seconds since UnixStartTime, which is UTC. The format knows
processors only: whether they are GPUs or cores has to be stated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.accounting.delimited import Layout, split
from analysis.accounting.options import REQUIRED, SITE, Option
from analysis.accounting.reading import Chunk, Reading
from analysis.accounting.rows import Rows, by_unique
from analysis.accounting.tables import JOBS
from sim.errors import DataError

SAYS = (
    "Standard Workload Format 2.2 (https://www.cs.huji.ac.il/labs/parallel/workload/swf.html), "
    "jobs of a parallel machine."
)
PROCESSORS = Option(
    "processors", "choice", REQUIRED, "-", "what the file counts as processors", ("gpus", "cores")
)
BEGINS = Option(
    "unix_start_s", "number", None, "s",
    "seconds since 1970 UTC that times are counted from; the header's UnixStartTime if not stated",
)  # fmt: skip
KIND = Option(
    "kind", "choice", "train", "-", "what jobs with GPUs do; train is assumed", ("train", "infer")
)
OPTIONS = (PROCESSORS, SITE, BEGINS, KIND)
ROW = "line"
LAYOUT = Layout(
    " ",
    ("job", "submit", "wait", "run", "processors", "cpu_time", "memory", "requested_processors",
     "requested_time", "requested_memory", "status", "user", "group", "application", "queue",
     "partition", "preceding", "think_time"),
    quotes=False, header=False, comment=";",
)  # fmt: skip
STATE_OF = {"-1": "unknown", "0": "failed", "1": "completed", "5": "cancelled"}
PARTS = "parts of a job that was checkpointed, which is there as a whole"
MOST_S = 1.0e10  # of any time; assumed
_BYTES_PER_KB = 1024.0  # assumed; the format says kilobytes


def read(reading: Reading) -> Iterator[Chunk]:
    """Yield the jobs of all files."""
    reading.note(f"Processors are {reading.options['processors']} (processors)")
    for path in reading.files:
        comments: list[str] = []
        begins_us: int | None = None
        for rows in split(reading, path, LAYOUT, comments):
            begins_us = _begins_us(reading, path, comments) if begins_us is None else begins_us
            yield _jobs(rows, begins_us)


def _begins_us(reading: Reading, path: Path, comments: list[str]) -> int:
    """Return what times are counted from, µs since 1970."""
    stated = reading.options["unix_start_s"]
    header: dict[str, str] = {}
    for comment in comments:
        found = re.match(r";\s*(\w+)\s*:\s*(.*)", comment)
        if found:
            header.setdefault(found[1], found[2].strip())
    text = header.get("UnixStartTime", "") if stated is None else str(stated)
    expected = "a header with UnixStartTime: seconds since 1970, or unix_start_s="
    if not re.fullmatch(r"\d{1,11}(\.\d{1,6})?", text, re.ASCII):
        raise DataError("no beginning of time", f"{path}, field UnixStartTime", expected, text[:80])
    reading.note("Times are seconds from UnixStartTime, which is UTC whatever TimeZoneString says")
    return int(np.rint(float(text) * 1e6))


def _jobs(rows: Rows, begins_us: int) -> Chunk:
    known = {
        name: rows.numbers(name, -1.0, MOST_S)
        for name in ("submit", "wait", "run", "processors", "requested_processors", "memory",
                     "requested_memory")
    }  # fmt: skip
    found, which = by_unique(rows.text("status"), lambda s: STATE_OF.get(s, ""))
    state = np.array(found, dtype=object)[which]
    rows.merge(rows.is_in("status", "2", "3", "4"), PARTS)
    rows.refuse(state == "", "status", "unknown status", "-1, 0, 1, 2, 3, 4 or 5")
    rows.need("job")
    never = (known["run"] < 0.0) & ((known["wait"] < 0.0) | (state == "cancelled"))
    rows.refuse(known["submit"] < 0.0, "submit", "missing", "seconds of at least 0")
    rows.refuse((known["wait"] < 0.0) & ~never, "wait", "missing for a job that ran", "seconds")
    rows.refuse((known["run"] < 0.0) & ~never, "run", "missing for a job that began", "seconds")
    allocated, asked = known["processors"], known["requested_processors"]
    guessed = (allocated < 0.0) & ~never
    rows.refuse(guessed & (asked < 0.0), "processors", "missing for a job that ran", "a number")
    rows.reading.note("Jobs without allocated processors: those they asked for count",
                      (guessed & rows.keep).sum())  # fmt: skip
    held = np.maximum(np.where(allocated < 0.0, asked, allocated), 0.0)
    submit, wait, run = (_us(known[name]) for name in ("submit", "wait", "run"))
    start = np.where(never, np.datetime64("NaT"), (begins_us + submit + wait).view("M8[us]"))
    end = np.where(never, np.datetime64("NaT"), (begins_us + submit + wait + run).view("M8[us]"))
    in_gpus = rows.reading.options["processors"] == "gpus"
    memory = np.where(known["requested_memory"] < 0.0, known["memory"], known["requested_memory"])
    memory = np.where(memory < 0.0, np.nan, memory * held * _BYTES_PER_KB / 1e9)
    return rows.chunk(
        JOBS, job_id=rows.text("job"), user=_name(rows, "user"), project=_name(rows, "group"),
        site=rows.reading.options["site"], submit_utc=(begins_us + submit).view("M8[us]"),
        start_utc=start, end_utc=end, state=state, mem_gb=memory,
        kind=np.where(in_gpus & (held > 0.0), rows.reading.options["kind"], "cpu"),
        gpus=held if in_gpus else np.zeros(len(rows)),
        cpus=np.zeros(len(rows)) if in_gpus else held,
    )  # fmt: skip


def _us(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return microseconds; 0 for what was refused."""
    fine = (seconds >= 0.0) & (seconds <= MOST_S)
    return np.rint(np.where(fine, seconds, 0.0) * 1e6).astype(np.int64)


def _name(rows: Rows, column: str) -> pa.Array:
    """Return who it was, empty where the file does not tell."""
    names, which = by_unique(rows.text(column), lambda text: "" if text == "-1" else text)
    return pa.array(names, pa.string()).take(pa.array(which))
