"""The plain CSV: both tables, decimal signs, and what a row is refused for."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from sim.errors import DataError
from tests.accounting_by_hand import GOLDEN, Result, import_of

JOB = "job_id,start_utc,end_utc,gpus\n"
SUM = "period_start,period_end,site,resource,ledger,quantity\n"
SEPTEMBER = "2026-09-01,2026-10-01,North,gpu,allocated"


def _read(folder: Path, text: str, **options: object) -> Result:
    return import_of("tidy", folder, text, **options)


def test_golden_jobs(tmp_path) -> None:
    """The golden jobs would give other hours than those computed by hand."""
    result = import_of("tidy", tmp_path, GOLDEN / "tidy.csv", until="2026-09-04")
    assert result.done.rows == {"read": 5, "used": 5, "refused": 0, "merged": 0}
    # j1: 21:00 to 03:00 over the edge of August: 3 h on each side, 2 GPUs, 16 cores.
    # j2: an hour on half a GPU, 4 cores. j3 waits. j4: from 00:00 UTC on 3 September, running: 24 h
    #   until the 4th on 1 GPU, 2 cores. j5: 6 h on 8 cores.
    assert result.done.totals.set_index(["month", "resource"])["quantity"].to_dict() == {
        ("2026-08", "gpu"): 6.0,
        ("2026-08", "cpu"): 48.0,
        ("2026-09", "gpu"): 6.0 + 0.5 + 24.0,
        ("2026-09", "cpu"): 48.0 + 4.0 + 48.0 + 48.0,
    }
    assert result.jobs["kind"].tolist() == ["train", "infer", "train", "train", "cpu"]
    assert result.jobs["state"].tolist() == [
        "completed", "failed", "pending", "running", "completed"
    ]  # fmt: skip
    assert result.jobs["user"].tolist()[1:3] == ["bo, b", "=cmd()"]
    assert result.jobs["start_utc"].iloc[1].microsecond == 1


def test_golden_aggregates(tmp_path) -> None:
    """The golden aggregates would change on their way, or lack the unit of their resource."""
    result = import_of("tidy", tmp_path, GOLDEN / "tidy.aggregates.csv")
    totals = result.done.totals.set_index(["month", "resource", "ledger"])["quantity"]
    assert totals.to_dict() == {
        ("2026-09", "gpu", "allocated"): 1440.0,
        ("2026-09", "cpu", "allocated"): 5760.5,
        ("2026-10", "gpu", "allocated"): 1488.0,
        ("2026-09", "storage", "provisioned"): 2.5,
    }
    assert result.aggregates["unit"].tolist() == ["GPU-h", "CPU-h", "GPU-h", "TB-month"]


def test_overlapping_periods(tmp_path) -> None:
    """Hours of a time that is reported twice would count twice."""
    rows = [
        f"{SEPTEMBER},10", f"{SEPTEMBER},10",  # the same once more
        "2026-09-15,2026-10-15,North,gpu,allocated,4",  # overlaps
        "2026-10-01,2026-11-01,North,gpu,allocated,5",  # begins where September ends
        f"{SEPTEMBER},11",  # another figure for the same time
        SEPTEMBER.replace("North", "South") + ",7", SEPTEMBER.replace("gpu", "cpu") + ",8",
    ]  # fmt: skip
    result = _read(tmp_path, SUM + "\n".join(rows) + "\n")
    assert result.aggregates["quantity"].tolist() == [10.0, 5.0, 7.0, 8.0]
    assert result.refused[["row", "what"]].values.tolist() == [
        [4, "period overlaps one counted before"], [6, "period overlaps one counted before"]
    ]  # fmt: skip
    assert result.done.rows == {"read": 7, "used": 4, "refused": 2, "merged": 1}


@pytest.mark.parametrize(
    ("text", "point", "comma"),
    [("1.5", 1.5, None), ("1,5", None, 1.5), ("1.234,5", None, 1234.5), ("1,234.5", None, None),
     ("1.234", 1.234, 1234.0), ("1e3", 1000.0, 1000.0), ("inf", None, None), ("nan", None, None),
     ("-1", None, None), ("1 000", None, None), ("0x10", None, None), ("١", None, None),
     ("1e300", None, None), ("1e999", None, None), ("", None, None), ("+2", 2.0, 2.0)],
)  # fmt: skip
def test_decimal_signs(text: str, point: float | None, comma: float | None, tmp_path) -> None:
    """A comma would be guessed at, or what is no number be taken for one."""
    for decimal, value in (("point", point), ("comma", comma)):
        cells = SUM.replace(",", ";") + f"{SEPTEMBER},7".replace(",", ";")
        lines = cells + "\n2026-10-01;2026-11-01;North;gpu;allocated;" + text + "\n"
        result = _read(tmp_path, lines, decimal=decimal, delimiter="semicolon")
        assert result.aggregates["quantity"].tolist()[1:] == ([] if value is None else [value])
        assert result.done.rows["refused"] == (value is None)


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (",2026-09-01,2026-09-02,1", "job_id"),
        ("a,2026-09-31,2026-10-02,1", "start_utc"),
        ("a,2026-09-01T25:00,2026-10-02,1", "start_utc"),
        ("a,yesterday,2026-09-02,1", "start_utc"),
        ("a,1969-12-31,2026-09-02,1", "start_utc"),
        ("a,2026-09-01,9999-12-31,1", "end_utc"),
        ("a,2026-09-02,2026-09-01,1", "end_utc"),
        ("a,2026-09-01,2026-09-02,-1", "gpus"),
        ("a,2026-09-01,2026-09-02,1e9", "gpus"),
        ("a,2026-09-01,2026-09-02", "row"),
        ("a,2026-09-01,2026-09-02,1,", "row"),
        ('a,2026-09-01,2026-09-02,"1', "row"),
        ("a\x00,2026-09-01,2026-09-02,1", "row"),
        ("a\rb,2026-09-01,2026-09-02,1", "row"),
        ("a" * 513 + ",2026-09-01,2026-09-02,1", "job_id"),
        ("a" * 1_000_001 + ",2026-09-01,2026-09-02,1", "row"),
    ],
)
def test_rows_that_cannot_be_used(row: str, field: str, tmp_path) -> None:
    """A row without sense would be used, or refused without its line and field."""
    fine = "2026-09-01,2026-09-02,1\n"
    result = _read(tmp_path, f"{JOB}x,{fine}\n{row}\ny,{fine}")
    assert result.refused[["row", "field"]].values.tolist() == [[4, field]]
    assert result.refused["expected"].notna().all()
    assert result.jobs["job_id"].tolist() == ["x", "y"]


def test_bytes_that_are_no_text(tmp_path) -> None:
    """One name in another encoding would refuse the whole file, or be read as garbage."""
    data = f"{JOB}añb,2026-09-01,2026-09-02,1\nx,2026-09-01,2026-09-02,1\n".encode("latin-1")
    result = import_of("tidy", tmp_path, data)
    assert result.refused[["row", "what"]].values.tolist() == [[2, "not UTF-8"]]
    told = import_of("tidy", tmp_path, data, encoding="latin-1")
    assert told.jobs["job_id"].tolist() == ["añb", "x"]


def test_a_line_break_in_quotes_refuses_its_row_only(tmp_path) -> None:
    """A stray quote would swallow the rows below it."""
    rows = 'x,2026-09-01,2026-09-02,1\n"y\nz",2026-09-01,2026-09-02,1\nu,2026-09-01,2026-09-02,1\n'
    result = _read(tmp_path, JOB + rows)
    assert result.jobs["job_id"].tolist() == ["x", "u"]
    assert result.refused["row"].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"), ("\n\n", "no header"), (JOB, "no rows in it"),
        ("job_id,start_utc,gpu\n", "did you mean 'gpus'"), ("job_id,job_id,start_utc\n", "twice"),
        (JOB + "a,b,c,d\n", "none of its 1 rows can be used"),
        (JOB.encode("utf-16"), "UTF-16"), (b"\x1f\x8b garbage", "gzip"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, "in the header"),
        ("a" * 2_000_000, "in the header"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used(text: str | bytes, said: str, tmp_path) -> None:
    """A file of another kind would end in a traceback, or in tables of nothing."""
    with pytest.raises(DataError) as caught:
        import_of("tidy", tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_several_files_are_one_import(tmp_path) -> None:
    """A row that two exports share would count twice."""
    rows = ["a,2026-09-01,2026-09-02,1", "b,2026-09-01,2026-09-02,1", "c,2026-09-01,2026-09-02,1"]
    first, second = ("\n".join([JOB.strip(), *some]) + "\n" for some in (rows[:2], rows[1:]))
    result = import_of("tidy", tmp_path, first, second)
    assert result.done.rows == {"read": 4, "used": 3, "refused": 0, "merged": 1}
    assert result.hours() == {("2026-09", "gpu"): 72.0}
    assert pd.Series(result.jobs["source"]).str.startswith("tidy:given").all()
