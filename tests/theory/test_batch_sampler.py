"""The sampler of many posteriors against posteriors that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.calibration.batch import Batch, modes, sample_batch
from analysis.calibration.emulator import Emulator, terms
from analysis.calibration.priors import Z_LIMIT

SIZE = 3


def _emulator(linear: np.ndarray, cubic: float = 0.0) -> Emulator:
    """Return an emulator, linear in z with a common cubic part; `linear` is (SIZE, outputs)."""
    count = terms(np.zeros((1, SIZE))).shape[1]
    coefficients = np.zeros((count, linear.shape[1]))
    coefficients[1 : 1 + SIZE] = linear
    coefficients[-SIZE:] = cubic
    outputs = linear.shape[1]
    return Emulator(coefficients, 0.01 * np.eye(outputs), np.zeros(outputs), np.zeros(outputs))


def _batch(emulator: Emulator, observed: np.ndarray) -> Batch:
    outputs = observed.shape[1]
    return Batch(emulator, tuple(range(outputs)), observed, np.full(outputs, 0.3), SIZE)


def test_linear_posteriors_are_gaussian() -> None:
    """Means or standard deviations of posteriors would be wrong where they are known."""
    linear = np.array([[1.0, 0.3], [0.2, -0.8], [0.0, 0.5]])
    observed = np.array([[0.5, -0.2], [0.0, 0.0], [-0.4, 0.6]])
    batch = _batch(_emulator(linear), observed)
    precision = linear @ linear.T / 0.1 + np.eye(SIZE)
    covariance = np.linalg.inv(precision)
    mean = observed @ linear.T @ covariance / 0.1
    found, _ = modes(batch)
    assert found == pytest.approx(mean, abs=1e-6)
    draws = sample_batch(batch, 32, 100, 3000, 3, np.random.default_rng(0))
    flat = draws.reshape(3, -1, SIZE)
    assert flat.mean(axis=1) == pytest.approx(mean, abs=0.04)
    for mine in flat:
        assert np.cov(mine.T) == pytest.approx(covariance, abs=0.06)


def test_the_prior_comes_back_where_nothing_is_informed() -> None:
    """Parameters that no figure informs would not keep their prior, or leave its bounds."""
    batch = _batch(_emulator(np.zeros((SIZE, 1))), np.zeros((2, 1)))
    draws = sample_batch(batch, 32, 50, 1500, 3, np.random.default_rng(1))
    flat = draws.reshape(-1, SIZE)
    assert (np.abs(flat) <= Z_LIMIT).all()
    prior = stats.truncnorm(-Z_LIMIT, Z_LIMIT)
    for column in flat.T:
        assert stats.kstest(column[::10], prior.cdf).pvalue > 1e-3


def test_ranks_are_uniform_where_the_model_is_not_linear() -> None:
    """Intervals would not cover as often as they say."""
    random = np.random.default_rng(2)
    linear = np.array([[1.0], [0.4], [0.0]])
    emulator = _emulator(linear, cubic=0.3)
    prior = stats.truncnorm(-Z_LIMIT, Z_LIMIT)
    truth = prior.rvs((400, SIZE), random_state=random)
    spread = np.sqrt(0.01 + 0.09)
    observed = emulator.predict(truth) + spread * random.standard_normal((400, 1))
    draws = sample_batch(_batch(emulator, observed), 4, 200, 1000, 10, random)
    ranks = (draws.reshape(400, -1, SIZE) < truth[:, None, :]).mean(axis=1)
    for column in ranks.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
