"""Totals of an import as reported figures, beside those that a federation has of its own.

The rule where both tell the same thing (site, resource and months, at one ledger or one that the
federation leaves open): the federation's own figure is fitted, that of the data is not, and how far
they are apart is said. Nothing is averaged. To fit the data's, take the row out of
`observations.csv` or leave its cell blank.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from analysis.accounting.tables import JOBS
from analysis.accounts.totals import AGREE, Total
from analysis.hypotheses import figures
from analysis.observations import ALL, BY_HYPOTHESIS, COLUMNS, NOTHING
from analysis.wording import thousands
from sim.entities import Federation
from sim.timeline import months_of

NEAR = 1e-6  # share (of at least 1) by which two figures of the same may differ; assumed: rounding


def decided(
    found: Iterable[Total], observations: pd.DataFrame, federation: Federation
) -> list[Total]:
    """Return totals with the reason why some are left out although the data cover them.

    Args:
        found: From `totals`.
        observations: The federation's own figures.
        federation: The federation.
    """
    own = figures(observations)
    own = own[(own["metric"] == "usage") & own["value"].notna()]
    result: list[Total] = []
    for total in found:
        why = total.left_out or _nothing_there(total, federation) or _twice(total, result)
        if not why and not total.quantity > 0.0:
            why = "nothing was used"
        result.append(replace(total, left_out=why or _told_already(total, own)))
    told_of: dict[tuple[str, str, str], set[str]] = {
        (t.resource, t.ledger, t.period): set() for t in result
    }
    for total in result:
        told_of[total.resource, total.ledger, total.period] |= {total.site}
    return [_in_a_sum(t, own, federation, told_of[t.resource, t.ledger, t.period]) for t in result]


def as_rows(used: Iterable[Total], federation: Federation) -> pd.DataFrame:
    """Return totals that are fitted as rows of observations.

    Args:
        used: Totals without a reason to leave them out.
        federation: The federation.
    """
    names: dict[tuple[str, str], str] = {
        (i.site, i.resource): n for n, i in federation.installations.items()
    }
    rows = []
    for total in used:
        slug = re.sub(r"[^a-z0-9]+", "_", total.site.lower()).strip("_")
        number = list(federation.sites).index(total.site) + 1  # tells names apart that look alike
        parts = ("data", total.resource, total.ledger, f"s{number}", slug, *total.period.split("-"))
        rows.append((
            "_".join(p.lower() for p in parts if p), "data",
            names.get((total.site, total.resource), f"{total.site} {total.resource}"), total.site,
            "usage", total.resource, total.ledger, total.period, total.quantity, total.unit,
            f"{total.origin} of data=",
        ))  # fmt: skip
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    return table.assign(value=table["value"].astype("float64"))


def _nothing_there(total: Total, federation: Federation) -> str:
    """Return why the model could not explain a total at all."""
    f, site = federation, total.site
    has = {
        "gpu": any(p.site == site and p.gpus_per_node for p in f.pools.values()),
        "cpu": any(x.site == site for g in (f.pools, f.services, f.clusters) for x in g.values()),
        "storage": any(s.site == site for s in f.stores.values()),
    }
    lacking = total.resource in has and not has[total.resource]
    return f"the federation has no {total.resource} at {site}" if lacking else ""


def _twice(total: Total, before: Iterable[Total]) -> str:
    """Return why an aggregate of what jobs tell does not count."""
    for other in before:
        same = (other.site, other.resource, other.ledger, other.period) == (
            total.site, total.resource, total.ledger, total.period,
        )  # fmt: skip
        if other.origin == JOBS != total.origin and not other.left_out and same:
            return f"the jobs tell it, {_apart(total, other.quantity)}"
    return ""


def _told_already(total: Total, own: pd.DataFrame) -> str:
    """Return which of the federation's own figures tells a total."""
    mine = own[(own["site"] == total.site) & _alike(own, total)]
    for name, period, value in zip(mine["id"], mine["period"], mine["value"], strict=True):
        if period == total.period:
            return f"{name} of observations.csv tells it, {_apart(total, value)}"
        if set(months_of(period)) & set(months_of(total.period)):
            return f"{name} of observations.csv has some of its months ({period})"
    return ""


def _in_a_sum(total: Total, own: pd.DataFrame, federation: Federation, sites: set[str]) -> Total:
    """Leave out what is a part of a figure over all sites, unless the data have all of them."""
    if total.left_out:
        return total
    accounted = {i.site for i in federation.installations.values() if i.resource == total.resource}
    sums = own[(own["site"] == ALL) & _alike(own, total)]
    for name, period in zip(sums["id"], sums["period"], strict=True):
        shared = set(months_of(period)) & set(months_of(total.period))
        if shared and not (period == total.period and accounted <= sites):
            why = f"{name} of observations.csv has it in a sum of all sites ({period})"
            return replace(total, left_out=why)
    return total


def _alike(own: pd.DataFrame, total: Total) -> pd.Series:
    ledgers = (total.ledger, BY_HYPOTHESIS, NOTHING)
    return (own["resource"] == total.resource) & own["ledger"].isin(ledgers)


def _apart(total: Total, other: float) -> str:
    """Say how far a total is from another figure of the same thing."""
    if abs(total.quantity - other) <= NEAR * max(1.0, other, total.quantity):
        return AGREE
    told, mine = thousands(other, 6), thousands(total.quantity, 6)
    share = f" ({100.0 * (total.quantity / other - 1.0):+.1f} %)" if other > 0.0 else ""
    return f"and they contradict each other: {told} there, {mine} here{share}"
