"""A use case may keep only so much."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from sim.entities import StoreRole
from sim.policies.base import FilesView, Kept
from sim.ranges import NonNegative


@dataclass(frozen=True)
class StorageQuota:
    """From a day on, a file that would take its use case above the quota is refused.

    Only data counts, once each, from the moment it is brought and wherever it lies or waits.
    Nothing is deleted: what is there on the day stays, and a use case above its quota can add
    nothing. A smaller file may still fit where a larger one was refused.

    Args:
        tb_per_use_case: Most that a use case keeps, TB.
        from_day: First day, UTC.
    """

    tb_per_use_case: NonNegative
    from_day: date

    def keep(self, files: FilesView) -> Kept:
        """Return the time at which a file was brought for those refused, inf for all others."""
        until_h = np.full(len(files.time_h), np.inf)
        if files.role is not StoreRole.DATA:
            return Kept(until_h)
        first = int(np.searchsorted(files.time_h, files.day_h(self.from_day)))
        kept_tb = np.bincount(files.use_case[:first], files.amount_tb[:first]).tolist()
        kept_tb += [0.0] * (int(files.use_case.max(initial=-1)) + 1 - len(kept_tb))
        later = zip(files.use_case[first:].tolist(), files.amount_tb[first:].tolist(), strict=True)
        for file, (use_case, amount_tb) in enumerate(later, start=first):
            if kept_tb[use_case] + amount_tb > self.tb_per_use_case:
                until_h[file] = files.time_h[file]
            else:
                kept_tb[use_case] += amount_tb
        return Kept(until_h)
