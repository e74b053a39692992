"""Tables to files: what looks like a formula stays text, what is blank stays blank."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import openpyxl
import pandas as pd

from analysis.workbook import READ_ME, read_me, sheet_name, write_tables, write_workbook


def _table() -> pd.DataFrame:
    return pd.DataFrame({
        "name": ["=1+1", "https://example.org", "007"],
        "value": [183262, None, 0.25],
        "day": [date(2025, 1, 2), None, None],
        "inside": [True, False, None],
    }, dtype=object)


def test_text_stays_text(tmp_path: Path) -> None:
    """A cell of the data would be run as a formula on the planner's machine."""
    path = write_workbook({"t": _table()}, tmp_path / "it.xlsx")
    sheet = openpyxl.load_workbook(path)["t"]
    assert [(sheet.cell(r, 1).value, sheet.cell(r, 1).data_type) for r in (2, 3, 4)] == [
        ("=1+1", "s"), ("https://example.org", "s"), ("007", "s")]
    assert sheet.cell(3, 1).hyperlink is None


def test_numbers_blanks_and_days(tmp_path: Path) -> None:
    """A number would be text, or a blank a zero."""
    sheet = openpyxl.load_workbook(write_workbook({"t": _table()}, tmp_path / "it.xlsx"))["t"]
    assert [sheet.cell(r, 2).value for r in (2, 3, 4)] == [183262, None, 0.25]
    assert sheet.cell(2, 2).number_format == "#,##0"
    assert sheet.cell(4, 2).number_format == "0.000"
    assert sheet.cell(2, 3).value == "2025-01-02"
    assert [sheet.cell(r, 4).value for r in (2, 3, 4)] == [True, False, None]


def test_sheets_begin_with_the_explanation_and_freeze_the_header(tmp_path: Path) -> None:
    """The planner would open columns of numbers without ledger, hypothesis or comparator."""
    path = write_workbook({"2.3 A GPU": _table()}, tmp_path / "it.xlsx", {"low": "Reads less."})
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == [READ_ME, "2.3 A GPU"]
    assert book["2.3 A GPU"].freeze_panes == "B2"
    text = " ".join(str(cell.value) for row in book[READ_ME] for cell in row)
    for word in ("Ledger reported", "Hypothesis low", "Reads less.", "Comparators", "2.3 A GPU"):
        assert word in text


def test_columns_are_as_wide_as_their_cells(tmp_path: Path) -> None:
    """Numbers would show as ##### until the planner widens each column."""
    table = pd.DataFrame({"a": [1], "b": ["6,980,000 [5,140,000 - 10,200,000]"], "c": ["x" * 500]})
    sheet = openpyxl.load_workbook(write_workbook({"t": table}, tmp_path / "it.xlsx"))["t"]
    widths = [sheet.column_dimensions[letter].width for letter in "ABC"]
    assert widths[1] >= len("6,980,000 [5,140,000 - 10,200,000]")
    assert 6 <= widths[0] < widths[1] < widths[2] < 70


def test_sheet_names_are_legal_and_differ() -> None:
    """The workbook would not be written, or would not open."""
    taken: set[str] = set()
    long = "2.3.1 " + "a/b:c" * 10
    names = [sheet_name(long, taken), sheet_name(long.upper(), taken), sheet_name("x", taken)]
    assert len({name.lower() for name in names}) == 3
    assert all(len(name) <= 31 and not set(name) & set("[]:*?/\\") for name in names)


def test_csv_holds_the_table(tmp_path: Path) -> None:
    """The CSV would differ from the sheet of the same name, but for texts like formulas."""
    written = write_tables({"2.3.1 A/B GPU": _table()}, tmp_path, "extended")
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "extended.xlsx", "extended/2.3.1_a_b_gpu.csv"]
    lines = written[1].read_text(encoding="utf-8").splitlines()
    assert lines == ["name,value,day,inside", "'=1+1,183262,2025-01-02,True",
                     "https://example.org,,,False", "007,0.25,,"]


def test_read_me_lists_each_sheet() -> None:
    """A sheet would stand there unexplained."""
    found = read_me({"t": _table()}).set_index("subject")["meaning"]
    assert found["Sheet t"] == "3 rows, 4 columns"
