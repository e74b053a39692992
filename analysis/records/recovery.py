"""What records teach: parameters and quantities of synthetic data sets found again.

Points of the prior are played to the end of the horizon. Most runs teach the emulator, of figures,
of the statistics of a window's records and of what is to be found; each of the others is taken for
the truth once. Its figures, its records or both are the data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from analysis.calibration.batch import Batch, conditional_draws, sample_batch
from analysis.calibration.design import draw_design
from analysis.calibration.emulator import Emulator, fit_emulator
from analysis.calibration.priors import quantile_to_z
from analysis.calibration.waves import made_from
from analysis.chunks import run_in_chunks
from analysis.federations import Case
from analysis.fingerprint import digest, file_sha256
from analysis.hypotheses import all_targets, logged, targets
from analysis.outputs import TargetValues, accounted, busy_share, subset
from analysis.quantities import KeepFiguresAndYear, quantities
from analysis.records.reading import of_run
from analysis.records.rhythm import WEIGHTS, rhythm_of
from analysis.records.summary import NAMES, OUTSIDE, made_by, statistics
from sim.entities import Rhythm
from sim.policies.base import Policies
from sim.runner import RunResult, RunSpec
from sim.timeline import months_of
from sim.units import FloatArray

FIGURES, BARE, RECORDS, BOTH = (
    "figures",
    "records without utilisation",
    "records",
    "figures and records",
)
DATA = (FIGURES, BARE, RECORDS, BOTH)
INTERVAL = (0.05, 0.95)
NOISE = 0.02  # of a logged statistic, beside the model's own spread: clocks, failed starts; assumed
OFFSET = 0.02  # of a quantity, relative to its median, before its logarithm; assumed
IDLE = "idle share"
WANTED = 1.0 / 3.0  # of the prior's width: asked of the median over data sets


@dataclass(frozen=True)
class Study:
    """How much work a study takes.

    Args:
        runs: Runs.
        sets: How many of them are taken for the truth.
        window: Months of the records, by their label.
        idle: Months whose idle share is to be found.
        time_zone: Zone in which the records are looked at.
        country: Whose holidays are free.
        chains: Chains for each data set.
        burn: Steps before the first draw.
        steps: Steps after them.
        thin: Every so many-th is kept.
        seed: Seed of everything.
        jobs: Processes.
    """

    runs: int = 2200
    sets: int = 100
    window: str = "M13-M24"
    idle: str = "M19-M24"
    time_zone: str = "Europe/Madrid"
    country: str = "ES"
    chains: int = 4
    burn: int = 200
    steps: int = 800
    thin: int = 8
    seed: int = 0
    jobs: int = -1


@dataclass(frozen=True)
class KeepRecords:
    """Reduces a run to figures, quantities, statistics, a busy share and a rhythm; picklable.

    Args:
        figures_and_year: Figures and quantities of the last year.
        study: Says which months.
        rhythm: Says when the office opens and closes.
    """

    figures_and_year: KeepFiguresAndYear
    study: Study
    rhythm: Rhythm

    def __call__(self, result: RunResult) -> FloatArray:
        """Return all of them, one after the other."""
        study = self.study
        records = of_run(result, months_of(study.window), study.time_zone)
        found = statistics(records)
        rhythm = rhythm_of(records, self.rhythm, study.country)[["p05", "p50", "p95"]]
        return np.concatenate(
            [
                self.figures_and_year(result),
                [found.get(name, np.nan) for name in NAMES],
                [busy_share(result.usage, months_of(study.idle))],
                rhythm.to_numpy().ravel(),
            ]
        )


@dataclass(frozen=True, eq=False)
class Played:
    """Runs over the prior.

    Args:
        names: Parameters.
        z: Points, shape (runs, parameters).
        figures: Number of figures.
        sought: What is to be found behind figures and statistics: the idle share, quantities.
        offsets: What is added to each of them before its logarithm, shape (sought,).
        outputs: Logged figures, statistics, busy share and quantities; shape (runs, outputs).
        rhythm: Estimated weights (p05, p50, p95) of each run's records, shape (runs, weights, 3).
    """

    names: tuple[str, ...]
    z: FloatArray
    figures: int
    sought: tuple[str, ...]
    offsets: FloatArray
    outputs: FloatArray
    rhythm: FloatArray

    @property
    def first(self) -> int:
        """Position of the first output that is to be found."""
        return self.figures + len(NAMES)

    def in_units(self, logs: FloatArray) -> FloatArray:
        """Return what is to be found in its units, the idle share for the busy one."""
        values = np.exp(logs) - self.offsets
        values[..., 0] = 1.0 - values[..., 0]
        return values


def play(
    case: Case, policies: Policies, study: Study, kept: Path, advance: Callable[[int], None]
) -> Played:
    """Play points of the prior under the first growth law that has a weight."""
    law = next(law for law, weight in case.hypotheses.laws.items() if weight > 0.0)
    figures = tuple(all_targets(case.observations, case.hypotheses))
    every = quantities(case.federation)
    keep = KeepRecords(
        KeepFiguresAndYear(TargetValues(figures, accounted(case.federation)), every),
        study,
        case.federation.demand.rhythm,
    )
    design = draw_design(case.priors, law, study.runs, study.seed + 8000)
    federation = replace(case.federation, growth=replace(case.federation.growth, law=law))

    def specs() -> list[RunSpec]:
        values = [case.priors.values(design.names, z) for z in design.z]
        return [
            RunSpec(case.priors.apply(federation, v), policies, study.seed + 8484, i)  # type: ignore[arg-type]
            for i, v in enumerate(values)
        ]

    code = (made_by(), file_sha256(Path(__file__).with_name("rhythm.py")))
    told = (study.window, study.idle, study.time_zone, study.country, code)
    key = digest(made_from(case, policies), study.runs, study.seed, law, told)
    rows = run_in_chunks(specs, study.runs, keep, kept / f"records-{key}", study.jobs, advance)
    reported = np.array([t.value for t in figures])
    return _on_scale(design.names, design.z, np.array(rows), reported, [q.name for q in every])


def _on_scale(
    names: Sequence[str],
    z: FloatArray,
    values: FloatArray,
    reported: FloatArray,
    every: Sequence[str],
) -> Played:
    """Return outputs on the scale of comparison; runs without a deployment are left out."""
    ends = np.cumsum([len(reported), len(every), len(NAMES), 1])
    good = np.isfinite(values).all(axis=1)
    z, values = z[good], values[good]
    figures, year, told, busy, rhythm = np.split(values, ends, axis=1)
    moves = year.std(axis=0) > 0.0
    offsets = np.concatenate([[0.0], OFFSET * np.median(year[:, moves], axis=0)])
    outputs = np.column_stack(
        [
            logged(figures, reported),
            np.log(told),
            np.log(np.column_stack([busy, year[:, moves]]) + offsets),
        ]
    )
    sought = (IDLE, *(name for name, moving in zip(every, moves, strict=True) if moving))
    return Played(
        tuple(names), z, len(reported), sought, offsets, outputs,
        rhythm.reshape(len(values), len(WEIGHTS), 3),
    )  # fmt: skip


def split(played: Played, study: Study) -> tuple[np.ndarray, np.ndarray]:
    """Return which runs are taken for the truth and which teach."""
    random = np.random.Generator(np.random.Philox(study.seed))
    order = random.permutation(len(played.z))
    return order[: study.sets], order[study.sets :]


def recover(case: Case, played: Played, study: Study) -> pd.DataFrame:
    """Find parameters, idle share and quantities again, from each kind of data.

    Returns:
        A row for each data set, kind of data and name: set, data, kind (parameter, idle share or
        quantity), name, truth, p05, p50 and p95 in units, inside (whether the 90 % interval holds
        the truth), ratio (width of the interval over that of the prior, on the scale of the prior
        for parameters, in units for all else) and ratio_in_units.
    """
    truths, taught = split(played, study)
    emulator = fit_emulator(played.z[taught], played.outputs[taught])
    tasks = []
    for number, data in enumerate(DATA):
        for place, reading in enumerate(case.hypotheses.hypotheses):
            mine = truths[place :: len(case.hypotheses.hypotheses)]
            seed = study.seed + 10 * number + place
            tasks.append(
                delayed(_recovered)(case, played, emulator, data, reading, mine, study, seed)
            )
    parts: list[pd.DataFrame] = Parallel(n_jobs=study.jobs)(tasks)
    return pd.concat(parts, ignore_index=True)


def _recovered(
    case: Case, played: Played, emulator: Emulator, data: str, reading: str, truths: np.ndarray,
    study: Study, seed: int,
) -> pd.DataFrame:
    """Find the truths again from one kind of data, its figures read in one way."""
    random = np.random.Generator(np.random.Philox(seed))
    chosen, noise = observed(case, data, reading)
    seen = played.outputs[truths][:, list(chosen)]
    seen = seen + noise * random.standard_normal(seen.shape)
    batch = Batch(emulator, chosen, seen, noise, len(played.names))
    draws = sample_batch(batch, study.chains, study.burn, study.steps, study.thin, random)
    z = draws.reshape(len(truths), -1, len(played.names))
    rest = played.in_units(conditional_draws(batch, z, played.first, random))
    tables = [
        _parameters(case, played, z, truths),
        _sought(played, rest, truths),
    ]
    return pd.concat(tables, ignore_index=True).assign(data=data, reading=reading)


def observed(case: Case, data: str, reading: str) -> tuple[tuple[int, ...], FloatArray]:
    """Return which outputs a kind of data has, and the noise of their logarithms.

    Args:
        case: The federation.
        data: One of `DATA`.
        reading: How its figures are read.
    """
    figures = tuple(all_targets(case.observations, case.hypotheses))
    chosen: list[int] = []
    noise: list[float] = []
    if data in (FIGURES, BOTH):
        fitted = targets(case.observations, case.hypotheses.hypotheses[reading])
        chosen += subset(figures, fitted)
        noise += [case.hypotheses.noise_of(t) for t in fitted]
    if data != FIGURES:
        told = OUTSIDE if data == BARE else NAMES
        chosen += [len(figures) + NAMES.index(name) for name in told]
        noise += [NOISE] * len(told)
    return tuple(chosen), np.array(noise)


def _parameters(case: Case, played: Played, z: FloatArray, truths: np.ndarray) -> pd.DataFrame:
    found = np.quantile(z, (INTERVAL[0], 0.5, INTERVAL[1]), axis=1)
    prior = quantile_to_z(np.array(INTERVAL))
    ratio = (found[2] - found[0]) / (prior[1] - prior[0])
    priors = [case.priors.priors[name] for name in played.names]
    parts = []
    for place, (name, of) in enumerate(zip(played.names, priors, strict=True)):
        low, mid, high = (of.value(found[k][:, place]) for k in range(3))
        width = float(of.value(prior[1]) - of.value(prior[0]))
        truth = of.value(played.z[truths, place])
        parts.append(
            _rows("parameter", name, truths, truth, low, mid, high, ratio[:, place], width)
        )
    return pd.concat(parts, ignore_index=True)


def _sought(played: Played, draws: FloatArray, truths: np.ndarray) -> pd.DataFrame:
    known = played.in_units(played.outputs[:, played.first :])
    prior = np.quantile(known, INTERVAL, axis=0)
    found = np.quantile(draws, (INTERVAL[0], 0.5, INTERVAL[1]), axis=1)
    parts = []
    for place, name in enumerate(played.sought):
        low, mid, high = found[:, :, place]
        width = float(prior[1, place] - prior[0, place])
        kind = IDLE if name == IDLE else "quantity"
        truth = known[truths, place]
        parts.append(_rows(kind, name, truths, truth, low, mid, high, (high - low) / width, width))
    return pd.concat(parts, ignore_index=True)


def _rows(
    kind: str, name: str, truths: np.ndarray, truth: FloatArray, low: FloatArray, mid: FloatArray,
    high: FloatArray, ratio: FloatArray, width: float,
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "set": truths, "kind": kind, "name": name, "truth": truth, "p05": low, "p50": mid,
            "p95": high, "inside": (truth >= low) & (truth <= high), "ratio": ratio,
            "ratio_in_units": (high - low) / width,
        }
    )  # fmt: skip


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """Summarise `recover` over data sets.

    Returns:
        data, kind, name, sets, ratio (median), narrow (share of sets with a ratio of at most
        `WANTED`), ratio_in_units (median) and covered (share of sets whose interval holds the
        truth).
    """
    groups = found.groupby(["data", "kind", "name"], sort=False)
    table = groups.agg(
        sets=("set", "size"),
        ratio=("ratio", "median"),
        narrow=("ratio", lambda r: (r <= WANTED).mean()),
        ratio_in_units=("ratio_in_units", "median"),
        covered=("inside", "mean"),
    )
    return table.reset_index()


def rhythm_summary(case: Case, played: Played, study: Study) -> pd.DataFrame:
    """Say how well the rhythm of simulated records is that of requests.

    Returns:
        A row for each weight: weight, configured, p50 (median over the runs taken for the truth),
        inside (share of them whose 90 % interval holds the configured weight).
    """
    truths, _ = split(played, study)
    mine = played.rhythm[truths]
    configured = np.array([getattr(case.federation.demand.rhythm, name) for name in WEIGHTS])
    inside = (mine[:, :, 0] <= configured) & (configured <= mine[:, :, 2])
    return pd.DataFrame(
        {
            "weight": WEIGHTS, "configured": configured, "p50": np.median(mine[:, :, 1], axis=0),
            "inside": inside.mean(axis=0),
        }
    )  # fmt: skip
