"""Calibration from design to posterior draws, branch by branch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.calibration.design import Design, design_specs, draw_design, run_design
from analysis.calibration.emulator import Emulator, fit_emulator
from analysis.calibration.posterior import Branch, LogPosterior, sample_branch
from analysis.federations import Case
from analysis.fingerprint import digest
from analysis.hypotheses import Target, all_targets, logged, targets
from analysis.outputs import subset
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


def design_folder(root: Path, case: Case, policies: Policies, settings: Settings, law: str) -> Path:
    """Return where the runs of a design are kept: named by everything they depend on."""
    figures = [(t.id, t.ledger) for t in all_targets(case.observations, case.hypotheses)]
    source = made_from(case, policies)
    key = digest(
        source["federation"],
        source["priors"],
        source["policies"],
        MODEL_VERSION,
        settings.runs,
        settings.seed,
        law,
        figures,
    )
    return root / f"design-{law}-{key}"


def calibrate(
    case: Case,
    policies: Policies,
    settings: Settings,
    kept: Path,
    progress: Callable[[str, int], Any],
) -> Calibrated:
    """Run the design, fit the emulators, sample every branch.

    Args:
        case: The federation with its figures, hypotheses and priors.
        policies: In force.
        settings: How much work.
        kept: Folder in which finished runs are kept for a next time.
        progress: Context manager factory (what, total) that yields a function to advance it.
    """
    figures = tuple(all_targets(case.observations, case.hypotheses))
    laws = [law for law, weight in case.hypotheses.laws.items() if weight > 0.0]
    fitted: dict[str, tuple[Design, Emulator]] = {}
    with progress("runs of the design", settings.runs) as advance:
        for position, law in enumerate(laws):
            runs = len(range(position, settings.runs, len(laws)))
            design = draw_design(case.priors, law, runs, settings.seed + position)
            values = run_design(
                lambda d=design, p=position: design_specs(  # type: ignore[misc]
                    case.federation, policies, case.priors, d, settings.seed + 1000 + p
                ),
                runs,
                figures,
                design_folder(kept, case, policies, settings, law),
                settings.jobs,
                advance,
            )
            reported = np.array([t.value for t in figures])
            fitted[law] = (design, fit_emulator(design.z, logged(values, reported)))
    branches: dict[tuple[str, str], Branch] = {}
    with progress("branches sampled", len(laws) * len(case.hypotheses.hypotheses)) as advance:
        for number, name in enumerate(case.hypotheses.hypotheses):
            for position, law in enumerate(laws):
                design, emulator = fitted[law]
                density = log_posterior(case, name, figures, emulator)
                seed = settings.seed + 10 * number + position
                branches[name, law] = sample_branch(
                    density, len(design.names), settings.steps, seed
                )
                advance(1)
    return _collect(case, policies, settings, figures, fitted, branches)


def log_posterior(
    case: Case, hypothesis: str, figures: tuple[Target, ...], emulator: Emulator
) -> LogPosterior:
    """Return the log posterior of a hypothesis: its own figures, each used once."""
    chosen = targets(case.observations, case.hypotheses.hypotheses[hypothesis])
    return LogPosterior(
        emulator,
        tuple(subset(figures, chosen)),
        np.array([float(logged(t.value, t.value)) for t in chosen]),
        np.array([case.hypotheses.noise_of(t) for t in chosen]),
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
