"""A projection small enough to add up by hand: one resource of note, two readings, five draws.

Two half-years are reported, the two quarters M13-M15 and M16-M18 are projected. The report's
cumulative table says 100 then 300 GPU-h; `low` reads the second increment as 100 instead of 200.
"""

from __future__ import annotations

from datetime import date

import pandas as pd

from analysis.cumulative import DateAt, elapsed_date
from sim.timeline import ProjectCalendar

CALENDAR = ProjectCalendar(date(2022, 9, 1), 18)
DATE_AT: DateAt = elapsed_date(CALENDAR)
PERIODS = {"M13-M15": range(13, 16), "M16-M18": range(16, 19)}


def observations() -> pd.DataFrame:
    """Return a report of two sites, one of them with a blank half-year."""
    columns = [
        "id", "table", "installation", "site", "metric", "resource", "ledger", "period", "value",
        "unit", "note",
    ]
    blank = float("nan")
    rows = [
        ("a1", "2.3", "A GPU", "A", "usage", "gpu", "allocated", "M1-M6", 90.0, "GPU-h", ""),
        ("a2", "2.3", "A GPU", "A", "usage", "gpu", "allocated", "M7-M12", 60.0, "GPU-h", ""),
        ("au", "2.3", "A GPU", "A", "users", "-", "-", "M7-M12", 5.0, "count", ""),
        ("ab", "2.3", "A GPU", "A", "baseline_usage", "gpu", "-", "-", 1234.5, "GPU-h", ""),
        ("b1", "2.4", "B GPU", "B", "usage", "gpu", "allocated", "M1-M6", blank, "GPU-h", ""),
        ("b2", "2.4", "B GPU", "B", "usage", "gpu", "allocated", "M7-M12", 40.0, "GPU-h", ""),
        ("c1", "2.9", "all", "all", "cumulative", "gpu", "-", "M1-M6", 100.0, "GPU-h", ""),
        ("c2", "2.9", "all", "all", "cumulative", "gpu", "-", "M1-M12", 300.0, "GPU-h", ""),
    ]
    return pd.DataFrame(rows, columns=columns)


def consumed() -> pd.DataFrame:
    """Return the increments as each hypothesis reads them: 200 or 300 in all."""
    rows = [
        ("high", "M7-M12", "gpu", 200.0), ("high", "M1-M6", "gpu", 100.0),
        ("low", "M1-M6", "gpu", 100.0), ("low", "M7-M12", "gpu", 100.0),
    ]
    return pd.DataFrame(rows, columns=["hypothesis", "period", "resource", "quantity"])


def monthly() -> pd.DataFrame:
    """Return five draws of `draw` x 10 GPU-h a month; draws 4 and 5 of the average read high."""
    rows = [
        (draw, hypothesis, branch, month, "gpu", 10.0 * draw, "GPU-h")
        for draw in range(1, 6)
        for hypothesis, branch in (
            ("low", "low"), ("high", "high"), ("averaged", "low" if draw < 4 else "high"),
        )
        for month in range(13, 19)
    ]
    columns = ["draw", "hypothesis", "branch", "month", "resource", "quantity", "unit"]
    return pd.DataFrame(rows, columns=columns)


def draws() -> pd.DataFrame:
    """Return the same by period, three quarters of it at site A and one at B."""
    months = monthly()
    frames = []
    for period, inside in PERIODS.items():
        part = months[months["month"].isin(inside)]
        keys = ["draw", "hypothesis", "resource", "unit"]
        whole = part.groupby(keys, sort=False)["quantity"].sum().reset_index()
        for site, share in (("all", 1.0), ("A", 0.75), ("B", 0.25)):
            quantity = whole["quantity"] * share
            frames.append(whole.assign(
                period=period, site=site, ledger="reported", quantity=quantity))
    return pd.concat(frames, ignore_index=True)


def history() -> pd.DataFrame:
    """Return a posterior predictive of 20 x draw in the first half-year, 40 x in the second."""
    rows = [
        (draw, hypothesis, period, site, "gpu", "reported", factor * draw, "GPU-h")
        for draw in range(1, 6)
        for hypothesis in ("averaged", "low", "high")
        for period, factor in (("M7-M12", 40.0), ("M1-M6", 20.0))
        for site in ("all", "A")
    ]
    return pd.DataFrame(rows, columns=[
        "draw", "hypothesis", "period", "site", "resource", "ledger", "quantity", "unit"])


def metrics() -> pd.DataFrame:
    """Return the users of site A: 5 then 6 then 7, each certain."""
    rows = [
        (draw, hypothesis, period, "A", "users", users, "count")
        for draw in (1, 2)
        for hypothesis in ("averaged", "low", "high")
        for period, users in (("M7-M12", 5.0), ("M13-M15", 6.0), ("M16-M18", 7.0))
    ]
    return pd.DataFrame(rows, columns=[
        "draw", "hypothesis", "period", "installation", "metric", "quantity", "unit"])


def budgets(quantity: float = 300.0) -> pd.DataFrame:
    """Return one budget of GPU-h."""
    return pd.DataFrame({"resource": ["gpu"], "quantity": [quantity], "unit": ["GPU-h"]})
