"""The design: runs at points spread over the prior, kept on disk so that none is done twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import qmc

from analysis.calibration.priors import Priors, quantile_to_z
from analysis.outputs import TargetValues
from analysis.storing import write_parquet
from sim.ensemble import run_many
from sim.entities import Federation
from sim.policies.base import Policies
from sim.runner import RunSpec
from sim.units import FloatArray

CHUNK = 60  # runs kept at a time: about five seconds of work


@dataclass(frozen=True, eq=False)
class Design:
    """Points of the prior under one growth law.

    Args:
        law: The growth law.
        names: The parameters.
        z: Points, shape (runs, len(names)).
    """

    law: str
    names: tuple[str, ...]
    z: FloatArray


def draw_design(priors: Priors, law: str, runs: int, seed: int) -> Design:
    """Spread points over the prior by a scrambled Sobol sequence.

    Args:
        priors: The priors.
        law: Growth law.
        runs: Number of points.
        seed: Seed of the scrambling.
    """
    names = priors.names(law)
    power = max(int(np.ceil(np.log2(max(runs, 2)))), 1)
    points = qmc.Sobol(len(names), scramble=True, rng=seed).random_base2(power)[:runs]
    return Design(law, names, quantile_to_z(points))


def design_specs(
    federation: Federation, policies: Policies, priors: Priors, design: Design, seed: int
) -> list[RunSpec]:
    """Return one run per point, each its own replicate, over the reported months only."""
    months = replace(federation.calendar, months=federation.reported_months)
    shorter = replace(federation, calendar=months)
    under_law = replace(shorter, growth=replace(shorter.growth, law=design.law))
    specs = []
    for i, z in enumerate(design.z):
        values = {k: float(v) for k, v in priors.values(design.names, z).items()}
        specs.append(RunSpec(priors.apply(under_law, values), policies, seed, i))
    return specs


def run_design(
    specs: Callable[[], Sequence[RunSpec]],
    runs: int,
    values: TargetValues,
    folder: Path,
    jobs: int,
    advance: Callable[[int], None],
) -> FloatArray:
    """Run a design, skipping what `folder` has already.

    Args:
        specs: Makes the runs; called only if any is missing.
        runs: Their number.
        values: What is computed of a run.
        folder: Where chunks of finished runs are kept.
        jobs: Processes.
        advance: Called with the number of runs finished since the last call.

    Returns:
        Simulated values, shape (runs, targets).
    """
    columns = [f"{t.id}:{t.ledger}" for t in values.targets]
    chunks = [range(a, min(a + CHUNK, runs)) for a in range(0, runs, CHUNK)]
    files = [folder / f"runs-{c.start:05d}.parquet" for c in chunks]
    missing = [(c, f) for c, f in zip(chunks, files, strict=True) if not f.exists()]
    advance(runs - sum(len(c) for c, _ in missing))
    if missing:
        all_specs = specs()
        wanted = [all_specs[i] for chunk, _ in missing for i in chunk]
        results = run_many(wanted, values, jobs, batch=4)
        for chunk, file in missing:
            rows = []
            for _ in chunk:
                rows.append(next(results))
                advance(1)
            write_parquet(pd.DataFrame(rows, columns=columns), file)
    return np.concatenate([pd.read_parquet(f)[columns].to_numpy() for f in files])
