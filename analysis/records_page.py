"""Runs the study of deployment records and writes its page: `make records`.

Writes tables and figures to docs/records/ and the tables of docs/records.md. Finished runs are
kept, so that an interrupted study goes on. `--check` only checks that the page is current.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.calibration.waves import made_from
from analysis.cli import composed
from analysis.federations import packaged, register
from analysis.figure_style import (
    BLACK,
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
from analysis.fingerprint import digest
from analysis.pages import with_tables
from analysis.progress import progress
from analysis.records.helios import by_hour, durations, read_jobs, rhythms
from analysis.records.recovery import (
    BARE,
    BOTH,
    DATA,
    FIGURES,
    IDLE,
    RECORDS,
    WANTED,
    Study,
    play,
    recover,
    rhythm_summary,
    summary,
)
from analysis.records.rhythm import WEIGHTS
from analysis.records.starts import rhythm_by_step
from analysis.records.summary import STATISTICS
from analysis.report import markdown_table
from analysis.runfolder import kept_folder
from analysis.storing import write_csv
from analysis.verbs.calibrate import OWN
from analysis.verbs.common import prepare_setup
from analysis.warmup import compile_kernel
from analysis.wording import thousands

PAGE, HOME = Path("docs") / "records.md", Path("docs") / "records"
WIDTHS, HOURS = "widths", "starts_by_hour"
TABLES = ("rhythm_of_runs", "rhythm_by_step", "helios_durations", "helios_rhythm")
FEDERATION = "imagine"
COVERED = 0.85  # asked of the 90 % interval
JUDGED = ("hold_time", IDLE)
LOOKS = {
    FIGURES: (GREY, "o"),
    BARE: (COLOURS[4], MARKERS[2]),
    RECORDS: (COLOURS[0], MARKERS[0]),
    BOTH: (COLOURS[1], MARKERS[1]),
}


def draw_widths(table: pd.DataFrame, folder: Path) -> Path:
    """Draw how much of the prior's width each kind of data leaves.

    Args:
        table: As `recovery.summary` returns it.
        folder: Where PNG and CSV go.
    """
    parameter = table["kind"] == "parameter"
    most = max(table.loc[parameter, "name"].nunique(), table.loc[~parameter, "name"].nunique())
    figure = new_figure(WIDE_IN, 0.9 + 0.15 * most)
    panels = figure.subplots(1, 2)
    parts = {
        "parameters": table[parameter],
        "idle share and quantities of the last year": table[~parameter],
    }
    for axes, (title, mine) in zip(panels, parts.items(), strict=True):
        _widths_panel(axes, mine)
        axes.set_title(title, fontsize=FONT_PT, loc="left")
        axes.set_xlabel("90 % interval over that of the prior", fontsize=SMALL_PT)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper right", ncols=len(labels), fontsize=SMALL_PT,
        frameon=False, labelcolor=GREY,
    )  # fmt: skip
    return save(figure, table, folder, WIDTHS)


def _widths_panel(axes: Axes, table: pd.DataFrame) -> None:
    plain_axes(axes)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.5)
    names = list(dict.fromkeys(table["name"]))
    ratio = table.pivot(index="name", columns="data", values="ratio").loc[names]
    for place, name in enumerate(names):
        row = ratio.loc[name]
        axes.plot([row.min(), row.max()], [place, place], color="#D0D0D0", linewidth=0.8, zorder=1)
    for data in DATA:
        colour, marker = LOOKS[data]
        axes.plot(
            ratio[data], np.arange(len(names)), marker, color=colour, markersize=3.2, label=data
        )
    axes.axvline(WANTED, color=BLACK, linewidth=0.6, linestyle=LINES[2])
    axes.set_yticks(np.arange(len(names)), names, fontsize=SMALL_PT)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0.0, 1.05)


def draw_hours(table: pd.DataFrame, folder: Path) -> Path:
    """Draw in which hours jobs start, beside the model's configured rhythm.

    Args:
        table: As `helios.by_hour` returns it.
        folder: Where PNG and CSV go.
    """
    figure = new_figure(WIDE_IN, 2.3)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (day, mine) in zip(panels, table.groupby("day", sort=False), strict=True):
        plain_axes(axes)
        edges = np.append(mine["hour"], mine["hour"].max() + 1)
        axes.stairs(
            mine["jobs"], edges, color=COLOURS[0], linewidth=1.2, label="jobs of the Venus cluster"
        )
        axes.stairs(
            mine["model"], edges, color=COLOURS[1], linewidth=1.2, linestyle=LINES[0],
            label="model, as configured",
        )  # fmt: skip
        axes.set_title(str(day), fontsize=FONT_PT, loc="left")
        axes.set_xlabel("local hour", fontsize=SMALL_PT)
        axes.set_xticks(range(0, 25, 4))
        axes.set_ylim(bottom=0.0)
    panels[0].set_ylabel("starts an hour, office hours = 1", fontsize=SMALL_PT)
    panels[1].legend(fontsize=SMALL_PT, frameon=False, labelcolor=GREY)
    return save(figure, table, folder, HOURS)


def _row_of(table: pd.DataFrame, data: str, name: str) -> pd.Series:
    return table[(table["data"] == data) & (table["name"] == name)].iloc[0]


def outcome(table: pd.DataFrame) -> str:
    """Say whether records do what is asked of them."""
    parts = []
    for data in (RECORDS, BARE):
        words = []
        for name in JUDGED:
            row = _row_of(table, data, name)
            good = row["ratio"] <= WANTED and row["covered"] >= COVERED
            words.append(
                f"{'passes' if good else '**fails**'} for {_name(name)} (median "
                f"{row['ratio']:.2f} of the prior's width, at most a third in "
                f"{row['narrow']:.0%} of data sets, truth inside in {row['covered']:.0%})"
            )
        label = "With utilisation it" if data == RECORDS else "Without utilisation it"
        parts.append(f"{label} {' and '.join(words)}.")
    first = table.iloc[0]
    head = (
        f"{first['sets']} synthetic data sets, {first['date']}, made from `{first['made_from']}`. "
        f"Asked: the 90 % interval is at most a third as wide as the prior's (median over data "
        f"sets) and holds the truth in at least {COVERED:.0%} of them. "
    )
    mean = {data: table.loc[table["data"] == data, "covered"].mean() for data in DATA}
    tail = (
        f" Over all parameters and quantities, a 90 % interval holds the truth in "
        f"{mean[RECORDS]:.1%} with records, {mean[FIGURES]:.1%} with figures and {mean[BOTH]:.1%} "
        f"with both."
    )
    return head + " ".join(parts) + tail


def _name(name: str) -> str:
    return f"the {name}" if name == IDLE else f"`{name}`"


def recovery_table(table: pd.DataFrame) -> str:
    """Return what records alone find again, as Markdown."""
    rows = []
    for (kind, name), mine in table[table["kind"] != "quantity"].groupby(
        ["kind", "name"], sort=False
    ):
        cells = {"": kind if kind == IDLE else f"`{name}`"}
        for data, label in ((RECORDS, "with"), (BARE, "without")):
            row = mine[mine["data"] == data].iloc[0]
            cells[f"{label} utilisation: width left"] = f"{row['ratio']:.2f}"
            cells[f"at most a third ({label})"] = f"{row['narrow']:.0%}"
            covered = f"{row['covered']:.0%}"
            cells[f"truth inside ({label})"] = (
                covered if row["covered"] >= COVERED else f"**{covered}**"
            )
        rows.append(cells)
    return markdown_table(pd.DataFrame(rows))


def value_table(table: pd.DataFrame) -> str:
    """Return how much narrower figures become with records, as Markdown."""
    rows = []
    for name in dict.fromkeys(table["name"]):
        alone, both = _row_of(table, FIGURES, name), _row_of(table, BOTH, name)
        plain = f"`{name}`" if alone["kind"] == "parameter" else str(name)
        rows.append(
            {
                "": plain,
                "figures: width left": f"{alone['ratio']:.2f}",
                "figures and records": f"{both['ratio']:.2f}",
                "narrower by": f"{round(1.0 - both['ratio'] / alone['ratio'], 2) + 0.0:.0%}",
                "truth inside (figures)": f"{alone['covered']:.0%}",
                "truth inside (both)": f"{both['covered']:.0%}",
            }
        )
    return markdown_table(pd.DataFrame(rows))


def statistics_table() -> str:
    """Return the statistics as Markdown."""
    rows = [
        {
            "statistic": f"`{s.name}`", "what it is": s.says, "unit": s.unit,
            "needs utilisation": "yes" if s.inside else "",
        }
        for s in STATISTICS
    ]  # fmt: skip
    return markdown_table(pd.DataFrame(rows))


def durations_table(table: pd.DataFrame) -> str:
    """Return the durations as Markdown, a row for each kind of work."""
    rows = []
    for of, mine in table.groupby("of", sort=False):
        cells = {"h": str(of)}
        for row in mine.to_dict("records"):
            text = thousands(row["p50"], 2)
            if row["p95"] > row["p05"]:
                text += f" [{thousands(row['p05'], 2)} - {thousands(row['p95'], 2)}]"
            cells[f"{row['probability']:.0%}"] = text
        rows.append(cells)
    return markdown_table(pd.DataFrame(rows))


def rhythm_table(helios: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Return the rhythm of jobs beside the configured one, as Markdown."""
    rows = []
    for weight, mine in helios.groupby("weight", sort=False):
        known = runs[runs["weight"] == weight].iloc[0]
        cells = {"": f"`{weight}`", "model": f"{known['configured']:.2f}"}
        for row in mine.to_dict("records"):
            gpus = {"all": "all jobs", "1": "1 GPU", "more": "more GPUs"}[str(row["gpus"])]
            shift = f", clock {row['shift_h']:+.0f} h" if row["shift_h"] else ""
            cells[gpus + shift] = f"{row['p50']:.2f} [{row['p05']:.2f} - {row['p95']:.2f}]"
        rows.append(cells)
    return markdown_table(pd.DataFrame(rows))


def runs_table(table: pd.DataFrame) -> str:
    """Return what the rhythm of simulated records is, as Markdown."""
    rows = [
        {
            "": f"`{row['weight']}`",
            "requests (configured)": f"{row['configured']:.2f}",
            "starts in records (median of runs)": f"{row['p50']:.2f}",
            "configured inside the 90 % interval": f"{row['inside']:.0%}",
        }
        for row in table.to_dict("records")
    ]
    return markdown_table(pd.DataFrame(rows))


def steps_table(table: pd.DataFrame) -> str:
    """Return what stands between requests and starts, as Markdown."""
    rows = []
    for row in table.to_dict("records"):
        cells = {"": str(row["step"])}
        cells |= {f"`{name}`": f"{row[name]:.2f}" for name in WEIGHTS}
        rows.append(cells | {"starts that waited": f"{row['waited']:.0%}"})
    return markdown_table(pd.DataFrame(rows))


def tables(widths: pd.DataFrame, read: dict[str, pd.DataFrame]) -> dict[str, str]:
    """Return the blocks of the page by their marks."""
    return {
        "outcome": outcome(widths),
        "recovery": recovery_table(widths),
        "value": value_table(widths),
        "statistics": statistics_table(),
        "rhythm of runs": runs_table(read["rhythm_of_runs"]),
        "rhythm by step": steps_table(read["rhythm_by_step"]),
        "durations": durations_table(read["helios_durations"]),
        "rhythm": rhythm_table(read["helios_rhythm"], read["rhythm_of_runs"]),
    }


def work() -> None:
    """Run the study and write tables and figures."""
    for folder in packaged().values():
        register(folder)
    setup = prepare_setup(composed("calibrate", [f"federation={FEDERATION}"]), OWN)
    compile_kernel()
    study, case = Study(jobs=setup.jobs), setup.case
    with progress("runs over the prior", study.runs) as advance:
        played = play(case, setup.policies, study, kept_folder(), advance)
    widths = summary(recover(case, played, study))
    widths["date"] = datetime.now(UTC).date().isoformat()
    widths["made_from"] = digest(made_from(case, setup.policies), study)
    draw_widths(widths, HOME)
    write_csv(rhythm_summary(case, played, study), HOME / "rhythm_of_runs.csv")
    steps = rhythm_by_step(case.federation, setup.policies, study)
    write_csv(steps, HOME / "rhythm_by_step.csv")
    jobs, rhythm = read_jobs(), case.federation.demand.rhythm
    write_csv(durations(jobs, case, played), HOME / "helios_durations.csv")
    write_csv(rhythms(jobs, rhythm), HOME / "helios_rhythm.csv")
    draw_hours(by_hour(jobs, rhythm), HOME)


def main() -> None:
    """Run and write, or check."""
    check = "--check" in sys.argv[1:]
    if not check:
        work()
    text = PAGE.read_text(encoding="utf-8")
    read = {name: pd.read_csv(HOME / f"{name}.csv") for name in TABLES}
    current = with_tables(text, tables(pd.read_csv(HOME / f"{WIDTHS}.csv"), read), PAGE)
    if not check:
        PAGE.write_text(current, encoding="utf-8")
    elif current != text:
        sys.exit(f"{PAGE} does not show {HOME}: run `make records`")


if __name__ == "__main__":
    main()
