"""ISO 8601 texts to UTC, many at once, with a site's local time zone.

Local clocks that change: a time that comes twice is taken as the first, a time that the clock
skips is read with the offset from before the change (PEP 495, fold=0). Both are counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_SHAPE = (
    r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)?"
    r"(?:Z|[+-]\d{2}(?::?\d{2})?)?$"
)
_OFFSET = r":\d{2}[.,\d]*\s?(?:Z|[+-]\d{2}(?::?\d{2})?)$"
_SLOT_US = 15 * 60 * 1_000_000  # clocks have changed at quarters of hours since 1972
_FIRST_US, _LAST_US = -86_400_000_000, 7_262_000_000_000_000  # 1970 less a day, and early 2200
_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class Times:
    """Times that were read.

    Args:
        utc: datetime64[us]; NaT where the text is no time.
        second: The same, with the second reading of local times that came twice.
        twice: How many local times came twice, and were taken as the first.
        skipped: How many the clock skips, read with the offset from before.
    """

    utc: NDArray[np.datetime64]
    second: NDArray[np.datetime64]
    twice: int
    skipped: int


def iso_times(texts: pa.Array, zone: str) -> Times:
    """Read ISO 8601 times; those without an offset are local to `zone`.

    Digits below a microsecond are cut off.

    Args:
        texts: Strings, nothing empty: `2026-09-01`, `2026-09-01T08:00:00.25`, with a space for the
            T, with `Z` or `+02:00`.
        zone: IANA name.

    >>> iso_times(pa.array(["2026-07-01T12:00:00", "2026-02-30"]), "Europe/Madrid").utc[0]
    np.datetime64('2026-07-01T10:00:00.000000')
    """
    shaped = pc.match_substring_regex(texts, _SHAPE)
    if not pc.all(shaped, min_count=0).as_py():
        texts = pc.if_else(shaped, texts, None)
    offset = pc.fill_null(pc.match_substring_regex(texts, _OFFSET), False)
    with_offset = offset.to_numpy(zero_copy_only=False)
    if not with_offset.any():
        return localised(_naive(texts), zone)
    utc = np.full(len(texts), np.datetime64("NaT"), dtype="datetime64[us]")
    utc[with_offset] = _aware(texts.filter(offset))
    local = localised(_naive(texts.filter(pc.invert(offset))), zone)
    second = utc.copy()
    utc[~with_offset], second[~with_offset] = local.utc, local.second
    return Times(utc, second, local.twice, local.skipped)


def localised(local: NDArray[np.datetime64], zone: str) -> Times:
    """Turn local times of a zone into UTC.

    Args:
        local: datetime64[us], of any shape (n,); NaT stays.
        zone: IANA name.
    """
    if zone == "UTC" or not len(local):
        return Times(local, local, 0, 0)
    ticks = local.astype("datetime64[us]").view(np.int64)
    inside = (ticks > _FIRST_US) & (ticks < _LAST_US)  # what lies outside is refused later anyway
    slots, where = np.unique(ticks[inside] // _SLOT_US, return_inverse=True)
    found = np.array([_offsets(zone, int(slot)) for slot in slots], dtype=np.int64).reshape(-1, 2)
    first, last = found[where, 0], found[where, 1]
    utc, second = ticks.copy(), ticks.copy()
    utc[inside] -= first
    second[inside] -= np.where(first > last, last, first)
    return Times(
        utc.view("datetime64[us]"), second.view("datetime64[us]"),
        int((first > last).sum()), int((first < last).sum()),
    )  # fmt: skip


@lru_cache(maxsize=100_000)
def _offsets(zone: str, slot: int) -> tuple[int, int]:
    """Return the offsets (µs) of a quarter of an hour of local time: first and second reading."""
    local = _EPOCH + timedelta(microseconds=slot * _SLOT_US)
    info = ZoneInfo(zone)
    both = (info.utcoffset(local.replace(fold=fold)) or timedelta(0) for fold in (0, 1))
    first, second = (offset // timedelta(microseconds=1) for offset in both)
    return first, second


def _naive(texts: pa.Array) -> NDArray[np.datetime64]:
    cut = texts
    if pc.any(pc.match_substring_regex(texts, "[.,]"), min_count=0).as_py():
        cut = pc.replace_substring_regex(texts, r"[.,](\d{1,6})\d*$", r".\1")
    try:
        found = pc.cast(cut, pa.timestamp("us"))
    except pa.ArrowInvalid:  # a 30th of February, or an hour 25, among them
        parsed = pd.to_datetime(pd.Series(cut.to_pylist()), format="ISO8601", errors="coerce")
        return parsed.to_numpy().astype("datetime64[us]")
    return found.to_numpy(zero_copy_only=False).astype("datetime64[us]")


def _aware(texts: pa.Array) -> NDArray[np.datetime64]:
    cut = pc.replace_substring_regex(texts, r"[.,](\d{1,6})\d*", r".\1")
    parsed = pd.to_datetime(
        pd.Series(cut.to_pylist()), format="ISO8601", errors="coerce", utc=True
    )
    return parsed.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
