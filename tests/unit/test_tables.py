"""The tables of a projection, added up by hand."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from analysis.cumulative import cumulative_draws, elapsed_date, reported_totals
from analysis.tables import NUMBERS, report_tables, summarise
from sim.errors import DataError
from sim.timeline import ProjectCalendar
from tests.unit import small_projection as small


def _tables() -> dict[str, pd.DataFrame]:
    return report_tables(
        small.observations(), small.history(), small.draws(), small.metrics(), small.monthly(),
        small.consumed(), small.budgets(), small.DATE_AT,
    )


def test_summary_has_hand_computed_quantiles() -> None:
    """The published intervals would not be those of the draws."""
    found = summarise(small.draws())
    row = found[(found["hypothesis"] == "low") & (found["period"] == "M13-M15")
                & (found["site"] == "all")].iloc[0]
    # 30, 60, 90, 120, 150
    assert row["mean"] == 90.0
    assert row["sd"] == pytest.approx(47.43416490252569)
    assert list(row[["p05", "p25", "p50", "p75", "p95"]]) == pytest.approx(
        [36.0, 60.0, 90.0, 120.0, 144.0])


def test_summary_starts_with_the_average_and_the_earlier_period() -> None:
    """A reader would take the first line, a single hypothesis, for the answer."""
    found = summarise(small.draws())
    assert list(found["hypothesis"].unique()) == ["averaged", "low", "high"]
    assert list(found["period"].unique()) == ["M13-M15", "M16-M18"]
    assert len(found) == 3 * 2 * 3


def test_a_hole_in_the_draws_is_refused() -> None:
    """A lost replicate would shift the quantiles without a word."""
    draws = small.draws()
    draws.loc[3, "quantity"] = float("nan")
    with pytest.raises(DataError, match="row 3"):
        summarise(draws)


def test_missing_column_is_named() -> None:
    """The user would see a traceback instead of the name of the column."""
    with pytest.raises(DataError, match="'ledger'"):
        summarise(small.draws().drop(columns="ledger"))


def test_reported_totals_follow_time_not_row_order() -> None:
    """Increments listed in any order would add up to wrong intermediate totals."""
    high = reported_totals(small.consumed()).query("hypothesis == 'high'")
    assert list(high["month"]) == [6, 12]
    assert list(high["quantity"]) == [100.0, 300.0]


def test_the_average_starts_from_the_reading_of_its_branch() -> None:
    """Averaged consumption would mix one reading's past with another's future."""
    found = cumulative_draws(small.monthly(), small.consumed()).query("hypothesis == 'averaged'")
    at = found.set_index(["draw", "month"])["quantity"]
    assert [at[draw, 12] for draw in range(1, 6)] == [200.0, 200.0, 200.0, 300.0, 300.0]
    assert at[1, 18] == 200.0 + 6 * 10.0
    assert at[5, 18] == 300.0 + 6 * 50.0


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda m: m.drop(index=m.index[m["month"] == 14][0]), "a month is missing"),
        (lambda m: pd.concat([m, m.iloc[[0]]]), "a month twice"),
        (lambda m: m.assign(branch="hihg"), "did you mean 'high'"),
        (lambda m: m.assign(month=m["month"] - 1), "a reported month"),
    ],
)
def test_months_must_follow_the_report_unbroken(spoil: object, said: str) -> None:
    """A missing or doubled month would be taken for less or more use."""
    assert callable(spoil)
    with pytest.raises(DataError, match=said):
        cumulative_draws(spoil(small.monthly()), small.consumed())


def test_cumulative_table_has_the_report_and_the_readings() -> None:
    """The summary of consumption would not continue the report's own columns."""
    table = _tables()["2.9 cumulative"].set_index("HYPOTHESIS")
    low, high, averaged = table.loc["low"], table.loc["high"], table.loc["averaged"]
    for row in (low, high, averaged):
        assert row["TOTAL BUDGETED IN THE PROJECT"] == 300
        assert row["USED BY M6 (Feb 2023)"] == 100
        assert row["USED BY M12 (Aug 2023)"] == 300
    assert low["USED BY M12 AS THE HYPOTHESIS READS IT"] == 200
    assert high["USED BY M12 AS THE HYPOTHESIS READS IT"] == 300
    assert averaged["USED BY M12 AS THE HYPOTHESIS READS IT"] == "200 or 300"
    assert low["USED BY M15 (Nov 2023)"] == "290 [236 - 344]"
    assert high["USED BY M15 (Nov 2023)"] == "390 [336 - 444]"
    assert high["USED BY M18 (Feb 2024)"] == "480 [372 - 588]"
    assert averaged["USED BY M15 (Nov 2023)"] == "290 [236 - 444]"  # 230 260 290 420 450


def test_installation_table_keeps_a_blank_blank() -> None:
    """An unreported half-year would be read as no use at all."""
    line = _tables()["2.4 B GPU"].iloc[0]
    assert line["M1-M6"] is None
    assert line["M7-M12"] == 40
    assert line["M13-M15"] == "22.5 [9 - 36]"  # 0.25 of 30 60 90 120 150


def test_installation_table_has_the_shape_of_the_report() -> None:
    """The planner could not lay the projection beside the report's page."""
    table = _tables()["2.3 A GPU"]
    assert list(table.columns) == [
        "Metric name", "Unit", "Baseline", "M1-M6", "M7-M12", "M13-M15", "M16-M18"]
    usage, users = table.iloc[0], table.iloc[1]
    assert usage["Baseline"] == 1234.5
    assert (usage["M1-M6"], usage["M7-M12"]) == (90, 60)
    assert usage["M13-M15"] == "67.5 [27 - 108]"  # 0.75 of 30 60 90 120 150
    assert (users["Metric name"], users["M7-M12"], users["M16-M18"]) == (
        "Number of users", 5, "7 [7 - 7]")


def test_a_metric_without_projection_says_so() -> None:
    """A cell nobody projected would look like a blank of the report."""
    tables = report_tables(
        small.observations(), small.history(), small.draws(),
        small.metrics().query("period == 'M7-M12'"), small.monthly(), small.consumed(),
        small.budgets(), small.DATE_AT,
    )
    assert tables["2.3 A GPU"].iloc[1]["M13-M15"] == "not projected"


def test_tidy_numbers_say_what_each_is() -> None:
    """Fitted, reported and projected numbers could not be told apart by a program."""
    numbers = _tables()[NUMBERS]
    a_gpu = numbers[(numbers["installation"] == "A GPU") & (numbers["metric"] == "usage")]
    assert a_gpu["kind"].value_counts().to_dict() == {
        "projected": 6, "fitted": 6, "reported": 2, "baseline": 1}
    fitted = a_gpu.query("kind == 'fitted' and hypothesis == 'low' and period == 'M7-M12'")
    assert fitted["p50"].item() == 120.0  # the third of 40 80 120 160 200
    cumulative = numbers.query("kind == 'projected' and metric == 'cumulative'")
    assert sorted(cumulative["period"].unique()) == ["M1-M15", "M1-M18"]


def test_elapsed_months_become_days() -> None:
    """Dates of exhaustion would be off by a month."""
    at = elapsed_date(ProjectCalendar(date(2022, 9, 1), 36))
    assert at(0.0) == date(2022, 9, 1)
    assert at(24.0) == date(2024, 9, 1)
    assert at(24.5) == date(2024, 9, 16)
