"""A polynomial emulator: the expected logarithm of each output as a function of z.

Quadratic in all parameters with cubic terms of each, fitted by ridge regression to the design, and
behind it a curve (`link`) for outputs that level off. How much the higher terms are held down, and
whether there is a curve, is chosen, output by output, by what predicts a run that is left out best.
What the emulator leaves over (the spread between replicates and its own lack of fit) is
measured on left-out runs, too; its size may change with z, because outputs that can be near zero
scatter more there. It enters the likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from analysis.calibration.link import NUMBERS, bent, fit_link, refit_to, straight
from analysis.calibration.ridges import Ridges, folds_of
from sim.errors import DataError
from sim.units import FloatArray, IntArray

NEAR_WEIGHT = 5.0  # weight of a run near the posterior against one spread over the prior; assumed
REFITS = 2  # of the polynomial to the curve behind it; more changes nothing
SPREAD_RIDGE = 10.0  # of the linear terms of the logarithm of the residual's variance; assumed
SPREAD_FOLDS = 5  # fits that decide whether a residual's size changes with z
SMALLEST = 1e-4  # of a squared residual, relative to their mean: keeps its logarithm finite
RANGE = (0.01, 0.99)  # quantiles of the fitted logarithms beyond which they are cut off


@dataclass(frozen=True, eq=False)
class Emulator:
    """A fitted emulator.

    Args:
        coefficients: Shape (terms, outputs).
        residual_covariance: Covariance of left-out residuals, shape (outputs, outputs).
        held_back_rms: Root mean square of left-out residuals, shape (outputs,); logarithmic.
        held_back_r2: Share of the left-out variance explained, shape (outputs,).
        spread: Coefficients of log(sd / rms) of the residual in (1, z), shape (1 + parameters,
            outputs); None: the same everywhere.
        spread_range: Its lowest and highest value, shape (2, outputs); None with `spread`.
        link: Curves behind the polynomials, a column for each output; None: there are none.
    """

    coefficients: FloatArray
    residual_covariance: FloatArray
    held_back_rms: FloatArray
    held_back_r2: FloatArray
    spread: FloatArray | None = None
    spread_range: FloatArray | None = None
    link: FloatArray | None = None

    def predict(self, z: FloatArray) -> FloatArray:
        """Return expected outputs, shape (points, outputs), at z of shape (points, parameters)."""
        return bent(terms(z) @ self.coefficients, self.link)

    def stretch(self, z: FloatArray) -> FloatArray:
        """Return the residual's sd relative to its rms, shape (points, outputs)."""
        if self.spread is None or self.spread_range is None:
            return np.ones((len(z), self.coefficients.shape[1]))
        low, high = self.spread_range
        return np.exp(np.clip(self.spread[0] + z @ self.spread[1:], low, high))

    def only(self, outputs: IntArray) -> Emulator:
        """Return the emulator of some of the outputs, given by their positions."""
        parts = {
            name: None if (whole := getattr(self, name)) is None else whole[..., outputs]
            for name in (f.name for f in fields(self))
        }
        parts["residual_covariance"] = self.residual_covariance[np.ix_(outputs, outputs)]
        return Emulator(**parts)

    @cached_property
    def correlation(self) -> FloatArray:
        """Correlation of residuals, shape (outputs, outputs)."""
        sd = np.sqrt(np.maximum(np.diag(self.residual_covariance), 1e-300))
        return self.residual_covariance / np.outer(sd, sd)


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
    weight = np.where(np.arange(len(z)) < len(z) - near, 1.0, NEAR_WEIGHT)
    judges = slice(len(z) - near, None) if near else slice(None)
    coefficients, link, left_out = _fit(z, outputs, weight, judges)
    residual = left_out[judges]
    rms = np.sqrt((residual**2).mean(axis=0))
    sizes, limits = _sizes(z, left_out / np.maximum(rms, 1e-12), judges)
    scaled = residual / _stretched(z[judges], sizes, limits)
    covariance = scaled.T @ scaled / len(scaled)
    variance = np.maximum(outputs[judges].var(axis=0), 1e-12)
    return Emulator(
        coefficients=coefficients,
        residual_covariance=covariance,
        held_back_rms=rms,
        held_back_r2=1.0 - rms**2 / variance,
        spread=sizes,
        spread_range=limits,
        link=link,
    )


def _stretched(z: FloatArray, sizes: FloatArray, limits: FloatArray) -> FloatArray:
    return np.exp(np.clip(sizes[0] + z @ sizes[1:], limits[0], limits[1]))


def _fit(
    z: FloatArray, outputs: FloatArray, weight: FloatArray, judges: slice
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fit polynomials and the curves behind them, in turns.

    Returns:
        For each output the coefficients and the curve under which left-out judges are predicted
        best, and the residuals of left-out runs under them.
    """
    ridges = Ridges(terms(z), weight, z.shape[1], judges, folds_of(z))
    coefficients, eta, left_out = ridges.solve(outputs)
    link = curve = straight(outputs.shape[1])
    found, residual = coefficients, outputs - left_out
    chance = 1.0 + 2.0 * NUMBERS / len(residual[judges])  # what a curve gains by chance
    best = (residual[judges] ** 2).mean(axis=0)
    for turn in range(1 + REFITS):
        if turn:
            coefficients, eta, left_out = ridges.solve(refit_to(eta, outputs, curve))
        curve = fit_link(left_out, outputs, weight)
        tried = outputs - bent(left_out, curve)
        error = chance * (tried[judges] ** 2).mean(axis=0)
        better = error < best
        best[better] = error[better]
        found = np.where(better, coefficients, found)
        link, residual = np.where(better, curve, link), np.where(better, tried, residual)
    return found, link, residual


def _sizes(
    z: FloatArray, standardised: FloatArray, judges: slice
) -> tuple[FloatArray, FloatArray]:
    """Fit log(sd) of standardised residuals in (1, z), where that predicts left-out ones better.

    Returns:
        Coefficients, shape (1 + parameters, outputs), and range of their values, shape (2,
        outputs); zeros for outputs whose residuals are of one size.

    Source: A. Harvey, Econometrica 44 (1976) 461 (multiplicative heteroscedasticity).
    """
    x = np.column_stack([np.ones(len(z)), z])
    logs = np.log(standardised**2 + SMALLEST)
    fold = np.arange(len(z)) % SPREAD_FOLDS
    gain = np.zeros(standardised.shape[1])
    for k in range(SPREAD_FOLDS):
        back = np.zeros(len(z), dtype=bool)
        back[judges] = True
        back &= fold == k
        sizes, limits = _size_fit(x[fold != k], logs[fold != k], standardised[fold != k])
        sd = _stretched(z[back], sizes, limits)
        square = standardised[back] ** 2
        gain += (0.5 * square - 0.5 * square / sd**2 - np.log(sd)).sum(axis=0)
    sizes, limits = _size_fit(x, logs, standardised)
    even = gain <= 0.0
    sizes[:, even], limits[:, even] = 0.0, 0.0
    return sizes, limits


def _size_fit(
    x: FloatArray, logs: FloatArray, standardised: FloatArray
) -> tuple[FloatArray, FloatArray]:
    penalty = np.full(x.shape[1], SPREAD_RIDGE)
    penalty[0] = 0.0
    half = 0.5 * np.linalg.solve(x.T @ x + np.diag(penalty), x.T @ logs)
    fitted = x @ half
    limits = np.quantile(fitted, RANGE, axis=0)
    ratio = standardised / np.exp(np.clip(fitted, limits[0], limits[1]))
    level = 0.5 * np.log(np.maximum((ratio**2).mean(axis=0), 1e-300))  # 0 of what is constant
    half[0] += level
    return half, limits + level
