"""The federations and policies as they ship, loaded without the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from sim.config import build_federation, build_policies
from sim.entities import Federation
from sim.policies.base import Policies

ROOT = Path(__file__).resolve().parent.parent


def federation_data(name: str) -> dict[str, Any]:
    """Return a fresh copy of the configuration of a shipped federation, as plain data."""
    config = OmegaConf.load(ROOT / "conf" / "behaviour.yaml")
    for part in ("federation", "use_cases"):
        more = OmegaConf.load(ROOT / "scenarios" / name / f"{part}.yaml")
        config = OmegaConf.merge(config, more)
    return OmegaConf.to_container(config)  # type: ignore[return-value]


def federation(name: str) -> Federation:
    """Return a shipped federation."""
    return build_federation(federation_data(name))


def policies_data(**others: str) -> dict[str, dict[str, Any]]:
    """Return the shipped choice of policies, or `others` by kind, as plain data."""
    shipped = {
        "admission": "gpu_quota", "placement": "home_with_failover", "idle": "never",
        "sharing": "whole", "nodes": "static", "serving": "as_configured", "storage": "keep",
        "education": "none",
    }  # fmt: skip
    chosen = {**shipped, **others}
    folder = ROOT / "conf" / "policy"
    return {
        kind: OmegaConf.to_container(OmegaConf.load(folder / kind / f"{name}.yaml"))
        for kind, name in chosen.items()
    }  # type: ignore[return-value]


def policies(**others: str) -> Policies:
    """Return the shipped choice of policies, or `others` by kind."""
    return build_policies(policies_data(**others))
