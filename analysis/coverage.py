"""Simulation-based calibration: do intervals cover as often as they say?

Points of the prior are played to the end of the horizon. Most runs teach the emulator; each of the
others is taken for the truth once: its figures, with reporting noise, are the data of a synthetic
report, from which its own parameters and its own last year have to be found again. If the machinery
is right, the rank of the truth among the draws is uniform.

Source: S. Talts et al., arXiv:1804.06788.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import stats

from analysis.calibration.batch import Batch, conditional_draws, sample_batch
from analysis.calibration.design import draw_design
from analysis.calibration.emulator import Emulator, fit_emulator
from analysis.calibration.waves import made_from
from analysis.chunks import run_in_chunks
from analysis.federations import Case
from analysis.fingerprint import digest
from analysis.hypotheses import all_targets, logged, targets
from analysis.outputs import TargetValues, accounted, subset
from analysis.quantities import KeepFiguresAndYear, quantities
from sim.policies.base import Policies
from sim.runner import RunSpec
from sim.units import FloatArray, IntArray

LEVELS = (0.5, 0.8, 0.9, 0.95)
BINS = 10  # of rank histograms
RANKS = tuple(f"ranks_{100 * k // BINS}_{100 * (k + 1) // BINS}" for k in range(BINS))  # percent
OFFSETS = (0.02, 0.1, 0.3, 1.0, 3.0)  # relative to the median of a quantity


@dataclass(frozen=True)
class Study:
    """How much work a study takes.

    Args:
        runs: Runs of each growth law.
        sets: Synthetic data sets over all laws and readings.
        chains: Chains for each.
        burn: Steps before the first draw.
        steps: Steps after them.
        thin: Every so many-th is kept.
        seed: Seed of everything.
        jobs: Processes.
    """

    runs: int = 3500
    sets: int = 600
    chains: int = 8
    burn: int = 150
    steps: int = 640
    thin: int = 16
    seed: int = 0
    jobs: int = -1


@dataclass(frozen=True, eq=False)
class Played:
    """Runs of a law.

    Args:
        law: The growth law.
        names: Its parameters.
        z: Points, shape (runs, parameters).
        outputs: Logged figures and, behind them, logged quantities; shape (runs, outputs).
        moving: Which of the federation's quantities they are.
    """

    law: str
    names: tuple[str, ...]
    z: FloatArray
    outputs: FloatArray
    moving: tuple[int, ...]


def play(
    case: Case, policies: Policies, study: Study, kept: Path, advance: Callable[[int], None]
) -> list[Played]:
    """Play points of the prior under each law, to the end of the horizon."""
    figures = tuple(all_targets(case.observations, case.hypotheses))
    known = np.array([t.value for t in figures])
    keep = KeepFiguresAndYear(
        TargetValues(figures, accounted(case.federation)), quantities(case.federation)
    )
    found = []
    for number, law in enumerate(law for law, w in case.hypotheses.laws.items() if w > 0.0):
        design = draw_design(case.priors, law, study.runs, study.seed + 7000 + number)
        federation = replace(case.federation, growth=replace(case.federation.growth, law=law))

        def specs(design=design, federation=federation, number=number) -> list[RunSpec]:  # type: ignore[no-untyped-def]
            seed = study.seed + 4242 + number
            values = [case.priors.values(design.names, z) for z in design.z]
            return [
                RunSpec(case.priors.apply(federation, v), policies, seed, i)  # type: ignore[arg-type]
                for i, v in enumerate(values)
            ]

        key = digest(made_from(case, policies), study.runs, study.seed, law)
        rows = run_in_chunks(
            specs, study.runs, keep, kept / f"coverage-{key}", study.jobs, advance
        )
        found.append(
            replace(_on_scale(design.names, design.z, np.array(rows), known), law=law)
        )
    return found


def _on_scale(names: Sequence[str], z: FloatArray, values: FloatArray, known: FloatArray) -> Played:
    """Return outputs on the scale of comparison.

    Figures are on the one on which they are fitted. Quantities have the offset, relative to their
    median, under which what the emulator leaves over is most like noise of one size: those that
    may be near zero a large one. (Ranks do not depend on it, the emulator does.) Quantities that
    never change are left out.
    """
    figures = np.asarray(logged(values[:, : len(known)], known))  # type: ignore[arg-type]
    rest = values[:, len(known) :]
    moves = rest.std(axis=0) > 0.0
    rest = rest[:, moves]
    scales = [rest + offset * np.median(rest, axis=0) for offset in OFFSETS]
    fits = []
    for scaled in scales:
        residual = fit_emulator(z, np.log(scaled)).held_back_rms
        fits.append(-np.log(residual) - np.log(scaled).mean(axis=0))  # with the Jacobian
    best = np.argmax(fits, axis=0)
    columns = [np.log(scales[k][:, i]) for i, k in enumerate(best)]
    outputs = np.column_stack([figures, *columns])
    return Played("", tuple(names), z, outputs, tuple(np.flatnonzero(moves).tolist()))


def ranks(case: Case, played: Sequence[Played], study: Study) -> pd.DataFrame:
    """Find the truth of synthetic reports again.

    Returns:
        A row for each data set and what is looked for: law, hypothesis, set, kind (parameter or
        quantity), name, rank (share of draws below the truth).
    """
    names = list(case.hypotheses.hypotheses)
    tasks = []
    for number, runs in enumerate(played):
        each = study.sets // len(played)
        order = np.random.Generator(np.random.Philox(study.seed + number)).permutation(len(runs.z))
        truths, taught = order[:each], order[each:]
        emulator = fit_emulator(runs.z[taught], runs.outputs[taught])
        for place, name in enumerate(names):
            mine = truths[place :: len(names)]
            seed = study.seed + 100 * number + place
            tasks.append(delayed(_ranks_of)(case, name, runs, emulator, mine, study, seed))
    parts = Parallel(n_jobs=study.jobs)(tasks)
    return pd.concat(parts, ignore_index=True)


def _ranks_of(
    case: Case, hypothesis: str, runs: Played, emulator: Emulator, truths: IntArray, study: Study,
    seed: int,
) -> pd.DataFrame:
    """Find the truth again under one law and one reading."""
    random = np.random.Generator(np.random.Philox(seed))
    figures = tuple(all_targets(case.observations, case.hypotheses))
    fitted = targets(case.observations, case.hypotheses.hypotheses[hypothesis])
    chosen = tuple(subset(figures, fitted))
    noise = np.array([case.hypotheses.noise_of(t) for t in fitted])
    seen = runs.outputs[np.ix_(truths, chosen)]
    seen = seen + noise * random.standard_normal(seen.shape)
    batch = Batch(emulator, chosen, seen, noise, len(runs.names))
    draws = sample_batch(batch, study.chains, study.burn, study.steps, study.thin, random)
    z = draws.reshape(len(truths), -1, len(runs.names))
    year = conditional_draws(batch, z, len(figures), random)
    found = (z < runs.z[truths][:, None, :]).mean(axis=1)
    years = (year < runs.outputs[truths, len(figures) :][:, None, :]).mean(axis=1)
    every = quantities(case.federation)
    wanted = [every[k].name for k in runs.moving]
    parts = [_tidy(found, list(runs.names), "parameter"), _tidy(years, wanted, "quantity")]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(law=runs.law, hypothesis=hypothesis)


def _tidy(found: FloatArray, names: list[str], kind: str) -> pd.DataFrame:
    sets = np.repeat(np.arange(len(found)), len(names))
    return pd.DataFrame(
        {"set": sets, "kind": kind, "name": np.tile(names, len(found)), "rank": found.ravel()}
    )


def coverage(table: pd.DataFrame) -> pd.DataFrame:
    """Summarise ranks: how often central intervals contain the truth, and whether ranks are even.

    Returns:
        kind, name, sets, coverage at each of `LEVELS`, the histogram of ranks (`RANKS`), chi2 and
        its p.
    """
    rows = []
    for (kind, name), mine in table.groupby(["kind", "name"], sort=False):
        rank = mine["rank"].to_numpy()
        inside = [float((np.abs(rank - 0.5) <= level / 2.0).mean()) for level in LEVELS]
        counts = np.histogram(rank, BINS, (0.0, 1.0))[0]
        chi2, p = stats.chisquare(counts)
        rows.append((kind, name, len(rank), *inside, *counts, float(chi2), float(p)))
    columns = ["kind", "name", "sets", *(f"covered_{int(100 * level)}" for level in LEVELS)]
    found = pd.DataFrame(rows, columns=[*columns, *RANKS, "chi2", "p"])
    return found.sort_values("kind", kind="stable", ignore_index=True)
