"""Placement in the order the pools are written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.policies.base import PoolView, RequestView


@dataclass(frozen=True)
class FirstFit:
    """The first pool with room, in the order of the federation's file."""

    def place(self, request: RequestView, pools: Sequence[PoolView]) -> int | None:
        """Return the first pool that fits."""
        return next((i for i, pool in enumerate(pools) if pool.fits), None)
