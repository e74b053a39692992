"""Azure's traces: invocations by function or application and day, and the same for the replay."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.traces import azure_2019, azure_2021
from sim.errors import ConfigError, DataError
from tests.accounting_by_hand import GOLDEN, Result, import_of

MINUTES = [str(minute) for minute in range(1, 1441)]
HEAD = ",".join(["HashOwner", "HashApp", "HashFunction", "Trigger", *MINUTES]) + "\n"
SAMPLE = Path(str(files("scenarios"))) / "measurements" / "azure2021_first200.csv"


def _row(function: str = "f", **counts: Any) -> str:
    cells = [str(counts.get(f"m{minute}", 0)) for minute in MINUTES]
    return ",".join(["o", "a", function, "http", *cells]) + "\n"


def _read(folder: Path, *rows: str, name: str = "md.anon.d02.csv", **options: Any) -> Result:
    path = folder / name
    path.write_text(HEAD + "".join(rows))
    return import_of("azure_functions_2019", folder, path, **options)


def test_golden_2019(tmp_path) -> None:
    """The golden file would give other counts than those made by hand."""
    path = GOLDEN / "azure_functions_2019.csv"
    result = import_of("azure_functions_2019", tmp_path, path, day=1)
    table = result.aggregates
    # c1: 3 and 7 in the second and third minute, 1 in the last; c2: every hour; c3: never.
    assert table.set_index("project")["quantity"].to_dict() == {
        "b1/c1": 11.0, "b1/c2": 24.0, "b2/c3": 0.0
    }  # fmt: skip
    assert set(table["period_start"]) == {pd.Timestamp("2019-07-15", tz="UTC")}
    assert set(table["period_end"]) == {pd.Timestamp("2019-07-16", tz="UTC")}
    assert set(table["ledger"]) == {"active"}
    recorded = azure_2019(path, "c1")
    assert sum(recorded.per_minute) == 11
    assert recorded.per_minute[1:3] == (3, 7)


def test_the_day_is_in_the_name(tmp_path) -> None:
    """All days of a fortnight would be the same one, or a file be of a day that nobody told."""
    second = _read(tmp_path, _row(m1=5))
    assert set(second.aggregates["period_start"]) == {pd.Timestamp("2019-07-16", tz="UTC")}
    told = _read(tmp_path, _row(m1=5), first_day="2020-02-28")
    assert set(told.aggregates["period_start"]) == {pd.Timestamp("2020-02-29", tz="UTC")}
    with pytest.raises(DataError, match="day not told"):
        _read(tmp_path, _row(), name="other.csv")
    with pytest.raises(ConfigError, match="not a date"):
        _read(tmp_path, _row(), first_day="2019-07-15T08:00:00")


@pytest.mark.parametrize("count", ["-1", "1.5", "x", "", "nan", "1e300"])
def test_counts_are_whole_numbers(count: str, tmp_path) -> None:
    """A count that is none would be added up, or refused without its minute."""
    result = _read(tmp_path, _row("f", m7=3), _row("g", m7=count, m9="x"))
    assert result.refused[["row", "field"]].values.tolist() == [[3, "1 to 1440"]]
    assert result.refused["given"].iloc[0].endswith(f"{count} in 7")
    assert result.aggregates["quantity"].tolist() == [3.0]


def test_a_day_has_all_its_minutes(tmp_path) -> None:
    """A file without its last columns would count as a whole day."""
    text = HEAD.replace(",1440\n", "\n") + _row().removesuffix(",0\n") + "\n"
    with pytest.raises(DataError, match="no column 1440") as caught:
        import_of("azure_functions_2019", tmp_path, text, day=1)
    assert len(str(caught.value)) < 600


def test_a_function_twice_on_a_day(tmp_path) -> None:
    """A file that is imported twice would count twice."""
    result = _read(tmp_path, _row(m1=1), _row(m1=1), _row(m1=2))
    assert result.done.rows == {"read": 3, "used": 1, "refused": 1, "merged": 1}


def test_golden_2021(tmp_path) -> None:
    """The golden file would give other counts than those made by hand."""
    result = import_of("azure_functions_2021", tmp_path, GOLDEN / "azure_functions_2021.csv")
    assert result.done.rows == {"read": 6, "used": 4, "refused": 0, "merged": 2}
    day = result.aggregates["period_start"].dt.strftime("%m-%d")
    # a1: two on 31 January, two that ended in the first moment of 1 February; a2: one on the
    # first day, one on the third.
    assert result.aggregates.set_index([day, "project"])["quantity"].to_dict() == {
        ("01-31", "a1"): 2.0, ("01-31", "a2"): 1.0, ("02-01", "a1"): 2.0, ("02-02", "a2"): 1.0
    }  # fmt: skip


def test_replay_and_import_read_the_same_calls(tmp_path) -> None:
    """A trace would hold other invocations for the replay than for the planner."""
    result = import_of("azure_functions_2021", tmp_path, SAMPLE)
    apps = result.aggregates.groupby("project")["quantity"].sum()
    assert apps.sum() == len(azure_2021(SAMPLE).arrival_s) == 199
    for app, count in apps.items():
        assert len(azure_2021(SAMPLE, str(app)).arrival_s) == count


def test_files_are_parts_of_one_trace(tmp_path) -> None:
    """A day of which two files hold a part would be refused as counted twice."""
    head = "app,func,end_timestamp,duration\n"
    result = import_of("azure_functions_2021", tmp_path, head + "a,f,1,1\n", head + "a,f,1,1\n")
    assert result.aggregates["quantity"].tolist() == [2.0]


@pytest.mark.parametrize(
    ("row", "field"),
    [("a,f,-1,1", "end_timestamp"), ("a,f,1,-0.5", "duration"), ("a,f,1,", "duration"),
     (",f,1,1", "app"), ("a,f,1e10,1", "end_timestamp"), ("a,f,nan,1", "end_timestamp"),
     ("a,f,1", "row")],
)  # fmt: skip
def test_calls_without_sense(row: str, field: str, tmp_path) -> None:
    """A call before the trace, or of less than no time, would be counted."""
    text = f"app,func,end_timestamp,duration\nb,f,1,1\n{row}\n"
    result = import_of("azure_functions_2021", tmp_path, text)
    assert result.refused[["row", "field"]].values.tolist() == [[3, field]]
    assert np.isclose(result.aggregates["quantity"].sum(), 1.0)
