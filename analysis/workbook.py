"""Tables to files: a folder of CSV and one workbook that opens readable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from analysis.storing import write_csv
from analysis.wording import slug

READ_ME = "read me"
_SAFE = {  # text stays text: a cell that looks like a formula, link or number is not one
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_SHEET_NAME_LENGTH = 31  # characters; limit of the xlsx format
_WIDEST = 60  # characters
_ALWAYS = (
    ("Reported columns", "As printed in the report; an empty cell is blank there, not zero."),
    ("Projected columns", "Median [p05 - p95]: the middle of the draws and their 90 % interval; "
     "three digits. The sheet of numbers has them unrounded."),
    ("Ledger provisioned", "Hours for which a machine exists, used or not (IaaS accounting)."),
    ("Ledger allocated", "Hours for which a deployment or replica holds the resource."),
    ("Ledger active", "Hours in which something computes. Always: provisioned >= allocated >= "
     "active."),
    ("Ledger reported", "What the accounting would show under the hypothesis: the ledger the "
     "hypothesis takes each figure to measure."),
    ("Hypothesis", "A reading of the places where the report contradicts itself; `averaged` is "
     "drawn from all of them by their stated weights."),
    ("Comparators", "Lower or higher is said of a named comparator only: the previous year as "
     "the cumulative table has it, the same as the site tables sum it up, or the last reported "
     "period times the number that fit into a year. They differ; a comparison without the name "
     "is wrong either way."),
)


def read_me(
    tables: Mapping[str, pd.DataFrame], hypotheses: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Explain what the tables hold.

    Args:
        tables: The tables, by title.
        hypotheses: What each hypothesis means, in a sentence.

    Returns:
        Columns subject, meaning; the last rows list the sheets.
    """
    rows = list(_ALWAYS)
    rows += [(f"Hypothesis {name}", meaning) for name, meaning in (hypotheses or {}).items()]
    rows += [(f"Sheet {title}", f"{len(table)} rows, {len(table.columns)} columns")
             for title, table in tables.items()]
    return pd.DataFrame(rows, columns=["subject", "meaning"])


def write_tables(
    tables: Mapping[str, pd.DataFrame],
    folder: Path,
    name: str = "tables",
    hypotheses: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write each table as CSV and all of them as one workbook.

    Args:
        tables: The tables, by title.
        folder: Where to write; made if needed. CSV files go to `folder/name/`.
        name: Stem of the workbook and name of the CSV folder.
        hypotheses: What each hypothesis means, for the sheet "read me".

    Returns:
        The files written, the workbook first.
    """
    csv_folder = folder / name
    csv_folder.mkdir(parents=True, exist_ok=True)
    written = [write_workbook(tables, folder / f"{name}.xlsx", hypotheses)]
    for title, table in tables.items():
        path = csv_folder / f"{slug(title)}.csv"
        write_csv(table, path, float_format=None)
        written.append(path)
    return written


def write_workbook(
    tables: Mapping[str, pd.DataFrame], path: Path, hypotheses: Mapping[str, str] | None = None
) -> Path:
    """Write one sheet a table after a first sheet that explains them.

    Args:
        tables: The tables, by title.
        path: File to write, overwritten.
        hypotheses: What each hypothesis means.

    Returns:
        `path`.
    """
    taken: set[str] = set()
    with xlsxwriter.Workbook(str(path), dict(_SAFE)) as book:
        formats = {
            "head": book.add_format({"bold": True, "text_wrap": True, "valign": "top",
                                     "bottom": 1, "bg_color": "#EEEEEE"}),
            "text": book.add_format({"valign": "top"}),
            "wrap": book.add_format({"valign": "top", "text_wrap": True}),
            **{code: book.add_format({"num_format": code, "valign": "top"})
               for code in ("#,##0", "#,##0.0", "0.000")},
        }
        for title, table in {READ_ME: read_me(tables, hypotheses), **tables}.items():
            sheet = book.add_worksheet(sheet_name(title, taken))
            _fill(sheet, table, formats)
    return path


def sheet_name(title: str, taken: set[str]) -> str:
    """Make a title a legal name of a sheet, unlike all in `taken` (which it joins).

    >>> sheet_name("2.4.1 A/B: GPU", set())
    '2.4.1 A-B- GPU'
    """
    clean = "".join("-" if c in "[]:*?/\\" else c for c in title).strip("'")
    name, number = clean[:_SHEET_NAME_LENGTH], 1
    while name.lower() in taken:
        number += 1
        tail = f" {number}"
        name = clean[: _SHEET_NAME_LENGTH - len(tail)] + tail
    taken.add(name.lower())
    return name


def _fill(sheet: Worksheet, table: pd.DataFrame, formats: dict[str, Format]) -> None:
    """Write header and cells, freeze the header, set the widths."""
    sheet.freeze_panes(1, 1)
    for column, head in enumerate(table.columns):
        values = list(table.iloc[:, column])
        texts = [_shown(value) for value in values]
        longest = max((len(text) for text in texts), default=0)
        width = min(max(longest, min(len(str(head)), 22), 6) + 2, _WIDEST)
        sheet.set_column(column, column, width)
        sheet.write_string(0, column, str(head), formats["head"])
        for row, (value, text) in enumerate(zip(values, texts, strict=True), start=1):
            if isinstance(value, str | date):
                style = formats["wrap" if len(text) > _WIDEST else "text"]
                sheet.write_string(row, column, text, style)
            elif text and isinstance(value, bool | np.bool_):
                sheet.write_boolean(row, column, bool(value), formats["text"])
            elif text:
                sheet.write_number(row, column, value, formats[number_format(float(value))])


def number_format(value: float) -> str:
    """Choose the format of a cell: thousands separated, decimals only where they tell.

    >>> number_format(183262), number_format(1.5), number_format(0.05)
    ('#,##0', '#,##0.0', '0.000')
    """
    if float(value).is_integer() or abs(value) >= 100:
        return "#,##0"
    return "#,##0.0" if abs(value) >= 1 else "0.000"


def _shown(value: object) -> str:
    """Write a value about as the cell will show it; nothing for a blank."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if pd.isna(value) or value in (math.inf, -math.inf):
        return ""
    if isinstance(value, str | date):
        return str(value)
    return f"{float(str(value)):,.1f}"
