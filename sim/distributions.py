"""The few distributions the plan draws from, as functions of standard draws.

A plan draws standard normals and uniforms from named streams and turns them into values here, so
that a change of a parameter moves every value smoothly and leaves the draws as they were.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sim.errors import EngineError
from sim.units import FloatArray, IntArray


def lognormal(median: float | FloatArray, sigma: float, normals: FloatArray) -> FloatArray:
    """Turn standard normals into lognormal values.

    Args:
        median: Median, in any unit; scalar or the shape of `normals`; not negative.
        sigma: Standard deviation of the logarithm.
        normals: Standard normal draws.

    Returns:
        Values in the unit of `median`.
    """
    return checked(median * np.exp(sigma * normals))


def exponential(mean: float, uniforms: FloatArray) -> FloatArray:
    """Turn uniforms on [0, 1) into exponential values of the given mean."""
    return checked(-mean * np.log1p(-uniforms))


def geometric(mean: float, uniforms: FloatArray) -> IntArray:
    """Turn uniforms on [0, 1) into counts 1, 2, … of the given mean (at least 1)."""
    if mean <= 1.0:
        return np.ones(len(uniforms), dtype=np.int64)
    return 1 + np.floor(np.log1p(-uniforms) / np.log1p(-1.0 / mean)).astype(np.int64)


def choice(weights: Mapping[int, float], uniforms: FloatArray) -> IntArray:
    """Turn uniforms into values picked with the given relative weights, in ascending order.

    >>> choice({1: 1.0, 4: 3.0}, np.array([0.1, 0.3, 0.9])).tolist()
    [1, 4, 4]
    """
    values = np.array(sorted(weights), dtype=np.int64)
    shares = np.cumsum([weights[int(v)] for v in values])
    index = np.searchsorted(shares / shares[-1], uniforms, side="right")
    return values[np.minimum(index, len(values) - 1)]


def checked(values: FloatArray) -> FloatArray:
    """Return `values` after making sure that each is finite and not negative."""
    if not (np.isfinite(values).all() and (values >= 0.0).all()):
        raise EngineError("impossible draw", "distribution", "finite, not negative values")
    return values
