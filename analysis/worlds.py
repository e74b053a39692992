"""Specifications of runs from posterior draws."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from analysis.federations import Case
from sim.entities import Federation
from sim.policies.base import Policies
from sim.runner import RunSpec


def federation_at(case: Case, draw: pd.Series) -> Federation:
    """Return the federation with the parameters and the growth law of a posterior draw."""
    values = {
        name: float(draw[name])
        for name in case.priors.priors
        if name in draw.index and pd.notna(draw[name])
    }
    federation = case.priors.apply(case.federation, values)
    return replace(federation, growth=replace(federation.growth, law=draw["law"]))


def specs_of(
    case: Case, policies: Policies, draws: pd.DataFrame, replicates: int, seed: int
) -> list[RunSpec]:
    """Return `replicates` runs for each posterior draw, each a replicate of its own."""
    return [
        RunSpec(federation_at(case, draw), policies, seed, i * replicates + k)
        for i, (_, draw) in enumerate(draws.iterrows())
        for k in range(replicates)
    ]
