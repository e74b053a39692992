"""Scenarios: files that ask a question and say which variants of a federation answer it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Len
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from analysis import own_policies
from analysis.calibration.priors import Prior
from analysis.federations import plain, read_yaml
from sim.config import build
from sim.errors import ConfigError
from sim.policies.base import Policies
from sim.ranges import Positive

KINDS = tuple(f.name for f in fields(Policies))


@dataclass(frozen=True)
class Change:
    """What is different about a federation and its policies.

    Paths lead into its configuration; `*` stands for every name at that place.

    Args:
        put: Values by path.
        scale: Factors by path; the value there must be a number.
        policy: By kind: the name of an option of conf/policy/<kind>/ or the path of a YAML file, or
            parameters on top of the policy in force, or of the option that `option` names among
            them.
    """

    put: dict[str, Any] = field(default_factory=dict)
    scale: dict[str, Positive] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant(Change):
    """A variant of the federation and its policies.

    Args:
        series: Curve that it belongs to in the figure of serving.
        at: Where it lies on the scenario's axis.
    """

    series: str = ""
    at: Positive = 1.0


@dataclass(frozen=True)
class Uncertain:
    """The prior of a policy's parameter that nobody knows; z as in `analysis.calibration.priors`.

    Args:
        distribution: `lognormal` or `logitnormal`.
        median: Median, in `unit`.
        sigma: Standard deviation on the logarithmic or logit scale.
        unit: Unit of the value.
        source: Reference, or the word assumed.
    """

    distribution: Literal["lognormal", "logitnormal"]
    median: Positive
    sigma: Positive
    unit: str
    source: str

    def value(self, z: float) -> float:
        """Turn standard normal z into a value in `unit`."""
        prior = Prior(("-",), self.distribution, self.median, self.sigma, self.unit, self.source)
        return float(prior.value(z))


@dataclass(frozen=True)
class Scenario:
    """A question and the variants that answer it.

    Args:
        question: What is asked.
        expected: What should come out, and why.
        source: Where the question comes from, or the word assumed.
        variants: By name.
        axis: What `at` of the variants means.
        baseline: The variant that the others are compared with; empty for the first.
        base: What is different about all of them.
        uncertain: Parameters of policies that nobody knows, by path (`policy.<kind>.<parameter>`):
            drawn once a posterior draw, the same in all variants whose policy of that kind has the
            parameter and which do not state it themselves.
        draws: Posterior draws that `aiaas compare` plays unless told otherwise.
        idle: Priors of idleness that it plays, likewise.
    """

    question: str
    expected: str
    source: str
    variants: Annotated[dict[str, Variant], Len(1)]
    axis: str = ""
    baseline: str = ""
    base: Change = field(default_factory=Change)
    uncertain: dict[str, Uncertain] = field(default_factory=dict)
    draws: Annotated[int, Ge(2)] | None = None
    idle: tuple[str, ...] = ()


def packaged() -> dict[str, Path]:
    """Return the scenarios that ship with the package, by name."""
    root = Path(str(files("scenarios")))
    return {path.stem: path for path in sorted(root.glob("*.yaml"))}


def register(path: Path) -> str:
    """Make a scenario's file an option of the configuration group `scenario`; return its name.

    Raises:
        DataError: When it is missing or not YAML.
    """
    node = OmegaConf.create(plain(read_yaml(path)))
    ConfigStore.instance().store(group="scenario", name=path.stem, node=node)
    return path.stem


def build_scenario(data: Mapping[str, Any]) -> Scenario:
    """Build a scenario from plain data.

    Raises:
        ConfigError: For the first key or value that cannot be used.
    """
    scenario = build(Scenario, data, "scenario")
    if scenario.baseline not in ("", *scenario.variants):
        names = list(scenario.variants)
        raise ConfigError(
            "no such variant", "scenario.baseline", ", ".join(names), scenario.baseline, names
        )
    for path, prior in scenario.uncertain.items():
        place = f"scenario.uncertain.{path}"
        if prior.distribution == "logitnormal" and prior.median >= 1.0:
            raise ConfigError(
                "impossible median", f"{place}.median", "between 0 and 1", prior.median
            )
        root, _, rest = path.partition(".")
        if root != "policy" or "." not in rest:
            raise ConfigError("leads nowhere", place, "policy.<kind>.<parameter>", path)
        _known_kind(rest.partition(".")[0], place)
    return scenario


def changed(content: Mapping[str, Any], change: Change, where: str) -> dict[str, Any]:
    """Return a federation's configuration with a change made; the caller's stays as it was.

    Args:
        content: Plain data of the federation.
        change: What is different.
        where: Path of the change, for messages.

    Raises:
        ConfigError: When a path leads nowhere, or to something that cannot be scaled.
    """
    data: dict[str, Any] = deepcopy(dict(content))
    for path, value in change.put.items():
        for parent, last in _places(data, path.split("."), f"{where}.put.{path}"):
            parent[last] = deepcopy(value)
    for path, factor in change.scale.items():
        place = f"{where}.scale.{path}"
        for parent, last in _places(data, path.split("."), place):
            value = parent.get(last)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ConfigError("cannot be scaled", place, "the path of a number", value)
            parent[last] = factor * value
    return data


def changed_policies(
    configured: Mapping[str, Mapping[str, Any]], change: Change, where: str
) -> dict[str, dict[str, Any]]:
    """Return the configuration of policies with a change made; the caller's stays as it was.

    Args:
        configured: Plain data of the policies in force, by kind.
        change: What is different.
        where: Path of the change, for messages.

    Raises:
        ConfigError: For an unknown kind or option; parameters are checked where policies are built.
    """
    data = {kind: dict(of) for kind, of in configured.items()}
    for kind, wish in change.policy.items():
        place = f"{where}.policy.{kind}"
        _known_kind(kind, place)
        given = {"option": wish} if isinstance(wish, str) else wish
        if not isinstance(given, Mapping):
            raise ConfigError("no policy", place, "the name of an option, or parameters", wish)
        own = {key: value for key, value in given.items() if key != "option"}
        base = _option(kind, given["option"], place) if "option" in given else data[kind]
        data[kind] = _merged(base, own)
    return data


def _known_kind(kind: str, where: str) -> None:
    if kind not in KINDS:
        raise ConfigError("unknown kind of policy", where, ", ".join(KINDS), kind, KINDS)


def _option(kind: str, name: Any, where: str) -> dict[str, Any]:
    """Return the plain data of an option of conf/policy/<kind>/, or of a file of one's own."""
    if isinstance(name, str) and name.endswith((".yaml", ".yml")):
        own_policies.register(kind, Path(name))
        return dict(plain(read_yaml(Path(name))))
    folder = Path(str(files("conf"))) / "policy" / kind
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        expected = f"{', '.join(known)} or the path of a YAML file"
        raise ConfigError("no such option", where, expected, name, known)
    return dict(plain(read_yaml(folder / f"{name}.yaml")))


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return `below` with the values of `above`; mappings in both are merged."""
    merged = deepcopy(dict(below))
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else deepcopy(value)
    return merged


def _places(data: Any, parts: list[str], where: str) -> list[tuple[dict[str, Any], str]]:
    """Return the mappings that a path leads to, with its last part."""
    if not isinstance(data, dict):
        raise ConfigError("leads nowhere", where, "a path into the federation", parts[0])
    if len(parts) == 1:
        return [(data, parts[0])]
    names = list(data) if parts[0] == "*" else [parts[0]]
    if not set(names) <= set(data):
        raise ConfigError("leads nowhere", where, "a path into the federation", parts[0], data)
    return [place for name in names for place in _places(data[name], parts[1:], where)]
