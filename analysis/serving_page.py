"""Puts finished runs on the page about serving: `python -m analysis.serving_page PROJECT COMPARE`.

Takes the run folders of `aiaas project` and of `aiaas compare scenario=serving_growth`, writes
figures with their tables to docs/serving/ and the tables of docs/serving.md, so that no number
there is written by hand. Without arguments it checks that the tables of the page are current.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pandas as pd
from matplotlib.ticker import FuncFormatter

from analysis.figure_style import (
    BLACK,
    COLOURS,
    FONT_PT,
    GREY,
    HALF_PAGE_IN,
    MARKERS,
    SMALL_PT,
    new_figure,
    plain_axes,
    save,
)
from analysis.frames import headline_hypothesis, quantile_table
from analysis.pages import with_tables
from analysis.report import markdown_table
from analysis.wording import interval, thousands
from sim.units import LEDGERS

PAGE, HOME = Path("docs") / "serving.md", Path("docs") / "serving"
SITE = "WaltonCloud"  # exists for applications alone
LEDGER_FILE, GROWTH_FILE = "three_ledgers", "growth"
MEASURES = {
    "replicas": "replica-h",
    "nodes": "node-h",
    "cold_share": "cold",
    "wait_p95": "wait, 95 %, s",
    "unserved_share": "no answer",
}


def three_ledgers(run: Path) -> pd.DataFrame:
    """Return the CPU ledgers of the site that only serves, from a projection's folder.

    Returns:
        period, ledger, p05, p50, p95 in CPU-h, and what was reported (NaN where nothing was).
    """
    draws = pd.concat(
        [pd.read_parquet(run / f"{name}_draws.parquet") for name in ("history", "projection")]
    )
    shown = headline_hypothesis(draws)
    mine = draws[
        (draws["site"] == SITE)
        & (draws["resource"] == "cpu")
        & draws["ledger"].isin(LEDGERS)
        & (draws["hypothesis"] == shown)
    ]
    table = quantile_table(mine, ["period", "ledger"])
    table = table[table["p95"] > 0.0]
    fit = pd.read_csv(run / "fit.csv")
    fit = fit[(fit["site"] == SITE) & (fit["resource"] == "cpu")]
    reported = fit.groupby(["period", "ledger"])["reported"].first()
    table = table.join(reported, on=["period", "ledger"])
    return table[["period", "ledger", "p05", "p50", "p95", "reported"]].reset_index(drop=True)


def draw_ledgers(table: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw the ledgers of each period on a logarithmic axis; what was reported as a cross.

    Args:
        table: As `three_ledgers` returns it.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.
    """
    figure = new_figure(*HALF_PAGE_IN)
    axes = figure.subplots()
    plain_axes(axes)
    periods = list(dict.fromkeys(table["period"]))
    for place, ledger in enumerate(LEDGERS):
        mine = table[table["ledger"] == ledger]
        x = [periods.index(p) + 0.22 * (place - 1) for p in mine["period"]]
        spread = [mine["p50"] - mine["p05"], mine["p95"] - mine["p50"]]
        axes.errorbar(
            x, mine["p50"], spread, fmt=MARKERS[place], color=COLOURS[place], markersize=4,
            linewidth=1.2, capsize=2, label=ledger,
        )  # fmt: skip
        known = mine["reported"].notna().to_numpy()
        axes.plot(
            [v for v, k in zip(x, known, strict=True) if k], mine["reported"][known], "x",
            color=BLACK, markersize=6, label="reported" if known.any() else None,
        )  # fmt: skip
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: thousands(value, 3)))
    axes.set_ylabel(f"CPU-h, {SITE}", fontsize=FONT_PT)
    axes.set_xticks(range(len(periods)), periods, fontsize=SMALL_PT)
    figure.legend(
        fontsize=SMALL_PT, frameon=False, labelcolor=GREY, loc="outside upper center", ncols=4
    )
    return save(figure, table, folder, name)


def ledger_table(table: pd.DataFrame) -> str:
    """Return the ledgers as Markdown: a row for each period."""
    rows = []
    for period, mine in table.groupby("period", sort=False):
        found = mine.set_index("ledger")
        cells = {"CPU-h": str(period)}
        for ledger in LEDGERS:
            row = found.loc[ledger]
            told = "" if pd.isna(row["reported"]) else f"; reported {thousands(row['reported'])}"
            cells[ledger] = interval(row["p50"], row["p05"], row["p95"]) + told
        rows.append(cells)
    return markdown_table(pd.DataFrame(rows))


def growth_table(table: pd.DataFrame) -> str:
    """Return the comparison as Markdown: a row for each cluster, series and place on the axis."""
    rows = []
    order = {series: place for place, series in enumerate(table["series"].unique())}
    for (cluster, kind, _, at), mine in table.assign(place=table["series"].map(order)).groupby(
        ["cluster", "kind", "place", "at"]
    ):
        series = mine["series"].iloc[0]
        found = mine.set_index("measure")
        cells = {"cluster": f"{cluster} ({kind})", "": str(series), "calls": f"{at:,.0f}×"}
        for measure, title in MEASURES.items():
            value = float(found.loc[measure, "p50"]) if measure in found.index else float("nan")
            share = measure.endswith("share")
            cells[title] = f"{100 * value:.1f} %" if share else thousands(value, 3)
        rows.append(cells)
    return markdown_table(pd.DataFrame(rows))


def main() -> None:
    """Publish runs, or check without arguments."""
    if len(sys.argv) == 3:
        project, compare = Path(sys.argv[1]), Path(sys.argv[2])
        draw_ledgers(three_ledgers(project), HOME, LEDGER_FILE)
        for ending in ("png", "csv"):
            shutil.copy(compare / "figures" / f"serving.{ending}", HOME / f"{GROWTH_FILE}.{ending}")
    text = PAGE.read_text(encoding="utf-8")
    current = with_tables(
        text,
        {
            "three ledgers": ledger_table(pd.read_csv(HOME / f"{LEDGER_FILE}.csv")),
            "growth": growth_table(pd.read_csv(HOME / f"{GROWTH_FILE}.csv")),
        },
        PAGE,
    )
    if len(sys.argv) == 3:
        PAGE.write_text(current, encoding="utf-8")
    elif current != text:
        sys.exit(f"{PAGE} does not show the tables in {HOME}: run analysis.serving_page")


if __name__ == "__main__":
    main()
