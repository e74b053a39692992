"""Federations and plans written by hand, and logs as lists that can be compared by eye.

Everything happens at site Here in January and February 2024 (744 and 696 h) unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from sim.applications import Application, ApplicationKind, Cluster, Duration, KeepAliveWindow
from sim.engine.logs import Logs
from sim.engine.play import play
from sim.entities import (
    Demand,
    Federation,
    Files,
    Growth,
    Phase,
    Pool,
    Retraining,
    Rhythm,
    UseCase,
)
from sim.plan.calls import Calls
from sim.plan.calls import calls as calls_at
from sim.plan.given import GivenReader
from sim.plan.hosting import Hosted
from sim.plan.idleness import IdleDraws
from sim.plan.keeping import KeepDraws
from sim.plan.outages import PoolOutage
from sim.plan.phases import Life
from sim.plan.reader import ColdStart, StartReader
from sim.plan.requests import Requests
from sim.plan.uploads import Uploads
from sim.plan.world import Plan, User
from sim.policies.base import Policies
from sim.policies.plain import PLAIN
from sim.rng import Streams
from sim.timeline import ProjectCalendar

START = date(2024, 1, 1)
FREE = PLAIN
NEVER_H = 1e9  # beyond every horizon


def pool(**changes: Any) -> Pool:
    """Return a pool of one node with one GPU, 8 cores and 64 GB, changed as told."""
    plain = Pool("Here", "T4", 1, 8, 64, 1.0, 1.0, START, None, 1.0)
    return replace(plain, **changes)


def application(**changes: Any) -> Application:
    """Return an application of one core that stays warm for a minute, changed as told."""
    plain = Application(
        "cluster", ApplicationKind.KEEP_ALIVE, 1, 100, 0.0, *[Duration(0.0)] * 4,
        keep_alive=KeepAliveWindow(60.0),
    )  # fmt: skip
    return replace(plain, **changes)


_DEMAND = Demand(
    requests_per_user_week=1.0,
    gpus={1: 1.0},
    cores={1: 1.0},
    ram_gb=1,
    bursts_mean=1.0,
    burst_h=1.0,
    burst_sigma=0.0,
    gap_h=1.0,
    gap_sigma=0.0,
    forget_frac=0.5,
    hold_h=1.0,
    hold_sigma=0.0,
    prompt_delay_h=0.0,
    reuse_frac=0.5,
    patience_h=1.0,
    restart_delay_h=0.0,
    checkpoint_gb=0.0,
    rhythm=Rhythm(8, 18, 1.0, 1.0, 1.0),
)
_FILES = Files(
    dataset_tb=0.0,
    dataset_sigma=0.0,
    uploads_per_month=1.0,
    catch_up_months=1.0,
    catch_up_sigma=0.0,
    images_gb_per_month=0.0,
    images_sigma=0.0,
)


def federation(
    pools: Mapping[str, Pool] | None = None,
    months: int = 2,
    app: Application | None = None,
    cluster_cores: int = 8,
    **changes: Any,
) -> Federation:
    """Return a federation of one site and one use case, `case`, which starts on the first day."""
    case = UseCase(START, 1, 0.0, ("SE",), 1.0, 1.0, 0, "app" if app else None)
    clusters = {"cluster": Cluster("Here", 1.0, 0.0, cluster_cores, 64_000, START)} if app else {}
    plain = Federation(
        name="hand",
        calendar=ProjectCalendar(START, months, 1),
        reported_months=0,
        development_service="development",
        deployment_service="deployment",
        sites={"Here": "SE"},
        time_zones={"SE": "Europe/Stockholm"},
        installations={},
        budgets={"gpu": 0.0, "cpu": 0.0, "storage": 0.0},
        pools=dict(pools or {"pool": pool()}),
        services={},
        clusters=clusters,
        stores={},
        phases={
            "work": Phase(1.0, 0.0, 1.0, 1.0, 1.0, 0.0),
            "serve": Phase(1.0, 0, 1.0, 1, 1.0, 0),
        },
        serving_phase="serve",
        retraining=Retraining(0.0, 1.0, 0.0, "work"),
        use_cases={"case": case},
        applications={"app": app} if app else {},
        demand=_DEMAND,
        files=_FILES,
        growth=Growth("saturating", 9.0, 1.0),
    )
    return replace(plain, **changes)


@dataclass(frozen=True)
class Ask:
    """A request; times in h. `bursts` and the `gaps` between them; `tail_h` until the release."""

    at_h: float
    user: int = 0
    gpus: int = 1
    cores: int = 1
    ram_gb: int = 1
    bursts: tuple[float, ...] = (1.0,)
    gaps: tuple[float, ...] = ()
    tail_h: float = 0.0
    forgotten: bool = False
    patience_h: float = NEVER_H
    restart_h: float = 1.0
    reuse: bool = False
    home: float = 0.0
    batch: float = 0.0
    share: float = 0.0


def requests(asks: Sequence[Ask]) -> Requests:
    """Turn asks, in order of arrival, into the arrays of a plan."""
    counts = np.array([len(a.bursts) for a in asks], dtype=np.int64)
    numbers: list[int] = []
    for i, ask in enumerate(asks):
        numbers.append(sum(other.user == ask.user for other in asks[:i]))
    gaps = [g for a in asks for g in (*a.gaps, 0.0)]
    before = [sum(a.bursts[:k]) + sum(a.gaps[:k]) for a in asks for k in range(len(a.bursts))]
    tails = _floats([a.tail_h for a in asks])
    return Requests(
        arrival_h=_floats([a.at_h for a in asks]),
        user=_ints([a.user for a in asks]),
        number=_ints(numbers),
        phase=_ints([0] * len(asks)),
        gpus=_ints([a.gpus for a in asks]),
        cores=_ints([a.cores for a in asks]),
        ram_gb=_ints([a.ram_gb for a in asks]),
        burst_first=np.cumsum(counts) - counts,
        burst_count=counts,
        site_draw=_floats([a.home for a in asks]),
        reuse_draw=_floats([0.0 if a.reuse else 0.99 for a in asks]),
        forget_draw=_floats([0.0 if a.forgotten else 0.99 for a in asks]),
        hold_h=tails,
        prompt_h=tails,
        patience_h=_floats([a.patience_h for a in asks]),
        restart_h=_floats([a.restart_h for a in asks]),
        batch_draw=_floats([a.batch for a in asks]),
        share_draw=_floats([a.share for a in asks]),
        burst_h=_floats([b for a in asks for b in a.bursts]),
        gap_h=_floats(gaps),
        before_h=_floats(before),
    )


def calls(calls_s: Sequence[tuple[float, float]], cold_s: float = 30.0) -> Calls:
    """Return requests (arrival, service time; s since the start) to an application."""
    arrival, service = np.array(calls_s, dtype=np.float64).reshape(-1, 2).T
    return calls_at(arrival, service, cold_s)


def hosted(of: Federation, asked: Calls, hosted_h: float = 0.0) -> Hosted:
    """Return the one use case's application with its requests; replicas start in 30 s."""
    cold = ColdStart(container=Duration(30.0))
    return Hosted(
        "case", "app", hosted_h, None, False, np.zeros(of.calendar.months),
        lambda: GivenReader(asked), lambda: StartReader(cold, Streams(0), "app"),
    )  # fmt: skip


def plan(
    of: Federation,
    asks: Sequence[Ask] | Requests = (),
    outages: Mapping[str, Sequence[PoolOutage]] | None = None,
    invocations: Calls | None = None,
    hosted_h: float = 0.0,
    uploads: Sequence[tuple[float, float, float]] = (),
    reaction: float = 0.5,
    needed: KeepDraws | None = None,
) -> Plan:
    """Return a plan of the one use case; uploads are (time h, TB, catch-up h).

    Draws for idle policies are 0.5, those for the reaction to a warning as told; those for storage
    policies are 0.5 or as told in `needed`.
    """
    wanted = asks if isinstance(asks, Requests) else requests(asks)
    users = int(wanted.user.max()) + 1 if len(wanted) else 1
    life = Life(
        np.zeros(1), np.zeros(1, dtype=np.int64), np.ones(1), np.zeros(users), np.empty(0), NEVER_H
    )
    half, detector = np.full(users, 0.5), np.full((len(wanted.burst_h), 2), 0.5)
    brought = np.array(uploads, dtype=np.float64).reshape(-1, 3).T
    keeping = needed or KeepDraws(
        {"case": np.full(len(uploads), 0.5)}, {"case": np.empty(0)}, np.full(len(wanted), 0.5),
        {"case/app": np.full(int(of.calendar.horizon_h) + 1, 0.5)},
    )  # fmt: skip
    return Plan(
        users=tuple(User(f"case/{k}", "case", "SE", 0.0) for k in range(users)),
        lives={"case": life},
        requests=wanted,
        uploads={"case": Uploads(*brought)},
        images={"case": Uploads(np.empty(0), np.empty(0), np.empty(0))},
        hosted={"case/app": hosted(of, invocations, hosted_h)} if invocations else {},
        outages={name: tuple((outages or {}).get(name, ())) for name in of.pools},
        idleness=lambda: IdleDraws(half, detector, detector + (reaction - 0.5), half),
        keeping=lambda: keeping,
    )


def played(
    of: Federation,
    asks: Sequence[Ask] | Requests = (),
    policies: Policies = FREE,
    **more: Any,
) -> Logs:
    """Play asks and whatever else `plan` takes."""
    return play(of, plan(of, asks, **more), policies)


def story(logs: Logs) -> list[tuple[float, str, str]]:
    """Return (time in h, name, what); where times agree ends first, then starts."""
    ended = [
        (d.released_h or 0.0, d.name, d.ended.value if d.ended else "") for d in logs.deployments
    ]
    started = [(d.started_h, d.name, f"on {d.pool}") for d in logs.deployments]
    gone = [(w.withdrawn_h, w.name, w.why) for w in logs.withdrawn]
    lines = sorted([*ended, *started, *gone], key=lambda line: line[0])
    return [(time, name.removeprefix("case/"), what) for time, name, what in lines]


def _floats(values: Sequence[float]) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def _ints(values: Sequence[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)
