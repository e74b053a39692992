"""`aiaas run`: play replicates and compare them with the reported figures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from omegaconf import DictConfig
from rich.table import Table

from analysis.calibration.shipped import Posterior, differences, read_posterior
from analysis.calibration.waves import made_from
from analysis.comparison import compare
from analysis.fingerprint import digest
from analysis.hypotheses import targets
from analysis.outputs import TargetValues, accounted
from analysis.progress import progress, say, stdout
from analysis.runfolder import kept_folder, open_run_folder
from analysis.storing import write_atomically, write_csv, write_json, write_parquet
from analysis.verbs.common import Setup, at_least, one_of, prepare_setup, told_of
from analysis.worlds import specs_of
from sim.ensemble import run_many
from sim.runner import RunResult, RunSpec

OWN: dict[str, type | tuple[type, ...]] = {
    "replicates": int, "parameters": str, "hypothesis": (str, type(None)),
    "data": (str, type(None)),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Job:
    """A checked run; `source` names what its replicates depend on, but not how many they are."""

    setup: Setup
    specs: list[RunSpec]
    hypothesis: str
    source: str
    changed: tuple[str, ...]


def prepare(config: DictConfig) -> Job:
    """Check the configuration of a run.

    Raises:
        ConfigError, DataError: For the first thing that cannot be used.
    """
    setup = prepare_setup(config, OWN)
    return job_of(setup, at_least(setup.options, "replicates", 1))


def job_of(setup: Setup, replicates: int) -> Job:
    """Return a run of so many replicates.

    Raises:
        ConfigError, DataError: For parameters or a hypothesis that cannot be used.
    """
    names = list(setup.case.hypotheses.hypotheses)
    if setup.options["hypothesis"] is None:
        setup.options["hypothesis"] = names[0]
    hypothesis = one_of(setup.options, "hypothesis", names)
    inputs = (made_from(setup.case, setup.policies), setup.seed, hypothesis)
    if one_of(setup.options, "parameters", ["posterior", "configured"]) == "configured":
        base = RunSpec(setup.case.federation, setup.policies, setup.seed)
        specs = [replace(base, replicate=i) for i in range(replicates)]
        return Job(setup, specs, hypothesis, digest(*inputs), ())
    posterior = read_posterior(setup.case.folder / "posterior")
    draws = posterior.draws[posterior.draws["hypothesis"] == hypothesis]
    chosen = draws.iloc[np.arange(replicates) % len(draws)]
    specs = specs_of(setup.case, setup.policies, chosen, 1, setup.seed)
    source = digest(*inputs, draws.to_csv())
    return Job(setup, specs, hypothesis, source, changed_inputs(setup, posterior))


def changed_inputs(setup: Setup, posterior: Posterior) -> tuple[str, ...]:
    """Return what a posterior was made from and is different now."""
    return tuple(differences(posterior, made_from(setup.case, setup.policies)))


def warn_if_changed(changed: tuple[str, ...]) -> None:
    """Say on stderr that a posterior no longer matches its inputs."""
    if changed:
        say(
            f"aiaas: the posterior was made from other {', '.join(changed)}; its parameters are "
            "used as they are (`aiaas calibrate` makes a new one)"
        )


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept of a run; picklable."""

    values: TargetValues

    def __call__(self, result: RunResult) -> tuple:
        """Return tables, summary and the values of the fitted figures."""
        return (
            result.usage_frame(),
            result.deployments_frame(),
            result.serving_frame(),
            result.summary(),
            self.values(result),
        )


def execute(job: Job) -> Path:
    """Run and write the tables; returns their folder."""
    setup, case = job.setup, job.setup.case
    warn_if_changed(job.changed)
    figures = tuple(targets(case.observations, case.hypotheses.hypotheses[job.hypothesis]))
    folder = open_run_folder("run", setup.config, setup.inputs(), setup.seed)
    kept_file = kept_folder() / f"run-{job.source}.joblib"
    kept = _finished_before(kept_file)[: len(job.specs)]
    try:
        _play(job, Kept(TargetValues(figures, accounted(case.federation))), kept)
    except BaseException as error:
        write_atomically(kept_file, lambda path: joblib.dump(kept, path))
        _write(folder.path, kept)
        folder.stop(error, replicates_finished=len(kept))
        raise
    _write(folder.path, kept)
    kept_file.unlink(missing_ok=True)
    values = np.array([k[4] for k in kept])
    table = compare(job.hypothesis, figures, values, np.zeros(len(figures)))
    write_csv(table, folder.path / "comparison.csv")
    told = told_of(setup, folder.path)
    folder.finish(
        "finished", replicates_finished=len(kept), posterior_changed=job.changed, **told
    )
    stdout().print(comparison_table(table, len(kept)))
    print(f"results: {folder.path}")
    return folder.path


def _finished_before(kept_file: Path) -> list[tuple]:
    """Return the replicates that an interrupted run left, if there was one."""
    try:
        return list(joblib.load(kept_file))
    except FileNotFoundError:
        return []


def _play(job: Job, keep: Kept, kept: list[tuple]) -> None:
    """Play the replicates that `kept` lacks and append them to it."""
    with progress("replicates", len(job.specs)) as advance:
        advance(len(kept))
        for one in run_many(job.specs[len(kept) :], keep, job.setup.jobs):
            kept.append(one)
            advance(1)


def _write(folder: Path, kept: list[tuple]) -> None:
    """Write the tables of the replicates that finished."""
    if not kept:
        return
    for position, name in enumerate(("usage", "deployments", "serving")):
        frames = [k[position] for k in kept]
        write_parquet(pd.concat(frames, ignore_index=True), folder / f"{name}.parquet")
    write_json([k[3] for k in kept], folder / "summary.json")


def comparison_table(table: pd.DataFrame, runs: int) -> Table:
    """Lay out the comparison for the terminal."""
    hypothesis = table["hypothesis"].iloc[0] if len(table) else "-"
    shown = Table(title=f"Reported and simulated ({runs} runs), hypothesis {hypothesis}")
    for name in ("period", "site", "what", "ledger", "unit"):
        shown.add_column(name)
    for name in ("reported", "simulated median [90 %]", "error"):
        shown.add_column(name, justify="right")
    for row in table.itertuples():
        what = row.resource if row.metric == "usage" else row.metric
        shown.add_row(
            row.period,
            row.site,
            what,
            row.ledger,
            row.unit,
            f"{row.reported:,.0f}",
            f"{row.p50:,.0f} [{row.p05:,.0f} - {row.p95:,.0f}]" if runs > 1 else f"{row.p50:,.0f}",
            f"{100 * row.error_frac:+.0f} %",
        )
    return shown
