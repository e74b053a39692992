"""Posteriors of many data sets at once: one emulator, one reading, other figures in each.

Elliptical slice sampling needs no tuning and moves a whole batch of chains in step. Its ellipses
come from a Gaussian around the mode of each data set, widened, which changes how well it mixes and
not what it samples.

Source: I. Murray, R. Adams and D. MacKay, AISTATS 2010 (JMLR W&CP 9, 541); Gaussian around the mode
in place of the prior: R. Nishihara, I. Murray and R. Adams, JMLR 15 (2014) 2087.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from analysis.calibration.emulator import Emulator, predict_fast, spread
from analysis.calibration.posterior import figures_covariance, log_prior
from analysis.calibration.priors import Z_LIMIT
from sim.units import FloatArray, IntArray

WIDENED = 1.5  # variance of the ellipses over that of the Gaussian at the mode; assumed
NEWTON_STEPS = 40
HALVINGS = 6  # of a Newton step that does not improve


@dataclass(frozen=True, eq=False)
class Batch:
    """Data sets of one branch.

    Args:
        emulator: Emulator of all outputs.
        chosen: Positions of the outputs that are fitted.
        observed: Logged figures, shape (sets, chosen).
        noise: Standard deviation of each logged figure, shape (chosen,).
        parameters: Number of parameters.
    """

    emulator: Emulator
    chosen: tuple[int, ...]
    observed: FloatArray
    noise: FloatArray
    parameters: int

    @cached_property
    def covariance(self) -> FloatArray:
        """Covariance of the figures around the emulator."""
        return figures_covariance(self.emulator, self.chosen, self.noise)

    @cached_property
    def whitening(self) -> FloatArray:
        """Inverse of the factor of that covariance."""
        factor = cholesky(self.covariance, lower=True)
        return solve_triangular(factor, np.eye(len(factor)), lower=True)

    @cached_property
    def coefficients(self) -> FloatArray:
        """Coefficients of the emulator, whitened, in the layout of `predict_fast`."""
        full = spread(self.emulator.coefficients[:, list(self.chosen)], self.parameters)
        return full @ self.whitening.T

    @cached_property
    def targets(self) -> FloatArray:
        """Whitened figures, shape (sets, chosen)."""
        return self.observed @ self.whitening.T

    def log_density(self, z: FloatArray, of: IntArray) -> FloatArray:
        """Return log prior + log likelihood, up to a constant of the branch.

        Args:
            z: Points, shape (points, parameters).
            of: Data set of each, shape (points,).
        """
        prior = log_prior(z)
        away = self.targets[of] - predict_fast(z, self.coefficients)
        return prior - 0.5 * (away**2).sum(axis=1)

    def slopes(self, z: FloatArray) -> FloatArray:
        """Return derivatives of the whitened outputs; shape (points, parameters, chosen)."""
        size, full = self.parameters, self.coefficients
        products = full[1 + size : 1 + size + size**2].reshape(size, size, -1)
        both = products + products.transpose(1, 0, 2)
        linear = full[1 : 1 + size] + np.tensordot(z, both, axes=(1, 0))
        return linear + 3.0 * (z**2)[:, :, None] * full[1 + size + size**2 :]


def modes(batch: Batch) -> tuple[FloatArray, FloatArray]:
    """Find the mode of each data set by damped Gauss-Newton steps.

    Returns:
        Modes, shape (sets, parameters), and covariances of Gaussians there, shape (sets,
        parameters, parameters).
    """
    count, size = len(batch.targets), batch.parameters
    of, z = np.arange(count), np.zeros((count, size))
    density = batch.log_density(z, of)
    for _ in range(NEWTON_STEPS):
        slopes = batch.slopes(z)
        precision = slopes @ slopes.transpose(0, 2, 1) + np.eye(size)
        away = batch.targets - predict_fast(z, batch.coefficients)
        gradient = np.einsum("spo,so->sp", slopes, away) - z
        step = np.linalg.solve(precision, gradient[..., None])[..., 0]
        for halving in range(HALVINGS):
            tried = np.clip(z + step / 2.0**halving, -Z_LIMIT + 0.1, Z_LIMIT - 0.1)
            found = batch.log_density(tried, of)
            better = found > density
            z[better], density[better] = tried[better], found[better]
            step[better] = 0.0
    slopes = batch.slopes(z)
    return z, np.linalg.inv(slopes @ slopes.transpose(0, 2, 1) + np.eye(size))


def sample_batch(
    batch: Batch, chains: int, burn: int, steps: int, thin: int, random: np.random.Generator
) -> FloatArray:
    """Sample every data set's posterior.

    Args:
        batch: The data sets.
        chains: Chains for each.
        burn: Steps before the first draw.
        steps: Steps after them.
        thin: Every so many-th is kept.
        random: Where numbers are drawn from.

    Returns:
        Draws, shape (sets, chains, steps // thin, parameters).
    """
    centre, covariance = modes(batch)
    factor = np.linalg.cholesky(WIDENED * covariance)
    sets, size = centre.shape
    of = np.repeat(np.arange(sets), chains)
    chain = _Ellipses(batch, centre[of], factor[of], of, random)
    kept = np.empty((len(of), steps // thin, size))
    for step in range(burn + steps):
        chain.move()
        after = step - burn + 1
        if after > 0 and after % thin == 0:
            kept[:, after // thin - 1] = chain.place()
    return kept.reshape(sets, chains, steps // thin, size)


class _Ellipses:
    """Chains of a batch; states are kept on the scale on which the Gaussian is standard."""

    def __init__(
        self, batch: Batch, centre: FloatArray, factor: FloatArray, of: IntArray,
        random: np.random.Generator,
    ) -> None:
        self.batch, self.centre, self.factor, self.of = batch, centre, factor, of
        self.random = random
        self.state = np.zeros_like(centre)
        self.ratio = self._ratio(self.state, np.arange(len(of)))

    def place(self) -> FloatArray:
        """Return where the chains are, on the z scale."""
        return self._place(self.state, np.arange(len(self.of)))

    def _place(self, state: FloatArray, which: IntArray) -> FloatArray:
        return self.centre[which] + np.einsum("cpq,cq->cp", self.factor[which], state)

    def _ratio(self, state: FloatArray, which: IntArray) -> FloatArray:
        """Return the log density over that of the Gaussian, up to a constant."""
        density = self.batch.log_density(self._place(state, which), self.of[which])
        return density + 0.5 * (state**2).sum(axis=1)

    def move(self) -> None:
        """Move every chain by one step."""
        count = len(self.of)
        other = self.random.standard_normal(self.state.shape)
        level = self.ratio + np.log(self.random.random(count))
        angle = self.random.uniform(0.0, 2.0 * np.pi, count)
        low, high = angle - 2.0 * np.pi, angle.copy()
        start, left = self.state.copy(), np.arange(count)
        while len(left):
            turn = angle[left, None]
            tried = start[left] * np.cos(turn) + other[left] * np.sin(turn)
            ratio = self._ratio(tried, left)
            taken = ratio > level[left]
            done = left[taken]
            self.state[done], self.ratio[done] = tried[taken], ratio[taken]
            left = left[~taken]
            below = angle[left] < 0.0
            low[left[below]] = angle[left[below]]
            high[left[~below]] = angle[left[~below]]
            angle[left] = self.random.uniform(low[left], high[left])
