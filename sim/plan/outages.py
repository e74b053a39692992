"""Outages of pools: the dated ones of the configuration and unplanned ones, merged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.distributions import exponential
from sim.entities import Federation
from sim.rng import Streams
from sim.units import YEAR_H, to_grid_h


@dataclass(frozen=True)
class PoolOutage:
    """A pool is out from `start_h` to `end_h`; so large a share of its nodes stays billed."""

    start_h: float
    end_h: float
    vms_kept_frac: float


def draw_outages(federation: Federation, name: str, streams: Streams) -> tuple[PoolOutage, ...]:
    """Return the outages of pool `name`, ascending and without overlap."""
    pool, calendar = federation.pools[name], federation.calendar
    found = [
        PoolOutage(calendar.hours_at(o.start), calendar.hours_at(o.end), o.vms_kept_frac)
        for o in pool.outages
    ]
    if pool.outages_per_year > 0.0 and pool.outage_mean_h > 0.0:
        found += _unplanned(federation, name, streams)
    merged: list[PoolOutage] = []
    for outage in sorted(found, key=lambda o: (o.start_h, o.end_h)):
        if merged and outage.start_h <= merged[-1].end_h:
            if outage.end_h > merged[-1].end_h:
                last = merged.pop()
                kept = min(last.vms_kept_frac, outage.vms_kept_frac)
                merged.append(PoolOutage(last.start_h, outage.end_h, kept))
        else:
            merged.append(outage)
    return tuple(merged)


def _unplanned(federation: Federation, name: str, streams: Streams) -> list[PoolOutage]:
    pool, horizon = federation.pools[name], federation.calendar.horizon_h
    starts = streams.stream(f"pool/{name}", "outage_starts")
    lengths = streams.stream(f"pool/{name}", "outage_lengths")
    mean_wait_h = YEAR_H / pool.outages_per_year
    count = int(np.ceil(3 * horizon / mean_wait_h)) + 10
    times = np.cumsum(starts.standard_exponential(count)) * mean_wait_h
    hours = exponential(pool.outage_mean_h, lengths.random(count))
    return [
        PoolOutage(to_grid_h(float(t)), to_grid_h(float(t + h)), vms_kept_frac=1.0)
        for t, h in zip(times, hours, strict=True)
        if t < horizon
    ]
