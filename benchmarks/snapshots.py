"""Reading a year of snapshots of ai4-accounting: MB a second from files to tables."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from analysis.accounting.exports.snapshots import snapshots_of, write_snapshots
from analysis.accounting.importing import import_as
from analysis.accounting.tables import JOBS, frame_of
from benchmarks.measure import Measure, at_least, seconds

JOBS_A_YEAR = 8000  # that hold for four days in the mean: 90 in a snapshot
LEAST_MB_PER_S = 20.0  # of JSON, asked for by the project
_DAY_US = 86_400_000_000


def throughput() -> list[Measure]:
    """Import six-hourly snapshots of a year."""
    with TemporaryDirectory(prefix="aiaas-bench-") as made:
        folder = Path(made)
        write_snapshots(snapshots_of(_jobs(), pd.Timestamp("2025-01-01", tz="UTC")), folder / "in")
        files = tuple(sorted((folder / "in").iterdir()))
        size_mb = sum(path.stat().st_size for path in files) / 1e6
        spent_s, done = seconds(lambda: import_as("ai4_accounting", files, {}, folder), times=2)
        assert done.rows["used"] == JOBS_A_YEAR, done.rows
    return [at_least("accounting.ai4_accounting", size_mb / spent_s, "MB/s", LEAST_MB_PER_S)]


def _jobs() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    first = np.datetime64("2024-01-01", "us").astype(np.int64)
    start = first + np.sort(rng.integers(1, 365 * _DAY_US, JOBS_A_YEAR))
    end = start + rng.exponential(4.0 * _DAY_US, JOBS_A_YEAR).astype(np.int64)
    columns = {
        "job_id": [f"{i:08x}-0000-4000-8000" for i in range(JOBS_A_YEAR)],
        "user": [f"{i % 300:064x}@egi.eu" for i in range(JOBS_A_YEAR)],
        "project": "ai4eosc", "site": "ifca", "kind": "train", "state": "completed",
        "submit_utc": start.view("M8[us]"), "start_utc": start.view("M8[us]"),
        "end_utc": end.view("M8[us]"), "gpus": 1.0, "cpus": 4.0, "source": "made",
    }  # fmt: skip
    return frame_of(JOBS, columns, JOBS_A_YEAR)
