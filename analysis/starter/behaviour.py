"""How users work, in numbers of the model: lengths of work that give the hours the data have."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from math import exp, expm1, floor, log, log1p, sqrt
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from analysis.starter.facts import ASSUMED, FROM_DATA, Number
from sim.units import FloatArray

LEAST_SIGMA, MOST_SIGMA = 0.1, 3.0  # shape of lengths; assumed
LEAST_H = 1.0 / 60.0
GPUS, CORES, RAM_GB = {1: 1.0}, {4: 1.0}, 8  # of a request where the data do not tell; assumed
KNOWN_JOBS = 50  # from so many on the data say how long work is and when it starts; assumed
WEIGHTS = {"evening_weight": 0.3, "night_weight": 0.05, "weekend_weight": 0.35}  # conf/behaviour


def batch_hours(held_h: FloatArray) -> dict[str, Number]:
    """Return the lognormal of work whose median and mean are those of the jobs.

    Args:
        held_h: How long jobs ran, h.
    """
    if not len(held_h):
        return {"burst_h": Number(1.0, ASSUMED), "burst_sigma": Number(1.5, ASSUMED)}
    median = max(float(np.median(held_h)), LEAST_H)
    mean = max(float(held_h.mean()), median)
    sigma = min(max(sqrt(2.0 * log(mean / median)), LEAST_SIGMA), MOST_SIGMA)
    said = f"{FROM_DATA}: {len(held_h):,} jobs, mean {mean:.3g} h"
    return {"burst_h": Number(median, said), "burst_sigma": Number(sigma, said)}


def in_a_row(hours: Mapping[str, Number], jobs: int) -> dict[str, Number]:
    """Return the lognormal whose mean and variance are those of so many jobs one after another.

    >>> one = {"burst_h": Number(1.0, ""), "burst_sigma": Number(1.0, "")}
    >>> round(batch_mean_h(in_a_row(one, 5)) / batch_mean_h(one), 9)
    5.0
    """
    sigma = hours["burst_sigma"].value
    wide = sqrt(log1p(expm1(sigma**2) / jobs))
    median = jobs * batch_mean_h(hours) * exp(-(wide**2) / 2.0)
    said = f"{hours['burst_h'].source}; {jobs} of them in a row"
    return {"burst_h": Number(median, said), "burst_sigma": Number(wide, said)}


def platform_hours(held_h: FloatArray, demand: Mapping[str, Any]) -> dict[str, Number]:
    """Return the lengths of conf/behaviour.yaml, scaled so that deployments are held as long.

    Args:
        held_h: How long deployments were held, h; none if it is not known.
        demand: The section of that name.
    """
    ratio, said = 1.0, f"{ASSUMED}, conf/behaviour.yaml"
    if len(held_h):
        mean = max(float(held_h.mean()), LEAST_H)
        ratio = mean / platform_mean_h(demand)
        said = f"{ASSUMED}, scaled by {ratio:.3g} to the mean of {mean:.3g} h {FROM_DATA}"
    return {name: Number(demand[name] * ratio, said) for name in ("burst_h", "gap_h", "hold_h")}


def platform_mean_h(demand: Mapping[str, Any]) -> float:
    """Return about how long a deployment is held, h: bursts, pauses, and the time to release."""
    d = demand
    bursts = d["bursts_mean"] * d["burst_h"] * exp(d["burst_sigma"] ** 2 / 2.0)
    pauses = (d["bursts_mean"] - 1.0) * d["gap_h"] * exp(d["gap_sigma"] ** 2 / 2.0)
    forgotten = d["forget_frac"] * d["hold_h"] * exp(d["hold_sigma"] ** 2 / 2.0)
    return float(bursts + pauses + forgotten + (1.0 - d["forget_frac"]) * d["prompt_delay_h"])


def batch_mean_h(hours: Mapping[str, Number]) -> float:
    """Return the mean length of work, h."""
    return hours["burst_h"].value * exp(hours["burst_sigma"].value ** 2 / 2.0)


def weighted_gpus(gpus: FloatArray, held_h: FloatArray) -> dict[int, float]:
    """Return weights of GPUs held, by hours: so the mean times the mean length gives all GPU-h.

    >>> weighted_gpus(np.array([1.0, 1.0, 8.0]), np.array([1.0, 1.0, 2.0]))
    {1: 0.5, 8: 0.5}
    """
    whole: NDArray[np.int64] = np.maximum(np.ceil(gpus), 1.0).astype(np.int64)
    hours = np.bincount(whole, weights=np.maximum(held_h, 1e-9))
    share = hours / hours.sum()
    found = {int(n): float(f"{share[n]:.4g}") for n in np.flatnonzero(share >= 5e-5)}
    return found or dict(GPUS)


def around(mean: float) -> dict[int, float]:
    """Return the two whole numbers around a mean, weighted to give it; at least 1.

    >>> around(2.25)
    {2: 0.75, 3: 0.25}
    """
    mean = round(max(mean, 1.0), 4)
    low, part = floor(mean), round(mean - floor(mean), 4)
    return {low: round(1.0 - part, 4), low + 1: part} if part else {low: 1.0}


def demand_defaults() -> dict[str, Any]:
    """Return the section `demand` of conf/behaviour.yaml."""
    text = (files("conf") / "behaviour.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text)["demand"])
