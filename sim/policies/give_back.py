"""Nodes that nobody has used for weeks go back to their site."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sim.errors import ConfigError
from sim.policies.base import NodeView, SwitchOff
from sim.ranges import NonNegative


@dataclass(frozen=True)
class GiveBack:
    """From a day on, a node for deployments that was unused for `unused_days` is given back.

    The site lends it again when a request needs it, after `return_h`: somebody has to be asked.

    Args:
        unused_days: For how long nobody had a deployment on it, days; at least 1.
        return_h: How long it takes to get it back, h.
        gpus_only: Whether only nodes with GPUs are given back.
        from_day: First day, UTC; who is empty then counts as empty since then.
    """

    unused_days: float
    return_h: NonNegative
    gpus_only: bool
    from_day: date

    def __post_init__(self) -> None:
        """Refuse what no operator does by asking."""
        if self.unused_days < 1.0:
            raise ConfigError(
                "nobody gives nodes back so soon (see scale_down)",
                "policy.nodes.unused_days",
                "at least 1 day",
                self.unused_days,
            )

    def switch_off(self, node: NodeView) -> SwitchOff | None:
        """Return the same for every node with GPUs, or for every node."""
        if node.serves or (self.gpus_only and node.gpus == 0):
            return None
        return SwitchOff(self.unused_days * 24.0, self.return_h)
