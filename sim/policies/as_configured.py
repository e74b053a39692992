"""Applications that scale as the federation says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sim.applications import Application
from sim.policies.base import Inert


@dataclass(frozen=True)
class AsConfigured(Inert):
    """Applications keep the settings of the federation."""

    @property
    def from_day(self) -> date:
        """Return the last day there is: never."""
        return date.max

    def settings(self, application: Application) -> Application:
        """Return the application."""
        return application
