"""What a policy sees and answers: one narrow protocol per kind of decision.

A policy is a frozen dataclass of parameters with one method. It sees a frozen view (a named tuple:
built millions of times), returns a value and never acts; the engine validates the answer. A new
policy is one Python file beside this one and one YAML file in `conf/policy/<kind>/`.
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


class IdleView(NamedTuple):
    """A stretch of a deployment's time as an idle policy sees it at the moment it begins.

    A stretch is a burst of computing, a pause between two, or the tail after the last. All draws
    are the plan's: uniforms on [0, 1), the same under every policy.

    Args:
        user: Index of the user.
        gpus: GPUs that the deployment holds.
        cores: Cores that it holds.
        day: The UTC day on which the stretch begins, for dated policies.
        hour: Hours since midnight UTC of that day, at least 0 and below 24.
        held_h: How long the deployment has been held, h.
        computing: What is true: whether it computes; what a detector sees may differ.
        exempt_draw: Whether the user is exempt; one draw a user.
        detector_draw: What the detector takes the stretch for.
        reaction_draw: What the user does when warned.
    """

    user: int
    gpus: int
    cores: int
    day: date
    hour: float
    held_h: float
    computing: bool
    exempt_draw: float
    detector_draw: float
    reaction_draw: float


class IdleRelease(NamedTuple):
    """When a deployment is released if its stretch lasts longer, and what that costs its user.

    Args:
        after_h: Time from the beginning of the stretch to the release, h; not negative.
        by_user: Whether the user releases it, having been warned.
        setup_h: What the user needs in a new deployment before work that was left goes on, h.
    """

    after_h: float
    by_user: bool = False
    setup_h: float = 0.0


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


@runtime_checkable
class IdlePolicy(Protocol):
    """Decides when a deployment is taken from a user who does not compute: no polling."""

    @property
    def shortest_h(self) -> float:
        """No stretch of so many hours or fewer is ever acted on; such ones are not asked about."""
        ...

    def release(self, idle: IdleView) -> IdleRelease | None:
        """Return when the deployment is released, seen from the stretch's beginning; None: never.

        Nothing happens if the stretch ends by then.
        """
        ...


@dataclass(frozen=True)
class Policies:
    """One policy of each kind, as a scenario composes them."""

    admission: AdmissionPolicy
    placement: PlacementPolicy
    idle: IdlePolicy
