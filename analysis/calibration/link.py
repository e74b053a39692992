"""The curve between a polynomial and an emulated output.

GPU hours stop growing where a site is full, and logarithms of something near zero stop falling: a
polynomial of the parameters cannot stop. A smooth curve behind it can: a cubic spline with straight
tails, one for each output, fitted to what the polynomial says of runs that were left out.

Sources: F. Harrell, Regression Modeling Strategies, 2nd ed. (2015), 2.4.5 (restricted cubic
splines); H. Ichimura, J. Econometrics 58 (1993) 71 (a curve behind a linear index).
"""

from __future__ import annotations

import numpy as np

from sim.units import FloatArray

AT = (0.05, 0.275, 0.5, 0.725, 0.95)  # quantiles at which knots stand (Harrell's five)
KNOTS = len(AT)
NUMBERS = KNOTS - 1  # a curve has beyond a polynomial's own level
FLATTEST, STEEPEST = 0.3, 4.0  # slopes by which a refit divides; assumed, they bound its steps
FARTHEST = 2.0  # of a step of a refit, on the polynomial's scale; assumed


def straight(outputs: int) -> FloatArray:
    """Return the curve that changes nothing, for each of the outputs.

    A curve is a column: knots, level, slope, and a weight for the cube beyond each knot.
    """
    link = np.zeros((2 * KNOTS + 2, outputs))
    link[KNOTS + 1] = 1.0
    return link


def bent(eta: FloatArray, link: FloatArray | None) -> FloatArray:
    """Return outputs, shape (points, outputs), of polynomials `eta` of the same shape.

    Without curves (None) they are the polynomials themselves.
    """
    if link is None:
        return eta
    found = link[KNOTS] + link[KNOTS + 1] * eta
    for knot, weight in zip(link[:KNOTS], link[KNOTS + 2 :], strict=True):
        beyond = np.maximum(eta - knot, 0.0)
        found += weight * (beyond * beyond * beyond)
    return found


def slope(eta: FloatArray, link: FloatArray | None) -> FloatArray:
    """Return by how much outputs grow with their polynomials, in the shape of `eta`."""
    if link is None:
        return np.ones_like(eta)
    found = np.broadcast_to(link[KNOTS + 1], eta.shape).copy()
    for knot, weight in zip(link[:KNOTS], link[KNOTS + 2 :], strict=True):
        found += 3.0 * weight * np.maximum(eta - knot, 0.0) ** 2
    return found


def fit_link(eta: FloatArray, outputs: FloatArray, weight: FloatArray) -> FloatArray:
    """Fit a curve for each output by weighted least squares.

    Args:
        eta: Polynomials at left-out runs, shape (runs, outputs).
        outputs: Logged outputs, same shape.
        weight: Of each run, shape (runs,).
    """
    link = straight(outputs.shape[1])
    root = np.sqrt(weight)
    for i, (x, y) in enumerate(zip(eta.T, outputs.T, strict=True)):
        knots = np.quantile(x, AT)
        if np.diff(knots).min() <= 0.0:
            continue
        tails = _tails(knots)
        cubes = np.maximum(x[:, None] - knots, 0.0) ** 3 @ tails
        basis = np.column_stack([np.ones(len(x)), x, cubes])
        found = np.linalg.lstsq(basis * root[:, None], y * root, rcond=None)[0]
        link[:, i] = np.concatenate([knots, found[:2], tails @ found[2:]])
    return link


def _tails(knots: FloatArray) -> FloatArray:
    """Return the combinations of cubes that leave both tails straight; (knots, knots - 2)."""
    last, before = knots[-1], knots[-2]
    tails = np.zeros((KNOTS, KNOTS - 2))
    for j in range(KNOTS - 2):
        tails[j, j] = 1.0
        tails[-2, j] = -(last - knots[j]) / (last - before)
        tails[-1, j] = (before - knots[j]) / (last - before)
    return tails / (last - knots[0]) ** 2


def refit_to(eta: FloatArray, outputs: FloatArray, link: FloatArray) -> FloatArray:
    """Return what the polynomial has to be so that its curve hits the outputs (a Newton step)."""
    away = (outputs - bent(eta, link)) / np.clip(slope(eta, link), FLATTEST, STEEPEST)
    return eta + np.clip(away, -FARTHEST, FARTHEST)
