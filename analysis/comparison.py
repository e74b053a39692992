"""Reported figures beside simulated ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.hypotheses import Target
from sim.units import FloatArray

COLUMNS = [
    "hypothesis",
    "id",
    "period",
    "site",
    "metric",
    "resource",
    "ledger",
    "unit",
    "reported",
    "p05",
    "p50",
    "p95",
    "error_frac",
    "inside",
]


def compare(
    hypothesis: str,
    targets: Sequence[Target],
    simulated: FloatArray,
    noise: Sequence[float],
    seed: int = 0,
) -> pd.DataFrame:
    """Compare simulated with reported figures.

    Args:
        hypothesis: The reading.
        targets: The figures fitted under it.
        simulated: Values, shape (runs, targets), in the figures' units.
        noise: Standard deviation of the logarithm of each reported figure, shape (targets,).
        seed: Seed of the reporting noise.

    Returns:
        One row a figure: reported value, posterior predictive median and 90 % interval (the
        simulated value times its reporting noise), error of the median as a share of the reported
        value, and whether the interval contains it.
    """
    random = np.random.Generator(np.random.Philox(seed))
    spread = np.exp(random.standard_normal(simulated.shape) * np.asarray(noise))
    low, middle, high = np.quantile(simulated * spread, [0.05, 0.5, 0.95], axis=0)
    rows = [
        (
            hypothesis,
            t.id,
            t.period,
            t.site,
            t.metric,
            t.resource,
            t.ledger,
            t.unit,
            t.value,
            low[i],
            middle[i],
            high[i],
            middle[i] / t.value - 1.0,
            bool(low[i] <= t.value <= high[i]),
        )
        for i, t in enumerate(targets)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)
