"""Old files are deleted, but for those that are still needed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from sim.entities import StoreRole
from sim.policies.base import FilesView, Kept
from sim.ranges import Fraction, Positive
from sim.units import to_grid_h


@dataclass(frozen=True)
class RetireFiles:
    """From a day on, files are deleted `after_days` after they were brought.

    What is older on that day goes that day. Which files are still needed is a threshold on
    uniforms of the plan: one a batch of data or images, one a request for its checkpoints, one an
    hour for the answers of an application. They are kept for ever (assumed).

    Args:
        after_days: Age at which a file is deleted, days.
        needed_frac: Probability that a file is still needed.
        registry: Whether images in registries are deleted, too; else only data.
        shrinks: Whether volumes are cut at the beginning of each month to what they need; else the
            sites keep them.
        from_day: First day, UTC.
    """

    after_days: Positive
    needed_frac: Fraction
    registry: bool
    shrinks: bool
    from_day: date

    def keep(self, files: FilesView) -> Kept:
        """Return when each file is too old, at the earliest on the first day."""
        if files.role is StoreRole.REGISTRY and not self.registry:
            return Kept(np.full(len(files.time_h), np.inf))
        too_old_h = np.maximum(
            files.time_h + to_grid_h(24.0 * self.after_days), files.day_h(self.from_day)
        )
        needed = files.keep_draw < self.needed_frac
        return Kept(np.where(needed, np.inf, too_old_h), self.shrinks)
