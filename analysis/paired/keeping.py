"""What is kept of a run: its criteria by site, its GPUs by month and its waits; picklable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.paired.criteria import NAMES
from analysis.serving_tables import KeepServing
from sim.engine.logs import QUANTILES, Deployment, Ended, ServedMonth
from sim.engine.script import length_h
from sim.ledger import column
from sim.runner import RunResult
from sim.serving.kernel.outcome import Outcome
from sim.ticks import TICKS_PER_H
from sim.units import LEDGERS, FloatArray, IntArray

ALL = "all"
LONG_WAIT_H = 1.0  # a wait above it counts in `waited_share`
WAIT_EDGES_H = np.concatenate([[0.0], 10.0 ** np.arange(-2.0, 3.01, 0.25), [np.inf]])  # of bins
USAGE = {
    f"{resource}_{ledger}": (resource, ledger)
    for resource in ("gpu", "cpu", "storage")
    for ledger in LEDGERS
    if f"{resource}_{ledger}" in NAMES
}


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept of a run.

    Args:
        criteria: In the months to come, shape (sites + 1, criteria); all sites first; NaN where
            there is none.
        gpu_h: GPU-h of all sites, shape (months, ledgers).
        waits: Requests with GPUs that started in the months to come, by how long they waited;
            shape (bins,), between `WAIT_EDGES_H`.
        serving: What `KeepServing` keeps; None if it is not wanted.
    """

    criteria: FloatArray
    gpu_h: FloatArray
    waits: IntArray
    serving: pd.DataFrame | None


@dataclass(frozen=True)
class Keep:
    """Reduces a run to what is kept of it; picklable.

    Args:
        months: Project months to come, 1 is M1.
        serving: Whether the table of serving is kept, too.
    """

    months: range
    serving: bool

    def __call__(self, result: RunResult) -> Kept:
        """Return what is kept of a run."""
        sites = result.usage.sites
        since_h = float(result.spec.federation.calendar.month_edges_h[self.months.start - 1])
        found = self._usage(result)
        found |= _users(result, since_h) | self._serving(result)
        found["gpu_idle"] = found["gpu_allocated"] - found["gpu_active"]
        found["user_h"] = found["wait_h"] + found["setup_h"] + found["lost_h"]
        waits_h = _waits_h([d for d in result.logs.deployments if d.gpus], since_h)
        missing = np.full(len(sites) + 1, np.nan)
        for name in ("refused_tb", "retired_tb"):
            found[name] = np.append(getattr(result.usage.files, name), missing[1:])
        return Kept(
            np.stack([found.get(name, missing) for name in NAMES], axis=1),
            np.stack([result.usage.monthly("gpu", x).sum(axis=1) for x in LEDGERS], axis=1),
            np.histogram(waits_h, WAIT_EDGES_H)[0],
            KeepServing(self.months)(result) if self.serving else None,
        )

    def _usage(self, result: RunResult) -> dict[str, FloatArray]:
        span = slice(self.months.start - 1, self.months.stop - 1)
        found = {}
        for name, (resource, ledger) in USAGE.items():
            by_site = result.usage.monthly(resource, ledger)[span].sum(axis=0)
            found[name] = np.concatenate([[by_site.sum()], by_site])
        return found

    def _serving(self, result: RunResult) -> dict[str, FloatArray]:
        """Return the criteria of serving; a cluster counts where its site is."""
        federation, places = result.spec.federation, [ALL, *result.usage.sites]
        site = {n: c.site for n, c in federation.clusters.items()}
        cluster = {
            key: federation.applications[h.application].cluster
            for key, h in result.plan.hosted.items()
        }
        months = range(self.months.start - 1, self.months.stop - 1)
        served = [s for s in result.logs.served if s.month in months]
        nodes = [c for c in result.logs.clusters if c.month in months]
        rows = []
        for place in places:
            mine = [s for s in served if place in (ALL, site[cluster[s.hosted]])]
            ticks = sum(c.node_ticks for c in nodes if place in (ALL, site[c.cluster]))
            rows.append({**_answers(mine), "node_h": ticks / TICKS_PER_H})
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _answers(served: Sequence[ServedMonth]) -> dict[str, float]:
    outcomes = np.array([s.outcomes for s in served] or [[0] * len(Outcome)])
    answered = outcomes[:, : Outcome.COLD + 1].sum()
    place = QUANTILES.index(0.95)
    times_s = [s.response_s[place] for s in served if s.response_s is not None]
    return {
        "invocations": float(answered),
        "cold_share": outcomes[:, Outcome.COLD].sum() / answered if answered else np.nan,
        "response_p95": float(np.median(times_s)) if times_s else np.nan,
    }


def _users(result: RunResult, since_h: float) -> dict[str, FloatArray]:
    """Return what users meet from `since_h` on, by the site that runs their deployments."""
    pools, sites = result.spec.federation.pools, result.usage.sites
    log, gone = result.logs.deployments, result.logs.withdrawn
    at = np.array([1 + sites.index(pools[d.pool].site) for d in log], dtype=np.int64)
    gone = [w for w in gone if w.requested_h >= since_h]
    gpus, asked, started, released, lost = (
        column(log, name) for name in ("gpus", "requested_h", "started_h", "released_h", "lost_h")
    )
    setup = np.array([d.segments[0].start_h for d in log], dtype=np.float64) - started
    taken = np.array([d.ended is not None and d.ended.by_policy for d in log], dtype=bool)
    interrupted = np.zeros(len(log), dtype=bool)
    interrupted[taken] = work_left(result, [log[i] for i in np.flatnonzero(taken)])
    new, ended = asked >= since_h, released >= since_h

    def by_site(quantity: np.ndarray, counts: np.ndarray) -> FloatArray:
        sums = np.bincount(at[counts], quantity[counts], len(sites) + 1).astype(np.float64)
        sums[0] = sums.sum()
        return sums

    found = {
        "releases": by_site(taken.astype(np.float64), ended),
        "interruptions": by_site(interrupted.astype(np.float64), ended),
        "lost_gpu_h": by_site(lost * gpus, ended),
        "lost_h": by_site(lost, ended),
        "setup_h": by_site(setup, started >= since_h),
        "wait_h": by_site(started - asked, new),
        "withdrawn": np.full(len(sites) + 1, np.nan),
    }
    found["wait_h"][0] += sum(w.withdrawn_h - w.requested_h for w in gone)
    found["withdrawn"][0] = sum(w.gpus > 0 for w in gone)
    waits = started - asked
    of_site = [waits[new & (gpus > 0) & (at == k)] for k in range(1, len(sites) + 1)]
    return found | _spread([np.concatenate(of_site), *of_site])


def _spread(waits_h: Sequence[FloatArray]) -> dict[str, FloatArray]:
    """Return what describes waits, of all sites and of each."""
    rows = [
        (
            float(len(w)), w.mean(), np.median(w), np.quantile(w, 0.95),
            (w > LONG_WAIT_H).mean(),
        )
        if len(w)
        else (0.0, *[np.nan] * 4)
        for w in waits_h
    ]  # fmt: skip
    names = ("gpu_starts", "wait_mean", "wait_p50", "wait_p95", "waited_share")
    return {n: np.array(column) for n, column in zip(names, zip(*rows, strict=True), strict=True)}


def _waits_h(deployments: Sequence[Deployment], since_h: float) -> FloatArray:
    return np.array([d.started_h - d.requested_h for d in deployments if d.requested_h >= since_h])


def work_left(result: RunResult, deployments: Sequence[Deployment]) -> np.ndarray:
    """Return whether each deployment was taken from a user who had work left, shape (n,), bool.

    Not so if the user let go of it after a warning. Work is left if computing ended before it would
    have by the plan, whatever policy took it.
    """
    r, works = result.plan.requests, [d.segments[-1] for d in deployments]
    request, burst, start_h, done_h, end_h = (
        np.array([getattr(w, name) for w in works])
        for name in ("request", "first", "start_h", "done_h", "end_h")
    )
    if not len(request):
        return np.zeros(0, dtype=bool)
    first = r.burst_first[request]
    last = first + r.burst_count[request] - 1
    whole_h = r.before_h[last] + r.burst_h[last] - r.before_h[first + burst]
    slowdown = np.array([d.slowdown for d in deployments])
    for i in np.flatnonzero(slowdown != 1.0):
        whole_h[i] = length_h(r, int(request[i]), int(burst[i]), float(slowdown[i]))
    let_go = np.array([d.ended is Ended.WARNED for d in deployments])
    return ~let_go & (end_h < start_h - done_h + whole_h)
