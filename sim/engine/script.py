"""What the engine needs of each request, worked out for all of them at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.engine.pools import Shape
from sim.entities import Federation
from sim.errors import EngineError
from sim.plan.requests import Requests
from sim.policies.base import EducationPolicy, Inert
from sim.units import FloatArray, to_grid_h


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
        phase: Name of the phase that the use case was in.
        batch_draw: Uniform for whether the work could run as a batch job.
        share_draw: Uniform for whether it could run on a part of a GPU.
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
    phase: list[str]
    batch_draw: list[float]
    share_draw: list[float]


def script_of(requests: Requests, federation: Federation, education: EducationPolicy) -> Script:
    """Work out the script of the requests of a plan."""
    demand, names = federation.demand, list(federation.phases)
    last = requests.burst_first + requests.burst_count - 1
    forgotten = requests.forget_draw < _forget_frac(requests, federation, education)
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
        phase=[names[i] for i in requests.phase.tolist()],
        batch_draw=requests.batch_draw.tolist(),
        share_draw=requests.share_draw.tolist(),
    )


def _forget_frac(
    requests: Requests, federation: Federation, education: EducationPolicy
) -> FloatArray | float:
    """Return the probability to forget the release of each request, or of all of them.

    The day on which the work is asked for decides (assumed).
    """
    forget_frac = federation.demand.forget_frac
    if isinstance(education, Inert):
        return forget_frac
    days, of_request = np.unique(requests.arrival_h // 24.0, return_inverse=True)
    found = []
    for day in [federation.calendar.day_at(number * 24.0) for number in days.tolist()]:
        found.append(education.forget_frac(day, forget_frac))
        if not 0.0 <= found[-1] <= 1.0:
            raise EngineError(
                "an education policy gave an impossible probability",
                "policy.education",
                "a probability, from 0 to 1",
                found[-1],
            )
    return np.array(found, dtype=np.float64)[of_request]


def length_h(requests: Requests, request: int, first: int, slowdown: float) -> float:
    """Return the time from the start of burst `first` of a request to the end of its last, h."""
    before_h, burst_h, _ = course_of(requests, request, slowdown)
    return before_h[-1] + burst_h[-1] - before_h[first]


def course_of(
    requests: Requests, request: int, slowdown: float
) -> tuple[list[float], list[float], list[float]]:
    """Return how the work of a request goes on where computing takes `slowdown` times as long.

    Returns:
        Of each burst: the time from the start of the first one, its length and the pause after it,
        h. Pauses are the user's and stay what they are.
    """
    first = requests.burst_first[request]
    bursts = slice(first, first + requests.burst_count[request])
    burst_h, gap_h = requests.burst_h[bursts], requests.gap_h[bursts]
    before_h = requests.before_h[bursts]
    if slowdown != 1.0:
        burst_h = to_grid_h(burst_h * slowdown)
        before_h = np.cumsum(burst_h + gap_h) - (burst_h + gap_h)
    return before_h.tolist(), burst_h.tolist(), gap_h.tolist()
