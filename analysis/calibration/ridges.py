"""Ridge regressions of many outputs on the same terms, judged by runs that are left out.

Runs are left out by folds and not one by one: what all others say of one run goes against its own
noise, and outputs that learn from each other would take that for knowledge.

Sources: A. Hoerl and R. Kennard, Technometrics 12 (1970) 55; left-out values in closed form:
D. Allen, ibid. 16 (1974) 125, of folds: P. Zhang, Annals of Statistics 21 (1993) 299; outputs that
learn from each other: L. Breiman and J. Friedman, J. R. Statist. Soc. B 59 (1997) 3.
"""

from __future__ import annotations

import numpy as np

from sim.units import FloatArray, IntArray

RIDGES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)  # of standardised higher terms
MIX_RIDGE = 10.0  # of what outputs learn from each other; assumed
FOLDS = 10
LINEAR_RIDGE = 1.0  # of standardised linear terms; assumed, small against the number of runs


def folds_of(z: FloatArray) -> list[IntArray]:
    """Split runs into folds, replicates of the same point into the same one.

    Args:
        z: Points, shape (runs, parameters).

    Returns:
        The numbers of the runs of each fold.
    """
    _, point = np.unique(z, axis=0, return_inverse=True)
    mixed = np.random.Generator(np.random.Philox(0)).permutation(int(point.max()) + 1)
    fold = mixed[point.ravel()] % FOLDS
    return [np.flatnonzero(fold == k) for k in range(FOLDS)]


class Ridges:
    """Weighted ridge regressions under all penalties; the constant is not penalised.

    Args:
        x: Terms, the constant first and then the linear ones, shape (runs, terms).
        weight: Of each run, shape (runs,).
        linear: Number of linear terms.
        judges: The runs by which penalties are chosen.
        folds: The runs that are left out together.
    """

    def __init__(
        self, x: FloatArray, weight: FloatArray, linear: int, judges: slice, folds: list[IntArray]
    ) -> None:
        scale = np.sqrt((x**2).mean(axis=0))
        self.scale = np.where(scale > 0.0, scale, 1.0)  # terms of parameters that exclude others
        self.x, self.weight, self.judges, self.folds = x / self.scale, weight, judges, folds
        self.fits = []
        for ridge in RIDGES:
            penalty = np.full(x.shape[1], ridge)
            penalty[0], penalty[1 : 1 + linear] = 0.0, LINEAR_RIDGE
            self.fits.append(_Fit(self.x, weight, penalty, folds))

    def solve(self, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Fit each column of y under the penalty that predicts left-out judges best.

        Returns:
            Coefficients, fitted values, and values of left-out runs.
        """
        mean = np.average(y, axis=0, weights=self.weight)
        best = np.full(y.shape[1], np.inf)
        solved, left_out = np.empty((self.x.shape[1], y.shape[1])), np.empty_like(y)
        for fit in self.fits:
            tried, residual = fit.solve(y - mean)
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
        centre, size = left_out.mean(axis=0), y.std(axis=0) + 1e-12
        x = np.column_stack([np.ones(len(y)), (left_out - centre) / size])
        penalty = np.full(x.shape[1], MIX_RIDGE)
        penalty[0] = 0.0
        solved, residual = _Fit(x, self.weight, penalty, self.folds).solve(y - left_out)
        solved[1:] /= size[:, None]
        solved[0] -= centre @ solved[1:]
        solved[1:] += np.eye(y.shape[1])
        return solved, y - residual


class _Fit:
    """A weighted ridge regression, ready for any outputs."""

    def __init__(
        self, x: FloatArray, weight: FloatArray, penalty: FloatArray, folds: list[IntArray]
    ) -> None:
        weighted = x * weight[:, None]
        self.x, self.weighted, self.folds = x, weighted, folds
        self.inverse = np.linalg.inv(x.T @ weighted + np.diag(penalty))
        self.left = []  # what turns residuals of a fold into those of the fold left out
        for fold in folds:
            hat = x[fold] @ self.inverse @ weighted[fold].T
            self.left.append(np.linalg.inv(np.eye(len(fold)) - hat))

    def solve(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return coefficients, and residuals of runs that are left out with their fold."""
        solved = self.inverse @ (self.weighted.T @ y)
        residual = y - self.x @ solved
        for fold, left in zip(self.folds, self.left, strict=True):
            residual[fold] = left @ residual[fold]
        return solved, residual
