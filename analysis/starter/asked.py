"""What `aiaas init` may be told; each default is an assumption that can be changed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Len

from sim.ranges import AtLeastOne, Fraction, Positive

NODE_GPUS = (4, 8)  # GPUs of a node: 8 where some job holds more than 4; assumed
FAR_MORE, LONGEST_H = 4.0, 24.0  # times, h; assumed
COUNTRY = "ES"  # where nothing tells: of the reference case's largest site; assumed


@dataclass(frozen=True)
class Asked:
    """What a new federation is made by; units in names.

    Args:
        template: Whose behaviour: `batch` (jobs end with their script) or `platform` (deployments
            are held); None: batch for data of Slurm or SWF, platform else.
        use_cases: What a use case is: a `project`, a `user`, or `all` in one.
        most_use_cases: With more of them the smallest are put together.
        users: Users of a use case whose users are not told.
        project_months: Months after the reported ones.
        period_months: Length of an accounting period; None: the longest of 6, 3, 2 and 1 months of
            which the months covered are a multiple of at least three.
        covers: First and last day that the jobs cover (`analysis.accounts.rules`).
        gaps: Spans of days that the data lack something in, likewise.
        shortest_min: Jobs shorter than this are not modelled one by one, their hours are; None: as
            short as `most_requests` allows.
        most_requests: Requests of a simulated run that are aimed at: 50,000 take about 1.5 s.
        jobs_per_request: Jobs of a batch system that are played as one request, one after the
            other; None: 1, or more where a run would have more than `FAR_MORE` times
            `most_requests` requests, as long as a request lasts at most `LONGEST_H` in the mean.
        most_lost_frac: Share of GPU-h in jobs that are not modelled, at most.
        gpus_per_node: None: `NODE_GPUS`.
        headroom: Nodes over those that the most GPUs ever held at once would need.
        peak: Most over mean GPUs held, where only totals are known.
        country: ISO 3166 alpha-2, for holidays; None: that of the time zone, `COUNTRY` for UTC.
        time_zone: IANA name; None: the one that the import was told.
        reporting_error_frac: Standard deviation of the logarithm of a reported total.
        demand_sigma: The same of the demand to come relative to the reported one.
    """

    template: Literal["batch", "platform"] | None = None
    use_cases: Literal["project", "user", "all"] = "project"
    most_use_cases: AtLeastOne = 30
    users: AtLeastOne = 10
    project_months: Annotated[int, Ge(1), Le(120)] = 12
    period_months: AtLeastOne | None = None
    covers: str | None = None
    gaps: tuple[str, ...] = ()
    shortest_min: Annotated[int, Ge(0)] | None = None
    most_requests: AtLeastOne = 50_000
    jobs_per_request: AtLeastOne | None = None
    most_lost_frac: Fraction = 0.02
    gpus_per_node: AtLeastOne | None = None
    headroom: Annotated[float, Ge(1.0), Le(100.0)] = 1.2
    peak: Annotated[float, Ge(1.0), Le(100.0)] = 2.0
    country: Annotated[str, Len(2, 2)] | None = None
    time_zone: str | None = None
    reporting_error_frac: Annotated[Positive, Le(1.0)] = 0.05
    demand_sigma: Annotated[float, Gt(0.0), Le(3.0)] = 0.3


def country_of(time_zone: str) -> str | None:
    """Return the country of a time zone as the tz database has it; None if it has none.

    >>> country_of("Asia/Shanghai"), country_of("UTC")
    ('CN', None)
    """
    table = files("tzdata.zoneinfo").joinpath("zone.tab").read_text(encoding="utf-8")
    for line in table.splitlines():
        cells = line.split("\t")
        if not line.startswith("#") and cells[2] == time_zone:
            return cells[0]
    return None


