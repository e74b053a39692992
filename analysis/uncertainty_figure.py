"""Where a projection's uncertainty comes from: a stacked bar for each quantity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.corrections import SOURCES
from analysis.figure_style import COLOURS, FONT_PT, SMALL_PT, WIDE_IN, new_figure, plain_axes, save
from analysis.wording import resource_word

LABELS = {
    "parameters": "parameters",
    "replicates": "replicates (chance)",
    "hypotheses": "hypotheses (reading, growth law)",
    "discrepancy": "discrepancy (what the model gets wrong)",
}
INK = ("white", "white", "white", "black")  # of the shares, on the colours of the sources
WRITTEN = 0.06  # share below which it is not written into its bar
NORMAL_90 = 1.645  # standard deviations to the 95 % point of a normal


def draw_shares(table: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw the shares of the variance of each quantity's logarithm.

    Args:
        table: From `corrections.variance_shares`.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.
    """
    keys = list(dict.fromkeys(zip(table["resource"], table["site"], strict=True)))
    figure = new_figure(WIDE_IN, 1.0 + 0.24 * len(keys))
    axes = figure.subplots()
    plain_axes(axes)
    axes.grid(visible=False)
    left = np.zeros(len(keys))
    for place, source in enumerate(SOURCES):
        mine = table[table["source"] == source].set_index(["resource", "site"])["share"]
        share = np.array([float(mine[key]) for key in keys])
        axes.barh(range(len(keys)), share, left=left, height=0.72, color=COLOURS[place],
                  edgecolor="white", linewidth=0.8, label=LABELS[source])
        for row, value in enumerate(share):
            if value >= WRITTEN:
                axes.text(left[row] + value / 2, row, f"{100 * value:.0f} %", ha="center",
                          va="center", fontsize=SMALL_PT, color=INK[place])
        left += share
    for row, key in enumerate(keys):
        mine = table[(table["resource"] == key[0]) & (table["site"] == key[1])]
        factor = np.exp(NORMAL_90 * np.sqrt(mine["variance"].sum()))
        axes.text(1.01, row, f"×/÷ {factor:.2f}", va="center", fontsize=SMALL_PT)
    labels = [f"{resource_word(r)}, {'all sites' if s == 'all' else s}" for r, s in keys]
    axes.set_yticks(range(len(keys)), labels, fontsize=SMALL_PT)
    axes.set_ylim(len(keys) - 0.4, -0.6)
    axes.set_xlim(0.0, 1.0)
    axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xlabel(f"share of the variance of log({table['period'].iloc[0]}); right: factor to "
                    "the ends of the 90 % interval", fontsize=SMALL_PT)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=FONT_PT)
    return save(figure, table, folder, name)
