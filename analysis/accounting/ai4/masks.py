"""Known gaps of tracking: in which period which tool was not, or wrongly, accounted for.

A user's table (`map=`), one mask a name: `pattern` (shell wildcards, any case) is looked for in
the title, name and image of a job; `from` (included) and `until` (not included) are UTC times.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from analysis.accounting.times import iso_times
from analysis.accounting.user_tables import user_table
from sim.errors import DataError

Interval = tuple[int, int | None]  # µs since 1970; None: it goes on


@dataclass(frozen=True)
class Mask:
    """A period in which hours of some jobs are not to be counted; times in µs since 1970 UTC."""

    name: str
    pattern: str
    from_us: int
    until_us: int

    @property
    def days(self) -> str:
        """The days it touches, UTC, such as `2024-11-13..2025-05-22`."""
        first, last = np.array([self.from_us, self.until_us - 1], dtype="M8[us]").astype("M8[D]")
        return f"{first}..{last}"

    def fits(self, called: tuple[str, ...]) -> bool:
        """Return whether a job with this title, name and image is meant."""
        return any(_compiled(self.pattern).fullmatch(text.lower()) for text in called)


@lru_cache(maxsize=1000)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern.lower()))


def masks_of(path: str | Path | None) -> tuple[Mask, ...]:
    """Read the masks of a user; none without a file.

    Raises:
        DataError: When the table cannot be used, or a period is none.
    """
    if path is None:
        return ()
    table = user_table(path, {"pattern": str, "from": str, "until": str})
    masks = []
    for name, row in table.items():
        times = [row["from"], row["until"]]
        found = iso_times(pa.array(times, pa.string()), "UTC").utc
        where = f"{path}, name {name}"
        if np.isnat(found).any() or found[1] <= found[0]:
            expected = "from before until, such as 2024-11-13 and 2025-05-23"
            raise DataError("not a period", where, expected, ", ".join(times))
        begin, end = found.view(np.int64).tolist()
        masks.append(Mask(name, row["pattern"], begin, end))
    return tuple(masks)


def left_over(whole: Interval, masks: list[Mask]) -> list[Interval]:
    """Return what of an interval lies outside masks, in order of time.

    >>> left_over((0, 10), [Mask("a", "*", 2, 4), Mask("b", "*", 3, 5)])
    [(0, 2), (5, 10)]
    """
    parts = [whole]
    for mask in masks:
        cut: list[Interval] = []
        for start, end in parts:
            if (end is not None and end <= mask.from_us) or start >= mask.until_us:
                cut.append((start, end))
                continue
            if start < mask.from_us:
                cut.append((start, mask.from_us))
            if end is None or end > mask.until_us:
                cut.append((mask.until_us, end))
        parts = cut
    return parts
