"""What the brief recommends: which variant is best at which price, and what nobody has to choose.

No price is taken for granted: ranges of prices are read off the tables, and what holds under every
prior of idleness is told apart from what hangs on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from analysis.paired.brief_words import Comparison, number
from analysis.paired.figures_look import idle_word
from analysis.paired.tables import PRICES, REGRET
from analysis.report import markdown_table
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
        if self.low == 0.0 and np.isinf(self.high):
            return "at any price"
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


def best_at(comparison: Comparison, ledger: str, price: float, idle: str) -> str:
    """Return the variant with the highest expected net benefit at a price."""
    return next(r.variant for r in ranges(comparison, ledger, idle) if r.low <= price < r.high)


def price_table(comparison: Comparison, ledger: str) -> str:
    """Return which variant is best from which stated price on, and which can be regretted least.

    The last column has the variant whose mean regret under the worst of the priors of idleness is
    the least. Prices at which all stays as at the one before are left out.
    """
    rows = comparison.tables[REGRET.file]
    rows = rows[(rows["hypothesis"] == comparison.reading) & (rows["ledger"] == ledger)]
    lines: list[dict[str, str]] = []
    chosen: list[str] = []
    for price in sorted(set(rows["price"])):
        mine = rows[rows["price"] == price]
        worst = mine.groupby("variant", sort=False)["regret_mean"].max()
        best = [best_at(comparison, ledger, price, idle) for idle in comparison.idles]
        if [*best, str(worst.idxmin())] == chosen:
            continue
        chosen = [*best, str(worst.idxmin())]
        words = [f"best, {idle_word(idle)}" for idle in comparison.idles]
        lines.append({
            "price from (GPU-h)": number(price),
            **dict(zip(words, [f"`{b}`" for b in best], strict=True)),
            "least regret under the worst": f"`{chosen[-1]}` ({number(worst.min())} GPU-h)",
        })
    return markdown_table(pd.DataFrame(lines))


def recommendation(comparison: Comparison, ledger: str) -> list[str]:
    """Return sentences: what to do under which condition."""
    common = sorted(agreed(comparison, ledger), key=lambda r: r.low)
    if not common:
        return [f"No variant is the best under every prior of idleness at any price. {MEASURE}"]
    whole = common[0].low == 0.0 and np.isinf(common[-1].high)
    joined = all(a.high == b.low for a, b in pairwise(common))
    lines = [_conditional(r, comparison.baseline) for r in common]
    if not (whole and joined):
        lines.append(
            f"At other prices the best choice hangs on how idle held GPUs are. {MEASURE}"
        )
    return lines


def _conditional(found: Range, baseline: str) -> str:
    does = "do nothing" if found.variant == baseline else f"choose `{found.variant}`"
    if found.low == 0.0 and np.isinf(found.high):
        return f"Whatever an interruption is worth and however idle held GPUs are: {does}."
    return (f"If an interruption is worth {found}: {does}; that is best under every prior of "
            "idleness.")
