"""OpenCost's `/allocation` JSON (core/pkg/opencost/allocation_json.go of opencost).

A record is what a namespace (or whatever the query aggregates by) held in a window: OpenCost
counts the greater of what was asked for and what was used, so allocated. Volumes are their size,
so provisioned. Three names are no namespace:

- `__idle__`: of the nodes, what nobody held. Provisioned, in windows that have it, is what all
  hold together and `__idle__`; it is of the empty project, which stands for all.
- `__unmounted__`: volumes that no pod mounts: provisioned like any other.
- `__unallocated__`: pods without what is aggregated by, such as a label: they hold what they hold
  (assumed: its documentation was not at hand).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.accounting.amounts import Amount, aggregates
from analysis.accounting.json_records import Shape
from analysis.accounting.json_records import rows as rows_of
from analysis.accounting.json_walk import members
from analysis.accounting.options import SITE
from analysis.accounting.reading import Chunk, Reading
from analysis.accounting.rows import Rows, words
from analysis.accounting.tables import AGGREGATES, MOST, UNITS, frame_of
from analysis.accounting.volumes import RULE, tb_months

SAYS = (
    "OpenCost: GET /allocation?window=…&step=1d&includeIdle=true "
    "(core/pkg/opencost/allocation_json.go)."
)
OPTIONS = (SITE,)
ROW = "record"
SHAPE = "JSON {data: [{name: allocation, ...}, ...]}"
KEYS = ("name", "start", "end", "cpuCoreHours", "gpuHours", "ramByteHours", "pvByteHours",
        "window_start", "window_end")  # fmt: skip
IDLE = "idle rows of a window, which are added to its first"
RATES = {"cpu": ("cpuCoreHours", 1.0), "gpu": ("gpuHours", 1.0), "memory": ("ramByteHours", 1e9)}
_VOLUMES = ("pvByteHours", 1e12)


def read(reading: Reading) -> Iterator[Chunk]:
    """Yield CPU-h, GPU-h, GB-h and TB-months of all files by name and window."""
    reading.note(f"Volumes are their size, not bytes kept: storage is provisioned. {RULE}")
    reading.note("Allocated is the greater of what was asked for and what was used, as in OpenCost")
    for path in reading.files:
        windows: list[pd.DataFrame] = []
        for rows in rows_of(reading, path, _records(path), Shape(KEYS), SHAPE):
            yield from _aggregates(rows, windows)
        yield from _provisioned(reading, path, pd.concat(windows))


def _records(path: Path) -> Iterator[Any]:
    for name, allocation in members(path, "data.item", SHAPE):
        if isinstance(allocation, dict):
            window = allocation.pop("window", None)
            for key in ("start", "end") if isinstance(window, Mapping) else ():
                allocation[f"window_{key}"] = window.get(key)
            allocation["name"] = name
        yield allocation


def _aggregates(rows: Rows, windows: list[pd.DataFrame]) -> Iterator[Chunk]:
    rows.need("name")
    start, end = (_times(rows, name) for name in ("start", "end"))
    rows.refuse(~(end > start), "end", "not later than start", "the end of the window",
                lambda row: f"{start[row]}, {end[row]}")  # fmt: skip
    names = [*RATES.items(), ("storage", _VOLUMES)]
    amounts = {
        resource: rows.numbers(key, 0.0, MOST * scale, missing=np.nan) / scale
        for resource, (key, scale) in names
    }
    idle = pc.match_substring_regex(rows.text("name"), r"(^|/)__idle__(/|$)")
    idle = idle.to_numpy(zero_copy_only=False)
    nothing = np.all([np.isnan(amounts[name]) for name in RATES], axis=0)
    rows.refuse(nothing & (idle | np.isnan(amounts["storage"])), "cpuCoreHours",
                "no amount in it", "hours of something")  # fmt: skip
    rows.reading.note(
        "__idle__ is what nobody held: with what all others hold it is provisioned (project: all)",
        (idle & rows.keep).sum(),
    )  # fmt: skip
    line = np.where(idle, rows.line, 0)
    rates = {name: amounts[name] for name in RATES}
    whole = pd.DataFrame({"start": start, "end": end, "line": line, **rates})[rows.keep]
    windows.append(whole.groupby(["start", "end", "line"], as_index=False).sum(min_count=1))
    amounts["storage"] = tb_months(amounts["storage"], start, end)
    known = [Amount(name, "allocated", np.where(idle, np.nan, amounts[name])) for name in RATES]
    volumes = np.where(idle & ~(amounts["storage"] > 0.0), np.nan, amounts["storage"])
    known.append(Amount("storage", "provisioned", volumes))
    yield aggregates(
        rows, known, period_start=start, period_end=end, site=rows.reading.options["site"],
        project=rows.text("name"),
    )  # fmt: skip


def _times(rows: Rows, name: str) -> NDArray[np.datetime64]:
    """Return when a row's window begins or ends; what ran in it may be shorter."""
    told = words(rows.text(f"window_{name}"), rows.text(name))
    return rows.instead(name, told).times(name, "UTC", missing=())


def _provisioned(reading: Reading, path: Path, whole: pd.DataFrame) -> Iterator[Chunk]:
    """Yield what nodes had, of what a window's idle rows tell; the first of them stands for it."""
    idle = whole[whole["line"] > 0].sort_values("line")
    first = idle.drop_duplicates(["start", "end"])
    reading.merge(path, np.setdiff1d(idle["line"], first["line"]), IDLE)
    sums = whole.drop(columns="line").groupby(["start", "end"], as_index=False).sum()
    told = idle.drop(columns="line").groupby(["start", "end"]).count().add_prefix("told ")
    windows = first[["start", "end", "line"]].merge(sums, on=["start", "end"])
    windows = windows.merge(told, on=["start", "end"])
    for resource in RATES:
        table = windows[windows[f"told {resource}"] > 0]
        columns = {
            "period_start": table["start"].to_numpy(), "period_end": table["end"].to_numpy(),
            "site": reading.options["site"], "resource": resource, "ledger": "provisioned",
            "quantity": table[resource].to_numpy(), "unit": UNITS[resource],
            "source": reading.source(path),
        }  # fmt: skip
        yield Chunk(AGGREGATES, frame_of(AGGREGATES, columns, len(table)), path,
                    table["line"].to_numpy(np.int64))  # fmt: skip
