"""Sobol indices and tornado tables on functions whose answers are known, and their figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.calibration.calibrate import LEFT
from analysis.calibration.identifiability import PRIOR_SD
from analysis.calibration.priors import Z_LIMIT
from analysis.quantities import Quantity
from analysis.sensitivity import (
    ALONE,
    FOLLOWING,
    INFORMED,
    PRIOR,
    Inputs,
    leading,
    outstanding,
    posterior_marginals,
    sobol,
    tornado,
)
from analysis.sensitivity_figure import draw_sobol, draw_tornado
from sim.errors import DataError
from sim.units import FloatArray

GPU = Quantity("all", "gpu", "allocated")
CPU = Quantity("all", "cpu", "provisioned")
STORAGE = Quantity("all", "storage", "provisioned")
ANGLES = Inputs("angles", lambda u: np.pi * (2.0 * u - 1.0))


def _ishigami(x: FloatArray) -> FloatArray:
    """Return the Ishigami function with a = 7, b = 0.1 beside an output that never changes."""
    y = np.sin(x[:, 0]) + 7.0 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])
    return np.column_stack([y, np.ones(len(x))])


def test_indices_of_the_ishigami_function() -> None:
    """First-order, total, or interactions would be attributed wrongly."""
    table = sobol(_ishigami, ["a", "b", "c"], [GPU, CPU], ANGLES, 12, 0)
    gpu = table[table["resource"] == "gpu"]
    # Ishigami and Homma 1990: V = a2/8 + b pi4/5 + b2 pi8/18 + 1/2
    whole = 49 / 8 + 0.1 * np.pi**4 / 5 + 0.01 * np.pi**8 / 18 + 0.5
    alone = np.array([0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2, 49 / 8, 0.0]) / whole
    together = 0.01 * np.pi**8 * (1 / 18 - 1 / 50) / whole
    assert gpu["first"].to_numpy() == pytest.approx(alone, abs=0.02)
    total = alone + np.array([together, 0.0, together])
    assert gpu["total"].to_numpy() == pytest.approx(total, abs=0.02)
    assert (gpu["total_p05"] <= total).all()
    assert (gpu["total_p95"] >= total).all()
    constant = table[table["resource"] == "cpu"]
    assert not constant[["first", "first_p05", "total", "total_p95"]].to_numpy().any()


def test_indices_follow_the_inputs() -> None:
    """Indices would be of the prior where the posterior was asked for, or the cut-off be lost."""
    weights = np.array([[1.0], [2.0]])
    prior = sobol(lambda z: z @ weights, ["a", "b"], [GPU], PRIOR, 10, 0)
    assert prior["total"].to_numpy() == pytest.approx([0.2, 0.8], abs=0.02)
    draws = np.random.default_rng(0).standard_normal((4000, 2)) * [1.0, 0.25]
    inputs = posterior_marginals(draws)
    after = sobol(lambda z: z @ weights, ["a", "b"], [GPU], inputs, 10, 0)
    assert after["total"].to_numpy() == pytest.approx([0.8, 0.2], abs=0.03)
    assert after["inputs"].unique().tolist() == ["posterior marginals, dependence ignored"]
    assert np.abs(PRIOR.z_of(np.array([[1e-9, 1 - 1e-9]]))).max() <= Z_LIMIT


def test_an_emulator_of_other_outputs_is_refused() -> None:
    """Indices would stand beside the wrong quantity, or be of numbers that are none."""
    with pytest.raises(DataError, match="2 finite outputs"):
        sobol(lambda z: z[:, :1], ["a"], [GPU, CPU], PRIOR, 4, 0)
    with pytest.raises(DataError, match="1 finite outputs"):
        sobol(lambda z: z * np.nan, ["a"], [GPU], PRIOR, 4, 0)


def test_a_tornado_of_two_correlated_parameters() -> None:
    """A parameter's ends, the others' following or the percentages would be wrong."""
    random = np.random.default_rng(1)
    factor = np.linalg.cholesky(np.array([[0.16, -0.12], [-0.12, 0.25]]))
    draws = 0.3 + random.standard_normal((200_000, 2)) @ factor.T
    names, weights = ["rate", "length"], np.array([[1.0], [1.0]])
    table = tornado(lambda z: z @ weights, names, [GPU], draws, lambda y: 1000.0 * np.exp(y))
    rows = table.set_index(["parameter", "way"])
    reach = 1.6449 * 0.4
    alone, following = rows.loc[("rate", ALONE)], rows.loc[("rate", FOLLOWING)]
    assert alone["at_mean"] == pytest.approx(1000 * np.exp(0.6), rel=0.01)
    assert alone["percent_p95"] == pytest.approx(100 * np.expm1(reach), rel=0.02)
    assert following["percent_p95"] == pytest.approx(100 * np.expm1(reach * 0.25), rel=0.03)
    assert alone["change_p05"] == pytest.approx(alone["at_mean"] * np.expm1(-reach), rel=0.02)
    assert alone["swing"] == pytest.approx(alone["change_p95"] - alone["change_p05"])
    assert alone["sd_ratio"] == pytest.approx(0.4 / PRIOR_SD, rel=0.01)
    assert set(table["verdict"]) == {INFORMED}
    assert set(table["unit"]) == {"GPU-h"}


def test_what_the_figures_left_at_its_prior_is_called_so() -> None:
    """A parameter that nobody measured would pass for one that the figures support."""
    draws = np.random.default_rng(2).standard_normal((5000, 1))
    table = tornado(lambda z: z, ["a"], [GPU], draws, np.exp)
    assert set(table["verdict"]) == {LEFT}


def test_the_figures_draw_what_matters(tmp_path) -> None:
    """A figure would fail on real tables, or show parameters that do not matter."""
    random = np.random.default_rng(3)
    names = [f"parameter_{k}" for k in range(12)]
    wanted = [GPU, CPU, STORAGE]
    weights = random.standard_normal((12, 3)) * (np.arange(12)[:, None] > 1)
    draws = random.standard_normal((500, 12)) * random.uniform(0.3, 1.0, 12)

    def predict(z: FloatArray) -> FloatArray:
        return 0.1 * z @ weights + 11.0

    table = leading(tornado(predict, names, wanted, draws, np.exp), 5)
    assert (table.groupby("quantity")["parameter"].nunique() == 5).all()
    assert draw_tornado(table, tmp_path, "tornado").stat().st_size > 10_000
    both = [PRIOR, posterior_marginals(draws)]
    shares = outstanding(pd.concat([sobol(predict, names, wanted, i, 8, 0) for i in both]))
    assert draw_sobol(shares, tmp_path, "sobol").stat().st_size > 10_000
    shown = set(pd.read_csv(tmp_path / "sobol.csv")["parameter"])
    assert "parameter_0" not in shown
    assert set(shares.groupby("parameter")["total"].max() > 0.03) == {True}


def test_nothing_to_draw_is_said() -> None:
    """An empty figure would be written, or matplotlib's own error shown."""
    empty = pd.DataFrame(columns=["site", "resource"])
    assert not len(leading(empty))
    for draw in (draw_sobol, draw_tornado):
        with pytest.raises(DataError, match="nothing to draw"):
            draw(empty, Path("nowhere"), "figure")
