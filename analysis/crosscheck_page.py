"""Runs the cross-check of the shipped posterior and writes its page: `make crosscheck`.

Writes the comparison and the figure to docs/crosscheck/ and the tables of docs/crosscheck.md.
Finished runs are kept, so that an interrupted study goes on. `--check` only checks that the page is
current.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.calibration.identifiability import PRIOR_SD
from analysis.calibration.priors import Z_LIMIT
from analysis.calibration.shipped import read_posterior
from analysis.calibration.waves import made_from
from analysis.cli import composed
from analysis.crosscheck import FAR, RATIOS, Study, branches, check, compare
from analysis.federations import packaged, register
from analysis.figure_style import (
    BLACK,
    COLOURS,
    FONT_PT,
    GREY,
    SMALL_PT,
    WIDE_IN,
    new_figure,
    plain_axes,
    save,
)
from analysis.fingerprint import digest
from analysis.pages import with_tables
from analysis.progress import progress, say
from analysis.report import markdown_table
from analysis.runfolder import kept_folder
from analysis.verbs.calibrate import OWN
from analysis.verbs.common import Setup, prepare_setup
from analysis.warmup import compile_kernel
from analysis.wording import interval, thousands
from sim.units import FloatArray

PAGE, HOME, NAME = Path("docs") / "crosscheck.md", Path("docs") / "crosscheck", "crosscheck"
FEDERATION = "imagine"
UNTOUCHED = 0.95  # posterior over prior sd from which on the figures say nothing of a parameter
WAYS = (("shipped", COLOURS[0], "o"), ("esmda", COLOURS[1], "D"))
WAY_WORD = {"shipped": "emulator and sampler", "esmda": "ES-MDA on the simulator"}
KIND_WORD = {"parameter": "parameters", "quantity": "quantities of the last year",
             "figure": "reported figures"}
RATIO_TICKS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0)


def draw(table: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw both posteriors: difference and width of parameters, and quantities of the last year.

    Args:
        table: Rows of `crosscheck.compare`, of one or more branches.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.
    """
    groups = [mine for _, mine in table.groupby(["hypothesis", "law"], sort=False)]
    names = {
        kind: list(dict.fromkeys(table.loc[table["kind"] == kind, "name"]))
        for kind in ("parameter", "quantity")
    }
    counts = [len(some) for some in names.values()]
    figure = new_figure(WIDE_IN, 1.9 + 0.13 * sum(counts))
    panels = figure.subplots(
        2, len(groups), squeeze=False, sharex="row", sharey="row",
        gridspec_kw={"height_ratios": counts},
    )
    for column, mine in enumerate(groups):
        for axes, (kind, some) in zip(panels[:, column], names.items(), strict=True):
            _panel(axes, mine[mine["kind"] == kind], kind, some)
            axes.tick_params(labelleft=column == 0)
        panels[0, column].set_title(
            f"{mine['hypothesis'].iloc[0]}, {mine['law'].iloc[0]}", fontsize=FONT_PT, loc="left"
        )
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=3, linewidth=1.2,
               label=f"{WAY_WORD[way]}: median, 90 %")
        for way, colour, marker in WAYS
    ]
    handles.append(
        Line2D([], [], linestyle="none", marker="*", color=BLACK, markersize=5,
               label=f"over {FAR:g} sd apart, or sd ratio outside {RATIOS[0]:g} to {RATIOS[1]:g}")
    )
    figure.legend(
        handles=handles, loc="outside upper center", ncols=3, fontsize=SMALL_PT, frameon=False,
        labelcolor=GREY,
    )  # fmt: skip
    return save(figure, table, folder, name)


def _panel(axes: Axes, table: pd.DataFrame, kind: str, names: list[str]) -> None:
    """Draw the parameters or quantities of a branch, each in the line of its name."""
    plain_axes(axes)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.5)
    rows = np.array([names.index(name) for name in table["name"]])
    for place, (way, colour, marker) in enumerate(WAYS):
        at = rows + 0.36 * (place - 0.5)
        low, middle, high = (_scaled(table, kind, f"{way}_{end}") for end in ("p05", "p50", "p95"))
        axes.hlines(at, low, high, color=colour, linewidth=1.1)
        axes.plot(middle, at, marker, color=colour, markersize=2.2)
    flagged = rows[table["flagged"].to_numpy()]
    axes.plot(np.full(len(flagged), 0.985), flagged, "*", color=BLACK, markersize=4.5,
              transform=axes.get_yaxis_transform(), in_layout=False)
    axes.set_yticks(range(len(names)), names, fontsize=SMALL_PT)
    axes.set_ylim(len(names) - 0.4, -0.6)
    if kind == "parameter":
        axes.set_xlim(-Z_LIMIT - 0.1, Z_LIMIT + 0.8)
        axes.set_xlabel("z (prior: median 0, sd 1)", fontsize=SMALL_PT)
        return
    axes.set_xscale("log")
    axes.set_xlim(RATIO_TICKS[0], RATIO_TICKS[-1])
    axes.xaxis.set_major_locator(FixedLocator(RATIO_TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("year over its shipped median", fontsize=SMALL_PT)


def _scaled(table: pd.DataFrame, kind: str, column: str) -> FloatArray:
    """Return what is drawn: z of a parameter, a quantity over its shipped median."""
    if kind == "parameter":
        return table[column.replace("_p", "_z")].to_numpy(dtype=float)
    floor = RATIO_TICKS[0] / 10.0
    ratio = table[column] / table["shipped_p50"]
    return ratio.clip(lower=floor).to_numpy(dtype=float)


def summary_table(table: pd.DataFrame) -> str:
    """Count by branch and kind what agrees."""
    rows = []
    for (hypothesis, law, kind), mine in table.groupby(["hypothesis", "law", "kind"], sort=False):
        rows.append({
            "reading": f"`{hypothesis}`", "growth law": str(law), "of": KIND_WORD[str(kind)],
            "flagged": f"{int(mine['flagged'].sum())} of {len(mine)}",
            "medians apart, sd": f"{mine['difference'].abs().median():.2f}",
            "at most": f"{mine['difference'].abs().max():.2f}",
            "sd ratio": f"{mine['sd_ratio'].median():.2f}",
            "from - to": f"{mine['sd_ratio'].min():.2f} - {mine['sd_ratio'].max():.2f}",
        })  # fmt: skip
    return markdown_table(pd.DataFrame(rows))


def rows_table(table: pd.DataFrame) -> str:
    """Write rows of the comparison; what is flagged is in bold."""
    rows = []
    for row in table.to_dict("records"):
        bold = "**" if row["flagged"] else ""
        cells = {"reading": f"`{row['hypothesis']}`, {row['law']}",
                 "": f"`{row['name']}` ({row['unit']})"}
        for way, word in WAY_WORD.items():
            cells[word] = interval(*(row[f"{way}_{end}"] for end in ("p50", "p05", "p95")))
        if row["kind"] == "figure":
            cells["reported"] = thousands(row["reported"], 3)
        cells["apart, sd"] = f"{bold}{row['difference']:+.2f}{bold}"
        cells["sd ratio"] = f"{bold}{row['sd_ratio']:.2f}{bold}"
        rows.append(cells)
    return markdown_table(pd.DataFrame(rows).fillna("")) if rows else "None."


def words(table: pd.DataFrame) -> str:
    """Say in a few sentences what came out."""
    made, on, members, times, pairs, draws = (
        table[c].iloc[0]
        for c in ("made_from", "date", "members", "assimilations", "pairs", "draws")
    )
    counts = []
    for kind, word in KIND_WORD.items():
        mine = table[table["kind"] == kind]
        counts.append(f"{int(mine['flagged'].sum())} of {len(mine)} {word}")
    parameters = table[table["kind"] == "parameter"]
    left = parameters[parameters["shipped_sd"] >= UNTOUCHED * PRIOR_SD]
    text = (
        f"{on}, made from `{made}`: {members} members, {times} assimilations, {pairs} of the "
        f"members twice each time; {draws} draws of the shipped posterior played to the horizon. "
        f"Flagged are {', '.join(counts)}. "
    )
    if len(left):
        sd = left["esmda_sd"] / PRIOR_SD
        text += (
            f"Of the {len(left)} parameters on which the shipped posterior has at least "
            f"{UNTOUCHED:.0%} of the prior's sd, ES-MDA keeps {sd.median():.0%} of it "
            f"({sd.min():.0%} to {sd.max():.0%}): what is missing there is mostly its own loss."
        )
    return text.strip()


def tables(table: pd.DataFrame) -> dict[str, str]:
    """Return the blocks of the page by their marks."""
    flagged = table[table["flagged"]]
    return {
        "outcome": words(table),
        "summary": summary_table(table),
        "parameters": rows_table(flagged[flagged["kind"] == "parameter"]),
        "figures": rows_table(flagged[flagged["kind"] == "figure"]),
        "year": rows_table(table[table["kind"] == "quantity"]),
    }


def run(
    setup: Setup, draws: pd.DataFrame, laws: pd.DataFrame, study: Study, kept: Path
) -> pd.DataFrame:
    """Run the cross-check and return its table, with what it was made from.

    Args:
        setup: The federation.
        draws: Of its shipped posterior.
        laws: Weights of the growth laws beside it.
        study: How much work.
        kept: Folder in which finished runs are kept for a next time.
    """
    total = study.runs * len(branches(laws, study))
    parts = []
    with progress("runs of the cross-check", total) as advance:
        for found in check(setup.case, setup.policies, draws, laws, study, kept, advance):
            parts.append(compare(setup.case, found))
    table = pd.concat(parts, ignore_index=True)
    source = digest(made_from(setup.case, setup.policies), draws.to_csv(), study)
    return table.assign(
        members=study.members, assimilations=study.assimilations, pairs=study.pairs,
        draws=study.draws, date=datetime.now(UTC).date().isoformat(), made_from=source,
    )  # fmt: skip


def main() -> None:
    """Run and write, or check."""
    only_check = "--check" in sys.argv[1:]
    if not only_check:
        for folder in packaged().values():
            register(folder)
        setup = prepare_setup(composed("calibrate", [f"federation={FEDERATION}"]), dict(OWN))
        compile_kernel()
        posterior = read_posterior(setup.case.folder / "posterior")
        study = Study(jobs=setup.jobs)
        found = run(setup, posterior.draws, posterior.laws, study, kept_folder())
        say(f"written: {draw(found, HOME, NAME)}")
    text = PAGE.read_text(encoding="utf-8")
    current = with_tables(text, tables(pd.read_csv(HOME / f"{NAME}.csv")), PAGE)
    if not only_check:
        PAGE.write_text(current, encoding="utf-8")
    elif current != text:
        sys.exit(f"{PAGE} does not show {HOME}: run `make crosscheck`")


if __name__ == "__main__":
    main()
