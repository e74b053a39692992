"""`aiaas calibrate`: fit the parameters to the reported figures and keep posterior draws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from analysis.calibration.calibrate import LEFT, Calibrated, calibrate
from analysis.calibration.shipped import write_posterior
from analysis.calibration.waves import Settings, Work
from analysis.progress import progress, say, stdout
from analysis.runfolder import kept_folder, open_run_folder
from analysis.verbs.common import Setup, at_least, one_of, prepare_setup
from sim.errors import ConfigError

OWN = {"runs": int, "steps": int, "keep": int, "hypothesis": str, "ship": bool}


@dataclass(frozen=True, eq=False)
class Job:
    """A checked calibration."""

    setup: Setup
    settings: Settings
    hypothesis: str


def prepare(config: DictConfig) -> Job:
    """Check the configuration of a calibration.

    Raises:
        ConfigError, DataError: For the first thing that cannot be used.
    """
    setup = prepare_setup(config, OWN)
    options, names = setup.options, list(setup.case.hypotheses.hypotheses)
    hypothesis = one_of(options, "hypothesis", [*names, "averaged"])
    if options["ship"] and hypothesis != "averaged":
        raise ConfigError("cannot ship one hypothesis", "ship", "hypothesis=averaged", hypothesis)
    largest = max(len(setup.case.priors.names(law)) for law in setup.case.hypotheses.laws)
    laws = sum(weight > 0 for weight in setup.case.hypotheses.laws.values())
    settings = Settings(
        at_least(options, "runs", 4 * largest * laws),
        at_least(options, "steps", 50),
        at_least(options, "keep", 10),
        setup.seed,
        setup.jobs,
    )
    if hypothesis != "averaged":
        one = {hypothesis: setup.case.hypotheses.hypotheses[hypothesis]}
        case = replace(setup.case, hypotheses=replace(setup.case.hypotheses, hypotheses=one))
        setup = replace(setup, case=case)
    return Job(setup, settings, hypothesis)


def execute(job: Job) -> Path:
    """Calibrate and write the posterior; returns its folder."""
    setup = job.setup
    folder = open_run_folder("calibrate", setup.config, setup.inputs(), setup.seed)
    kept = kept_folder()
    try:
        found = calibrate(Work(setup.case, setup.policies, job.settings, kept, progress))
    except KeyboardInterrupt:
        folder.finish("interrupted")
        say(f"finished runs of the design are kept in {kept}")
        raise
    except Exception:
        folder.finish("failed")
        raise
    write_posterior(found, folder.path / "posterior")
    if setup.options["ship"]:
        write_posterior(found, setup.case.folder / "posterior")
        say(f"shipped to {setup.case.folder / 'posterior'}")
    folder.finish("finished")
    _show(found, stdout())
    print(f"results: {folder.path}")
    return folder.path


def _show(found: Calibrated, console: Console) -> None:
    table = Table(title="Posterior (sd relative to the prior's), by hypothesis")
    names = list(dict.fromkeys(found.parameters["hypothesis"]))
    table.add_column("parameter")
    table.add_column("unit")
    table.add_column("prior median", justify="right")
    for name in names:
        table.add_column(f"{name}: median (sd ratio)", justify="right")
    for parameter, rows in found.parameters.groupby("parameter", sort=False):
        cells = []
        for name in names:
            row = rows[rows["hypothesis"] == name]
            cells.append(
                f"{row['p50'].iloc[0]:.3g} ({row['ratio'].iloc[0]:.2f})" if len(row) else "-"
            )
        table.add_row(
            str(parameter), rows["unit"].iloc[0], f"{rows['prior_median'].iloc[0]:.3g}", *cells
        )
    console.print(table)
    left = found.parameters[found.parameters["verdict"] == LEFT]
    for name, rows in left.groupby("hypothesis", sort=False):
        console.print(
            f"{name}: the figures leave at their prior: {', '.join(rows['parameter'])}",
            highlight=False,
        )
    for row in found.laws.itertuples():
        console.print(
            f"{row.hypothesis}: growth law {row.law} weighs {row.weight:.2f} "
            f"(log evidence {row.log_evidence:.2f} ± {row.log_evidence_sd:.2f})",
            highlight=False,
        )
