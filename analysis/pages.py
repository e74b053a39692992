"""Pages of the docs whose tables are written from files beside them, never by hand."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from sim.errors import DataError

_MARK = "<!-- {0} -->\n{1}<!-- end of {0} -->"


def write_or_check(page: Path, tables: Mapping[str, str], shows: str, module: str) -> None:
    """Write the tables of a page, or with `--check` end with a message if they are not current.

    Args:
        page: The page.
        tables: As `with_tables` takes them.
        shows: What they are made from.
        module: That writes them, for the message.
    """
    text = page.read_text(encoding="utf-8")
    current = with_tables(text, tables, page)
    if "--check" not in sys.argv[1:]:
        page.write_text(current, encoding="utf-8")
    elif current != text:
        sys.exit(f"{page} does not show {shows}: run `python -m {module}`")


def with_tables(text: str, tables: Mapping[str, str], page: Path) -> str:
    """Return a page with the tables between their marks replaced.

    Args:
        text: The page.
        tables: Markdown by the name in its marks.
        page: Where the page lies, for messages.

    Raises:
        DataError: When the page has no marks for a table.
    """
    for name, table in tables.items():
        block = re.compile(_MARK.format(re.escape(name), ".*?"), re.DOTALL)
        if not block.search(text):
            raise DataError("no place for a table", str(page), f"<!-- {name} --> marks")
        filled = _MARK.format(name, f"\n{table}\n\n")
        text = block.sub(lambda _, filled=filled: filled, text)  # type: ignore[misc]
    return text
