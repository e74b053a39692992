"""Empty nodes are switched off and on again when they are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sim.errors import ConfigError
from sim.policies.base import NodeView, SwitchOff
from sim.ranges import NonNegative


@dataclass(frozen=True)
class ScaleDown:
    """From a day on, a node that has been empty for `idle_h` is switched off.

    It is on again from the moment a request needs it, and can be used `boot_h` later.

    Args:
        idle_h: For how long it is empty before, h.
        boot_h: How long it takes to boot, h; clusters with a `scaling` of their own boot as before.
        pools: Whether nodes for deployments are switched off.
        clusters: Whether nodes under applications are.
        from_day: First day, UTC; who is empty then counts as empty since then.

    Source: CLUES switches nodes off like this (idle 300 s in the elastic template, 1800 s as the
    role's default).
    """

    idle_h: NonNegative
    boot_h: NonNegative
    pools: bool
    clusters: bool
    from_day: date

    def __post_init__(self) -> None:
        """Refuse a rule for no node at all."""
        if not (self.pools or self.clusters):
            raise ConfigError(
                "no node would ever be switched off",
                "policy.nodes.pools",
                "true, or clusters: true",
                self.pools,
            )

    def switch_off(self, node: NodeView) -> SwitchOff | None:
        """Return the same for every node of the chosen kinds."""
        chosen = self.clusters if node.serves else self.pools
        return SwitchOff(self.idle_h, self.boot_h) if chosen else None
