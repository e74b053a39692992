"""EGI's portal: months of sites and organisations, in a unit that somebody has to state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sim.errors import DataError
from tests.accounting_by_hand import GOLDEN, Result, import_of

COLUMNS = [
    "time", "ce", "infrastructure", "site", "vo", "number_of_jobs", "raw_cpu_time", "raw_wc_time"
]  # fmt: skip
ROW = ["2026-09-01T00:00:00Z", "c1", "Cloud", "S", "vo", 2, 30.0, 40.0]


def _row(**changed: Any) -> list[Any]:
    return [changed.get(name, value) for name, value in zip(COLUMNS, ROW, strict=True)]


def _csv(folder: Path, *rows: list[Any], **options: str) -> Result:
    lines = [COLUMNS, *rows]
    text = "".join(",".join("" if c is None else str(c) for c in line) + "\n" for line in lines)
    return import_of("egi_portal", folder, text, **options)


def _json(folder: Path, *rows: list[Any], columns: list[Any] = COLUMNS, **series: Any) -> Result:
    made = {"name": "cloud", "columns": columns, "values": list(rows), **series}
    return import_of("egi_portal", folder, json.dumps({"results": [{"series": [made]}]}))


def _amounts(result: Result) -> dict[Any, float]:
    table = result.done.totals.set_index(["month", "resource", "ledger"])
    return table["quantity"].to_dict()


def test_golden(tmp_path) -> None:
    """The golden file would give other amounts than those computed by hand."""
    result = import_of("egi_portal", tmp_path, GOLDEN / "egi_portal.csv")
    assert result.done.rows == {"read": 4, "used": 3, "refused": 0, "merged": 1}
    # September: two elements of one site, 1000 + 101, and 500 of atlas; October 100.
    assert _amounts(result) == {
        ("2026-09", "cpu", "allocated"): 1000.0 + 101.0 + 500.0,
        ("2026-09", "cpu", "active"): 900.0 + 50.5 + 400.0,
        ("2026-09", "jobs", "allocated"): 12.0 + 3.0 + 40.0,
        ("2026-10", "cpu", "allocated"): 100.0,
        ("2026-10", "cpu", "active"): 25.0,
        ("2026-10", "jobs", "allocated"): 5.0,
    }
    first = result.aggregates.iloc[0]
    assert (first["site"], first["project"], first["quantity"]) == (
        "IFCA-LCG2", "vo.ai4eosc.eu", 1101.0
    )  # fmt: skip
    assert first["period_end"] == pd.Timestamp("2026-10-01", tz="UTC")
    assert "are hours (time_unit; the portal does not say)" in result.said


def test_golden_json(tmp_path) -> None:
    """The same rows would give other amounts as JSON, or a time in ns be another month."""
    result = import_of("egi_portal", tmp_path, GOLDEN / "egi_portal.json")
    assert result.done.rows == {"read": 2, "used": 1, "refused": 0, "merged": 1}
    assert _amounts(result) == {
        ("2026-09", "cpu", "allocated"): 1101.0,
        ("2026-09", "cpu", "active"): 950.5,
        ("2026-09", "jobs", "allocated"): 15.0,
    }


def test_the_unit_can_be_stated(tmp_path) -> None:
    """Seconds would be taken for hours, 3,600 times too much."""
    result = _csv(tmp_path, _row(raw_wc_time=7200, raw_cpu_time=3600), time_unit="seconds")
    assert _amounts(result)["2026-09", "cpu", "allocated"] == 2.0
    assert _amounts(result)["2026-09", "cpu", "active"] == 1.0
    assert "are seconds" in result.said
    assert "more than a year a job" in _csv(tmp_path, _row(raw_wc_time=2 * 8767)).said


@pytest.mark.parametrize(
    "time",
    ["2026-09-01T00:00:00Z", "2026-09-01", "2026-09-01T02:00:00+02:00", 1788220800,
     1788220800_000, 1788220800_000_000, 1788220800_000_000_000],
)  # fmt: skip
def test_a_month_is_its_first_midnight(time: Any, tmp_path) -> None:
    """The same month, written otherwise, would be another or none."""
    for read in (_csv, _json):
        result = read(tmp_path, _row(time=time))
        assert set(result.aggregates["period_start"]) == {pd.Timestamp("2026-09-01", tz="UTC")}


@pytest.mark.parametrize(
    "time",
    ["2026-09-01T00:00:01Z", "2026-09-02", "2026-09-01T00:00:00+02:00", "September", "", None,
     1788220801, 17882208, 1788220800_000_000_001, "1969-01-01", "2200-01-01"],
)  # fmt: skip
def test_other_times_are_refused(time: Any, tmp_path) -> None:
    """A day, or a month in another zone, would be counted as a whole month of UTC."""
    for read in (_csv, _json):
        result = read(tmp_path, _row(vo="x"), _row(time=time))
        assert result.refused["field"].tolist() == ["time"]


def test_rows_that_repeat(tmp_path) -> None:
    """A row that two exports share would be added up, and one that contradicts it as well."""
    text = ",".join(COLUMNS) + "\n" + ",".join(map(str, ROW)) + "\n"
    twice = import_of("egi_portal", tmp_path, text, text)
    assert _amounts(twice)["2026-09", "cpu", "allocated"] == 40.0
    assert twice.done.rows == {"read": 2, "used": 1, "refused": 0, "merged": 1}
    other = _csv(tmp_path, _row(), _row(raw_wc_time=41.0))
    assert other.refused[["row", "what"]].values.tolist() == [
        [3, "differs from an earlier row about the same"]
    ]  # fmt: skip
    assert _amounts(other)["2026-09", "cpu", "allocated"] == 40.0
    more = _csv(tmp_path, _row(), _row(infrastructure="Grid"), _row(ce="c2"))
    assert _amounts(more)["2026-09", "cpu", "allocated"] == 120.0


def test_what_is_not_told_is_no_zero(tmp_path) -> None:
    """A column that a query left out would become an amount of nothing."""
    result = _csv(tmp_path, _row(number_of_jobs=None, raw_cpu_time=None))
    assert _amounts(result) == {("2026-09", "cpu", "allocated"): 40.0}
    empty = dict.fromkeys(COLUMNS[-3:])
    nothing = _csv(tmp_path, _row(vo="x"), _row(**empty))
    assert nothing.refused["what"].tolist() == ["no amount in it"]


def test_more_computed_than_held_is_said(tmp_path) -> None:
    """Wall-clock time without cores would pass for core hours."""
    assert "without cores" in _csv(tmp_path, _row(raw_cpu_time=41)).said
    assert "without cores" not in _csv(tmp_path, _row()).said


def test_locale_commas(tmp_path) -> None:
    """A decimal comma would be read as two cells, or as thousands."""
    text = ",".join(COLUMNS) + "\n" + '2026-09-01,c1,Cloud,S,vo,"1.234","30,5","1.040,25"\n'
    result = import_of("egi_portal", tmp_path, text, decimal="comma")
    assert _amounts(result) == {
        ("2026-09", "cpu", "allocated"): 1040.25, ("2026-09", "cpu", "active"): 30.5,
        ("2026-09", "jobs", "allocated"): 1234.0,
    }  # fmt: skip
    with pytest.raises(DataError, match="none of its"):
        import_of("egi_portal", tmp_path, text)


@pytest.mark.parametrize(
    ("series", "said"),
    [
        ({"partial": True}, "a part of the data only"),
        ({"columns": ["time", "site"]}, "no column"),
        ({"columns": [*COLUMNS, "time"]}, "no column 'time'"),
        ({"columns": "time"}, "no columns"),
        ({"columns": [["time"], {}]}, "no column"),
        ({"values": []}, "no records"),
        ({"values": None}, "no records"),
    ],
)
def test_results_that_cannot_be_used(series: dict[str, Any], said: str, tmp_path) -> None:
    """A result that was cut by the server, or of other columns, would be imported."""
    with pytest.raises(DataError, match=said):
        _json(tmp_path, _row(), **series)


def test_several_series(tmp_path) -> None:
    """Values of a second series would be read under the names of the first."""
    series = [{"columns": COLUMNS, "values": [_row(vo=vo)]} for vo in ("a", "b")]
    both = import_of("egi_portal", tmp_path, json.dumps({"results": [{"series": series}]}))
    assert _amounts(both)["2026-09", "cpu", "allocated"] == 80.0
    series[1]["columns"] = [*COLUMNS[:-2], *reversed(COLUMNS[-2:])]
    with pytest.raises(DataError, match="different columns"):
        import_of("egi_portal", tmp_path, json.dumps({"results": [{"series": series}]}))


def test_rows_of_another_length_are_refused(tmp_path) -> None:
    """Values of a row that lacks one would move to other columns."""
    result = _json(tmp_path, _row(), _row()[:-1], 7)
    assert result.refused[["row", "field"]].values.tolist() == [[2, "record"], [3, "record"]]
    assert "a list of 8 values" in result.refused["expected"].iloc[0]
