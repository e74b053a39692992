"""What a policy sees and answers: one narrow protocol per kind of decision.

A policy is a frozen dataclass of parameters with one method. It sees a frozen view (a named tuple:
built millions of times), returns a value and never acts; the engine validates the answer. A new
policy is one Python file beside this one and one YAML file in `conf/policy/<kind>/`. The kinds that
are asked once for a whole run (storage, education) see and answer arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from math import inf
from typing import NamedTuple, Protocol, runtime_checkable

from sim.applications import Application
from sim.entities import StoreRole
from sim.units import FloatArray, IntArray


class Inert:
    """Marks a policy that never acts: a run with it is a run as if its kind did not exist."""


class RequestView(NamedTuple):
    """A request as a policy sees it.

    Args:
        user: Index of the user.
        gpus: GPUs asked for; a fraction where a GPU is shared.
        cores: Cores asked for.
        gpus_held: GPUs the user holds at this moment.
        day: The UTC day, for dated policies.
        site_draw: Uniform on [0, 1) drawn for the choice of a home pool.
        phase: Name of the phase in which the use case was when the request was first made.
        batch_draw: Uniform on [0, 1): whether this work could run as a batch job.
        share_draw: Uniform on [0, 1): whether this work could run on a part of a GPU.
        held_in: Names of the pools in which the user holds deployments at this moment, one for
            each deployment.
    """

    user: int
    gpus: float
    cores: int
    gpus_held: float
    day: date
    site_draw: float
    phase: str = ""
    batch_draw: float = 0.0
    share_draw: float = 0.0
    held_in: tuple[str, ...] = ()


class Terms(NamedTuple):
    """On what terms a request is admitted; the default is for as long as the user likes.

    Args:
        lifetime_h: How long a deployment may be held at most, h, above 0; work that is left asks
            again. A burst that is cut is lost the first time; from then on what was computed of it
            is kept (its user has begun to write checkpoints: assumed), so that all work ends.
        pause_h: If finite, a batch job: it ends at the first pause longer than this, h, or with
            its work, nobody re-uses it, and what is left comes back as a new job when it is due.
        setup_h: What the user needs in the next deployment before work that was left goes on, h.
    """

    lifetime_h: float = inf
    pause_h: float = inf
    setup_h: float = 0.0


NO_TERMS = Terms()


class Share(NamedTuple):
    """What a request gets instead of the whole GPUs that it asked for.

    Args:
        gpus: GPUs that it holds, no more than it asked for: a whole number, or a part of one GPU
            that is a multiple of 1/64, so that sums are exact.
        slowdown: How many times as long its computing takes; at least 1.
    """

    gpus: float
    slowdown: float = 1.0


class NodeView(NamedTuple):
    """An empty node as a nodes policy sees it, when it becomes so or joins.

    Who is empty before the policy's `from_day` is seen as on that day. A node of a serving cluster
    is seen once, when it joins or on that day: the answer then holds whenever it is empty.

    Args:
        pool: Name of its pool or cluster.
        gpus: Its GPUs. cores: Its cores.
        serves: Whether it is a node of a serving cluster (else of a pool for deployments).
        day: The UTC day, for dated policies.
        hour: Hours since midnight UTC of that day, at least 0 and below 24.
    """

    pool: str
    gpus: int
    cores: int
    serves: bool
    day: date
    hour: float


class SwitchOff(NamedTuple):
    """When a node that stays empty leaves the site's accounting, and what it takes to get it back.

    Args:
        after_h: For how long it is empty before, h; not negative. Who was empty before `from_day`
            counts as empty since then.
        boot_h: Time until it can be used again once it is wanted, h; not negative. A cluster with a
            `scaling` of its own boots as that says.
    """

    after_h: float
    boot_h: float = 0.0


class FilesView(NamedTuple):
    """All files brought to the stores of one role, in order of time; arrays of one shape.

    Args:
        role: What the stores keep.
        time_h: When each was brought, h since the start.
        use_case: Index of the use case that brought it.
        amount_tb: How much, TB.
        day_h: Maps a UTC day to h since the start.
        keep_draw: Uniform on [0, 1) for each: whether it is needed for longer.
    """

    role: StoreRole
    time_h: FloatArray
    use_case: IntArray
    amount_tb: FloatArray
    day_h: Callable[[date], float]
    keep_draw: FloatArray


class Kept(NamedTuple):
    """How long files are kept, and whether volumes follow them.

    Args:
        until_h: Until when each file is kept, h since the start, shape of `FilesView.time_h`; inf
            for ever. A file whose time is not after it was brought is refused: never stored.
        shrinks: Whether a volume is cut, at the beginning of each month, to the steps that what is
            in it needs then, but never below its first size; otherwise it never shrinks.
    """

    until_h: FloatArray
    shrinks: bool = False


class PoolView(NamedTuple):
    """A pool as a placement policy sees it.

    Args:
        name: Name of the pool.
        weight: Its relative weight as a home.
        gpus: GPUs of its nodes, whether they are on or off.
        cores: Cores of its nodes. gpus_held, cores_held: In use.
        fits: Whether the request fits on one of its nodes now.
    """

    name: str
    weight: float
    gpus: int
    cores: int
    gpus_held: float
    cores_held: int
    fits: bool


class IdleView(NamedTuple):
    """A stretch of a deployment's time as an idle policy sees it at the moment it begins.

    A stretch is a burst of computing, a pause between two, or the tail after the last. All draws
    are the plan's: uniforms on [0, 1), the same under every policy.

    Args:
        user: Index of the user.
        gpus: GPUs that the deployment holds; a fraction where a GPU is shared.
        cores: Cores that it holds.
        day: The UTC day on which the stretch begins, for dated policies.
        hour: Hours since midnight UTC of that day, at least 0 and below 24.
        held_h: How long the deployment has been held, h.
        computing: What is true: whether it computes; what a detector sees may differ.
        exempt_draw: Whether the user is exempt; one draw a user.
        detector_draw: What the detector takes the stretch for.
        reaction_draw: What the user does when warned.
        interruptions: How often the user's deployments had been released as idle, other than by
            himself after a warning, when the work began to which the stretch belongs.
        games_draw: Whether a user who is interrupted again and again learns to deceive the
            detector; one draw a user.
    """

    user: int
    gpus: float
    cores: int
    day: date
    hour: float
    held_h: float
    computing: bool
    exempt_draw: float
    detector_draw: float
    reaction_draw: float
    interruptions: int = 0
    games_draw: float = 0.0


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
    """Decides whether a request may start now, and on what terms."""

    def admits(self, request: RequestView) -> Terms | None:
        """Return on what terms the request may start; None: it waits until its user releases.

        Terms are those of the day on which a deployment starts, and stay with it.
        """
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
    def from_day(self) -> date:
        """From when on it may act, UTC; stretches that end before are not asked about."""
        ...

    @property
    def shortest_h(self) -> float:
        """No stretch of so many hours or fewer is ever acted on; such ones are not asked about."""
        ...

    def release(self, idle: IdleView) -> IdleRelease | None:
        """Return when the deployment is released, seen from the stretch's beginning; None: never.

        Nothing happens if the stretch ends by then.
        """
        ...


@runtime_checkable
class SharingPolicy(Protocol):
    """Decides whether a request gets a part of a GPU instead of a whole one.

    It is asked whenever a request with GPUs is made, also for what is left of cut work.
    """

    def share(self, request: RequestView) -> Share | None:
        """Return what the request gets instead; None for what it asked for."""
        ...


@runtime_checkable
class NodesPolicy(Protocol):
    """Decides when empty nodes are switched off: no polling."""

    @property
    def from_day(self) -> date:
        """From when on it is in force, UTC."""
        ...

    def switch_off(self, node: NodeView) -> SwitchOff | None:
        """Return when a node that became empty is switched off if it stays so; None: never."""
        ...


@runtime_checkable
class ServingPolicy(Protocol):
    """Sets how applications scale."""

    @property
    def from_day(self) -> date:
        """From when on it is in force, UTC."""
        ...

    def settings(self, application: Application) -> Application:
        """Return the application as it scales from that day on; what it computes stays."""
        ...


@runtime_checkable
class StoragePolicy(Protocol):
    """Decides how long files are kept; asked once about all files of a role."""

    def keep(self, files: FilesView) -> Kept:
        """Return until when each file is kept."""
        ...


@runtime_checkable
class EducationPolicy(Protocol):
    """Changes how often users forget to release; asked once for each day on which any ask."""

    def forget_frac(self, day: date, forget_frac: float) -> float:
        """Return the probability to forget on a day, from the one without the policy."""
        ...


@dataclass(frozen=True)
class Policies:
    """One policy of each kind, as a scenario composes them."""

    admission: AdmissionPolicy
    placement: PlacementPolicy
    idle: IdlePolicy
    sharing: SharingPolicy
    nodes: NodesPolicy
    serving: ServingPolicy
    storage: StoragePolicy
    education: EducationPolicy
