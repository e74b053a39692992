"""Interval logs: who held what from when to when, and why it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from sim.policies.base import NO_TERMS, Terms

QUANTILES = (0.5, 0.95, 0.99)


class Ended(Enum):
    """Why a deployment ended."""

    PROMPT = "released promptly"
    FORGOTTEN = "released late"
    OUTAGE = "pool out"
    CLOSED = "pool closed"
    IDLE = "released as idle"
    WARNED = "released after a warning"
    LIFETIME = "maximum lifetime reached"
    SCRIPT = "script ended"
    HORIZON = "still running at the horizon"

    @property
    def by_policy(self) -> bool:
        """Whether a policy took it, or made its user let go of it; a script ends by itself."""
        return self in (Ended.IDLE, Ended.WARNED, Ended.LIFETIME)


@dataclass(slots=True)
class Segment:
    """The work of one request inside a deployment.

    Args:
        request: Index of the request.
        first: Number of its first burst played here.
        start_h: When that burst started, or went on, h.
        end_h: When computing ended here (the last burst's end, or the cut).
        done_h: What of the first burst had been computed before and was kept, h.
    """

    request: int
    first: int
    start_h: float
    end_h: float
    done_h: float = 0.0


@dataclass(slots=True)
class Deployment:
    """One deployment: GPUs and cores held on a node from start to release; times in h.

    Args:
        name: `use_case/user#request.part`; unique.
        user: Index of the user.
        pool: Name of the pool.
        node: Number of the node in it.
        gpus, cores, ram_gb: What it holds; below 1 GPU it shares one.
        requested_h: When it was asked for.
        started_h: When it started.
        slowdown: How many times as long as on whole GPUs computing takes.
        gpu: Number of the GPU of which it holds a part, among the node's split ones; None if it
            has its GPUs for itself.
        segments: The work in it, in order of time.
        released_h: When it was released, None while it is held.
        ended: Why it was released, None while it is held.
        lost_h: Hours spent on a burst that was cut and is done again elsewhere.
        terms: On what terms it was admitted. Not compared: what was agreed, not what happened.
    """

    name: str
    user: int
    pool: str
    node: int
    gpus: float
    cores: int
    ram_gb: int
    requested_h: float
    started_h: float
    slowdown: float = 1.0
    gpu: int | None = None
    segments: list[Segment] = field(default_factory=list)
    released_h: float | None = None
    ended: Ended | None = None
    lost_h: float = 0.0
    terms: Terms = field(default=NO_TERMS, compare=False)

    @property
    def last_active_h(self) -> float:
        """When computing ends as far as known now, h."""
        return self.segments[-1].end_h


@dataclass(slots=True)
class Withdrawn:
    """A request that ended without a deployment; times in h."""

    name: str
    user: int
    gpus: float
    cores: int
    requested_h: float
    withdrawn_h: float
    why: str


@dataclass(slots=True)
class Held:
    """So many units were held, provisioned or kept by `owner` from `start_h` to `end_h`.

    For nodes the owner is the pool (quantity: nodes), for services their name
    (cores), for stores their name (TB).
    """

    owner: str
    start_h: float
    end_h: float
    quantity: float


@dataclass(slots=True)
class ServedMonth:
    """What an application did in a month.

    Args:
        hosted: Its key in the plan.
        month: From 0.
        outcomes: Requests that ended, by `Outcome`.
        wait_s: Quantiles (`QUANTILES`) of the time from arrival to the begin of computing, of those
            served, s; None if there are none.
        response_s: The same of the time from arrival to the answer, s.
        replica_ticks: Time that replicas were there, ticks.
        active_ticks: Time that replicas computed, ticks.
    """

    hosted: str
    month: int
    outcomes: tuple[int, ...]
    wait_s: tuple[float, ...] | None
    response_s: tuple[float, ...] | None
    replica_ticks: int
    active_ticks: int


@dataclass(slots=True)
class ClusterMonth:
    """For how long nodes of a cluster were on in a month (from 0), ticks of all nodes."""

    cluster: str
    month: int
    node_ticks: int


@dataclass(slots=True)
class Answers:
    """Answers of an application that leave files, by the hour in which they were given.

    Args:
        hosted: Its key in the plan.
        hour: Ends of hours, h since the start.
        count: Answers given in each.
    """

    hosted: str
    hour: tuple[int, ...]
    count: tuple[int, ...]


@dataclass(slots=True)
class Logs:
    """All interval logs of one run."""

    deployments: list[Deployment] = field(default_factory=list)
    withdrawn: list[Withdrawn] = field(default_factory=list)
    nodes: list[Held] = field(default_factory=list)
    services: list[Held] = field(default_factory=list)
    served: list[ServedMonth] = field(default_factory=list)
    clusters: list[ClusterMonth] = field(default_factory=list)
    answers: list[Answers] = field(default_factory=list)
    unserved: dict[str, int] = field(default_factory=dict)
    events: int = 0
