"""TB-months from what was held for how long."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.units import US_PER_H

RULE = (
    "TB-months are 10**12 bytes for a calendar month of UTC; what a period holds is taken to be "
    "spread evenly over it"
)
_HOUR = np.timedelta64(US_PER_H, "us")


def tb_months(
    tb_h: NDArray[np.float64], start: NDArray[np.datetime64], end: NDArray[np.datetime64]
) -> NDArray[np.float64]:
    """Turn TB-hours of periods into TB-months by `RULE`, which is that of the ledgers.

    Args:
        tb_h: TB-hours, shape (n,).
        start: Beginning of each period, datetime64[us] of UTC.
        end: End of each, later; nan comes of one that is not.

    >>> september = np.array(["2026-09-01"], "M8[us]"), np.array(["2026-10-01"], "M8[us]")
    >>> tb_months(np.array([2.0 * 30 * 24]), *september).tolist()
    [2.0]
    """
    hours = (end - start) / _HOUR
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = (end.astype("M8[M]") - start.astype("M8[M]")).astype(np.int64)
        months = whole + (_share(end) - _share(start))
        return tb_h * np.where(hours > 0.0, months / hours, np.nan)


def _share(times: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Return how much of its calendar month has passed at each time."""
    month = times.astype("M8[M]")
    begin, end = (m.astype("M8[us]") for m in (month, month + 1))
    return (times - begin) / (end - begin)
