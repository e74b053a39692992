"""Files that are kept for ever."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.policies.base import FilesView, Inert
from sim.units import FloatArray


@dataclass(frozen=True)
class KeepFiles(Inert):
    """Nothing is ever deleted."""

    def kept_until_h(self, files: FilesView) -> FloatArray:
        """Return inf for each file."""
        return np.full(len(files.time_h), np.inf)
