"""Pages whose tables are written from files."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.pages import with_tables
from sim.errors import DataError

PAGE = Path("page.md")


def test_a_table_takes_the_place_between_its_marks() -> None:
    """A page would keep the numbers of an earlier run, or lose what stands around them."""
    page = "a\n<!-- one -->\nold\n<!-- end of one -->\nb\n<!-- two -->\n<!-- end of two -->\n"
    found = with_tables(page, {"one": "| 1 |", "two": r"| \\1 |"}, PAGE)
    assert found == (
        "a\n<!-- one -->\n\n| 1 |\n\n<!-- end of one -->\nb\n"
        "<!-- two -->\n\n| \\\\1 |\n\n<!-- end of two -->\n"
    )
    assert with_tables(found, {"one": "| 1 |"}, PAGE) == found


def test_a_page_without_a_place_is_refused() -> None:
    """A table would be left out without a word."""
    with pytest.raises(DataError, match="no place for a table"):
        with_tables("nothing", {"one": "| 1 |"}, PAGE)
