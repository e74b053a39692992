"""Records of another platform: the GPU jobs of the Venus cluster (Helios), durations and rhythm.

Batch jobs, not deployments: they end when their script ends. What they can tell is how long such
work takes and when people start it; what nobody computes in a held deployment they do not show.

Source: Q. Hu et al., SC '21, doi:10.1145/3458817.3476223 (HeliosData, CC BY 4.0); columns reduced
and durations clamped at 48 h by mystous/gpu_scheduler. See scenarios/measurements/README.md.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtri

from analysis.calibration.priors import quantile_to_z
from analysis.federations import Case
from analysis.records.reading import Deployments, Window, cut_to
from analysis.records.recovery import INTERVAL, Played
from analysis.records.rhythm import WEIGHTS, kinds_of_hours, rhythm_of
from analysis.records.summary import DURATIONS, NAMES, survival_quantiles
from sim.entities import Rhythm
from sim.errors import DataError
from sim.units import SECONDS_PER_H, WEEK_H

FILE = "helios_venus_gpu_jobs_48hclamp.csv.gz"
COLUMNS = ("job_id", "arrival_s", "service_sec", "gpu_count")
CLAMPED_H = 48.0  # h; longer durations were cut to this
COUNTRY, TIME_ZONE = "CN", "Asia/Shanghai"
# When arrival_s is 0; assumed, because the file does not say. Two days of every seven are quieter,
# and the quiet days of the first of May come where they should, only if that was a Wednesday, the
# 4th of March 2020; pauses fall at noon and at 18 h, and the last job comes minutes before a Sunday
# ends, if it was 4 in the morning in China.
ORIGIN = datetime(2020, 3, 3, 20, tzinfo=UTC)
ORIGIN_UNSURE_H = 1.0  # h
# Before the 18th of March there are only long jobs, those that still ran when the trace begins.
BEGINS = datetime(2020, 3, 22, 16, tzinfo=UTC)  # midnight in China, a Monday
WEEKS = 25


def read_jobs(path: Path | None = None) -> pd.DataFrame:
    """Read the jobs.

    Args:
        path: The file; None for the one that ships.

    Returns:
        job_id, arrival_s (s since `ORIGIN`), service_sec (s, at most 48 h) and gpu_count.

    Raises:
        DataError: When the file is missing or has other columns.
    """
    path = path or Path(str(files("scenarios"))) / "measurements" / FILE
    if not path.is_file():
        raise DataError("no such file", str(path), "the jobs of the Venus cluster")
    jobs = pd.read_csv(path)
    if tuple(jobs.columns) != COLUMNS:
        raise DataError("unknown columns", str(path), ", ".join(COLUMNS), ", ".join(jobs.columns))
    return jobs


def as_deployments(jobs: pd.DataFrame, shift_h: float = 0.0) -> Deployments:
    """Return the jobs of whole weeks as records; their utilisation is not known.

    Args:
        jobs: As `read_jobs` returns them.
        shift_h: How much later than `ORIGIN` the trace begins, h.
    """
    window = Window(BEGINS, WEEKS * WEEK_H, TIME_ZONE)
    first = (ORIGIN + timedelta(hours=shift_h) - BEGINS) / timedelta(hours=1)
    start = jobs["arrival_s"].to_numpy(np.float64) / SECONDS_PER_H + first
    end = start + jobs["service_sec"].to_numpy(np.float64) / SECONDS_PER_H
    unknown = np.full(len(jobs), np.nan)
    return cut_to(window, start, end, jobs["gpu_count"].to_numpy(np.float64), unknown)


def durations(jobs: pd.DataFrame, case: Case, played: Played) -> pd.DataFrame:
    """Hold durations of jobs beside what the model expects before it has seen any figure.

    Returns:
        of, probability, and p05, p50 and p95 (h): the quantile of durations at that probability;
        for the model its interval over the prior, for the jobs the same three times.
    """
    rows: list[tuple[str, float, float, float, float]] = []
    one = jobs["gpu_count"] == 1
    kinds = {"jobs": jobs, "jobs on 1 GPU": jobs[one], "jobs on more GPUs": jobs[~one]}
    for name, mine in kinds.items():
        held = mine["service_sec"].to_numpy(np.float64) / SECONDS_PER_H
        found = survival_quantiles(held, held < CLAMPED_H, DURATIONS)
        rows += [(name, q, x, x, x) for q, x in zip(DURATIONS, found.tolist(), strict=True)]
    demand, prior = case.federation.demand, case.priors.priors.get("burst_length")
    z = quantile_to_z(np.array([INTERVAL[0], 0.5, INTERVAL[1]]))
    medians = prior.value(z) if prior else np.full(3, demand.burst_h)
    for q in DURATIONS:
        burst = medians * np.exp(demand.burst_sigma * ndtri(q))
        rows.append(("model: a burst in training", q, *burst.tolist()))
    first = played.figures + NAMES.index(f"duration_p{100 * DURATIONS[0]:02.0f}")
    for place, q in enumerate(DURATIONS):
        held = np.exp(played.outputs[:, first + place])
        seen = np.quantile(held, (INTERVAL[0], 0.5, INTERVAL[1]))
        rows.append(("model: a deployment", q, *seen.tolist()))
    return pd.DataFrame(rows, columns=["of", "probability", "p05", "p50", "p95"])


def rhythms(jobs: pd.DataFrame, rhythm: Rhythm) -> pd.DataFrame:
    """Estimate the rhythm of the jobs, also if the trace began earlier or later than assumed.

    Returns:
        The columns of `rhythm_of` and shift_h, GPUs (all, 1, more).
    """
    one = jobs["gpu_count"] == 1
    parts = [
        rhythm_of(as_deployments(mine, shift_h), rhythm, COUNTRY).assign(shift_h=shift_h, gpus=gpus)
        for gpus, mine, shift_h in (
            ("all", jobs, 0.0),
            ("all", jobs, -ORIGIN_UNSURE_H),
            ("all", jobs, ORIGIN_UNSURE_H),
            ("1", jobs[one], 0.0),
            ("more", jobs[~one], 0.0),
        )
    ]
    return pd.concat(parts, ignore_index=True)


def by_hour(jobs: pd.DataFrame, rhythm: Rhythm) -> pd.DataFrame:
    """Return how many jobs start in each local hour beside the model's configured rhythm.

    Returns:
        hour, day (Monday to Friday, weekend), jobs and model: starts an hour relative to the mean
        of office hours from Monday to Friday.
    """
    found = as_deployments(jobs)
    weekend, hour = found.weekday >= 5, found.hour
    kinds = kinds_of_hours(rhythm)
    weight = np.array([1.0, *(getattr(rhythm, name) for name in WEIGHTS[:2])])[kinds]
    counts = {
        "Monday to Friday": np.bincount(hour[~weekend], minlength=24) / 5.0,
        "weekend": np.bincount(hour[weekend], minlength=24) / 2.0,
    }
    office = counts["Monday to Friday"][kinds == 0].mean()
    free = {"Monday to Friday": 1.0, "weekend": rhythm.weekend_weight}
    parts = [
        pd.DataFrame(
            {"hour": np.arange(24), "day": day, "jobs": count / office, "model": weight * free[day]}
        )
        for day, count in counts.items()
    ]
    return pd.concat(parts, ignore_index=True)
