"""What the brief recommends: which variant is best at which price, and what nobody has to choose.

No price is taken for granted: ranges of prices are read off the tables, and what holds under every
prior of idleness is told apart from what hangs on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from analysis.paired.brief_words import Comparison, number
from analysis.paired.tables import PRICES, REGRET
from analysis.wording import thousands

MEASURE = (
    "Measure that first: a few weeks of utilisation of each GPU say more about it than totals."
)


@dataclass(frozen=True)
class Range:
    """Prices of an interruption, GPU-h, at which one variant is best under every idle prior.

    Args:
        variant: The variant.
        low: From this price on.
        high: Up to this price; inf for all above.
    """

    variant: str
    low: float
    high: float

    def __str__(self) -> str:
        """Say the range in words."""
        if self.low == 0.0:
            return f"less than {thousands(self.high, 2)} GPU-h"
        if np.isinf(self.high):
            return f"more than {thousands(self.low, 2)} GPU-h"
        return f"between {thousands(self.low, 2)} and {thousands(self.high, 2)} GPU-h"


def ranges(comparison: Comparison, ledger: str, idle: str) -> list[Range]:
    """Return which variant is best at which price under one prior of idleness."""
    rows = comparison.tables[PRICES.file]
    rows = rows[(rows["hypothesis"] == comparison.reading) & (rows["ledger"] == ledger)
                & (rows["idle"] == idle)]
    return [Range(str(r.variant), float(r.from_price), float(r.to_price))
            for r in rows.sort_values("from_price").itertuples()]


def agreed(comparison: Comparison, ledger: str) -> list[Range]:
    """Return the ranges of prices at which one variant is best under every prior of idleness."""
    common = ranges(comparison, ledger, comparison.idles[0])
    for idle in comparison.idles[1:]:
        mine = ranges(comparison, ledger, idle)
        common = [
            Range(a.variant, max(a.low, b.low), min(a.high, b.high))
            for a in common for b in mine
            if a.variant == b.variant and max(a.low, b.low) < min(a.high, b.high)
        ]  # fmt: skip
    return common


def cautious(comparison: Comparison, ledger: str, price: float) -> str:
    """Say which variant can be regretted least at a price, whatever the prior of idleness.

    Regret is what a choice lacks to the best one of each world; of its means under each prior of
    idleness the worst counts. Nothing is said where regret at that price is not known.
    """
    rows = comparison.tables[REGRET.file]
    rows = rows[(rows["hypothesis"] == comparison.reading) & (rows["ledger"] == ledger)
                & (rows["price"] == price)]
    if not len(rows):
        return ""
    worst = rows.groupby("variant", sort=False)["regret_mean"].max()
    return (f"At {number(price)} GPU-h an interruption `{worst.idxmin()}` risks least: under the "
            f"worst prior of idleness it lacks {number(worst.min())} GPU-h to the best choice of "
            "each world, in the mean.")


def recommendation(comparison: Comparison, ledger: str) -> list[str]:
    """Return sentences: what to do under which condition."""
    common = sorted(agreed(comparison, ledger), key=lambda r: r.low)
    if not common:
        return [f"No variant is the best under every prior of idleness at any price. {MEASURE}"]
    whole = common[0].low == 0.0 and np.isinf(common[-1].high)
    joined = all(a.high == b.low for a, b in pairwise(common))
    if whole and len(common) == 1:
        return [f"Whatever an interruption is worth and however idle held GPUs are: "
                f"{_does(common[0], comparison.baseline)}."]
    choices = "; ".join(f"{r}: {_does(r, comparison.baseline)}" for r in common)
    lines = ["What an interruption is worth is not for a model to say. The best under every prior "
             "of idleness (most GPU-h saved less price times interruptions, in the mean over "
             f"worlds), where one is worth {choices}."]
    if not (whole and joined):
        lines.append(f"At other prices the best hangs on how idle held GPUs are. {MEASURE}")
    return lines


def _does(found: Range, baseline: str) -> str:
    return "do nothing" if found.variant == baseline else f"`{found.variant}`"
