"""Gathers the facts of a new federation: of an import, or assumed ones to be replaced."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.accounting.tables import JOBS
from analysis.accounts import opening
from analysis.accounts.rules import Rules
from analysis.records.reading import Window, cut_to
from analysis.records.rhythm import rhythm_of
from analysis.starter import behaviour, missed, sites
from analysis.starter.asked import FAR_MORE, LONGEST_H, Asked
from analysis.starter.facts import (
    ASSUMED,
    FROM_DATA,
    Facts,
    Number,
    PoolFacts,
    TotalFacts,
    UseCaseFacts,
    WorkFacts,
)  # fmt: skip
from analysis.starter.jobs import (
    Modelled,
    jobs_of,
    modelled,
    node_gpus,
    pools_of,
    use_cases_of,
    user_weeks,
)  # fmt: skip
from analysis.starter.span import Span, span_of, spanning
from sim.entities import Rhythm
from sim.errors import DataError
from sim.timeline import months_of
from sim.units import UNIT_OF

BATCH = ("sacct", "swf")  # formats of batch systems
EXAMPLE_START, EXAMPLE_MONTHS = date(2025, 1, 1), 12
OFFICE = (8, 18)  # local hours, as in conf/behaviour.yaml


def from_data(name: str, folder: Path, asked: Asked) -> Facts:
    """Return what an import says of a federation.

    Raises:
        ConfigError, DataError: When it cannot be used, or covers no whole month.
    """
    accounts = opening.open_accounts(folder, Rules(covers=asked.covers, gaps=asked.gaps))
    names = sites.site_names(accounts.sites())
    aggregates = accounts.aggregates()
    span = span_of(accounts, aggregates, asked)
    place = sites.place_of(asked, accounts.options.get("time_zone"))
    found = sites.totals_of(accounts, span, names)
    if not found:
        expected = "GPU-h or CPU-h of at least one whole period"
        raise DataError("no totals in it", str(folder), expected, f"M1-M{span.reported}")
    jobs = jobs_of(accounts, names)
    chance = missed.chance_of(jobs, span) if len(jobs) else {}
    if accounts.rows[JOBS] and len(jobs):
        pools, cases, work, notes = _of_jobs(jobs, accounts, span, place, asked)
    else:
        pools = sites.pools_from_totals(found, span, asked)
        cases = sites.use_cases_from_totals(aggregates, span, asked)
        work, notes = _of_totals(found, cases, span, asked), []
    pools = _roomy(_for_all(pools, found, span, asked), work)
    return Facts(
        name, span.calendar.start, span.calendar.period_months, span.reported,
        span.calendar.months, dict.fromkeys(names.values(), place.country),
        {place.country: place.time_zone}, {k: v for k, v in names.items() if k != v},
        asked.covers, asked.gaps, tuple(pools), tuple(cases), work, tuple(found),
        missed.scatter_of(found, chance),
        asked.reporting_error_frac, asked.demand_sigma, place.source,
        _missed(found, span, asked, chance), str(folder),
        [f"The jobs cover {accounts.covered()}.", *notes],
    )  # fmt: skip


def example(name: str, asked: Asked) -> Facts:
    """Return assumed facts: one site, two use cases, made-up totals of a year."""
    span = spanning(EXAMPLE_START, EXAMPLE_MONTHS, asked, "init")
    place = sites.place_of(asked, None)
    users = Number(float(asked.users), ASSUMED)
    cases = [
        UseCaseFacts(key, "made up", EXAMPLE_START, users, Number(0.0, ASSUMED))
        for key in ("first-project", "second-project")
    ]
    work = _work(_nothing(), cases, span, place, asked, asked.template or "platform")
    mean_h = _mean_h(work)
    weekly = work.requests_per_user_week.value * mean_h
    held = weekly * user_weeks(cases, span) / span.weeks / 168.0
    lengths, found = span.calendar.month_length_h, []
    for period in span.calendar.periods(span.reported):
        hours = float(lengths[[m - 1 for m in months_of(period)]].sum())
        for resource, each in (("gpu", 1.0), ("cpu", 4.0)):
            quantity = float(f"{held * hours * each:.3g}")
            found.append(TotalFacts("Site", resource, "allocated", period, quantity,
                                    UNIT_OF[resource], "made up: replace it"))  # fmt: skip
    pools = [p for p in sites.pools_from_totals(found, span, asked) if p.gpus_per_node]
    pools = _roomy([replace(p, nodes=Number(p.nodes.value, ASSUMED)) for p in pools], work)
    return Facts(
        name, span.calendar.start, span.calendar.period_months, span.reported,
        span.calendar.months, {"Site": place.country}, {place.country: place.time_zone}, {}, None,
        (), tuple(pools), tuple(cases), work, tuple(found), 0.0, asked.reporting_error_frac,
        asked.demand_sigma, place.source, "", "", ["All numbers are made up: replace them."],
    )  # fmt: skip


def _missed(
    found: list[TotalFacts], span: Span, asked: Asked, chance: dict[str, float]
) -> str:
    table = missed.residuals_of(found, span, asked.reporting_error_frac, chance)
    return table.to_csv(index=False, float_format="%.6g", lineterminator="\n") if len(table) else ""


def _nothing() -> Modelled:
    none = np.empty(0)
    return Modelled(none, none, none, 0, 0.0)


def _of_jobs(
    jobs: pd.DataFrame, accounts: opening.Accounts, span: Span, place: sites.Place, asked: Asked
) -> tuple[list[PoolFacts], list[UseCaseFacts], WorkFacts, list[str]]:
    node = node_gpus(jobs, asked)
    mine = modelled(jobs, span, node, asked)
    cases = use_cases_of(jobs, span, asked)
    source = next(iter(accounts.jobs("source")))["source"].iloc[0].partition(":")[0]
    template = asked.template or ("batch" if source in BATCH else "platform")
    work = _work(mine, cases, span, place, asked, template)
    work = _with_cores(work, jobs, mine, span)
    if mine.requests >= behaviour.KNOWN_JOBS:
        work = replace(work, rhythm=_rhythm(jobs, mine, span, place) or work.rhythm)
    pools = pools_of(jobs, span, node, max(work.cores), asked)
    expected = mine.requests * span.calendar.months / span.reported
    work = _joined(work, expected, asked)
    expected /= work.jobs_per_request
    notes = [f"A run plays about {expected:,.0f} requests."]
    if expected > asked.most_requests:
        notes = [
            f"A run plays about {expected:,.0f} requests, more than the {asked.most_requests:,} "
            "aimed at: `aiaas validate` says how long it takes, a larger shortest_min makes it "
            "shorter."
        ]
    if work.jobs_per_request > 1:
        notes.append(
            f"{work.jobs_per_request} jobs in a row are played as one request, which holds as much "
            "in the mean and varies as much; durations and starts of jobs are not fitted."
        )
    if mine.shortest_min:
        notes.append(
            f"Jobs shorter than {mine.shortest_min} min are not modelled one by one: they held "
            f"{100.0 * mine.lost_frac:.2g} % of the GPU-h, which are in the totals."
        )
    return pools, cases, work, notes


def _work(
    mine: Modelled, cases: list[UseCaseFacts], span: Span, place: sites.Place, asked: Asked,
    template: str,
) -> WorkFacts:  # fmt: skip
    """Return rates, weights and lengths of the jobs that are modelled, or assumed ones."""
    demand = behaviour.demand_defaults()
    held = mine.held_h if len(mine.held_h) else mine.without
    rate = Number(float(demand["requests_per_user_week"]), f"{ASSUMED}, conf/behaviour.yaml")
    if mine.requests:
        weeks = user_weeks(cases, span)
        said = f"{FROM_DATA}: {mine.requests:,} in {weeks:,.4g} weeks of users"
        rate = Number(mine.requests / weeks, said)
    batch = template == "batch"
    hours = behaviour.batch_hours(held) if batch else behaviour.platform_hours(held, demand)
    share = len(mine.held_h) / mine.requests if mine.requests else 1.0
    weights = behaviour.weighted_gpus(mine.gpus, mine.held_h) if len(mine.gpus) else {}
    return WorkFacts(
        template, rate, weights or dict(behaviour.GPUS), dict(behaviour.CORES),
        1 if batch else behaviour.RAM_GB,
        Number(share, FROM_DATA if mine.requests else ASSUMED), hours,
        {k: Number(v, f"{ASSUMED}, conf/behaviour.yaml") for k, v in behaviour.WEIGHTS.items()},
        mine.shortest_min, f"{FROM_DATA}, by hours held" if len(mine.gpus) else ASSUMED,
    )  # fmt: skip


def _joined(work: WorkFacts, expected: float, asked: Asked) -> WorkFacts:
    """Let one request stand for several jobs where there are far too many."""
    if work.template != "batch":
        return work
    jobs = asked.jobs_per_request or 1
    if asked.jobs_per_request is None and expected > FAR_MORE * asked.most_requests:
        jobs = max(min(ceil(expected / asked.most_requests), int(LONGEST_H / _mean_h(work))), 1)
    if jobs == 1:
        return work
    rate = work.requests_per_user_week
    said = f"{rate.source}, {jobs} in a row are one"
    return replace(
        work, jobs_per_request=jobs, hours=behaviour.in_a_row(work.hours, jobs),
        requests_per_user_week=Number(rate.value / jobs, said),
    )  # fmt: skip


def _with_cores(work: WorkFacts, jobs: pd.DataFrame, mine: Modelled, span: Span) -> WorkFacts:
    """Let a request have the cores that give all core hours of the reported months."""
    begins, ends = (t.tz_convert(None) for t in (span.begins, span.ends))
    some = jobs[(jobs["start"] >= begins) & (jobs["start"] < ends) & (jobs["kind"] != "infer")]
    core_h = float((some["cpus"] * some["held_h"]).sum())
    hours = mine.requests * _mean_h(work)
    return replace(work, cores=behaviour.around(core_h / hours if hours > 0.0 else 0.0))


def _mean_h(work: WorkFacts) -> float:
    if work.template == "batch":
        return behaviour.batch_mean_h(work.hours)
    lengths = {k: n.value for k, n in work.hours.items()}
    return behaviour.platform_mean_h({**behaviour.demand_defaults(), **lengths})


def _rhythm(
    jobs: pd.DataFrame, mine: Modelled, span: Span, place: sites.Place
) -> dict[str, Number] | None:
    """Return the weights of evenings, nights and free days that starts show."""
    hours = (span.ends - span.begins) / pd.Timedelta(hours=1)
    window = Window(span.begins.to_pydatetime(), hours, place.time_zone)
    some = jobs[jobs["held_h"] >= mine.shortest_min / 60.0]
    start, end = ((some[c] - span.begins.tz_convert(None)) / pd.Timedelta(hours=1)
                  for c in ("start", "end"))  # fmt: skip
    one = np.ones(len(some))
    records = cut_to(window, start.to_numpy(float), end.to_numpy(float), one, one * np.nan)
    zeros = Rhythm(*OFFICE, 0.0, 0.0, 0.0)
    table = rhythm_of(records, zeros, place.country).set_index("weight")["p50"]
    if not np.isfinite(table).all():
        return None
    said = f"{FROM_DATA}: starts of {len(records):,} jobs, relative to office hours"
    return {str(k): Number(float(np.clip(v, 0.001, 100.0)), said) for k, v in table.items()}


def _of_totals(
    found: list[TotalFacts], cases: list[UseCaseFacts], span: Span, asked: Asked
) -> WorkFacts:
    """Return work whose hours are the totals: how long it is held is assumed."""
    place = sites.Place("", "UTC", "")
    work = _work(_nothing(), cases, span, place, asked, asked.template or "platform")
    sums = {r: sum(t.quantity for t in found if t.resource == r) for r in ("gpu", "cpu")}
    mean_h, weeks = _mean_h(work), user_weeks(cases, span)
    requests = (sums["gpu"] or sums["cpu"] / max(work.cores)) / mean_h
    cores = behaviour.around(sums["cpu"] / (requests * mean_h)) if sums["cpu"] else work.cores
    said = f"{FROM_DATA}: all hours, if a request holds {mean_h:.3g} h in the mean ({ASSUMED})"
    share = Number(1.0 if sums["gpu"] else 0.0, FROM_DATA)
    return replace(work, requests_per_user_week=Number(requests / weeks, said), cores=cores,
                   gpu_frac=share)  # fmt: skip


def _for_all(
    pools: list[PoolFacts], found: list[TotalFacts], span: Span, asked: Asked
) -> list[PoolFacts]:
    """Add nodes at sites of which only totals are known."""
    have = {(p.site, "gpu" if p.gpus_per_node else "cpu") for p in pools}
    have |= {(site, "cpu") for site, _ in have}
    more = [t for t in found if (t.site, t.resource) not in have]
    keys = {p.name for p in pools}
    added = [p for p in sites.pools_from_totals(more, span, asked) if p.name not in keys]
    return [*pools, *added]


def _roomy(pools: list[PoolFacts], work: WorkFacts) -> list[PoolFacts]:
    """Let no node run out of cores or memory before its GPUs are all held."""
    most = max(work.cores)
    least = max(behaviour.demand_defaults()["cores"])  # they have to fit
    return [
        replace(
            p,
            cores_per_node=max(p.cores_per_node, max(p.gpus_per_node, 1) * most, least),
            ram_gb_per_node=max(p.ram_gb_per_node, max(p.gpus_per_node, 1) * work.ram_gb),
        )
        for p in pools
    ]
