"""The plain format of this product: a CSV whose header names canonical columns.

Jobs: `job_id` and `start_utc` are needed, the other columns of the table may be left out. Kind is
train with GPUs and cpu without, state is told by the times, where nothing is said. Aggregates:
`period_start`, `period_end`, `resource`, `ledger` and `quantity` are needed. Which of the two a
file holds is told by its header.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.accounting.delimited import Layout, header_of, split
from analysis.accounting.options import DECIMAL, ENCODING, SITE, ZONE, Option
from analysis.accounting.reading import Chunk, Reading
from analysis.accounting.rows import Rows, words
from analysis.accounting.tables import AGGREGATES, JOBS, KINDS, MOST, STATES, UNITS
from sim.units import LEDGERS

SAYS = "Tidy CSV: a header with columns of the canonical tables (jobs or aggregates), one row each."
DELIMITER = Option(
    "delimiter", "choice", "comma", "-", "what separates cells",
    ("comma", "semicolon", "tab"),
)  # fmt: skip
OPTIONS = (SITE, ZONE, DECIMAL, DELIMITER, ENCODING)
ROW = "line"

_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}
_JOBS = (
    "user", "project", "site", "kind", "submit_utc", "end_utc", "state", "gpus", "gpu_model",
    "cpus", "mem_gb", "gpu_util_frac",
)  # fmt: skip
_ALIASES = {"submit": "submit_utc", "start": "start_utc", "end": "end_utc"}


def read(reading: Reading) -> Iterator[Chunk]:
    """Yield jobs or aggregates, whatever each file holds."""
    for path in reading.files:
        yield from _read(reading, path)


def _read(reading: Reading, path: Path) -> Iterator[Chunk]:
    delimiter = _DELIMITERS[reading.options["delimiter"]]
    zone = reading.options["time_zone"]
    reading.note(f"Times without an offset are of {zone}")
    if "period_start" in header_of(path, delimiter):
        needed = ("period_start", "period_end", "resource", "ledger", "quantity")
        layout = Layout(delimiter, needed, ("site", "project", "unit"), others=False)
        for rows in split(reading, path, layout):
            yield _aggregates(rows, zone)
        return
    layout = Layout(delimiter, ("job_id", "start_utc"), _JOBS, others=False, aliases=_ALIASES)
    for rows in split(reading, path, layout):
        yield _jobs(rows, zone)


def _jobs(rows: Rows, zone: str) -> Chunk:
    rows.need("job_id")
    start = rows.times("start_utc", zone)
    end = rows.times("end_utc", zone)
    submit = rows.times("submit_utc", zone)
    gpus, cpus = (rows.numbers(name, 0.0, np.inf, missing=0.0) for name in ("gpus", "cpus"))
    return rows.chunk(
        JOBS, job_id=rows.text("job_id"), user=rows.text("user"), project=rows.text("project"),
        site=site_of(rows), submit_utc=submit, start_utc=start, end_utc=end,
        kind=_or(rows, "kind", KINDS, np.where(gpus > 0.0, "train", "cpu")),
        state=_or(rows, "state", STATES, _state(start, end)),
        gpus=gpus, cpus=cpus, gpu_model=rows.text("gpu_model"),
        mem_gb=rows.numbers("mem_gb", 0.0, np.inf, missing=np.nan),
        gpu_util_frac=rows.numbers("gpu_util_frac", 0.0, 1.0, missing=np.nan),
    )  # fmt: skip


def _state(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Tell the state from the times."""
    ended = np.where(np.isnat(end), "running", "completed")
    return np.where(np.isnat(start), np.where(np.isnat(end), "pending", "cancelled"), ended)


def _aggregates(rows: Rows, zone: str) -> Chunk:
    start = rows.times("period_start", zone, missing=())
    end = rows.times("period_end", zone, missing=())
    _or(rows, "resource", tuple(UNITS), np.array([""]))
    _or(rows, "ledger", LEDGERS, np.array([""]))
    units = [UNITS.get(r, "") for r in rows.text("resource").to_pylist()]
    unit = _or(rows, "unit", tuple(dict.fromkeys(UNITS.values())), np.array(units, dtype=object))
    return rows.chunk(
        AGGREGATES, period_start=start, period_end=end, site=site_of(rows),
        project=rows.text("project"), resource=rows.text("resource"),
        ledger=rows.text("ledger"), quantity=rows.numbers("quantity", 0.0, MOST), unit=unit,
    )  # fmt: skip


def site_of(rows: Rows) -> pa.Array:
    """Return the site of each row: its own, or the one that was stated."""
    texts, stated = rows.text("site"), rows.reading.options["site"]
    return pc.if_else(pc.equal(texts, ""), stated, texts) if stated else texts


def _or(rows: Rows, name: str, known: tuple[str, ...], otherwise: np.ndarray) -> pa.Array:
    """Return a column of words, `otherwise` where it is empty."""
    rows.refuse(~rows.is_in(name, "", *known), name, "unknown word", "one of " + ", ".join(known))
    return words(rows.text(name), otherwise)
