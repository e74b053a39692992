"""Requests to one application as the kernels take them: sorted columns of whole ticks.

A tick is 2**-20 s (1 us); 225 ticks are one point of the engine's grid of 2**-24 h. All sums of
ticks are sums of integers: exact, whatever their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from sim.units import FloatArray, IntArray

TICKS_PER_S = 2**20
TICKS_PER_H = 3600 * TICKS_PER_S
NEVER = 2**62  # later than everything; the sum of two such still fits


class Outcome(IntEnum):
    """What became of a request."""

    WARM = 0
    COLD = 1
    TIMEOUT = 2
    REJECTED = 3


class Requests(NamedTuple):
    """Requests in order of arrival; shape (requests,), all in ticks.

    Args:
        arrival: When it comes.
        service: How long a replica computes for it; at least one tick.
        start: How long a new replica takes to start its container and to load its model.
        pull: How long its node would take to pull the image.
        boot: How long its node would take to boot.
    """

    arrival: IntArray
    service: IntArray
    start: IntArray
    pull: IntArray
    boot: IntArray


def ticks(seconds: FloatArray | float, least: int = 0) -> IntArray:
    """Round seconds to ticks, no less than `least`; any shape.

    >>> ticks(1.5).tolist()
    1572864
    """
    return np.maximum(np.rint(np.asarray(seconds) * TICKS_PER_S), least).astype(np.int64)


def requests(
    arrival_s: FloatArray,
    service_s: FloatArray | float,
    start_s: FloatArray | float = 0.0,
    pull_s: FloatArray | float = 0.0,
    boot_s: FloatArray | float = 0.0,
) -> Requests:
    """Return requests from seconds; a scalar stands for all of them.

    Args:
        arrival_s: Ascending, s; shape (requests,).
        service_s: Computing, s.
        start_s: Start of a container and its model, s.
        pull_s: Pull of an image, s.
        boot_s: Boot of a node, s.
    """
    shape = np.shape(arrival_s)
    parts = (service_s, 1), (start_s, 0), (pull_s, 0), (boot_s, 0)
    columns = [np.broadcast_to(ticks(s, least), shape) for s, least in parts]
    return Requests(ticks(arrival_s), *(np.ascontiguousarray(c) for c in columns))


def joined(parts: Sequence[Requests]) -> Requests:
    """Put requests one after another."""
    return Requests(*(np.concatenate(c) for c in zip(*(tuple(p) for p in parts), strict=True)))


def part_of(of: Requests, part: slice | IntArray) -> Requests:
    """Return some of the requests."""
    return Requests(*(column[part] for column in of))
