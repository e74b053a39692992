"""Files that use cases bring: data sets uploaded phase by phase, images pushed to a registry."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sim.distributions import lognormal
from sim.entities import Federation
from sim.plan.phases import Life, draw_life
from sim.rng import Streams
from sim.units import GB_PER_TB, MONTH_H, FloatArray, to_grid_h


@dataclass(frozen=True, eq=False)
class Uploads:
    """Uploads of one use case, in order of time.

    Args:
        time_h: When a batch arrives, h since the start, shape (batches,).
        amount_tb: Its size in TB.
        catch_up_h: How long after a migration it follows if it did not fit before.
    """

    time_h: FloatArray
    amount_tb: FloatArray
    catch_up_h: FloatArray


def draw_uploads(federation: Federation, name: str, life: Life, streams: Streams) -> Uploads:
    """Draw the data set of a use case and the batches in which it is uploaded."""
    files, path = federation.files, f"use_case/{name}"
    normal = streams.stream(path, "dataset_size").standard_normal(1)
    weight = federation.use_cases[name].dataset_weight
    size_tb = float(lognormal(files.dataset_tb * weight, files.dataset_sigma, normal)[0])
    times = _batch_times(federation, life, streams.stream(path, "upload_times"))
    phases = list(federation.phases.values())
    piece = np.clip(np.searchsorted(life.starts_h, times, side="right") - 1, 0, None)
    planned = life
    if federation.delay is not None:
        planned = draw_life(replace(federation, delay=None), name, streams)
    length = _piece_months(federation, life, planned)[piece]
    share = np.array([p.data_frac for p in phases])[life.phase[piece]]
    jitter = streams.stream(path, "upload_sizes").standard_exponential(len(times))
    amount = size_tb * share / (length * files.uploads_per_month) * jitter
    normals = streams.stream(path, "catch_up").standard_normal(len(times))
    catch_up = lognormal(files.catch_up_months * MONTH_H, files.catch_up_sigma, normals)
    return Uploads(times, amount, to_grid_h(catch_up))


def draw_images(federation: Federation, name: str, life: Life, streams: Streams) -> Uploads:
    """Draw the container images a use case pushes to the registry, the more the more it works."""
    files, path = federation.files, f"use_case/{name}"
    times = _batch_times(federation, life, streams.stream(path, "image_times"))
    normals = streams.stream(path, "image_sizes").standard_normal(len(times))
    gb = lognormal(files.images_gb_per_month / files.uploads_per_month, files.images_sigma, normals)
    intensity = np.array([p.intensity for p in federation.phases.values()])
    piece = np.clip(np.searchsorted(life.starts_h, times, side="right") - 1, 0, None)
    gb = gb * intensity[life.phase[piece]]
    return Uploads(times, gb / GB_PER_TB, np.zeros(len(times)))


def _batch_times(federation: Federation, life: Life, stream: np.random.Generator) -> FloatArray:
    """Return the times of a Poisson process from the first day to the horizon, in h."""
    first, horizon_h = max(float(life.starts_h[0]), 0.0), federation.calendar.horizon_h
    mean_h, blocks, reached = MONTH_H / federation.files.uploads_per_month, [], first
    while reached < horizon_h:
        block = reached + np.cumsum(stream.standard_exponential(64)) * mean_h
        blocks.append(block)
        reached = float(block[-1])
    times = to_grid_h(np.concatenate(blocks)) if blocks else np.empty(0)
    return times[times < horizon_h]


def _piece_months(federation: Federation, life: Life, planned: Life) -> FloatArray:
    """Return the months over which each piece's share of the data set is spread, as planned."""
    phases = list(federation.phases)
    serving = phases.index(federation.serving_phase)
    ends = np.append(planned.starts_h[1:], np.inf)
    months = np.zeros(len(phases))
    for code, start, end in zip(planned.phase, planned.starts_h, ends, strict=True):
        if start < planned.serving_h:
            months[code] += (end - start) / MONTH_H
    months[serving] = 12.0  # an open phase: its share is a year's
    spread = months[life.phase]
    return np.where(life.starts_h >= life.serving_h, 12.0, np.maximum(spread, 1e-9))
