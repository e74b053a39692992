"""Admission without conditions."""

from __future__ import annotations

from dataclasses import dataclass

from sim.policies.base import NO_TERMS, Inert, RequestView, Terms


@dataclass(frozen=True)
class OpenAdmission(Inert):
    """Every request may start as soon as a node has room."""

    def admits(self, request: RequestView) -> Terms | None:
        """Return no terms."""
        return NO_TERMS
