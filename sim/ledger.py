"""Ledgers: integrates interval logs into hours and TB-months per month.

The same GPU or core is counted at three levels, provisioned >= allocated >= active, and the
levels are never mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from sim.engine.logs import Held, Logs
from sim.engine.storage import Fate, storage_log
from sim.entities import Federation
from sim.plan.world import Plan
from sim.policies.base import StoragePolicy
from sim.policies.plain import PLAIN
from sim.ticks import TICKS_PER_H
from sim.units import LEDGERS, RESOURCES, FloatArray, IntArray, to_grid_h

PROVISIONED, ALLOCATED, ACTIVE = range(3)
GPU, CPU, STORAGE = range(3)
SITE_ROW, DEVELOPMENT, DEPLOYMENT = range(3)  # who an installation row belongs to


@dataclass(frozen=True, eq=False)
class Usage:
    """Quantities of one run.

    Args:
        quantity: Shape (months, sites, use cases + 1, resources, ledgers, rows); the last use case
            is "none"; resources and ledgers as in `sim.units`; rows: the site's own, the
            development service, the deployment service. GPU-h, CPU-h and TB-month.
        sites, use_cases: Labels of the axes.
        files: What became of the files that use cases brought, TB.
    """

    quantity: FloatArray
    sites: tuple[str, ...]
    use_cases: tuple[str, ...]
    files: Fate

    def monthly(self, resource: str, ledger: str) -> FloatArray:
        """Return a resource by month and site, shape (months, sites)."""
        cube = self.quantity[:, :, :, RESOURCES.index(resource), LEDGERS.index(ledger)]
        return cube.sum(axis=(2, 3))

    def of_service(self, row: int, ledger: str) -> FloatArray:
        """Return CPU-h and GPU-h of a platform service by month, shape (months, 2): GPU, CPU."""
        return self.quantity[:, :, :, :2, LEDGERS.index(ledger), row].sum(axis=(1, 2))


def integrate(
    start_h: FloatArray,
    end_h: FloatArray,
    quantity: FloatArray,
    edges_h: FloatArray,
    key: IntArray,
    keys: int,
) -> FloatArray:
    """Integrate intervals over months.

    Args:
        start_h: Beginning of each interval in h, shape (n,).
        end_h: Its end in h; parts outside the edges do not count.
        quantity: Height of each interval, shape (n,).
        edges_h: Month edges in h, ascending, shape (months + 1,).
        key: Row of the result each interval adds to, shape (n,).
        keys: Number of rows.

    Returns:
        Quantity times hours, shape (keys, months).

    >>> edges = np.array([0.0, 10.0, 20.0])
    >>> integrate(np.array([5.0]), np.array([12.0]), np.array([2.0]), edges, np.array([0]), 1)
    array([[10.,  4.]])
    """
    pieces, months = _cut(start_h, end_h, edges_h), len(edges_h) - 1
    cell, amount = key[pieces.of] * months + pieces.month, pieces.hours * quantity[pieces.of]
    flat: FloatArray = np.bincount(cell, amount, keys * months).astype(np.float64)
    return flat.reshape(keys, months)


class _Pieces(NamedTuple):
    """Intervals cut at the edges of months: which one each piece is of, its month, its hours."""

    of: IntArray
    month: IntArray
    hours: FloatArray


def _cut(start_h: FloatArray, end_h: FloatArray, edges_h: FloatArray) -> _Pieces:
    start, end = np.maximum(start_h, edges_h[0]), np.minimum(end_h, edges_h[-1])
    real = np.flatnonzero(end > start)
    start, end = start[real], end[real]
    first = np.searchsorted(edges_h, start, side="right") - 1
    last = np.searchsorted(edges_h, end, side="left") - 1
    count = last - first + 1
    index = np.repeat(np.arange(len(start)), count)
    month = np.arange(len(index)) - np.repeat(np.cumsum(count) - count, count) + first[index]
    hours = np.minimum(end[index], edges_h[month + 1]) - np.maximum(start[index], edges_h[month])
    return _Pieces(real[index], month, hours)


def usage_of(
    federation: Federation, plan: Plan, logs: Logs, storage: StoragePolicy = PLAIN.storage
) -> Usage:
    """Integrate the logs of a run into its usage, with files kept as a policy says."""
    return _Accounting(federation, plan, logs).usage(storage)


def active_bursts(plan: Plan, logs: Logs) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return every burst that was played.

    Returns:
        Index of the deployment in the log, start and end in h; shape (bursts played,) each.
    """
    segments = [s for d in logs.deployments for s in d.segments]
    if not segments:
        return np.empty(0, dtype=np.int64), np.empty(0), np.empty(0)
    owner = np.repeat(np.arange(len(logs.deployments)), [len(d.segments) for d in logs.deployments])
    request = np.array([s.request for s in segments])
    first = np.array([s.first for s in segments])
    start, end, done = (column(segments, name) for name in ("start_h", "end_h", "done_h"))
    slowdown = column(logs.deployments, "slowdown")[owner]
    r = plan.requests
    count = r.burst_count[request] - first
    begin = r.burst_first[request] + first
    burst = np.arange(int(count.sum())) + np.repeat(begin - np.cumsum(count) + count, count)
    burst_h, before_h = r.burst_h[burst], r.before_h[burst]
    if (slowdown != 1.0).any():
        burst_h = to_grid_h(burst_h * np.repeat(slowdown, count))
        before_h = np.cumsum(burst_h + r.gap_h[burst]) - (burst_h + r.gap_h[burst])
    elapsed = before_h - np.repeat(before_h[np.cumsum(count) - count], count)
    burst_start = np.repeat(start - done, count) + elapsed
    burst_end = np.minimum(burst_start + burst_h, np.repeat(end, count))
    burst_start = np.maximum(burst_start, np.repeat(start, count))
    played = burst_end > burst_start
    return np.repeat(owner, count)[played], burst_start[played], burst_end[played]


class _Accounting:
    """Adds the logs of one run into one array."""

    def __init__(self, federation: Federation, plan: Plan, logs: Logs) -> None:
        self.federation, self.plan, self.logs = federation, plan, logs
        self.edges = federation.calendar.month_edges_h
        self.sites = tuple(federation.sites)
        self.cases = tuple(plan.lives)
        self.shape = (len(self.sites), len(self.cases) + 1, 3, 3, 3)
        self.total = np.zeros((int(np.prod(self.shape)), federation.calendar.months))
        self.site_of_pool = {n: self.sites.index(p.site) for n, p in federation.pools.items()}
        self.none = len(self.cases)

    def usage(self, storage: StoragePolicy) -> Usage:
        self._nodes()
        self._cores(self.logs.services, {n: s.site for n, s in self.federation.services.items()})
        self._deployments()
        self._serving()
        files = self._storage(storage)
        months = self.federation.calendar.months
        by_month = np.moveaxis(self.total.reshape(*self.shape, months), -1, 0)
        quantity = np.ascontiguousarray(by_month)  # sums go in the same order after pickling
        return Usage(quantity, self.sites, self.cases, files)

    def _key(
        self, site: IntArray, case: IntArray | int, resource: int, ledger: int, row: int
    ) -> IntArray:
        _, cases, resources, ledgers, rows = self.shape
        return (((site * cases + case) * resources + resource) * ledgers + ledger) * rows + row

    def _add(
        self, start: FloatArray, end: FloatArray, *held: tuple[FloatArray, IntArray]
    ) -> None:
        """Add intervals; `held` are quantities and the rows they add to."""
        pieces = _cut(start, end, self.edges)
        for quantity, key in held:
            cell = key[pieces.of] * self.total.shape[1] + pieces.month
            np.add.at(self.total.reshape(-1), cell, pieces.hours * quantity[pieces.of])

    def _nodes(self) -> None:
        held, pools = self.logs.nodes, self.federation.pools
        start, end, nodes = _columns(held)
        site = np.array([self.site_of_pool[h.owner] for h in held], dtype=np.int64)
        gpus = np.array([pools[h.owner].gpus_per_node for h in held], dtype=np.float64)
        cores = np.array([pools[h.owner].cores_per_node for h in held], dtype=np.float64)
        gpu, cpu = (self._key(site, self.none, r, PROVISIONED, SITE_ROW) for r in (GPU, CPU))
        self._add(start, end, (nodes * gpus, gpu), (nodes * cores, cpu))

    def _cores(self, held: Sequence[Held], site_of: dict[str, str]) -> None:
        start, end, cores = _columns(held)
        site = np.array([self.sites.index(site_of[h.owner]) for h in held], dtype=np.int64)
        key = self._key(site, self.none, CPU, PROVISIONED, SITE_ROW)
        self._add(start, end, (cores, key))

    def _deployments(self) -> None:
        log = self.logs.deployments
        case_of_user = [self.cases.index(u.use_case) for u in self.plan.users]
        site = np.array([self.site_of_pool[d.pool] for d in log], dtype=np.int64)
        case = np.array([case_of_user[d.user] for d in log], dtype=np.int64)
        gpus, cores, start, end = (
            column(log, name) for name in ("gpus", "cores", "started_h", "released_h")
        )
        owner, burst_start, burst_end = active_bursts(self.plan, self.logs)
        gpu, cpu = (self._key(site, case, r, ALLOCATED, DEVELOPMENT) for r in (GPU, CPU))
        self._add(start, end, (gpus, gpu), (cores, cpu))
        gpu, cpu = (self._key(site, case, r, ACTIVE, DEVELOPMENT)[owner] for r in (GPU, CPU))
        self._add(burst_start, burst_end, (gpus[owner], gpu), (cores[owner], cpu))

    def _serving(self) -> None:
        """Add what the months of clusters and of what they host come to."""
        federation, total = self.federation, self.total
        for of in self.logs.clusters:
            cluster = federation.clusters[of.cluster]
            key = self._key(self._site(cluster.site), self.none, CPU, PROVISIONED, SITE_ROW)
            total[key, of.month] += of.node_ticks / TICKS_PER_H * cluster.cores_per_node
        for served in self.logs.served:
            if not served.replica_ticks:
                continue
            hosted = self.plan.hosted[served.hosted]
            application = federation.applications[hosted.application]
            site = self._site(federation.clusters[application.cluster].site)
            case = self.cases.index(hosted.use_case)
            both = ((ALLOCATED, served.replica_ticks), (ACTIVE, served.active_ticks))
            for ledger, ticks in both:
                key = self._key(site, case, CPU, ledger, DEPLOYMENT)
                total[key, served.month] += ticks / TICKS_PER_H * application.cores

    def _site(self, name: str) -> IntArray:
        return np.array(self.sites.index(name))

    def _storage(self, policy: StoragePolicy) -> Fate:
        log = storage_log(self.federation, self.plan, self.logs, policy)
        site_of = [self.sites.index(s.site) for s in self.federation.stores.values()]
        site = np.array(site_of, dtype=np.int64)[log.store]
        case = np.where(log.volume, self.none, log.use_case)
        ledger = np.where(log.volume, PROVISIONED, ALLOCATED)
        key = self._key(site, case, STORAGE, 0, SITE_ROW) + ledger * self.shape[-1]
        hours = np.zeros_like(self.total)
        if len(key):
            hours = integrate(log.start_h, log.end_h, log.amount_tb, self.edges, key, len(hours))
        self.total += hours / self.federation.calendar.month_length_h
        return log.fate


def column(rows: Sequence[object], name: str) -> FloatArray:
    """Return a field of all entries of a log, shape (n,)."""
    return np.fromiter(map(attrgetter(name), rows), np.float64, len(rows))


def _columns(held: Sequence[Held]) -> tuple[FloatArray, FloatArray, FloatArray]:
    return column(held, "start_h"), column(held, "end_h"), column(held, "quantity")
