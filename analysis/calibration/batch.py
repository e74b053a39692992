"""Posteriors of one branch (a reading of the report and a growth law), of many data sets at once.

A batch holds one set of figures (a calibration) or hundreds (a study of coverage). Elliptical slice
sampling needs no tuning and moves all chains of a batch in step. Its ellipses come from a Gaussian
around the mode of each data set, widened, which changes how well it mixes and not what it samples.

Source: I. Murray, R. Adams and D. MacKay, AISTATS 2010 (JMLR W&CP 9, 541); Gaussian around the mode
in place of the prior: R. Nishihara, I. Murray and R. Adams, JMLR 15 (2014) 2087.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import ndtr

from analysis.calibration.emulator import Emulator, predict_fast, spread
from analysis.calibration.link import bent, slope
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
        width: Standard deviation of the prior on the z scale; 1 but for asking what another prior
            would have said.
    """

    emulator: Emulator
    chosen: tuple[int, ...]
    observed: FloatArray
    noise: FloatArray
    parameters: int
    width: float = 1.0

    @cached_property
    def residual_sd(self) -> FloatArray:
        """Typical standard deviation of what the emulator leaves over, shape (chosen,)."""
        return np.sqrt(np.diag(self.emulator.residual_covariance)[list(self.chosen)])

    @cached_property
    def total_sd(self) -> FloatArray:
        """Typical standard deviation of figures around the emulator, with noise."""
        return np.hypot(self.residual_sd, self.noise)

    @cached_property
    def correlation(self) -> FloatArray:
        """Correlation of figures around the emulator: replicates, lack of fit and noise."""
        index = np.ix_(self.chosen, self.chosen)
        share = self.residual_sd / self.total_sd
        found = self.emulator.correlation[index] * np.outer(share, share)
        np.fill_diagonal(found, 1.0)
        return found

    @cached_property
    def whitening(self) -> FloatArray:
        """Inverse of the factor of that correlation."""
        factor = cholesky(self.correlation, lower=True)
        return solve_triangular(factor, np.eye(len(factor)), lower=True)

    @cached_property
    def _constant(self) -> float:
        return len(self.chosen) * np.log(2 * np.pi) - 2 * np.log(np.diag(self.whitening)).sum()

    @cached_property
    def coefficients(self) -> FloatArray:
        """Coefficients of the emulator in the layout of `predict_fast`."""
        return spread(self.emulator.coefficients[:, list(self.chosen)], self.parameters)

    @cached_property
    def _link(self) -> FloatArray | None:
        return None if self.emulator.link is None else self.emulator.link[:, list(self.chosen)]

    @cached_property
    def _sizes(self) -> tuple[FloatArray, FloatArray] | None:
        if self.emulator.spread is None or self.emulator.spread_range is None:
            return None
        chosen = list(self.chosen)
        return self.emulator.spread[:, chosen], self.emulator.spread_range[:, chosen]

    def sd(self, z: FloatArray) -> FloatArray:
        """Return the standard deviation of figures around the emulator, shape (points, chosen)."""
        if self._sizes is None:
            return np.broadcast_to(self.total_sd, (len(z), len(self.chosen)))
        sizes, (low, high) = self._sizes
        stretch = np.exp(np.clip(sizes[0] + z @ sizes[1:], low, high))
        return np.sqrt((self.residual_sd * stretch) ** 2 + self.noise**2)

    def standardised(self, z: FloatArray, of: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return figures minus emulator over their standard deviation, and that deviation."""
        sd, expected = self.sd(z), bent(predict_fast(z, self.coefficients), self._link)
        return (self.observed[of] - expected) / sd, sd

    def log_density(self, z: FloatArray, of: IntArray) -> FloatArray:
        """Return log prior + log likelihood.

        Args:
            z: Points, shape (points, parameters).
            of: Data set of each, shape (points,).
        """
        prior = log_prior(z, self.width)
        away, sd = self.standardised(z, of)
        square = ((away @ self.whitening.T) ** 2).sum(axis=1)
        return prior - 0.5 * (square + self._constant) - np.log(sd).sum(axis=1)

    def slopes(self, z: FloatArray, sd: FloatArray) -> FloatArray:
        """Return derivatives of whitened outputs, sizes held; (points, parameters, chosen)."""
        size, full = self.parameters, self.coefficients
        products = full[1 + size : 1 + size + size**2].reshape(size, size, -1)
        both = products + products.transpose(1, 0, 2)
        linear = full[1 : 1 + size] + np.tensordot(z, both, axes=(1, 0))
        steep = linear + 3.0 * (z**2)[:, :, None] * full[1 + size + size**2 :]
        steep = steep * slope(predict_fast(z, full), self._link)[:, None, :]
        return (steep / sd[:, None, :]) @ self.whitening.T


def log_prior(z: FloatArray, width: float = 1.0) -> FloatArray:
    """Return the log density of independent normals of sd `width`, cut off at `Z_LIMIT`."""
    size = z.shape[-1]
    inside = (np.abs(z) <= Z_LIMIT).all(axis=-1)
    norm = 0.5 * np.log(2 * np.pi) + np.log(width) + np.log(1.0 - 2.0 * ndtr(-Z_LIMIT / width))
    return np.where(inside, -0.5 * ((z / width) ** 2).sum(axis=-1) - size * norm, -np.inf)


def modes(batch: Batch) -> tuple[FloatArray, FloatArray]:
    """Find the mode of each data set by damped Gauss-Newton steps.

    Returns:
        Modes, shape (sets, parameters), and covariances of Gaussians there, shape (sets,
        parameters, parameters).
    """
    count, size = len(batch.observed), batch.parameters
    of, z = np.arange(count), np.zeros((count, size))
    prior = np.eye(size) / batch.width**2
    density = batch.log_density(z, of)
    for _ in range(NEWTON_STEPS):
        away, sd = batch.standardised(z, of)
        slopes = batch.slopes(z, sd)
        precision = slopes @ slopes.transpose(0, 2, 1) + prior
        gradient = np.einsum("spo,so->sp", slopes, away @ batch.whitening.T) - z @ prior
        step = np.linalg.solve(precision, gradient[..., None])[..., 0]
        for halving in range(HALVINGS):
            tried = np.clip(z + step / 2.0**halving, -Z_LIMIT + 0.1, Z_LIMIT - 0.1)
            found = batch.log_density(tried, of)
            better = found > density
            z[better], density[better] = tried[better], found[better]
            step[better] = 0.0
    slopes = batch.slopes(z, batch.sd(z))
    return z, np.linalg.inv(slopes @ slopes.transpose(0, 2, 1) + prior)


def sample_batch(
    batch: Batch,
    chains: int,
    burn: int,
    steps: int,
    thin: int,
    random: np.random.Generator,
    rounds: int = 0,
) -> FloatArray:
    """Sample every data set's posterior.

    Args:
        batch: The data sets.
        chains: Chains for each; they start all over the Gaussian around the mode.
        burn: Steps before the first draw.
        steps: Steps after them.
        thin: Every so many-th is kept.
        random: Where numbers are drawn from.
        rounds: How often, within the steps before the first draw, the Gaussian that the ellipses
            come from is fitted anew to where the chains have been; needs many chains.

    Returns:
        Draws, shape (sets, chains, steps // thin, parameters).
    """
    centre, covariance = modes(batch)
    factor = np.linalg.cholesky(WIDENED * covariance)
    sets, size = centre.shape
    of = np.repeat(np.arange(sets), chains)
    chain = _Ellipses(batch, centre[of], factor[of], of, random)
    kept = np.empty((len(of), steps // thin, size))
    seen: list[FloatArray] = []
    for step in range(burn + steps):
        chain.move()
        after = step - burn + 1
        if rounds and after <= 0:
            seen.append(chain.place())
            if len(seen) == burn // rounds:
                chain.fit(seen[len(seen) // 2 :], sets)
                seen = []
        if after > 0 and after % thin == 0:
            kept[:, after // thin - 1] = chain.place()
    return kept.reshape(sets, chains, steps // thin, size)


def conditional_draws(
    batch: Batch, z: FloatArray, first: int, random: np.random.Generator
) -> FloatArray:
    """Draw logged outputs that are no figures, given the parameters and the figures.

    What a run has beyond its parameters (the sizes of data sets, who joins when) shows in the
    figures, too: the part of the emulator's residual that goes with theirs is known.

    Args:
        batch: The data sets.
        z: Draws of the parameters, shape (sets, draws, parameters).
        first: Position of the first of them among the outputs; all behind it are drawn.
        random: Where numbers are drawn from.

    Returns:
        Shape (sets, draws, outputs from `first` on).
    """
    emulator, chosen = batch.emulator, list(batch.chosen)
    flat = z.reshape(-1, z.shape[-1])
    of = np.repeat(np.arange(len(z)), z.shape[1])
    share = batch.residual_sd / batch.total_sd
    across = emulator.correlation[first:, chosen] * share
    gain = np.linalg.solve(batch.correlation, across.T).T
    values, vectors = np.linalg.eigh(emulator.correlation[first:, first:] - gain @ across.T)
    factor = vectors * np.sqrt(np.maximum(values, 0.0))
    away, _ = batch.standardised(flat, of)
    beyond = away @ gain.T + random.standard_normal((len(flat), len(factor))) @ factor.T
    typical = np.sqrt(np.diag(emulator.residual_covariance)[first:])
    size = typical * emulator.stretch(flat)[:, first:]
    found = emulator.predict(flat)[:, first:] + size * beyond
    return found.reshape(*z.shape[:2], -1)


class _Ellipses:
    """Chains of a batch; states are kept on the scale on which the Gaussian is standard."""

    def __init__(
        self, batch: Batch, centre: FloatArray, factor: FloatArray, of: IntArray,
        random: np.random.Generator,
    ) -> None:
        self.batch, self.centre, self.factor, self.of = batch, centre, factor, of
        self.random = random
        every = np.arange(len(of))
        self.state = random.standard_normal(centre.shape)
        self.ratio = self._ratio(self.state, every)
        outside = ~np.isfinite(self.ratio)
        self.state[outside] = 0.0
        self.ratio[outside] = self._ratio(self.state[outside], every[outside])

    def place(self) -> FloatArray:
        """Return where the chains are, on the z scale."""
        return self._place(self.state, np.arange(len(self.of)))

    def _place(self, state: FloatArray, which: IntArray) -> FloatArray:
        shift = (self.factor[which] @ state[:, :, None])[:, :, 0]
        return self.centre[which] + shift

    def _ratio(self, state: FloatArray, which: IntArray) -> FloatArray:
        """Return the log density over that of the Gaussian, up to a constant."""
        density = self.batch.log_density(self._place(state, which), self.of[which])
        return density + 0.5 * (state**2).sum(axis=1)

    def fit(self, seen: list[FloatArray], sets: int) -> None:
        """Let the ellipses come from a Gaussian fitted to places of each set's chains."""
        here, size = self.place(), self.centre.shape[1]
        places = np.stack(seen, axis=1).reshape(sets, -1, size)
        centre = places.mean(axis=1)
        away = places - centre[:, None]
        covariance = WIDENED * (away.transpose(0, 2, 1) @ away) / away.shape[1]
        factor = np.linalg.cholesky(covariance + 1e-9 * np.eye(size))
        self.centre, self.factor = centre[self.of], factor[self.of]
        self.state = np.linalg.solve(self.factor, (here - self.centre)[:, :, None])[:, :, 0]
        self.ratio = self._ratio(self.state, np.arange(len(self.of)))

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
