"""All figures of a comparison, each with the table it was drawn from beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from analysis.paired import figures_tables as chosen
from analysis.paired.figures_effects import (
    draw_differences,
    draw_front,
    draw_prices,
    draw_savings,
)
from analysis.paired.figures_look import Palette
from analysis.paired.figures_worlds import draw_monthly, draw_sites, draw_waits

PRICE = 10.0  # GPU-h an interruption: whose best variant the figure of months shows; assumed


def draw_all(
    tables: Mapping[str, pd.DataFrame], folder: Path, axis: str = "", begins: float | None = None
) -> dict[str, Path]:
    """Draw what a comparison's tables can show.

    Args:
        tables: By the stem of their file (`paired.tables`).
        folder: Where figures and their tables go.
        axis: What `at` of the variants means; empty for nothing.
        begins: Months from the start of the project until the first day of policies.

    Returns:
        PNG files by caption, in the order of a page; none of a comparison without variants.
    """
    variants, differences, front = (tables[n] for n in ("variants", "differences", "front"))
    baseline, names = chosen.baseline_of(variants), chosen.others_of(variants)
    if not names:
        return {}
    everything = [baseline, *names]
    look = Palette(everything, baseline)
    after = shown_variant(tables["prices"], variants)
    drawn = {
        f"Differences to {baseline}, in the same worlds": draw_differences(
            chosen.differences(differences, front, names), folder, "differences"),
        "GPU-h saved and the cost to users": draw_front(
            chosen.front(front, everything), folder, "front", look),
    }
    along = chosen.savings(differences, front, variants)
    if axis and len(along):
        drawn["Savings and interruptions along the axis"] = draw_savings(
            along, folder, "savings", axis)
    return drawn | {
        "Which variant is best at which price of an interruption": draw_prices(
            chosen.prices(tables["prices"]), folder, "prices", look),
        f"GPUs over the months, {baseline} and {after}": draw_monthly(
            chosen.monthly(tables["monthly"], baseline, after), folder, "monthly", begins),
        "Waits for GPUs": draw_waits(
            chosen.waits(tables["waits"], everything), folder, "waits", look),
        "GPU-h saved at each site": draw_sites(
            chosen.sites(differences, names), folder, "sites"),
    }


def shown_variant(prices: pd.DataFrame, variants: pd.DataFrame) -> str:
    """Return the variant that is best at `PRICE` under most priors of idleness, baseline apart.

    The first of the others where only the baseline is best.
    """
    rows = chosen.headline(prices)
    rows = rows[(rows["ledger"] == chosen.LEDGERS[0]) & (rows["from_price"] <= PRICE)
                & (rows["to_price"] > PRICE)]
    best = rows.loc[rows["variant"] != chosen.baseline_of(variants), "variant"]
    return str(best.mode().iloc[0]) if len(best) else chosen.others_of(variants)[0]
