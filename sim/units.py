"""Units of the whole product and the dyadic grid on which simulated times lie.

Simulated time is in hours since the start of the project, in UTC. All times are whole multiples
of 2**-24 h (0.2 ms), so that sums and differences are exact and do not depend on their order
(binary floating point: 40 bits are enough for seven years of such times, a double has 53).
"""

from __future__ import annotations

from typing import overload

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

GRID_PER_H = 2.0**24  # grid points an hour
GRID_H = 1.0 / GRID_PER_H  # h
SECONDS_PER_H = 3600.0  # s/h
US_PER_H = 3_600_000_000  # microseconds in an hour
WEEK_H = 168.0
MONTH_H = 730.5  # mean Gregorian month: 365.25 d / 12
YEAR_H = 12 * MONTH_H
GB_PER_TB = 1000.0  # 1 TB = 10**12 bytes
MB_PER_TB = 1.0e6

RESOURCES = ("gpu", "cpu", "storage")
LEDGERS = ("provisioned", "allocated", "active")
UNIT_OF = {"gpu": "GPU-h", "cpu": "CPU-h", "storage": "TB-month"}


@overload
def to_grid_h(hours: float) -> float: ...
@overload
def to_grid_h(hours: FloatArray) -> FloatArray: ...
def to_grid_h(hours: float | FloatArray) -> float | FloatArray:
    """Round hours to the nearest point of the dyadic grid.

    Args:
        hours: Time or duration in h; scalar or array of any shape.

    Returns:
        The same in h, a whole multiple of 2**-24 h.

    >>> to_grid_h(0.5)
    0.5
    """
    if isinstance(hours, np.ndarray):
        return np.rint(hours * GRID_PER_H) / GRID_PER_H
    return round(hours * GRID_PER_H) / GRID_PER_H
