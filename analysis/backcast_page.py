"""Runs the backcast of a federation and writes its page: `make backcast`.

Writes the scores and the figure to docs/backcast/ and the tables of docs/backcast.md. Finished runs
are kept, so that an interrupted one goes on. `--check` only checks that the page is current.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.backcast import NAIVE, Effort, main_tables, summary
from analysis.cli import composed
from analysis.federations import packaged, register
from analysis.figure_style import (
    BLACK,
    FONT_PT,
    GREY,
    SMALL_PT,
    WIDE_IN,
    Look,
    new_figure,
    plain_axes,
    quantity_axis,
    save,
)
from analysis.frames import by_time
from analysis.pages import with_tables
from analysis.report import markdown_table
from analysis.verbs.calibrate import OWN
from analysis.verbs.common import prepare_setup
from analysis.warmup import compile_kernel
from analysis.wording import interval, resource_word, thousands

PAGE, HOME, NAME = Path("docs") / "backcast.md", Path("docs") / "backcast", "scores"
FEDERATION = "imagine"
NAIVE_WORD = {"last": "last period again", "trend": "straight line", "doubling": "doubling"}
NAIVE_MARK = {"last": "_", "trend": "x", "doubling": "+"}
PIT_BOUNDS = (0.03, 0.97)


def draw(scores: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw predictions with their 90 % intervals beside what was reported.

    Args:
        scores: As `backcast.scored` returns it.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.
    """
    look = Look(list(dict.fromkeys(scores["hypothesis"])))
    resources = list(dict.fromkeys(scores["resource"]))
    figure = new_figure(WIDE_IN, 2.6)
    panels = figure.subplots(1, len(resources), squeeze=False)
    for axes, resource in zip(panels[0], resources, strict=True):
        _panel(axes, scores[scores["resource"] == resource], look)
        unit = scores.loc[scores["resource"] == resource, "unit"].iloc[0]
        axes.set_title(f"{resource_word(resource)}, {unit}", fontsize=FONT_PT, loc="left")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=len(labels), fontsize=SMALL_PT,
        frameon=False, labelcolor=GREY,
    )  # fmt: skip
    return save(figure, scores, folder, name)


def _panel(axes: Axes, table: pd.DataFrame, look: Look) -> None:
    """Draw a resource: a group for each fit and period, in it a bar for each hypothesis."""
    plain_axes(axes)
    fits = list(dict.fromkeys(table["fitted_to"]))
    groups = [
        (fit, p) for fit in fits for p in by_time(table.loc[table["fitted_to"] == fit, "period"])
    ]
    for place, name in enumerate(look.names):
        mine = table[table["hypothesis"] == name]
        x = np.array(
            [groups.index(g) for g in zip(mine["fitted_to"], mine["period"], strict=True)], float
        )
        x += 0.22 * (place - (len(look.names) - 1) / 2)
        spread = [mine["p50"] - mine["p05"], mine["p95"] - mine["p50"]]
        axes.errorbar(
            x, mine["p50"], spread, fmt=look.marker(name), color=look.colour(name), markersize=3.5,
            linewidth=1.1, capsize=2, label=name,
        )  # fmt: skip
        first = place == 0
        axes.plot(
            x, mine["reported"], "_", color=BLACK, markersize=9, markeredgewidth=1.6, zorder=5,
            label="reported" if first else None,
        )  # fmt: skip
    axes.set_xticks(
        range(len(groups)), [f"{p}\nfit to {fit}" for fit, p in groups], fontsize=SMALL_PT
    )
    quantity_axis(axes)


def score_table(found: pd.DataFrame) -> str:
    """Return the summary as Markdown: how the model does against naive forecasters."""
    rows = []
    for row in found.to_dict("records"):
        cells = {
            "fit to": row["fitted_to"],
            "predicted": row["period"],
            "": f"{resource_word(row['resource'])} ({row['unit']})",
            "model (CRPS)": thousands(row["crps"], 3),
        }
        for name in NAIVE:
            cells[NAIVE_WORD[name]] = thousands(row[f"error_{name}"], 3)
        better = row["crps_ratio"] <= 1.0
        cells["better"] = "model" if better else NAIVE_WORD[row["best_naive"]]
        rows.append(cells)
    return markdown_table(pd.DataFrame(rows))


def pit_table(scores: pd.DataFrame) -> str:
    """Return each prediction as Markdown; PIT outside of its bounds in bold."""
    rows = []
    for row in scores.to_dict("records"):
        inside = PIT_BOUNDS[0] <= row["pit"] <= PIT_BOUNDS[1]
        rows.append(
            {
                "fit to": row["fitted_to"],
                "predicted": row["period"],
                "": f"{resource_word(row['resource'])} ({row['unit']})",
                "reading": f"`{row['hypothesis']}`",
                "reported": thousands(row["reported"]),
                "median [90 %]": interval(row["p50"], row["p05"], row["p95"]),
                "PIT": f"{row['pit']:.2f}" if inside else f"**{row['pit']:.3f}**",
                "z": f"{row['z']:+.1f}",
            }
        )
    return markdown_table(pd.DataFrame(rows))


def tables(scores: pd.DataFrame, found: pd.DataFrame) -> dict[str, str]:
    """Return the tables of the page by their marks."""
    return {"scores": score_table(found), "predictions": pit_table(scores)}


def main() -> None:
    """Run and write, or check."""
    if "--check" not in sys.argv[1:]:
        for folder in packaged().values():
            register(folder)
        config = composed("calibrate", [f"federation={FEDERATION}"])
        setup = prepare_setup(config, OWN)
        compile_kernel()
        scores = main_tables(setup.case, setup.policies, Effort(jobs=setup.jobs))
        draw(scores, HOME, NAME)
        summary(scores, setup.case).to_csv(HOME / "summary.csv", index=False)
    text = PAGE.read_text(encoding="utf-8")
    shown = tables(pd.read_csv(HOME / f"{NAME}.csv"), pd.read_csv(HOME / "summary.csv"))
    current = with_tables(text, shown, PAGE)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(current, encoding="utf-8")
    elif current != text:
        sys.exit(f"{PAGE} does not show {HOME}: run `make backcast`")


if __name__ == "__main__":
    main()
