"""Nodes that are always on."""

from __future__ import annotations

from dataclasses import dataclass

from sim.policies.base import Inert, NodeView, SwitchOff


@dataclass(frozen=True)
class StaticNodes(Inert):
    """Empty nodes stay on, unless a cluster's own `scaling` says otherwise."""

    def switch_off(self, node: NodeView) -> SwitchOff | None:
        """Return None."""
        return None
