"""Calibration from design to posterior draws, branch by branch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from analysis.calibration.design import Design, design_specs, draw_design
from analysis.calibration.emulator import Emulator, fit_emulator
from analysis.calibration.posterior import Branch, LogPosterior, sample_branch
from analysis.chunks import run_in_chunks
from analysis.federations import Case
from analysis.fingerprint import digest
from analysis.hypotheses import Target, all_targets, logged, targets
from analysis.outputs import TargetValues, accounted, subset
from analysis.storing import write_parquet
from sim import MODEL_VERSION
from sim.policies.base import Policies


@dataclass(frozen=True)
class Settings:
    """How much work a calibration takes.

    Args:
        runs: Runs of the design over all growth laws.
        steps: Sampler steps.
        keep: Draws kept per hypothesis.
        seed: Seed of everything.
        jobs: Processes.
    """

    runs: int
    steps: int
    keep: int
    seed: int
    jobs: int


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What a calibration leaves; tables as they are written.

    Args:
        draws: Posterior draws: hypothesis, law, draw, then one column a parameter.
        parameters: Prior to posterior: hypothesis, parameter, unit, medians, sd on the z scale.
        laws: hypothesis, law, prior_weight, weight, log_evidence, log_evidence_sd.
        emulator: law, figure, ledger, held_back_rms, held_back_r2, noise.
        sampler: hypothesis, law, acceptance, autocorrelation, effective.
        made_from: Hashes of what the posterior was made from.
    """

    draws: pd.DataFrame
    parameters: pd.DataFrame
    laws: pd.DataFrame
    emulator: pd.DataFrame
    sampler: pd.DataFrame
    made_from: dict[str, Any]


def made_from(case: Case, policies: Policies) -> dict[str, str]:
    """Return hashes of data, priors, federation and model version a posterior is made from."""
    return {
        "observations": digest(case.observations.to_csv(index=False)),
        "hypotheses": digest(case.hypotheses),
        "priors": digest(case.priors),
        "federation": digest(case.federation),
        "policies": digest([(type(p).__name__, p) for p in vars(policies).values()]),
        "model_version": MODEL_VERSION,
    }


@dataclass(frozen=True, eq=False)
class _Work:
    """What every step of a calibration needs."""

    case: Case
    policies: Policies
    settings: Settings
    kept: Path
    figures: tuple[Target, ...]
    laws: tuple[str, ...]

    def folder(self, law: str, wave: int) -> Path:
        """Return where the runs of a design are kept: named by everything they depend on."""
        source = made_from(self.case, self.policies)
        source.pop("observations")
        source.pop("hypotheses")
        key = digest(
            source, self.settings.runs, self.settings.seed, law,
            [(t.id, t.ledger, t.value if wave > 1 else 0.0) for t in self.figures],
        )
        return self.kept / f"design-{law}-{wave}-{key}"

    def logged(self, law: str, wave: int, design: Design, advance: Callable[[int], None]) -> Any:
        """Run a design (what is missing of it) and return its logged outputs."""
        seed = self.settings.seed + 1000 * wave + self.laws.index(law)
        rows = run_in_chunks(
            lambda: design_specs(
                self.case.federation, self.policies, self.case.priors, design, seed
            ),
            len(design.z), TargetValues(self.figures, accounted(self.case.federation)),
            self.folder(law, wave), self.settings.jobs, advance,
        )
        return logged(np.array(rows), np.array([t.value for t in self.figures]))


def calibrate(
    case: Case,
    policies: Policies,
    settings: Settings,
    kept: Path,
    progress: Callable[[str, int], Any],
) -> Calibrated:
    """Run the design in two waves, fit the emulators, sample every branch.

    Two thirds of the runs are spread over the prior. A first fit to them says where the posterior
    lies; the last third is run there, so that the emulator is good where it matters.

    Args:
        case: The federation with its figures, hypotheses and priors.
        policies: In force.
        settings: How much work.
        kept: Folder in which finished runs are kept for a next time.
        progress: Context manager factory (what, total) that yields a function to advance it.
    """
    figures = tuple(all_targets(case.observations, case.hypotheses))
    laws = tuple(law for law, weight in case.hypotheses.laws.items() if weight > 0.0)
    work = _Work(case, policies, settings, kept, figures, laws)
    second = settings.runs // 3 // len(laws)
    first = settings.runs // len(laws) - second
    prior: dict[str, tuple[Design, Any]] = {}
    with progress("runs spread over the prior", first * len(laws)) as advance:
        for law in laws:
            design = draw_design(case.priors, law, first, settings.seed + laws.index(law))
            prior[law] = (design, work.logged(law, 1, design, advance))
    guesses = {law: (design, fit_emulator(design.z, y)) for law, (design, y) in prior.items()}
    rough = _sample(work, guesses, max(settings.steps // 4, 50), progress, "first look")
    fitted: dict[str, tuple[Design, Emulator]] = {}
    with progress("runs near the posterior", second * len(laws)) as advance:
        for law, (design, y) in prior.items():
            near = _near(work, law, design, rough, second)
            z = np.concatenate([design.z, near.z])
            outputs = np.concatenate([y, work.logged(law, 2, near, advance)])
            fitted[law] = (near, fit_emulator(z, outputs, second))
    branches = _sample(work, fitted, settings.steps, progress, "branches sampled")
    return _collect(case, policies, settings, figures, fitted, branches)


def _sample(
    work: _Work,
    fitted: Mapping[str, tuple[Design, Emulator]],
    steps: int,
    progress: Callable[[str, int], Any],
    what: str,
) -> dict[tuple[str, str], Branch]:
    """Sample every branch: each hypothesis under each law."""
    names = list(work.case.hypotheses.hypotheses)
    keys = [(name, law) for name in names for law in work.laws]
    tasks = []
    for name, law in keys:
        design, emulator = fitted[law]
        density = log_posterior(work.case, name, work.figures, emulator, len(design.names))
        seed = work.settings.seed + 10 * names.index(name) + work.laws.index(law)
        tasks.append(delayed(sample_branch)(density, steps, seed))
    branches: dict[tuple[str, str], Branch] = {}
    with progress(what, len(keys)) as advance:
        found = Parallel(n_jobs=work.settings.jobs, return_as="generator")(tasks)
        for key, branch in zip(keys, found, strict=True):
            branches[key] = branch
            advance(1)
    return branches


def _near(
    work: _Work, law: str, design: Design, rough: Mapping[tuple[str, str], Branch], runs: int
) -> Design:
    """Return points where the first look put the posterior, under each hypothesis in turn.

    They are kept beside their runs, so that a calibration that goes on uses the very same ones.
    """
    file = work.folder(law, 2) / "points.parquet"
    if not file.exists():
        random = np.random.Generator(np.random.Philox(work.settings.seed + 5))
        chains = [branch.z for (_, of), branch in rough.items() if of == law]
        z = np.array([chains[i % len(chains)][random.integers(len(chains[i % len(chains)]))]
                      for i in range(runs)])
        write_parquet(pd.DataFrame(z, columns=list(design.names)), file)
    return Design(law, design.names, pd.read_parquet(file).to_numpy())


def log_posterior(
    case: Case,
    hypothesis: str,
    figures: tuple[Target, ...],
    emulator: Emulator,
    parameters: int,
) -> LogPosterior:
    """Return the log posterior of a hypothesis: its own figures, each used once."""
    chosen = targets(case.observations, case.hypotheses.hypotheses[hypothesis])
    return LogPosterior(
        emulator,
        tuple(subset(figures, chosen)),
        np.array([float(logged(t.value, t.value)) for t in chosen]),
        np.array([case.hypotheses.noise_of(t) for t in chosen]),
        parameters,
    )


def _collect(
    case: Case,
    policies: Policies,
    settings: Settings,
    figures: tuple[Target, ...],
    fitted: Mapping[str, tuple[Design, Emulator]],
    branches: Mapping[tuple[str, str], Branch],
) -> Calibrated:
    laws = law_weights(case, branches)
    draws, parameters = [], []
    random = np.random.Generator(np.random.Philox(settings.seed + 77))
    for name in case.hypotheses.hypotheses:
        weight = laws[laws["hypothesis"] == name].set_index("law")["weight"]
        parts = []
        for law, share in _shares(weight, settings.keep).items():
            z = branches[name, law].z
            picked = z[random.choice(len(z), share, replace=len(z) < share)]
            values = case.priors.values(fitted[law][0].names, picked)
            parts.append((law, fitted[law][0].names, picked))
            draws.append(pd.DataFrame({"hypothesis": name, "law": law, **values}))
        parameters.append(_prior_to_posterior(case, name, parts))
    table = pd.concat(draws, ignore_index=True)
    table = table.groupby("hypothesis", sort=False, group_keys=False)[list(table.columns)].apply(
        lambda part: part.sample(frac=1.0, random_state=settings.seed)
    )
    table.insert(2, "draw", table.groupby("hypothesis", sort=False).cumcount())
    return Calibrated(
        draws=table.reset_index(drop=True),
        parameters=pd.concat(parameters, ignore_index=True),
        laws=laws,
        emulator=_emulator_table(case, figures, fitted),
        sampler=pd.DataFrame(
            [
                (n, law, b.acceptance, b.autocorrelation, b.effective)
                for (n, law), b in branches.items()
            ],
            columns=["hypothesis", "law", "acceptance", "autocorrelation", "effective"],
        ),
        made_from={
            **made_from(case, policies),
            "runs": settings.runs,
            "steps": settings.steps,
            "seed": settings.seed,
            "date": datetime.now(UTC).date().isoformat(),
        },
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


def _shares(weights: pd.Series, total: int) -> dict[str, int]:
    """Split `total` draws by weights so that they add up (largest remainders)."""
    exact = weights / weights.sum() * total
    counts = exact.astype(int)
    for law in (exact - counts).sort_values(ascending=False).index[: total - counts.sum()]:
        counts[law] += 1
    return {str(law): int(count) for law, count in counts.items() if count}


def _prior_to_posterior(
    case: Case, hypothesis: str, parts: list[tuple[str, tuple[str, ...], np.ndarray]]
) -> pd.DataFrame:
    rows = []
    for name, prior in case.priors.priors.items():
        z = [p[:, names.index(name)] for _, names, p in parts if name in names]
        if not z:
            continue
        pooled = np.concatenate(z)
        values = prior.value(pooled)
        sd = float(pooled.std())
        informed = "informed by the figures" if sd < 0.9 else "left at its prior"
        rows.append(
            (
                hypothesis,
                name,
                prior.unit,
                prior.median,
                *np.quantile(values, [0.05, 0.5, 0.95]),
                1.0,
                sd,
                sd,
                informed,
                prior.source,
            )
        )
    return pd.DataFrame(
        rows,
        columns=[
            "hypothesis",
            "parameter",
            "unit",
            "prior_median",
            "p05",
            "p50",
            "p95",
            "prior_sd",
            "posterior_sd",
            "ratio",
            "verdict",
            "source",
        ],
    )


def _emulator_table(
    case: Case, figures: tuple[Target, ...], fitted: Mapping[str, tuple[Design, Emulator]]
) -> pd.DataFrame:
    rows = [
        (
            law,
            t.id,
            t.ledger,
            emulator.held_back_rms[i],
            emulator.held_back_r2[i],
            case.hypotheses.noise_of(t),
        )
        for law, (_, emulator) in fitted.items()
        for i, t in enumerate(figures)
    ]
    return pd.DataFrame(
        rows, columns=["law", "figure", "ledger", "held_back_rms", "held_back_r2", "noise"]
    )
