"""What variants are judged by: a number of each run, site and criterion, declared once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Criterion:
    """Something that is measured of a run in the months to come.

    Args:
        name: Column value in the tables.
        unit: Its unit.
        better: Which direction is better; None where neither is.
        meaning: What is counted.
    """

    name: str
    unit: str
    better: Literal["lower", "higher"] | None
    meaning: str


CRITERIA = (
    Criterion("gpu_provisioned", "GPU-h", "lower", "provisioned GPU hours"),
    Criterion("gpu_allocated", "GPU-h", "lower", "allocated GPU hours"),
    Criterion("gpu_active", "GPU-h", None, "active GPU hours, with what was lost and done again"),
    Criterion("gpu_idle", "GPU-h", "lower", "GPU hours idle but held: allocated less active"),
    Criterion("cpu_provisioned", "CPU-h", "lower", "provisioned CPU hours"),
    Criterion("cpu_allocated", "CPU-h", "lower", "allocated CPU hours"),
    Criterion("storage_provisioned", "TB-month", "lower", "provisioned volumes"),
    Criterion("storage_allocated", "TB-month", "lower", "files kept"),
    Criterion("refused_tb", "TB", "lower",
              "files that a policy refused, since its first day; of all sites together only"),
    Criterion("retired_tb", "TB", "lower", "files that a policy deleted, likewise"),
    Criterion("interruptions", "deployments", "lower",
              "deployments taken by a policy while their user had work left, with GPUs or without; "
              "a job whose script ended is none"),
    Criterion("releases", "deployments", None,
              "deployments taken by a policy, or released by their users after its warning"),
    Criterion("lost_gpu_h", "GPU-h", "lower",
              "lost_h times the GPUs of the deployment"),
    Criterion("wait_h", "user-h", "lower",
              "all hours that users waited for a deployment, those who withdrew included"),
    Criterion("setup_h", "user-h", "lower",
              "hours from the start of deployments until work in them went on"),
    Criterion("lost_h", "user-h", "lower",
              "hours of bursts that were cut and done again, whatever cut them"),
    Criterion("user_h", "user-h", "lower", "cost to users: wait_h + setup_h + lost_h"),
    Criterion("wait_mean", "h", "lower", "mean wait of the requests with GPUs that started"),
    Criterion("wait_p50", "h", "lower", "median of it"),
    Criterion("wait_p95", "h", "lower", "95 % quantile of it"),
    Criterion("waited_share", "share", "lower", "share of them that waited more than 1 h"),
    Criterion("gpu_starts", "requests", None, "requests with GPUs that started"),
    Criterion("withdrawn", "requests", "lower",
              "requests with GPUs that were withdrawn; of all sites together only"),
    Criterion("invocations", "requests", None, "invocations answered"),
    Criterion("cold_share", "share", "lower", "share of them that met a cold start"),
    Criterion("response_p95", "s", "lower",
              "95 % quantile of the time to an answer, of the middle application and month"),
    Criterion("node_h", "node-h", "lower", "hours of nodes of serving clusters"),
)  # fmt: skip
NAMES = tuple(c.name for c in CRITERIA)
BY_NAME = {c.name: c for c in CRITERIA}
