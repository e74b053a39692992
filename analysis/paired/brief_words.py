"""How the brief says what a comparison found: differences in words that follow their signs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.frames import AVERAGED, headline_hypothesis
from analysis.paired import figures_tables as chosen
from analysis.paired.figures_look import idle_word
from analysis.paired.tables import DIFFERENCES, FRONT, LEVELS, VARIANTS, WORLDS
from analysis.wording import thousands
from sim.errors import DataError

QUANTILES = ("p50", "p05", "p95")
OPEN = "the direction is not certain"
SIGNIFICANT = 3  # digits of a number in a sentence


def rounded(value: float, unit: str) -> str:
    """Write a quantity as exactly as it is worth.

    Args:
        value: The quantity.
        unit: Hours have two decimals, percent below 10 has one, all else is whole; from 1,000 on
            three digits.

    >>> rounded(0.0681, "GPU-h"), rounded(12345.0, "GPU-h"), rounded(7.14, "%"), rounded(23.4, "%")
    ('0', '12,300', '7.1', '23')
    """
    decimals = 2 if unit == "h" else 1 if unit == "%" and abs(value) < 10.0 else 0
    return thousands(round(value, decimals) + 0.0, SIGNIFICANT)


@dataclass(frozen=True)
class Effect:
    """A difference between a variant and the baseline: median and 90 % interval.

    Args:
        p50: Median over worlds.
        p05: 5 % quantile.
        p95: 95 % quantile.
        unit: Unit of all three.
    """

    p50: float
    p05: float
    p95: float
    unit: str

    @property
    def none(self) -> bool:
        """Whether nothing that could be written changes in nine of ten worlds."""
        return set(self._texts) == {"0"}

    @property
    def certain(self) -> bool:
        """Whether no end of the interval has another sign than the median."""
        return self.p05 >= 0.0 or self.p95 <= 0.0

    def __str__(self) -> str:
        """Write median and interval without the unit; 0 where nothing changes."""
        p50, p05, p95 = self._texts
        return "0" if self.none else f"{p50} [{p05} to {p95}]"

    @property
    def _texts(self) -> list[str]:
        return [rounded(x, self.unit) for x in (self.p50, self.p05, self.p95)]

    @property
    def turned(self) -> Effect:
        """The same with the other sign."""
        return Effect(0.0 - self.p50, 0.0 - self.p95, 0.0 - self.p05, self.unit)

    def said(self, rises: str, falls: str, stays: str) -> str:
        """Say it with the verb that fits its sign.

        Args:
            rises: Verb for more.
            falls: Verb for less; the number that follows is turned.
            stays: The whole sentence for nothing.

        >>> Effect(-12.0, -30.0, -1.0, "GPU-h").said("saves", "costs", "saves nothing")
        'costs 12 [1 to 30] GPU-h'
        """
        if self.none:
            return stays
        less = self.p50 < 0.0
        shown = self.turned if less else self
        doubt = "" if self.certain else f" ({OPEN})"
        return f"{falls if less else rises} {shown} {self.unit}{doubt}"


@dataclass(frozen=True, eq=False)
class Comparison:
    """A finished comparison, as the brief reads it.

    Args:
        tables: By their file (`paired.tables`).
        facts: Of the run: question, axis, months, config_hash and the like.
    """

    tables: Mapping[str, pd.DataFrame]
    facts: Mapping[str, Any]

    @property
    def reading(self) -> str:
        """The reading of the report that numbers belong to: the average where there is one."""
        return headline_hypothesis(self.tables[FRONT.file])

    @property
    def readings(self) -> list[str]:
        """The readings but the average."""
        names = self.tables[FRONT.file]["hypothesis"]
        return [str(n) for n in dict.fromkeys(names) if n != AVERAGED]

    @property
    def idles(self) -> list[str]:
        """The priors of idleness, the least idle first."""
        shares = {i: self.idle_share(i).p50 for i in dict.fromkeys(self.tables[FRONT.file]["idle"])}
        return sorted(shares, key=lambda i: shares[i])

    @property
    def baseline(self) -> str:
        """The variant that others are compared with."""
        return chosen.baseline_of(self.tables[VARIANTS.file])

    @property
    def variants(self) -> list[str]:
        """The others."""
        return chosen.others_of(self.tables[VARIANTS.file])

    def idle_share(self, idle: str) -> Effect:
        """Return the idle share of held GPU time in the baseline's months to come, %."""
        rows = self.tables[WORLDS.file]
        rows = rows[(rows["idle"] == idle) & (rows["period"] == rows["period"].iloc[-1])]
        rows = rows[rows["hypothesis"] == headline_hypothesis(rows)]
        values = (100.0 * float(rows[f"idle_share_{q}"].iloc[0]) for q in QUANTILES)
        return Effect(*values, "%")

    def saved(self, ledger: str, variant: str, idle: str, reading: str = "") -> Effect:
        """Return the GPU-h of a ledger that a variant saves."""
        key = {"hypothesis": reading or self.reading, "idle": idle, "variant": variant}
        row = _one(self.tables[FRONT.file], {**key, "ledger": ledger})
        return Effect(*(float(row[f"saved_{q}"]) for q in QUANTILES), "GPU-h")

    def change(
        self, criterion: str, variant: str, idle: str, site: str = "all",
        measure: str = "difference",
    ) -> Effect:  # fmt: skip
        """Return the difference of a criterion; in its unit or in percent."""
        key = {"hypothesis": self.reading, "idle": idle, "variant": variant, "site": site,
               "criterion": criterion, "measure": measure}
        row = _one(self.tables[DIFFERENCES.file], key)
        unit = "%" if measure == "percent" else str(row["unit"])
        return Effect(*(float(row[q]) for q in QUANTILES), unit)

    def level(self, criterion: str, variant: str, idle: str, column: str = "mean") -> float:
        """Return the mean over worlds of a criterion, all sites."""
        key = {"hypothesis": self.reading, "idle": idle, "variant": variant, "site": "all"}
        return float(_one(self.tables[LEVELS.file], {**key, "criterion": criterion})[column])


def _one(table: pd.DataFrame, key: Mapping[str, str]) -> pd.Series:
    """Return the row of a key.

    Raises:
        DataError: When there is not exactly one.
    """
    found = table
    for column, value in key.items():
        found = found[found[column] == value]
    if len(found) != 1:
        raise DataError("no such row, or several", "comparison", "one row", str(dict(key)))
    return found.iloc[0]


def listed(words: Sequence[str]) -> str:
    """Join words as a sentence does.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def said_once(parts: Sequence[str], verb: str) -> str:
    """Join parts of a sentence that may start with the same verb, which is then said once.

    >>> said_once(["saves 3 GPU-h", "saves 5 GPU-h"], "saves")
    'saves 3 GPU-h and 5 GPU-h'
    """
    repeated = all(part.startswith(f"{verb} ") for part in parts)
    rest = [part.removeprefix(f"{verb} ") if repeated else part for part in parts[1:]]
    return listed([*parts[:1], *rest])


def idles_said(comparison: Comparison) -> str:
    """Name the priors of idleness with the share of held time that is idle under each."""
    parts = [f"{comparison.idle_share(i)} % under {idle_word(i)}" for i in comparison.idles]
    return listed(parts)


def number(value: float) -> str:
    """Write a number of a sentence."""
    return thousands(value, SIGNIFICANT)
