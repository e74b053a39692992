"""Standard Workload Format: processors that are GPUs or cores, and what -1 stands for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.accounting import formats
from analysis.accounting.options import checked
from sim.errors import ConfigError, DataError
from tests.accounting_by_hand import GOLDEN, Result, import_of

BEGINS = "; UnixStartTime: 1788249600\n"  # 2026-09-01 08:00 UTC


def _row(**changed: object) -> str:
    values = {
        "job": 1, "submit": 0, "wait": 0, "run": 3600, "processors": 2, "cpu": -1, "memory": -1,
        "asked": 4, "asked_time": -1, "asked_memory": -1, "status": 1, "user": 1, "group": 1,
        "application": -1, "queue": 1, "partition": 1, "preceding": -1, "think": -1, **changed,
    }  # fmt: skip
    return " ".join(map(str, values.values()))


def _read(folder: Path, *rows: str, **options: object) -> Result:
    options = {"processors": "gpus", **options}
    return import_of("swf", folder, BEGINS + "\n".join(rows) + "\n", **options)


def test_golden(tmp_path) -> None:
    """The golden file would give other hours than those computed by hand."""
    result = import_of("swf", tmp_path, GOLDEN / "swf.swf", processors="gpus")
    assert result.done.rows == {"read": 5, "used": 4, "refused": 0, "merged": 1}
    # Time begins at 08:00 UTC on 1 September.
    # 1: 6 h on 2: 12. 2 was never placed. 3: 24 h on 1: 24. 5 is a part of another.
    # 4: submitted after 29.5 d, waits for 8 h: from 04:00 UTC on 1 October, 86,400.5 s on the 4
    #   it asked for.
    assert result.done.totals.set_index(["month", "resource"])["quantity"].to_dict() == {
        ("2026-09", "gpu"): 12.0 + 24.0,
        ("2026-10", "gpu"): pytest.approx(4 * 86400.5 / 3600, abs=1e-12),
    }
    assert result.jobs["start_utc"].iloc[0] == pd.Timestamp("2026-09-01 08:12:30", tz="UTC")
    assert result.jobs["user"].tolist() == ["1", "2", "3", ""]
    assert result.jobs["state"].tolist() == ["completed", "cancelled", "failed", "completed"]
    # 1,048,576 KB a processor on two of them
    assert result.jobs["mem_gb"].iloc[0] == pytest.approx(2 * 2**30 / 1e9)
    assert "asked for count" in result.said


def test_processors_have_to_be_stated() -> None:
    """A file of processors would be read as GPUs, or as cores, without anybody saying so."""
    with pytest.raises(ConfigError, match="processors: has to be stated"):
        checked(formats.reader_of("swf").OPTIONS, {}, "swf")


def test_processors_that_are_cores(tmp_path) -> None:
    """Cores would count as GPUs."""
    result = _read(tmp_path, _row(), processors="cores")
    assert result.hours() == {("2026-09", "cpu"): 2.0}
    assert result.jobs["kind"].tolist() == ["cpu"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"submit": -1}, "submit"), ({"wait": -1}, "wait"), ({"run": -1}, "run"),
        ({"processors": -1, "asked": -1}, "processors"), ({"status": 7}, "status"),
        ({"run": -5}, "run"), ({"run": "x"}, "run"), ({"run": 1e300}, "run"),
        ({"processors": "nan"}, "processors"),
    ],
)  # fmt: skip
def test_what_has_to_be_known_is(changed: dict[str, object], field: str, tmp_path) -> None:
    """A job that ran would get a time or a number of processors out of nothing."""
    result = _read(tmp_path, _row(), _row(**changed))
    assert result.refused[["row", "field"]].values.tolist() == [[3, field]]


def test_unknown_is_not_minus_one(tmp_path) -> None:
    """A missing value would be taken for the number -1, or the user -1."""
    result = _read(tmp_path, _row(user=-1, group=-1, processors=-1, status=-1))
    job = result.jobs.iloc[0]
    assert (job["user"], job["project"], job["gpus"], job["state"]) == ("", "", 4.0, "unknown")
    assert np.isnan(job["mem_gb"])


def test_where_time_begins(tmp_path) -> None:
    """Times would be counted from 1970 when the header does not say from when."""
    with pytest.raises(DataError, match="no beginning of time"):
        import_of("swf", tmp_path, _row() + "\n", processors="gpus")
    stated = import_of("swf", tmp_path, _row() + "\n", processors="gpus", unix_start_s=86400)
    assert stated.jobs["start_utc"].iloc[0] == pd.Timestamp("1970-01-02", tz="UTC")


def test_blanks_tabs_and_comments_between_rows(tmp_path) -> None:
    """Columns set in line with blanks or tabs would be miscounted, or comments be rows."""
    rows = ["   " + _row().replace(" ", "   "), "; a note", _row(job=2).replace(" ", "\t"), ""]
    result = _read(tmp_path, *rows, "1 2 3")
    assert result.done.rows == {"read": 3, "used": 2, "refused": 1, "merged": 0}
    assert result.refused["row"].tolist() == [6]
