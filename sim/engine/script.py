"""What the engine needs of each request, worked out for all of them at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.engine.pools import Shape
from sim.entities import Demand
from sim.plan.requests import Requests


@dataclass(frozen=True, eq=False)
class Script:
    """The requests of a plan in order of arrival, a list for each column; times in h.

    Args:
        arrival_h: When the user asks.
        user: Index of the user.
        number: Running number among the user's requests.
        shape: GPUs, cores and GB of memory.
        returns: Whether the user goes back to a deployment that sits idle, if there is one.
        work_h: From the start of the first burst to the end of the last.
        forgotten: Whether the user forgets to release.
        tail_h: From the end of the last burst to the release.
        patience_h: How long the user waits.
        restart_h: Pause before asking again after a kill.
        site_draw: Uniform that picks the home pool.
    """

    arrival_h: list[float]
    user: list[int]
    number: list[int]
    shape: list[Shape]
    returns: list[bool]
    work_h: list[float]
    forgotten: list[bool]
    tail_h: list[float]
    patience_h: list[float]
    restart_h: list[float]
    site_draw: list[float]


def script_of(requests: Requests, demand: Demand) -> Script:
    """Work out the script of the requests of a plan."""
    last = requests.burst_first + requests.burst_count - 1
    forgotten = requests.forget_draw < demand.forget_frac
    shapes = (requests.gpus.tolist(), requests.cores.tolist(), requests.ram_gb.tolist())
    return Script(
        arrival_h=requests.arrival_h.tolist(),
        user=requests.user.tolist(),
        number=requests.number.tolist(),
        shape=list(zip(*shapes, strict=True)),
        returns=(requests.reuse_draw < demand.reuse_frac).tolist(),
        work_h=(requests.before_h[last] + requests.burst_h[last]).tolist(),
        forgotten=forgotten.tolist(),
        tail_h=np.where(forgotten, requests.hold_h, requests.prompt_h).tolist(),
        patience_h=requests.patience_h.tolist(),
        restart_h=requests.restart_h.tolist(),
        site_draw=requests.site_draw.tolist(),
    )
