"""What playing policies in the same worlds is worth: precision, and time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.measure import Measure, at_least, at_most, seconds
from sim.plan.world import draw_plan
from sim.runner import RunSpec, run_on, run_once
from tests import configured

WORLDS = range(24)
IDLE_H = (1.0, 4.0, 12.0, 24.0, 72.0)
LEAST_REDUCTION = 10.0  # of the variance of the difference between 12 and 24 h
MOST_OF_THE_TIME = 0.9  # of separate runs


def variance_and_time() -> list[Measure]:
    """Release after 12 and after 24 h, each in the same worlds; all times in one of them."""
    federation = configured.federation("imagine")
    never = configured.policies()
    rule = configured.policies(idle="auto_release").idle
    specs = [RunSpec(federation, never, 0)]
    specs += [
        RunSpec(federation, replace(never, idle=replace(rule, idle_h=idle_h)), 0)
        for idle_h in IDLE_H
    ]
    names = ("never", *(f"{idle_h:g}h" for idle_h in IDLE_H))
    held = np.array([[_gpu_h(replace(s, replicate=k)) for s in specs] for k in WORLDS])

    def reduction(one: str, other: str) -> tuple[str, float]:
        a, b = held[:, names.index(one)], held[:, names.index(other)]
        ratio = float((a.var() + b.var()) / (a - b).var())
        return f"paired.variance_reduction_{one}_and_{other}", ratio

    alone_s, _ = seconds(lambda: [run_once(s) for s in specs], times=3)
    together_s, _ = seconds(lambda: _together(specs), times=3)
    share = together_s / alone_s
    return [
        at_least(*reduction("12h", "24h"), "ratio", LEAST_REDUCTION),
        *(Measure(*reduction(*pair), "ratio") for pair in (("4h", "12h"), ("never", "12h"))),
        at_most("paired.time_of_a_world_against_separate_runs", share, "ratio", MOST_OF_THE_TIME),
    ]


def _gpu_h(spec: RunSpec) -> float:
    """Return the allocated GPU-h of the months after the reported ones."""
    after = slice(spec.federation.reported_months, None)
    return float(run_once(spec).usage.monthly("gpu", "allocated")[after].sum())


def _together(specs: list[RunSpec]) -> None:
    """Draw the plan once, and play clusters once, as a comparison does."""
    plan, served = draw_plan(specs[0].federation, 0, 0), None
    for spec in specs:
        served = run_on(plan, spec, served).logs
