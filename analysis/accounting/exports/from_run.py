"""A simulated run as canonical jobs: what deployments held, of the allocated ledger.

Platform services and replicas that serve hold cores, too, but are no jobs: they are left out.
Times of a run lie on a grid of 2**-24 h; here they are rounded to the nearest microsecond, so a
job's length is wrong by at most 1 µs (2.8e-10 h).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.accounting.tables import JOBS, frame_of
from sim.engine.logs import Ended
from sim.ledger import column, integrate
from sim.runner import RunResult
from sim.units import UNIT_OF, US_PER_H

STATE_OF = {
    Ended.PROMPT: "completed", Ended.FORGOTTEN: "completed", Ended.SCRIPT: "completed",
    Ended.IDLE: "cancelled", Ended.WARNED: "cancelled", Ended.LIFETIME: "timeout",
    Ended.OUTAGE: "failed", Ended.CLOSED: "failed", Ended.HORIZON: "running",
}  # fmt: skip
WITHDRAWN = "cancelled"


def begin_of(result: RunResult) -> pd.Timestamp:
    """Return midnight UTC of the first day of the project."""
    return pd.Timestamp(result.spec.federation.calendar.start_utc)


def horizon_of(result: RunResult) -> pd.Timestamp:
    """Return the end of the run: what is held then still is."""
    return begin_of(result) + pd.Timedelta(hours=result.spec.federation.calendar.horizon_h)


def jobs_of(result: RunResult) -> pd.DataFrame:
    """Return the canonical jobs table: deployments, then withdrawn requests."""
    log, gone = result.logs.deployments, result.logs.withdrawn
    pools, users = result.spec.federation.pools, result.plan.users
    both = [*log, *gone]
    begin = begin_of(result)
    nobody = [np.nan] * len(gone)
    running = [d.ended is Ended.HORIZON for d in log] + [False] * len(gone)
    end = [d.released_h for d in log] + [w.withdrawn_h for w in gone]
    gpus = np.array([x.gpus for x in both], dtype=np.float64)
    columns = {
        "job_id": [x.name for x in both],
        "user": [users[x.user].name for x in both],
        "project": [users[x.user].use_case for x in both],
        "site": [pools[d.pool].site for d in log] + [""] * len(gone),
        "kind": np.where(gpus > 0.0, "train", "cpu").tolist(),
        "submit_utc": _utc([x.requested_h for x in both], begin),
        "start_utc": _utc([d.started_h for d in log] + nobody, begin),
        "end_utc": _utc(np.where(running, np.nan, end), begin),
        "state": [STATE_OF[d.ended] for d in log if d.ended] + [WITHDRAWN] * len(gone),
        "gpus": gpus,
        "gpu_model": [pools[d.pool].gpu_model if d.gpus else "" for d in log] + [""] * len(gone),
        "cpus": np.array([x.cores for x in both], dtype=np.float64),
        "mem_gb": np.array([d.ram_gb for d in log] + nobody, dtype=np.float64),
        "source": f"simulated:{result.spec.federation.name}",
    }
    return frame_of(JOBS, columns, len(both))


def _utc(hours: object, begin: pd.Timestamp) -> np.ndarray:
    """Return simulated hours as UTC times in whole microseconds; NaT where there are none."""
    h = np.asarray(hours, dtype=np.float64)
    us = np.rint(np.nan_to_num(h) * US_PER_H).astype(np.int64)
    times = np.datetime64(begin.tz_localize(None), "us") + us
    return np.where(np.isnan(h), np.datetime64("NaT"), times)


def ledger_of(result: RunResult) -> pd.DataFrame:
    """Return what the run's own ledger says of deployments, by month and user.

    Returns:
        Columns month (`2026-09`), user, resource, quantity, unit: allocated GPU-h and CPU-h, from
        times on the engine's grid, as `usage.parquet` has them by use case; without zeros.
    """
    calendar, log = result.spec.federation.calendar, result.logs.deployments
    names = sorted({u.name for u in result.plan.users})
    at = {name: number for number, name in enumerate(names)}
    user = np.array([at[result.plan.users[d.user].name] for d in log], dtype=np.int64)
    start, end = column(log, "started_h"), column(log, "released_h")
    months = [f"{calendar.first_day(m + 1):%Y-%m}" for m in range(calendar.months)]
    parts = []
    for resource, name in (("gpu", "gpus"), ("cpu", "cores")):
        hours = integrate(start, end, column(log, name), calendar.month_edges_h, user, len(names))
        who, when = np.nonzero(hours)
        parts.append(pd.DataFrame({
            "month": [months[m] for m in when], "user": [names[u] for u in who],
            "resource": resource, "quantity": hours[who, when], "unit": UNIT_OF[resource],
        }))  # fmt: skip
    return pd.concat(parts).sort_values(["month", "user", "resource"], ignore_index=True)
