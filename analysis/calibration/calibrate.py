"""Calibration from design to posterior draws, branch by branch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import truncnorm

from analysis.calibration.priors import Z_LIMIT
from analysis.calibration.waves import (
    Branches,
    Learned,
    Work,
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
PRIOR_SD = float(truncnorm(-Z_LIMIT, Z_LIMIT).std())  # of every parameter on the z scale


@dataclass(frozen=True, eq=False)
class Calibrated:
    """What a calibration leaves; tables as they are written.

    Args:
        draws: Posterior draws: hypothesis, law, draw, then one column a parameter.
        parameters: Prior to posterior: hypothesis, parameter, unit, quantiles, standard
            deviations on the z scale.
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


def calibrate(work: Work) -> Calibrated:
    """Learn the emulators in waves of runs, then sample every branch."""
    learned, last = learn(work)
    branches = sample(work, learned, work.settings.steps, "branches sampled", last)
    return _collect(work, learned, branches)


def _collect(work: Work, learned: Mapping[str, Learned], branches: Branches) -> Calibrated:
    case, settings = work.case, work.settings
    laws = law_weights(case, branches)
    draws, parameters = [], []
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
    return Calibrated(
        draws=_shuffled(pd.concat(draws, ignore_index=True), settings.seed),
        parameters=pd.DataFrame(parameters),
        laws=laws,
        emulator=pd.DataFrame(_emulator_rows(work, learned)),
        sampler=pd.DataFrame(
            [
                (n, law, b.acceptance, b.autocorrelation, b.effective)
                for (n, law), b in branches.items()
            ],
            columns=["hypothesis", "law", "acceptance", "autocorrelation", "effective"],
        ),
        made_from={
            **made_from(case, work.policies),
            "runs": settings.runs,
            "steps": settings.steps,
            "seed": settings.seed,
            "date": datetime.now(UTC).date().isoformat(),
        },
    )


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
                "verdict": "informed by the figures" if sd < 0.9 * PRIOR_SD else LEFT,
                "source": prior.source,
            }
        )
    return rows


def _emulator_rows(work: Work, learned: Mapping[str, Learned]) -> list[dict[str, Any]]:
    return [
        {
            "law": law,
            "figure": figure.id,
            "ledger": figure.ledger,
            "held_back_rms": known.emulator.held_back_rms[i],
            "held_back_r2": known.emulator.held_back_r2[i],
            "noise": work.case.hypotheses.noise_of(figure),
        }
        for law, known in learned.items()
        for i, figure in enumerate(work.figures)
    ]
