"""Policies of a user's own: a YAML file anywhere, its class beside it."""

from __future__ import annotations

import sys
from pathlib import Path

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from analysis.federations import plain, read_yaml


def register(kind: str, path: Path) -> str:
    """Make a policy's file an option of the configuration group `policy/<kind>`; return its name.

    The module that its `_target_` names is looked for beside it, too; worker processes look where
    this one does.

    Raises:
        DataError: When the file is missing or not YAML.
    """
    node = OmegaConf.create(plain(read_yaml(path)))
    ConfigStore.instance().store(group=f"policy/{kind}", name=path.stem, node=node)
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    return path.stem
