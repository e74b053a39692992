"""Admission without conditions."""

from __future__ import annotations

from dataclasses import dataclass

from sim.policies.base import Inert, RequestView


@dataclass(frozen=True)
class OpenAdmission(Inert):
    """Every request may start as soon as a node has room."""

    def admits(self, request: RequestView) -> bool:
        """Return True."""
        return True
