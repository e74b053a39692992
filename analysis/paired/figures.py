"""All figures of a comparison, each with the table it was drawn from beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
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
from analysis.paired.tables import DIFFERENCES, FRONT, MONTHLY, PRICES, VARIANTS, WAITS
from analysis.paired.variants import Playable
from sim.timeline import ProjectCalendar

PRICE = 10.0  # GPU-h an interruption: whose best variant the figure of months shows; assumed


def draw_all(
    tables: Mapping[str, pd.DataFrame], folder: Path, axis: str = "",
    begins: Mapping[str, float] | None = None,
) -> dict[str, Path]:  # fmt: skip
    """Draw what a comparison's tables can show.

    Args:
        tables: By their file (`paired.tables`).
        folder: Where figures and their tables go.
        axis: What `at` of the variants means; empty for nothing.
        begins: By variant, months from the start of the project until its policies begin; see
            `begins`.

    Returns:
        PNG files by caption, in the order of a page; none of a comparison without variants.
    """
    variants, differences, front = (tables[t.file] for t in (VARIANTS, DIFFERENCES, FRONT))
    baseline, names = chosen.baseline_of(variants), chosen.others_of(variants)
    if not names:
        return {}
    everything = [baseline, *names]
    look = Palette(everything, baseline)
    after = shown_variant(tables[PRICES.file], variants, chosen.moved_most(front))
    along = chosen.savings(differences, front, variants) if axis else pd.DataFrame()
    since = (begins or {}).get(after)
    figures: dict[str, tuple[pd.DataFrame, Callable[..., Path], str, tuple[Any, ...]]] = {
        f"Differences to {baseline}, in the same worlds": (
            chosen.differences(differences, front, names), draw_differences, "differences", ()),
        "GPU-h saved and the cost to users": (
            chosen.front(front, everything), draw_front, "front", (look,)),
        "Savings and interruptions along the axis": (along, draw_savings, "savings", (axis,)),
        "Which variant is best at which price of an interruption": (
            chosen.prices(tables[PRICES.file]), draw_prices, "prices", (look,)),
        f"GPUs over the months, {baseline} and {after}": (
            chosen.monthly(tables[MONTHLY.file], baseline, after), draw_monthly, "monthly",
            (since,)),
        "Waits for GPUs": (
            chosen.waits(tables[WAITS.file], everything), draw_waits, "waits", (look,)),
        "GPU-h saved at each site": (
            chosen.sites(differences, names), draw_sites, "sites", ()),
    }  # fmt: skip
    return {
        caption: draw(table, folder, stem, *more)
        for caption, (table, draw, stem, more) in figures.items() if len(table)
    }  # fmt: skip


def shown_variant(
    prices: pd.DataFrame, variants: pd.DataFrame, ledger: str = chosen.LEDGERS[0]
) -> str:  # fmt: skip
    """Return the variant that is best at `PRICE` under most priors of idleness, baseline apart.

    The first of the others where only the baseline is best.
    """
    rows = chosen.headline(prices)
    rows = rows[(rows["ledger"] == ledger) & (rows["from_price"] <= PRICE)
                & (rows["to_price"] > PRICE)]
    best = rows.loc[rows["variant"] != chosen.baseline_of(variants), "variant"]
    return str(best.mode().iloc[0]) if len(best) else chosen.others_of(variants)[0]


def begins(
    variants: Sequence[Playable], baseline: int, calendar: ProjectCalendar
) -> dict[str, float]:
    """Return when the policies of variants begin to differ from the baseline's.

    Args:
        variants: As they are played.
        baseline: Place of the baseline among them.
        calendar: Of the project.

    Returns:
        Months from the start of the project by variant; none that differs in no dated policy.
    """
    found = {}
    months = np.arange(calendar.months + 1, dtype=np.float64)
    for variant in variants:
        kinds = [f.name for f in fields(variant.policies)]
        changed = [getattr(variant.policies, k) for k in kinds
                   if getattr(variant.policies, k) != getattr(variants[baseline].policies, k)]
        days = [policy.from_day for policy in changed if hasattr(policy, "from_day")]
        if days:
            at_h = calendar.hours_at(min(days))
            found[variant.name] = float(np.interp(at_h, calendar.month_edges_h, months))
    return found
