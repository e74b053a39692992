"""One run: a specification in, a result out; pure and picklable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sim.engine.logs import Logs
from sim.engine.play import play
from sim.entities import Federation
from sim.ledger import DEPLOYMENT, DEVELOPMENT, Usage, usage_of
from sim.plan.world import Plan, draw_plan
from sim.policies.base import Policies
from sim.serving.kernel.outcome import Outcome
from sim.tabulate import deployments_frame, serving_frame, usage_frame


@dataclass(frozen=True)
class RunSpec:
    """What determines a run, completely.

    Args:
        federation: The federation.
        policies: One policy of each kind.
        seed: Seed of the experiment.
        replicate: Number of the replicate.
    """

    federation: Federation
    policies: Policies
    seed: int = 0
    replicate: int = 0


@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run leaves.

    Args:
        spec: The specification.
        plan: The world that was played.
        logs: The interval logs.
        usage: The ledgers.
    """

    spec: RunSpec
    plan: Plan
    logs: Logs
    usage: Usage

    def usage_frame(self) -> pd.DataFrame:
        """Return the usage table (`sim.records.USAGE`)."""
        return usage_frame(self.spec.federation, self.usage, self.spec.replicate)

    def deployments_frame(self) -> pd.DataFrame:
        """Return the deployments table (`sim.records.DEPLOYMENTS`)."""
        return deployments_frame(self.spec.federation, self.plan, self.logs, self.spec.replicate)

    def serving_frame(self) -> pd.DataFrame:
        """Return the serving table (`sim.records.SERVING`)."""
        return serving_frame(self.spec.federation, self.plan, self.logs, self.spec.replicate)

    def metrics(self) -> dict[str, np.ndarray]:
        """Return the platform services' metrics by month; see `platform_metrics`."""
        return platform_metrics(self)

    def summary(self) -> dict[str, Any]:
        """Return the run in a few numbers, for `summary.json`."""
        logs, usage = self.logs, self.usage
        waits = np.array([d.started_h - d.requested_h for d in logs.deployments] or [0.0])
        totals = usage.quantity.sum(axis=(0, 1, 2, 5))
        return {
            "replicate": self.spec.replicate,
            "events": logs.events,
            "requests": len(self.plan.requests),
            "deployments": len(logs.deployments),
            "withdrawn": len(logs.withdrawn),
            "wait_median_h": float(np.median(waits)),
            "wait_p95_h": float(np.quantile(waits, 0.95)),
            "lost_h": float(sum(d.lost_h for d in logs.deployments)),
            "gpu_h": dict(
                zip(("provisioned", "allocated", "active"), totals[0].tolist(), strict=True)
            ),
            "cpu_h": dict(
                zip(("provisioned", "allocated", "active"), totals[1].tolist(), strict=True)
            ),
            "tb_month": dict(
                zip(("provisioned", "allocated"), totals[2, :2].tolist(), strict=True)
            ),
            **usage.files._asdict(),
            "invocations": sum(sum(s.outcomes[: Outcome.COLD + 1]) for s in logs.served),
            "invocations_unanswered_at_horizon": sum(logs.unserved.values()),
        }


def run_once(spec: RunSpec) -> RunResult:
    """Play one replicate.

    Args:
        spec: The specification; nothing else has any influence.

    Returns:
        The result; the same for the same specification, bit for bit, on any worker.
    """
    return run_on(draw_plan(spec.federation, spec.seed, spec.replicate), spec)


def run_on(plan: Plan, spec: RunSpec, served: Logs | None = None) -> RunResult:
    """Play one replicate on a plan that is already drawn.

    Args:
        plan: The plan of the specification's federation, seed and replicate, whatever its policies.
        spec: The specification.
        served: Logs of a run on the same plan with the same policies of serving and nodes, whose
            clusters need not be played again; None to play them.

    Returns:
        The same as `run_once`, bit for bit; with `served`, `events` lack those of clusters.
    """
    logs = play(spec.federation, plan, spec.policies, served)
    usage = usage_of(spec.federation, plan, logs, spec.policies.storage)
    return RunResult(spec, plan, logs, usage)


def platform_metrics(result: RunResult) -> dict[str, np.ndarray]:
    """Compute the metrics that the platform services report.

    Returns:
        By month, shape (months,): `training_cycles` (CPU-h + GPU-h of deployments, allocated),
        `application_usage` (CPU-h + GPU-h of applications, active), and, counted at the end of
        each month since the start, `models_developed`, `models_trained`, `applications_hosted`,
        `users` and `countries` (of users who have joined).
    """
    ends = result.spec.federation.calendar.month_edges_h[1:]
    plan, usage = result.plan, result.usage
    models = np.concatenate([life.models_h for life in plan.lives.values()])
    hosted = np.array([h.hosted_h for h in plan.hosted.values() if not h.called])
    joined = np.array([user.joined_h for user in plan.users])
    first_of_country: dict[str, float] = {}
    for user in plan.users:
        seen = first_of_country.get(user.country, np.inf)
        first_of_country[user.country] = min(seen, user.joined_h)

    def by_month(times: np.ndarray) -> np.ndarray:
        return np.searchsorted(np.sort(times), ends, side="left").astype(np.float64)

    developed = by_month(models)
    return {
        "training_cycles": usage.of_service(DEVELOPMENT, "allocated").sum(axis=1),
        "application_usage": usage.of_service(DEPLOYMENT, "active").sum(axis=1),
        "models_developed": developed,
        "models_trained": developed,
        "applications_hosted": by_month(hosted),
        "users": by_month(joined),
        "countries": by_month(np.array(list(first_of_country.values()))),
    }
