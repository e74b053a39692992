"""The runs a calibration learns from: waves that close in on the posterior."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from analysis.calibration.batch import Batch
from analysis.calibration.design import Design, design_specs, draw_design
from analysis.calibration.emulator import Emulator, fit_emulator
from analysis.calibration.posterior import Branch, sample_branch
from analysis.chunks import run_in_chunks
from analysis.federations import Case
from analysis.fingerprint import digest
from analysis.hypotheses import Target, all_targets, logged, targets
from analysis.outputs import FiguresAndBusyShare, TargetValues, accounted, subset
from analysis.records.as_figures import METRIC
from analysis.records.summary import made_by
from analysis.storing import write_parquet
from sim import MODEL_VERSION
from sim.policies.base import Inert, Policies
from sim.timeline import months_of
from sim.units import FloatArray

LATER_WAVES = 3  # waves of runs near the posterior; assumed
LATER_SHARE = 0.5  # share of all runs in them; assumed
LAW_FLOOR = 0.1  # least share of a hypothesis' later runs that goes to any growth law; assumed
LOOK_SHARE = 0.25  # share of the sampler's steps that a look between two waves takes; assumed
PAIRED_SHARE = 0.15  # share of a later wave's points that are played twice; assumed

Progress = Callable[[str, int], Any]
Branches = dict[tuple[str, str], Branch]


@dataclass(frozen=True)
class Settings:
    """How much work a calibration takes.

    Args:
        runs: Runs of the design over all growth laws.
        steps: Sampler steps.
        keep: Draws kept per hypothesis.
        seed: Seed of everything.
        jobs: Processes.
        tolerated: Error of an emulator, relative to a figure's own uncertainty, above which it is
            refused.
    """

    runs: int
    steps: int
    keep: int
    seed: int
    jobs: int
    tolerated: float = 2.0


def made_from(case: Case, policies: Policies) -> dict[str, str]:
    """Return hashes of data, priors, federation and model version a posterior is made from.

    Policies that never act are left out: a posterior stays valid when a kind of policy is added.
    """
    acting = [p for p in vars(policies).values() if not isinstance(p, Inert)]
    return {
        "observations": digest(case.observations.to_csv(index=False)),
        "hypotheses": digest(case.hypotheses),
        "priors": digest(case.priors),
        "federation": digest(case.federation),
        "policies": digest([(type(p).__name__, p) for p in acting]),
        "model_version": MODEL_VERSION,
    }


@dataclass(frozen=True, eq=False)
class Work:
    """What every step of a calibration needs.

    Args:
        case: The federation with its figures, hypotheses and priors.
        policies: In force.
        settings: How much work.
        kept: Folder in which finished runs are kept for a next time.
        progress: Context manager factory (what, total) that yields a function to advance it.
    """

    case: Case
    policies: Policies
    settings: Settings
    kept: Path
    progress: Progress

    @property
    def figures(self) -> tuple[Target, ...]:
        """Every figure of any hypothesis, in the order of the emulators' outputs."""
        return tuple(all_targets(self.case.observations, self.case.hypotheses))

    @property
    def laws(self) -> tuple[str, ...]:
        """The growth laws that have a prior weight."""
        return tuple(law for law, weight in self.case.hypotheses.laws.items() if weight > 0.0)

    @property
    def last_period(self) -> range:
        """The project months of the last reported period."""
        federation = self.case.federation
        return months_of(federation.calendar.periods(federation.reported_months)[-1])

    def folder(self, law: str, wave: int) -> Path:
        """Return where the runs of a wave are kept: named by everything they depend on."""
        source = made_from(self.case, self.policies)
        source.pop("observations")
        source.pop("hypotheses")
        figures = [replace(t, value=t.value if wave else 0.0) for t in self.figures]
        code = made_by() if any(t.metric == METRIC for t in self.figures) else ()
        more = (digest(self.case.hypotheses), self.settings.steps) if wave else ()
        kept = (figures, code, self.last_period)
        key = digest(source, self.settings.runs, self.settings.seed, law, kept, more)
        return self.kept / f"design-{law}-{wave}-{key}"

    def run(self, design: Design, wave: int, advance: Callable[[int], None]) -> FloatArray:
        """Do the runs of a design (what is missing of them) and return their logged outputs.

        Figures come first, then the busy share of held GPU hours in the last reported period.
        """
        case, settings = self.case, self.settings
        seed = settings.seed + 1000 * (wave + 1) + self.laws.index(design.law)
        rows = run_in_chunks(
            lambda: design_specs(case.federation, self.policies, case.priors, design, seed),
            len(design.z),
            FiguresAndBusyShare(
                TargetValues(self.figures, accounted(case.federation)), self.last_period
            ),
            self.folder(design.law, wave),
            settings.jobs,
            advance,
        )
        reported = np.array([t.value for t in self.figures])
        values = np.array(rows).reshape(-1, len(reported) + 1)
        return np.column_stack([logged(values[:, :-1], reported), values[:, -1]])


@dataclass(frozen=True, eq=False)
class Learned:
    """What has been run under one growth law so far.

    Args:
        design: All points, the ones near the posterior last.
        outputs: Logged outputs, shape (points, figures and the busy share).
        near: Number of points near the posterior.
    """

    design: Design
    outputs: FloatArray
    near: int = 0

    @cached_property
    def emulator(self) -> Emulator:
        """The emulator fitted to all runs."""
        return fit_emulator(self.design.z, self.outputs, self.near)

    def joined(self, design: Design, outputs: FloatArray) -> Learned:
        """Return this with more runs near the posterior."""
        return Learned(
            Design(design.law, design.names, np.concatenate([self.design.z, design.z])),
            np.concatenate([self.outputs, outputs]),
            self.near + len(design.z),
        )


def learn(work: Work) -> dict[str, Learned]:
    """Spread half of the runs over the prior; let the rest close in on the posterior.

    A fit to what is known says where the posterior lies under each hypothesis; the next wave runs
    there, and more of it under the growth law that explains the figures better. So the emulator
    grows good where it matters, and where it was wrong it is found out by the runs it asked for.

    Returns:
        What was learned, by growth law.
    """
    runs, laws = work.settings.runs, work.laws
    per_wave = int(runs * LATER_SHARE) // LATER_WAVES
    first = (runs - LATER_WAVES * per_wave) // len(laws)
    learned: dict[str, Learned] = {}
    with work.progress("runs spread over the prior", first * len(laws)) as advance:
        for law in laws:
            seed = work.settings.seed + laws.index(law)
            design = draw_design(work.case.priors, law, first, seed)
            learned[law] = Learned(design, work.run(design, 0, advance))
    look = max(int(work.settings.steps * LOOK_SHARE), 50)
    for wave in range(1, LATER_WAVES + 1):
        branches = sample(work, emulators_of(learned), look, f"look {wave}")
        designs = near_designs(work, wave, branches, per_wave)
        total = sum(len(d.z) for d in designs)
        with work.progress(f"runs near the posterior, wave {wave}", total) as advance:
            for design in designs:
                outputs = work.run(design, wave, advance)
                learned[design.law] = learned[design.law].joined(design, outputs)
    return learned


def emulators_of(learned: Mapping[str, Learned]) -> dict[str, Emulator]:
    """Return the emulators by growth law."""
    return {law: known.emulator for law, known in learned.items()}


def sample(work: Work, emulators: Mapping[str, Emulator], steps: int, what: str) -> Branches:
    """Sample every branch: each hypothesis under each law that has an emulator."""
    names = list(work.case.hypotheses.hypotheses)
    keys = [(name, law) for name in names for law in emulators]
    tasks = []
    for name, law in keys:
        batch = batch_of(work, name, law, emulators[law])
        seed = work.settings.seed + 10 * names.index(name) + work.laws.index(law)
        tasks.append(delayed(sample_branch)(batch, steps, seed))
    branches: Branches = {}
    with work.progress(what, len(keys)) as advance:
        found = Parallel(n_jobs=work.settings.jobs, return_as="generator")(tasks)
        for key, branch in zip(keys, found, strict=True):
            branches[key] = branch
            advance(1)
    return branches


def near_designs(work: Work, wave: int, branches: Branches, runs: int) -> list[Design]:
    """Return points, law by law, where the last look put the posterior of each hypothesis.

    Some points are played twice: what two replicates of a point differ by is no error of the
    emulator. Points are kept beside their runs, so that a calibration that goes on uses the very
    same ones.
    """
    weights = law_weights(work.case, branches)
    names = list(work.case.hypotheses.hypotheses)
    random = np.random.Generator(np.random.Philox(work.settings.seed + 5 + wave))
    picked: dict[str, list[FloatArray]] = {law: [] for law in work.laws}
    for number, name in enumerate(names):
        mine = weights[weights["hypothesis"] == name].set_index("law")["weight"]
        mine = mine.clip(lower=LAW_FLOOR)
        size = runs * (number + 1) // len(names) - runs * number // len(names)
        for law, share in shares(mine, size).items():
            z = branches[name, law].z
            twice = int(PAIRED_SHARE * share)
            points = z[random.integers(len(z), size=share - twice)]
            picked[law].append(np.concatenate([points, points[:twice]]))
    designs = []
    for law in work.laws:
        columns = list(work.case.priors.names(law))
        file = work.folder(law, wave) / "points.parquet"
        if not file.exists():
            write_parquet(pd.DataFrame(np.concatenate(picked[law]), columns=columns), file)
        designs.append(Design(law, tuple(columns), pd.read_parquet(file).to_numpy()))
    return designs


def batch_of(work: Work, hypothesis: str, law: str, emulator: Emulator) -> Batch:
    """Return the figures of a hypothesis, each used once, beside the emulator of a law."""
    hypotheses = work.case.hypotheses
    chosen = targets(work.case.observations, hypotheses.hypotheses[hypothesis])
    return Batch(
        emulator,
        tuple(subset(work.figures, chosen)),
        np.array([[float(logged(t.value, t.value)) for t in chosen]]),
        np.array([hypotheses.noise_of(t) for t in chosen]),
        len(work.case.priors.names(law)),
    )


def law_weights(case: Case, branches: Mapping[tuple[str, str], Branch]) -> pd.DataFrame:
    """Weigh the growth laws within each hypothesis by prior weight times evidence."""
    rows = []
    for name in case.hypotheses.hypotheses:
        mine = {law: b for (n, law), b in branches.items() if n == name}
        prior = np.array([case.hypotheses.laws[law] for law in mine])  # type: ignore[index]
        prior = prior / prior.sum()
        evidence = np.array([b.log_evidence for b in mine.values()])
        weight = prior * np.exp(evidence - evidence.max())
        weight /= weight.sum()
        for (law, b), p, w in zip(mine.items(), prior, weight, strict=True):
            rows.append((name, law, p, w, b.log_evidence, b.log_evidence_sd))
    columns = ["hypothesis", "law", "prior_weight", "weight", "log_evidence", "log_evidence_sd"]
    return pd.DataFrame(rows, columns=columns)


def shares(weights: pd.Series, total: int) -> dict[str, int]:
    """Split `total` draws by weights so that they add up (largest remainders)."""
    exact = weights / weights.sum() * total
    counts = exact.astype(int)
    for law in (exact - counts).sort_values(ascending=False).index[: total - counts.sum()]:
        counts[law] += 1
    return {str(law): int(count) for law, count in counts.items() if count}
