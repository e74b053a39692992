"""`aiaas init`: write the folder of a new federation."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import DictConfig, OmegaConf

from analysis.federations import federation_of, load_case, packaged
from analysis.progress import stdout
from analysis.starter import gather
from analysis.starter.asked import Asked
from analysis.starter.facts import Facts
from analysis.starter.writing import texts
from analysis.storing import write_text
from sim.config import build
from sim.errors import ConfigError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}", re.ASCII)


@dataclass(frozen=True, eq=False)
class Job:
    """A checked new federation."""

    folder: Path
    facts: Facts


def rewritten(arguments: Sequence[str]) -> list[str] | None:
    """Turn `NAME key=value …` into overrides."""
    named = [a for a in arguments if "=" not in a and not a.startswith("-")]
    if len(named) > 1:
        raise ConfigError("several names", "aiaas init", "aiaas init NAME", " ".join(named))
    quoted = ["name='" + a.replace("\\", "\\\\").replace("'", "\\'") + "'" for a in named]
    return quoted + [a for a in arguments if a not in named]


def prepare(config: DictConfig) -> Job:
    """Check the name and gather the facts; nothing is written yet.

    Raises:
        ConfigError, DataError: For the first thing that cannot be used.
    """
    data: Any = OmegaConf.to_container(config, resolve=True)
    name, given = data.pop("name"), data.pop("data")
    if name is None:
        raise ConfigError("no name", "aiaas init", "aiaas init NAME")
    folder = Path(str(name))
    if not _NAME.fullmatch(folder.name) or folder.name in packaged():
        expected = f"letters, digits, - and _, from a letter, none of {', '.join(packaged())}"
        raise ConfigError("impossible name", "aiaas init", expected, folder.name)
    if folder.exists() or folder.is_symlink():
        raise ConfigError("it exists", "aiaas init", "the name of a new folder", str(folder))
    if not folder.parent.is_dir():
        raise ConfigError("no such folder", "aiaas init", "an existing one", str(folder.parent))
    asked = build(Asked, data, "init")
    if given is None:
        return Job(folder, gather.example(folder.name, asked))
    return Job(folder, gather.from_data(folder.name, Path(str(given)), asked))


def execute(job: Job) -> Path:
    """Write the folder, load it once as a check, and move it where it belongs."""
    folder = job.folder
    path = str(folder) if len(folder.parts) > 1 else f"./{folder}"
    with TemporaryDirectory(dir=folder.parent, prefix=".aiaas-init-") as made:
        part = Path(made) / folder.name
        for name, text in texts(job.facts, path).items():
            write_text(text, part / name)
        load_case(federation_of(part), part)
        os.rename(part, folder)
    console = stdout()
    facts = job.facts
    console.print(
        f"{facts.name}: {len(facts.sites)} sites, {len(facts.pools)} pools, "
        f"{len(facts.use_cases)} use cases, M1-M{facts.reported_months} reported from "
        f"{facts.start}, {facts.months} months",
        highlight=False, markup=False,
    )  # fmt: skip
    for note in facts.notes:
        console.print(note, highlight=False, markup=False)
    print(f"read first: {folder / 'README.md'}")
    return folder
