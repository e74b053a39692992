"""Figures of serving; each takes a finished table, draws it and computes nothing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

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

GROWTH = {  # measure: label, where its axis turns from linear to logarithmic
    "replicas": ("replica-hours a year", 1.0),
    "nodes": ("node-hours a year", 1.0),
    "cold_share": ("share of cold starts", None),
    "wait_p95": ("wait, 95 % quantile, s", 1.0),
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
        for axes, (measure, (label, linear)) in zip(line, GROWTH.items(), strict=True):
            _panel(axes, mine[mine["measure"] == measure], linear)
            axes.set_ylabel(label, fontsize=FONT_PT)
        line[0].set_title(f"{cluster} ({kind})", fontsize=FONT_PT, loc="left")
    figure.supxlabel(axis, fontsize=FONT_PT)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper right", ncols=len(labels), fontsize=SMALL_PT,
        frameon=False, labelcolor=GREY,
    )  # fmt: skip
    return save(figure, table, folder, name)


def _panel(axes: Axes, table: pd.DataFrame, linear: float | None) -> None:
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
    axes.xaxis.set_major_locator(LogLocator(10, numticks=9))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}×"))
    axes.xaxis.set_minor_locator(NullLocator())
    if linear is None:
        axes.set_ylim(0.0, 1.02)
        return
    if len(table) and table["p05"].min() >= linear:
        axes.set_yscale("log")
    else:
        axes.set_yscale("symlog", linthresh=linear)
        axes.set_ylim(bottom=0.0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_minor_locator(NullLocator())
