"""Figures of serving; each takes a finished table, draws it and computes nothing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.figure_style import (
    COLOURS,
    FONT_PT,
    GREY,
    LINES,
    MARKERS,
    SMALL_PT,
    WIDE_IN,
    new_figure,
    plain_axes,
    save,
)
from analysis.frames import require

GROWTH = {  # measure: label, whether its axis is logarithmic
    "replicas": ("replica-hours a year", True),
    "nodes": ("node-hours a year", True),
    "cold_share": ("share of cold starts", False),
    "wait_p95": ("wait, 95 % quantile, s", True),
}
_COLUMNS = ["series", "at", "cluster", "kind", "measure", "p05", "p50", "p95"]


def draw_growth(table: pd.DataFrame, folder: Path, name: str, axis: str) -> Path:
    """Draw replica- and node-hours, the share of cold starts and the wait over the number of calls.

    A row of panels for each cluster and kind of application; a curve with its 90 % band for each
    series.

    Args:
        table: As `serving_tables.compared` returns it.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.
        axis: Label of the horizontal axis.

    Returns:
        Path of the PNG.
    """
    require(table, _COLUMNS, f"table of figure {name}")
    rows = list(table.groupby(["cluster", "kind"], sort=False))
    figure = new_figure(WIDE_IN, 0.5 + 1.9 * len(rows))
    panels = figure.subplots(len(rows), len(GROWTH), sharex=True, squeeze=False)
    for line, ((cluster, kind), mine) in zip(panels, rows, strict=True):
        for axes, (measure, (label, logarithmic)) in zip(line, GROWTH.items(), strict=True):
            _panel(axes, mine[mine["measure"] == measure], logarithmic)
            axes.set_ylabel(label, fontsize=FONT_PT)
        line[0].set_title(f"{cluster} ({kind})", fontsize=FONT_PT, loc="left")
    figure.supxlabel(axis, fontsize=FONT_PT)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper right", ncols=len(labels), fontsize=SMALL_PT,
        frameon=False, labelcolor=GREY,
    )  # fmt: skip
    return save(figure, table, folder, name)


def _panel(axes: Axes, table: pd.DataFrame, logarithmic: bool) -> None:
    plain_axes(axes)
    for place, (series, mine) in enumerate(table.groupby("series", sort=False)):
        ordered, colour = mine.sort_values("at"), COLOURS[place % len(COLOURS)]
        axes.fill_between(
            ordered["at"], ordered["p05"], ordered["p95"], color=colour, alpha=0.15, linewidth=0
        )
        axes.plot(
            ordered["at"], ordered["p50"], linestyle=LINES[place % len(LINES)], color=colour,
            marker=MARKERS[place % len(MARKERS)], markersize=3, linewidth=1.1, label=str(series),
        )  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}×"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if logarithmic and len(table) and (table["p05"] > 0.0).all():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0.0, top=1.02 if not logarithmic else None)
