"""The posterior of one branch (a reading of the report and a growth law) and its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import emcee
import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import gammaln, logsumexp, ndtr

from analysis.calibration.emulator import Emulator, predict_fast, spread
from analysis.calibration.priors import Z_LIMIT, quantile_to_z
from sim.errors import DataError
from sim.units import FloatArray


def figures_covariance(
    emulator: Emulator, chosen: Sequence[int], noise: FloatArray
) -> FloatArray:
    """Return the covariance of figures around the emulator: replicates, lack of fit and noise.

    Args:
        emulator: Emulator of all outputs.
        chosen: Positions of the figures among them.
        noise: Standard deviation of each logged figure, shape (chosen,).
    """
    index = np.ix_(chosen, chosen)
    return emulator.residual_covariance[index] + np.diag(noise**2)


@dataclass(frozen=True, eq=False)
class LogPosterior:
    """Logarithm of prior times likelihood on the z scale; vectorised.

    Args:
        emulator: Emulator of all outputs.
        chosen: Positions of the outputs that are fitted.
        observed: Logged reported figures, shape (chosen,).
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
        """Covariance of the figures around the emulator: replicates, lack of fit and noise."""
        return figures_covariance(self.emulator, self.chosen, self.noise)

    @cached_property
    def _whitening(self) -> tuple[FloatArray, float]:
        """The inverse of the covariance's factor, and the constant of the log density."""
        factor = cholesky(self.covariance, lower=True)
        constant = len(self.chosen) * np.log(2 * np.pi) + 2 * np.log(np.diag(factor)).sum()
        return solve_triangular(factor, np.eye(len(factor)), lower=True), float(constant)

    @cached_property
    def _coefficients(self) -> FloatArray:
        return spread(self.emulator.coefficients[:, list(self.chosen)], self.parameters)

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return log prior + log likelihood at z of shape (points, parameters)."""
        prior = log_prior(z)
        inside = np.isfinite(prior)
        found = np.full(len(z), -np.inf)
        found[inside] = prior[inside] + self.log_likelihood(z[inside])
        return found

    def log_likelihood(self, z: FloatArray) -> FloatArray:
        """Return the log likelihood at z, shape (points,)."""
        whitening, constant = self._whitening
        away = self.observed - predict_fast(z, self._coefficients)
        return -0.5 * (((away @ whitening.T) ** 2).sum(axis=1) + constant)


def log_prior(z: FloatArray) -> FloatArray:
    """Return the log density of independent standard normals cut off at `Z_LIMIT`."""
    size = z.shape[-1]
    inside = (np.abs(z) <= Z_LIMIT).all(axis=-1)
    norm = size * (0.5 * np.log(2 * np.pi) + np.log(1.0 - 2.0 * ndtr(-Z_LIMIT)))
    return np.where(inside, -0.5 * (z**2).sum(axis=-1) - norm, -np.inf)


@dataclass(frozen=True, eq=False)
class Branch:
    """Draws from one branch's posterior.

    Args:
        z: Draws, shape (draws, parameters).
        log_evidence: Log marginal likelihood.
        log_evidence_sd: Its Monte Carlo standard error.
        acceptance: Share of accepted moves.
        autocorrelation: Longest integrated time, in steps.
        effective: Smallest effective number of draws of any parameter.
    """

    z: FloatArray
    log_evidence: float
    log_evidence_sd: float
    acceptance: float
    autocorrelation: float
    effective: float


def sample_branch(
    target: LogPosterior, steps: int, seed: int, start: FloatArray | None = None
) -> Branch:
    """Sample a branch with an ensemble sampler and estimate its evidence.

    Args:
        target: The log posterior.
        steps: Steps after as many burn-in steps.
        seed: Seed of walkers and moves.
        start: Points to start from, shape (points, parameters); None: the best of the prior.

    Raises:
        DataError: When the posterior is nowhere finite.

    Source: emcee, Foreman-Mackey et al. 2013, doi:10.1086/670067; differential evolution moves.
    """
    random = np.random.Generator(np.random.Philox(seed))
    parameters = target.parameters
    walkers = 4 * parameters
    starts = quantile_to_z(random.random((50 * walkers, parameters)))
    if start is not None:
        starts = start[random.permutation(len(start))]
    density = target(starts)
    if not np.isfinite(density).any():
        raise DataError("the posterior is nowhere finite", "calibrate", "figures the model reaches")
    best = starts[:walkers] if start is not None else starts[np.argsort(density)[-walkers:]]
    moves = [(emcee.moves.DEMove(), 0.8), (emcee.moves.DESnookerMove(), 0.2)]
    sampler = emcee.EnsembleSampler(walkers, parameters, target, moves=moves, vectorize=True)
    sampler.random_state = np.random.RandomState(seed % 2**32).get_state()
    state = sampler.run_mcmc(best, steps)
    sampler.reset()
    sampler.run_mcmc(state, steps)
    times = sampler.get_autocorr_time(quiet=True, tol=0)
    thin = max(1, int(np.nanmax(times) / 2))
    z = sampler.get_chain(thin=thin, flat=True)
    log_evidence, spread = importance_evidence(target, z, random)
    return Branch(
        z=z,
        log_evidence=log_evidence,
        log_evidence_sd=spread,
        acceptance=float(sampler.acceptance_fraction.mean()),
        autocorrelation=float(np.nanmax(times)),
        effective=float(walkers * steps / np.nanmax(times)),
    )


def importance_evidence(
    target: LogPosterior, z: FloatArray, random: np.random.Generator, draws: int = 40_000
) -> tuple[float, float]:
    """Estimate the evidence by importance sampling from a t distribution around the draws.

    Returns:
        Log evidence and its Monte Carlo standard error.
    """
    freedom, dimension = 8.0, z.shape[1]
    centre = z.mean(axis=0)
    factor = cholesky(np.cov(z.T) * 1.1, lower=True)
    normals = random.standard_normal((draws, dimension))
    stretch = np.sqrt(freedom / random.chisquare(freedom, draws))
    proposal = centre + (normals @ factor.T) * stretch[:, None]
    quadratic = ((normals * stretch[:, None]) ** 2).sum(axis=1)
    log_density = (
        gammaln((freedom + dimension) / 2)
        - gammaln(freedom / 2)
        - 0.5 * dimension * np.log(freedom * np.pi)
        - np.log(np.diag(factor)).sum()
        - 0.5 * (freedom + dimension) * np.log1p(quadratic / freedom)
    )
    log_weight = target(proposal) - log_density
    log_evidence = float(logsumexp(log_weight) - np.log(draws))
    weight = np.exp(log_weight - log_weight.max())
    return log_evidence, float(weight.std() / weight.mean() / np.sqrt(draws))
