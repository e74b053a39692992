"""Turns the result of a run into the declared tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sim.engine.logs import QUANTILES, Deployment, Logs, Withdrawn
from sim.entities import Federation
from sim.ledger import Usage, active_bursts
from sim.plan.world import Plan
from sim.records import DEPLOYMENTS, SERVING, USAGE
from sim.ticks import TICKS_PER_H, TICKS_PER_S
from sim.units import LEDGERS, RESOURCES, UNIT_OF


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
    """Return the serving table of a run: one row an application and month, from hosting on."""
    edges_h = federation.calendar.month_edges_h
    node_h = {(c.cluster, c.month): c.node_ticks / TICKS_PER_H for c in logs.clusters}
    rows, nobody = [], (np.nan,) * len(QUANTILES)
    for served in logs.served:
        hosted = plan.hosted[served.hosted]
        if edges_h[served.month + 1] <= hosted.hosted_h:
            continue
        application = federation.applications[hosted.application]
        warm, cold, timeout, rejected, failed, _ = served.outcomes
        rows.append(
            (
                replicate, served.month + 1, federation.clusters[application.cluster].site,
                application.cluster, hosted.application, hosted.use_case, application.kind.value,
                warm + cold, cold, timeout, rejected, failed,
                *(served.wait_s or nobody), *(served.response_s or nobody),
                served.active_ticks / TICKS_PER_S, served.replica_ticks / TICKS_PER_S,
                application.cores, node_h[application.cluster, served.month],
            )
        )  # fmt: skip
    columns = zip(*rows, strict=True) if rows else [()] * len(SERVING.columns)
    return SERVING.frame({c.name: list(v) for c, v in zip(SERVING.columns, columns, strict=True)})
