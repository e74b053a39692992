"""What every verb does first: turn a composed configuration into checked entities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from analysis.federations import Case, load_case
from analysis.progress import stdout
from sim.config import build_federation, build_policies, check_policies
from sim.errors import ConfigError
from sim.policies.base import Policies

_SHARED = {"federation", "policy", "seed", "jobs", "data"}


@dataclass(frozen=True, eq=False)
class Setup:
    """A checked configuration.

    Args:
        case: Federation, figures, hypotheses and priors.
        policies: In force.
        config: The composed configuration as plain data.
        seed: Seed entropy.
        jobs: Processes.
        options: The verb's own keys.
    """

    case: Case
    policies: Policies
    config: dict[str, Any]
    seed: int
    jobs: int
    options: dict[str, Any]

    def inputs(self) -> dict[str, Path]:
        """Return the files the federation was read from, later figures, records and data."""
        files = {p.name: p for p in sorted(self.case.folder.glob("*.*")) if p.is_file()}
        given = {key: self.options.get(key) for key in ("data", "records")}
        if self.case.data is not None:
            files |= {f"data/{n}": p for n, p in self.case.data.accounts.files().items()}
        return files | {f"{k}/{Path(v).name}": Path(v) for k, v in given.items() if v}


def prepare_setup(config: DictConfig, own: dict[str, type | tuple[type, ...]]) -> Setup:
    """Check a composed configuration.

    Args:
        config: As composed.
        own: The verb's own keys and their types.

    Raises:
        ConfigError, DataError: For the first key, type, value or file that cannot be used.
    """
    data: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    for key in data:
        if key not in _SHARED | set(own):
            raise ConfigError(
                "unknown key", key, "a key of this verb", key, sorted(_SHARED | set(own))
            )
    for key, kind in {"seed": int, "jobs": int, **own}.items():
        value = data.get(key)
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
            raise ConfigError("wrong type", key, _kind_name(kind), value)
    if data["seed"] < 0:
        raise ConfigError("impossible seed", "seed", "0 or more", data["seed"])
    if data["jobs"] == 0:
        raise ConfigError("impossible number of processes", "jobs", "-1 or at least 1", 0)
    content = dict(data["federation"])
    folder = Path(content.pop("folder"))
    federation = build_federation(content)
    policies = build_policies(data["policy"])
    check_policies(policies, federation)
    given = Path(data["data"]) if data.get("data") else None
    imported = given is not None and (given.is_dir() or not given.suffix)
    told = (Path(data["records"]), str(data["window"])) if data.get("records") else None
    return Setup(
        load_case(
            federation, folder, None if imported else given, told, given if imported else None
        ),
        policies,
        data,
        data["seed"],
        data["jobs"],
        {k: data[k] for k in own},
    )


def told_of(setup: Setup, folder: Path) -> dict[str, Any]:
    """Write and say what was used of `data=`; returns what a manifest keeps of it."""
    if setup.case.data is None:
        return {}
    setup.case.data.write(folder)
    show_data(setup)
    return {"data": setup.case.data.manifest()}


def show_data(setup: Setup) -> None:
    """Say what was used of `data=` and what was left out."""
    if setup.case.data is not None:
        for line in setup.case.data.says():
            stdout().print(line, highlight=False, markup=False)


def at_least(options: dict[str, Any], key: str, low: int) -> int:
    """Return a whole number that must not be smaller than `low`."""
    if options[key] < low:
        raise ConfigError("too small", key, f"at least {low}", options[key])
    return int(options[key])


def one_of(options: dict[str, Any], key: str, names: list[str]) -> str:
    """Return a name that must be one of `names`."""
    if options[key] not in names:
        raise ConfigError("unknown choice", key, ", ".join(names), options[key], names)
    return str(options[key])


def _kind_name(kind: type | tuple[type, ...]) -> str:
    names = {int: "a whole number", str: "a name", bool: "true or false", type(None): "null"}
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join(names.get(k, k.__name__) for k in kinds)
