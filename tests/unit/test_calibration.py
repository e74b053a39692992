"""Priors, design, emulator, sampler and evidence against what is known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.calibration.batch import Batch, log_prior
from analysis.calibration.design import draw_design
from analysis.calibration.emulator import fit_emulator, predict_fast, spread, terms
from analysis.calibration.link import KNOTS, bent, fit_link, slope
from analysis.calibration.posterior import importance_evidence, r_hat, sample_branch
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


def test_the_size_of_a_residual_follows_z_where_it_does() -> None:
    """Outputs that scatter more in one corner would be trusted too much there, too little else."""
    random = np.random.default_rng(4)
    z = random.standard_normal((3000, 3))
    sd = np.column_stack([0.1 * np.exp(0.5 * z[:, 1]), np.full(3000, 0.2)])
    means = np.column_stack([z[:, 0], z[:, 2]])
    emulator = fit_emulator(z, means + sd * random.standard_normal(sd.shape))
    at = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    found = np.sqrt(np.diag(emulator.residual_covariance)) * emulator.stretch(at)
    assert found[:, 0] == pytest.approx(0.1 * np.exp([-0.5, 0.0, 0.5]), rel=0.15)
    assert found[:, 1] == pytest.approx([0.2] * 3, rel=0.1)


def test_outputs_that_level_off_are_followed() -> None:
    """A site that is full would be emulated as if it went on growing."""
    random = np.random.default_rng(11)
    z = random.standard_normal((3000, 4))
    level = z @ [1.0, 0.7, 0.0, 0.3]

    def full(x):
        return np.minimum(x, 0.5) + 0.05 * np.maximum(x - 0.5, 0.0)

    outputs = np.column_stack([full(level), level]) + 0.05 * random.standard_normal((3000, 2))
    emulator = fit_emulator(z, outputs)
    assert emulator.held_back_rms[0] < 0.09  # the polynomial alone: 0.14
    assert not emulator.link[KNOTS + 2 :, 1].any()  # a straight output has no curve
    at = np.array([[2.0, 2.0, 0.0, 0.0], [-2.0, -1.0, 0.0, 0.0]])
    expected = full(at @ [1.0, 0.7, 0.0, 0.3])
    assert emulator.predict(at)[:, 0] == pytest.approx(expected, abs=0.25)


def test_curves_have_straight_tails_and_the_slope_they_say() -> None:
    """A sampler that looks beyond the runs would be thrown out by cubes, or led astray."""
    random = np.random.default_rng(12)
    eta = random.standard_normal((2000, 1))
    link = fit_link(eta, np.tanh(eta), np.ones(2000))
    far = np.array([[-9.0], [-8.0], [-7.0], [7.0], [8.0], [9.0]])
    steps = np.diff(bent(far, link)[:, 0])
    assert steps[0] == pytest.approx(steps[1])
    assert steps[3] == pytest.approx(steps[4])
    at, h = np.linspace(-2.0, 2.0, 9)[:, None], 1e-5
    numeric = (bent(at + h, link) - bent(at - h, link)) / (2.0 * h)
    assert slope(at, link) == pytest.approx(numeric, rel=1e-5)
    assert bent(at, link) == pytest.approx(np.tanh(at), abs=0.1)


def test_residuals_do_not_go_with_the_fits_of_other_outputs() -> None:
    """Figures would seem to say less about a quantity than they do: intervals too wide."""
    random = np.random.default_rng(13)
    z = random.standard_normal((1500, 12))
    bends = (z[:, :6] * z[:, 6:]).sum(axis=1)
    signal = z[:, 0] + 0.25 * bends
    noise = np.array([0.1, 1.5])  # of the second so much that its penalty holds the bends down
    emulator = fit_emulator(z, signal[:, None] + noise * random.standard_normal((1500, 2)))
    fresh = random.standard_normal((4000, 12))
    truth = fresh[:, 0] + 0.25 * (fresh[:, :6] * fresh[:, 6:]).sum(axis=1)
    clear, dim = emulator.predict(fresh).T
    assert np.sqrt(((dim - truth) ** 2).mean()) < 0.15  # alone: 0.38
    assert abs(np.cov(clear, truth - dim)[0, 1]) < 0.05 * np.var(truth)


def test_part_of_an_emulator_says_what_the_whole_says() -> None:
    """A table of some quantities would come from the curves of others."""
    random = np.random.default_rng(14)
    z = random.standard_normal((800, 3))
    outputs = np.column_stack([z[:, 0], np.tanh(2.0 * z[:, 1]), z[:, 2]])
    emulator = fit_emulator(z, outputs + 0.1 * random.standard_normal((800, 3)))
    part = emulator.only(np.array([1, 2]))
    assert part.predict(z) == pytest.approx(emulator.predict(z)[:, 1:])
    assert part.stretch(z) == pytest.approx(emulator.stretch(z)[:, 1:])
    assert part.residual_covariance == pytest.approx(emulator.residual_covariance[1:, 1:])


def test_parameters_that_exclude_each_other_do_no_harm() -> None:
    """A product that is always zero would leave an emulator of whatever stood in memory."""
    random = np.random.default_rng(9)
    z = random.standard_normal((600, 3))
    z[:300, 1] = 0.0
    z[300:, 2] = 0.0
    emulator = fit_emulator(z, z.sum(axis=1, keepdims=True))
    assert emulator.held_back_r2[0] > 0.99
    assert np.isfinite(emulator.coefficients).all()


def test_terms_that_explain_nothing_are_held_down() -> None:
    """Higher terms fitted to noise would make the emulator worse than a straight line."""
    random = np.random.default_rng(6)
    z = random.standard_normal((400, 12))
    outputs = z[:, :1] + 0.5 * random.standard_normal((400, 1))
    emulator = fit_emulator(z, outputs)
    fresh = random.standard_normal((2000, 12))
    error = np.sqrt(((emulator.predict(fresh)[:, 0] - fresh[:, 0]) ** 2).mean())
    assert error < 0.12
    assert emulator.held_back_rms[0] == pytest.approx(0.5, rel=0.1)


def _linear_gaussian(width: float = 1.0) -> tuple[Batch, float, np.ndarray, np.ndarray]:
    """Return a posterior whose mean, sd and evidence are known in closed form."""
    random = np.random.default_rng(5)
    z = random.standard_normal((4000, 2))
    emulator = fit_emulator(
        z, np.column_stack([z[:, 0] * 2.0]) + 0.3 * random.standard_normal((4000, 1))
    )
    batch = Batch(emulator, (0,), np.array([[3.0]]), np.array([0.4]), 2, width)
    variance = float(batch.total_sd[0] ** 2)
    total = 4.0 * width**2 + variance
    evidence = -0.5 * (9.0 / total + np.log(2 * np.pi * total))
    mean = np.array([2.0 * width**2 * 3.0 / total, 0.0])
    sd = width * np.array([np.sqrt(variance / total), 1.0])
    return batch, evidence, mean, sd


@pytest.mark.parametrize("width", [1.0, 0.5])
def test_sampler_and_evidence_agree_with_the_closed_form(width: float) -> None:
    """Posterior draws or evidence would be wrong even for a linear Gaussian model."""
    batch, evidence, mean, sd = _linear_gaussian(width)
    branch = sample_branch(batch, 400, 7)
    assert branch.z.mean(axis=0) == pytest.approx(mean, abs=0.08)
    assert branch.z.std(axis=0) == pytest.approx(sd, rel=0.1)
    assert branch.log_evidence == pytest.approx(evidence, abs=0.06)
    assert branch.log_evidence_sd < 0.05
    assert branch.r_hat < 1.02
    again = importance_evidence(batch, branch.z, np.random.default_rng(1))
    assert again[0] == pytest.approx(evidence, abs=0.06)


def test_priors_of_any_width_are_normalised() -> None:
    """Evidences under narrower and wider priors could not be compared."""
    grid = np.linspace(-2.5, 2.5, 4001)[:, None]
    for width in (0.5, 1.0, 2.0):
        mass = np.exp(log_prior(grid, width)).sum() * (grid[1, 0] - grid[0, 0])
        assert mass == pytest.approx(1.0, abs=2e-3)


def test_chains_that_disagree_are_seen() -> None:
    """A sampler whose chains stay where they began would pass for one that has converged."""
    random = np.random.default_rng(8)
    good = random.standard_normal((8, 400, 2))
    assert r_hat(good) < 1.02
    assert r_hat(good + np.arange(8)[:, None, None]) > 1.5


def test_sampling_is_reproducible() -> None:
    """The same seed would give another posterior."""
    batch, *_ = _linear_gaussian()
    first, second = (sample_branch(batch, 40, 11) for _ in range(2))
    assert np.array_equal(first.z, second.z)


def test_an_output_that_never_varies_is_emulated_as_such() -> None:
    """An idle share that is the same in all runs would be nan in the posterior, or warn."""
    random = np.random.default_rng(0)
    z = random.standard_normal((80, 3))
    outputs = np.column_stack([z[:, 0] + 0.1 * random.standard_normal(80), np.zeros(80)])
    emulator = fit_emulator(z, outputs)
    assert emulator.predict(z)[:, 1] == pytest.approx(0.0, abs=1e-9)
    assert np.isfinite(emulator.residual_covariance).all()
    assert emulator.residual_covariance[1, 1] == pytest.approx(0.0, abs=1e-9)
