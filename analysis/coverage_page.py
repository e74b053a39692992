"""Runs the coverage study of the reference case and writes its page: `make coverage`.

Writes tables and the figure to docs/coverage/ and the table of docs/coverage.md. Finished runs are
kept, so that an interrupted study goes on. `--check` only checks that the page is current.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import binom

from analysis.calibration.waves import made_from
from analysis.cli import composed
from analysis.coverage import BINS, LEVELS, RANKS, Study, coverage, play, ranks
from analysis.federations import packaged, register
from analysis.figure_style import (
    COLOURS,
    FONT_PT,
    GREY,
    MARKERS,
    SMALL_PT,
    WIDE_IN,
    new_figure,
    plain_axes,
    save,
)
from analysis.fingerprint import digest
from analysis.pages import with_tables
from analysis.progress import progress
from analysis.report import markdown_table
from analysis.runfolder import kept_folder
from analysis.verbs.calibrate import OWN
from analysis.verbs.common import prepare_setup
from analysis.warmup import compile_kernel

PAGE, HOME, NAME = Path("docs") / "coverage.md", Path("docs") / "coverage", "coverage"
FEDERATION = "imagine"
TITLES = {"parameter": "parameters", "quantity": "quantities of the last year"}
ACROSS = 5  # histograms in a line
WITHIN = (0.85, 0.95)  # asked of the 90 % interval
SIGNIFICANT = 0.01  # of the most uneven of all rank histograms


def draw(table: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw how often intervals contained the truth, a row for each parameter and quantity.

    Args:
        table: As `coverage.coverage` returns it.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.
    """
    kinds = list(table.groupby("kind", sort=False))
    most = max(len(mine) for _, mine in kinds)
    figure = new_figure(WIDE_IN, 0.9 + 0.15 * most)
    panels = figure.subplots(1, len(kinds), squeeze=False)[0]
    for axes, (kind, mine) in zip(panels, kinds, strict=True):
        _panel(axes, mine)
        axes.set_title(TITLES[kind], fontsize=FONT_PT, loc="left")
        axes.set_xlabel("share of data sets whose interval holds the truth", fontsize=SMALL_PT)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper right", ncols=len(labels), fontsize=SMALL_PT,
        frameon=False, labelcolor=GREY,
    )  # fmt: skip
    return save(figure, table, folder, name)


def _panel(axes: Axes, table: pd.DataFrame) -> None:
    plain_axes(axes)
    axes.grid(axis="y", visible=False)
    rows = np.arange(len(table))
    for place, level in enumerate(LEVELS):
        noise = 2.58 * np.sqrt(level * (1.0 - level) / table["sets"].iloc[0])
        colour = COLOURS[place]
        axes.axvspan(level - noise, level + noise, color=colour, alpha=0.12, linewidth=0)
        axes.axvline(level, color=colour, linewidth=0.6)
        axes.plot(
            table[f"covered_{int(100 * level)}"], rows, MARKERS[place], color=colour, markersize=3,
            label=f"{100 * level:.0f} % interval",
        )  # fmt: skip
    axes.set_yticks(rows, table["name"], fontsize=SMALL_PT)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlim(0.4, 1.0)


def draw_ranks(table: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw the histogram of ranks of each parameter and quantity, beside what chance allows.

    Args:
        table: As `coverage.coverage` returns it.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.
    """
    lines = -(-len(table) // ACROSS)
    figure = new_figure(WIDE_IN, 0.4 + 0.78 * lines)
    panels = figure.subplots(lines, ACROSS, sharex=True, sharey=True, squeeze=False).ravel()
    expected = 100.0 / BINS
    for axes, row in zip(panels, table.to_dict("records"), strict=False):
        plain_axes(axes)
        axes.grid(visible=False)
        low, high = 100.0 * binom.ppf([0.005, 0.995], row["sets"], 1.0 / BINS) / row["sets"]
        axes.axhspan(low, high, color=GREY, alpha=0.25, linewidth=0)
        axes.axhline(expected, color=GREY, linewidth=0.6)
        colour = COLOURS[0] if row["kind"] == "parameter" else COLOURS[1]
        share = [100.0 * row[r] / row["sets"] for r in RANKS]
        axes.stairs(share, np.linspace(0.0, 100.0, BINS + 1), color=colour)
        axes.set_title(row["name"], fontsize=SMALL_PT - 1, loc="left", pad=2)
        axes.tick_params(labelsize=SMALL_PT - 1)
        axes.set_ylim(0.0, 2.0 * expected)
        axes.set_xticks([0, 50, 100])
    for axes in panels[len(table) :]:
        axes.set_visible(False)
    figure.supxlabel("rank of the truth among the draws, %", fontsize=SMALL_PT)
    figure.supylabel("data sets, %", fontsize=SMALL_PT)
    return save(figure, table, folder, name)


def coverage_table(table: pd.DataFrame) -> str:
    """Return the coverage as Markdown; what leaves its bounds stands in bold."""
    limit = SIGNIFICANT / len(table)
    rows = []
    for row in table.to_dict("records"):
        cells = {"": row["kind"], "name": f"`{row['name']}`"}
        for level in LEVELS:
            value = row[f"covered_{int(100 * level)}"]
            good = level != 0.9 or WITHIN[0] <= value <= WITHIN[1]
            cells[f"{100 * level:.0f} %"] = f"{value:.3f}" if good else f"**{value:.3f}**"
        even = row["p"] >= limit
        cells["ranks even, p"] = f"{row['p']:.3f}" if even else f"**{row['p']:.1e}**"
        rows.append(cells)
    return markdown_table(pd.DataFrame(rows))


def words(table: pd.DataFrame) -> str:
    """Say in a sentence or two what came out."""
    low, high = WITHIN
    inside = table["covered_90"].between(low, high)
    uneven = table["p"] < SIGNIFICANT / len(table)
    sets, made, on = (table[c].iloc[0] for c in ("sets", "made_from", "date"))
    text = (
        f"{sets:,.0f} synthetic data sets, {on}, made from `{made}`. The 90 % interval holds the "
        f"truth in {table['covered_90'].min():.1%} to {table['covered_90'].max():.1%} of them; "
        f"{inside.sum()} of {len(table)} lie between {low:.0%} and {high:.0%}. "
    )
    return text + (
        f"Ranks are uneven (1 %, corrected for {len(table)} tests) for "
        f"{', '.join(f'`{n}`' for n in table.loc[uneven, 'name'])}."
        if uneven.any()
        else f"No histogram of ranks is uneven (1 %, corrected for {len(table)} tests)."
    )


def tables(table: pd.DataFrame) -> dict[str, str]:
    """Return the blocks of the page by their marks."""
    return {"outcome": words(table), "coverage": coverage_table(table)}


def main() -> None:
    """Run and write, or check."""
    check = "--check" in sys.argv[1:]
    if not check:
        for folder in packaged().values():
            register(folder)
        setup = prepare_setup(composed("calibrate", [f"federation={FEDERATION}"]), OWN)
        compile_kernel()
        study, laws = Study(jobs=setup.jobs), setup.case.hypotheses.laws
        total = study.runs * sum(w > 0.0 for w in laws.values())
        with progress("runs over the prior", total) as advance:
            played = play(setup.case, setup.policies, study, kept_folder(), advance)
        found = coverage(ranks(setup.case, played, study))
        found["date"] = datetime.now(UTC).date().isoformat()
        found["made_from"] = digest(made_from(setup.case, setup.policies), study)
        draw(found, HOME, NAME)
        draw_ranks(found[["kind", "name", "sets", *RANKS]], HOME, "ranks")
    text = PAGE.read_text(encoding="utf-8")
    current = with_tables(text, tables(pd.read_csv(HOME / f"{NAME}.csv")), PAGE)
    if not check:
        PAGE.write_text(current, encoding="utf-8")
    elif current != text:
        sys.exit(f"{PAGE} does not show {HOME}: run `make coverage`")


if __name__ == "__main__":
    main()
