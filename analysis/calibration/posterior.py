"""The posterior of one branch (a reading of the report and a growth law) and its evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky
from scipy.special import gammaln, logsumexp

from analysis.calibration.batch import Batch, sample_batch
from sim.units import FloatArray

CHAINS = 128
BURN = 0.5  # steps before the first draw, as a share of the steps after it
ROUNDS = 4  # fits of the ellipses to the chains within them
THIN = 10  # every so many-th step is kept
PROPOSALS = 40_000  # points of an importance sample
FREEDOM = 8.0  # degrees of freedom of its t distribution; assumed


@dataclass(frozen=True, eq=False)
class Branch:
    """Draws from one branch's posterior.

    Args:
        z: Draws, shape (draws, parameters).
        log_evidence: Log marginal likelihood.
        log_evidence_sd: Its Monte Carlo standard error.
        autocorrelation: Longest integrated time of any parameter, in steps.
        effective: Smallest effective number of draws of any parameter.
        r_hat: Largest potential scale reduction of any parameter; 1 if all chains agree.
    """

    z: FloatArray
    log_evidence: float
    log_evidence_sd: float
    autocorrelation: float
    effective: float
    r_hat: float


def sample_branch(batch: Batch, steps: int, seed: int) -> Branch:
    """Sample a branch and estimate its evidence.

    Args:
        batch: The branch's figures; one data set.
        steps: Steps of each chain after burn-in.
        seed: Seed of everything.
    """
    random = np.random.Generator(np.random.Philox(seed))
    burn = max(int(BURN * steps), 20)
    chains = sample_batch(batch, CHAINS, burn, steps, THIN, random, ROUNDS)[0]
    time = _autocorrelation(chains)
    z = chains.reshape(-1, batch.parameters)
    log_evidence, error = importance_evidence(batch, z, random)
    return Branch(
        z=z,
        log_evidence=log_evidence,
        log_evidence_sd=error,
        autocorrelation=time * THIN,
        effective=len(z) / time,
        r_hat=r_hat(chains),
    )


def _autocorrelation(chains: FloatArray) -> float:
    """Return the longest integrated autocorrelation time, in kept draws; at least 1."""
    import emcee  # a third of a second, which who only reads a posterior does not wait for

    times = emcee.autocorr.integrated_time(chains.transpose(1, 0, 2), quiet=True, tol=0)
    return float(max(np.nanmax(times), 1.0))


def r_hat(chains: FloatArray) -> float:
    """Return the largest split potential scale reduction of any parameter.

    Args:
        chains: Shape (chains, draws, parameters).

    Source: A. Gelman et al., Bayesian Data Analysis, 3rd ed. (2013), 11.4.
    """
    half = chains.shape[1] // 2
    split = np.concatenate([chains[:, :half], chains[:, half : 2 * half]])
    within = split.var(axis=1, ddof=1).mean(axis=0)
    between = split.mean(axis=1).var(axis=0, ddof=1)
    return float(np.sqrt((half - 1) / half + between / within).max())


def importance_evidence(
    batch: Batch, z: FloatArray, random: np.random.Generator, draws: int = PROPOSALS
) -> tuple[float, float]:
    """Estimate the evidence by importance sampling from a t distribution around the draws.

    Returns:
        Log evidence and its Monte Carlo standard error.
    """
    dimension = z.shape[1]
    centre = z.mean(axis=0)
    factor = cholesky(np.cov(z.T) * 1.1, lower=True)
    normals = random.standard_normal((draws, dimension))
    stretch = np.sqrt(FREEDOM / random.chisquare(FREEDOM, draws))
    proposal = centre + (normals @ factor.T) * stretch[:, None]
    quadratic = ((normals * stretch[:, None]) ** 2).sum(axis=1)
    log_density = (
        gammaln((FREEDOM + dimension) / 2)
        - gammaln(FREEDOM / 2)
        - 0.5 * dimension * np.log(FREEDOM * np.pi)
        - np.log(np.diag(factor)).sum()
        - 0.5 * (FREEDOM + dimension) * np.log1p(quadratic / FREEDOM)
    )
    density = batch.log_density(proposal, np.zeros(draws, dtype=np.int64))
    log_weight = density - log_density
    log_evidence = float(logsumexp(log_weight) - np.log(draws))
    weight = np.exp(log_weight - log_weight.max())
    return log_evidence, float(weight.std() / weight.mean() / np.sqrt(draws))
