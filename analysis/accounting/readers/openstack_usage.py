"""`openstack usage list -f csv` (python-openstackclient, compute/v2/usage.py).

A row is a project, by its id, with its hours in the period asked for. The CSV does not tell the
period; older clients print "Usage from A to B:" before it. Nova counts memory in MiB and disks in
GiB (https://docs.openstack.org/api-ref/compute, os-simple-tenant-usage).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from analysis.accounting.amounts import Amount, aggregates
from analysis.accounting.delimited import Layout, split
from analysis.accounting.opening import blocks_of_lines, opened
from analysis.accounting.options import LEDGER, SITE, ZONE, Option
from analysis.accounting.reading import SHOWN, Chunk, Reading
from analysis.accounting.rows import Rows
from analysis.accounting.tables import MOST
from analysis.accounting.times import iso_times
from analysis.accounting.volumes import RULE, tb_months
from sim.errors import DataError

SAYS = (
    "OpenStack: openstack usage list -f csv --start … --end … (python-openstackclient, "
    "compute/v2/usage.py)."
)
START, END = (
    Option(name, "text", None, "-", f"{which} of the period that was asked for, as in --{name}")
    for name, which in (("start", "beginning"), ("end", "end (not included)"))
)
OPTIONS = (START, END, SITE, ZONE, LEDGER)
ROW = "line"
LAYOUT = Layout(
    ",", ("Project", "RAM MB-Hours", "CPU Hours", "Disk GB-Hours"), ("Servers",), preamble=5
)
GB_PER_MIB, TB_PER_GIB = 2**20 / 1e9, 2**30 / 1e12
_SAID = re.compile(r"Usage from (.{1,40}?) to (.{1,40}?):?\s*$", re.MULTILINE)


def read(reading: Reading) -> Iterator[Chunk]:
    """Yield CPU-h, GB-h of memory and TB-months of disks of all files, by project."""
    reading.note("The format has no GPUs: none are counted; os-simple-tenant-usage has flavors")
    reading.note("RAM MB-Hours are MiB-hours and Disk GB-Hours GiB-hours, as Nova has them")
    reading.note("Disks are sizes that were given out, not bytes kept: storage is provisioned")
    reading.note(RULE)
    for path in reading.files:
        period = _period(reading, path)
        for rows in split(reading, path, LAYOUT):
            yield _aggregates(rows, *period)


def _period(reading: Reading, path: Path) -> tuple[np.datetime64, np.datetime64]:
    """Return the period of a file, as the options or the file tell it; they may not differ."""
    zone = reading.options["time_zone"]
    said = _SAID.search(_head(path))
    stated = tuple(reading.options[name] for name in ("start", "end"))
    expected = "start= and end= as in the command, or a line 'Usage from A to B:'"
    found = []
    for texts in ((stated,) if None not in stated else ()) + ((said.groups(),) if said else ()):
        times = iso_times(pa.array(texts), zone).utc
        given = " to ".join(texts)[: 2 * SHOWN]
        if np.isnat(times).any() or not times[0] < times[1]:
            raise DataError("not a period", str(path), expected, given)
        if found and (found[0] != times).any():
            raise DataError("two periods", str(path), " to ".join(stated), given)
        found.append(times)
    if not found:
        raise DataError("period not told", str(path), expected)
    reading.note(f"Periods are of {zone}")
    return found[0][0], found[0][1]


def _head(path: Path) -> str:
    """Return what stands before the CSV."""
    with opened(path) as stream:
        for block, _ in blocks_of_lines(stream, 1 << 16):
            return "\n".join(block[: 1 << 12].decode("utf-8", errors="replace").split("\n")[:6])
    return ""


def _aggregates(rows: Rows, start: np.datetime64, end: np.datetime64) -> Chunk:
    rows.need("Project")
    cpu_h, mib_h, gib_h = (
        rows.numbers(name, 0.0, MOST) for name in ("CPU Hours", "RAM MB-Hours", "Disk GB-Hours")
    )
    tb_month = tb_months(gib_h * TB_PER_GIB, np.array([start]), np.array([end]))
    ledger = rows.reading.options["ledger"]
    known = (
        Amount("cpu", ledger, cpu_h),
        Amount("memory", ledger, mib_h * GB_PER_MIB),
        Amount("storage", "provisioned", tb_month),
    )
    return aggregates(
        rows, known, period_start=np.full(len(rows), start), period_end=np.full(len(rows), end),
        site=rows.reading.options["site"], project=rows.text("Project"),
    )  # fmt: skip
