"""How a federation wants `data=` to be read: the file `data.yaml` in its folder."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from annotated_types import Ge

from sim.config import build
from sim.errors import ConfigError, DataError

FILE = "data.yaml"
_COVERS = re.compile(r"(\d{4}-\d{2}-\d{2})\.\.(\d{4}-\d{2}-\d{2})", re.ASCII)
_WINDOW = re.compile(r"M[1-9]\d{0,3}-M[1-9]\d{0,3}", re.ASCII)


@dataclass(frozen=True)
class Rules:
    """How the tables of an import are read; all of it may be left out.

    Args:
        covers: First and last day (UTC) of what the jobs cover, such as `2026-01-01..2026-06-30`;
            None: from the day of the first start to that of the last moment they know (assumed).
        gaps: Spans of days in which the data lack something that is known to be missing (tools that
            were not tracked, masked jobs), written like `covers`: months they touch do not count.
        masked: Whether periods that masks of the import touch (`map=` of ai4-accounting) are such
            gaps, too, or are fitted all the same.
        window: Project months whose jobs are fitted as records, such as `M1-M6`; None: all reported
            months that the jobs cover.
        shortest_min: Jobs shorter than this are no records, min; simulated ones neither.
        fits: What of the data is fitted.
        site_of: Site of the federation by site of the data, where their names differ.
    """

    covers: str | None = None
    gaps: tuple[str, ...] = ()
    masked: Literal["left_out", "fitted"] = "left_out"
    window: str | None = None
    shortest_min: Annotated[int, Ge(0)] = 0
    fits: Literal["all", "totals", "records"] = "all"
    site_of: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is no span of days or months."""
        for span in (self.covers, *self.gaps):
            covered_days(span)
        if self.window is not None and not _WINDOW.fullmatch(self.window):
            raise ConfigError("not a window", f"{FILE}.window", "such as M1-M6", self.window)

    def covered_days(self) -> tuple[date, date] | None:
        """Return the first and last day that jobs cover, if it is stated."""
        return covered_days(self.covers)


def gaps_of(spans: Iterable[str]) -> tuple[tuple[pd.Timestamp, pd.Timestamp], ...]:
    """Return when each gap begins and ends, UTC."""
    found = []
    for span in spans:
        first, last = covered_days(span) or (date.min, date.min)
        ends = pd.Timestamp(last, tz="UTC") + pd.Timedelta(days=1)
        found.append((pd.Timestamp(first, tz="UTC"), ends))
    return tuple(found)


def covered_days(covers: str | None) -> tuple[date, date] | None:
    """Return the days of `covers`.

    Raises:
        ConfigError: When they are none, or in the wrong order.

    >>> covered_days("2026-01-01..2026-06-30")[1]
    datetime.date(2026, 6, 30)
    """
    if covers is None:
        return None
    found = _COVERS.fullmatch(covers)
    try:
        days = (date.fromisoformat(found[1]), date.fromisoformat(found[2])) if found else None
    except ValueError:
        days = None
    if days is None or days[1] < days[0]:
        expected = "first and last day such as 2026-01-01..2026-06-30"
        raise ConfigError("not a span of days", "covers", expected, covers)
    return days


def load_rules(data: dict[str, object], sites: Collection[str], path: Path) -> Rules:
    """Build rules from plain data.

    Args:
        data: As YAML gives it.
        sites: Of the federation.
        path: Where it stands, for messages.

    Raises:
        ConfigError, DataError: For the first thing that cannot be used.
    """
    rules = build(Rules, data, FILE)
    for name, site in rules.site_of.items():
        if site not in sites:
            where, expected = f"{path}, site_of, {name}", f"one of {', '.join(sites)}"
            raise DataError("unknown site", where, expected, site, sites)
    return rules
