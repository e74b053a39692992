"""Which files are still needed when a storage policy would delete them; drawn only if needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim.plan.hosting import Hosted
from sim.plan.requests import Requests
from sim.plan.uploads import Uploads
from sim.rng import Streams
from sim.units import FloatArray


@dataclass(frozen=True, eq=False)
class KeepDraws:
    """Uniforms on [0, 1): the same whatever a policy does to deployments and files.

    Args:
        uploads: One a batch of data, by use case.
        images: One a batch of images, by use case.
        requests: One a request, for the checkpoints of all deployments that were started for it;
            shape (requests,).
        answers: One an hour, for the files that the answers given in it leave, by key in
            `Plan.hosted`; place k is for the hour that ends at k; shape (hours + 1,).
    """

    uploads: dict[str, FloatArray]
    images: dict[str, FloatArray]
    requests: FloatArray
    answers: dict[str, FloatArray]


def draw_keeping(
    streams: Streams,
    paths: Sequence[str],
    requests: Requests,
    uploads: Mapping[str, Uploads],
    images: Mapping[str, Uploads],
    hosted: Mapping[str, Hosted],
    horizon_h: float,
) -> KeepDraws:
    """Draw for all files that there may be, each use case and user from streams of its own.

    Args:
        streams: The replicate's streams.
        paths: Path of each user's streams, in the order of the plan's users.
        requests: The plan's requests.
        uploads: The plan's data, by use case.
        images: The plan's images, by use case.
        hosted: The plan's applications.
        horizon_h: End of the simulated time, h.
    """
    count = np.bincount(requests.user, minlength=len(paths))
    by_user = _drawn(streams, zip(paths, count.tolist(), strict=True), "checkpoint_keep")
    first = np.cumsum(count) - count
    hours = int(horizon_h) + 1
    return KeepDraws(
        uploads=_of_batches(streams, uploads, "upload_keep"),
        images=_of_batches(streams, images, "image_keep"),
        requests=np.concatenate([np.empty(0), *by_user])[first[requests.user] + requests.number],
        answers={
            key: streams.stream(
                f"use_case/{h.use_case}/application/{h.application}", "answers_keep"
            ).random(hours)
            for key, h in hosted.items()
        },
    )


def _of_batches(
    streams: Streams, brought: Mapping[str, Uploads], decision: str
) -> dict[str, FloatArray]:
    counts = [(f"use_case/{name}", len(batches.time_h)) for name, batches in brought.items()]
    return dict(zip(brought, _drawn(streams, counts, decision), strict=True))


def _drawn(streams: Streams, counts: Iterable[tuple[str, int]], decision: str) -> list[FloatArray]:
    return [streams.stream(path, decision).random(count) for path, count in counts]
