"""The frozen entities of a federation; also the schema its YAML files are checked against.

Each class is what a planner would name. A field gives its unit in its name; the ranges stand in
the annotations and are enforced where configuration is turned into entities (`sim.config`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Len

from sim.applications import Application, Cluster, TraceFile
from sim.ranges import Count, Fraction, Name, NonNegative, Positive
from sim.timeline import ProjectCalendar

UNSET_IS_ABSENT = {"unset_is_absent": True}  # of a field that older fingerprints do not know


class StoreRole(Enum):
    """What a store keeps."""

    DATA = "data"
    REGISTRY = "registry"


@dataclass(frozen=True)
class Outage:
    """A dated outage of a pool, from midnight UTC of `start` to midnight UTC of `end`.

    `vms_kept_frac` is the share of the nodes, rounded to whole ones, whose virtual machines stay in
    the site's accounting meanwhile.
    """

    start: date
    end: date
    vms_kept_frac: Fraction = 0.0


@dataclass(frozen=True)
class Pool:
    """Nodes of one kind at a site, on which deployments are placed.

    `nodes_first` exist from `joined` on; the growth law adds nodes up to `nodes_top` (both rounded;
    not whole numbers, because they are calibrated). `weight` is the pool's share among all pools
    in which a fitting request may be at home (relative). Unplanned outages come as a Poisson
    process with exponential length.
    """

    site: Name
    gpu_model: str
    gpus_per_node: Count
    cores_per_node: Annotated[int, Ge(1)]
    ram_gb_per_node: Annotated[int, Ge(1)]
    nodes_first: NonNegative
    nodes_top: NonNegative
    joined: date
    left: date | None
    weight: NonNegative
    outages_per_year: NonNegative = 0.0
    outage_mean_h: NonNegative = 0.0
    outages: tuple[Outage, ...] = ()


@dataclass(frozen=True)
class Service:
    """A group of always-on virtual machines: part of the control plane of a site.

    It starts with `cores_base` and grows by `cores_growth` times the growth law's share (0 to
    about 1), in steps of one virtual machine of `cores_per_vm`.
    """

    site: Name
    cores_base: NonNegative
    cores_growth: NonNegative
    cores_per_vm: Positive
    since: date
    until: date | None = None


@dataclass(frozen=True)
class Store:
    """A volume with files at a site.

    The volume starts at `volume_tb` and grows in steps of `step_tb` so that it is never filled
    above `fill_frac`; never above `capacity_tb`: what does not fit waits for the store that
    `migrates_to` names, opened at that one's `opened`. The old copy is kept for `copy_kept_days`.
    """

    site: Name
    role: StoreRole
    volume_tb: NonNegative
    step_tb: Positive
    fill_frac: Annotated[float, Gt(0.0), Le(1.0)]
    opened: date
    capacity_tb: Positive | None = None
    migrates_to: str | None = None
    copy_kept_days: NonNegative = 0.0


@dataclass(frozen=True)
class Phase:
    """A phase in the life of a use case.

    Durations are lognormal with median `months` and shape `months_sigma`; the last phase is open.
    `intensity` multiplies the request rate of a user, `gpu_frac` is the probability that a request
    asks for GPUs, `work_scale` multiplies burst lengths, `data_frac` is the share of the data set
    uploaded during the phase (in an open phase: per year), `models` says whether models are
    finished during the phase.
    """

    months: Positive
    months_sigma: NonNegative
    intensity: NonNegative
    gpu_frac: Fraction
    work_scale: Positive
    data_frac: NonNegative
    models: bool = False


@dataclass(frozen=True)
class Retraining:
    """Spells of retraining while a use case serves: Poisson starts, lognormal length.

    During a spell the use case works as in phase `like`.
    """

    per_year: NonNegative
    months: Positive
    months_sigma: NonNegative
    like: str


@dataclass(frozen=True)
class UseCase:
    """A team with a problem, living through the federation's phases from `joins` on.

    `pace` multiplies the duration of its phases. `countries` (ISO 3166 alpha-2) are given to its
    users in turn; users join one after another over `users_join_months`.
    """

    joins: date
    users: Annotated[int, Ge(1)]
    users_join_months: NonNegative
    countries: Annotated[tuple[str, ...], Len(1)]
    pace: Positive
    dataset_weight: NonNegative
    models: Annotated[int, Ge(0)]
    application: str | None = None


@dataclass(frozen=True)
class Rhythm:
    """Share of work by the hour of a user's local week (relative weights)."""

    office_start_hour: Annotated[int, Ge(0), Le(23)]
    office_end_hour: Annotated[int, Ge(1), Le(24)]
    evening_weight: NonNegative
    night_weight: NonNegative
    weekend_weight: NonNegative


@dataclass(frozen=True)
class Era:
    """From `since` on, request rates are multiplied by `factor` (until the next era)."""

    since: date
    factor: NonNegative


@dataclass(frozen=True)
class Demand:
    """How users ask for deployments and work in them; times in h, lognormal (median, shape)."""

    requests_per_user_week: NonNegative
    gpus: dict[int, NonNegative]
    cores: dict[int, NonNegative]
    ram_gb: Annotated[int, Ge(1)]
    bursts_mean: Annotated[float, Ge(1.0)]
    burst_h: Positive
    burst_sigma: NonNegative
    gap_h: Positive
    gap_sigma: NonNegative
    forget_frac: Fraction
    hold_h: Positive
    hold_sigma: NonNegative
    prompt_delay_h: NonNegative
    reuse_frac: Fraction
    patience_h: Positive
    restart_delay_h: NonNegative
    checkpoint_gb: NonNegative
    rhythm: Rhythm
    eras: dict[str, Era] = field(default_factory=dict)


@dataclass(frozen=True)
class Files:
    """How much the use cases keep: lognormal data sets, container images.

    `images_gb_per_month` is at the intensity of the training phase (1) and follows that of others.
    """

    dataset_tb: NonNegative
    dataset_sigma: NonNegative
    uploads_per_month: Positive
    catch_up_months: Positive
    catch_up_sigma: NonNegative
    images_gb_per_month: NonNegative
    images_sigma: NonNegative


@dataclass(frozen=True)
class Growth:
    """The law by which provisioned capacity grows.

    `saturating`: 1 - exp(-t / tau_months) since the service or pool began. `deployed`: services
    follow the share of use cases past onboarding and applications hosted; pools follow, in a
    review every month, their peak use times `headroom`.
    """

    law: Literal["saturating", "deployed"]
    tau_months: Positive
    headroom: Annotated[float, Ge(1.0)]


@dataclass(frozen=True)
class Delay:
    """From `since` on, the phases that a use case has not begun yet begin `months` later.

    Negative months: earlier, but not before that day. What went before it is as it was, and so is
    what a use case uploads a month in each phase.
    """

    since: date
    months: float


@dataclass(frozen=True)
class Installation:
    """A row of the accounting report: one site and one resource."""

    site: Name
    resource: Literal["gpu", "cpu", "storage"]


@dataclass(frozen=True)
class Federation:
    """Everything that is true of one federation, whatever the policy.

    `sites` gives the country (ISO 3166 alpha-2) of each site, `time_zones` the IANA time zone of
    each country users work in, `reported_months` how far the accounting figures reach.
    """

    name: Name
    calendar: ProjectCalendar
    reported_months: Annotated[int, Ge(0)]
    development_service: Name
    deployment_service: Name
    sites: dict[str, str]
    time_zones: dict[str, str]
    installations: dict[str, Installation]
    budgets: dict[Literal["gpu", "cpu", "storage"], NonNegative]
    pools: dict[str, Pool]
    services: dict[str, Service]
    clusters: dict[str, Cluster]
    stores: dict[str, Store]
    phases: dict[str, Phase]
    serving_phase: str
    retraining: Retraining
    use_cases: dict[str, UseCase]
    applications: dict[str, Application]
    demand: Demand
    files: Files
    growth: Growth
    traces: dict[str, TraceFile] = field(default_factory=dict)
    delay: Delay | None = field(default=None, metadata=UNSET_IS_ABSENT)
