"""What a sharing policy says of a request, checked."""

from __future__ import annotations

from math import isfinite

from sim.engine.pools import Shape
from sim.errors import EngineError
from sim.policies.base import RequestView, SharingPolicy


def shared(policy: SharingPolicy, view: RequestView, shape: Shape) -> tuple[Shape, float]:
    """Ask what a request gets.

    Args:
        policy: Whom to ask.
        view: The request with all the GPUs that it wants.
        shape: What it wants. Its cores and memory stay what they are.

    Returns:
        What it gets, and how many times as long computing takes there.

    Raises:
        EngineError: When that cannot be had, or could not be summed exactly.
    """
    said = policy.share(view)
    if said is None:
        return shape, 1.0
    gpus, slowdown = said
    exact = 0.0 < gpus <= shape[0] and (gpus * 64.0).is_integer()
    if not (exact and (gpus < 1.0 or float(gpus).is_integer())):
        raise EngineError(
            "a sharing policy gave an impossible part",
            "policy.sharing",
            f"a multiple of 1/64 below 1 GPU, or whole GPUs, at most {shape[0]}",
            gpus,
        )
    if not (isfinite(slowdown) and slowdown >= 1.0):
        raise EngineError(
            "a sharing policy gave an impossible slowdown",
            "policy.sharing",
            "a finite number, at least 1",
            slowdown,
        )
    return (gpus, *shape[1:]), slowdown
