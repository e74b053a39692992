"""`aiaas compare`: play the variants of a scenario in the same worlds and set them side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf
from rich.table import Table

from analysis.calibration.shipped import Posterior, read_posterior
from analysis.calibration.waves import made_from
from analysis.chunks import run_in_chunks
from analysis.federations import Case
from analysis.fingerprint import digest
from analysis.progress import progress, stdout
from analysis.runfolder import kept_folder, open_run_folder
from analysis.scenarios import Change, Scenario, build_scenario, changed
from analysis.serving_figures import draw_growth
from analysis.serving_tables import KeepServing, compared
from analysis.storing import write_csv
from analysis.traces import with_traces
from analysis.verbs.common import Setup, at_least, one_of, prepare_setup
from analysis.verbs.run import changed_inputs, warn_if_changed
from analysis.worlds import specs_of
from sim.config import build_federation
from sim.runner import RunSpec

OWN = {
    "scenario": dict,
    "draws": int,
    "hypothesis": (str, type(None)),
    "posterior": (str, type(None)),
}
SHOWN = ("invocations", "cold_share", "replicas", "nodes", "wait_p95")


@dataclass(frozen=True, eq=False)
class Job:
    """A checked comparison; `variants` has variant, series and place on the axis of each run."""

    setup: Setup
    scenario: Scenario
    specs: list[RunSpec]
    variants: list[tuple[str, str, float]]
    source: str
    warned: tuple[str, ...]


def prepare(config: DictConfig) -> Job:
    """Check the configuration of a comparison.

    Raises:
        ConfigError, DataError: For the first thing that cannot be used.
    """
    setup = prepare_setup(config, OWN)
    scenario = build_scenario(setup.options["scenario"])
    count = at_least(setup.options, "draws", 2)
    posterior, draws = _draws(setup, count)
    content: dict[str, Any] = OmegaConf.to_container(config, resolve=True)["federation"]  # type: ignore[call-overload, index, assignment]
    content = {k: v for k, v in content.items() if k != "folder"}
    content = changed(content, scenario.base, "scenario.base")
    specs, variants = [], []
    for name, variant in scenario.variants.items():
        case = _case(setup.case, content, variant, f"scenario.variants.{name}")
        specs += specs_of(case, setup.policies, draws, 1, setup.seed)
        variants += [(name, variant.series, variant.at)] * len(draws)
    source = digest(made_from(setup.case, setup.policies), setup.seed, scenario, draws.to_csv())
    return Job(setup, scenario, specs, variants, source, changed_inputs(setup, posterior))


def _draws(setup: Setup, count: int) -> tuple[Posterior, pd.DataFrame]:
    """Return the posterior and the draws of the chosen hypothesis."""
    options, names = setup.options, list(setup.case.hypotheses.hypotheses)
    if options["hypothesis"] is None:
        options["hypothesis"] = names[0]
    hypothesis, where = one_of(options, "hypothesis", names), options["posterior"]
    posterior = read_posterior(Path(where) if where else setup.case.folder / "posterior")
    mine = posterior.draws[posterior.draws["hypothesis"] == hypothesis]
    return posterior, mine[mine["draw"] < count]


def _case(case: Case, content: dict[str, Any], variant: Change, where: str) -> Case:
    """Return the case of a variant."""
    federation = build_federation(changed(content, variant, where))
    return replace(case, federation=with_traces(federation, case.folder))


def execute(job: Job) -> Path:
    """Play all variants, write tables and the figure; returns their folder."""
    setup, scenario = job.setup, job.scenario
    warn_if_changed(job.warned)
    calendar = setup.case.federation.calendar
    months = range(setup.case.federation.reported_months + 1, calendar.months + 1)
    folder = open_run_folder("compare", setup.config, setup.inputs(), setup.seed)
    try:
        with progress("runs", len(job.specs)) as advance:
            kept = run_in_chunks(
                lambda: job.specs, len(job.specs), KeepServing(months),
                kept_folder() / f"comparison-{job.source}", setup.jobs, advance,
            )  # fmt: skip
        table = compared(kept, job.variants)
        write_csv(table, folder.path / "serving.csv")
        draw_growth(table, folder.path / "figures", "serving", scenario.axis)
    except BaseException as error:
        folder.finish("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
        raise
    folder.finish("finished", posterior_changed=job.warned)
    stdout().print(scenario.question, highlight=False)
    stdout().print(_shown(table, f"M{months[0]}-M{months[-1]}: median [90 %]"))
    stdout().print(f"expected: {scenario.expected}", highlight=False)
    print(f"results: {folder.path}")
    return folder.path


def _shown(table: pd.DataFrame, title: str) -> Table:
    """Lay out the comparison for the terminal: a row for each variant and cluster."""
    shown = Table(title=title)
    for name in ("variant", "cluster", "kind"):
        shown.add_column(name)
    for measure in SHOWN:
        unit = table.loc[table["measure"] == measure, "unit"].iloc[:1]
        shown.add_column(f"{measure} ({unit.item()})" if len(unit) else measure, justify="right")
    for (variant, cluster, kind), mine in table.groupby(["variant", "cluster", "kind"], sort=False):
        by_name = mine.set_index("measure")
        cells = [_cell(by_name.loc[m]) if m in by_name.index else "" for m in SHOWN]
        shown.add_row(str(variant), str(cluster), str(kind), *cells)
    return shown


def _cell(row: pd.Series) -> str:
    digits = 2 if row["unit"] == "share" else 0
    p50, p05, p95 = (f"{row[q]:,.{digits}f}" for q in ("p50", "p05", "p95"))
    return f"{p50} [{p05} - {p95}]"
