"""Turns the result of a run into the declared tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sim.engine.logs import Deployment, Logs, Withdrawn
from sim.entities import Federation
from sim.ledger import Usage, active_bursts, integrate
from sim.plan.world import Plan
from sim.records import DEPLOYMENTS, SERVING, USAGE
from sim.units import LEDGERS, RESOURCES, SECONDS_PER_H, UNIT_OF


def installation_name(federation: Federation, site: str, resource: str) -> str:
    """Return the report's row for a site's resource, or `site RESOURCE` if it has none."""
    for name, row in federation.installations.items():
        if row.site == site and row.resource == resource:
            return name
    return f"{site} {resource.upper()}"


def usage_frame(federation: Federation, usage: Usage, replicate: int) -> pd.DataFrame:
    """Return the usage table of a run: one row a quantity that is not zero."""
    cells = np.nonzero(usage.quantity)
    month, site, case, resource, ledger, row = (axis.tolist() for axis in cells)
    services = (None, federation.development_service, federation.deployment_service)
    rows = {
        (s, r): installation_name(federation, usage.sites[s], RESOURCES[r])
        for s in range(len(usage.sites))
        for r in range(3)
    }
    cases = [*usage.use_cases, "-"]
    return USAGE.frame(
        {
            "replicate": np.full(len(month), replicate),
            "month": cells[0] + 1,
            "site": [usage.sites[s] for s in site],
            "installation": [
                services[k] or rows[s, r] for s, r, k in zip(site, resource, row, strict=True)
            ],
            "use_case": [cases[c] for c in case],
            "resource": [RESOURCES[r] for r in resource],
            "ledger": [LEDGERS[x] for x in ledger],
            "quantity": usage.quantity[cells],
            "unit": [UNIT_OF[RESOURCES[r]] for r in resource],
        }
    )


def deployments_frame(
    federation: Federation, plan: Plan, logs: Logs, replicate: int
) -> pd.DataFrame:
    """Return the deployments table of a run, deployments first, then withdrawn requests."""
    log, gone = logs.deployments, logs.withdrawn
    owner, start, end = active_bursts(plan, logs)
    horizon = federation.calendar.horizon_h
    active = np.bincount(
        owner,
        weights=np.clip(end, None, horizon) - np.clip(start, None, horizon),
        minlength=len(log),
    )
    both: list[Deployment | Withdrawn] = [*log, *gone]
    users = [plan.users[x.user] for x in both]
    none = [np.nan] * len(gone)
    sites = [federation.pools[d.pool].site for d in log]
    return DEPLOYMENTS.frame(
        {
            "replicate": np.full(len(users), replicate),
            "deployment": [x.name for x in both],
            "use_case": [u.use_case for u in users],
            "user": [u.name for u in users],
            "country": [u.country for u in users],
            "site": sites + [""] * len(gone),
            "pool": [d.pool for d in log] + [""] * len(gone),
            "gpus": [x.gpus for x in both],
            "cores": [x.cores for x in both],
            "requested_h": [x.requested_h for x in both],
            "started_h": [d.started_h for d in log] + none,
            "last_active_h": [min(d.last_active_h, horizon) for d in log] + none,
            "released_h": [d.released_h for d in log] + [w.withdrawn_h for w in gone],
            "released_why": [d.ended.value if d.ended else "" for d in log] + [w.why for w in gone],
            "works": [len(d.segments) for d in log] + [0] * len(gone),
            "active_h": [*active.tolist(), *([0.0] * len(gone))],
            "lost_h": [d.lost_h for d in log] + [0.0] * len(gone),
        }
    )


def serving_frame(federation: Federation, plan: Plan, logs: Logs, replicate: int) -> pd.DataFrame:
    """Return the serving table of a run: one row an application and month hosted."""
    edges, horizon = federation.calendar.month_edges_h, federation.calendar.horizon_h
    months = federation.calendar.months
    columns: dict[str, list] = {c.name: [] for c in SERVING.columns}
    cluster_core_h = _cluster_core_h(federation, logs)
    for name, invocations in plan.invocations.items():
        if invocations.hosted_h >= horizon:
            continue
        application = federation.use_cases[name].application or ""
        cluster = federation.applications[application].cluster
        mine = [s for s in logs.served if s.use_case == name]
        arrival = np.array([s.arrival_h for s in mine])
        start, end = np.array([s.start_h for s in mine]), np.array([s.end_h for s in mine])
        cold = np.array([s.cold for s in mine], dtype=bool)
        alive = [r for r in logs.replicas if r.use_case == name]
        busy_h = _by_month(start, end, edges)
        replica_h = _by_month(
            np.array([r.start_h for r in alive]), np.array([r.end_h for r in alive]), edges
        )
        month = np.searchsorted(edges, arrival, side="right") - 1
        response_s = (end - arrival) * SECONDS_PER_H
        for m in range(int(np.searchsorted(edges, invocations.hosted_h, "right")) - 1, months):
            inside = month == m
            quantiles = (
                np.quantile(response_s[inside], [0.5, 0.95, 0.99])
                if inside.any()
                else np.full(3, np.nan)
            )
            values = (
                replicate,
                m + 1,
                federation.clusters[cluster].site,
                application,
                name,
                int(inside.sum()),
                int((cold & inside).sum()),
                *quantiles,
                busy_h[m] * SECONDS_PER_H,
                replica_h[m] * SECONDS_PER_H,
                cluster_core_h[cluster][m],
            )
            for column, value in zip(columns, values, strict=True):
                columns[column].append(value)
    return SERVING.frame(columns)


def _by_month(start: np.ndarray, end: np.ndarray, edges: np.ndarray) -> np.ndarray:
    ones = np.ones(len(start))
    return integrate(start, end, ones, edges, np.zeros(len(start), dtype=np.int64), 1)[0]


def _cluster_core_h(federation: Federation, logs: Logs) -> dict[str, np.ndarray]:
    names = list(federation.clusters)
    held = logs.cluster_nodes
    hours = integrate(
        np.array([h.start_h for h in held]),
        np.array([h.end_h for h in held]),
        np.array([h.quantity for h in held]),
        federation.calendar.month_edges_h,
        np.array([names.index(h.owner) for h in held], dtype=np.int64),
        len(names),
    )
    return dict(zip(names, hours, strict=True))
