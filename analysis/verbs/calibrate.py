"""`aiaas calibrate`: fit the parameters to the reported figures and keep posterior draws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from analysis.calibration.calibrate import LEFT, Calibrated, calibrate
from analysis.calibration.shipped import (
    Posterior,
    differences,
    read_posterior,
    write_posterior,
)
from analysis.calibration.update import Later, update
from analysis.calibration.waves import Settings, Work, made_from
from analysis.federations import Case
from analysis.progress import progress, say, stdout
from analysis.runfolder import kept_folder, open_run_folder
from analysis.storing import write_csv
from analysis.verbs.common import Setup, at_least, one_of, prepare_setup, told_of
from analysis.wording import interval, thousands
from sim.errors import ConfigError

TEXT = (str, type(None))
OWN: dict[str, type | tuple[type, ...]] = {
    "runs": int, "steps": int, "keep": int, "hypothesis": str, "ship": bool, "tolerated": float,
    "data": TEXT, "records": TEXT, "window": str, "posterior": TEXT, "surprises": str,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Job:
    """A checked calibration; `before` and `posterior` if it only updates an earlier one."""

    setup: Setup
    settings: Settings
    hypothesis: str
    before: Case | None = None
    posterior: Posterior | None = None


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
        options["tolerated"],
    )
    if hypothesis != "averaged":
        one = {hypothesis: setup.case.hypotheses.hypotheses[hypothesis]}
        case = replace(setup.case, hypotheses=replace(setup.case.hypotheses, hypotheses=one))
        setup = replace(setup, case=case)
    one_of(options, "surprises", ["refuse", "accept"])
    if not (options["data"] or options["records"]):
        return Job(setup, settings, hypothesis)
    plain = OmegaConf.merge(config, {"data": None, "records": None})
    before = prepare_setup(plain, OWN)  # type: ignore[arg-type]
    if setup.case.data is not None and not _is_updated(before, setup):
        return Job(setup, settings, hypothesis)  # nothing to update: the first one, or made with it
    if options["ship"] or hypothesis != "averaged":
        key = "ship" if options["ship"] else "hypothesis"
        raise ConfigError("cannot update", key, "its default, with data= or records=", options[key])
    return _updating(before, setup, settings)


def _updating(before: Setup, setup: Setup, settings: Settings) -> Job:
    """Return an update, if the posterior was made from all but the later figures."""
    posterior = read_posterior(_posterior_of(setup))
    changed = differences(posterior, made_from(before.case, before.policies))
    if changed:
        say(f"not an update, everything is fitted anew: changed since then: {', '.join(changed)}")
        return Job(setup, settings, "averaged")
    return Job(setup, settings, "averaged", before.case, posterior)


def _is_updated(before: Setup, setup: Setup) -> bool:
    """Return whether there is a posterior that was made from all but the data."""
    where = _posterior_of(setup)
    if setup.options["posterior"] is None and not where.is_dir():
        return False
    return not differences(read_posterior(where), made_from(before.case, before.policies))


def _posterior_of(setup: Setup) -> Path:
    """Return where the posterior is that would be updated."""
    where = setup.options["posterior"]
    return Path(where) if where else setup.case.folder / "posterior"


def execute(job: Job) -> Path:
    """Calibrate and write the posterior; returns its folder."""
    setup = job.setup
    folder = open_run_folder("calibrate", setup.config, setup.inputs(), setup.seed)
    kept = kept_folder()
    work = Work(setup.case, setup.policies, job.settings, kept, progress)
    try:
        if job.before is None or job.posterior is None:
            found, told = calibrate(work), None
        else:
            accept = setup.options["surprises"] == "accept"
            found, told = update(Later(work, job.before, job.posterior, accept))
    except BaseException as error:
        folder.stop(error)
        if isinstance(error, KeyboardInterrupt):
            say(f"finished runs of the design are kept in {kept}")
        raise
    write_posterior(found, folder.path / "posterior")
    if told is not None:
        write_csv(told, folder.path / "predictive.csv")
    if setup.options["ship"]:
        write_posterior(found, setup.case.folder / "posterior")
        say(f"shipped to {setup.case.folder / 'posterior'}")
    folder.finish("finished", **told_of(setup, folder.path))
    for warning in found.warnings:
        say(warning)
    _show(found, stdout())
    if told is not None:
        _show_told(told, stdout())
    print(f"results: {folder.path}")
    return folder.path


def _show_told(told: pd.DataFrame, console: Console) -> None:
    """Show later figures beside what was predicted for them."""
    table = Table(title="Later figures, and what the posterior before had predicted")
    for column in ("figure", "unit", "reported", "hypothesis", "predicted [90 %]", "probability"):
        table.add_column(column)
    for row in told.to_dict("records"):
        table.add_row(
            row["figure"], row["unit"], thousands(row["reported"], 3), row["hypothesis"],
            interval(row["p50"], row["p05"], row["p95"]), f"{row['probability']:.2g}",
        )  # fmt: skip
    console.print(table)


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
