"""Time of serving: whole ticks of 2**-20 s (1 us).

225 ticks are one point of the engine's grid of 2**-24 h. Sums of ticks are sums of integers: exact,
whatever their order; 64 bits hold 279,000 years.
"""

from __future__ import annotations

import numpy as np

from sim.units import FloatArray, IntArray

TICKS_PER_S = 2**20
TICKS_PER_H = 3600 * TICKS_PER_S
NEVER = 2**62  # later than everything; the sum of two such still fits


def ticks(seconds: FloatArray | float, least: int = 0) -> IntArray:
    """Round seconds to ticks, no less than `least`; any shape.

    >>> ticks(1.5).tolist()
    1572864
    """
    return np.maximum(np.rint(np.asarray(seconds) * TICKS_PER_S), least).astype(np.int64)
