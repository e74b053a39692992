"""Whole GPUs for everybody."""

from __future__ import annotations

from dataclasses import dataclass

from sim.policies.base import Inert, RequestView, Share


@dataclass(frozen=True)
class WholeGpus(Inert):
    """Each request gets what it asks for."""

    def share(self, request: RequestView) -> Share | None:
        """Return None."""
        return None
