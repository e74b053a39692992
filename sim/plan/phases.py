"""The life of each use case: phases, retraining spells, users joining, models, hosting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.distributions import exponential, lognormal
from sim.entities import Federation, UseCase
from sim.rng import Streams
from sim.units import MONTH_H, YEAR_H, FloatArray, IntArray, to_grid_h


@dataclass(frozen=True, eq=False)
class Life:
    """The life of one use case.

    Args:
        starts_h: Beginning of each piece of life in h since the start, ascending, shape (pieces,).
        phase: Index into the federation's phases of each piece, shape (pieces,).
        rate: Intensity of each piece times the factor of its era, shape (pieces,).
        users_join_h: When each user joins, in h, shape (users,).
        models_h: When each model is finished, in h, ascending.
        serving_h: When serving begins, in h (may lie beyond the horizon).
    """

    starts_h: FloatArray
    phase: IntArray
    rate: FloatArray
    users_join_h: FloatArray
    models_h: FloatArray
    serving_h: float


def draw_life(federation: Federation, name: str, streams: Streams) -> Life:
    """Draw the life of use case `name` from its own streams."""
    use_case = federation.use_cases[name]
    path = f"use_case/{name}"
    joins_h = federation.calendar.hours_at(use_case.joins)
    starts, names = _phases(federation, use_case, joins_h, streams, path)
    models = _models(federation, use_case, starts, names, streams, path)
    if federation.delay is not None:
        since_h = max(federation.calendar.hours_at(federation.delay.since), joins_h)
        shift_h = to_grid_h(federation.delay.months * MONTH_H)
        starts = _shifted(starts, since_h, shift_h)
        models = np.array(_shifted(models.tolist(), since_h, shift_h))
    serving_h = starts[names.index(federation.serving_phase)]
    starts, names = _with_retraining(federation, starts, names, serving_h, streams, path)
    starts, names, factors = _with_eras(federation, starts, names)
    order = list(federation.phases)
    intensity = {n: p.intensity for n, p in federation.phases.items()}
    return Life(
        starts_h=np.array(starts),
        phase=np.array([order.index(n) for n in names], dtype=np.int64),
        rate=np.array([intensity[n] for n in names]) * np.array(factors),
        users_join_h=_users(use_case, joins_h, streams, path),
        models_h=models,
        serving_h=serving_h,
    )


def _phases(
    federation: Federation, use_case: UseCase, joins_h: float, streams: Streams, path: str
) -> tuple[list[float], list[str]]:
    normals = streams.stream(path, "phase_durations").standard_normal(len(federation.phases))
    starts, names, now = [], [], joins_h
    for (name, phase), normal in zip(federation.phases.items(), normals, strict=True):
        starts.append(to_grid_h(now))
        names.append(name)
        months = phase.months * use_case.pace * float(np.exp(phase.months_sigma * normal))
        now += months * MONTH_H
    return starts, names


def _shifted(times: Sequence[float], since_h: float, shift_h: float) -> list[float]:
    """Shift what comes after a time, but not to before it."""
    return [t if t <= since_h else max(since_h, t + shift_h) for t in times]


def _with_retraining(
    federation: Federation,
    starts: list[float],
    names: list[str],
    serving_h: float,
    streams: Streams,
    path: str,
) -> tuple[list[float], list[str]]:
    spell = federation.retraining
    horizon_h = federation.calendar.horizon_h
    if spell.per_year == 0.0 or serving_h >= horizon_h:
        return starts, names
    waits, lengths = streams.stream(path, "retraining"), streams.stream(path, "retraining_length")
    now = serving_h
    starts, names = list(starts), list(names)
    while True:
        now += float(exponential(YEAR_H / spell.per_year, waits.random(1))[0])
        if now >= horizon_h:
            return starts, names
        length = lognormal(spell.months * MONTH_H, spell.months_sigma, lengths.standard_normal(1))
        starts += [to_grid_h(now), to_grid_h(now + float(length[0]))]
        names += [spell.like, federation.serving_phase]
        now += float(length[0])


def _with_eras(
    federation: Federation, starts: list[float], names: list[str]
) -> tuple[list[float], list[str], list[float]]:
    eras = sorted(
        (federation.calendar.hours_at(e.since), e.factor) for e in federation.demand.eras.values()
    )
    marks = sorted(set(starts) | {t for t, _ in eras if t > starts[0]})
    pieces = []
    for mark in marks:
        name = names[max(i for i, s in enumerate(starts) if s <= mark)]
        factor = next((f for t, f in reversed(eras) if t <= mark), 1.0)
        pieces.append((mark, name, factor))
    return [p[0] for p in pieces], [p[1] for p in pieces], [p[2] for p in pieces]


def _users(use_case: UseCase, joins_h: float, streams: Streams, path: str) -> FloatArray:
    share = np.array(
        [streams.stream(f"{path}/user/{k}", "joins").random() for k in range(use_case.users)]
    )
    share[0] = 0.0
    return to_grid_h(joins_h + share * use_case.users_join_months * MONTH_H)


def _models(
    federation: Federation,
    use_case: UseCase,
    starts: list[float],
    names: list[str],
    streams: Streams,
    path: str,
) -> FloatArray:
    spans = [
        (starts[i], starts[i + 1])
        for i, name in enumerate(names[:-1])
        if federation.phases[name].models
    ]
    if not spans or not use_case.models:
        return np.empty(0)
    first, last = spans[0][0], spans[-1][1]
    share = streams.stream(path, "models").random(use_case.models)
    return np.sort(to_grid_h(first + share * (last - first)))
