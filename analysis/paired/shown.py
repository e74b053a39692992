"""A comparison for the terminal."""

from __future__ import annotations

import pandas as pd
from rich.table import Table

from analysis.paired.results import Results
from analysis.paired.tables import DIFFERENCES, PRECISION, WORLDS

SHOWN = {  # column: criterion, sign (a saving is a lower figure), digits
    "GPU-h saved, allocated": ("gpu_allocated", -1.0, 0),
    "GPU-h saved, provisioned": ("gpu_provisioned", -1.0, 0),
    "interruptions": ("interruptions", 1.0, 0),
    "lost work, GPU-h": ("lost_gpu_h", 1.0, 0),
    "median wait, h": ("wait_p50", 1.0, 1),
}


def shown(results: Results, tables: dict[str, pd.DataFrame]) -> list[Table]:
    """Lay out differences to the baseline, a table for each prior of idleness."""
    found = tables[DIFFERENCES.file]
    whole = found[(found["site"] == results.sites[0]) & (found["measure"] == "difference")]
    mine = whole[whole["hypothesis"] == _first(found)]
    return [
        _of_prior(idle, title, mine[mine["idle"] == idle], results)
        for idle, title in _said_of_worlds(tables[WORLDS.file]).items()
    ]


def _first(found: pd.DataFrame) -> str:
    """Return the average over readings, or the only reading."""
    return str(found["hypothesis"].iloc[0]) if len(found) else ""


def _said_of_worlds(found: pd.DataFrame) -> dict[str, str]:
    """Say by prior what share of held GPU time was idle and whether totals stayed."""
    last = found[found["hypothesis"] == _first(found)].groupby("idle", sort=False).last()
    return {
        str(idle): f"idleness {idle}: {100 * row['idle_share_p50']:.0f} % of held GPU time idle "
        f"[{100 * row['idle_share_p05']:.0f} - {100 * row['idle_share_p95']:.0f}], "
        f"{100 * row['ratio']:.0f} % of the GPU-h as calibrated"
        for idle, row in last.iterrows()
    }


def _of_prior(idle: str, title: str, mine: pd.DataFrame, results: Results) -> Table:
    months = f"M{results.months.start}-M{results.months.stop - 1}"
    table = Table(title=title, title_justify="left")
    table.add_column(f"{months}, compared with {results.baseline}: median [90 %]")
    for name in SHOWN:
        table.add_column(name, justify="right", no_wrap=False)
    for variant, rows in mine.groupby("variant", sort=False):
        by_name = rows.set_index("criterion")
        cells = [_cell(by_name.loc[of], sign, digits) for of, sign, digits in SHOWN.values()]
        table.add_row(str(variant), *cells)
    return table


def _cell(row: pd.Series, sign: float, digits: int) -> str:
    if pd.isna(row["p50"]):
        return "-"
    ends = sorted(round(sign * row[q], digits) + 0.0 for q in ("p05", "p95"))
    middle = round(sign * row["p50"], digits) + 0.0
    return f"{middle:,.{digits}f} [{ends[0]:,.{digits}f} - {ends[1]:,.{digits}f}]"


def said_of_precision(tables: dict[str, pd.DataFrame]) -> str:
    """Say how well mean differences are known, and whether that was what was asked for."""
    found = tables[PRECISION.file]
    if not len(found) or found["half_width"].isna().all():
        return "nothing to compare"
    worst = found.loc[found["half_width"].idxmax()]
    known = (
        f"mean differences in allocated GPU-h are known to {100 * worst['half_width']:.1f} % of "
        f"the baseline's or better (runs of each draw: {worst['replicates']})"
    )
    if pd.isna(worst["asked"]):
        return known
    if found["reached"].all():
        return f"{known}: {100 * worst['asked']:.1f} % were asked for"
    enough = worst["floor"] < worst["asked"]
    more = "more replicates (most_replicates)" if enough else "more draws"
    return f"{known}; {100 * worst['asked']:.1f} % were asked for, which takes {more}"
