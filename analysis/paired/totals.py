"""Whether totals stayed when idleness was changed: the table of worlds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.federations import Case
from analysis.frames import AVERAGED
from analysis.hypotheses import targets
from analysis.paired.estimates import Sample
from analysis.paired.results import SPREAD, Played, Results, described, filled
from analysis.paired.tables import WORLDS
from sim.timeline import months_of
from sim.units import LEDGERS, FloatArray

HELD, BUSY = LEDGERS.index("allocated"), LEDGERS.index("active")


def totals(results: Results, case: Case) -> dict[str, pd.DataFrame]:
    """Return the table of worlds, by file: the baseline's idle share and totals by period.

    Args:
        results: What was played.
        case: The federation with its figures.
    """
    reported = case.federation.reported_months
    periods = {}
    if reported:
        last = case.federation.calendar.periods(reported)[-1]
        periods[last] = months_of(last)
    periods[f"M{results.months.start}-M{results.months.stop - 1}"] = results.months
    parts = []
    for played, name, mine, sample in results.each():
        of = dict(results.readings(results.calibrated))[name]
        for period, months in periods.items():
            parts.append(
                {
                    "idle": played.idle, "hypothesis": name, "period": period,
                    **_wanted(results, played, name), **_simulated(played, mine, sample, months),
                    **_calibrated(results.calibrated, of, months),
                    "reported_gpu_h": [_reported(case, results, name, period)],
                }
            )  # fmt: skip
            part = parts[-1]
            part["ratio"] = part["gpu_h_mean"] / part.pop("calibrated_mean")
    return {WORLDS.file: filled(WORLDS, parts)}


def _held(played: Played, mine: np.ndarray, months: range) -> tuple[FloatArray, FloatArray]:
    """Return allocated GPU-h of the baseline's worlds and the idle share of it, (worlds, 1)."""
    span = slice(months.start - 1, months.stop - 1)
    sums = played.gpu_h[played.baseline][mine, span].sum(axis=1)
    held, busy = sums[:, [HELD]], sums[:, [BUSY]]
    with np.errstate(invalid="ignore", divide="ignore"):
        return held, np.where(held > 0.0, 1.0 - busy / held, np.nan)


def _simulated(
    played: Played, mine: np.ndarray, sample: Sample, months: range
) -> dict[str, FloatArray]:
    held, idle = (described(x, sample) for x in _held(played, mine, months))
    return {f"gpu_h_{k}": held[k] for k in SPREAD} | {f"idle_share_{k}": idle[k] for k in SPREAD}


def _calibrated(played: Played, mine: np.ndarray, months: range) -> dict[str, FloatArray]:
    sample = played.sample.where(mine)
    held, idle = (described(x, sample) for x in _held(played, mine, months))
    return {
        "calibrated_gpu_h_p50": held["p50"],
        "calibrated_idle_share_p50": idle["p50"],
        "calibrated_mean": held["mean"],
    }


def _wanted(results: Results, played: Played, name: str) -> dict[str, Any]:
    chosen = [
        (list(results.hypotheses).index(draw.hypothesis), share)
        for draw, share in zip(results.draws, results.shares[played.idle], strict=True)
        if name in (AVERAGED, draw.hypothesis) and share is not None
    ]
    if not chosen:
        return {f"wanted_{k}": np.nan for k in SPREAD}
    stratum, shares = (np.array(x) for x in zip(*chosen, strict=True))
    sample = Sample(stratum, np.arange(len(stratum)), np.array([*results.hypotheses.values()]))
    found = described(shares[:, None], sample)
    return {f"wanted_{k}": found[k] for k in SPREAD}


def _reported(case: Case, results: Results, name: str, period: str) -> float:
    """Return the allocated GPU-h that a reading sees in a reported period, NaN if none."""
    names = list(results.hypotheses) if name == AVERAGED else [name]
    weights = np.array([results.hypotheses[n] for n in names])
    found = np.array([_read(case, n, period) for n in names])
    return float(weights @ found / weights.sum())


def _read(case: Case, name: str, period: str) -> float:
    mine = [
        t
        for t in targets(case.observations, case.hypotheses.hypotheses[name])
        if (t.metric, t.resource, t.ledger, t.period) == ("usage", "gpu", "allocated", period)
    ]
    whole = [t.value for t in mine if t.site == "all"]
    return whole[0] if whole else float(np.sum([t.value for t in mine])) if mine else np.nan
