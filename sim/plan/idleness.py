"""What decides how a policy and its user deal with an idle deployment; drawn only if needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.plan.requests import Requests
from sim.rng import Streams
from sim.units import FloatArray


@dataclass(frozen=True, eq=False)
class IdleDraws:
    """Uniforms on [0, 1) for every user and every burst of the plan.

    Args:
        exempt: One a user, shape (users,).
        detector: What a detector takes each burst, and the pause or tail after it, for; shape
            (bursts, 2).
        reaction: What the user does if warned during it, same shape.
        games: Whether a user who is interrupted again and again deceives the detector, one a user.
    """

    exempt: FloatArray
    detector: FloatArray
    reaction: FloatArray
    games: FloatArray


def draw_idleness(streams: Streams, paths: Sequence[str], requests: Requests) -> IdleDraws:
    """Draw for all users, each from streams of its own.

    Args:
        streams: The replicate's streams.
        paths: Path of each user's streams, in the order of the plan's users.
        requests: The plan's requests; a user's bursts lie together, users one after the other.
    """
    bursts = np.zeros(len(paths), dtype=np.int64)
    np.add.at(bursts, requests.user, requests.burst_count)

    def of_bursts(decision: str) -> FloatArray:
        drawn = [
            streams.stream(path, decision).random((count, 2))
            for path, count in zip(paths, bursts.tolist(), strict=True)
        ]
        return np.concatenate([np.empty((0, 2)), *drawn])

    def of_users(decision: str) -> FloatArray:
        return np.array([streams.stream(path, decision).random() for path in paths])

    return IdleDraws(
        exempt=of_users("idle_exempt"),
        detector=of_bursts("idle_detector"),
        reaction=of_bursts("idle_reaction"),
        games=of_users("idle_games"),
    )
