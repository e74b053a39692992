"""APEL cloud accounting messages v0.4, as cASO and cloudkeeper write them.

Source: https://docs.egi.eu/internal/accounting/record-and-message-formats/cloud-accounting.
A record is a virtual machine as it was when the record was written: lines `Key: value`, ended by
`%%`; times are seconds since 1970. A machine comes again with every message until it has ended:
the later record replaces the earlier one. EndTime, not Status, tells that it ended; a machine that
is stopped keeps its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.accounting.json_records import Shape
from analysis.accounting.json_records import rows as rows_of
from analysis.accounting.opening import LONGEST_LINE, blocks_of_lines, opened
from analysis.accounting.options import SITE, Option
from analysis.accounting.reading import SHOWN, Chunk, Reading
from analysis.accounting.rows import Rows, by_unique, words
from analysis.accounting.tables import JOBS, MOST_CPUS
from sim.errors import DataError

SAYS = (
    "APEL cloud messages v0.4: virtual machines of EGI "
    "(https://docs.egi.eu/internal/accounting/record-and-message-formats/cloud-accounting)."
)
SUSPENDED = Option(
    "suspended", "choice", "released", "-",
    "whether a machine held its cores while it was suspended: released counts WallDuration, as "
    "APEL does, held counts from StartTime to EndTime",
    ("released", "held"),
)  # fmt: skip
OPTIONS = (SITE, SUSPENDED)
ROW = "record"
JOB_KEY = ("site", "job_id")  # a machine keeps its VMUUID, its start may be corrected
HEADER = "APEL-cloud-message: v0.4"
SHAPE = f"{HEADER}, then records of lines 'Key: value', each ended by %%"
KEYS = (
    "VMUUID", "SiteName", "GlobalUserName", "LocalUserId", "FQAN", "LocalGroupId", "Status",
    "StartTime", "EndTime", "SuspendDuration", "WallDuration", "CpuDuration", "CpuCount", "Memory",
    "CloudComputeService", "CloudType", "MachineName", "ImageId", "Disk", "PublicIPCount",
)  # fmt: skip
STATE_OF = {  # of the format; words that cASO has besides, and what they mean, are assumed
    "started": "running", "completed": "completed", "suspended": "suspended",
    "paused": "suspended", "stopped": "suspended", "error": "failed", "unknown": "unknown",
}  # fmt: skip
GB_PER_MIB = 2**20 / 1e9
TOLERANCE_S = 60.0  # by which WallDuration may exceed the time from start to end; assumed
MOST_S = 1.0e10  # of any duration; assumed
_EARLIEST_S, _LATEST_S = 1.0, 7.2e9  # 1970 to 2198
_ABSENT = ("", "NULL", "None", "none", "null")


def read(reading: Reading) -> Iterator[Chunk]:
    """Yield the machines of all files as jobs."""
    reading.note("The format has no GPUs: none are counted; apel-gpu reads accelerators")
    reading.note("Memory is in MiB, as OpenStack has it (assumed; the format says MB)")
    shape = Shape(KEYS, "lines 'Key: value', each key once")
    for path in reading.files:
        for rows in rows_of(reading, path, _records(path), shape, SHAPE):
            yield _jobs(rows)


def _records(path: Path) -> Iterator[dict[str, str] | str]:
    """Yield records as keys and values, or what is wrong with one."""
    rest, first, cut_off = "", True, False
    with opened(path) as stream:
        for block, unended in blocks_of_lines(stream, 1 << 20):
            cut_off = unended
            *whole, rest = (rest + block.decode("utf-8", errors="replace")).split("\n%%")
            if max(map(len, (*whole, rest))) > LONGEST_LINE:
                raise DataError("record too long", str(path), f"at most {LONGEST_LINE:,} bytes")
            for text in whole:
                yield _parsed(_checked(text, path, first))
                first = False
    if rest.strip() and rest.strip() != HEADER:
        text = _checked(rest, path, first)
        yield "cut off: no line end, and no %% after it" if cut_off else _parsed(text)


def _checked(text: str, path: Path, first: bool) -> str:
    """Return a record without the line that begins a message, which has to be of this version."""
    text = text.lstrip("\n")
    if text.startswith("APEL-") or first:
        header, _, text = text.partition("\n")
        if header.strip() != HEADER:
            raise DataError("not such a message", str(path), SHAPE, header[:SHOWN])
    return text


def _parsed(text: str) -> dict[str, str] | str:
    found: dict[str, str] = {}
    if "\ufffd" in text:
        return "not UTF-8"
    for line in text.split("\n"):
        key, colon, value = line.partition(":")
        if not colon:
            if line.strip():
                return f"line without a colon: {line}"
            continue
        key = key.strip()
        if key in found:
            return f"{key} twice"
        found[key] = value
    return found or "no line"


def _jobs(rows: Rows) -> Chunk:
    rows.need("VMUUID", "Status", "StartTime", "WallDuration", "CpuCount")
    found, which = by_unique(rows.text("Status"), lambda s: STATE_OF.get(s.lower(), ""))
    state = np.array(found, dtype=object)[which]
    rows.refuse(state == "", "Status", "unknown status", "one of " + ", ".join(STATE_OF))
    start, end = _span(rows, state)
    state = np.where(np.isnat(end) & (state == "completed"), "suspended", state)
    stated = rows.reading.options["site"]
    return rows.chunk(
        JOBS, job_id=rows.text("VMUUID"), site=stated or _said(rows, "SiteName"),
        user=words(_said(rows, "GlobalUserName"), _said(rows, "LocalUserId")),
        project=words(_said(rows, "FQAN"), _said(rows, "LocalGroupId")),
        kind="cpu", start_utc=start, end_utc=end, state=state,
        cpus=rows.numbers("CpuCount", 0.0, MOST_CPUS),
        mem_gb=_numbers(rows, "Memory", np.inf) * GB_PER_MIB,
    )  # fmt: skip


def _span(rows: Rows, state: NDArray) -> tuple[NDArray, NDArray]:
    """Return from when to when each machine held its cores, checked against WallDuration."""
    start = _numbers(rows, "StartTime", _LATEST_S, least=_EARLIEST_S)
    end = _numbers(rows, "EndTime", _LATEST_S)
    end[end == 0.0] = np.nan
    wall = _numbers(rows, "WallDuration", MOST_S)
    consumed = _numbers(rows, "CpuDuration", np.inf)
    cores = _numbers(rows, "CpuCount", MOST_CPUS)
    with np.errstate(invalid="ignore"):
        rows.refuse(wall - (end - start) > TOLERANCE_S, "WallDuration",
                    "longer than from start to end", "EndTime - StartTime, in s")  # fmt: skip
        ended = np.isfinite(end) & np.isin(state, ("completed", "failed", "unknown"))
        suspended = ended & (wall < end - start - TOLERANCE_S)
        idle = np.isfinite(consumed) & (np.abs(consumed - wall * cores) > TOLERANCE_S * cores)
    rows.reading.saw(_times(np.where(ended, end, np.fmax(start + wall, end)))[rows.keep])
    held = rows.reading.options["suspended"] == "held"
    said = "from StartTime to EndTime" if held else "WallDuration long, from StartTime"
    for sentence, which in (
        (f"Machines whose WallDuration is less than their time (suspended): they count {said}",
         suspended),
        ("Machines of which Status and EndTime contradict each other: they are taken to go on",
         (np.isfinite(end) & ~ended) | (np.isnan(end) & (state == "completed"))),
        ("Machines whose CpuDuration is not WallDuration × CpuCount: cores held are counted", idle),
    ):  # fmt: skip
        rows.reading.note(sentence, (which & rows.keep).sum())
    end = np.where(suspended & ~np.array(held), start + wall, end)
    return _times(start), _times(np.where(ended, end, np.nan))


def _numbers(rows: Rows, name: str, most: float, least: float = 0.0) -> NDArray[np.float64]:
    """Read numbers that may be missing, in one of the ways of this format."""
    plain = rows.instead(name, _said(rows, name))
    return plain.numbers(name, least, most, missing=np.nan)


def _said(rows: Rows, name: str) -> pa.Array:
    return pc.if_else(pa.array(rows.is_in(name, *_ABSENT)), "", rows.text(name))


def _times(seconds: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Return times from seconds since 1970; NaT where they are missing or were refused."""
    fine = (seconds >= 0.0) & (seconds <= _LATEST_S)
    found = np.rint(np.where(fine, seconds, 0.0) * 1e6).astype(np.int64).view("M8[us]")
    return np.where(fine, found, np.datetime64("NaT"))
