"""What paired worlds say: means with their errors, probabilities, regret, fronts; arrays only.

Worlds are a stratified sample: readings of the report are strata with stated weights, posterior
draws are independent within a reading, and replicates of a draw are not. So a mean's error is that
of the means of draws, and every draw of a reading weighs the same, however often it is played.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from sim.units import FloatArray, IntArray

CONFIDENCE = 0.90


@dataclass(frozen=True, eq=False)
class Sample:
    """A stratified sample of worlds.

    Args:
        stratum: Stratum of each world, shape (worlds,).
        draw: Draw of each world, unique over strata, same shape.
        share: Weight of each stratum, shape (strata,); those without a world do not count.
    """

    stratum: IntArray
    draw: IntArray
    share: FloatArray

    @cached_property
    def _draws(self) -> tuple[IntArray, IntArray, IntArray]:
        """Draw of each world, counted from 0; worlds and stratum of each draw."""
        _, first, of = np.unique(self.draw, return_index=True, return_inverse=True)
        return of, np.bincount(of), self.stratum[first]

    @cached_property
    def weights(self) -> FloatArray:
        """Weight of each world, adding up to 1; shape (worlds,)."""
        of, worlds, stratum = self._draws
        draws = np.bincount(stratum, minlength=len(self.share))
        weight = self.share[self.stratum] / draws[self.stratum] / worlds[of]
        return np.asarray(weight / weight.sum())

    def where(self, chosen: np.ndarray) -> Sample:
        """Return the sample of some of the worlds."""
        return replace(self, stratum=self.stratum[chosen], draw=self.draw[chosen])

    def mean(self, x: FloatArray) -> FloatArray:
        """Return the mean over worlds of `x`, shape (worlds, …)."""
        return np.asarray(np.tensordot(self.weights, x, axes=1))

    def by_draw(self, x: FloatArray) -> FloatArray:
        """Return the mean over the replicates of each draw of `x`, shape (worlds, …)."""
        of, worlds, _ = self._draws
        sums = np.zeros((len(worlds), *x.shape[1:]))
        np.add.at(sums, of, x)
        return sums / worlds.reshape(-1, *[1] * (x.ndim - 1))

    def half_width(self, x: FloatArray, within: FloatArray | float = 0.0) -> FloatArray:
        """Return the half-width of the confidence interval of the mean of `x`, (worlds, …).

        Args:
            x: Any quantity of the worlds.
            within: Variance of the mean of a draw that is left out; what remains is what more
                replicates would not lower.

        Returns:
            Student's t with as many degrees of freedom as there are draws beyond strata; NaN
            where a stratum has a single draw.
        """
        means, stratum = self.by_draw(x), self._draws[2]
        present = np.unique(stratum)
        share = self.share[present] / self.share[present].sum()
        variance = np.zeros(x.shape[1:])
        for name, part in zip(present, share, strict=True):
            mine = means[stratum == name]
            if len(mine) < 2:
                return np.full(x.shape[1:], np.nan)
            left = np.maximum(mine.var(axis=0, ddof=1) - within, 0.0)
            variance = variance + part**2 * left / len(mine)
        t = stdtrit(len(means) - len(present), 0.5 + CONFIDENCE / 2.0)
        return np.asarray(t * np.sqrt(variance))

    def within_draws(self, x: FloatArray) -> FloatArray:
        """Return the pooled variance between replicates of a draw; NaN without replicates."""
        return self._pooled(x, self._draws[0])

    def within_strata(self, x: FloatArray) -> FloatArray:
        """Return the pooled variance between worlds of a stratum; NaN with one world in each."""
        return self._pooled(x, self.stratum)

    def _pooled(self, x: FloatArray, group: IntArray) -> FloatArray:
        names, of = np.unique(group, return_inverse=True)
        freedom = len(group) - len(names)
        if not freedom:
            return np.full(x.shape[1:], np.nan)
        squares = sum(
            ((x[of == i] - x[of == i].mean(axis=0)) ** 2).sum(axis=0) for i in range(len(names))
        )
        return np.asarray(squares / freedom)

    def quantiles(self, x: FloatArray, levels: tuple[float, ...]) -> FloatArray:
        """Return weighted quantiles over worlds of `x`, shape (worlds, …).

        With equal weights they are numpy's. Between two worlds they are interpolated.

        Returns:
            Shape (levels, …).
        """
        flat = x.reshape(len(x), -1)
        order = np.argsort(flat, axis=0, kind="stable")
        value = np.take_along_axis(flat, order, axis=0)
        weight = self.weights[order]
        last = max(len(x) - 1, 1)
        place = last * (np.cumsum(weight, axis=0) - weight) + np.arange(len(x))[:, None] * weight
        place /= np.where(place[-1] > 0.0, place[-1], 1.0)
        found = [np.interp(levels, place[:, i], value[:, i]) for i in range(flat.shape[1])]
        return np.stack(found, axis=1).reshape(len(levels), *x.shape[1:])


def better(a: FloatArray, b: FloatArray, sample: Sample, lower: bool) -> tuple[float, float]:
    """Return the probabilities that a is better than b, and that they are equal.

    Args:
        a: A criterion of a variant, shape (worlds,); worlds without it are left out.
        b: The same of another one.
        sample: The worlds.
        lower: Whether lower is better.
    """
    known = ~(np.isnan(a) | np.isnan(b))
    if not known.any():
        return np.nan, np.nan
    difference = (b - a if lower else a - b)[known]
    weights = sample.where(known).weights
    return float(weights[difference > 0.0].sum()), float(weights[difference == 0.0].sum())


def regrets(benefit: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return what each variant lacks to the best of its world, and whether it is the best.

    Args:
        benefit: Shape (variants, worlds).

    Returns:
        Regret, same shape and unit, and the share of being best: equals share it.
    """
    best = benefit.max(axis=0)
    is_best = benefit == best
    return best - benefit, is_best / is_best.sum(axis=0)


class Range(NamedTuple):
    """A range of prices, from (included) and to (not included), with the variant that is best."""

    low: float
    high: float
    variant: int


def best_by_price(saved: FloatArray, interruptions: FloatArray) -> list[Range]:
    """Return which variant has the highest net benefit at which price: the upper envelope.

    Net benefit = saved - price x interruptions, for prices from 0 on. Exact: breakpoints are where
    two lines meet. Of equals the one with fewer interruptions counts, then the first.

    Args:
        saved: GPU-h saved of each variant, shape (variants,).
        interruptions: Additional interruptions, same shape.

    >>> best_by_price(np.array([0.0, 100.0, 120.0]), np.array([0.0, 10.0, 50.0]))
    [Range(low=0.0, high=0.5, variant=2), Range(low=0.5, high=10.0, variant=1), \
Range(low=10.0, high=inf, variant=0)]
    """
    best = int(np.lexsort((interruptions, -saved))[0])
    low, found = 0.0, []
    while True:
        fewer = np.flatnonzero(interruptions < interruptions[best])
        if not len(fewer):
            return [*found, Range(low, np.inf, best)]
        with np.errstate(over="ignore"):  # next to no interruption less: at no price that there is
            at = (saved[best] - saved[fewer]) / (interruptions[best] - interruptions[fewer])
        first = int(np.lexsort((interruptions[fewer], at))[0])
        if np.isinf(at[first]):
            return [*found, Range(low, np.inf, best)]
        if at[first] > low:
            found.append(Range(low, float(at[first]), best))
            low = float(at[first])
        best = int(fewer[first])


def on_front(saved: FloatArray, cost: FloatArray) -> np.ndarray:
    """Return which variants no other one dominates: at least as good in both, better in one.

    Args:
        saved: Higher is better, shape (variants, …).
        cost: Lower is better, same shape.

    Returns:
        Same shape, bool.
    """
    saves, costs = saved[:, None] - saved[None], cost[:, None] - cost[None]  # [other, variant]
    dominated = (saves >= 0.0) & (costs <= 0.0) & ((saves > 0.0) | (costs < 0.0))
    return np.asarray(~dominated.any(axis=0))


def rank_correlation(x: FloatArray, y: FloatArray) -> tuple[float, float, float]:
    """Return Spearman's rank correlation with its confidence limits.

    Args:
        x: Shape (draws,).
        y: Same shape.

    Returns:
        Correlation and limits by Fisher's transformation; NaN where one of them does not vary or
        there are fewer than four draws.

    Source: R. A. Fisher, Metron 1 (1921) 3; with the variance 1.06 / (n - 3) of ranks (E. C.
    Fieller et al., Biometrika 44 (1957) 470).
    """
    if len(x) < 4 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return np.nan, np.nan, np.nan
    r = float(np.clip(np.corrcoef(_ranks(x), _ranks(y))[0, 1], -1.0, 1.0))
    middle = np.arctanh(np.clip(r, -1.0 + 1e-12, 1.0 - 1e-12))
    half = stdtrit(np.inf, 0.5 + CONFIDENCE / 2.0) * np.sqrt(1.06 / (len(x) - 3))
    return r, float(np.tanh(middle - half)), float(np.tanh(middle + half))


def _ranks(x: FloatArray) -> FloatArray:
    """Return ranks; equals share the mean of theirs."""
    _, of, count = np.unique(x, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2.0)[of])
