"""`aiaas compare`: play the variants of a scenario in the same worlds and set them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig
from rich.table import Table

from analysis.calibration.shipped import Posterior, read_posterior
from analysis.fingerprint import digest
from analysis.frames import AVERAGED
from analysis.paired import experiment as playing
from analysis.paired.criteria import NAMES
from analysis.paired.decisions import deciding
from analysis.paired.experiment import Experiment, Rounds
from analysis.paired.figures import begins, draw_all
from analysis.paired.idleness import IdlePrior
from analysis.paired.keeping import ALL, WAIT_EDGES_H, Keep
from analysis.paired.playing import CALIBRATED, draws_of, idle_share
from analysis.paired.results import Results, describing
from analysis.paired.shown import said_of_precision, shown
from analysis.paired.totals import totals
from analysis.paired.variants import Playable, playable
from analysis.progress import say, stdout
from analysis.runfolder import open_run_folder
from analysis.scenarios import Scenario, build_scenario
from analysis.serving_figures import draw_growth
from analysis.serving_tables import compared
from analysis.storing import write_csv, write_parquet
from analysis.verbs.common import Setup, at_least, one_of, prepare_setup
from analysis.verbs.run import changed_inputs, warn_if_changed
from sim import MODEL_VERSION
from sim.config import build
from sim.errors import ConfigError

OWN = {
    "scenario": dict, "draws": int, "hypothesis": str, "posterior": (str, type(None)),
    "idle": list, "idle_priors": dict, "prices": list, "replicates": int, "most_replicates": int,
    "half_width": (float, int, type(None)),
}  # fmt: skip
SERVING = ("invocations", "cold_share", "replicas", "nodes", "wait_p95")


@dataclass(frozen=True, eq=False)
class Job:
    """A checked comparison; `moved` is the number of draws with values a policy refused."""

    setup: Setup
    scenario: Scenario
    experiment: Experiment
    prices: list[float]
    moved: int
    warned: tuple[str, ...]


def prepare(config: DictConfig) -> Job:
    """Check the configuration of a comparison.

    Raises:
        ConfigError, DataError: For the first thing that cannot be used.
    """
    setup = prepare_setup(config, OWN)
    case, options = setup.case, setup.options
    federation = case.federation
    months = range(federation.reported_months + 1, federation.calendar.months + 1)
    if not months:
        expected, given = "fewer than calendar.months", federation.reported_months
        raise ConfigError("nothing left to compare", "federation.reported_months", expected, given)
    scenario = build_scenario(options["scenario"])
    content = {k: v for k, v in setup.config["federation"].items() if k != "folder"}
    variants = playable(scenario, case, content, setup.config["policy"])
    priors, idle = _idle(options)
    posterior, hypotheses, chosen = _draws(setup)
    draws, moved = draws_of(chosen, variants, scenario, setup.seed)
    serving = any(v.series for v in scenario.variants.values())
    names = list(scenario.variants)
    experiment = Experiment(
        tuple(variants), names.index(scenario.baseline or names[0]), hypotheses, tuple(draws),
        idle, priors, *_effort(options), setup.seed, setup.jobs, Keep(months, serving),
        _source(setup, scenario, variants, chosen, serving),
    )  # fmt: skip
    prices = _prices(options)
    return Job(setup, scenario, experiment, prices, moved, changed_inputs(setup, posterior))


def _source(
    setup: Setup, scenario: Scenario, variants: Sequence[Playable], draws: pd.DataFrame,
    serving: bool,
) -> str:
    """Name all that the runs depend on but variant, prior of idleness and replicate."""
    played = [(v.name, v.case.federation, v.data, v.open) for v in variants]
    kept = (serving, NAMES, len(WAIT_EDGES_H))
    inputs = (setup.seed, setup.case.priors, scenario.uncertain, draws.to_csv())
    return digest(MODEL_VERSION, played, kept, inputs)


def _idle(options: dict[str, Any]) -> tuple[dict[str, IdlePrior], tuple[str, ...]]:
    """Return the priors of idleness by name, and which of them are played."""
    priors = {
        name: build(IdlePrior, of, f"idle_priors.{name}")
        for name, of in options["idle_priors"].items()
    }
    known = [*priors, CALIBRATED]
    for name in options["idle"]:
        if name not in known:
            raise ConfigError("unknown prior", "idle", ", ".join(known), str(name), known)
    if not options["idle"] or len(set(options["idle"])) < len(options["idle"]):
        raise ConfigError("nothing to play, or one twice", "idle", "different names", "")
    return priors, tuple(options["idle"])


def _effort(options: dict[str, Any]) -> tuple[int, int, float | None]:
    """Return the least and the most replicates, and the half-width that is asked for."""
    replicates = at_least(options, "replicates", 1)
    most, half_width = options["most_replicates"], options["half_width"]
    if half_width is not None and not half_width > 0.0:
        raise ConfigError("impossible half-width", "half_width", "above 0, or null", half_width)
    if half_width is not None and most < replicates:
        raise ConfigError("too small", "most_replicates", f"at least {replicates}", most)
    return replicates, max(most, replicates), half_width


def _prices(options: dict[str, Any]) -> list[float]:
    for price in options["prices"]:
        if isinstance(price, bool) or not isinstance(price, (int, float)) or not price >= 0.0:
            raise ConfigError("impossible price", "prices", "numbers of at least 0", price)
    return [float(price) for price in options["prices"]]


def _draws(setup: Setup) -> tuple[Posterior, dict[str, float], pd.DataFrame]:
    """Return the posterior, the chosen readings with their weights, and the chosen draws."""
    options, case = setup.options, setup.case
    names = list(case.hypotheses.hypotheses)
    hypothesis, where = one_of(options, "hypothesis", [*names, AVERAGED]), options["posterior"]
    wanted = names if hypothesis == AVERAGED else [hypothesis]
    count = at_least(options, "draws", 2 * len(wanted))
    posterior = read_posterior(Path(where) if where else case.folder / "posterior")
    shares = [len(part) for part in np.array_split(np.arange(count), len(wanted))]
    found = []
    for name, share in zip(wanted, shares, strict=True):
        mine = posterior.draws[posterior.draws["hypothesis"] == name]
        if len(mine) < share:
            expected = f"at most {len(mine)} of {name}: the posterior has no more"
            raise ConfigError("too many", "draws", expected, share)
        found.append(mine[mine["draw"] < share])
    weights = case.hypotheses.weights()
    total = sum(weights[n] for n in wanted)
    return posterior, {n: weights[n] / total for n in wanted}, pd.concat(found)


def execute(job: Job) -> Path:
    """Play all variants, write the tables; returns their folder."""
    setup, scenario = job.setup, job.scenario
    warn_if_changed(job.warned)
    if job.moved:
        say(
            f"aiaas: in {job.moved} of {len(job.experiment.draws)} draws a policy refuses drawn "
            "values together; they are moved towards the configured ones as little as needed"
        )
    folder = open_run_folder("compare", setup.config, setup.inputs(), setup.seed)
    try:
        rounds = playing.play(job.experiment)
        results = _results(job, rounds)
        tables = describing(results) | totals(results, setup.case)
        tables |= deciding(results, job.prices, job.experiment.half_width)
        for file, table in tables.items():
            write = write_parquet if file.endswith(".parquet") else write_csv
            write(table, folder.path / file)
        serving = _serving(job, rounds, folder.path)
        if serving is None:
            of, calendar = job.experiment, setup.case.federation.calendar
            since = begins(of.variants, of.baseline, calendar)
            draw_all(tables, folder.path / "figures", scenario.axis, since)
    except BaseException as error:
        folder.stop(error)
        raise
    precise = said_of_precision(tables)
    folder.finish(
        "finished", posterior_changed=job.warned, draws_moved=job.moved, precision=precise
    )
    console = stdout()
    console.print(scenario.question, highlight=False)
    for part in shown(results, tables) if serving is None else [serving]:
        console.print(part)
    if serving is None:
        console.print(precise, highlight=False, soft_wrap=True)
    console.print(f"expected: {scenario.expected}", highlight=False)
    print(f"results: {folder.path}")
    return folder.path


def _results(job: Job, rounds: Rounds) -> Results:
    of, case = job.experiment, job.setup.case
    calendar = case.federation.calendar
    shares = {
        idle: [idle_share(draw, idle, of.priors, of.seed) for draw in of.draws] for idle in of.idle
    }
    return Results(
        job.scenario, of.variants[of.baseline].name, of.hypotheses, of.draws,
        (ALL, *case.federation.sites), tuple(of.played(idle, rounds) for idle in of.idle),
        of.played(CALIBRATED, rounds), shares, np.diff(calendar.month_edges_h), of.keep.months,
    )  # fmt: skip


def _serving(job: Job, rounds: Rounds, folder: Path) -> Table | None:
    """Write the table and figure of serving if the scenario has curves of it."""
    of, months = job.experiment, job.experiment.keep.months
    if not of.keep.serving:
        return None
    worlds = [world for round_ in rounds[of.idle[0]] for world in round_]
    variants = list(job.scenario.variants.items())
    kept = [world[v].serving for v in range(len(variants)) for world in worlds]
    labels = [(name, v.series, v.at) for name, v in variants for _ in worlds]
    table = compared([frame for frame in kept if frame is not None], labels)
    write_csv(table, folder / "serving.csv")
    draw_growth(table, folder / "figures", "serving", job.scenario.axis)
    return _shown(table, f"M{months[0]}-M{months[-1]}: median [90 %]")


def _shown(table: pd.DataFrame, title: str) -> Table:
    """Lay out the comparison for the terminal: a row for each variant and cluster."""
    shown = Table(title=title)
    for name in ("variant", "cluster", "kind"):
        shown.add_column(name)
    for measure in SERVING:
        unit = table.loc[table["measure"] == measure, "unit"].iloc[:1]
        shown.add_column(f"{measure} ({unit.item()})" if len(unit) else measure, justify="right")
    for (variant, cluster, kind), mine in table.groupby(["variant", "cluster", "kind"], sort=False):
        by_name = mine.set_index("measure")
        cells = [_cell(by_name.loc[m]) if m in by_name.index else "" for m in SERVING]
        shown.add_row(str(variant), str(cluster), str(kind), *cells)
    return shown


def _cell(row: pd.Series) -> str:
    digits = 2 if row["unit"] == "share" else 0
    p50, p05, p95 = (f"{row[q]:,.{digits}f}" for q in ("p50", "p05", "p95"))
    return f"{p50} [{p05} - {p95}]"
