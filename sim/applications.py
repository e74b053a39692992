"""Entities of serving: applications, who calls them, how they scale, and the nodes under them.

Part of the schema that federations are checked against, like `sim.entities`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Annotated

from annotated_types import Ge, Le, Len

from sim.ranges import AtLeastOne, Count, Fraction, Name, NonNegative, Percentage, Positive


class ApplicationKind(Enum):
    """How an application is served.

    `sync`: a function that Knative scales. `async`: one job for each event, which loads its model
    each time. `exposed`: an always-on service that Kubernetes scales. `keep_alive`: a function that
    has a replica to each request and keeps it warm for a while, as commercial platforms do.
    """

    SYNC = "sync"
    ASYNC = "async"
    EXPOSED = "exposed"
    KEEP_ALIVE = "keep_alive"


class TraceLayout(Enum):
    """Layouts of recorded invocations."""

    AZURE_2021 = "azure_2021"
    AZURE_2019 = "azure_2019"


@dataclass(frozen=True)
class Duration:
    """A lognormal duration.

    Args:
        median_s: Median, s.
        sigma: Standard deviation of the logarithm; 0 is a constant.
    """

    median_s: NonNegative
    sigma: NonNegative = 0.0


@dataclass(frozen=True)
class Bursts:
    """Requests that come together.

    Args:
        size_mean: Mean number of files in a folder (geometric).
        gap_s: Time between two files, s.
    """

    size_mean: Annotated[float, Ge(1.0)] = 1.0
    gap_s: NonNegative = 0.0


@dataclass(frozen=True)
class Replay:
    """How a recorded trace is replayed.

    Args:
        trace: Which, of the federation's `traces`.
        time_factor: 2 makes it take twice as long; durations stay.
        volume: How many requests each one stands for, on average.
        spread_s: Those beyond the first come up to so much later, s.
        repeat: Whether it begins again at its end.
    """

    trace: Name = "trace"
    time_factor: Positive = 1.0
    volume: Positive = 1.0
    spread_s: NonNegative = 60.0
    repeat: bool = True


@dataclass(frozen=True)
class Traffic:
    """Who calls an application.

    Args:
        per_month: Arrivals a month at hosting, in the mean over a week and a year; each may be a
            burst of requests.
        growth_per_month: Adoption: 0.1 is 10 % a month.
        rhythm: Whether callers keep the working hours of the use case's countries.
        season: Relative weight of January to December; none for all alike.
        bursts: How many requests an arrival is.
        replay: A trace that is replayed instead; the rate then means nothing.
    """

    per_month: NonNegative
    growth_per_month: Annotated[float, Ge(-1.0), Le(2.0)] = 0.0
    rhythm: bool = True
    season: Annotated[tuple[NonNegative, ...], Len(12, 12)] | None = None
    bursts: Bursts = Bursts()
    replay: Replay | None = None


@dataclass(frozen=True)
class Retries:
    """Jobs that fail.

    Args:
        failing_frac: Probability that an attempt fails, when it has computed.
        most: How often a failed job is repeated (Kubernetes' `backoffLimit`).
        backoff_s: Pause before the first repetition, doubled each time, s (Kubernetes).
        backoff_most_s: The longest such pause, s (Kubernetes).
    """

    failing_frac: Fraction = 0.0
    most: Count = 6
    backoff_s: NonNegative = 10.0
    backoff_most_s: NonNegative = 360.0


@dataclass(frozen=True)
class Knative:
    """Parameters of Knative's pod autoscaler; its names (units added) and defaults.

    `container_concurrency` is 1 as OSCAR sets it. The last replica goes when nothing has been
    wanted for the longer of grace and retention period. The timeout ends waiting, not computing.

    Source: Knative Serving 1.15, ConfigMaps `config-autoscaler` and `config-defaults`.
    """

    tick_interval_s: Positive = 2.0
    stable_window_s: Positive = 60.0
    panic_window_percentage: Percentage = 10.0
    panic_threshold_percentage: Annotated[float, Ge(110.0), Le(1000.0)] = 200.0
    container_concurrency: AtLeastOne = 1
    container_concurrency_target_percentage: Percentage = 70.0
    initial_scale: Count = 1
    max_scale_up_rate: Annotated[float, Ge(1.001)] = 1000.0
    max_scale_down_rate: Annotated[float, Ge(1.001)] = 2.0
    scale_to_zero_grace_period_s: NonNegative = 30.0
    scale_to_zero_pod_retention_period_s: NonNegative = 0.0
    revision_timeout_s: Positive = 300.0


@dataclass(frozen=True)
class HorizontalPodAutoscaler:
    """Parameters of Kubernetes' autoscaler of exposed services.

    Args:
        sync_period_s: Time between two looks, s.
        cpu_threshold_percentage: Load of the replicas that it aims at (OSCAR: 80).
        stabilization_window_s: Less is wanted only when it has been for so long, s.
        container_concurrency: Requests that a replica computes at once.

    Source: Kubernetes, horizontal pod autoscaling; OSCAR, exposed services.
    """

    sync_period_s: Positive = 15.0
    cpu_threshold_percentage: Percentage = 80.0
    stabilization_window_s: Positive = 300.0
    container_concurrency: AtLeastOne = 1


@dataclass(frozen=True)
class KeepAliveWindow:
    """Parameters of replicas that are kept warm.

    Args:
        idle_window_s: How long an idle replica is kept, s.
        newest_first: Whether the replica that fell idle last is taken first, else the oldest.
    """

    idle_window_s: NonNegative = 600.0
    newest_first: bool = True


@dataclass(frozen=True)
class Application:
    """A trained model offered as a service from the day its use case begins to serve.

    Args:
        cluster: Where it runs.
        kind: How it is served.
        cores: Cores of a replica.
        ram_mb: Memory of a replica, MB.
        kept_mb: What an answer leaves in the store, MB.
        service: Computing time of a request on a replica that is ready.
        container: Start of a container, s.
        load: Load of the model, s.
        pull: Pull of the image by a node that does not have it, s.
        traffic: Who calls; None if only results of another application do.
        then: Application that each result calls, on the same cluster; None for none.
        min_scale: Replicas that are always there; None: 1 if `exposed`, else 0.
        max_scale: Most replicas, of an `async` application jobs at a time; None: 10 if `exposed`
            (OSCAR), else no limit.
        timeout_s: How long a request waits before it gives up, s; None: what Knative allows
            (`revision_timeout_s`) if `sync`, else for ever.
        queue_most: How many may wait; None: any number.
        knative: How a `sync` application scales.
        autoscaler: How an `exposed` one does.
        keep_alive: How a `keep_alive` one does.
        retries: How jobs of an `async` one fail.
    """

    cluster: Name
    kind: ApplicationKind
    cores: AtLeastOne
    ram_mb: AtLeastOne
    kept_mb: NonNegative
    service: Duration
    container: Duration
    load: Duration
    pull: Duration
    traffic: Traffic | None = None
    then: Name | None = None
    min_scale: Count | None = None
    max_scale: AtLeastOne | None = None
    timeout_s: Positive | None = None
    queue_most: Count | None = None
    knative: Knative = Knative()
    autoscaler: HorizontalPodAutoscaler = HorizontalPodAutoscaler()
    keep_alive: KeepAliveWindow = KeepAliveWindow()
    retries: Retries = Retries()


@dataclass(frozen=True)
class NodeScaling:
    """Nodes that are shut down when nothing runs on them (CLUES).

    Args:
        idle_s: How long a node is empty before it is shut down, s.
        boot: Boot of a node.
        boot_wait_s: A boot that takes longer is given up and begun anew, s.

    Source: CLUES: idle 300 s in the elastic template, 1800 s as the role's default; power-on wait
    3000 s.
    """

    idle_s: NonNegative = 1800.0
    boot: Duration = field(default=Duration(180.0, 0.4))  # assumed
    boot_wait_s: Positive = 3000.0


@dataclass(frozen=True)
class Cluster:
    """The nodes under the applications of a site.

    `nodes_base` from `since` on, and `nodes_per_application` more from the day an application
    is hosted on it (both rounded together). Without `scaling` they are always on, whether a pod
    runs or not.
    """

    site: Name
    nodes_base: NonNegative
    nodes_per_application: NonNegative
    cores_per_node: AtLeastOne
    ram_mb_per_node: AtLeastOne
    since: date
    scaling: NodeScaling | None = None


@dataclass(frozen=True)
class Recorded:
    """What a trace holds; filled in when the file is read, so that a run needs no file.

    Args:
        arrival_s: When each request came, from the beginning of the trace, ascending, s.
        service_s: How long each computed, s; None if that was not recorded.
        per_minute: Where only counts were recorded: requests in each minute.
        length_s: Length of the trace, s.
    """

    arrival_s: tuple[NonNegative, ...]
    service_s: tuple[NonNegative, ...] | None
    per_minute: tuple[Count, ...]
    length_s: Positive


@dataclass(frozen=True)
class TraceFile:
    """A file of recorded invocations, in the federation's folder.

    Args:
        file: Its name.
        layout: `azure_2021`: app, func, end_timestamp, duration; `azure_2019`: calls a minute.
        select: The application (2021) or function (2019) of it; None: all of them (2021 only).
        recorded: Its content.
    """

    file: Name
    layout: TraceLayout
    select: str | None = None
    recorded: Recorded | None = None
