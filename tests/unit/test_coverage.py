"""The coverage study: its summary, its draws of the last year, and a small study of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.calibration.batch import Batch, conditional_draws
from analysis.calibration.emulator import Emulator, terms
from analysis.cli import composed
from analysis.coverage import Study, coverage, play, ranks
from analysis.coverage_page import coverage_table, draw, draw_ranks, words
from analysis.federations import packaged, register
from analysis.quantities import KeepFiguresAndYear, quantities
from analysis.verbs.common import prepare_setup
from sim.runner import RunSpec, run_once


def _table(ranks_: np.ndarray, name: str = "a") -> pd.DataFrame:
    return pd.DataFrame({"kind": "parameter", "name": name, "rank": ranks_})


def test_even_ranks_cover_and_narrow_draws_do_not() -> None:
    """A study would pass machinery whose intervals are too narrow or too wide."""
    even = (np.arange(1000) + 0.5) / 1000
    narrow = np.where(np.arange(1000) % 2 == 0, 0.001, 0.999)
    table = coverage(pd.concat([_table(even, "even"), _table(narrow, "narrow")]))
    good, bad = table.to_dict("records")
    assert [good[f"covered_{k}"] for k in (50, 80, 90, 95)] == pytest.approx([0.5, 0.8, 0.9, 0.95])
    assert good["p"] > 0.99
    assert bad["covered_95"] == 0.0
    assert bad["p"] < 1e-9


def test_the_page_names_what_leaves_its_bounds(tmp_path) -> None:
    """A bad coverage would stand among the good ones unmarked."""
    even = (np.arange(1000) + 0.5) / 1000
    table = coverage(pd.concat([_table(even, "even"), _table(0.5 + 0.4 * (even - 0.5), "wide")]))
    table["date"], table["made_from"] = "2026-01-01", "abc"
    shown = coverage_table(table)
    assert shown.count("**1.000**") == 1
    assert "1 of 2 lie between 85% and 95%" in words(table)
    assert words(table).endswith("for `wide`.")
    assert draw(table, tmp_path, "coverage").stat().st_size > 10_000
    assert draw_ranks(table, tmp_path, "ranks").stat().st_size > 10_000


def test_the_last_year_is_drawn_given_the_figures() -> None:
    """What figures say of the year beyond the parameters would be lost, or its noise."""
    size, sets = 1, 3
    coefficients = np.zeros((terms(np.zeros((1, size))).shape[1], 2))
    residual = np.array([[0.04, 0.03], [0.03, 0.09]])
    emulator = Emulator(coefficients, residual, np.zeros(2), np.zeros(2))
    observed = np.array([[0.0], [0.2], [-0.4]])
    batch = Batch(emulator, (0,), observed, np.array([0.1]), size)
    draws = conditional_draws(batch, np.zeros((sets, 40_000, size)), 1, np.random.default_rng(0))
    gain = 0.03 / (0.04 + 0.01)
    assert draws[..., 0].mean(axis=1) == pytest.approx(gain * observed[:, 0], abs=0.01)
    assert draws[..., 0].var(axis=1) == pytest.approx([0.09 - gain * 0.03] * 3, rel=0.03)


def test_the_year_is_that_of_the_usage_table(tiny, policies) -> None:
    """A quantity would be of other months, another ledger or another site than it says."""
    result = run_once(RunSpec(tiny, policies))
    frame = result.usage_frame()
    keep = KeepFiguresAndYear(_nothing, wanted := quantities(tiny))  # type: ignore[arg-type]
    for quantity, value in zip(wanted, keep(result), strict=True):
        mine = frame[
            (frame["resource"] == quantity.resource) & (frame["ledger"] == quantity.ledger)
        ]
        if quantity.site != "all":
            mine = mine[mine["site"] == quantity.site]
        assert value == pytest.approx(mine["quantity"].sum(), rel=1e-9)


class _Nothing:
    """No figures, but all rows of the tiny federation's accounting."""

    rows = frozenset((s, r) for s in ("North", "South") for r in ("gpu", "cpu", "storage"))

    def __call__(self, result: object) -> np.ndarray:
        """Return no values."""
        return np.empty(0)


_nothing = _Nothing()


@pytest.mark.slow
def test_a_small_study_covers(tmp_path) -> None:
    """Intervals of a calibration would not contain the truth as often as they say."""
    register(packaged()["tiny"])
    setup = prepare_setup(composed("validate", ["federation=tiny"]), {"replicates": int})
    study = Study(runs=260, sets=160, chains=2, burn=60, steps=240, thin=12, jobs=1)
    played = play(setup.case, setup.policies, study, tmp_path, lambda _: None)
    found = ranks(setup.case, played, study)
    table = coverage(found)
    assert set(table["kind"]) == {"parameter", "quantity"}
    assert 0.85 <= table["covered_90"].mean() <= 0.96
    assert table["covered_90"].min() >= 0.75
    assert table["covered_50"].mean() <= 0.65
