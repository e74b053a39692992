"""Puts a finished projection on the front page: `python -m analysis.frontpage RUN_FOLDER`.

Copies its table, report and figures to docs/projection/ and writes the README's table from them, so
that no number there is written by hand. Without an argument it checks that the table is current.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pandas as pd

from analysis.frames import AVERAGED, headline_period
from analysis.pages import with_tables
from analysis.report import markdown_table, modelled
from analysis.wording import interval

PAGE, HOME = Path("README.md"), Path("docs") / "projection"
FILES = (
    "projection.csv", "budgets.csv", "comparators.csv", "fit.csv", "uncertainty.csv",
    "explained.csv", "evidence.csv", "directions.csv", "report.md",
)  # fmt: skip


def table(summary: pd.DataFrame) -> str:
    """Return the headline table as Markdown: sites and resources, hypotheses side by side.

    Args:
        summary: `projection.csv`.
    """
    period = headline_period(summary)
    rows = summary[(summary["period"] == period) & (summary["ledger"] == "reported")]
    rows = modelled(rows)
    names = [AVERAGED, *(n for n in dict.fromkeys(rows["hypothesis"]) if n != AVERAGED)]
    lines = []
    for (unit, site), mine in rows.groupby(["unit", "site"], sort=False):
        found = mine.set_index("hypothesis")
        cells = {
            name: interval(*(float(found.loc[name, q]) for q in ("p50", "p05", "p95")))
            for name in names
        }
        lines.append({f"{period}": str(site), "unit": str(unit), **cells})
    return markdown_table(pd.DataFrame(lines))


def with_table(text: str, summary: pd.DataFrame) -> str:
    """Return the README with its table replaced.

    Raises:
        DataError: When it has no place for it.
    """
    return with_tables(text, {"projection": table(summary)}, PAGE)


def main() -> None:
    """Publish a run, or check without an argument."""
    if len(sys.argv) > 1:
        run = Path(sys.argv[1])
        shutil.rmtree(HOME, ignore_errors=True)
        (HOME / "figures").mkdir(parents=True)
        for name in FILES:
            shutil.copy(run / name, HOME / name)
        for picture in sorted((run / "figures").glob("*.png")):
            shutil.copy(picture, HOME / "figures" / picture.name)
    text = PAGE.read_text(encoding="utf-8")
    current = with_table(text, pd.read_csv(HOME / "projection.csv"))
    if len(sys.argv) > 1:
        PAGE.write_text(current, encoding="utf-8")
    elif current != text:
        sys.exit("README.md does not show docs/projection/projection.csv: run analysis.frontpage")


if __name__ == "__main__":
    main()
