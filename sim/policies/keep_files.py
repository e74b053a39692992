"""Files that are kept for ever."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.policies.base import FilesView, Inert, Kept


@dataclass(frozen=True)
class KeepFiles(Inert):
    """Nothing is ever deleted."""

    def keep(self, files: FilesView) -> Kept:
        """Return inf for each file."""
        return Kept(np.full(len(files.time_h), np.inf))
