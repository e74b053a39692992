"""Folders as `aiaas import` writes them, made by hand for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.accounting.spool import arrow_schema
from analysis.accounting.tables import SCHEMAS, frame_of


def times(*texts: str | None) -> np.ndarray:
    """Return UTC times; None for none."""
    return np.array(["NaT" if t is None else t for t in texts], dtype="datetime64[us]")


def import_folder(
    folder: Path,
    jobs: Mapping[str, Any] | None = None,
    aggregates: Mapping[str, Any] | None = None,
    until: str | None = None,
    **options: str,
) -> Path:
    """Write the tables and the manifest of an import; columns as `frame_of` takes them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns in {"jobs": jobs, "aggregates": aggregates}.items():
        columns = dict(columns or {})
        sized = [len(c) for c in columns.values() if not isinstance(c, str | float | int)]
        frame = frame_of(name, {"source": "sacct:x", **columns}, max(sized, default=0))
        if len(frame):
            SCHEMAS[name].validate(frame)
        table = pa.Table.from_pandas(frame, arrow_schema(name), preserve_index=False)
        pq.write_table(table, folder / f"{name}.parquet")
    manifest = {"verb": "import", "status": "finished", "options": options}
    if until is not None:
        manifest["until_utc"] = pd.Timestamp(until, tz="UTC").isoformat()
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def some_jobs(count: int, start: str, days: float, seed: int = 0, **more: Any) -> dict[str, Any]:
    """Return made-up jobs: starts spread evenly at random over some days, lognormal lengths."""
    random = np.random.default_rng(seed)
    begin = np.datetime64(start, "us")
    at = np.sort(random.uniform(0.0, days * 86_400.0, count)).astype(np.int64)
    held = np.rint(3600.0 * random.lognormal(1.0, 1.0, count)).astype(np.int64)
    first = begin + at.astype("timedelta64[s]")
    return {
        "job_id": np.arange(count).astype(str).astype(object),
        "user": np.array(["ada", "bob", "cyd"], dtype=object)[random.integers(0, 3, count)],
        "project": np.array(["vision", "speech"], dtype=object)[random.integers(0, 2, count)],
        "site": "North", "kind": "train", "state": "completed",
        "start_utc": first, "end_utc": first + held.astype("timedelta64[s]"),
        "gpus": random.choice([1.0, 1.0, 2.0, 4.0], count), "cpus": np.full(count, 4.0), **more,
    }  # fmt: skip
