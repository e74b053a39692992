"""Texts to numbers, many at once, by a stated rule for decimal signs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_POINT = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$"
_COMMA = r"^[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+)(?:,\d*)?(?:[eE][+-]?\d{1,3})?$"
EXPECTED = {
    "point": "a number such as 1234.5, without thousands separators (decimal=comma reads 1.234,5)",
    "comma": "a number such as 1234,5 or 1.234,5",
}


def to_numbers(texts: pa.Array, decimal: str = "point") -> NDArray[np.float64]:
    """Read numbers; nan where a text is none, empty or infinite.

    Args:
        texts: Strings.
        decimal: `point` (1234.5; thousands separators are refused) or `comma` (1234,5; a point is
            then a separator of thousands and stands before three digits).

    >>> to_numbers(pa.array(["1234.5", "1.234,5", "1e999"])).tolist()
    [1234.5, nan, nan]
    >>> to_numbers(pa.array(["1234,5", "1.234,5", "1.5"]), "comma").tolist()
    [1234.5, 1234.5, nan]
    """
    shaped = pc.match_substring_regex(texts, _POINT if decimal == "point" else _COMMA)
    if not pc.all(shaped, min_count=0).as_py():
        texts = pc.if_else(shaped, texts, None)
    if decimal == "comma":
        texts = pc.replace_substring(pc.replace_substring(texts, ".", ""), ",", ".")
    texts = pc.utf8_ltrim(texts, "+")
    numbers = pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(numbers), numbers, np.nan)
