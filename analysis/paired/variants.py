"""The variants of a scenario as they are played: a federation and policies each, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from analysis.calibration.priors import quantile_to_z
from analysis.federations import Case
from analysis.scenarios import Change, Scenario, changed, changed_policies
from analysis.traces import with_traces
from sim.config import build_federation, build_policies, build_policy
from sim.errors import ConfigError
from sim.paths import has_path, value_at
from sim.policies.base import Policies
from sim.rng import Streams

STEPS = 10  # halvings when values that a policy refuses are moved towards what it accepts


@dataclass(frozen=True, eq=False)
class Playable:
    """A variant that is checked.

    Args:
        name: Its name.
        case: With its federation; the same object where variants do not differ in it.
        policies: With the configured values of what is uncertain.
        data: Plain data of the policies, by kind.
        open: Paths of uncertain parameters that it leaves open.
    """

    name: str
    case: Case
    policies: Policies
    data: dict[str, dict[str, Any]]
    open: tuple[str, ...]


def playable(
    scenario: Scenario, case: Case, content: Mapping[str, Any], policies: Mapping[str, Any]
) -> list[Playable]:
    """Check the variants of a scenario.

    Args:
        scenario: The scenario.
        case: The federation as configured.
        content: Its plain data.
        policies: Plain data of the configured policies, by kind.

    Raises:
        ConfigError, DataError: For the first thing that cannot be used.
    """
    content = changed(content, scenario.base, "scenario.base")
    policies = changed_policies(policies, scenario.base, "scenario.base")
    built: list[tuple[dict[str, Any], Case]] = []
    found = []
    for name, variant in scenario.variants.items():
        where = f"scenario.variants.{name}"
        mine = changed(content, variant, where)
        of = next((c for data, c in built if data == mine), None)
        if of is None:
            federation = with_traces(build_federation(mine), case.folder)
            of = replace(case, federation=federation)
            built.append((mine, of))
        data = changed_policies(policies, variant, where)
        checked = _policies(data, where, variant)
        found.append(Playable(name, of, checked, data, _open(scenario, variant, checked)))
    _check_uncertain(scenario, found)
    return found


def _policies(data: dict[str, dict[str, Any]], where: str, variant: Change) -> Policies:
    """Build policies; what is wrong is said to be in the variant if it changes that kind."""
    try:
        return build_policies(data)
    except ConfigError as error:
        what, place, *rest = error.args
        kind = [*place.split("."), ""][1]
        if kind in variant.policy:
            raise ConfigError(what, f"{where}.{place}", *rest) from None
        raise


def _open(scenario: Scenario, variant: Change, policies: Policies) -> tuple[str, ...]:
    """Return the uncertain parameters that the variant's policies have and it does not state."""
    return tuple(
        path
        for path in scenario.uncertain
        if has_path({"policy": policies}, path) and not has_path({"policy": variant.policy}, path)
    )


def _check_uncertain(scenario: Scenario, variants: list[Playable]) -> None:
    """Refuse an uncertain parameter that no variant has and leaves open, or that is no number."""
    for path in scenario.uncertain:
        place, (_, kind, parameter) = f"scenario.uncertain.{path}", path.split(".", 2)
        leave_open = [v for v in variants if path in v.open]
        if not leave_open:
            names = {f.name for v in variants for f in fields(getattr(v.policies, kind))}
            expected = f"a parameter that a variant's policy.{kind} has and it does not state"
            raise ConfigError("no variant leaves it open", place, expected, parameter, names)
        value = value_at(getattr(leave_open[0].policies, kind), parameter)
        if not isinstance(value, float):
            raise ConfigError("cannot be drawn", place, "a parameter that may be any number", value)


def drawn(scenario: Scenario, seed: int, draw: str) -> dict[str, float]:
    """Draw all that is uncertain for a posterior draw, each from a stream of its own name."""
    streams = Streams(seed)
    return {
        path: prior.value(
            float(quantile_to_z(streams.stream(f"uncertain/{draw}", path).random()))
        )
        for path, prior in scenario.uncertain.items()
    }


def policies_at(
    variants: list[Playable], values: Mapping[str, float]
) -> tuple[list[Policies], dict[str, float], bool]:
    """Return the policies of all variants with the values of what is uncertain.

    A policy may refuse values that are possible one by one, such as probabilities that add up to
    more than 1. Then all values of that kind are moved along a straight line towards the configured
    ones, which it accepts, as little as needed (to 1 / 2**`STEPS`) and by the same share in all
    variants, so that variants that are configured alike stay so.

    Returns:
        The policies, the values used by the first variant that has them, and whether any was moved.
    """
    kinds = dict.fromkeys(path.split(".")[1] for v in variants for path in v.open)
    built = [v.policies for v in variants]
    used: dict[str, float] = {}
    moved = False
    for kind in kinds:
        share = _share_accepted(kind, variants, values)
        moved = moved or share < 1.0
        for place, variant in enumerate(variants):
            at = _values_at(kind, variant, values, share)
            if at:
                built[place] = replace(built[place], **{kind: _built(kind, variant, at)})
                used = {**at, **used}
    return built, used, moved


def _share_accepted(
    kind: str, variants: list[Playable], values: Mapping[str, float]
) -> float:
    """Return the largest share of the way to the values that all variants' policies accept."""
    if _accepted(kind, variants, values, 1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _accepted(kind, variants, values, middle) else (low, middle)
    return low


def _accepted(
    kind: str, variants: list[Playable], values: Mapping[str, float], share: float
) -> bool:
    try:
        for variant in variants:
            if at := _values_at(kind, variant, values, share):
                _built(kind, variant, at)
    except ConfigError:
        return False
    return True


def _values_at(
    kind: str, variant: Playable, values: Mapping[str, float], share: float
) -> dict[str, float]:
    """Return the values that a variant leaves open, so far on the way from the configured ones."""
    found = {}
    for path in variant.open:
        _, of, parameter = path.split(".", 2)
        if of == kind:
            base = float(value_at(getattr(variant.policies, kind), parameter))
            whole = share == 1.0
            found[path] = values[path] if whole else base + share * (values[path] - base)
    return found


def _built(kind: str, variant: Playable, values: Mapping[str, float]) -> Any:
    data: dict[str, Any] = variant.data
    for path, value in values.items():
        data = _put(data, path.split(".")[1:], value)
    return build_policy(kind, data[kind])


def _put(data: Mapping[str, Any], parts: list[str], value: float) -> dict[str, Any]:
    """Return a copy of nested mappings with a value in place."""
    first, *rest = parts
    return {**data, first: _put(data.get(first, {}), rest, value) if rest else value}
