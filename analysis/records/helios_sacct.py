"""Writes the GPU jobs of the Venus cluster (Helios) as Slurm's accounting would have printed them.

The file is derived, not an export of that cluster: it has the columns of `sacct -X -P`, and in them
what the data tell. Users, accounts, cores and memory are not in the data and stay empty; jobs start
when they are submitted, and all count as completed (both assumed: waits and final states are not
in the data). Durations were cut to 48 h before; the date of the first job is assumed
(`analysis.records.helios`). Source and licence of the data: scenarios/measurements/README.md.

`python -m analysis.records.helios_sacct venus.sacct [every=N]`
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import pandas as pd

from analysis.records.helios import ORIGIN, TIME_ZONE, read_jobs
from analysis.storing import write_text
from sim.errors import AiaasError, ConfigError

COLUMNS = (
    "JobIDRaw", "User", "Account", "Partition", "State", "Submit", "Start", "End", "ElapsedRaw",
    "NCPUS", "AllocTRES",
)  # fmt: skip
PARTITION = "venus"
_TIME = "%Y-%m-%dT%H:%M:%S"  # of the site's clock, as sacct prints it; that zone has no summer time


def sacct_of(jobs: pd.DataFrame) -> str:
    """Return jobs as the text of `sacct -X -P`.

    Args:
        jobs: As `analysis.records.helios.read_jobs` returns them; times in whole seconds.
    """
    submitted = pd.Timestamp(ORIGIN) + pd.to_timedelta(jobs["arrival_s"], unit="s")
    start = submitted.dt.tz_convert(TIME_ZONE)
    end = start + pd.to_timedelta(jobs["service_sec"], unit="s")
    rows = pd.DataFrame(
        {
            "JobIDRaw": jobs["job_id"].str.replace("#", "_"),
            "User": "",
            "Account": "",
            "Partition": PARTITION,
            "State": "COMPLETED",
            "Submit": start.dt.strftime(_TIME),
            "Start": start.dt.strftime(_TIME),
            "End": end.dt.strftime(_TIME),
            "ElapsedRaw": jobs["service_sec"].astype("int64"),
            "NCPUS": "",
            "AllocTRES": "gres/gpu=" + jobs["gpu_count"].astype(str),
        }
    )
    return rows[list(COLUMNS)].to_csv(sep="|", index=False, lineterminator="\n")


def main(arguments: list[str]) -> int:
    """Write the file; returns the exit code."""
    try:
        path, every = _asked(arguments)
        jobs = read_jobs().iloc[::every]
        write_text(sacct_of(jobs), path)
    except AiaasError as error:
        print(f"helios_sacct: {error}", file=sys.stderr)
        return 2
    last = ORIGIN + timedelta(seconds=float(jobs["arrival_s"].max()))
    share = "all jobs" if every == 1 else f"every {every}th job"
    print(
        f"{path}: {len(jobs):,} jobs with GPUs ({share}), {ORIGIN:%Y-%m-%d} to {last:%Y-%m-%d}, "
        f"times of {TIME_ZONE}; derived from HeliosData (CC BY 4.0), durations cut to 48 h"
    )
    return 0


def _asked(arguments: list[str]) -> tuple[Path, int]:
    plain = [a for a in arguments if "=" not in a]
    if len(plain) != 1:
        expected = "FILE [every=N]"
        raise ConfigError("no file", "helios_sacct", expected, " ".join(arguments))
    options = dict(a.split("=", 1) for a in arguments if "=" in a)
    for key in options:
        if key != "every":
            raise ConfigError("unknown option", key, "every", key, ["every"])
    text = options.get("every", "1")
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError("impossible share", "every", "a whole number of at least 1", text)
    return Path(plain[0]), int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
