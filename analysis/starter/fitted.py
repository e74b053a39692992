"""The priors of a new federation: wide around what the data tell, each with its source."""

from __future__ import annotations

import json
from collections.abc import Sequence

from analysis.starter.facts import ASSUMED, Facts, Number

WIDE = {  # standard deviations on the logarithmic or logit scale; all assumed
    "request_rate": 0.5, "burst_length": 0.5, "burst_spread": 0.15, "night_weight": 0.3,
    "weekend_weight": 0.3, "capacity": 0.2, "gap_length": 0.6, "forget_probability": 0.8,
    "hold_time": 0.7,
}  # fmt: skip
LEAST = 1e-3  # of a median: logarithms need one above 0
FORGET = Number(0.35, f"{ASSUMED}, conf/behaviour.yaml")


def priors(facts: Facts) -> list[str]:
    """Return the priors as lines of YAML."""
    work = facts.work
    parameters: list[tuple[str, Sequence[str], Number, str]] = [
        ("request_rate", ["demand.requests_per_user_week"], work.requests_per_user_week, "1/week"),
        ("burst_length", ["demand.burst_h"], work.hours["burst_h"], "h"),
    ]
    if work.template == "batch":
        parameters += [("burst_spread", ["demand.burst_sigma"], work.hours["burst_sigma"], "shape")]
    else:
        parameters += [
            ("gap_length", ["demand.gap_h"], work.hours["gap_h"], "h"),
            ("hold_time", ["demand.hold_h"], work.hours["hold_h"], "h"),
            ("forget_probability", ["demand.forget_frac"], FORGET, "probability"),
        ]
    parameters += [
        (name, [f"demand.rhythm.{name}"], work.rhythm[name], "relative")
        for name in ("night_weight", "weekend_weight")
    ]
    lines = [_line(*parameter) for parameter in parameters]
    nodes = ["pools.*.nodes_first", "pools.*.nodes_top"]
    lines.append(_line("capacity", nodes, Number(1.0, ASSUMED), "factor", mode="scale"))
    sigma = facts.demand_sigma
    said = Number(1.0, f"{ASSUMED}: no total of the past tells it")
    lines.append(_line("demand_to_come", ["demand.eras.to-come.factor"], said, "factor", sigma))
    return lines


def _line(
    name: str, paths: Sequence[str], median: Number, unit: str, sigma: float | None = None,
    mode: str = "set",
) -> str:  # fmt: skip
    kind = "logitnormal" if unit == "probability" else "lognormal"
    width = WIDE[name] if sigma is None else sigma
    where = ", ".join(json.dumps(path) for path in paths)
    value = f"{max(float(f'{median.value:.6g}'), LEAST):.10f}".rstrip("0")
    value = f"{value}0" if value.endswith(".") else value
    source = json.dumps(f"{median.source}; width {ASSUMED}".replace("${", "$ {"))
    return (
        f"{name}: {{paths: [{where}], mode: {mode}, distribution: {kind}, median: {value}, "
        f"sigma: {width:g}, unit: {unit}, source: {source}}}"
    )
