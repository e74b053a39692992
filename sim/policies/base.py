"""What a policy sees and answers: one narrow protocol per kind of decision.

A policy is a frozen dataclass of parameters with one method. It sees a frozen view (a named tuple:
built millions of times), returns a
value and never acts; the engine validates the answer. A new policy is one Python file beside this
one and one YAML file in `conf/policy/<kind>/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, Protocol, runtime_checkable


class RequestView(NamedTuple):
    """A request as a policy sees it.

    Args:
        user: Index of the user.
        gpus: GPUs asked for.
        cores: Cores asked for.
        gpus_held: GPUs the user holds at this moment.
        day: The UTC day, for dated policies.
        site_draw: Uniform on [0, 1) drawn for the choice of a home pool.
    """

    user: int
    gpus: int
    cores: int
    gpus_held: int
    day: date
    site_draw: float


class PoolView(NamedTuple):
    """A pool as a placement policy sees it.

    Args:
        name: Name of the pool.
        weight: Its relative weight as a home.
        gpus: GPUs of its nodes.
        cores: Cores of its nodes. gpus_held, cores_held: In use.
        fits: Whether the request fits on one of its nodes now.
    """

    name: str
    weight: float
    gpus: int
    cores: int
    gpus_held: int
    cores_held: int
    fits: bool


@runtime_checkable
class AdmissionPolicy(Protocol):
    """Decides whether a request may start now."""

    def admits(self, request: RequestView) -> bool:
        """Return whether the request may start; if not, it waits until its user releases."""
        ...


@runtime_checkable
class PlacementPolicy(Protocol):
    """Chooses the pool of a request."""

    def place(self, request: RequestView, pools: Sequence[PoolView]) -> int | None:
        """Return the index of a pool that fits, or None to let the request wait."""
        ...


@dataclass(frozen=True)
class Policies:
    """One policy of each kind, as a scenario composes them."""

    admission: AdmissionPolicy
    placement: PlacementPolicy
