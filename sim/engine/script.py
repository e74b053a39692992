"""What the engine needs of each request, worked out for all of them at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.engine.pools import Shape
from sim.entities import Demand
from sim.plan.requests import Requests


class Line(NamedTuple):
    """One request; times in h.

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

    arrival_h: float
    user: int
    number: int
    shape: Shape
    returns: bool
    work_h: float
    forgotten: bool
    tail_h: float
    patience_h: float
    restart_h: float
    site_draw: float


def script_of(requests: Requests, demand: Demand) -> list[Line]:
    """Return the requests of a plan line by line, in order of arrival."""
    last = requests.burst_first + requests.burst_count - 1
    forgotten = requests.forget_draw < demand.forget_frac
    shapes = zip(
        requests.gpus.tolist(), requests.cores.tolist(), requests.ram_gb.tolist(), strict=True
    )
    columns = (
        requests.arrival_h.tolist(),
        requests.user.tolist(),
        requests.number.tolist(),
        shapes,
        (requests.reuse_draw < demand.reuse_frac).tolist(),
        (requests.before_h[last] + requests.burst_h[last]).tolist(),
        forgotten.tolist(),
        np.where(forgotten, requests.hold_h, requests.prompt_h).tolist(),
        requests.patience_h.tolist(),
        requests.restart_h.tolist(),
        requests.site_draw.tolist(),
    )
    return [Line(*row) for row in zip(*columns, strict=True)]
