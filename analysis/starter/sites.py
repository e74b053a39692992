"""Sites, totals and use cases of a new federation, as far as totals tell them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil

import pandas as pd

from analysis.accounting.tables import JOBS
from analysis.accounts.opening import Accounts
from analysis.accounts.totals import totals
from analysis.starter.asked import COUNTRY, Asked, country_of
from analysis.starter.facts import ASSUMED, FROM_DATA, Number, PoolFacts, TotalFacts, UseCaseFacts
from analysis.starter.jobs import CORES, NOT_TOLD, RAM_GB, keys_of
from analysis.starter.span import Span
from sim.errors import ConfigError
from sim.plan.rhythm import public_holidays
from sim.timeline import months_of
from sim.units import LEDGERS

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _()-]{0,50}", re.ASCII)
_PREFERRED = ("allocated", *(x for x in LEDGERS if x != "allocated"))
UNNAMED = "Site"
RESOURCES = ("gpu", "cpu")  # files are not made: accounting of jobs does not know them


def site_names(names: Iterable[str]) -> dict[str, str]:
    """Return names of sites that configuration can hold, by those of the data.

    >>> site_names(["North", "a.b", ""])
    {'North': 'North', 'a.b': 'site-a-b', '': 'Site'}
    """
    found: dict[str, str] = {}
    for name in names:
        plain = _PLAIN.fullmatch(name) and name.strip() == name and name.lower() != "all"
        base = name if plain else UNNAMED if not name else keys_of([f"site {name}"])[0]
        number, site = 1, base
        while site in found.values():
            number += 1
            site = f"{base}-{number}"
        found[name] = site
    return found


@dataclass(frozen=True)
class Place:
    """Where users are: country (ISO 3166), time zone (IANA), and how that is known."""

    country: str
    time_zone: str
    source: str


def place_of(asked: Asked, told: str | None) -> Place:
    """Return where users are.

    Args:
        asked: May say it.
        told: The time zone that the import was told, if any.

    Raises:
        ConfigError: When country or time zone are not known.
    """
    zone = asked.time_zone or told or "UTC"
    source = "as asked for" if asked.time_zone else "the time zone the import was told"
    source = source if asked.time_zone or told else f"{ASSUMED}, nothing tells it"
    country = asked.country or country_of(zone)
    if country is None:
        country, source = COUNTRY, f"country {ASSUMED}: the time zone tells none; {source}"
    public_holidays(country, 2020, 2020, "init.country", ConfigError)
    return Place(country, zone, source)


def totals_of(accounts: Accounts, span: Span, names: dict[str, str]) -> list[TotalFacts]:
    """Return the totals of the reported periods, one for each site, resource and period.

    Where jobs and aggregates, or aggregates of several ledgers, tell the same, the jobs are taken,
    then what is allocated; all sums of a resource at a site have one ledger.
    """
    periods = span.calendar.periods(span.reported)
    found = [
        t for t in totals(accounts, span.calendar, names)
        if not t.left_out and t.period in periods and t.quantity > 0.0 and t.resource in RESOURCES
    ]  # fmt: skip
    found.sort(key=lambda t: (t.origin != JOBS, _PREFERRED.index(t.ledger)))
    chosen: dict[tuple[str, str], tuple[str, str]] = {}
    ledger: dict[str, str] = {}
    for total in found:
        ledger.setdefault(total.resource, total.ledger)
        chosen.setdefault((total.site, total.resource), (total.origin, total.ledger))
    return [
        TotalFacts(t.site, t.resource, t.ledger, t.period, t.quantity, t.unit,
                   f"{t.origin} of the import, integrated over the period"
                   if t.origin == JOBS else "aggregates of the import")
        for t in sorted(found, key=lambda t: (t.site, t.resource != "gpu", months_of(t.period)[0]))
        if chosen[t.site, t.resource] == (t.origin, t.ledger)
        and ledger[t.resource] == t.ledger
    ]  # fmt: skip


def pools_from_totals(found: list[TotalFacts], span: Span, asked: Asked) -> list[PoolFacts]:
    """Return nodes for totals: the mean held in the fullest period times an assumed peak."""
    lengths = span.calendar.month_length_h
    most: dict[tuple[str, str], float] = {}
    for total in found:
        hours = float(lengths[[m - 1 for m in months_of(total.period)]].sum())
        key = (total.site, total.resource)
        most[key] = max(most.get(key, 0.0), total.quantity / hours)
    pools = []
    for (site, resource), mean in most.items():
        node = asked.gpus_per_node or 4
        each = node if resource == "gpu" else CORES
        nodes = max(ceil(mean * asked.peak * asked.headroom / each), 1)
        said = (f"{FROM_DATA}: {mean:,.3g} held in the mean of the fullest period, times "
                f"{asked.peak:g} for peaks and {asked.headroom:g} ({ASSUMED})")  # fmt: skip
        gpus, model = (node, "GPU") if resource == "gpu" else (0, "")
        weight = Number(1.0 if gpus else 1000.0, ASSUMED)
        pools.append(PoolFacts(f"{site} {resource}", site, model, gpus, CORES, RAM_GB,
                               Number(float(nodes), said), weight))  # fmt: skip
    keys = keys_of(p.name for p in pools)
    return [replace(pool, name=key) for key, pool in zip(keys, pools, strict=True)]


def use_cases_from_totals(
    aggregates: pd.DataFrame, span: Span, asked: Asked
) -> list[UseCaseFacts]:
    """Return the projects of aggregates as use cases, those with the most GPU-h first."""
    rows = aggregates[aggregates["resource"].isin(RESOURCES)]
    if asked.use_cases == "all" or not len(rows):
        rows = rows.assign(project="")
    named = rows[rows["project"] != ""]
    rows = named if len(named) else rows
    hours = rows["quantity"].where(rows["resource"] == "gpu", rows["quantity"] * 1e-6)
    sums = hours.groupby(rows["project"]).sum().sort_values(ascending=False, kind="stable")
    ranked = list(sums.index[: asked.most_use_cases]) or [""]
    users = Number(float(asked.users), f"{ASSUMED}, totals name none")
    first = rows.groupby("project")["period_start"].min()
    found = []
    for name, project in zip(keys_of(p or NOT_TOLD for p in ranked), ranked, strict=True):
        day = first[project].date() if project in first.index else span.calendar.start
        joins = min(max(day, span.calendar.start), span.calendar.first_day(span.reported))
        says = f"project {project}" if project else "everything without a name"
        found.append(UseCaseFacts(name, says, joins, users, Number(0.0, ASSUMED)))
    return found
