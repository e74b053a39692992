"""Placement where the smallest share of the scarce resource is in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.policies.base import PoolView, RequestView


@dataclass(frozen=True)
class LeastLoaded:
    """The fitting pool with the smallest share of GPUs (or cores) in use; ties: the first."""

    def place(self, request: RequestView, pools: Sequence[PoolView]) -> int | None:
        """Return the least loaded pool that fits."""
        fitting = [i for i, pool in enumerate(pools) if pool.fits]
        return min(fitting, key=lambda i: _load(request, pools[i]), default=None)


def _load(request: RequestView, pool: PoolView) -> float:
    if request.gpus:
        return pool.gpus_held / pool.gpus
    return pool.cores_held / pool.cores
