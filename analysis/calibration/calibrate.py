"""Calibration from design to posterior draws, branch by branch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from analysis.calibration.checks import (
    emulator_table,
    evidence_table,
    idle_table,
    prior_idle,
    refuse_poor,
)
from analysis.calibration.emulator import Emulator
from analysis.calibration.identifiability import INFORMED, PRIOR_SD, directions
from analysis.calibration.waves import (
    Branches,
    Work,
    emulators_of,
    law_weights,
    learn,
    made_from,
    sample,
    shares,
)
from analysis.federations import Case
from sim.units import FloatArray

LEFT = "left at its prior"
FEWEST = 10  # draws of a parameter below which its posterior is not summarised


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What a calibration leaves; tables as they are written.

    Args:
        draws: Posterior draws: hypothesis, law, draw, then one column a parameter.
        parameters: Prior to posterior: hypothesis, parameter, unit, quantiles, standard
            deviations on the z scale.
        laws: hypothesis, law, prior_weight, weight, log_evidence, log_evidence_sd.
        evidence: From `checks.evidence_table`.
        idle: From `checks.idle_table`.
        directions: From `identifiability.directions`.
        emulator: From `checks.emulator_table`.
        sampler: hypothesis, law, autocorrelation, effective, r_hat.
        made_from: Hashes of what the posterior was made from.
        emulators: The emulators themselves, by growth law.
        warnings: What a user should know.
    """

    draws: pd.DataFrame
    parameters: pd.DataFrame
    laws: pd.DataFrame
    evidence: pd.DataFrame
    idle: pd.DataFrame
    directions: pd.DataFrame
    emulator: pd.DataFrame
    sampler: pd.DataFrame
    made_from: dict[str, Any]
    emulators: dict[str, Emulator]
    warnings: tuple[str, ...] = ()


def calibrate(work: Work) -> Calibrated:
    """Learn the emulators in waves of runs, then sample every branch.

    Raises:
        DataError: When an emulator is much worse than the figures are.
    """
    learned = learn(work)
    emulators = emulators_of(learned)
    judged = emulator_table(work, emulators, learned)
    warnings = refuse_poor(judged, work.settings.tolerated)
    branches = sample(work, emulators, work.settings.steps, "branches sampled")
    evidence = evidence_table(work, emulators, branches)
    laws = law_weights(work.case, branches)
    idle = idle_table(work, emulators, branches, laws, prior_idle(work, learned))
    found = collect(work, emulators, branches, evidence, idle, judged)
    return replace(found, warnings=tuple(warnings))


def collect(
    work: Work,
    emulators: dict[str, Emulator],
    branches: Branches,
    evidence: pd.DataFrame,
    idle: pd.DataFrame,
    judged: pd.DataFrame,
) -> Calibrated:
    """Put draws and tables together; laws are mixed by their weight within each hypothesis."""
    case, settings = work.case, work.settings
    laws = law_weights(case, branches)
    draws, parameters, informed = [], [], []
    random = np.random.Generator(np.random.Philox(settings.seed + 77))
    for name in case.hypotheses.hypotheses:
        weight = laws[laws["hypothesis"] == name].set_index("law")["weight"]
        picked = {}
        for law, share in shares(weight, settings.keep).items():
            z = branches[name, law].z
            picked[law] = z[random.choice(len(z), share, replace=len(z) < share)]
            values = case.priors.values(case.priors.names(law), picked[law])
            draws.append(pd.DataFrame({"hypothesis": name, "law": law, **values}))
        parameters += _prior_to_posterior(case, name, picked)
        informed.append(_directions(case, name, picked))
    return Calibrated(
        draws=_shuffled(pd.concat(draws, ignore_index=True), settings.seed),
        parameters=pd.DataFrame(parameters),
        laws=laws,
        evidence=evidence,
        idle=idle,
        directions=pd.concat(informed, ignore_index=True),
        emulator=judged,
        sampler=pd.DataFrame(
            [
                (n, law, b.autocorrelation, b.effective, b.r_hat)
                for (n, law), b in branches.items()
            ],
            columns=["hypothesis", "law", "autocorrelation", "effective", "r_hat"],
        ),
        made_from={
            **made_from(case, work.policies),
            "runs": settings.runs,
            "steps": settings.steps,
            "seed": settings.seed,
            "date": datetime.now(UTC).date().isoformat(),
        },
        emulators=emulators,
    )


def _directions(case: Case, hypothesis: str, picked: Mapping[str, FloatArray]) -> pd.DataFrame:
    """Return the directions of the parameters that all laws have."""
    common = [n for n, p in case.priors.priors.items() if p.law is None]
    columns = [
        z[:, [case.priors.names(law).index(n) for n in common]] for law, z in picked.items()
    ]
    return directions(hypothesis, common, np.concatenate(columns))


def _shuffled(draws: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Mix the growth laws within each hypothesis, so that the first n draws are a fair sample."""
    mixed = draws.groupby("hypothesis", sort=False, group_keys=False)[list(draws.columns)].apply(
        lambda part: part.sample(frac=1.0, random_state=seed)
    )
    mixed.insert(2, "draw", mixed.groupby("hypothesis", sort=False).cumcount())
    return mixed.reset_index(drop=True)


def _prior_to_posterior(
    case: Case, hypothesis: str, picked: Mapping[str, FloatArray]
) -> list[dict[str, Any]]:
    """Return a row a parameter; those of a growth law with hardly a draw are left out."""
    rows = []
    for name, prior in case.priors.priors.items():
        columns = [
            z[:, case.priors.names(law).index(name)]
            for law, z in picked.items()
            if name in case.priors.names(law)
        ]
        pooled = np.concatenate(columns) if columns else np.empty(0)
        if len(pooled) < FEWEST:
            continue
        low, middle, high = np.quantile(prior.value(pooled), [0.05, 0.5, 0.95])
        sd = float(pooled.std())
        rows.append(
            {
                "hypothesis": hypothesis,
                "parameter": name,
                "unit": prior.unit,
                "prior_median": prior.median,
                "p05": low,
                "p50": middle,
                "p95": high,
                "prior_sd": PRIOR_SD,
                "posterior_sd": sd,
                "ratio": sd / PRIOR_SD,
                "verdict": "informed by the figures" if sd < INFORMED * PRIOR_SD else LEFT,
                "source": prior.source,
            }
        )
    return rows
