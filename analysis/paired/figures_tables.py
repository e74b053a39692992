"""The tables that figures of a comparison draw: rows of its own tables, selected and laid out."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.frames import headline_hypothesis, require
from analysis.paired.keeping import ALL

LEDGERS = ("allocated", "provisioned")
QUANTILES = ["p05", "p50", "p95"]
KEYS = ["idle", "hypothesis", "variant"]
INTERVALS = [*KEYS, "quantity", "unit", *QUANTILES]
MOVED = {  # criterion: what its difference is called
    "interruptions": "more interruptions",
    "lost_gpu_h": "more lost work",
    "wait_p50": "change of median wait",
    "wait_mean": "change of mean wait",
    "user_h": "additional cost to users",
}
SAVED = "saved, {}"  # ledger


def headline(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the average over readings where there is one, or of the first reading."""
    return table[table["hypothesis"] == headline_hypothesis(table)]


def baseline_of(variants: pd.DataFrame) -> str:
    """Return the variant that the others are compared with."""
    return str(variants.loc[variants["baseline"], "variant"].iloc[0])


def others_of(variants: pd.DataFrame) -> list[str]:
    """Return the variants that are compared with the baseline, in the scenario's order."""
    return [str(name) for name in variants.loc[~variants["baseline"], "variant"]]


def saved(front: pd.DataFrame) -> pd.DataFrame:
    """Return the GPU-h saved of each variant and ledger; columns `INTERVALS`."""
    require(front, [*KEYS, "ledger", *(f"saved_{q}" for q in QUANTILES)], "front")
    rows = headline(front).rename(columns={f"saved_{q}": q for q in QUANTILES})
    quantity = [SAVED.format(ledger) for ledger in rows["ledger"]]
    return rows.assign(quantity=quantity, unit="GPU-h")[INTERVALS]


def saved_percent(differences: pd.DataFrame, everywhere: bool) -> pd.DataFrame:
    """Return the GPU-h saved in percent of the baseline's: the difference with its sign turned.

    Args:
        differences: `differences.csv`.
        everywhere: All sites together, or each by itself.

    Returns:
        Columns `INTERVALS` and site.
    """
    rows = _chosen(differences, [f"gpu_{ledger}" for ledger in LEDGERS], "percent")
    rows = rows[(rows["site"] == ALL) == everywhere]
    quantity = [SAVED.format(name.removeprefix("gpu_")) for name in rows["criterion"]]
    turned = {"p05": -rows["p95"], "p50": -rows["p50"], "p95": -rows["p05"]}
    out = rows.assign(quantity=quantity, unit="%", **turned)[[*INTERVALS, "site"]]
    out[QUANTILES] += 0.0  # no negative zero
    return out


def differences(table: pd.DataFrame, front: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return what the forest plot shows: GPU-h saved, then what it costs users.

    The mean wait stands for the median wait where that moves in no world.

    Args:
        table: `differences.csv`.
        front: `front.csv`.
        names: Variants in order.

    Returns:
        Columns `INTERVALS`.
    """
    moved = _chosen(table, list(MOVED), "difference")
    moved = moved[(moved["site"] == ALL) & moved["variant"].isin(names)]
    median = moved.loc[moved["criterion"] == "wait_p50", QUANTILES].fillna(0.0)
    other = "wait_mean" if median.to_numpy().any() else "wait_p50"
    moved = moved[~moved["criterion"].isin([other, "user_h"])]
    moved = moved.assign(quantity=moved["criterion"].map(MOVED))[INTERVALS]
    out = pd.concat([saved(front), moved], ignore_index=True)
    order = [*(SAVED.format(ledger) for ledger in LEDGERS), *MOVED.values()]
    return _ordered(out[out["variant"].isin(names)], {"quantity": order, "variant": names})


def _chosen(table: pd.DataFrame, criteria: list[str], measure: str) -> pd.DataFrame:
    """Return rows of `differences.csv` of some criteria."""
    columns = [*KEYS, "site", "criterion", "unit", "measure", *QUANTILES]
    require(table, columns, "differences")
    rows = headline(table)
    return rows[rows["criterion"].isin(criteria) & (rows["measure"] == measure)]


def _ordered(table: pd.DataFrame, orders: Mapping[str, list[str]]) -> pd.DataFrame:
    """Sort rows by given orders of the values of columns; the rest stays as it was."""
    places = pd.DataFrame({c: table[c].map(values.index) for c, values in orders.items()})
    order = places.sort_values(list(orders), kind="stable").index
    return table.loc[order].reset_index(drop=True)


def moving(rows: pd.DataFrame, by: str, value: str) -> list[str]:
    """Return the ledgers, or quantities, whose median moves under any prior; or else the first."""
    names = [str(name) for name, mine in rows.groupby(by, sort=False)
             if (mine[value].fillna(0.0) != 0.0).any()]
    return names or [str(name) for name in rows[by].iloc[:1]]


def front(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return the ledgers of the front in which anything is saved by the median.

    Args:
        table: `front.csv`.
        names: Variants in order.
    """
    rows = headline(table)
    rows = rows[rows["variant"].isin(names)]
    rows = _ordered(rows, {"ledger": list(LEDGERS), "variant": names})
    return rows[rows["ledger"].isin(moving(rows, "ledger", "saved_p50"))].reset_index(drop=True)


def moved_most(table: pd.DataFrame) -> str:
    """Return the ledger in which a median of what is saved is the furthest from nothing.

    Args:
        table: `front.csv`.
    """
    rows = headline(table)
    return str(rows.loc[rows["saved_p50"].abs().idxmax(), "ledger"])


def savings(
    differences: pd.DataFrame, front: pd.DataFrame, variants: pd.DataFrame
) -> pd.DataFrame:
    """Return what is saved, in GPU-h and in percent, and what users pay, along the axis.

    Only series with two or more variants at places of their own are on it, and only ledgers in
    which anything is saved by the median.

    Returns:
        Columns `INTERVALS`, series and at; quantities as they are drawn, three a row.
    """
    compared = variants[~variants["baseline"]].assign(series=variants["series"].fillna(""))
    placed = [mine for _, mine in compared.groupby("series", sort=False)
              if len(mine) > 1 and mine["at"].is_unique]
    if not placed:
        return pd.DataFrame(columns=[*INTERVALS, "series", "at"])
    hours = _ordered(saved(front), {"quantity": [SAVED.format(x) for x in LEDGERS]})
    percent = saved_percent(differences, everywhere=True)[INTERVALS]
    users = _chosen(differences, ["interruptions", "user_h"], "difference")
    users = users[users["site"] == ALL].assign(quantity=users["criterion"].map(MOVED))[INTERVALS]
    parts = []
    shown = moving(hours[hours["variant"].isin(compared["variant"])], "quantity", "p50")
    for quantity, cost in zip(shown, (MOVED["interruptions"], MOVED["user_h"]), strict=False):
        parts += [hours[hours["quantity"] == quantity], percent[percent["quantity"] == quantity],
                  users[users["quantity"] == cost]]
    rows = pd.concat(parts, ignore_index=True)
    place = pd.concat(placed)[["variant", "series", "at"]]
    return rows.merge(place, on="variant").reset_index(drop=True)


def monthly(table: pd.DataFrame, before: str, after: str) -> pd.DataFrame:
    """Return the GPUs of each ledger and month without a policy, and with one."""
    rows = headline(table)
    return _ordered(rows[rows["variant"].isin([before, after])], {"variant": [before, after]})


def waits(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return the share of requests that waited at least so long: shares of bins, added up.

    Args:
        table: `waits.csv`.
        names: Variants in order.

    Returns:
        idle, hypothesis, variant, at_least_h, share.
    """
    require(table, [*KEYS, "from_h", "share"], "waits")
    rows = headline(table).dropna(subset=["share"])
    rows = rows.sort_values("from_h", ascending=False, kind="stable")
    longer = rows.groupby(KEYS, sort=False)["share"].cumsum()
    rows = rows.assign(share=longer).rename(columns={"from_h": "at_least_h"})
    rows = rows[rows["variant"].isin(names)].sort_values("at_least_h", kind="stable")
    return _ordered(rows, {"variant": names})[[*KEYS, "at_least_h", "share"]]


def sites(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return percent of GPU-h saved at each site, of ledgers in which any is by the median.

    Args:
        table: `differences.csv`.
        names: Variants in order.

    Returns:
        Columns `INTERVALS` and site; all sites together come last. Missing where the baseline has
        no GPU-h.
    """
    rows = pd.concat([saved_percent(table, everywhere=False),
                      saved_percent(table, everywhere=True)], ignore_index=True)
    rows = rows[rows["variant"].isin(names)]
    rows = rows[rows.groupby("site")["p50"].transform(lambda x: x.notna().any())]
    order = [SAVED.format(ledger) for ledger in LEDGERS]
    rows = _ordered(rows, {"quantity": order, "variant": names})
    return rows[rows["quantity"].isin(moving(rows, "quantity", "p50"))].reset_index(drop=True)


def prices(table: pd.DataFrame) -> pd.DataFrame:
    """Return which variant is best at which price, of ledgers in which there is a choice."""
    rows = headline(table)
    several = rows.groupby("ledger")["variant"].transform("nunique") > 1
    chosen = rows[several] if several.any() else rows[rows["ledger"] == LEDGERS[0]]
    return _ordered(chosen, {"ledger": list(LEDGERS)})
