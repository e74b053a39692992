"""Scenarios: files that ask a question and say which variants of a federation answer it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Len
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from analysis.federations import read_yaml
from sim.config import build
from sim.errors import ConfigError
from sim.ranges import Positive


@dataclass(frozen=True)
class Change:
    """What is different about a federation.

    Paths lead into its configuration; `*` stands for every name at that place.

    Args:
        put: Values by path.
        scale: Factors by path; the value there must be a number.
    """

    put: dict[str, Any] = field(default_factory=dict)
    scale: dict[str, Positive] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant(Change):
    """A variant of the federation.

    Args:
        series: Curve that it belongs to in the figure.
        at: Where it lies on the scenario's axis.
    """

    series: str = ""
    at: Positive = 1.0


@dataclass(frozen=True)
class Scenario:
    """A question and the variants that answer it.

    Args:
        question: What is asked.
        expected: What should come out, and why.
        source: Where the question comes from, or the word assumed.
        axis: What `at` of the variants means.
        base: What is different about all of them.
        variants: By name.
    """

    question: str
    expected: str
    source: str
    axis: str
    variants: Annotated[dict[str, Variant], Len(1)]
    base: Change = field(default_factory=Change)


def packaged() -> dict[str, Path]:
    """Return the scenarios that ship with the package, by name."""
    root = Path(str(files("scenarios")))
    return {path.stem: path for path in sorted(root.glob("*.yaml"))}


def register(path: Path) -> str:
    """Make a scenario's file an option of the configuration group `scenario`; return its name.

    Raises:
        DataError: When it is missing or not YAML.
    """
    node = OmegaConf.create(read_yaml(path))
    ConfigStore.instance().store(group="scenario", name=path.stem, node=node)
    return path.stem


def build_scenario(data: Mapping[str, Any]) -> Scenario:
    """Build a scenario from plain data.

    Raises:
        ConfigError: For the first key or value that cannot be used.
    """
    return build(Scenario, data, "scenario")


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
