"""Totals of whole accounting periods by site, resource and ledger, from jobs and from aggregates.

A period counts if the data cover all of it: jobs by the days they cover, aggregates by their own
periods, which must fill it without a gap. What else there is in the data is kept as well, with the
reason why it does not count; nothing is scaled up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pandas as pd

from analysis.accounting.tables import AGGREGATES, JOBS
from analysis.accounting.totals import COLUMNS, monthly
from analysis.accounts.opening import Accounts
from sim.timeline import ProjectCalendar, months_of
from sim.units import RESOURCES, UNIT_OF

OUTSIDE = "outside the calendar"
AGREE = "and the two agree"
_KEYS = ["site", "resource", "ledger"]


@dataclass(frozen=True)
class Total:
    """What the data say of a site, resource, ledger and period.

    Args:
        origin: `jobs` or `aggregates`.
        site: Site of the federation.
        resource: What was counted.
        ledger: At which level; what jobs hold is allocated.
        period: Accounting period such as `M1-M6`, or what lies outside the calendar.
        quantity: How much, in `unit`; of a period that does not count, what the data have of it.
        unit: Unit of the resource.
        left_out: Why it does not count; empty if it does.
        remark: What a reader should know of it all the same.
    """

    origin: str
    site: str
    resource: str
    ledger: str
    period: str
    quantity: float
    unit: str
    left_out: str = ""
    remark: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it is left out because an equal figure is fitted."""
        return self.left_out.endswith(AGREE)


def totals(accounts: Accounts, calendar: ProjectCalendar, sites: Mapping[str, str]) -> list[Total]:
    """Return all totals, in order of origin, site, resource, ledger and time.

    Args:
        accounts: The import.
        calendar: Of the federation; its accounting periods from M1 to its end count.
        sites: The federation's site by that of the data.
    """
    return [*_of_jobs(accounts, calendar, sites), *_of_aggregates(accounts, calendar, sites)]


def edge(calendar: ProjectCalendar, month: int) -> pd.Timestamp:
    """Return midnight UTC of the first day of a project month."""
    hours = (calendar.first_day(month) - calendar.start).days * 24
    return pd.Timestamp(calendar.start_utc + timedelta(hours=hours))


def _of_jobs(
    accounts: Accounts, calendar: ProjectCalendar, sites: Mapping[str, str]
) -> list[Total]:
    months = monthly(accounts.jobs(*COLUMNS, "site"), accounts.until, by=("site",))
    if not len(months):
        return []
    of_month = {
        f"{calendar.first_day(m):%Y-%m}": period
        for period in calendar.periods()
        for m in months_of(period)
    }
    months["period"] = [of_month.get(m, OUTSIDE) for m in months["month"]]
    months["site"] = months["site"].map(sites)
    order = [*calendar.periods(), OUTSIDE]
    sums = months.groupby(["site", "resource", "period"], as_index=False)["quantity"].sum()
    sums["at"] = sums["period"].map(order.index)
    return [
        Total(JOBS, r.site, r.resource, "allocated", r.period, float(r.quantity),
              UNIT_OF[r.resource], _uncovered(accounts, calendar, r.period))
        for r in sums.sort_values(["site", "resource", "at"]).itertuples()
    ]  # fmt: skip


def _uncovered(accounts: Accounts, calendar: ProjectCalendar, period: str) -> str:
    """Return why jobs do not tell all of a period; nothing if they do."""
    if period == OUTSIDE:
        return f"before {calendar.start} or after M{calendar.months}"
    months = months_of(period)
    first, last = edge(calendar, months.start), edge(calendar, months.stop)
    if accounts.cover(first, last):
        return ""
    if gap := accounts.gap(first, last):
        return gap
    return f"a part of the period only: the jobs cover {accounts.covered()}"


def _of_aggregates(
    accounts: Accounts, calendar: ProjectCalendar, sites: Mapping[str, str]
) -> list[Total]:
    table = accounts.aggregates()
    if not len(table):
        return []
    table["site"] = table["site"].map(sites)
    found = []
    for (site, resource, ledger), rows in table.groupby(_KEYS, sort=True):
        unit = str(rows["unit"].iloc[0])
        base = Total(AGGREGATES, str(site), str(resource), str(ledger), OUTSIDE, 0.0, unit)
        if resource not in RESOURCES or (resource == "storage" and ledger == "active"):
            quantity = float(rows["quantity"].sum())
            why = "the model has no such quantity"
            found.append(replace(base, quantity=quantity, left_out=why))
            continue
        found += _by_period(base, rows, calendar, accounts)
    return found


def _by_period(
    base: Total, rows: pd.DataFrame, calendar: ProjectCalendar, accounts: Accounts
) -> list[Total]:
    found, counted = [], pd.Series(False, index=rows.index)
    for period in calendar.periods():
        first, last = (edge(calendar, m) for m in (months_of(period)[0], months_of(period)[-1] + 1))
        touches = (rows["period_start"] < last) & (rows["period_end"] > first)
        if touches.any():
            counted |= touches
            one = replace(base, period=period)
            one = _of_period(one, rows[touches], first, last)
            gap = accounts.gap(first, last)
            found.append(replace(one, left_out=gap or one.left_out))
    if not counted.all():
        why = f"before {calendar.start} or after M{calendar.months}"
        quantity = float(rows.loc[~counted, "quantity"].sum())
        found.append(replace(base, quantity=quantity, left_out=why))
    return found


def _of_period(
    base: Total, rows: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp
) -> Total:
    """Return a period's total from the aggregates that touch it.

    Rows without a project are of all projects: where they fill the period, those of single
    projects are parts of them.
    """
    inside = (rows["period_start"] >= first) & (rows["period_end"] <= last)
    every = inside & (rows["project"] == "")
    remark = ""
    mine = rows[inside]
    if every.any() and not every.equals(inside) and _fills(rows[every], first, last):
        mine, remark = rows[every], "rows of all projects; those of single ones are parts of them"
    base = replace(base, quantity=float(mine["quantity"].sum()), remark=remark)
    if not inside.all():
        return replace(base, left_out="an aggregate lies across the edge of the period")
    if every.any() and not every.equals(inside) and not remark:
        return replace(base, left_out="some rows are of all projects, others of single ones")
    if not _fills(mine, first, last):
        return replace(base, left_out="a part of the period only: the aggregates leave a gap in it")
    return base


def _fills(rows: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> bool:
    """Return whether the periods of rows leave no gap between two moments."""
    spans: Sequence[tuple[pd.Timestamp, pd.Timestamp]] = sorted(
        zip(rows["period_start"], rows["period_end"], strict=True)
    )
    reached = first
    for begin, end in spans:
        if begin > reached:
            return False
        reached = max(reached, end)
    return reached >= last
