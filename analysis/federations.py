"""Federations: folders with a federation.yaml, packaged ones by name and a user's own by path."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from analysis.accounts import rules
from analysis.calibration.priors import Priors, load_priors
from analysis.hypotheses import Hypotheses, load_hypotheses, reading_later
from analysis.observations import load_observations
from analysis.records.as_figures import record_rows
from analysis.traces import with_traces
from sim.config import build_federation
from sim.entities import Federation
from sim.errors import ConfigError, DataError
from sim.timeline import months_of

if TYPE_CHECKING:
    from analysis.accounts.use import Use

_WORD = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
PARTS = ("federation.yaml", "use_cases.yaml")


@dataclass(frozen=True, eq=False)
class Case:
    """What is known of a federation beside its entities.

    Args:
        folder: Where its files lie.
        federation: The entities.
        observations: The reported figures.
        hypotheses: Their readings.
        priors: Of the parameters.
        data: What was taken of an import of accounting; its figures are among `observations`.
    """

    folder: Path
    federation: Federation
    observations: pd.DataFrame
    hypotheses: Hypotheses
    priors: Priors
    data: Use | None = None


def packaged() -> dict[str, Path]:
    """Return the folders of the federations that ship with the package, by name."""
    root = Path(str(files("scenarios")))
    return {p.parent.name: p.parent for p in sorted(root.glob("*/federation.yaml"))}


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        DataError: When it is missing, unreadable, not YAML or not a mapping.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise DataError("no such file", str(path), "a YAML file", path.name, near) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("cannot be read", str(path), "a YAML file", str(error)) from None
    except yaml.YAMLError as error:
        raise DataError("not YAML", str(path), "valid YAML", str(error).splitlines()[0]) from None
    if not isinstance(data, dict):
        raise DataError("no mapping", str(path), "keys and values", type(data).__name__)
    return data


def register(folder: Path) -> str:
    """Make a federation's folder an option of the configuration group `federation`.

    Returns:
        The name of the option, which is the folder's.

    Raises:
        DataError: When one of its files is missing or not YAML.
    """
    content: dict[str, Any] = {"folder": str(folder.resolve())}
    for part in PARTS:
        content |= plain(read_yaml(folder / part))
    name = folder.resolve().name
    ConfigStore.instance().store(group="federation", name=name, node=OmegaConf.create(content))
    return name


def federation_of(folder: Path) -> Federation:
    """Return the federation of a folder, without the command line."""
    config: Any = OmegaConf.load(str(files("conf") / "behaviour.yaml"))
    for part in PARTS:
        config = OmegaConf.merge(config, plain(read_yaml(folder / part)))
    content: Any = OmegaConf.to_container(config, resolve=True)
    return build_federation(content)


def policies_of(folder: Path) -> dict[str, str]:
    """Return the policies that a federation has of its own, by kind (`policies.yaml`).

    Raises:
        ConfigError: When it is no table of names.
    """
    path = folder / "policies.yaml"
    told = read_yaml(path) if path.is_file() else {}
    for kind, name in told.items():
        if not (isinstance(kind, str) and isinstance(name, str) and _WORD.fullmatch(kind + name)):
            raise ConfigError("not a policy", f"{path}, {kind}", "kind: name", str(name))
    return told


def load_case(
    federation: Federation,
    folder: Path,
    later: Path | None = None,
    records: tuple[Path, str] | None = None,
    data: Path | None = None,
) -> Case:
    """Load the traces, reported figures, hypotheses and priors of a federation.

    Args:
        federation: The entities.
        folder: Where its files lie.
        later: A file of figures that came after the federation's own, in the same columns.
        records: A file of deployment records and the window it has, such as M13-M24.
        data: The folder of an import of accounting; `data.yaml` says how it is read.

    Raises:
        ConfigError, DataError: For the first thing in them that cannot be used.
    """
    federation = with_traces(federation, folder)
    files_ = [folder / "observations.csv", *([later] if later else [])]
    observations = load_observations(*files_)
    unknown = sorted(set(observations["site"]) - set(federation.sites) - {"all"})
    if unknown:
        raise DataError(
            "unknown site",
            str(files_[-1]),
            f"all or one of {', '.join(federation.sites)}",
            unknown[0],
            federation.sites,
        )
    hypotheses = load_hypotheses(read_yaml(folder / "hypotheses.yaml"), observations)
    if later:
        first = len(load_observations(files_[0]))
        federation = _told_later(federation, observations.iloc[first:], later)
        hypotheses = reading_later(hypotheses, observations, first)
    taken = None
    if data:
        # pandera takes half a second: only who has data waits for it
        from analysis.accounts.use import use

        taken = use(data, rules_of(folder, federation), federation, observations)
        if records and taken.window:
            expected = "records= or jobs of data=, not both (data.yaml: fits: totals)"
            raise ConfigError("records given twice", "records", expected, str(records[0]))
        federation = _told_later(federation, taken.rows, data)
        observations = pd.concat([observations, taken.rows], ignore_index=True)
    if records:
        rows = record_rows(records[0], federation.calendar, records[1])
        if months_of(records[1])[-1] > federation.reported_months:
            expected = f"a window that ends by M{federation.reported_months}"
            raise DataError("records of months to come", str(records[0]), expected, records[1])
        observations = pd.concat([observations, rows], ignore_index=True)
    priors = load_priors({"priors": _inner(folder / "priors.yaml", "priors")}, federation)
    return Case(folder, federation, observations, hypotheses, priors, taken)


def rules_of(folder: Path, federation: Federation) -> rules.Rules:
    """Return how a federation wants `data=` to be read."""
    path = folder / rules.FILE
    told = plain(read_yaml(path)) if path.is_file() else {}
    return rules.load_rules(told, federation.sites, path)


def _told_later(federation: Federation, observations: pd.DataFrame, later: Path) -> Federation:
    """Return the federation with its reported months carried on to the last figure."""
    told = observations.loc[observations["metric"] == "usage", "period"]
    ends = [months_of(p)[-1] for p in told]
    last = max([federation.reported_months, *ends])
    if last >= federation.calendar.months:
        raise DataError(
            "nothing would be left to project",
            str(later),
            f"figures that end before M{federation.calendar.months}, or a longer calendar",
            f"M{last}",
        )
    return replace(federation, reported_months=last)


def _inner(path: Path, key: str) -> dict[str, Any]:
    data = read_yaml(path)
    if set(data) != {key}:
        raise ConfigError("unexpected keys", str(path), f"the single key {key}", ", ".join(data))
    return data[key]


def plain(data: Any) -> Any:
    """Turn dates into text, as the configuration library wants it."""
    if isinstance(data, dict):
        return {k: plain(v) for k, v in data.items()}
    if isinstance(data, list):
        return [plain(v) for v in data]
    return data if isinstance(data, (str, int, float, bool, type(None))) else str(data)
