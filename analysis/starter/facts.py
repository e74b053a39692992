"""What a new federation's files are written from: numbers, each with where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

ASSUMED = "assumed"
FROM_DATA = "from the data"


class Number(NamedTuple):
    """A number and its source: from the data, or assumed."""

    value: float
    source: str


@dataclass(frozen=True)
class PoolFacts:
    """Nodes of one kind at a site.

    Args:
        name: Key of the pool.
        site: Site of the federation.
        gpu_model: As the data name it; empty without GPUs.
        gpus_per_node: 0 of nodes without GPUs.
        cores_per_node: Cores.
        ram_gb_per_node: Memory, GB.
        nodes: Nodes.
        weight: Share of the work, relative.
    """

    name: str
    site: str
    gpu_model: str
    gpus_per_node: int
    cores_per_node: int
    ram_gb_per_node: int
    nodes: Number
    weight: Number


@dataclass(frozen=True)
class UseCaseFacts:
    """A use case.

    Args:
        name: Key.
        says: What it is of the data.
        joins: First day.
        users: How many.
        users_join_months: Over which they join.
    """

    name: str
    says: str
    joins: date
    users: Number
    users_join_months: Number


@dataclass(frozen=True)
class TotalFacts:
    """A total of an accounting period; `note` says where it is from."""

    site: str
    resource: str
    ledger: str
    period: str
    quantity: float
    unit: str
    note: str


@dataclass(frozen=True)
class WorkFacts:
    """How users ask and work.

    Args:
        template: `batch` or `platform`.
        requests_per_user_week: Rate, 1/week.
        gpus: Relative weights of GPUs asked for.
        cores: Relative weights of cores.
        ram_gb: Memory of a request, GB.
        gpu_frac: Share of requests that ask for GPUs.
        hours: Median length and spread of work: burst_h and burst_sigma; for a platform also gap_h
            and hold_h.
        rhythm: Weights of evenings, nights and free days.
        shortest_min: Shorter jobs are not modelled.
        jobs_per_request: Jobs that one request stands for.
        source_of_weights: Where weights of GPUs and cores are from.
    """

    template: str
    requests_per_user_week: Number
    gpus: dict[int, float]
    cores: dict[int, float]
    ram_gb: int
    gpu_frac: Number
    hours: dict[str, Number]
    rhythm: dict[str, Number]
    shortest_min: int
    source_of_weights: str
    jobs_per_request: int = 1


@dataclass(frozen=True)
class Facts:
    """Everything that the files of a new federation say.

    Args:
        name: Name of the federation.
        start: First day of M1.
        period_months: Length of an accounting period.
        reported_months: Months that totals were reported for.
        months: All months, with those to project.
        sites: Country by site.
        time_zones: IANA name by country.
        site_of: Site of the federation by that of the data, where they differ.
        covers: First and last day that jobs cover, if that was stated or had to be.
        gaps: Spans of days in which the data lack something.
        pools: Nodes.
        use_cases: Use cases.
        work: How they work.
        totals: Reported totals.
        country_source: Where country and time zone are from.
        residuals: Text of `residuals.csv`; empty without.
        data: Folder of the import; empty without.
        scatter: Standard deviation of the logarithm of totals around their mean over periods.
        reporting_error_frac: Assumed.
        demand_sigma: Assumed.
        notes: What a planner should know, in sentences.
    """

    name: str
    start: date
    period_months: int
    reported_months: int
    months: int
    sites: dict[str, str]
    time_zones: dict[str, str]
    site_of: dict[str, str]
    covers: str | None
    gaps: tuple[str, ...]
    pools: tuple[PoolFacts, ...]
    use_cases: tuple[UseCaseFacts, ...]
    work: WorkFacts
    totals: tuple[TotalFacts, ...]
    scatter: float
    reporting_error_frac: float
    demand_sigma: float
    country_source: str
    residuals: str
    data: str = ""
    notes: list[str] = field(default_factory=list)
