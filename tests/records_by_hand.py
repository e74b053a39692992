"""Deployment records as an operator hands them over, made from a run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from sim.runner import RunResult


def write_log(result: RunResult, path: Path) -> None:
    """Write the GPU deployments of a run as a file of records."""
    frame = result.deployments_frame()
    frame = frame[(frame["gpus"] > 0) & frame["started_h"].notna()]
    start = pd.Timestamp(result.spec.federation.calendar.start_utc)
    held = frame["released_h"] - frame["started_h"]

    def clock(hours: pd.Series) -> pd.Series:
        return (start + pd.to_timedelta(hours, unit="h")).dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    pd.DataFrame(
        {
            "start_utc": clock(frame["started_h"]),
            "end_utc": clock(frame["released_h"]).fillna(""),
            "gpus": frame["gpus"],
            "utilisation": (frame["active_h"] / held).clip(0.0, 1.0),
        }
    ).to_csv(path, index=False)
