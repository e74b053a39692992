"""Invocations of applications as the kernels take them: sorted columns of whole ticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.ticks import ticks
from sim.units import FloatArray, IntArray


class Calls(NamedTuple):
    """Requests to one application in order of arrival; shape (requests,), times in ticks.

    Args:
        arrival: When it comes.
        service: How long a replica computes for it; at least one tick.
        start: How long a new replica takes to start its container and to load its model.
        pull: How long its node would take to pull the image.
        boot: How long its node would take to boot.
        fails: How many attempts fail before one succeeds; below zero: how many are made, all of
            which fail.
    """

    arrival: IntArray
    service: IntArray
    start: IntArray
    pull: IntArray
    boot: IntArray
    fails: IntArray


NO_CALLS = Calls._make([np.empty(0, np.int64)] * len(Calls._fields))


def calls(
    arrival_s: FloatArray,
    service_s: FloatArray | float,
    start_s: FloatArray | float = 0.0,
    pull_s: FloatArray | float = 0.0,
    boot_s: FloatArray | float = 0.0,
) -> Calls:
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
    return Calls._make([ticks(arrival_s), *columns, np.zeros(shape, np.int64)])


def joined(parts: Sequence[Calls]) -> Calls:
    """Put requests one after another."""
    return Calls._make(np.concatenate(c) for c in zip(*parts, strict=True))


def part_of(of: Calls, part: slice | IntArray | NDArray[np.bool_]) -> Calls:
    """Return some of the requests."""
    return Calls._make(column[part] for column in of)
