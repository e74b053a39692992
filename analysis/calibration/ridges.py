"""Ridge regressions of many outputs on the same terms, judged by runs that are left out.

Sources: A. Hoerl and R. Kennard, Technometrics 12 (1970) 55; left-out values in closed form:
D. Allen, ibid. 16 (1974) 125; outputs that learn from each other: L. Breiman and J. Friedman,
J. R. Statist. Soc. B 59 (1997) 3.
"""

from __future__ import annotations

import numpy as np

from sim.units import FloatArray

RIDGES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)  # of standardised higher terms
MIX_RIDGE = 10.0  # of what outputs learn from each other; assumed
LINEAR_RIDGE = 1.0  # of standardised linear terms; assumed, small against the number of runs


class Ridges:
    """Weighted ridge regressions under all penalties; the constant is not penalised.

    Args:
        x: Terms, the constant first and then the linear ones, shape (runs, terms).
        weight: Of each run, shape (runs,).
        linear: Number of linear terms.
        judges: The runs by which penalties are chosen.
    """

    def __init__(self, x: FloatArray, weight: FloatArray, linear: int, judges: slice) -> None:
        scale = np.sqrt((x**2).mean(axis=0))
        self.scale = np.where(scale > 0.0, scale, 1.0)  # terms of parameters that exclude others
        self.x, self.weight, self.judges = x / self.scale, weight, judges
        gram = self.x.T @ (self.x * weight[:, None])
        self.solvers = []
        for ridge in RIDGES:
            penalty = np.full(len(gram), ridge)
            penalty[0], penalty[1 : 1 + linear] = 0.0, LINEAR_RIDGE
            inverse = np.linalg.inv(gram + np.diag(penalty))
            lever = weight * ((self.x @ inverse) * self.x).sum(axis=1)
            self.solvers.append((inverse, np.maximum(1.0 - lever, 1e-6)[:, None]))

    def solve(self, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Fit each column of y under the penalty that predicts left-out judges best.

        Returns:
            Coefficients, fitted values, and values of left-out runs.
        """
        mean = np.average(y, axis=0, weights=self.weight)
        right = self.x.T @ ((y - mean) * self.weight[:, None])
        best = np.full(y.shape[1], np.inf)
        solved, left_out = np.empty_like(right), np.empty_like(y)
        for inverse, free in self.solvers:
            tried = inverse @ right
            residual = (y - mean - self.x @ tried) / free
            error = (residual[self.judges] ** 2).mean(axis=0)
            better = error < best
            best[better] = error[better]
            solved[:, better], left_out[:, better] = tried[:, better], (y - residual)[:, better]
        coefficients = solved / self.scale[:, None]
        coefficients[0] += mean
        mix, left_out = self._mix(y, left_out)
        fitted = (mean + self.x @ solved) @ mix[1:] + mix[0]
        coefficients = coefficients @ mix[1:]
        coefficients[0] += mix[0]
        return coefficients, fitted, left_out

    def _mix(self, y: FloatArray, left_out: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Let outputs learn from each other: regress each on what was said of all.

        What one output's penalty held down another's fit may have seen. Without this, residuals go
        with the fits of other outputs, and figures seem to say less about quantities than they do.

        Returns:
            Constants and weights, shape (1 + outputs, outputs), and left-out values under them.
        """
        centre, size = left_out.mean(axis=0), left_out.std(axis=0) + 1e-12
        x = np.column_stack([np.ones(len(y)), (left_out - centre) / size])
        gram = x.T @ (x * self.weight[:, None])
        penalty = np.full(len(gram), MIX_RIDGE)
        penalty[0] = 0.0
        inverse = np.linalg.inv(gram + np.diag(penalty))
        solved = inverse @ (x.T @ ((y - left_out) * self.weight[:, None]))
        lever = self.weight * ((x @ inverse) * x).sum(axis=1)
        residual = (y - left_out - x @ solved) / np.maximum(1.0 - lever, 1e-6)[:, None]
        solved[1:] /= size[:, None]
        solved[0] -= centre @ solved[1:]
        solved[1:] += np.eye(y.shape[1])
        return solved, y - residual
