"""What serving comes to in a run, and the tables that compare variants of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from analysis.frames import quantile_table
from sim.runner import RunResult

SECONDS_PER_H = 3600.0
LOST = ("timeouts", "rejected", "failed")
KEYS = ["variant", "series", "at", "cluster", "kind", "measure", "unit"]
MEASURES = {  # name: unit
    "invocations": "requests",
    "cold_share": "share",
    "unserved_share": "share",
    "wait_p95": "s",
    "busy": "replica-h",
    "replicas": "replica-h",
    "nodes": "node-h",
}


@dataclass(frozen=True)
class KeepServing:
    """Reduces a run to what its clusters did in some months; picklable.

    Args:
        months: Project months, 1 is M1.
    """

    months: range

    def __call__(self, result: RunResult) -> pd.DataFrame:
        """Return the measures of each cluster and kind: cluster, kind, measure, quantity."""
        table = result.serving_frame()
        table = table[table["month"].isin(self.months)]
        left = _unanswered(result)
        rows = [
            (cluster, kind, measure, quantity)
            for (cluster, kind), mine in table.groupby(["cluster", "kind"], sort=False)
            for measure, quantity in _measures(mine, left[cluster, kind]).items()
        ]
        return pd.DataFrame(rows, columns=["cluster", "kind", "measure", "quantity"])


def _unanswered(result: RunResult) -> Counter[tuple[str, str]]:
    """Return the requests that have no answer at the horizon, by cluster and kind."""
    applications, found = result.spec.federation.applications, Counter[tuple[str, str]]()
    for key, count in result.logs.unserved.items():
        application = applications[result.plan.hosted[key].application]
        found[application.cluster, application.kind.value] += count
    return found


def _measures(mine: pd.DataFrame, unanswered: int) -> dict[str, float]:
    """Return the measures of rows of the serving table, and of what has no answer yet."""
    answered = mine["invocations"].sum()
    lost = mine[[*LOST]].to_numpy().sum() + unanswered
    node_h = mine.drop_duplicates("month")["cluster_node_h"].sum()
    return {
        "invocations": float(answered),
        "cold_share": mine["cold"].sum() / answered if answered else float("nan"),
        "unserved_share": lost / (answered + lost) if answered + lost else float("nan"),
        "wait_p95": float(mine["wait_p95_s"].median()),
        "busy": mine["busy_s"].sum() / SECONDS_PER_H,
        "replicas": mine["replica_s"].sum() / SECONDS_PER_H,
        "nodes": float(node_h),
    }


def compared(kept: list[pd.DataFrame], variants: list[tuple[str, str, float]]) -> pd.DataFrame:
    """Set variants side by side.

    Args:
        kept: What `KeepServing` kept of each run.
        variants: Variant, series and place on the axis of each run.

    Returns:
        variant, series, at, cluster, kind, measure, unit and the distribution over draws (mean, sd,
        p05, p25, p50, p75, p95). `wait_p95` is that of the middle application and month;
        `unserved_share` counts timeouts, rejected, failed and what has no answer at the horizon.
    """
    parts = [
        frame.assign(variant=name, series=series, at=at)
        for frame, (name, series, at) in zip(kept, variants, strict=True)
    ]
    draws = pd.concat(parts, ignore_index=True)
    draws["unit"] = draws["measure"].map(MEASURES)
    return quantile_table(draws.dropna(subset="quantity"), KEYS)
