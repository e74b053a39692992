"""What a planner projects: the last year of the horizon, by site and resource and for all sites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.outputs import TargetValues, accounted
from sim.entities import Federation
from sim.runner import RunResult
from sim.units import LEDGERS, RESOURCES, UNIT_OF, FloatArray

YEAR = 12  # months


@dataclass(frozen=True)
class Quantity:
    """A total of the last year.

    Args:
        site: Site, or `all`.
        resource: Resource.
        ledger: Ledger that the accounting shows.
    """

    site: str
    resource: str
    ledger: str

    @property
    def name(self) -> str:
        """Name it, such as `INCD CPU-h`."""
        return f"{self.site} {UNIT_OF[self.resource]}"


def quantities(federation: Federation) -> tuple[Quantity, ...]:
    """Return the projected quantities of a federation: rows of its accounting, and their sums.

    The ledger is the one that sites account by: what deployments hold of GPUs, machines and volumes
    of the rest.
    """
    ledger = {"gpu": "allocated", "cpu": "provisioned", "storage": "provisioned"}
    rows = accounted(federation)
    found = []
    for resource in RESOURCES:
        sites = [s for s in federation.sites if (s, resource) in rows]
        found += [Quantity(s, resource, ledger[resource]) for s in (*sites, "all") if sites]
    return tuple(found)


@dataclass(frozen=True)
class KeepFiguresAndYear:
    """Reduces a run to the values of figures and of projected quantities; picklable."""

    figures: TargetValues
    wanted: tuple[Quantity, ...]

    def __call__(self, result: RunResult) -> FloatArray:
        """Return both, one after the other; shape (figures + quantities,)."""
        months = result.usage.quantity.shape[0]
        monthly = result.usage.quantity[months - YEAR :].sum(axis=(0, 2, 5))
        sites, rows = result.usage.sites, self.figures.rows
        values = []
        for quantity in self.wanted:
            mine = monthly[:, RESOURCES.index(quantity.resource), LEDGERS.index(quantity.ledger)]
            counted = [
                i
                for i, site in enumerate(sites)
                if quantity.site == site
                or (quantity.site == "all" and (site, quantity.resource) in rows)
            ]
            values.append(float(mine[counted].sum()))
        return np.concatenate([self.figures(result), values])
