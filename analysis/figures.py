"""The figures of a projection; each takes a finished table, draws it and computes nothing."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import NullLocator

from analysis.figure_style import (
    FONT_PT,
    GREY,
    HALF_PAGE_IN,
    SMALL_PT,
    WIDE_IN,
    Look,
    new_figure,
    plain_axes,
    quantity_axis,
    save,
)
from analysis.figure_tables import axis_label, tick_text
from analysis.frames import AVERAGED, hypotheses_of, require
from analysis.wording import period_word, resource_word, thousands
from sim.errors import DataError

_BAND_COLUMNS = ["kind", "hypothesis", "month", "month_label", "value", "p05", "p25", "p50",
                 "p75", "p95", "resource", "unit"]


def _drawable(table: pd.DataFrame, columns: list[str], name: str) -> None:
    """Refuse a table without the columns or without a row, before anything is drawn."""
    require(table, columns, f"table of figure {name}")
    if not len(table):
        raise DataError("nothing to draw", f"table of figure {name}", "at least one row")


def draw_cumulative(table: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw one resource's consumption at half a page's width.

    The fan is that of the average; each hypothesis has its median as a line and its 50 and 90 %
    intervals at the horizon beside the axes.

    Args:
        table: Rows of one resource of `figure_tables.cumulative_bands`.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.

    Returns:
        Path of the PNG.
    """
    _drawable(table, _BAND_COLUMNS, name)
    look = Look(_projected(table))
    shown = AVERAGED if AVERAGED in look.names else look.names[0]
    others = [n for n in look.names if n != shown]
    figure = new_figure(*HALF_PAGE_IN)
    axes = figure.subplots()
    _panel(axes, table, shown, look)
    last = int(table["month"].max())
    rows = table[table["kind"] == "projected"]
    for place, other in enumerate([shown, *others]):
        mine = rows[rows["hypothesis"] == other]
        if other != shown:
            axes.plot(mine["month"], mine["p50"], color=look.colour(other), zorder=4,
                      linestyle=look.line(other), linewidth=1.1)
        end = mine[mine["month"] == last].iloc[0]
        _whisker(axes, last + 1.4 + 1.5 * place, end, look, other)
    axes.set_xlim(0, last + 1.4 + 1.5 * len(look.names))
    _month_ticks(axes, table)
    axes.set_xlabel("end of project month", fontsize=FONT_PT)
    quantity_axis(axes)
    _legend(axes, look, shown, others)
    return save(figure, table, folder, name)


def draw_cumulative_wide(table: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw one resource's consumption with a panel, band and fan for each hypothesis.

    Args:
        table: Rows of one resource of `figure_tables.cumulative_bands`.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.

    Returns:
        Path of the PNG.
    """
    _drawable(table, _BAND_COLUMNS, name)
    look = Look(_projected(table))
    figure = new_figure(WIDE_IN, 2.7)
    panels = figure.subplots(1, len(look.names), sharey=True, squeeze=False)[0]
    for axes, hypothesis in zip(panels, look.names, strict=True):
        _panel(axes, table, hypothesis, look)
        read = table[(table["kind"] == "read") & (table["hypothesis"] == hypothesis)]
        axes.plot(read["month"], read["value"], linestyle="none", marker=look.marker(hypothesis),
                  markersize=5.5, markerfacecolor="none", markeredgewidth=0.9,
                  markeredgecolor=look.colour(hypothesis), zorder=5, clip_on=False,
                  in_layout=False)
        axes.set_title(hypothesis, fontsize=FONT_PT, color=look.colour(hypothesis), loc="left")
        axes.set_xlim(0, int(table["month"].max()) + 0.5)
        _month_ticks(axes, table, most=max(3, 9 // len(panels)))
        axes.set_xlabel("end of project month", fontsize=FONT_PT)
        axes.label_outer()
    quantity_axis(panels[0])
    handles = _band_handles("#888888")
    handles.append(Line2D([], [], linestyle="none", marker="s", markerfacecolor="none",
                          color=GREY, markersize=5, label="hollow: as the hypothesis reads it"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False,
                  fontsize=SMALL_PT)
    return save(figure, table, folder, name)


def _projected(table: pd.DataFrame) -> list[str]:
    return hypotheses_of(table[table["kind"] == "projected"])


def _panel(axes: Axes, table: pd.DataFrame, hypothesis: str, look: Look) -> None:
    """Draw reported points, band, fan and budget of one hypothesis."""
    colour = look.colour(hypothesis)
    mine = table[table["hypothesis"] == hypothesis]
    fitted, fan = mine[mine["kind"] == "fitted"], mine[mine["kind"] == "projected"]
    if len(fitted):
        axes.fill_between(fitted["month"], fitted["p05"], fitted["p95"], color=colour,
                          alpha=0.13, linewidth=0, hatch="....", edgecolor=colour)
    axes.fill_between(fan["month"], fan["p05"], fan["p95"], color=colour, alpha=0.16, linewidth=0)
    axes.fill_between(fan["month"], fan["p25"], fan["p75"], color=colour, alpha=0.28, linewidth=0)
    axes.plot(fan["month"], fan["p50"], color=colour, linewidth=1.4, zorder=4)
    told = table[table["kind"] == "reported"]
    axes.plot(told["month"], told["value"], linestyle="none", marker="o", markersize=3.4,
              color="#000000", zorder=6, clip_on=False, in_layout=False)
    for row in table[table["kind"] == "budget"].itertuples():
        axes.axhline(row.value, color=GREY, linewidth=0.9, linestyle=(0, (6, 2)), zorder=1)
        axes.annotate(f"budget {thousands(row.value)}", (0, row.value), xytext=(2, 2),
                      textcoords="offset points", fontsize=SMALL_PT, color=GREY, zorder=7,
                      path_effects=[withStroke(linewidth=1.5, foreground="white")])
    unit, resource = str(table["unit"].iloc[0]), str(table["resource"].iloc[0])
    axes.set_ylabel(f"{resource_word(resource)}, cumulative ({unit})", fontsize=FONT_PT)
    plain_axes(axes)


def _month_ticks(axes: Axes, table: pd.DataFrame, most: int = 6) -> None:
    """Tick the ends of the accounting periods, at most so many, with month and year beneath."""
    reported = sorted(set(table.loc[table["kind"].isin(["reported", "read"]), "month"]))
    last = int(table["month"].max())
    step = reported[-1] - reported[-2] if len(reported) > 1 else max(last - reported[-1], 1)
    ends = [*reported, *range(reported[-1] + step, last + 1, step)]
    ends = ends[::-1][:: math.ceil(len(ends) / most)][::-1]
    words = table.drop_duplicates("month").set_index("month")["month_label"]
    texts = ["\n".join([f"M{month}", *str(words.get(month, "")).split()]) for month in ends]
    axes.set_xticks(ends, texts)


def _whisker(axes: Axes, at: float, row: pd.Series, look: Look, name: str) -> None:
    """Draw median, 50 and 90 % interval at the horizon."""
    colour = look.colour(name)
    axes.plot([at, at], [row["p05"], row["p95"]], color=colour, linewidth=0.9)
    axes.plot([at, at], [row["p25"], row["p75"]], color=colour, linewidth=2.6)
    axes.plot(at, row["p50"], marker=look.marker(name), color="white", markersize=3.6,
              markeredgecolor=colour, markeredgewidth=0.9)


def _band_handles(colour: str) -> list[Line2D | Patch]:
    """Explain points, band, fan."""
    return [
        Line2D([], [], linestyle="none", marker="o", color="#000000", markersize=3.4,
               label="reported"),
        Patch(facecolor=colour, alpha=0.3, hatch="....", label="fitted, 90 %"),
        Line2D([], [], color=colour, linewidth=1.4, label="projected, median"),
        Patch(facecolor=colour, alpha=0.6, linewidth=0, label="50 %"),
        Patch(facecolor=colour, alpha=0.25, linewidth=0, label="90 %"),
    ]


def _legend(axes: Axes, look: Look, shown: str, others: list[str]) -> None:
    """Put the key above the axes, where it covers nothing."""
    handles = _band_handles(look.colour(shown))
    handles[2].set_label(shown)
    handles += [
        Line2D([], [], color=look.colour(n), linestyle=look.line(n), linewidth=1.1,
               marker=look.marker(n), markersize=3.5, label=n) for n in others
    ]
    axes.figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False,
                       fontsize=SMALL_PT, handlelength=2.0, columnspacing=1.0, borderpad=0.1)


def draw_sites(table: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw the projected year of each site and resource, hypotheses side by side.

    Args:
        table: From `figure_tables.site_year`.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.

    Returns:
        Path of the PNG.
    """
    _drawable(table, ["site", "resource", "unit", "hypothesis", "period", "p05", "p50", "p95",
                    "last_period", "last_reported", "blank_cells"], name)
    look = Look(hypotheses_of(table))
    sites = list(table["site"].unique())
    known = table[(table["p95"] > 0.0) | table["last_reported"].notna()]
    resources = list(known["resource"].unique()) or list(table["resource"].unique())
    figure = new_figure(max(HALF_PAGE_IN[0], 1.8 * len(sites)), 0.5 + 1.7 * len(resources))
    panels = figure.subplots(len(resources), len(sites), squeeze=False)
    for line, resource in enumerate(resources):
        for column, site in enumerate(sites):
            axes = panels[line][column]
            mine = table[(table["site"] == site) & (table["resource"] == resource)]
            if (mine["p95"] > 0.0).any() or (mine["last_reported"] > 0.0).any():
                _site_panel(axes, mine, look)
            else:
                axes.set_axis_off()
                word, zero = resource_word(resource), bool((mine["last_reported"] == 0.0).any())
                why = "reported 0,\nnone modelled" if zero else f"no {word}\nin the accounting"
                axes.text(0.5, 0.5, why, ha="center",
                          va="center", color=GREY, fontsize=SMALL_PT, transform=axes.transAxes)
            if line == 0:
                axes.set_title(site, fontsize=FONT_PT)
    handles = [
        Line2D([], [], color=look.colour(n), marker=look.marker(n), markersize=4, linewidth=1.4,
               label=n) for n in look.names
    ]
    handles.append(Line2D([], [], color=GREY, linewidth=1.2, linestyle=(0, (4, 2)),
                          label=f"reported {table['last_period'].iloc[0]}"))
    if bool((table["blank_cells"] > 0).any()):
        handles.append(Line2D([], [], color=GREY, linewidth=1.2, linestyle=":",
                              label="the same, a cell is blank"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False,
                  fontsize=SMALL_PT)
    figure.suptitle(f"{table['period'].iloc[0]} by site: median and 90 % interval, ledger reported",
                    fontsize=FONT_PT)
    return save(figure, table, folder, name)


def _site_panel(axes: Axes, mine: pd.DataFrame, look: Look) -> None:
    """Draw one site's one resource."""
    for row in mine.itertuples():
        at, colour = look.names.index(row.hypothesis), look.colour(row.hypothesis)
        axes.plot([at, at], [row.p05, row.p95], color=colour, linewidth=1.4)
        axes.plot(at, row.p50, marker=look.marker(row.hypothesis), color=colour, markersize=4.5)
    first = mine.iloc[0]
    if pd.notna(first["last_reported"]):
        style = ":" if first["blank_cells"] > 0 else (0, (4, 2))
        axes.axhline(first["last_reported"], color=GREY, linewidth=1.2, linestyle=style, zorder=3,
                     clip_on=False)
        axes.plot(len(look.names) - 0.4, first["last_reported"], marker="<", color=GREY,
                  markersize=4, clip_on=False, zorder=3)
    axes.set_xlim(-0.6, len(look.names) - 0.4)
    axes.set_xticks([])
    plain_axes(axes)
    quantity_axis(axes, ticks=4)
    axes.set_ylabel(f"{resource_word(str(first['resource']))} ({first['unit']})", fontsize=SMALL_PT)


def draw_fit(table: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw each fitted figure of the report against its posterior predictive interval.

    Args:
        table: From `figure_tables.fit_check`.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.

    Returns:
        Path of the PNG.
    """
    _drawable(table, ["id", "label", "period", "unit", "hypothesis", "reported", "p05", "p50",
                    "p95", "inside"], name)
    look = Look(hypotheses_of(table))
    units = list(table["unit"].unique())
    counts = [table[table["unit"] == unit]["id"].nunique() for unit in units]
    row_in = max(0.19, 0.08 * len(look.names))
    figure = new_figure(WIDE_IN, 0.6 + row_in * sum(counts) + 0.45 * len(units))
    panels = figure.subplots(len(units), 1, squeeze=False,
                             gridspec_kw={"height_ratios": [n + 0.3 for n in counts]})[:, 0]
    for axes, unit in zip(panels, units, strict=True):
        _fit_panel(axes, table[table["unit"] == unit], look)
    figure.legend(handles=_fit_handles(look), loc="outside lower center", ncols=4, frameon=False,
                  fontsize=SMALL_PT)
    return save(figure, table, folder, name)


def _fit_panel(axes: Axes, mine: pd.DataFrame, look: Look) -> None:
    """Draw the figures of one unit, one a line from above."""
    ids = list(mine["id"].unique())
    step = 0.7 / len(look.names)
    for row in mine.itertuples():
        shift = (look.names.index(row.hypothesis) - (len(look.names) - 1) / 2) * step
        at, colour = ids.index(row.id) + shift, look.colour(row.hypothesis)
        axes.plot([row.p05, row.p95], [at, at], color=colour, linewidth=1.3)
        axes.plot(row.p50, at, marker="|", color=colour, markersize=5)
        hit = {"marker": "o", "markersize": 3.2} if row.inside else {
            "marker": "X", "markersize": 5.5, "markeredgecolor": "white",
            "markeredgewidth": 0.4}
        axes.plot(row.reported, at, color=colour, zorder=5, linestyle="none", clip_on=False,
                  **hit)
    first = mine.drop_duplicates("id")
    labels = [f"{row.label}, {period_word(row.period)}" for row in first.itertuples()]
    axes.set_yticks(range(len(ids)), labels)
    axes.set_ylim(len(ids) - 0.4, -0.6)
    plain_axes(axes)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.5)
    _stretched_axis(axes, mine)
    axes.set_xlabel(axis_label(str(mine["unit"].iloc[0])), fontsize=SMALL_PT, labelpad=2)


def _stretched_axis(axes: Axes, mine: pd.DataFrame) -> None:
    """Show small and large quantities alike: logarithmic, but straight near a zero."""
    values = mine[["reported", "p05", "p50", "p95"]].to_numpy(dtype=float).ravel()
    positive = values[values > 0]
    low, top = (float(positive.min()), float(positive.max())) if len(positive) else (1.0, 1.0)
    if (values <= 0).any():
        low = 10.0 ** math.floor(math.log10(low))
        axes.set_xscale("symlog", linthresh=low, linscale=0.3)
        axes.set_xlim(float(values.min()), 1.4 * top)
    else:
        axes.set_xscale("log")
        axes.set_xlim(low / 1.4, 1.4 * top)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(top)) + 1)
    steps = (1, 2, 5) if top < 200 * low else (1,)
    ticks = [0.0] if (values <= 0).any() else []
    ticks += [step * 10.0**power for power in decades for step in steps]
    ticks = [tick for tick in ticks if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [tick_text(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def _fit_handles(look: Look) -> list[Line2D]:
    """Explain intervals and the two kinds of points."""
    names = [n for n in look.names if n != "-"]
    bars = [Line2D([], [], color=look.colour(n), linewidth=1.3, label=f"{n}, 90 % predicted")
            for n in names] or [Line2D([], [], color=look.colour("-"), label="90 % predicted")]
    return [
        *bars,
        Line2D([], [], linestyle="none", marker="o", markersize=3.2, color=GREY,
               label="reported, inside"),
        Line2D([], [], linestyle="none", marker="X", markersize=5.5, color=GREY,
               label="reported, outside"),
    ]
