"""Every unusable table of observations ends in one line naming file, line and what was expected."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analysis.observations import COLUMNS, contradictions, increments, load_observations
from sim.errors import DataError

HEADER = ",".join(COLUMNS)
NORTH = "north_gpu,2.3,North GPU,North,usage,gpu,allocated,M1-M6,100,GPU-h,a note"
SOUTH = "south_gpu,2.4,South GPU,South,usage,gpu,allocated,M1-M6,,GPU-h,"
USERS = "north_users,2.3,North GPU,North,users,-,-,M1-M6,5,count,"
BASELINE = "north_base,2.3,North GPU,North,baseline_usage,gpu,-,-,900,GPU-h,"
TRAINING = "training,2.1,T4.1,all,training_cycles,-,allocated,M1-M6,70,CPU-h+GPU-h,"
BUDGET = "budget_gpu,2.9,all,all,budget,gpu,-,M1-M12,5000,GPU-h,"
CUMULATIVE = "cumulative_gpu_m6,2.9,all,all,cumulative,gpu,by_hypothesis,M1-M6,160,GPU-h,"
LATER = "cumulative_gpu_m12,2.9,all,all,cumulative,gpu,by_hypothesis,M1-M12,200,GPU-h,"
DISK = "north_disk,2.3,North Disk,North,usage,storage,provisioned,M1-M6,3,TB-month,"
GOOD = [HEADER, NORTH, SOUTH, USERS, BASELINE, TRAINING, BUDGET, CUMULATIVE, LATER, DISK]

Writer = Callable[[list[str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Return a function that writes lines to a file and returns its path."""

    def writer(lines: list[str]) -> Path:
        path = tmp_path / "observations.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return writer


def complaint(path: Path) -> str:
    """Return the line with which the file is refused, without the folder it lies in."""
    with pytest.raises(DataError) as caught:
        load_observations(path)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(str(path))
    return line.removeprefix(f"{path.parent}/")


def test_good_table_is_read_as_it_stands(write: Writer) -> None:
    """A usable table is refused, or its order, types or blanks change while it is read."""
    table = load_observations(write(GOOD))
    assert list(table.columns) == list(COLUMNS)
    assert table["id"].tolist() == [line.split(",")[0] for line in GOOD[1:]]
    assert table["value"].dtype == "float64"
    assert table["value"].tolist()[0] == 100.0
    assert math.isnan(table["value"].tolist()[1])
    assert table["table"].tolist()[0] == "2.3"
    assert table["note"].tolist()[:2] == ["a note", ""]


def test_columns_may_stand_in_any_order(write: Writer) -> None:
    """The order of the columns in the file changes what is read."""
    lines = [",".join(reversed(line.split(","))) for line in GOOD]
    pd.testing.assert_frame_equal(
        load_observations(write(lines)), load_observations(write(GOOD))
    )


def test_byte_order_mark_and_blank_lines_are_harmless(tmp_path: Path) -> None:
    """A table saved by a spreadsheet, with a byte order mark and empty lines, is refused."""
    path = tmp_path / "observations.csv"
    path.write_bytes("\r\n".join([HEADER, "", NORTH, ",,,,,,,,,,", SOUTH]).encode("utf-8-sig"))
    assert load_observations(path)["id"].tolist() == ["north_gpu", "south_gpu"]


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0.0), ("29433.6", 29433.6), ("1e3", 1000.0), (" 7 ", 7.0)]
)
def test_numbers_are_read(write: Writer, text: str, value: float) -> None:
    """A plain number is refused or misread."""
    row = NORTH.replace(",100,", f",{text},")
    assert load_observations(write([HEADER, row]))["value"].tolist() == [value]


def test_missing_file_is_named_with_its_nearest_neighbour(write: Writer) -> None:
    """A file that is not there ends in a traceback, or without a hint at the one that is."""
    path = write(GOOD).with_name("observation.csv")
    assert complaint(path) == (
        "observation.csv: no such file (expected a CSV file of observations, "
        "got 'observation.csv'; did you mean 'observations.csv'?)"
    )


def test_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    """A folder ends in a traceback."""
    with pytest.raises(DataError, match=r"cannot be read.*expected a readable CSV file"):
        load_observations(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "observations.csv: the file is empty (expected a header with id, table, "),
        (b" \n\n", "observations.csv: the file is empty (expected a header with id, table, "),
        (HEADER.encode(), "observations.csv: no figures (expected at least one row "),
        (b"PK\x03\x04\xff\xfe", "observations.csv: not a text file (expected CSV in UTF-8)"),
    ],
    ids=["empty", "only blank lines", "only a header", "binary"],
)
def test_files_without_a_table_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    """A file without figures passes, or ends in a traceback."""
    path = tmp_path / "observations.csv"
    path.write_bytes(content)
    assert complaint(path).startswith(words)


@pytest.mark.parametrize(
    ("header", "what", "hint"),
    [
        (HEADER.replace("period", "perod"), "unknown column", "did you mean 'period'?"),
        (HEADER + ",colour", "unknown column", "got 'colour'"),
        (HEADER.replace(",ledger", ""), "column 'ledger' is missing", "expected columns id,table"),
        (HEADER.replace("note", "unit"), "column given twice", "got 'unit'"),
    ],
    ids=["misspelt", "unknown", "missing", "twice"],
)
def test_wrong_headers_are_refused(write: Writer, header: str, what: str, hint: str) -> None:
    """A wrong header passes, or the complaint does not name the column."""
    line = complaint(write([header, NORTH]))
    assert line.startswith(f"observations.csv, line 1: {what} (expected columns id,table")
    assert hint in line


BAD_CELLS = {
    "text in a number": (NORTH, "100", "many", "value", "not a number", "got 'many'"),
    "thousands separator": (NORTH, ",100,", ',"14,808",', "value", "not a number", "separators"),
    "underscore": (NORTH, "100", "1_000", "value", "not a number", "got '1_000'"),
    "nan as text": (NORTH, "100", "NaN", "value", "not a number", "or an empty cell"),
    "nan in small letters": (NORTH, "100", "nan", "value", "not a number", "or an empty cell"),
    "n/a": (NORTH, "100", "N/A", "value", "not a number", "or an empty cell"),
    "infinity": (NORTH, "100", "inf", "value", "not a number", "got 'inf'"),
    "beyond floats": (NORTH, "100", "1e999", "value", "not a number", "got '1e999'"),
    "lower bound": (NORTH, "100", "> 15000", "value", "not a number", "got '> 15000'"),
    "negative": (NORTH, "100", "-1", "value", "negative value", "at least 0"),
    "blank budget": (BUDGET, ",5000,", ",,", "value", "blank budget", "leave out the row"),
    "blank baseline": (
        BASELINE, ",900,", ",,", "value", "blank baseline_usage", "leave out the row",
    ),
    "metric": (NORTH, "usage", "usge", "metric", "unknown metric", "did you mean 'usage'?"),
    "baseline of a total": (
        BASELINE, "baseline_usage", "baseline_budget", "metric", "unknown metric", "got",
    ),
    "resource": (NORTH, ",gpu,", ",gpus,", "resource", "unknown resource", "did you mean 'gpu'?"),
    "ledger": (
        NORTH, "allocated", "alocated", "ledger", "unknown ledger", "did you mean 'allocated'?",
    ),
    "unit": (NORTH, "GPU-h", "GPUh", "unit", "unknown unit", "did you mean 'GPU-h'?"),
    "unit of another resource": (
        NORTH, "GPU-h", "CPU-h", "unit", "unit does not match usage of gpu", "expected 'GPU-h'",
    ),
    "unit of a count": (
        USERS, "count", "GPU-h", "unit", "unit does not match users", "expected 'count'",
    ),
    "unit of a mix": (
        TRAINING, "CPU-h+GPU-h", "GPU-h", "unit", "unit does not match training_cycles",
        "expected 'CPU-h+GPU-h'",
    ),
    "usage of nothing": (
        NORTH, ",gpu,", ",-,", "resource", "usage of no resource", "expected one of gpu, cpu",
    ),
    "users of a resource": (
        USERS, ",-,-,", ",gpu,-,", "resource", "users has no resource", "expected '-'",
    ),
    "usage without ledger": (
        NORTH, "allocated", "-", "ledger", "wrong ledger for usage of gpu", "expected one of prov",
    ),
    "active storage": (
        DISK, "provisioned", "active", "ledger", "wrong ledger for usage of storage",
        "expected one of provisioned, allocated, by_hypothesis",
    ),
    "budget with ledger": (
        BUDGET, ",-,", ",allocated,", "ledger", "wrong ledger for budget of gpu", "expected '-'",
    ),
    "cumulative of a site": (
        CUMULATIVE, "all,all", "all,North", "site", "cumulative of a part", "expected 'all'",
    ),
    "budget of an installation": (
        BUDGET, "all,all", "North GPU,all", "installation", "budget of a part", "expected 'all'",
    ),
    "descending months": (NORTH, "M1-M6", "M6-M1", "period", "malformed period", "ascending"),
    "month zero": (NORTH, "M1-M6", "M0-M6", "period", "malformed period", "from 1"),
    "leading zero": (NORTH, "M1-M6", "M01-M06", "period", "malformed period", "such as M13-M18"),
    "project year": (NORTH, "M1-M6", "PY1", "period", "malformed period", "such as M13-M18"),
    "usage without period": (NORTH, "M1-M6", "-", "period", "malformed period", "got '-'"),
    "baseline with period": (
        BASELINE, ",-,900", ",M1-M6,900", "period", "a baseline has no period", "expected '-'",
    ),
    "cumulative from the middle": (
        CUMULATIVE, "M1-M6", "M3-M6", "period", "a cumulative figure counts from M1",
        "expected 'M1-M6'",
    ),
    "no id": (NORTH, "north_gpu", "", "id", "empty name", "expected a text"),
    "no site": (NORTH, ",North,", ",,", "site", "empty name", "expected a text"),
    "id with capitals": (NORTH, "north_gpu", "North GPU 1", "id", "malformed id", "small letters"),
}


@pytest.mark.parametrize(
    ("row", "old", "new", "column", "what", "hint"), BAD_CELLS.values(), ids=list(BAD_CELLS)
)
def test_bad_cells_are_named_by_line_and_column(
    write: Writer, row: str, old: str, new: str, column: str, what: str, hint: str
) -> None:
    """A cell that cannot be meant passes, or the complaint does not lead the reader to it."""
    others = [line for line in GOOD[1:] if line != row]
    path = write([HEADER, *others, row.replace(old, new, 1)])
    line = complaint(path)
    assert line.startswith(f"observations.csv, line {len(GOOD)}, column {column}: {what}")
    assert "(expected " in line
    assert hint in line


@pytest.mark.parametrize(
    ("rows", "where", "what", "hint"),
    [
        ([NORTH, NORTH], "line 3", "duplicate id", "other than that of line 2, got 'north_gpu'"),
        (
            [NORTH, NORTH.replace("north_gpu", "again")], "line 3",
            "duplicate installation + metric + resource + period",
            "got 'North GPU, usage, gpu, M1-M6'",
        ),
        (
            [NORTH, NORTH.replace("north_gpu", "again").replace("M1-M6", "M6-M9")],
            "line 3, column period", "overlapping periods", "no month of M1-M6 in line 2",
        ),
        (
            [LATER, CUMULATIVE.replace("160", "201")], "line 2, column value",
            "a cumulative figure falls", "expected at least 201, the figure to M6, got '200'",
        ),
        ([NORTH, "x,y"], "line 3", "wrong number of cells", "expected 11 cells"),
        ([NORTH + ", with a comma"], "line 2", "wrong number of cells", "got 12"),
        ([NORTH.replace("a note", '"a note')], "line 2", "not a line of CSV", "double quotes"),
        (
            [NORTH.replace("a note", '"two\nlines"'), SOUTH.replace("GPU-h", "GPU")],
            "line 4, column unit", "unknown unit", "did you mean 'GPU-h'?",
        ),
    ],
    ids=[
        "id", "figure", "overlap", "falling", "short row", "long row", "open quote", "two lines",
    ],
)
def test_bad_rows_are_named_by_line(
    write: Writer, rows: list[str], where: str, what: str, hint: str
) -> None:
    """Rows that contradict each other or the header pass, or are not named by their line."""
    line = complaint(write([HEADER, *rows]))
    assert line.startswith(f"observations.csv, {where}: {what}")
    assert hint in line


def test_a_blank_total_is_as_good_as_none(write: Writer) -> None:
    """A blank cumulative figure counts as zero, or makes holes in the increments."""
    blank = CUMULATIVE.replace(",160,", ",,")
    steps = increments(load_observations(write([HEADER, blank, LATER])))
    assert steps.to_numpy().tolist() == [["M1-M12", "gpu", 200.0, "GPU-h"]]


def test_no_site_figure_is_no_contradiction(write: Writer) -> None:
    """A total is compared with sites that are all blank, as if they had reported zero."""
    assert contradictions(load_observations(write([HEADER, SOUTH, CUMULATIVE]))).empty


def test_a_site_that_is_blank_is_named(write: Writer) -> None:
    """The reader is not told whose figure is missing in a sum that does not agree."""
    found = contradictions(load_observations(write(GOOD)))
    assert found[["difference", "blank_sites"]].to_numpy().tolist() == [[60.0, "South"]]


def test_tables_are_not_changed(write: Writer) -> None:
    """Subtracting or comparing changes the caller's observations."""
    table = load_observations(write(GOOD))
    before = table.copy(deep=True)
    increments(table)
    contradictions(table)
    pd.testing.assert_frame_equal(table, before)
