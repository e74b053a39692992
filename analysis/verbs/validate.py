"""`aiaas validate`: check configuration and data and estimate the effort, without running."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from omegaconf import DictConfig
from rich.table import Table

from analysis.hypotheses import targets
from analysis.observations import contradictions
from analysis.progress import stdout
from analysis.verbs.common import Setup, at_least, prepare_setup, show_data
from sim.entities import Federation
from sim.plan.world import Plan, draw_plan

OWN: dict[str, type | tuple[type, ...]] = {"replicates": int, "data": (str, type(None))}
S_PER_EVENT = 14.0e-6  # s an event with its plan and ledgers; measured by `make bench`, 2026-11
BYTES_PER_EVENT = 1500.0  # bytes an event with its logs and tables; measured likewise
S_PER_INVOCATION = 0.3e-6  # s an invocation, all draws included; measured likewise


@dataclass(frozen=True, eq=False)
class Job:
    """A checked configuration."""

    setup: Setup
    replicates: int


def prepare(config: DictConfig) -> Job:
    """Check everything that a run would need.

    Raises:
        ConfigError, DataError: For the first thing that cannot be used.
    """
    setup = prepare_setup(config, OWN)
    return Job(setup, at_least(setup.options, "replicates", 1))


def estimated_events(federation: Federation, plan: Plan) -> float:
    """Return about how many events a plan takes: changes of state of whatever it asks for."""
    windows = federation.calendar.months * len(federation.clusters)
    return 2.0 * len(plan.requests) + 100.0 * len(federation.pools) + windows


def execute(job: Job) -> None:
    """Print what was checked, where the figures contradict each other, and the effort."""
    setup, federation = job.setup, job.setup.case.federation
    plan = draw_plan(federation, setup.seed)
    calls = float(sum(hosted.expected.sum() for hosted in plan.hosted.values()))
    events = estimated_events(federation, plan)
    console = stdout()
    console.print(
        f"{federation.name}: {len(federation.sites)} sites, {len(federation.pools)} pools, "
        f"{len(federation.use_cases)} use cases, {len(plan.users)} users, "
        f"{federation.calendar.months} months; configuration and data can be used",
        highlight=False,
    )
    for name, hypothesis in setup.case.hypotheses.hypotheses.items():
        count = len(targets(setup.case.observations, hypothesis))
        console.print(
            f"hypothesis {name}: {count} figures fitted. {hypothesis.says}", highlight=False
        )
    table = contradictions(setup.case.observations)
    away = table[np.abs(table["difference"]) > 1e-9]
    for row in away.itertuples():
        console.print(
            f"the figures contradict each other: {row.resource} {row.period}: the cumulative table "
            f"adds {row.cumulative_increment:,.0f}, the sites add up to {row.site_sum:,.0f} "
            f"(difference {row.difference:,.0f})",
            highlight=False,
        )
    show_data(setup)
    shown = Table(title=f"Estimated effort of {job.replicates} replicate(s)")
    for name in ("requests", "invocations", "events", "memory", "time on one core"):
        shown.add_column(name, justify="right")
    shown.add_row(
        f"{len(plan.requests):,}",
        f"{calls:,.0f}",
        f"{events:,.0f}",
        f"{events * BYTES_PER_EVENT / 1e6:,.0f} MB",
        f"{job.replicates * (events * S_PER_EVENT + calls * S_PER_INVOCATION):,.1f} s",
    )
    console.print(shown)
