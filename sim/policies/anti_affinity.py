"""Placement away from what a user already holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.policies.base import PoolView, RequestView
from sim.policies.home_with_failover import home_of


@dataclass(frozen=True)
class AntiAffinity:
    """The fitting pool in which the user holds the fewest deployments: outages interrupt fewer.

    Of several it is the request's home if that is among them, else the one with the largest weight.
    """

    def place(self, request: RequestView, pools: Sequence[PoolView]) -> int | None:
        """Return the fitting pool with the fewest of the user's deployments."""
        home = home_of(request, pools)

        def rank(index: int) -> tuple[int, bool, float]:
            pool = pools[index]
            return request.held_in.count(pool.name), index != home, -pool.weight

        return min((i for i, pool in enumerate(pools) if pool.fits), key=rank, default=None)
