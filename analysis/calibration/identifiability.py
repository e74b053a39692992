"""What the figures identify: directions of the parameters in which the posterior is narrower."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import truncnorm

from analysis.calibration.priors import Z_LIMIT
from sim.units import FloatArray

PRIOR_SD = float(truncnorm(-Z_LIMIT, Z_LIMIT).std())  # of every parameter on the z scale
INFORMED = 0.9  # posterior over prior standard deviation; above it the figures taught nothing
NAMED = 4  # parameters named for a direction
HEAVY = 0.2  # least weight, in absolute value, of a parameter that is named


def directions(hypothesis: str, names: Sequence[str], z: FloatArray) -> pd.DataFrame:
    """Return the directions of z along which the posterior varies independently.

    Args:
        hypothesis: Copied into the table.
        names: Parameters.
        z: Posterior draws, shape (draws, parameters).

    Returns:
        hypothesis, direction (1 is the best known), ratio (posterior over prior standard
        deviation), share (of the log volume that the posterior is smaller by) and parameters:
        those with the largest weights, with sign. The prior is the same in all directions, so
        these are the eigenvectors of the posterior's covariance.
    """
    values, vectors = np.linalg.eigh(np.cov(z.T))
    ratio = np.sqrt(np.maximum(values, 0.0)) / PRIOR_SD
    gain = np.maximum(-np.log(ratio), 0.0)
    rows = []
    for k, vector in enumerate(vectors.T):
        order = np.argsort(-np.abs(vector))[:NAMED]
        sign = np.sign(vector[order[0]])
        parts = [
            f"{sign * vector[i]:+.2f} {names[i]}" for i in order if abs(vector[i]) >= HEAVY
        ]
        share = gain[k] / gain.sum() if gain.sum() else 0.0
        rows.append((hypothesis, k + 1, ratio[k], share, " ".join(parts)))
    columns = ["hypothesis", "direction", "ratio", "share", "parameters"]
    return pd.DataFrame(rows, columns=columns)
