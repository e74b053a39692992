"""A polynomial emulator: the expected logarithm of each output as a function of z.

Quadratic in all parameters with cubic terms of each, fitted by ridge regression to the design.
What it leaves over (the spread between replicates and its own lack of fit) is measured on runs
held back from the fit and enters the likelihood as a covariance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.errors import DataError
from sim.units import FloatArray, IntArray

FOLDS = 5  # every run is held back from one of so many fits
NEAR_WEIGHT = 5.0  # weight of a run near the posterior against one spread over the prior; assumed
RIDGE = 1.0  # penalty on standardised coefficients; assumed, small against the number of runs


@dataclass(frozen=True, eq=False)
class Emulator:
    """A fitted emulator.

    Args:
        coefficients: Shape (terms, outputs).
        residual_covariance: Covariance of held-back residuals, shape (outputs, outputs).
        held_back_rms: Root mean square of held-back residuals, shape (outputs,); logarithmic.
        held_back_r2: Share of the held-back variance explained, shape (outputs,).
    """

    coefficients: FloatArray
    residual_covariance: FloatArray
    held_back_rms: FloatArray
    held_back_r2: FloatArray

    def predict(self, z: FloatArray) -> FloatArray:
        """Return expected outputs, shape (points, outputs), at z of shape (points, parameters)."""
        return terms(z) @ self.coefficients


def terms(z: FloatArray) -> FloatArray:
    """Return the polynomial terms of z: 1, z, z_i z_j, z**3; shape (points, terms)."""
    return _all_terms(z)[:, _distinct(z.shape[1])]


def spread(coefficients: FloatArray, parameters: int) -> FloatArray:
    """Return coefficients for `predict_fast`, in which z_i z_j and z_j z_i both have a place."""
    full = np.zeros((1 + 2 * parameters + parameters**2, coefficients.shape[1]))
    full[_distinct(parameters)] = coefficients
    return full


def predict_fast(z: FloatArray, full: FloatArray) -> FloatArray:
    """Return expected outputs from `spread` coefficients: no fancy indexing, for samplers."""
    return _all_terms(z) @ full


def _all_terms(z: FloatArray) -> FloatArray:
    points, parameters = z.shape
    products = (z[:, :, None] * z[:, None, :]).reshape(points, parameters**2)
    return np.concatenate([np.ones((points, 1)), z, products, z**3], axis=1)


def _distinct(parameters: int) -> IntArray:
    """Return the positions of the distinct terms among all of them."""
    i, j = np.triu_indices(parameters)
    products = 1 + parameters + i * parameters + j
    cubes = 1 + parameters + parameters**2 + np.arange(parameters)
    return np.concatenate([np.arange(1 + parameters), products, cubes])


def fit_emulator(z: FloatArray, outputs: FloatArray, near: int = 0) -> Emulator:
    """Fit the emulator to a design.

    Args:
        z: Points, shape (runs, parameters).
        outputs: Logged outputs, shape (runs, outputs).
        near: How many of the last runs lie where a first fit put the posterior. If there are any
            they weigh `NEAR_WEIGHT` times as much, and only they judge the emulator.

    Raises:
        DataError: When there are fewer runs than the polynomial needs to be checked.
    """
    if len(z) < 4 * z.shape[1]:
        raise DataError(
            "too few runs to fit and check an emulator",
            "calibrate.runs",
            f"at least {4 * z.shape[1]} per growth law",
            len(z),
        )
    x = terms(z)
    weight = np.where(np.arange(len(z)) < len(z) - near, 1.0, NEAR_WEIGHT)
    fold = np.arange(len(z)) % FOLDS
    residual = np.empty_like(outputs)
    for k in range(FOLDS):
        back = fold == k
        residual[back] = outputs[back] - x[back] @ _ridge(x[~back], outputs[~back], weight[~back])
    judges = slice(len(z) - near, None) if near else slice(None)
    covariance = residual[judges].T @ residual[judges] / len(residual[judges])
    variance = np.maximum(outputs[judges].var(axis=0), 1e-12)
    return Emulator(
        coefficients=_ridge(x, outputs, weight),
        residual_covariance=covariance,
        held_back_rms=np.sqrt(np.diag(covariance)),
        held_back_r2=1.0 - (residual[judges] ** 2).mean(axis=0) / variance,
    )


def _ridge(x: FloatArray, y: FloatArray, weight: FloatArray) -> FloatArray:
    """Return weighted ridge coefficients; the constant is not penalised."""
    mean = np.average(y, axis=0, weights=weight)
    scale = np.sqrt((x**2).mean(axis=0))
    scaled = x / scale
    gram = scaled.T @ (scaled * weight[:, None])
    penalty = np.full(len(gram), RIDGE)
    penalty[0] = 0.0
    right = scaled.T @ ((y - mean) * weight[:, None])
    solved = np.linalg.solve(gram + np.diag(penalty), right) / scale[:, None]
    solved[0] += mean
    return solved
