"""Exhaustion of budgets and named comparators, worked out by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from analysis.budgets import exhausted_after_months, exhaustion
from analysis.comparators import (
    LAST_SCALED,
    RATE_SCALED,
    YEAR_SITES,
    YEAR_TABLE,
    comparators,
    reported_comparators,
)
from analysis.cumulative import cumulative_draws
from sim.errors import DataError
from tests.unit import small_projection as small


def _rows(budget: float) -> pd.DataFrame:
    found = exhaustion(small.monthly(), small.consumed(), small.budgets(budget), small.DATE_AT)
    return found.set_index("hypothesis")


def test_month_of_exhaustion_is_interpolated() -> None:
    """A budget would seem to last until the end of the month in which it runs out."""
    low = cumulative_draws(small.monthly(), small.consumed()).query("hypothesis == 'low'")
    found = exhausted_after_months(low, 275.0)
    # 200 at M12, then 10, 20, 30, 40, 50 a month: 75 more take 7.5, 3.75, 2.5, 1.875, 1.5 months
    assert list(found) == [np.inf, 15.75, 14.5, 13.875, 13.5]


def test_probability_and_dates_by_hand() -> None:
    """The planner would be told a wrong day or a wrong chance."""
    row = _rows(275.0).loc["low"]
    assert row["p_exhausted"] == 0.8
    assert row["p_already"] == 0.0
    assert row["elapsed_months_p50"] == pytest.approx((13.875 + 14.5) / 2)
    assert row["date_p50"] == date(2023, 11, 6)  # 0.1875 of November's 30 days: the 6th
    assert row["horizon_month"] == 18
    assert row["sentence"] == (
        "GPU, under `low`: the budget of 275 GPU-h is used up by the end of M18 with probability "
        "80 %; if so, between 2023-10-18 and 2023-12-18 (90 % interval), median 2023-11-06."
    )


def test_a_budget_spent_in_the_report_names_the_half_year() -> None:
    """A budget long gone would be announced as a thing of the future."""
    row = _rows(275.0).loc["high"]
    assert (row["p_exhausted"], row["p_already"], row["already_period"]) == (1.0, 1.0, "M7-M12")
    assert np.isnan(row["elapsed_months_p50"])
    assert row["date_p50"] is None
    assert row["sentence"].endswith("was used up in M7-M12, before the projection begins.")


def test_the_average_counts_each_draw_by_its_branch() -> None:
    """The averaged chance would take one reading of the past for certain."""
    row = _rows(275.0).loc["averaged"]
    # draws 4 and 5 read high: already; 2 and 3 read low and reach it; 1 does not
    assert row["p_already"] == 0.4
    assert row["p_exhausted"] == 0.8
    assert row["elapsed_months_p50"] == (15.75 + 14.5) / 2
    assert "in 40 % of the draws" in row["sentence"]


def test_a_budget_reached_exactly_is_used_up() -> None:
    """The very last hour of a budget would count as still there."""
    assert _rows(300.0).loc["high", "p_already"] == 1.0
    assert _rows(260.0).loc["low", "p_exhausted"] == 1.0  # draw 1 ends at exactly 260
    assert _rows(260.0).loc["low", "elapsed_months_p95"] <= 18.0


def test_a_budget_that_lasts_has_no_date() -> None:
    """A date would be invented for a budget that never runs out."""
    row = _rows(10_000.0).loc["averaged"]
    assert row["p_exhausted"] == 0.0
    assert row["date_p95"] is None
    assert row["sentence"].endswith("is not used up by the end of M18 in any draw.")


def test_budget_of_an_unknown_resource_is_refused() -> None:
    """A misspelt resource would silently have no answer."""
    with pytest.raises(DataError, match="did you mean 'gpu'"):
        exhaustion(small.monthly(), small.consumed(), small.budgets().assign(resource="gpus"),
                   small.DATE_AT)


def test_comparators_differ_by_table_and_say_so() -> None:
    """"Lower than the year before" would be true or false depending on an unnamed table."""
    found = {c.name: c for c in reported_comparators(small.observations(), "gpu", "PY2")}
    assert {name: c.value for name, c in found.items()} == {
        YEAR_TABLE: 300.0, YEAR_SITES: 190.0, LAST_SCALED: 400.0}
    assert found[YEAR_TABLE].label == "PY1 (M1-M12) as the cumulative table has it"
    assert found[YEAR_SITES].label == (
        "PY1 (M1-M12) as the site tables sum it up, 1 blank cell left out")
    assert found[LAST_SCALED].label == (
        "twice the last reported half-year (M7-M12, cumulative table)")


def test_probability_below_each_comparator() -> None:
    """The chance of a lower year would not be the share of draws below it."""
    year = small.draws().groupby(
        ["draw", "hypothesis", "site", "resource", "ledger", "unit"], sort=False
    )["quantity"].sum().reset_index().assign(period="PY2")
    found = comparators(year, small.observations()).set_index(["hypothesis", "comparator"])
    # 60, 120, 180, 240, 300 against 300, 190 and 400; equal is not lower
    assert found.loc[("low", YEAR_TABLE), "p_lower"] == 0.8
    assert found.loc[("low", YEAR_SITES), "p_lower"] == 0.6
    assert found.loc[("low", LAST_SCALED), "p_lower"] == 1.0
    assert found.loc[("low", YEAR_SITES), "sentence"] == (
        "GPU, under `low`: PY2 is lower than PY1 (M1-M12) as the site tables sum it up, 1 blank "
        "cell left out (190 GPU-h) with probability 60 %."
    )


def test_a_report_shorter_than_the_projection_is_a_rate() -> None:
    """A year after five reported months would only be compared with the last of them."""
    found = {c.name: c for c in reported_comparators(small.observations(), "gpu", "M13-M36")}
    assert found[RATE_SCALED].value == 600.0
    assert found[RATE_SCALED].label == "24 months at the rate of PY1 (M1-M12)"
    assert YEAR_TABLE not in found


def test_a_report_without_cumulative_table_has_fewer_comparators() -> None:
    """A federation that reports by site only could not be compared at all."""
    sites_only = small.observations().query("metric != 'cumulative'")
    found = {c.name: c for c in reported_comparators(sites_only, "gpu", "PY2")}
    assert set(found) == {YEAR_SITES, LAST_SCALED}
    assert found[LAST_SCALED].value == 200.0
    assert "site tables" in found[LAST_SCALED].label


def test_nothing_reported_nothing_compared() -> None:
    """A resource without figures would be compared with zero."""
    assert reported_comparators(small.observations(), "cpu", "PY2") == []
