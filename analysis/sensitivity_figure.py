"""The figures of the sensitivity tables: a tornado, and total Sobol indices as a heat map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis.calibration.calibrate import LEFT
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
from analysis.figure_tables import tick_text
from analysis.sensitivity import ALONE, FOLLOWING, INFORMED
from analysis.wording import thousands
from sim.errors import DataError

TINY_PT = 6.0  # numbers in the cells of the heat map
INFORMED_COLOUR, LEFT_COLOUR = COLOURS[0], COLOURS[5]
HATCH = "///////"  # of what is left at its prior, so that it is told apart in grey
LONG_TICK = 8  # characters of a tick above which an axis has room for fewer
PALE = 0.005  # indices below it have no number in their cell


def draw_tornado(table: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw what a parameter's ends make of each quantity, a panel for each.

    Filled bars have the other parameters following, hollow ones at their mean; a dot is the end
    with the parameter's 95 % point.

    Args:
        table: Rows of `sensitivity.leading`, the first parameter of each quantity on top.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.

    Raises:
        DataError: When the table is empty.
    """
    if not len(table):
        raise DataError("nothing to draw", f"table of figure {name}", "at least one row")
    quantities = list(dict.fromkeys(table["quantity"]))
    most = table.groupby("quantity")["parameter"].nunique().max()
    figure = new_figure(WIDE_IN, 1.15 + 0.22 * most)
    panels = figure.subplots(1, len(quantities), squeeze=False)[0]
    for axes, quantity in zip(panels, quantities, strict=True):
        _tornado_panel(axes, table[table["quantity"] == quantity])
    figure.legend(
        handles=_tornado_handles(), loc="outside upper center", ncols=3, fontsize=SMALL_PT,
        frameon=False, handlelength=1.6,
    )  # fmt: skip
    return save(figure, table, folder, name)


def _tornado_panel(axes: Axes, table: pd.DataFrame) -> None:
    names = list(dict.fromkeys(table["parameter"]))
    first = table.iloc[0]
    for row in table.to_dict("records"):
        place, informed = names.index(row["parameter"]), row["verdict"] == INFORMED
        colour = INFORMED_COLOUR if informed else LEFT_COLOUR
        follows = row["way"] == FOLLOWING
        at = place - 0.17 if follows else place + 0.2
        axes.barh(
            at, row["at_p95"] - row["at_p05"], 0.36 if follows else 0.22, left=row["at_p05"],
            facecolor=colour if follows else "white", edgecolor=colour, linewidth=0.7,
            hatch="" if informed or not follows else HATCH, zorder=2,
        )  # fmt: skip
        if follows and not informed:
            axes.patches[-1].set(edgecolor="white", linewidth=0.0)
        axes.plot(row["at_p95"], at, "o", color=BLACK, markersize=1.8 if follows else 1.4, zorder=4)
    axes.axvline(first["at_mean"], color=GREY, linewidth=0.7, zorder=3)
    plain_axes(axes)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.5)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.use_sticky_edges = False
    axes.margins(x=0.06)
    room = 3 if len(tick_text(first["at_mean"])) < LONG_TICK else 2
    axes.xaxis.set_major_locator(MaxNLocator(room, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value)))
    where = "all sites" if first["site"] == "all" else first["site"]
    axes.set_title(f"{where}, projected time", loc="right", fontsize=FONT_PT)
    axes.set_xlabel(
        f"{first['unit']}; line: {thousands(float(first['at_mean']), 3)} at the mean",
        fontsize=SMALL_PT, loc="right",
    )  # fmt: skip


def _tornado_handles() -> list[Patch | Line2D]:
    return [
        Patch(facecolor=INFORMED_COLOUR, label=INFORMED),
        Patch(facecolor=LEFT_COLOUR, edgecolor="white", hatch=HATCH, linewidth=0,
              label=LEFT),
        Patch(facecolor=GREY, label=f"filled: {FOLLOWING}"),
        Patch(facecolor="white", edgecolor=GREY, linewidth=0.7, label=f"hollow: {ALONE}"),
        Line2D([], [], linestyle="none", marker="o", color=BLACK, markersize=2,
               label="95 % point of the parameter (other end: 5 %)"),
    ]


def draw_sobol(table: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw total indices, a column for each quantity and a panel for each distribution of inputs.

    Args:
        table: Rows of `sensitivity.outstanding`, the first parameter on top.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.

    Raises:
        DataError: When the table is empty.
    """
    if not len(table):
        raise DataError("nothing to draw", f"table of figure {name}", "at least one row")
    spread = list(dict.fromkeys(table["inputs"]))
    names = list(dict.fromkeys(table["parameter"]))
    figure = new_figure(WIDE_IN, 1.6 + 0.15 * len(names))
    panels = figure.subplots(1, len(spread), squeeze=False, sharey=True)[0]
    for axes, inputs in zip(panels, spread, strict=True):
        shown = _cells(axes, table[table["inputs"] == inputs], names)
        axes.set_title(f"parameters spread as in the\n{inputs}", fontsize=SMALL_PT, loc="left")
    bar = figure.colorbar(shown, ax=panels, fraction=0.03, pad=0.01)
    bar.set_label("total index: share of the variance of the\nlogged quantity, with interactions",
                  fontsize=SMALL_PT)
    bar.ax.tick_params(labelsize=SMALL_PT)
    return save(figure, table, folder, name)


def _cells(axes: Axes, table: pd.DataFrame, names: list[str]):  # type: ignore[no-untyped-def]
    """Draw one panel; returns what the colour bar explains."""
    quantities = list(dict.fromkeys(table["quantity"]))
    cells = table.pivot(index="parameter", columns="quantity", values="total")
    values = cells.loc[names, quantities].to_numpy(dtype=float)
    shown = axes.imshow(values, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for i, j in np.argwhere(values >= PALE):
        text = f"{values[i, j]:.2f}".removeprefix("0")
        axes.text(j, i, text, ha="center", va="center", fontsize=TINY_PT,
                  color="white" if values[i, j] > 0.55 else BLACK)
    axes.set_xticks(range(len(quantities)), quantities, rotation=90, fontsize=SMALL_PT)
    axes.set_yticks(range(len(names)), names, fontsize=SMALL_PT)
    axes.tick_params(length=0)
    resources = table.drop_duplicates("quantity")["resource"].to_list()
    for j in range(1, len(resources)):
        if resources[j] != resources[j - 1]:
            axes.axvline(j - 0.5, color=GREY, linewidth=0.8)
    return shown
