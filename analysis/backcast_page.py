"""Runs the backcast of a federation and writes its page: `make backcast`.

Writes the scores, what was missed and the figure to docs/backcast/, the tables of docs/backcast.md,
and what was missed beside the federation, where projections find it. Finished runs are kept, so
that an interrupted one goes on. `--check` only checks that the page is current.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from analysis.backcast import EFFORT, NAIVE, backcasts, widened
from analysis.cli import composed
from analysis.discrepancy import FILE, OWN
from analysis.federations import Case, packaged, register
from analysis.figure_style import (
    BLACK,
    FONT_PT,
    GREY,
    SMALL_PT,
    WIDE_IN,
    Look,
    new_figure,
    plain_axes,
    save,
)
from analysis.figure_tables import tick_text
from analysis.frames import by_time
from analysis.observations import ALL
from analysis.pages import with_tables
from analysis.progress import say
from analysis.report import markdown_table
from analysis.storing import write_csv
from analysis.verbs.calibrate import OWN as OPTIONS
from analysis.verbs.common import prepare_setup
from analysis.warmup import compile_kernel
from analysis.wording import interval, resource_word, thousands
from sim.errors import DataError
from sim.policies.base import Policies

PAGE, HOME, NAME = Path("docs") / "backcast.md", Path("docs") / "backcast", "scores"
FEDERATION = "imagine"
STATED, WIDE = "stated", "wide"  # priors of the calibration
WIDE_TOLERATED = 3.0  # poorer emulators than elsewhere: wide priors are a check; assumed
NAIVE_WORD = {"last": "last period again", "trend": "straight line", "doubling": "doubling"}
AHEAD_WORD = {1: "one", 2: "two"}
PIT_BOUNDS = (0.03, 0.97)
BROAD, THIN = 2.6, 0.9  # pt; bars of the mechanism alone, and with discrepancy
ABSENT = (
    "This run has none: it was made with the stated priors alone (`--stated`), or a calibration "
    "with priors that wide refused itself because its emulator is worse than the figures."
)
Row = Mapping[Hashable, Any]  # of a table
ENOUGH = 2  # resources for which the model is to be no worse than naive forecasters, per horizon


def summary(scores: pd.DataFrame, weights: Mapping[str, float]) -> pd.DataFrame:
    """Average the scores of totals over the readings.

    Args:
        scores: As `backcast.Outcome` has them, with a column priors.
        weights: Prior weight of each reading.

    Returns:
        priors, discrepancy, fitted_to, ahead, period, resource, unit, crps, the error of each naive
        forecaster, the best of them, crps over its error, and the least and greatest pit of any
        reading.
    """
    totals = scores[scores["site"] == ALL]
    weight_of = totals["hypothesis"].map(dict(weights))
    keys = ["priors", "discrepancy", "fitted_to", "ahead", "period", "resource", "unit"]
    rows = []
    for key, mine in totals.groupby(keys, sort=False):
        weight = weight_of[mine.index] / weight_of[mine.index].sum()
        means = {c: float((mine[c] * weight).sum()) for c in _scores()}
        rows.append((*key, *means.values(), *_best(means), mine["pit"].min(), mine["pit"].max()))
    columns = [*keys, *_scores(), "best_naive", "crps_ratio", "pit_least", "pit_greatest"]
    return pd.DataFrame(rows, columns=columns)


def horizons(found: pd.DataFrame) -> pd.DataFrame:
    """Average a summary over the months of origin: a row for each horizon and resource.

    A forecaster has one rule for all of them: the best naive one is the best of the averages.

    Returns:
        priors, discrepancy, ahead, resource, unit, origins (their number), then as `summary`.
    """
    keys = ["priors", "discrepancy", "ahead", "resource", "unit"]
    rows = []
    for key, mine in found.groupby(keys, sort=False):
        means = {c: float(mine[c].mean()) for c in _scores()}
        rows.append((*key, len(mine), *means.values(), *_best(means)))
    columns = [*keys, "origins", *_scores(), "best_naive", "crps_ratio"]
    return pd.DataFrame(rows, columns=columns).sort_values("ahead", kind="stable")


def _best(means: Mapping[str, float]) -> tuple[str, float]:
    """Return the best naive forecaster and the model's score over its error."""
    best = min(NAIVE, key=lambda n: means[f"error_{n}"])
    return best, means["crps"] / max(means[f"error_{best}"], 1e-9)


def _scores() -> list[str]:
    return ["crps", *(f"error_{n}" for n in NAIVE)]


def draw(scores: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw predictions of totals with their 90 % intervals beside what was reported.

    Args:
        scores: As for `summary`; all of it is kept beside the figure.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.
    """
    drawn = scores[(scores["site"] == ALL) & (scores["priors"] == STATED)]
    look = Look(list(dict.fromkeys(drawn["hypothesis"])))
    resources = list(dict.fromkeys(drawn["resource"]))
    figure = new_figure(WIDE_IN, 2.8)
    panels = figure.subplots(1, len(resources), squeeze=False)
    for axes, resource in zip(panels[0], resources, strict=True):
        _panel(axes, drawn[drawn["resource"] == resource], look)
        unit = drawn.loc[drawn["resource"] == resource, "unit"].iloc[0]
        axes.set_title(f"{resource_word(resource)}, {unit}", fontsize=FONT_PT, loc="left")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    for width, text in ((BROAD, "mechanism alone"), (THIN, "with discrepancy")):
        handles.append(Line2D([], [], color=GREY, linewidth=width))
        labels.append(text)
    figure.legend(
        handles, labels, loc="outside upper center", ncols=len(labels), fontsize=SMALL_PT,
        frameon=False, labelcolor=GREY,
    )  # fmt: skip
    return save(figure, scores, folder, name)


def _panel(axes: Axes, table: pd.DataFrame, look: Look) -> None:
    """Draw a resource: a group for each fit and period, in it two bars for each reading."""
    plain_axes(axes)
    fits = list(dict.fromkeys(table["fitted_to"]))
    groups = [
        (fit, p) for fit in fits for p in by_time(table.loc[table["fitted_to"] == fit, "period"])
    ]
    for place, name in enumerate(look.names):
        for moved, line in ((False, BROAD), (True, THIN)):
            mine = table[(table["hypothesis"] == name) & (table["discrepancy"] == moved)]
            pairs = zip(mine["fitted_to"], mine["period"], strict=True)
            x = np.array([groups.index(g) for g in pairs], float)
            x += 0.22 * (place - (len(look.names) - 1) / 2)
            spread = [mine["p50"] - mine["p05"], mine["p95"] - mine["p50"]]
            axes.errorbar(
                x, mine["p50"], spread, fmt=look.marker(name) if moved else "none",
                color=look.colour(name), ecolor=look.colour(name), markersize=3.5,
                linewidth=line, capsize=2 if moved else 0, alpha=1.0 if moved else 0.45,
                label=name if moved else None,
            )  # fmt: skip
        axes.plot(
            x, mine["reported"], "_", color=BLACK, markersize=9, markeredgewidth=1.6, zorder=5,
            label="reported" if place == 0 else None,
        )  # fmt: skip
    axes.set_xticks(
        range(len(groups)), [f"{p}\nfit to {fit}" for fit, p in groups], fontsize=SMALL_PT
    )
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(lambda value, _: tick_text(value))
    axes.yaxis.set_minor_formatter(lambda *_: "")


def _paired(table: pd.DataFrame, same: str, apart: tuple[object, object]) -> pd.DataFrame:
    """Put rows that differ in one column side by side; the second's columns end in `_other`."""
    keys = [
        c
        for c in ("priors", "discrepancy", "fitted_to", "ahead", "hypothesis", "period", "site",
                  "resource", "unit")
        if c in table and c != same
    ]  # fmt: skip
    one, other = (table[table[same] == value].drop(columns=same) for value in apart)
    return one.merge(other, on=keys, suffixes=("", "_other"))


def _prediction(row: Row) -> dict[str, str]:
    return {
        "fit to": row["fitted_to"],
        "predicted": row["period"],
        "": f"{resource_word(row['resource'])} ({row['unit']})",
    }


def _against_naive(row: Row) -> dict[str, str]:
    """Return the cells that hold a model's score against naive forecasters."""
    cells = {"model (CRPS)": thousands(row["crps"], 3)}
    cells["mechanism alone"] = thousands(row["crps_other"], 3)
    for name in NAIVE:
        cells[NAIVE_WORD[name]] = thousands(row[f"error_{name}"], 3)
    cells["better"] = "model" if row["crps_ratio"] <= 1.0 else NAIVE_WORD[row["best_naive"]]
    return cells


def horizon_table(found: pd.DataFrame) -> str:
    """Return scores averaged for each horizon and resource as Markdown."""
    pooled = _paired(horizons(found[found["priors"] == STATED]), "discrepancy", (True, False))
    rows = [
        {
            "half-years ahead": AHEAD_WORD.get(row["ahead"], str(row["ahead"])),
            "": f"{resource_word(row['resource'])} ({row['unit']})",
            "origins": str(row["origins"]),
            **_against_naive(row),
        }
        for row in pooled.to_dict("records")
    ]
    return markdown_table(pd.DataFrame(rows))


def score_table(found: pd.DataFrame) -> str:
    """Return the summary as Markdown: how the model does against naive forecasters."""
    pairs = _paired(found[found["priors"] == STATED], "discrepancy", (True, False))
    rows = [{**_prediction(row), **_against_naive(row)} for row in pairs.to_dict("records")]
    return markdown_table(pd.DataFrame(rows))


def _pit(*values: float) -> str:
    """Write the PIT of one prediction or the least and greatest of many; outside bounds in bold."""
    inside = all(PIT_BOUNDS[0] <= value <= PIT_BOUNDS[1] for value in values)
    text = " - ".join(f"{value:.{2 if inside else 3}f}" for value in values)
    return text if inside else f"**{text}**"


def pit_table(scores: pd.DataFrame) -> str:
    """Return each prediction of a total as Markdown."""
    mine = scores[(scores["site"] == ALL) & (scores["priors"] == STATED)]
    rows = []
    for row in _paired(mine, "discrepancy", (True, False)).to_dict("records"):
        rows.append(
            {
                **_prediction(row),
                "reading": f"`{row['hypothesis']}`",
                "reported": thousands(row["reported"]),
                "median [90 %]": interval(row["p50"], row["p05"], row["p95"]),
                "PIT": _pit(row["pit"]),
                "z": f"{row['z']:+.1f}",
                "CRPS": thousands(row["crps"], 3),
                "alone: 90 %": interval(row["p50_other"], row["p05_other"], row["p95_other"]),
                "PIT, alone": _pit(row["pit_other"]),
                "z, alone": f"{row['z_other']:+.1f}",
                "CRPS, alone": thousands(row["crps_other"], 3),
            }
        )
    return markdown_table(pd.DataFrame(rows))


def site_table(scores: pd.DataFrame) -> str:
    """Return the PIT of sites' figures, least and greatest of any reading, as Markdown."""
    mine = scores[(scores["site"] != ALL) & (scores["priors"] == STATED)]
    pairs = _paired(mine, "discrepancy", (True, False))
    rows = []
    keys = ["fitted_to", "period", "site", "resource", "unit"]
    for key, group in pairs.groupby(keys, sort=False):
        row: Row = dict(zip(keys, key, strict=True))
        rows.append(
            {
                **_prediction(row),
                "site": str(row["site"]),
                "reported": thousands(group["reported"].iloc[0]),
                "readings": str(len(group)),
                "PIT": _pit(group["pit"].min(), group["pit"].max()),
                "PIT, alone": _pit(group["pit_other"].min(), group["pit_other"].max()),
            }
        )
    return markdown_table(pd.DataFrame(rows))


def size_table(sizes: pd.DataFrame) -> str:
    """Return what was known of the walks' sizes, and when, as Markdown."""
    rows = []
    for month, mine in sizes.groupby("known_to", sort=False):
        cells = {"figures to": f"M{month}"}
        for row in mine.to_dict("records"):
            name = "of a site alone" if row["resource"] == OWN else resource_word(row["resource"])
            cells[name] = f"{row['p50']:.2f} [{row['p05']:.2f} - {row['p95']:.2f}]"
        rows.append(cells)
    return markdown_table(pd.DataFrame(rows))


def wide_table(found: pd.DataFrame) -> str:
    """Return scores with wide priors beside those with the stated ones as Markdown.

    Says so where there are none.
    """
    if WIDE not in set(found["priors"]):
        return ABSENT
    rows = []
    for moved, what in ((True, "with discrepancy"), (False, "mechanism alone")):
        mine = found[found["discrepancy"] == moved]
        for row in _paired(mine, "priors", (STATED, WIDE)).to_dict("records"):
            rows.append(
                {
                    **_prediction(row),
                    "prediction": what,
                    "CRPS": thousands(row["crps"], 3),
                    "CRPS, wide": thousands(row["crps_other"], 3),
                    "PIT": _pit(row["pit_least"], row["pit_greatest"]),
                    "PIT, wide": _pit(row["pit_least_other"], row["pit_greatest_other"]),
                }
            )
    return markdown_table(pd.DataFrame(rows))


def outcome(scores: pd.DataFrame, found: pd.DataFrame) -> str:
    """Say for each horizon whether the model did what was asked of it."""
    mine = scores[(scores["site"] == ALL) & (scores["priors"] == STATED) & scores["discrepancy"]]
    pooled = horizons(found[(found["priors"] == STATED) & found["discrepancy"]])
    lines = []
    for ahead in sorted(int(n) for n in mine["ahead"].unique()):
        group, here = mine[mine["ahead"] == ahead], pooled[pooled["ahead"] == ahead]
        good = [resource_word(r) for r in here.loc[here["crps_ratio"] <= 1.0, "resource"]]
        away = group[~group["pit"].between(*PIT_BOUNDS)]
        named = [
            f"{resource_word(r['resource'])} {r['period']} fitted to {r['fitted_to']} under "
            f"`{r['hypothesis']}` ({r['pit']:.3f})"
            for r in away.to_dict("records")
        ]
        met = not named and len(good) >= ENOUGH
        lines.append(
            f"- {AHEAD_WORD.get(ahead, str(ahead)).capitalize()} half-year{'s' * (ahead > 1)} "
            f"ahead: **{'met' if met else 'not met'}**. PIT inside in {len(group) - len(away)} of "
            f"{len(group)} predictions{'; outside: ' * bool(named)}{', '.join(named)}. CRPS no "
            f"worse than the best naive forecaster's error for {len(good)} of {len(here)} "
            f"resources{' (' * bool(good)}{', '.join(good)}{')' * bool(good)}."
        )
    return "\n".join(lines)


def tables(home: Path) -> dict[str, str]:
    """Return the blocks of the page by their marks, from the files beside it."""
    scores, found, sizes = (pd.read_csv(home / f"{n}.csv") for n in (NAME, "summary", "sizes"))
    return {
        "outcome": outcome(scores, found),
        "horizons": horizon_table(found),
        "scores": score_table(found),
        "predictions": pit_table(scores),
        "sites": site_table(scores),
        "sizes": size_table(sizes),
        "wide": wide_table(found),
    }


def wide_scores(case: Case, policies: Policies, jobs: int) -> pd.DataFrame:
    """Return scores of backcasts with wide priors; none if a calibration refuses itself."""
    try:
        lenient = replace(EFFORT, jobs=jobs, tolerated=WIDE_TOLERATED)
        return backcasts(widened(case), policies, lenient).scores.assign(priors=WIDE)
    except DataError as error:
        say(f"no backcast with wide priors: {error}")
        return pd.DataFrame()


def run(home: Path, only_stated: bool) -> None:
    """Backcast, and write what came out to a folder and beside the federation."""
    for folder in packaged().values():
        register(folder)
    config = composed("calibrate", [f"federation={FEDERATION}"])
    setup = prepare_setup(config, OPTIONS)  # type: ignore[arg-type]
    compile_kernel()
    case, jobs = setup.case, setup.jobs
    stated = backcasts(case, setup.policies, replace(EFFORT, jobs=jobs))
    wide = pd.DataFrame() if only_stated else wide_scores(case, setup.policies, jobs)
    parts = [stated.scores.assign(priors=STATED), *([] if wide.empty else [wide])]
    scores = pd.concat(parts, ignore_index=True)
    draw(scores, home, NAME)
    write_csv(summary(scores, case.hypotheses.weights()), home / "summary.csv")
    write_csv(stated.sizes, home / "sizes.csv")
    for place in (home, case.folder):
        write_csv(stated.residuals, place / FILE)


def main() -> None:
    """Run and write, or check; `--stated` leaves out the backcasts with wide priors."""
    check = "--check" in sys.argv[1:]
    if not check:
        run(HOME, "--stated" in sys.argv[1:])
    text = PAGE.read_text(encoding="utf-8")
    current = with_tables(text, tables(HOME), PAGE)
    if not check:
        PAGE.write_text(current, encoding="utf-8")
    elif current != text:
        sys.exit(f"{PAGE} does not show {HOME}: run `make backcast`")


if __name__ == "__main__":
    main()
