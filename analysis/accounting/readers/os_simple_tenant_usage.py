"""Nova's `GET /os-simple-tenant-usage?detailed=1` (https://docs.openstack.org/api-ref/compute).

A record is a server of a project, with its flavor; it held what the flavor has from `started_at`
to `ended_at`, whatever its state (a stopped server keeps its place). Times are UTC, memory is in
MiB. `hours` are those within the period asked for and are checked against the times; servers that
began before count from their beginning. Nova knows no GPUs: a table of the user tells how many a
flavor has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.accounting.json_records import Shape
from analysis.accounting.json_records import rows as rows_of
from analysis.accounting.json_walk import found, values
from analysis.accounting.options import SITE, Option
from analysis.accounting.reading import Chunk, Reading
from analysis.accounting.rows import Rows, by_unique
from analysis.accounting.tables import JOBS, KINDS
from analysis.accounting.times import iso_times
from analysis.accounting.user_tables import user_table
from sim.errors import DataError
from sim.units import US_PER_H

SAYS = (
    "OpenStack: GET /os-simple-tenant-usage?detailed=1&start=…&end=… of Nova "
    "(https://docs.openstack.org/api-ref/compute)."
)
MAP = Option(
    "map", "file", None, "-",
    "table of flavors: name, gpus (of one server), and if you like gpu_model and kind (train or "
    "infer; train is assumed for flavors with GPUs)",
)  # fmt: skip
UNKNOWN = Option(
    "unknown_flavors", "choice", "refuse", "-",
    "what becomes of servers whose flavor is not in the table: GPUs would be lost unseen, so they "
    "are refused unless stated to have none",
    ("refuse", "no_gpus"),
)  # fmt: skip
OPTIONS = (MAP, UNKNOWN, SITE)
ROW = "record"
SHAPE = "JSON {tenant_usages: [{server_usages: [...]}]}, which detailed=1 returns"
KEYS = ("instance_id", "flavor", "vcpus", "memory_mb", "state", "started_at", "ended_at", "hours",
        "uptime", "tenant_id", "name", "local_gb")  # fmt: skip
STATE_OF = {
    "active": "running", "building": "running", "paused": "suspended", "suspended": "suspended",
    "stopped": "suspended", "rescued": "running", "resized": "running", "shelved": "suspended",
    "shelved_offloaded": "suspended", "soft-delete": "suspended", "deleted": "completed",
    "terminated": "completed", "error": "failed",
}  # fmt: skip
GB_PER_MIB = 2**20 / 1e9
MOST_UPTIME_S = 1.0e10  # assumed
TOLERANCE_H = 0.01  # by which hours may differ from the times; assumed, covers rounding
_BOUND = re.compile(rb'"(start|stop)"\s{0,9}:\s{0,9}"([^"\\]{1,40})"')
_HOUR = np.timedelta64(US_PER_H, "us")


def read(reading: Reading) -> Iterator[Chunk]:
    """Yield the servers of all files as jobs."""
    table, unknown = reading.options["map"], reading.options["unknown_flavors"]
    if table is None and unknown == "refuse":
        expected = "map=flavors.yaml with the GPUs of each, or unknown_flavors=no_gpus"
        raise DataError("no table of flavors", "map", expected)
    flavors = _flavors(table)
    reading.note("Times without an offset are UTC, as Nova has them")
    for path in reading.files:
        window, records = _window(path), values(path, _place(path), SHAPE)
        for rows in rows_of(reading, path, records, Shape(KEYS), SHAPE):
            yield _jobs(rows, flavors, window)


def _flavors(table: str | None) -> dict[str, dict[str, Any]]:
    columns = {"gpus": float, "gpu_model": str, "kind": KINDS[:2]}
    return user_table(table, columns, {"gpu_model": "", "kind": "train"}) if table else {}


def _place(path: Path) -> str:
    """Return where servers are: in an answer about all projects, or about one."""
    for prefix in ("tenant_usages.item.server_usages.item", "tenant_usage.server_usages.item"):
        for _ in values(path, prefix, SHAPE):
            return prefix
    raise DataError("no servers in it", str(path), SHAPE)


def _window(path: Path) -> list[np.datetime64]:
    """Return when the period that was asked for begins and ends; NaT where that is not told.

    It is the same for all projects of an answer, but may stand behind their servers.
    """
    told: dict[bytes, str] = {}
    for match in found(path, _BOUND):
        told.setdefault(match[1], match[2].decode("utf-8", errors="replace"))
        if len(told) == 2:
            break
    texts = pa.array([told.get(b"start"), told.get(b"stop")], pa.string())
    return list(iso_times(texts, "UTC").utc)


def _jobs(rows: Rows, flavors: dict[str, dict[str, Any]], window: list[np.datetime64]) -> Chunk:
    rows.need("instance_id", "flavor", "state")
    states, which = by_unique(rows.text("state"), lambda s: STATE_OF.get(s.lower(), ""))
    state = np.array(states, dtype=object)[which]
    rows.refuse(state == "", "state", "unknown state", "a state of Nova's servers")
    start, end = (rows.times(name, "UTC") for name in ("started_at", "ended_at"))
    _check_hours(rows, start, end, window)
    ended = ~np.isnat(end) & (state != "failed")
    state = np.where(ended, "completed", state)
    rows.refuse((state == "completed") & np.isnat(end), "ended_at", "no end of a server that ended",
                "a time")  # fmt: skip
    return rows.chunk(
        JOBS, job_id=rows.text("instance_id"), project=rows.text("tenant_id"),
        site=rows.reading.options["site"], start_utc=start, end_utc=end, state=state,
        cpus=rows.numbers("vcpus", 0.0, np.inf),
        mem_gb=rows.numbers("memory_mb", 0.0, np.inf, missing=np.nan) * GB_PER_MIB,
        **_gpus(rows, flavors),
    )  # fmt: skip


def _check_hours(
    rows: Rows, start: NDArray, end: NDArray, window: list[np.datetime64]
) -> None:  # fmt: skip
    """Refuse servers whose hours are not those of their times, within the period asked for."""
    hours = rows.numbers("hours", 0.0, np.inf)
    up = rows.numbers("uptime", 0.0, MOST_UPTIME_S, missing=np.nan)
    up[~(up <= MOST_UPTIME_S)] = np.nan
    asked = start + np.rint(np.nan_to_num(up) * 1e6).astype("m8[us]")
    asked[np.isnan(up)] = np.datetime64("NaT")
    running = rows.keep & np.isnat(end)
    rows.reading.saw(asked[running])
    last = np.where(np.isnat(end), asked, end)
    within = np.fmin(last, window[1]) - np.fmax(start, window[0])
    off_h = np.maximum(within / _HOUR, 0.0) - hours
    off_h[np.isnat(start) | np.isnat(last)] = 0.0  # nothing to check it against
    if np.isnat(window).any():
        off_h = np.minimum(off_h, 0.0)
    rows.refuse(
        np.abs(off_h) > TOLERANCE_H, "hours", "not the hours from start to end",
        "the time from started_at to ended_at within the period asked for",
    )  # fmt: skip
    rows.reading.note(
        "Servers that began before the period asked for: they count from their beginning, in "
        "months of which others may be missing", ((start < window[0]) & rows.keep).sum(),
    )  # fmt: skip


def _gpus(rows: Rows, flavors: dict[str, dict[str, Any]]) -> dict[str, NDArray | pa.Array]:
    """Return GPUs, their model and the kind of job by flavor."""
    none = {"gpus": 0.0, "gpu_model": "", "kind": "cpu"}
    named, which = by_unique(rows.text("flavor"), flavors.get)
    unknown = np.array([flavor is None for flavor in named], dtype=bool)[which]
    if rows.reading.options["unknown_flavors"] == "refuse":
        rows.refuse(unknown, "flavor", "not in the table of flavors",
                    "a name of map=, or unknown_flavors=no_gpus")  # fmt: skip
    rows.reading.note("Servers of a flavor that is not in the table: no GPUs (unknown_flavors)",
                      (unknown & rows.keep).sum())  # fmt: skip
    known = [flavor or none for flavor in named]
    gpus = np.array([flavor["gpus"] for flavor in known])[which]
    texts = {
        name: pa.array([str(f[name]) for f in known], pa.string()).take(pa.array(which))
        for name in ("gpu_model", "kind")
    }
    kind = np.where(gpus > 0.0, np.array(texts["kind"].to_pylist(), dtype=object), "cpu")
    return {"gpus": gpus, "gpu_model": texts["gpu_model"], "kind": kind}
