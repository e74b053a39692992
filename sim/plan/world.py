"""Assembles the plan of one replicate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import numpy as np

from sim.entities import Federation
from sim.plan.hosting import Hosted, draw_hosted
from sim.plan.idleness import IdleDraws, draw_idleness
from sim.plan.keeping import KeepDraws, draw_keeping
from sim.plan.outages import PoolOutage, draw_outages
from sim.plan.phases import Life, draw_life
from sim.plan.requests import Requests, draw_user, requests_of
from sim.plan.rhythm import work_clock
from sim.plan.uploads import Uploads, draw_images, draw_uploads
from sim.rng import Streams

T = TypeVar("T")


@dataclass(eq=False)
class Once(Generic[T]):
    """Draws when it is first asked and says the same ever after: variants ask one plan.

    Args:
        draw: What draws.
        drawn: What it drew; None until it is asked.
    """

    draw: Callable[[], T]
    drawn: T | None = None

    def __call__(self) -> T:
        """Return what was drawn."""
        if self.drawn is None:
            self.drawn = self.draw()
        return self.drawn


@dataclass(frozen=True, eq=False)
class User:
    """A user: the name `use_case/number`, the use case, the country and the day of joining (h)."""

    name: str
    use_case: str
    country: str
    joined_h: float


@dataclass(frozen=True, eq=False)
class Plan:
    """Every random draw of a replicate; nothing in it depends on policy or capacity.

    Dictionaries are keyed by use case (lives, uploads, images), by use case and application
    (hosted) or by pool (outages). What an idle or a storage policy needs is drawn when it is asked
    for: the same whoever asks, and runs without such a policy do not pay for it.
    """

    users: tuple[User, ...]
    lives: dict[str, Life]
    requests: Requests
    uploads: dict[str, Uploads]
    images: dict[str, Uploads]
    hosted: dict[str, Hosted]
    outages: dict[str, tuple[PoolOutage, ...]]
    idleness: Callable[[], IdleDraws]
    keeping: Callable[[], KeepDraws]


def draw_plan(federation: Federation, seed: int, replicate: int = 0) -> Plan:
    """Draw the plan of one replicate.

    Args:
        federation: The federation whose use cases, pools and applications are drawn for.
        seed: Seed of the experiment, in the name of every stream.
        replicate: Number of the replicate, likewise.

    Returns:
        The plan; the same for the same arguments, bit for bit.
    """
    streams = Streams(seed, replicate)
    lives = {name: draw_life(federation, name, streams) for name in federation.use_cases}
    users: list[User] = []
    draws, paths = [], []
    for name, use_case in federation.use_cases.items():
        for k, joined_h in enumerate(lives[name].users_join_h.tolist()):
            country = use_case.countries[k % len(use_case.countries)]
            clock = work_clock(
                country,
                federation.time_zones[country],
                federation.demand.rhythm,
                federation.calendar,
            )
            path = f"use_case/{name}/user/{k}"
            draws.append(draw_user(federation, lives[name], joined_h, clock, path, streams))
            users.append(User(f"{name}/{k}", name, country, joined_h))
            paths.append(path)
    requests = requests_of(federation, draws)
    uploads = {n: draw_uploads(federation, n, lives[n], streams) for n in lives}
    images = {n: draw_images(federation, n, lives[n], streams) for n in lives}
    hosted = {
        key: hosted
        for name, life in lives.items()
        for key, hosted in draw_hosted(federation, name, life.serving_h, streams).items()
    }
    return Plan(
        users=tuple(users),
        lives=lives,
        requests=requests,
        uploads=uploads,
        images=images,
        hosted=hosted,
        outages={n: draw_outages(federation, n, streams) for n in federation.pools},
        idleness=Once(partial(draw_idleness, streams, tuple(paths), requests)),
        keeping=Once(partial(
            draw_keeping, streams, tuple(paths), requests, uploads, images, hosted,
            federation.calendar.horizon_h,
        )),
    )  # fmt: skip


def share_deployed(federation: Federation, plan: Plan) -> tuple[list[float], list[float]]:
    """Return when and to what share of all use cases and applications have been deployed.

    A use case counts from the end of its first phase, its application from the day it is hosted.

    Returns:
        Ascending times in h and the share (0 to 1) reached at each.
    """
    times = [
        float(life.starts_h[np.argmax(life.phase > 0)]) if (life.phase > 0).any() else np.inf
        for life in plan.lives.values()
    ]
    times += [hosted.hosted_h for hosted in plan.hosted.values() if not hosted.called]
    times.sort()
    return times, [(i + 1) / len(times) for i in range(len(times))]
