"""The ensemble smoother on problems with known posteriors, and the comparison of posteriors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.calibration.priors import Z_LIMIT
from analysis.cli import composed
from analysis.crosscheck import (
    Found,
    Study,
    between_replicates,
    branches,
    compare,
    esmda,
)
from analysis.crosscheck_page import PAGE, draw, run, tables
from analysis.federations import packaged, register
from analysis.pages import with_tables
from analysis.verbs.calibrate import OWN
from analysis.verbs.common import Setup, prepare_setup
from sim.units import FloatArray

SLOPES = np.array([[1.0, 0.5], [-0.3, 0.8], [0.2, 0.4]])  # parameters by figures
OBSERVED, NOISE = np.array([0.6, -0.5]), np.array([0.3, 0.4])
REPLICATES = np.array([[0.16, 0.06], [0.06, 0.25]])


def _exact(noise: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and covariance of the linear Gaussian posterior under a noise covariance."""
    gain = SLOPES @ np.linalg.inv(SLOPES.T @ SLOPES + noise)
    return gain @ OBSERVED, np.eye(3) - gain @ SLOPES.T


def _smoothed(replicates: FloatArray, pairs: int, members: int = 40_000) -> FloatArray:
    """Smooth the linear problem; figures scatter by `replicates` from run to run."""
    random = np.random.default_rng(5)
    values, vectors = np.linalg.eigh(replicates)
    factor = vectors * np.sqrt(np.maximum(values, 0.0))

    def forward(z: FloatArray, step: int) -> tuple[FloatArray, FloatArray]:
        def once(points: FloatArray) -> FloatArray:
            return points @ SLOPES + random.standard_normal((len(points), 2)) @ factor.T

        return once(z), once(z[:pairs])

    start = random.standard_normal((members, 3))
    return esmda(forward, start, OBSERVED, NOISE, 4, random)


def test_a_linear_problem_has_its_analytic_posterior() -> None:
    """Gain, inflation of the noise or perturbations would be wrong."""
    z = _smoothed(np.zeros((2, 2)), 0)
    mean, covariance = _exact(np.diag(NOISE**2))
    assert z.mean(axis=0) == pytest.approx(mean, abs=0.03)
    assert np.cov(z.T) == pytest.approx(covariance, abs=0.03)


def test_the_report_counts_as_one_replicate() -> None:
    """The posterior would be too narrow: as if as many reports were known as steps are made."""
    whole = np.diag(NOISE**2) + REPLICATES
    mean, covariance = _exact(whole)
    z = _smoothed(REPLICATES, 5000)
    assert z.mean(axis=0) == pytest.approx(mean, abs=0.03)
    assert np.cov(z.T) == pytest.approx(covariance, abs=0.03)
    plain = np.linalg.det(np.cov(_smoothed(REPLICATES, 0).T))
    averaged = _exact(np.diag(NOISE**2) + REPLICATES / 4)[1]
    assert plain == pytest.approx(np.linalg.det(averaged), rel=0.1)
    assert plain < 0.6 * np.linalg.det(covariance)


def test_an_ensemble_of_the_study_loses_what_the_page_says() -> None:
    """The page would excuse a difference by chance that is larger or smaller than it says."""
    ratios, away = [], []
    for seed in range(8):
        random = np.random.default_rng(seed)
        slopes = 0.5 * random.standard_normal((33, 22)) * (random.random((33, 22)) < 0.25)
        scatter, noise = 0.1, np.full(22, 0.1)
        truth = random.standard_normal(33) @ slopes
        observed = truth + np.hypot(scatter, 0.1) * random.standard_normal(22)
        gain = slopes @ np.linalg.inv(slopes.T @ slopes + np.diag(scatter**2 + noise**2))
        sd = np.sqrt(np.diag(np.eye(33) - gain @ slopes.T))

        def forward(z: FloatArray, step: int, slopes=slopes, random=random):  # type: ignore[no-untyped-def]
            runs = np.concatenate([z, z[:60]]) @ slopes
            runs += 0.1 * random.standard_normal(runs.shape)
            return runs[: len(z)], runs[len(z) :]

        start = random.standard_normal((300, 33))
        z = esmda(forward, start, observed, noise, 6, random)
        ratios.append(z.std(axis=0) / sd)
        away.append(np.sqrt(np.mean(((z.mean(axis=0) - gain @ observed) / sd) ** 2)))
    assert 0.86 <= np.mean(ratios) <= 0.93
    assert 0.18 <= np.median(away) <= 0.4


def test_pairs_show_how_much_replicates_differ() -> None:
    """Replicates would count twice or half, or runs of different parameters be compared."""
    random = np.random.default_rng(0)
    expected = random.standard_normal((9000, 2)) * 10.0
    factor = np.linalg.cholesky(REPLICATES)
    runs = [expected + random.standard_normal((9000, 2)) @ factor.T for _ in range(2)]
    found = between_replicates(runs[0], runs[1][:8000])
    assert found == pytest.approx(REPLICATES, abs=0.015)
    assert not between_replicates(runs[0], runs[1][:0]).any()


def test_the_ensemble_stays_within_the_prior() -> None:
    """Members would be run where the priors, and so the shipped posterior, never are."""
    random = np.random.default_rng(1)

    def forward(z: FloatArray, step: int) -> tuple[FloatArray, FloatArray]:
        assert np.abs(z).max() <= Z_LIMIT
        return z, z[:0]

    start = np.clip(random.standard_normal((50, 1)), -Z_LIMIT, Z_LIMIT)
    z = esmda(forward, start, np.array([9.0]), np.array([0.1]), 3, random)
    assert z.max() == Z_LIMIT


@pytest.fixture(scope="module")
def setup() -> Setup:
    """Return the tiny federation, checked."""
    register(packaged()["tiny"])
    return prepare_setup(composed("calibrate", ["federation=tiny", "jobs=1"]), OWN)


def test_values_turn_back_into_z(setup: Setup) -> None:
    """The shipped posterior would be compared on another scale than the ensemble."""
    z = np.linspace(-2.4, 2.4, 7)
    for prior in setup.case.priors.priors.values():
        assert prior.z(np.asarray(prior.value(z))) == pytest.approx(z)


def test_the_heaviest_law_is_checked() -> None:
    """A growth law that hardly counts would be checked in place of the one that does."""
    laws = pd.DataFrame({
        "hypothesis": ["a", "a", "b", "b"], "law": ["x", "y", "x", "y"],
        "weight": [0.1, 0.9, 0.55, 0.45],
    })  # fmt: skip
    assert branches(laws, Study()) == [("a", "y"), ("b", "x")]
    some = branches(laws, Study(least_weight=0.4))
    assert some == [("a", "y"), ("b", "x"), ("b", "y")]


def _found(setup: Setup, shift: float, stretch: float) -> Found:
    """Return posteriors in which ES-MDA differs in the first parameter and the first figure."""
    random = np.random.default_rng(2)
    names = setup.case.priors.names("saturating")
    shipped = random.standard_normal((4000, len(names))) * 0.5
    z = shipped.copy()
    z[:, 0] = shift * 0.5 + stretch * shipped[:, 0]
    hypothesis = next(iter(setup.case.hypotheses.hypotheses))
    values = np.exp(random.standard_normal((4000, 40)) * 0.1 + 5.0)
    changed = values.copy()
    changed[:, 0] *= 3.0
    values[:, 1] = changed[:, 1] = 0.0
    return Found(hypothesis, "saturating", names, z, shipped, changed, values)


def test_what_differs_is_flagged(setup: Setup) -> None:
    """A disagreement would go unmarked, or an agreement be marked."""
    for shift, stretch, wrong in ((0.9, 1.0, False), (1.1, 1.0, True), (0.0, 0.45, True)):
        table = compare(setup.case, _found(setup, shift, stretch))
        parameters = table[table["kind"] == "parameter"]
        assert parameters["flagged"].tolist() == [wrong] + [False] * (len(parameters) - 1)
        assert parameters["difference"].iloc[0] == pytest.approx(shift, abs=0.05)
        assert parameters["sd_ratio"].iloc[0] == pytest.approx(stretch)
    figures = table[table["kind"] == "figure"]
    assert figures["flagged"].tolist() == [True] + [False] * (len(figures) - 1)
    assert figures["esmda_p50"].iloc[0] == pytest.approx(3.0 * figures["shipped_p50"].iloc[0])
    assert not (table["shipped_p95"] == 0.0).any()


@pytest.mark.slow
def test_a_small_study_fills_the_page(setup: Setup, tmp_path: Path) -> None:
    """The study would fail on a federation, do finished runs again, or not fit its page."""
    shipped = setup.case.folder / "posterior"
    draws, laws = pd.read_parquet(shipped / "draws.parquet"), pd.read_csv(shipped / "laws.csv")
    study = Study(members=120, assimilations=3, pairs=20, draws=60, jobs=1)
    table = run(setup, draws, laws, study, tmp_path / "kept")
    parameters = table[table["kind"] == "parameter"]
    assert parameters["flagged"].mean() <= 0.2
    assert 0.6 <= parameters["sd_ratio"].median() <= 1.3
    files = sorted((tmp_path / "kept").rglob("*"))
    again = run(setup, draws, laws, study, tmp_path / "kept")
    pd.testing.assert_frame_equal(table, again)
    assert sorted((tmp_path / "kept").rglob("*")) == files
    assert draw(table, tmp_path, "crosscheck").stat().st_size > 10_000
    text = with_tables(PAGE.read_text(encoding="utf-8"), tables(table), PAGE)
    assert "ES-MDA on the simulator" in text
    written = pd.read_csv(tmp_path / "crosscheck.csv")
    assert tables(written) == tables(table)
