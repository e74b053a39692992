"""Priors, design, emulator, sampler and evidence against what is known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.calibration.design import draw_design
from analysis.calibration.emulator import fit_emulator, predict_fast, spread, terms
from analysis.calibration.posterior import LogPosterior, importance_evidence, sample_branch
from analysis.calibration.priors import Prior, Priors
from sim.errors import DataError


def _prior(**changes: object) -> Prior:
    values = {
        "paths": ("demand.hold_h",),
        "distribution": "lognormal",
        "median": 48.0,
        "sigma": 0.5,
        "unit": "h",
        "source": "assumed",
    }
    return Prior(**{**values, **changes})  # type: ignore[arg-type]


def test_prior_median_is_its_value_at_zero() -> None:
    """The centre of a prior would not be the median that its file states."""
    assert _prior().value(0.0) == pytest.approx(48.0)
    share = _prior(distribution="logitnormal", median=0.35)
    assert share.value(0.0) == pytest.approx(0.35)
    assert share.value(1.0) == pytest.approx(1 / (1 + np.exp(-(np.log(0.35 / 0.65) + 0.5))))


def test_design_covers_the_prior_evenly() -> None:
    """A design would leave parts of the prior without runs."""
    priors = Priors({"a": _prior(), "b": _prior(), "c": _prior(law="deployed")})
    design = draw_design(priors, "saturating", 256, 1)
    assert design.names == ("a", "b")
    assert design.z.shape == (256, 2)
    assert np.abs(design.z.mean(axis=0)).max() < 0.02
    assert np.abs(design.z.std(axis=0) - 0.955).max() < 0.02  # the cut-off normal's


def test_design_runs_are_not_done_twice(tmp_path, monkeypatch) -> None:
    """A calibration that is started again would repeat runs that had finished."""
    import analysis.chunks as module

    calls: list[int] = []

    def fake(specs, reduce, jobs, batch=1):
        for spec in specs:
            calls.append(spec)
            yield float(spec)

    monkeypatch.setattr(module, "run_many", fake)
    runs = 2 * module.CHUNK + 5
    first = module.run_in_chunks(lambda: range(runs), runs, sum, tmp_path, 1, lambda _: None)
    (tmp_path / f"runs-{module.CHUNK:05d}.joblib").unlink()
    again = module.run_in_chunks(lambda: range(runs), runs, sum, tmp_path, 1, lambda _: None)
    assert calls == [*range(runs), *range(module.CHUNK, 2 * module.CHUNK)]
    assert first == again


def test_emulator_recovers_a_polynomial_and_its_noise() -> None:
    """The emulator would bend or misjudge outputs that lie within its own family."""
    random = np.random.default_rng(3)
    z = random.standard_normal((2000, 3))
    truth = terms(z) @ random.standard_normal((13, 2))
    emulator = fit_emulator(z, truth + 0.1 * random.standard_normal(truth.shape))
    fresh = random.standard_normal((100, 3))
    quick = predict_fast(fresh, spread(emulator.coefficients, 3))
    assert quick == pytest.approx(emulator.predict(fresh), rel=1e-9)
    assert emulator.held_back_rms == pytest.approx([0.1, 0.1], rel=0.15)
    assert emulator.held_back_r2.min() > 0.99


def test_emulator_refuses_too_few_runs() -> None:
    """An emulator would be fitted to fewer runs than can check it."""
    with pytest.raises(DataError, match="too few runs"):
        fit_emulator(np.zeros((10, 3)), np.zeros((10, 1)))


def _linear_gaussian() -> tuple[LogPosterior, float, np.ndarray, np.ndarray]:
    """Return a posterior whose mean, sd and evidence are known in closed form."""
    random = np.random.default_rng(5)
    z = random.standard_normal((4000, 2))
    emulator = fit_emulator(
        z, np.column_stack([z[:, 0] * 2.0]) + 0.3 * random.standard_normal((4000, 1))
    )
    observed, noise = np.array([3.0]), np.array([0.4])
    target = LogPosterior(emulator, (0,), observed, noise, 2)
    variance = float(target.covariance[0, 0])
    total = 4.0 + variance
    evidence = -0.5 * (9.0 / total + np.log(2 * np.pi * total))
    mean = np.array([2.0 * 3.0 / total, 0.0])
    sd = np.array([np.sqrt(1.0 - 4.0 / total), 1.0])
    return target, evidence, mean, sd


def test_sampler_and_evidence_agree_with_the_closed_form() -> None:
    """Posterior draws or evidence would be wrong even for a linear Gaussian model."""
    target, evidence, mean, sd = _linear_gaussian()
    branch = sample_branch(target, 1500, 7)
    assert branch.z.mean(axis=0) == pytest.approx(mean, abs=0.08)
    assert branch.z.std(axis=0) == pytest.approx(sd, rel=0.1)
    assert branch.log_evidence == pytest.approx(evidence, abs=0.05)
    assert branch.log_evidence_sd < 0.05
    again = importance_evidence(target, branch.z, np.random.default_rng(1))
    assert again[0] == pytest.approx(evidence, abs=0.05)


def test_sampling_is_reproducible() -> None:
    """The same seed would give another posterior."""
    target, *_ = _linear_gaussian()
    first, second = (sample_branch(target, 100, 11) for _ in range(2))
    assert np.array_equal(first.z, second.z)
