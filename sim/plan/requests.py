"""Requests for deployments: when each user asks, for what, and how the work inside goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.distributions import choice, exponential, geometric, lognormal
from sim.entities import Demand, Federation
from sim.plan.phases import Life
from sim.plan.rhythm import WorkClock
from sim.rng import Streams
from sim.units import WEEK_H, FloatArray, IntArray, to_grid_h

MAX_GAP_H = 14 * 24.0  # assumed: after a fortnight's pause a user starts anew


@dataclass(frozen=True, eq=False)
class Requests:
    """Requests in order of arrival; all arrays of shape (requests,) but the bursts.

    Args:
        arrival_h: When the user asks, h since the start.
        user: Index of the user.
        number: Running number among the user's requests, from 0.
        phase: Index of the phase the use case was in.
        gpus: Whole GPUs asked for.
        cores: Reserved cores.
        ram_gb: Memory in GB.
        burst_first: Index of the first burst.
        burst_count: Number of bursts (at least 1).
        site_draw: Uniform that picks the home pool.
        reuse_draw: Uniform for the re-use of a held deployment.
        forget_draw: Uniform against which the probability to forget is held.
        hold_h: How long the deployment is held if forgotten.
        prompt_h: How long if not.
        patience_h: How long the user waits in the queue.
        restart_h: Pause before a killed deployment is asked for again.
        batch_draw: Uniform for whether the work could run as a batch job.
        share_draw: Uniform for whether it could run on a part of a GPU.
        burst_h: Length of each burst, shape (bursts,).
        gap_h: Pause after each burst.
        before_h: Time from the first burst's start to each burst's start, shape (bursts,).
    """

    arrival_h: FloatArray
    user: IntArray
    number: IntArray
    phase: IntArray
    gpus: IntArray
    cores: IntArray
    ram_gb: IntArray
    burst_first: IntArray
    burst_count: IntArray
    site_draw: FloatArray
    reuse_draw: FloatArray
    forget_draw: FloatArray
    hold_h: FloatArray
    prompt_h: FloatArray
    patience_h: FloatArray
    restart_h: FloatArray
    batch_draw: FloatArray
    share_draw: FloatArray
    burst_h: FloatArray
    gap_h: FloatArray
    before_h: FloatArray

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.arrival_h)


_UNIFORM = (
    "gpu", "gpu_count", "cores", "site", "reuse", "forget", "prompt", "patience", "restart",
    "batch", "share",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class UserDraws:
    """What is drawn for the requests of one user, before it is turned into values.

    Args:
        arrival_h: When the user asks, h since the start, ascending, shape (requests,).
        phase: Index of the phase the use case is in, same shape.
        bursts: Number of bursts of each, same shape.
        uniform: Uniforms by decision (`_UNIFORM`), same shape each.
        hold: Standard normals, same shape.
        burst_length: Standard normals, shape (bursts,).
        gap_length: Standard normals, shape (bursts,).
    """

    arrival_h: FloatArray
    phase: IntArray
    bursts: IntArray
    uniform: dict[str, FloatArray]
    hold: FloatArray
    burst_length: FloatArray
    gap_length: FloatArray


def draw_user(
    federation: Federation,
    life: Life,
    joined_h: float,
    clock: WorkClock,
    path: str,
    streams: Streams,
) -> UserDraws:
    """Draw for all requests of one user, from the user's own streams.

    Args:
        federation: The federation.
        life: The life of the user's use case.
        joined_h: When the user joined, h.
        clock: The user's working hours.
        path: Path of the user's streams.
        streams: The replicate's streams.
    """
    arrival, piece = _arrivals(federation, life, joined_h, clock, path, streams)
    count = len(arrival)
    uniform = streams.stream(path, "burst_count").random(count)
    bursts = geometric(federation.demand.bursts_mean, uniform)
    total = int(bursts.sum())
    return UserDraws(
        arrival_h=arrival,
        phase=life.phase[piece],
        bursts=bursts,
        uniform={name: streams.stream(path, name).random(count) for name in _UNIFORM},
        hold=streams.stream(path, "hold").standard_normal(count),
        burst_length=streams.stream(path, "burst_length").standard_normal(total),
        gap_length=streams.stream(path, "gap_length").standard_normal(total),
    )


def requests_of(federation: Federation, draws: Sequence[UserDraws]) -> Requests:
    """Turn what was drawn for each user into the requests of all, in order of arrival.

    Ties go by user, then by number.
    """
    demand, kinds = federation.demand, list(federation.phases.values())
    uniform = {name: np.concatenate([d.uniform[name] for d in draws]) for name in _UNIFORM}
    phase = np.concatenate([d.phase for d in draws])
    bursts = np.concatenate([d.bursts for d in draws])
    counts = np.array([len(d.arrival_h) for d in draws])
    wants_gpu = uniform["gpu"] < np.array([k.gpu_frac for k in kinds])[phase]
    scale = np.array([k.work_scale for k in kinds])[phase]
    hold = np.concatenate([d.hold for d in draws])
    burst_h, gap_h, before_h = _bursts(demand, bursts, scale, draws)
    columns = {
        "arrival_h": np.concatenate([d.arrival_h for d in draws]),
        "user": np.repeat(np.arange(len(draws)), counts),
        "number": np.arange(len(phase)) - np.repeat(np.cumsum(counts) - counts, counts),
        "phase": phase,
        "gpus": np.where(wants_gpu, choice(demand.gpus, uniform["gpu_count"]), 0),
        "cores": choice(demand.cores, uniform["cores"]),
        "ram_gb": np.full(len(phase), demand.ram_gb, dtype=np.int64),
        "burst_first": np.cumsum(bursts) - bursts,
        "burst_count": bursts,
        "site_draw": uniform["site"],
        "reuse_draw": uniform["reuse"],
        "forget_draw": uniform["forget"],
        "batch_draw": uniform["batch"],
        "share_draw": uniform["share"],
        "hold_h": to_grid_h(lognormal(demand.hold_h, demand.hold_sigma, hold)),
        "prompt_h": to_grid_h(exponential(demand.prompt_delay_h, uniform["prompt"])),
        "patience_h": to_grid_h(exponential(demand.patience_h, uniform["patience"])),
        "restart_h": to_grid_h(exponential(demand.restart_delay_h, uniform["restart"])),
    }
    order = np.lexsort((columns["number"], columns["user"], columns["arrival_h"]))
    in_order = {name: column[order] for name, column in columns.items()}
    return Requests(**in_order, burst_h=burst_h, gap_h=gap_h, before_h=before_h)


def _arrivals(
    federation: Federation,
    life: Life,
    joined_h: float,
    clock: WorkClock,
    path: str,
    streams: Streams,
) -> tuple[FloatArray, IntArray]:
    """Draw arrivals by time change: unit-rate gaps laid on the user's cumulative intensity."""
    horizon = federation.calendar.horizon_h
    bounds = np.append(life.starts_h, horizon)
    bounds = np.minimum(np.maximum(bounds, max(joined_h, 0.0)), horizon)
    effective = clock.effective_at(bounds)
    rate = life.rate * federation.demand.requests_per_user_week / WEEK_H
    gained = np.concatenate([[0.0], np.cumsum(rate * np.diff(effective))])
    targets = _unit_arrivals(streams.stream(path, "arrivals"), float(gained[-1]))
    piece = np.searchsorted(gained, targets, side="right") - 1
    piece = np.minimum(piece, len(rate) - 1)
    at = effective[piece] + (targets - gained[piece]) / np.where(rate[piece] > 0, rate[piece], 1.0)
    arrival = to_grid_h(clock.time_at(at))
    inside = arrival < horizon
    return arrival[inside], piece[inside]


def _unit_arrivals(stream: np.random.Generator, total: float) -> FloatArray:
    """Return the points of a unit-rate Poisson process below `total`, ascending."""
    blocks, reached = [], 0.0
    while reached < total:
        block = reached + np.cumsum(stream.standard_exponential(64))
        blocks.append(block)
        reached = float(block[-1])
    points = np.concatenate(blocks) if blocks else np.empty(0)
    return points[points < total]


def _bursts(
    demand: Demand, counts: IntArray, scale: FloatArray, draws: Sequence[UserDraws]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    lengths = lognormal(
        demand.burst_h * np.repeat(scale, counts),
        demand.burst_sigma,
        np.concatenate([d.burst_length for d in draws]),
    )
    normals = np.concatenate([d.gap_length for d in draws])
    gaps = lognormal(demand.gap_h, demand.gap_sigma, normals)
    lengths, gaps = to_grid_h(lengths), to_grid_h(np.minimum(gaps, MAX_GAP_H))
    last = np.cumsum(counts) - 1
    gaps[last] = 0.0
    ends = np.cumsum(lengths + gaps)
    starts = ends - lengths - gaps
    return lengths, gaps, starts - np.repeat(starts[last - counts + 1], counts)
