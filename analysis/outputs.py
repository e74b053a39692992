"""What a run says of the figures that a report prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.hypotheses import Target
from analysis.records.as_figures import METRIC, record_values
from sim.entities import Federation
from sim.ledger import Usage
from sim.runner import RunResult
from sim.timeline import months_of
from sim.units import FloatArray

LEAST_BUSY = 0.001  # share below which a logarithm would not be told from nothing; assumed


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
        wanted = [(t.period, t.id) for t in self.targets if t.metric == METRIC]
        told = record_values(result, wanted)
        return np.array(
            [
                told.get((t.period, t.id), np.nan)
                if t.metric == METRIC
                else _value(t, result.usage, metrics, self.rows)
                for t in self.targets
            ]
        )


@dataclass(frozen=True)
class FiguresAndBusyShare:
    """Reduces a run to its values for figures and, behind them, the busy share; picklable.

    Args:
        figures: The figures.
        months: Project months over which held GPU hours are compared with busy ones.
    """

    figures: TargetValues
    months: range

    def __call__(self, result: RunResult) -> FloatArray:
        """Return both, shape (figures + 1,); the busy share as its logarithm."""
        return np.append(self.figures(result), np.log(busy_share(result.usage, self.months)))


def busy_share(usage: Usage, months: range) -> float:
    """Return active over allocated GPU hours of all sites; one minus it is the idle share.

    Between `LEAST_BUSY` (also where nothing is held) and 1.
    """
    span = slice(months.start - 1, months.stop - 1)
    held, busy = (float(usage.monthly("gpu", n)[span].sum()) for n in ("allocated", "active"))
    return min(max(busy / held if held > 0.0 else 0.0, LEAST_BUSY), 1.0)


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
