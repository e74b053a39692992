"""`aiaas project`: project the months to come from posterior draws."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig
from rich.table import Table

from analysis import projection
from analysis.calibration.shipped import Posterior, read_posterior
from analysis.calibration.waves import made_from
from analysis.certainty import certainty
from analysis.chunks import run_in_chunks
from analysis.corrections import conditioned, diverged, sizes_of
from analysis.delivery import deliver
from analysis.fingerprint import digest
from analysis.frames import AVERAGED
from analysis.outputs import TargetValues, accounted
from analysis.progress import progress, stdout
from analysis.runfolder import kept_folder, open_run_folder
from analysis.verbs.common import Setup, at_least, one_of, prepare_setup, told_of
from analysis.verbs.run import changed_inputs, warn_if_changed
from analysis.worlds import specs_of
from sim.errors import ConfigError
from sim.runner import RunSpec

TEXT = (str, type(None))
OWN: dict[str, type | tuple[type, ...]] = {
    "draws": int, "replicates": int, "hypothesis": str, "posterior": TEXT,
    "data": TEXT, "records": TEXT, "window": str,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Job:
    """A checked projection."""

    setup: Setup
    posterior: Posterior
    draws: pd.DataFrame
    specs: list[RunSpec]
    changed: tuple[str, ...]


def prepare(config: DictConfig) -> Job:
    """Check the configuration of a projection.

    Raises:
        ConfigError, DataError: For the first thing that cannot be used.
    """
    setup = prepare_setup(config, OWN)
    case, options = setup.case, setup.options
    if case.federation.reported_months >= case.federation.calendar.months:
        raise ConfigError(
            "nothing left to project",
            "federation.reported_months",
            "fewer than calendar.months",
            case.federation.reported_months,
        )
    names = list(case.hypotheses.hypotheses)
    chosen = one_of(options, "hypothesis", [*names, AVERAGED])
    where = options["posterior"]
    posterior = read_posterior(Path(where) if where else case.folder / "posterior")
    wanted = names if chosen == AVERAGED else [chosen]
    count, replicates = at_least(options, "draws", 2), at_least(options, "replicates", 1)
    missing = [n for n in wanted if n not in set(posterior.draws["hypothesis"])]
    if missing:
        raise ConfigError(
            "the posterior has no draws of it",
            "hypothesis",
            "a posterior made with it",
            missing[0],
            posterior.draws["hypothesis"].unique(),
        )
    draws = posterior.draws[posterior.draws["draw"] < count]
    draws = pd.concat([draws[draws["hypothesis"] == n] for n in wanted], ignore_index=True)
    specs = specs_of(case, setup.policies, draws, replicates, setup.seed)
    return Job(setup, posterior, draws, specs, changed_inputs(setup, posterior))


def execute(job: Job) -> Path:
    """Run the ensemble and write tables, figures and the report; returns their folder."""
    setup = job.setup
    warn_if_changed(job.changed)
    folder = open_run_folder("project", setup.config, setup.inputs(), setup.seed)
    try:
        told = conditioned(_play(job), setup.case, setup.seed)
        sizes = sizes_of(setup.case)
        moved = diverged(told, setup.case, sizes, setup.seed + 1)
        answer = deliver(
            setup.case, job.posterior, moved, folder.path, setup.seed,
            certainty(setup.case, job.posterior, job.draws, told, moved, setup.seed),
        )
    except BaseException as error:
        folder.stop(error)
        raise
    told = told_of(setup, folder.path)
    if setup.case.data is not None:
        with (folder.path / "report.md").open("a", encoding="utf-8") as page:
            page.write("\n" + setup.case.data.page())
    folder.finish(
        "finished", posterior_changed=job.changed, posterior=job.posterior.made_from, **told
    )
    console = stdout()
    console.print(_shown(answer.summary))
    for heading, sentences in answer.words.sections().items():
        console.print(f"\n[bold]{heading}[/bold]")
        for sentence in sentences:
            console.print(f"- {sentence}", highlight=False, markup=False)
    print(f"results: {folder.path}")
    print(f"read first: {folder.path / 'report.md'}")
    return folder.path


def _play(job: Job) -> projection.Ensemble:
    figures_ = projection.figures_of(job.setup.case)
    keep = projection.Keep(TargetValues(figures_, accounted(job.setup.case.federation)))
    source = made_from(job.setup.case, job.setup.policies)
    name = digest(source, job.setup.seed, len(job.specs), figures_, job.draws.to_csv())
    folder = kept_folder() / f"projection-{name}"
    with progress("runs", len(job.specs)) as advance:
        kept = run_in_chunks(
            lambda: job.specs, len(job.specs), keep, folder, job.setup.jobs, advance
        )
    each = job.setup.options["replicates"]
    played = job.draws.loc[job.draws.index.repeat(each)]
    return projection.Ensemble(
        kept, list(played["hypothesis"]), figures_, played.index.to_numpy(), list(played["law"])
    )


def _shown(summary: pd.DataFrame) -> Table:
    hypotheses = list(dict.fromkeys(summary["hypothesis"]))
    period = summary["period"].iloc[-1]
    table = Table(title=f"{period}, ledger reported: median [90 %]")
    table.add_column("site")
    table.add_column("unit")
    for name in hypotheses:
        table.add_column(name, justify="right")
    rows = summary[(summary["period"] == period) & (summary["ledger"] == "reported")]
    for (site, unit), mine in rows.groupby(["site", "unit"], sort=False):
        if not (mine["p95"] > 0.0).any():
            continue
        by_name = mine.set_index("hypothesis")
        table.add_row(
            str(site),
            str(unit),
            *(
                f"{by_name.loc[n, 'p50']:,.0f} [{by_name.loc[n, 'p05']:,.0f} - "
                f"{by_name.loc[n, 'p95']:,.0f}]"
                for n in hypotheses
            ),
        )
    return table
