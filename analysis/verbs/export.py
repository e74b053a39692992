"""`aiaas export`: a simulated run in formats of real accounting."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig
from rich.table import Table

from analysis.accounting.ai4.snapshots import snapshots
from analysis.accounting.ai4.summaries import summaries
from analysis.accounting.exports.from_run import begin_of, horizon_of, jobs_of, ledger_of
from analysis.accounting.exports.snapshots import snapshots_of, write_snapshots
from analysis.accounting.exports.swf import Machine, in_whole_seconds, names_table, write_swf
from analysis.accounting.totals import monthly
from analysis.progress import progress, say, stdout
from analysis.runfolder import open_run_folder
from analysis.storing import inert_frame, write_csv, write_parquet, write_text
from analysis.verbs import run
from analysis.verbs.common import Setup, at_least, prepare_setup
from analysis.wording import slug, thousands
from sim.errors import ConfigError
from sim.runner import RunResult, run_once

OWN = {
    "replicate": int, "parameters": str, "hypothesis": (str, type(None)), "formats": list,
    "interval_h": (int, float), "namespace": (str, type(None)), "processors": list,
    "whole_seconds": bool,
}  # fmt: skip
FORMATS = ("ai4-accounting", "swf")
PROCESSORS = ("gpus", "cores")
LEFT_OUT = (
    "deployments as the allocated ledger has them; platform services and replicas that serve are "
    "no jobs and left out"
)
_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_KEYS = ["month", "user", "resource", "unit"]


@dataclass(frozen=True, eq=False)
class Job:
    """A checked export: the run of which the last replicate is exported."""

    setup: Setup
    played: run.Job


def prepare(config: DictConfig) -> Job:
    """Check the configuration of an export.

    Raises:
        ConfigError, DataError: For the first thing that cannot be used.
    """
    setup = prepare_setup(config, OWN)
    options = setup.options
    for key, known in (("formats", FORMATS), ("processors", PROCESSORS)):
        for name in options[key] or [None]:
            if name not in known:
                raise ConfigError("unknown choice", key, ", ".join(known), name, known)
    if not 0.1 <= options["interval_h"] <= 24.0:
        raise ConfigError("out of bounds", "interval_h", "0.1 to 24 h", options["interval_h"])
    if options["namespace"] is not None and not _NAME.fullmatch(options["namespace"]):
        expected = "letters, digits, and . _ - within"
        raise ConfigError("not a name", "namespace", expected, options["namespace"])
    return Job(setup, run.job_of(setup, at_least(options, "replicate", 0) + 1))


def execute(job: Job) -> Path:
    """Play the run and write it; returns the folder."""
    setup = job.setup
    run.warn_if_changed(job.played.changed)
    folder = open_run_folder("export", setup.config, setup.inputs(), setup.seed)
    try:
        with progress("run, files", 2) as advance:
            result = run_once(job.played.specs[-1])
            advance(1)
            said = _write(result, setup.options, folder.path)
            advance(1)
    except BaseException as error:
        folder.stop(error)
        raise
    folder.finish("finished", carries=LEFT_OUT, **said)
    say(f"aiaas: exported are {LEFT_OUT}")
    stdout().print(_table(said))
    print(f"results: {folder.path}")
    return folder.path


def _write(result: RunResult, options: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write all files; returns what is to be said of them."""
    jobs, until = jobs_of(result), horizon_of(result)
    totals = compared(jobs, result)
    write_parquet(jobs, folder / "jobs.parquet")
    write_csv(totals, folder / "totals.csv", float_format=None)
    said: dict[str, Any] = {"jobs": len(jobs), "total": _sums(totals)}
    if "ai4-accounting" in options["formats"]:
        said["snapshots"] = _write_snapshots(result, jobs, options, folder)
    if "swf" in options["formats"]:
        if options["whole_seconds"]:
            jobs = in_whole_seconds(jobs)
            totals = compared(jobs, result)
            write_csv(totals, folder / "totals_swf.csv", float_format=None)
            said["total_swf"] = _sums(totals)
        for processors in options["processors"]:
            path, machine = folder / f"{processors}.swf", _machine(result, processors)
            left_out = write_swf(jobs, path, processors, until, machine, begin_of(result))
            said[path.name] = {"jobs": len(jobs) - left_out, "left_out": left_out}
        write_csv(names_table(jobs), folder / "names.csv")
    return said


def _write_snapshots(
    result: RunResult, jobs: pd.DataFrame, options: dict[str, Any], folder: Path
) -> int:
    """Write snapshots, and the summaries that ai4-accounting makes of them."""
    namespace = options["namespace"] or result.spec.federation.name
    found = snapshots_of(jobs, horizon_of(result), options["interval_h"], namespace,
                         begin_of(result))  # fmt: skip
    count = write_snapshots(found, folder / "snapshots")
    written = sorted((folder / "snapshots").iterdir())
    summary = summaries(snapshots(written))[namespace].rounded()
    parts = {"timeseries": summary.timeseries, "users-agg": summary.users,
             "full-agg": summary.full}  # fmt: skip
    for part, table in parts.items():
        path = folder / "summaries" / f"{slug(namespace) or 'namespace'}-{part}.csv"
        write_text(inert_frame(table).to_csv(sep=";", index=False), path)
    return count


def compared(jobs: pd.DataFrame, result: RunResult) -> pd.DataFrame:
    """Return hours by month and user: of exported jobs, and of the run's own ledger.

    Returns:
        Columns month, user, resource, unit, quantity, ledger; `quantity` is what whoever integrates
        the export gets, `ledger` what the run has before times are rounded.
    """
    exported = monthly([jobs], horizon_of(result), by=("user",))
    both = exported.merge(
        ledger_of(result).rename(columns={"quantity": "ledger"}), on=_KEYS, how="outer"
    )
    both = both.fillna({"quantity": 0.0, "ledger": 0.0}).sort_values(_KEYS, ignore_index=True)
    return both[[*_KEYS, "quantity", "ledger"]]


def _sums(totals: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return exported hours, the run's, and the largest difference of a month and user."""
    off = (totals["quantity"] - totals["ledger"]).abs()
    return {
        str(unit): {
            "exported": float(mine["quantity"].sum()), "ledger": float(mine["ledger"].sum()),
            "largest_difference": float(off[mine.index].max()),
        }
        for unit, mine in totals.groupby("unit")
    }  # fmt: skip


def _machine(result: RunResult, processors: str) -> Machine:
    """Return the most nodes and processors of all pools at a time."""
    federation, log = result.spec.federation, result.logs.nodes
    size = {name: pool.gpus_per_node if processors == "gpus" else pool.cores_per_node
            for name, pool in federation.pools.items()}  # fmt: skip
    log = [held for held in log if size[held.owner]]
    nodes = np.array([held.quantity for held in log])
    edges = np.array([h.start_h for h in log] + [h.end_h for h in log])
    order = np.lexsort((np.repeat([1, 0], len(log)), edges))  # ends before starts
    per_node = np.array([size[held.owner] for held in log], dtype=np.float64)

    def most(amount: np.ndarray) -> float:
        return float(np.cumsum(np.concatenate([amount, -amount])[order]).max(initial=0.0))

    spec = result.spec
    name = f"aiaas-sim, federation {federation.name}, seed {spec.seed}, replicate {spec.replicate}"
    return Machine(name, int(most(nodes)), most(nodes * per_node))


def _table(said: dict[str, Any]) -> Table:
    table = Table(title=f"Exported: {said['jobs']:,} jobs")
    for name in ("unit", "exported", "ledger of the run", "largest difference of a user's month"):
        table.add_column(name, justify="left" if name == "unit" else "right")
    kinds = {"total": "", "total_swf": " (SWF, whole seconds)"}
    for kind, word in kinds.items():
        for unit, sums in said.get(kind, {}).items():
            exported, ledger = (thousands(sums[n], 10) for n in ("exported", "ledger"))
            table.add_row(unit + word, exported, ledger, f"{sums['largest_difference']:.2g}")
    return table
