"""How worlds look without a policy and with one: GPUs over months, waits, sites.

Each function takes a finished table, draws it and computes nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from analysis.figure_style import (
    BLACK,
    COLOURS,
    FONT_PT,
    GREY,
    SMALL_PT,
    WIDE_IN,
    new_figure,
    plain_axes,
    quantity_axis,
    save,
)
from analysis.figure_tables import tick_text
from analysis.paired.figures_look import Palette, idle_word, key_above, titled
from analysis.paired.figures_tables import ALL

LEDGER_COLOURS = {"provisioned": GREY, "allocated": COLOURS[0], "active": COLOURS[2]}
DARK = 0.6  # share of the scale above which numbers in cells are white
CELL_IN = 0.21


def draw_monthly(table: pd.DataFrame, folder: Path, name: str, begins: float | None) -> Path:
    """Draw the GPUs of each ledger over months: a row each variant, a panel each idle prior.

    Args:
        table: From `figures_tables.monthly`.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.
        begins: Months from the start of the project until the policy's first day; None if it has
            none.
    """
    idles = list(dict.fromkeys(table["idle"]))
    variants = list(dict.fromkeys(table["variant"]))
    figure = new_figure(WIDE_IN, 0.7 + 1.5 * len(variants))
    panels = figure.subplots(len(variants), len(idles), squeeze=False, sharex=True, sharey=True)
    for line, variant in zip(panels, variants, strict=True):
        for axes, idle in zip(line, idles, strict=True):
            mine = table[(table["idle"] == idle) & (table["variant"] == variant)]
            _months(axes, mine)
            if begins is not None:
                axes.axvline(begins + 0.5, color=BLACK, linewidth=0.9, linestyle=(0, (4, 2)))
            titled(axes, f"{idle_word(idle)}\n{variant}")
        line[0].set_ylabel("GPUs, mean of the month", fontsize=FONT_PT)
    for axes in panels[-1]:
        axes.set_xlabel("project month", fontsize=FONT_PT)
    quantity_axis(panels[0][0], ticks=5)
    handles: list = [Line2D([], [], color=LEDGER_COLOURS[n], linewidth=1.3, label=f"{n}, median")
                     for n in LEDGER_COLOURS]
    handles.append(Patch(facecolor=GREY, alpha=0.3, label="90 % interval over worlds"))
    if begins is not None:
        handles.append(Line2D([], [], color=BLACK, linewidth=0.9, linestyle=(0, (4, 2)),
                              label="the policy begins"))
    key_above(figure, handles)
    return save(figure, table, folder, name)


def _months(axes: Axes, mine: pd.DataFrame) -> None:
    plain_axes(axes)
    for ledger, colour in LEDGER_COLOURS.items():
        rows = mine[mine["ledger"] == ledger].sort_values("month")
        axes.fill_between(rows["month"], rows["p05"], rows["p95"], color=colour, alpha=0.2,
                          linewidth=0, step="mid")
        axes.plot(rows["month"], rows["p50"], color=colour, linewidth=1.3, drawstyle="steps-mid")
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 3, 6], integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"M{value:.0f}"))
    axes.margins(x=0.01)


def draw_waits(table: pd.DataFrame, folder: Path, name: str, look: Palette) -> Path:
    """Draw the share of requests that waited at least so long: a panel each idle prior.

    Args:
        table: From `figures_tables.waits`.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.
        look: Of the variants.
    """
    idles = list(dict.fromkeys(table["idle"]))
    waited = table[table["at_least_h"] > 0.0]
    figure = new_figure(WIDE_IN, 2.6)
    panels = figure.subplots(1, len(idles), squeeze=False, sharey=True)[0]
    for axes, idle in zip(panels, idles, strict=True):
        plain_axes(axes)
        for variant, mine in waited[waited["idle"] == idle].groupby("variant", sort=False):
            axes.plot(mine["at_least_h"], 100.0 * mine["share"], color=look.colour(variant),
                      linestyle=look.line(variant), linewidth=1.2)
        axes.set_xscale("log")
        axes.set_xlim(right=_end(waited))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value)))
        axes.set_xlabel("x, hours of waiting", fontsize=FONT_PT)
        titled(axes, idle_word(idle))
    quantity_axis(panels[0])
    panels[0].set_ylabel("requests with GPUs that waited\nx or longer (%)", fontsize=FONT_PT)
    handles = [Line2D([], [], color=look.colour(n), linestyle=look.line(n), linewidth=1.2, label=n)
               for n in look.names]
    key_above(figure, handles)
    return save(figure, table, folder, name)


def _end(waited: pd.DataFrame) -> float:
    """Return where the axis of waits ends: beyond the longest, or else at the last bin."""
    longest = waited.loc[waited["share"] > 0.0, "at_least_h"]
    return 2.0 * float(longest.max() if len(longest) else waited["at_least_h"].max())


def draw_sites(table: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw percent of GPU-h saved: a row each variant, a column each site, a panel each idle prior.

    Args:
        table: From `figures_tables.sites`.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.
    """
    idles = list(dict.fromkeys(table["idle"]))
    quantities = list(dict.fromkeys(table["quantity"]))
    names, places = list(dict.fromkeys(table["variant"])), list(dict.fromkeys(table["site"]))
    most = 10.0 * max(1.0, np.ceil(table["p50"].max() / 10.0))
    words = ["all sites" if place == ALL else place for place in places]
    figure = new_figure(WIDE_IN, 0.5 + len(quantities) * (0.95 + CELL_IN * len(names)))
    panels = figure.subplots(len(quantities), len(idles), squeeze=False, sharey=True)
    for line, quantity in zip(panels, quantities, strict=True):
        for axes, idle in zip(line, idles, strict=True):
            mine = table[(table["idle"] == idle) & (table["quantity"] == quantity)]
            cells = mine.pivot(index="variant", columns="site", values="p50")
            values = cells.reindex(index=names, columns=places).to_numpy(float)
            shown = _cells(axes, values, most)
            axes.set_xticks(range(len(places)), words, fontsize=SMALL_PT, rotation=30,
                            ha="right", rotation_mode="anchor")
            axes.set_yticks(range(len(names)), names, fontsize=SMALL_PT)
            titled(axes, idle_word(idle))
        bar = figure.colorbar(shown, ax=list(line), fraction=0.03, pad=0.01)
        bar.set_label(f"GPU-h {quantity}\n(%, median)", fontsize=SMALL_PT)
        bar.ax.tick_params(labelsize=SMALL_PT)
    return save(figure, table, folder, name)


def _cells(axes: Axes, values: np.ndarray, most: float):  # type: ignore[no-untyped-def]
    """Draw one panel, colours up to `most`; returns what the colour bar explains."""
    shown = axes.imshow(values, cmap="Blues", vmin=0.0, vmax=most, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        text = "-" if np.isnan(value) else f"{round(value) + 0:d}"
        axes.text(j, i, text, ha="center", va="center", fontsize=SMALL_PT,
                  color="white" if value > DARK * most else BLACK)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return shown
