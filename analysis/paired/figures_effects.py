"""What policies save and cost: forest plot, front, savings along an axis, prices.

Each function takes a finished table, draws it and computes nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullLocator

from analysis.figure_style import (
    FONT_PT,
    GREY,
    LINES,
    SMALL_PT,
    WIDE_IN,
    new_figure,
    plain_axes,
    save,
)
from analysis.figure_tables import tick_text
from analysis.paired.figures_look import (
    GRID,
    INTERVAL,
    LETTER_IN,
    Palette,
    horizontal_quantity,
    idle_handles,
    idle_word,
    key_above,
    spread,
    titled,
    vertical_quantity,
    with_zero,
)

ROW_IN = 0.13  # height of an interval in the forest plot
BAR_IN = 0.22
BARS_IN = 5.0  # width of the axis of prices; about
CHEAPEST = 0.1  # GPU-h an interruption, where the axis of prices turns logarithmic


def draw_differences(table: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw paired differences to the baseline: a panel each quantity, a marker each idle prior.

    Args:
        table: From `figures_tables.differences`.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.
    """
    look = Palette(list(dict.fromkeys(table["idle"])))
    quantities = list(dict.fromkeys(table["quantity"]))
    names = list(dict.fromkeys(table["variant"]))
    rows = len(names) * (len(look.names) + 0.8)
    figure = new_figure(WIDE_IN, 1.0 + ROW_IN * rows)
    panels = figure.subplots(1, len(quantities), squeeze=False, sharey=True)[0]
    for axes, quantity in zip(panels, quantities, strict=True):
        mine = table[table["quantity"] == quantity]
        _forest(axes, mine, names, look)
        titled(axes, _two_lines(quantity))
        axes.set_xlabel(str(mine["unit"].iloc[0]), fontsize=FONT_PT)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    key_above(figure, [*idle_handles(look), _interval_handle()])
    return save(figure, table, folder, name)


def _two_lines(text: str) -> str:
    """Break a title after the word that ends nearest to its middle."""
    spaces = [i for i, letter in enumerate(text) if letter == " "]
    middle = min(spaces, key=lambda i: abs(i - len(text) / 2))
    return f"{text[:middle]}\n{text[middle + 1 :]}"


def _interval_handle(text: str = INTERVAL) -> Line2D:
    return Line2D([], [], color=GREY, linewidth=1.2, label=text)


def _forest(axes: Axes, mine: pd.DataFrame, names: list[str], look: Palette) -> None:
    plain_axes(axes)
    for row in mine.itertuples():
        shift = spread(list(look.names).index(row.idle), len(look.names), 0.6)
        at, colour = names.index(row.variant) + shift, look.colour(row.idle)
        axes.plot([row.p05, row.p95], [at, at], color=colour, linewidth=1.2)
        axes.plot(row.p50, at, marker=look.marker(row.idle), color=colour, markersize=3.2)
    for place in range(1, len(names)):
        axes.axhline(place - 0.5, color=GRID, linewidth=0.5, zorder=0)
    axes.tick_params(axis="y", length=0)
    horizontal_quantity(axes, 3)
    if not mine[["p05", "p50", "p95"]].to_numpy().any():
        axes.set_xlim(-1.0, 1.0)
        axes.set_xticks([0.0], ["0 in all worlds"])
    with_zero(axes, horizontal=True)


def draw_front(table: pd.DataFrame, folder: Path, name: str, look: Palette) -> Path:
    """Draw GPU-h saved against the cost to users: a panel each idle prior, a row each ledger.

    Markers are means, as the front is one of means; filled ones are on it, hollow ones are not.

    Args:
        table: From `figures_tables.front`.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.
        look: Of the variants.
    """
    idles = list(dict.fromkeys(table["idle"]))
    ledgers = list(dict.fromkeys(table["ledger"]))
    figure = new_figure(WIDE_IN, 0.9 + 1.9 * len(ledgers))
    panels = figure.subplots(len(ledgers), len(idles), squeeze=False)
    for line, ledger in zip(panels, ledgers, strict=True):
        for axes, idle in zip(line, idles, strict=True):
            mine = table[(table["idle"] == idle) & (table["ledger"] == ledger)]
            _front_panel(axes, mine, look)
            titled(axes, idle_word(idle))
        line[0].set_ylabel("additional cost to users\n(user-h)", fontsize=FONT_PT)
        for axes in line:
            axes.set_xlabel(f"GPU-h saved, {ledger}", fontsize=FONT_PT)
    shown = set(table["variant"])
    handles = [_variant_handle(look, n) for n in look.names if n in shown]
    hollow = {"linestyle": "none", "marker": "o", "markersize": 4, "markeredgecolor": GREY}
    handles += [
        Line2D([], [], markerfacecolor=GREY, label="filled: on the front of means", **hollow),
        Line2D([], [], markerfacecolor="white", label="hollow: another is better in both",
               **hollow),
        _interval_handle("mean, 90 % interval over worlds"),
    ]
    key_above(figure, handles)
    return save(figure, table, folder, name)


def _variant_handle(look: Palette, name: str) -> Line2D:
    return Line2D([], [], linestyle="none", color=look.colour(name), marker=look.marker(name),
                  markersize=4, label=name)


def _front_panel(axes: Axes, mine: pd.DataFrame, look: Palette) -> None:
    plain_axes(axes)
    ordered = mine.sort_values("saved_mean", kind="stable")
    best = ordered[ordered["on_front"]]
    axes.plot(best["saved_mean"], best["user_h_mean"], color=GREY, linewidth=0.8, zorder=2,
              linestyle=(0, (2, 1)))
    for row in ordered.itertuples():
        colour = look.colour(row.variant)
        axes.plot([row.saved_p05, row.saved_p95], [row.user_h_mean] * 2, color=colour,
                  linewidth=0.7, alpha=0.8)
        axes.plot([row.saved_mean] * 2, [row.user_h_p05, row.user_h_p95], color=colour,
                  linewidth=0.7, alpha=0.8)
        axes.plot(row.saved_mean, row.user_h_mean, marker=look.marker(row.variant), color=colour,
                  markersize=4.5, markerfacecolor=colour if row.on_front else "white", zorder=4,
                  linestyle="none")
    horizontal_quantity(axes, 4)
    axes.grid(axis="y", visible=True, color=GRID, linewidth=0.5)
    vertical_quantity(axes)
    with_zero(axes, horizontal=True)
    with_zero(axes, horizontal=False)


def draw_savings(table: pd.DataFrame, folder: Path, name: str, axis: str) -> Path:
    """Draw savings and interruptions along the axis, a band each idle prior.

    Args:
        table: From `figures_tables.savings`.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.
        axis: What `at` means, with its unit.
    """
    look = Palette(list(dict.fromkeys(table["idle"])))
    series = list(dict.fromkeys(table["series"]))
    kinds = list(dict.fromkeys(zip(table["quantity"], table["unit"], strict=True)))
    figure = new_figure(WIDE_IN, 0.6 + 2.0 * len(kinds) / 3)
    panels = figure.subplots(len(kinds) // 3, 3, squeeze=False)
    for axes, (quantity, unit) in zip(panels.flat, kinds, strict=True):
        mine = table[(table["quantity"] == quantity) & (table["unit"] == unit)]
        plain_axes(axes)
        for (idle, of), curve in mine.groupby(["idle", "series"], sort=False):
            _curve(axes, curve.sort_values("at"), look, str(idle), series.index(of))
        _log_places(axes, sorted(set(table["at"])))
        vertical_quantity(axes)
        with_zero(axes, horizontal=False)
        titled(axes, quantity)
        axes.set_ylabel("% of the baseline's GPU-h" if unit == "%" else unit, fontsize=FONT_PT)
    figure.supxlabel(axis, fontsize=FONT_PT)
    handles: list = [*idle_handles(look), Line2D([], [], color=GREY, label="median"),
                     Patch(facecolor=GREY, alpha=0.3, label="90 % interval over worlds")]
    handles += [Line2D([], [], color=GREY, linestyle=_series_line(i), label=of)
                for i, of in enumerate(series) if len(series) > 1]
    key_above(figure, handles)
    return save(figure, table, folder, name)


def _series_line(place: int) -> object:
    return "-" if place == 0 else LINES[(place - 1) % len(LINES)]


def _curve(axes: Axes, curve: pd.DataFrame, look: Palette, idle: str, place: int) -> None:
    colour = look.colour(idle)
    axes.fill_between(curve["at"], curve["p05"], curve["p95"], color=colour, alpha=0.15,
                      linewidth=0)
    axes.plot(curve["at"], curve["p50"], color=colour, linewidth=1.2, marker=look.marker(idle),
              markersize=3, linestyle=_series_line(place))


def _log_places(axes: Axes, places: list[float]) -> None:
    """Stretch the axis logarithmically and tick the places that were played."""
    axes.set_xscale("log")
    axes.set_xticks(places, [tick_text(place) for place in places])
    axes.xaxis.set_minor_locator(NullLocator())


def draw_prices(table: pd.DataFrame, folder: Path, name: str, look: Palette) -> Path:
    """Draw which variant has the highest expected net benefit at which price.

    Args:
        table: From `figures_tables.prices`.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.
        look: Of the variants.
    """
    lines = list(dict.fromkeys(zip(table["ledger"], table["idle"], strict=True)))
    figure = new_figure(WIDE_IN, 0.95 + BAR_IN * len(lines))
    axes = figure.subplots()
    plain_axes(axes)
    ends = table.loc[np.isfinite(table["to_price"]), "to_price"]
    last = 10.0 ** np.ceil(np.log10(max([10.0, *ends]) * 1.5))
    axes.set_xscale("symlog", linthresh=CHEAPEST, linscale=0.4)
    axes.set_xlim(0.0, last)
    for row in table.itertuples():
        place, end = lines.index((row.ledger, row.idle)), min(row.to_price, last)
        axes.barh(place, end - row.from_price, left=row.from_price, height=0.7,
                  color=look.colour(row.variant), edgecolor="white", linewidth=0.8,
                  hatch=look.hatch(row.variant))
        _in_bar(axes, row.variant, place, (row.from_price, end), look.ink(row.variant))
    axes.set_yticks(range(len(lines)), [f"{idle_word(idle)}, {ledger}" for ledger, idle in lines])
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=GRID, linewidth=0.5)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value)))
    axes.set_xlabel("price of an interruption (GPU-h); best: most GPU-h saved in the ledger, less "
                    "price x more interruptions, mean over worlds\n(longer waits and nodes that "
                    "boot are not priced)", fontsize=SMALL_PT)
    shown = set(table["variant"])
    handles = [Patch(facecolor=look.colour(n), hatch=look.hatch(n), edgecolor="white",
                     linewidth=0.0, label=f"best: {n}") for n in look.names if n in shown]
    key_above(figure, handles)
    return save(figure, table, folder, name)


def _in_bar(axes: Axes, text: str, place: int, ends: tuple[float, float], ink: str) -> None:
    """Write the name of a variant into its bar where there is room."""
    whole = axes.get_xlim()[1]
    scaled = axes.xaxis.get_transform().transform(np.array([*ends, whole]))
    if (scaled[1] - scaled[0]) / scaled[2] * BARS_IN > LETTER_IN * (len(text) + 2):
        middle = axes.xaxis.get_transform().inverted().transform(np.array([scaled[:2].mean()]))[0]
        axes.text(middle, place, text, ha="center", va="center", fontsize=SMALL_PT, color=ink)
