"""Hypotheses: which ledger each reported figure measures, and what is fitted under each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis.observations import increments
from sim.config import build
from sim.errors import ConfigError
from sim.ranges import NonNegative, Positive
from sim.units import RESOURCES

Ledger = Literal["provisioned", "allocated", "active"]


RECORDS_NOISE = 0.02  # of a logged statistic of records, beside the replicates' spread; assumed


@dataclass(frozen=True)
class Hypothesis:
    """One reading of the report.

    Args:
        weight: Relative prior weight.
        says: The reading in a sentence.
        reads: Ledger of each figure whose ledger the report leaves open, by observation id; such
            figures that are not named are not used.
        consumed: Resource and periods in which the consumption is what the `sites` add up to and
            not what the cumulative `table` says.
        reported: The ledger that accounting shows from now on, by resource.
        leaves_out: Figures, by observation id, that cannot be complete if the reading is right, and
            are not used.
    """

    weight: NonNegative
    says: str
    reads: dict[str, Ledger]
    consumed: dict[str, dict[str, Literal["sites", "table"]]]
    reported: dict[Literal["gpu", "cpu", "storage"], Ledger]
    leaves_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hypotheses:
    """All readings, the prior weights of the growth laws, and the noise of the figures."""

    hypotheses: dict[str, Hypothesis]
    laws: dict[Literal["saturating", "deployed"], NonNegative]
    noise: dict[str, Positive]
    weights_reason: str = ""

    def weights(self) -> dict[str, float]:
        """Return the prior weights of the readings, summing to 1."""
        total = sum(h.weight for h in self.hypotheses.values())
        return {n: h.weight / total for n, h in self.hypotheses.items()}

    def noise_of(self, target: Target) -> float:
        """Return the standard deviation of the logarithm of a reported figure."""
        if target.metric == "records":
            return self.noise.get("records", RECORDS_NOISE)
        return self.noise.get(target.id, self.noise.get(target.resource, self.noise["default"]))


@dataclass(frozen=True)
class Target:
    """A figure that is fitted: what the simulation computes for it and what was reported.

    Args:
        id: Observation id.
        period: Accounting period.
        metric: `usage`, `training_cycles`, `application_usage` or `records` (a statistic of
            deployment records).
        site: Site, or `all`.
        resource: Resource, `-` for the platform services.
        ledger: Ledger it is taken to measure.
        value: Reported, in `unit`, above zero.
    """

    id: str
    period: str
    metric: str
    site: str
    resource: str
    ledger: str
    value: float
    unit: str = field(default="-")


FITTED_METRICS = ("usage", "training_cycles", "application_usage", "records")


def load_hypotheses(data: Mapping[str, Any], observations: pd.DataFrame) -> Hypotheses:
    """Build the hypotheses from plain data and check that they read figures that exist.

    Raises:
        ConfigError: For a wrong key or value, or a figure that does not exist.
    """
    hypotheses = build(Hypotheses, data, "hypotheses.yaml")
    if not hypotheses.hypotheses or not sum(h.weight for h in hypotheses.hypotheses.values()) > 0:
        raise ConfigError("nothing to weigh", "hypotheses.yaml", "a hypothesis with a weight")
    if "default" not in hypotheses.noise:
        raise ConfigError("missing", "hypotheses.yaml.noise.default", "a value")
    known = set(figures(observations)["id"])
    for name, hypothesis in hypotheses.hypotheses.items():
        for place, named in (("reads", hypothesis.reads), ("leaves_out", hypothesis.leaves_out)):
            for figure in named:
                if figure not in known:
                    where = f"hypotheses.yaml.{name}.{place}"
                    raise ConfigError(
                        "no such figure", where, "an id of observations.csv", figure, known
                    )
    return hypotheses


def reading_later(
    hypotheses: Hypotheses, observations: pd.DataFrame, first: int
) -> Hypotheses:
    """Return hypotheses that read figures which came later.

    Args:
        hypotheses: As the federation states them.
        observations: All figures.
        first: Row of the first figure that came later; where these leave their ledger open
            (`by_hypothesis`) they measure what the accounting shows from now on (`reported`).
    """
    later = observations.iloc[first:]
    later = later[(later["ledger"] == "by_hypothesis") & later["resource"].isin(RESOURCES)]
    told = dict(zip(later["id"], later["resource"], strict=True))
    return replace(
        hypotheses,
        hypotheses={
            name: replace(h, reads={**h.reads, **{i: h.reported[r] for i, r in told.items()}})
            for name, h in hypotheses.hypotheses.items()
        },
    )


def increment_id(resource: str, period: str) -> str:
    """Return the id of an increment of the cumulative table.

    >>> increment_id("gpu", "M13-M18")
    'increment_gpu_m13_m18'
    """
    return f"increment_{resource}_{period.lower().replace('-', '_')}"


def figures(observations: pd.DataFrame) -> pd.DataFrame:
    """Return all figures that could be fitted: site and service rows, cumulative increments."""
    rows = observations[observations["metric"].isin(FITTED_METRICS)]
    found = rows[["id", "period", "metric", "site", "resource", "ledger", "value", "unit"]]
    steps = increments(observations)
    ledger = observations[observations["metric"] == "cumulative"].groupby("resource")["ledger"]
    more = pd.DataFrame(
        {
            "id": [
                increment_id(r, p)
                for r, p in zip(steps["resource"], steps["period"], strict=True)
            ],
            "period": steps["period"],
            "metric": "usage",
            "site": "all",
            "resource": steps["resource"],
            "ledger": steps["resource"].map(ledger.first()),
            "value": steps["quantity"],
            "unit": steps["unit"],
        }
    )
    return pd.concat([found, more], ignore_index=True)


def targets(observations: pd.DataFrame, hypothesis: Hypothesis) -> list[Target]:
    """Return the figures that are fitted under a hypothesis, each used once.

    Increments of the cumulative table count only in periods without site figures for the
    resource, unless the hypothesis reads them. Blank cells, zeros and what the hypothesis leaves
    out are not fitted.
    """
    table = figures(observations)
    is_site = (table["metric"] == "usage") & (table["site"] != "all")
    covered = set(zip(table["resource"][is_site], table["period"][is_site], strict=True))
    found = []
    for row in table.itertuples():
        ledger = hypothesis.reads.get(row.id, row.ledger)
        twice = (
            row.site == "all"
            and row.metric == "usage"
            and (row.resource, row.period) in covered
            and row.id not in hypothesis.reads
        )
        left_out = ledger == "by_hypothesis" or row.id in hypothesis.leaves_out
        if left_out or twice or not row.value > 0.0:
            continue
        found.append(
            Target(
                row.id,
                row.period,
                row.metric,
                row.site,
                row.resource,
                ledger,
                float(row.value),
                row.unit,
            )
        )
    return found


def consumption(observations: pd.DataFrame, hypotheses: Hypotheses) -> pd.DataFrame:
    """Return the consumption of every reported period as each hypothesis reads it.

    Returns:
        Columns hypothesis, period, resource, quantity, unit.
    """
    steps = increments(observations)
    sites = observations[(observations["metric"] == "usage") & (observations["site"] != "all")]
    sums = sites.groupby(["resource", "period"])["value"].sum()
    rows = []
    for name, hypothesis in hypotheses.hypotheses.items():
        for step in steps.itertuples():
            source = hypothesis.consumed.get(step.resource, {}).get(step.period, "table")
            quantity = step.quantity if source == "table" else sums[step.resource, step.period]
            rows.append((name, step.period, step.resource, float(quantity), step.unit))
    columns = ["hypothesis", "period", "resource", "quantity", "unit"]
    return pd.DataFrame(rows, columns=columns)


def all_targets(observations: pd.DataFrame, hypotheses: Hypotheses) -> list[Target]:
    """Return every target of any hypothesis once (by id and ledger)."""
    found: dict[tuple[str, str], Target] = {}
    for hypothesis in hypotheses.hypotheses.values():
        for target in targets(observations, hypothesis):
            found.setdefault((target.id, target.ledger), target)
    return list(found.values())


def logged(value: np.ndarray | float, reported: np.ndarray | float) -> Any:
    """Return the scale on which figures are compared: log(value + 2 % of the reported figure).

    The small offset keeps outputs near zero (a site before it joins) finite; assumed.
    """
    return np.log(np.asarray(value, dtype=np.float64) + 0.02 * reported)
