"""Nodes that are always on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sim.policies.base import Inert, NodeView, SwitchOff


@dataclass(frozen=True)
class StaticNodes(Inert):
    """Empty nodes stay on, unless a cluster's own `scaling` says otherwise."""

    @property
    def from_day(self) -> date:
        """Return the last day there is: never."""
        return date.max

    def switch_off(self, node: NodeView) -> SwitchOff | None:
        """Return None."""
        return None
