"""What a run says of the figures that a report prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.hypotheses import Target
from sim.entities import Federation
from sim.ledger import Usage
from sim.runner import RunResult
from sim.timeline import months_of
from sim.units import FloatArray


@dataclass(frozen=True)
class TargetValues:
    """Reduces a run to its values for a list of figures; picklable.

    Args:
        targets: The figures.
        rows: Sites and resources that have a row in the accounting; only they enter a sum over
            all sites.
    """

    targets: tuple[Target, ...]
    rows: frozenset[tuple[str, str]]

    def __call__(self, result: RunResult) -> FloatArray:
        """Return the simulated values, shape (targets,), in each figure's unit."""
        metrics = result.metrics()
        return np.array([_value(t, result.usage, metrics, self.rows) for t in self.targets])


def accounted(federation: Federation) -> frozenset[tuple[str, str]]:
    """Return the sites and resources that have a row in the accounting report."""
    return frozenset((i.site, i.resource) for i in federation.installations.values())


def _value(
    target: Target,
    usage: Usage,
    metrics: dict[str, FloatArray],
    rows: frozenset[tuple[str, str]],
) -> float:
    months = months_of(target.period)
    span = slice(months.start - 1, months.stop - 1)
    if target.metric != "usage":
        return float(metrics[target.metric][span].sum())
    series = usage.monthly(target.resource, target.ledger)[span]
    if target.site == "all":
        counted = [i for i, s in enumerate(usage.sites) if (s, target.resource) in rows]
        return float(series[:, counted].sum())
    return float(series[:, usage.sites.index(target.site)].sum())


def subset(targets: Sequence[Target], chosen: Sequence[Target]) -> list[int]:
    """Return the positions of `chosen` among `targets`, by id and ledger."""
    position = {(t.id, t.ledger): i for i, t in enumerate(targets)}
    return [position[t.id, t.ledger] for t in chosen]
