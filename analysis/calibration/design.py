"""The design: points spread over the prior, and the runs at them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import qmc

from analysis.calibration.priors import Priors, quantile_to_z
from sim.entities import Federation
from sim.policies.base import Policies
from sim.runner import RunSpec
from sim.units import FloatArray


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
