"""Placement at a home pool drawn by weight, elsewhere only when home is full or out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from sim.policies.base import PoolView, RequestView

_WEIGHT = attrgetter("weight")


def home_of(request: RequestView, pools: Sequence[PoolView]) -> int:
    """Return the index of the pool that the plan's own uniform picks by weight."""
    mark, reached = request.site_draw * sum(map(_WEIGHT, pools)), 0.0
    for index, pool in enumerate(pools):
        reached += pool.weight
        if mark < reached:
            return index
    return len(pools) - 1  # the sum was rounded


@dataclass(frozen=True)
class HomeWithFailover:
    """Each request has a home, picked by the pools' weights with the plan's own uniform.

    If home has no room, the fitting pool with the largest weight takes the request.
    """

    def place(self, request: RequestView, pools: Sequence[PoolView]) -> int | None:
        """Return the home pool, or the heaviest pool that fits."""
        home = home_of(request, pools)
        if pools[home].fits:
            return home
        fitting = [i for i, pool in enumerate(pools) if pool.fits]
        return max(fitting, key=lambda i: pools[i].weight, default=None)
