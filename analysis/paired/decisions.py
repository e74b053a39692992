"""What follows from paired worlds for whoever decides: tables of one variant against others."""

from __future__ import annotations

from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pandas as pd

from analysis.paired.criteria import CRITERIA
from analysis.paired.estimates import (
    Sample,
    best_by_price,
    better,
    on_front,
    rank_correlation,
    regrets,
)
from analysis.paired.results import SPREAD, Played, Results, columns, described, filled
from analysis.paired.tables import BETTER, FRONT, PAIRING, PRECISION, PRICES, REGRET, SENSITIVITY
from sim.units import FloatArray

SAVED = ("allocated", "provisioned")  # ledgers whose GPU-h a policy may save


def deciding(
    results: Results, prices: list[float], asked: float | None
) -> dict[str, pd.DataFrame]:
    """Return the tables for a decision, by file.

    Args:
        results: What was played.
        prices: What an interruption may cost, GPU-h.
        asked: Half-width asked for, share of the baseline's allocated GPU-h.
    """
    tables = {
        BETTER: _better(results), REGRET: _regret(results, prices), PRICES: _prices(results),
        FRONT: _front(results), SENSITIVITY: _sensitivity(results), PAIRING: _pairing(results),
        PRECISION: [precision(played, asked) for played in results.played],
    }  # fmt: skip
    return {table.file: filled(table, parts) for table, parts in tables.items()}


def _better(results: Results) -> list[dict[str, Any]]:
    parts = []
    for played, name, mine, sample in results.each():
        rows = []
        for criterion in (c for c in CRITERIA if c.better is not None):
            values = played.of(criterion.name)[:, mine]
            for a, b in permutations(range(len(values)), 2):
                found = better(values[a], values[b], sample, criterion.better == "lower")
                rows.append((criterion.name, played.variants[a], played.variants[b], *found))
        head = {"idle": played.idle, "hypothesis": name}
        names = ("criterion", "a", "b", "probability", "tied")
        parts.append(head | columns(names, rows))
    return parts


def _regret(results: Results, prices: list[float]) -> list[dict[str, Any]]:
    parts = []
    for played, name, mine, sample in results.each():
        more = played.more("interruptions")[:, mine]
        for ledger in SAVED:
            for price in prices:
                benefit = played.saved(ledger)[:, mine] - price * more
                regret, best = (x.T for x in regrets(benefit))
                found, lost = described(benefit.T, sample), described(regret, sample)
                parts.append(
                    {
                        "idle": played.idle, "hypothesis": name, "ledger": ledger, "price": price,
                        "variant": list(played.variants),
                        **{f"benefit_{k}": found[k] for k in SPREAD},
                        "regret_mean": lost["mean"], "regret_p95": lost["p95"],
                        "half_width": lost["half_width"], "best": sample.mean(best),
                    }
                )  # fmt: skip
    return parts


def _prices(results: Results) -> list[dict[str, Any]]:
    parts = []
    for played, name, mine, sample in results.each():
        more = sample.mean(played.more("interruptions")[:, mine].T)
        for ledger in SAVED:
            saved = sample.mean(played.saved(ledger)[:, mine].T)
            ranges = best_by_price(saved, more)
            best = [r.variant for r in ranges]
            parts.append(
                {
                    "idle": played.idle, "hypothesis": name, "ledger": ledger,
                    "variant": [played.variants[i] for i in best],
                    "from_price": [r.low for r in ranges], "to_price": [r.high for r in ranges],
                    "saved": saved[best], "interruptions": more[best],
                }
            )  # fmt: skip
    return parts


def _front(results: Results) -> list[dict[str, Any]]:
    parts = []
    for played, name, mine, sample in results.each():
        cost = played.more("user_h")[:, mine]
        for ledger in SAVED:
            saved = played.saved(ledger)[:, mine]
            saves, costs = described(saved.T, sample), described(cost.T, sample)
            often = sample.mean(on_front(saved, cost).T.astype(np.float64))
            parts.append(
                {
                    "idle": played.idle, "hypothesis": name, "ledger": ledger,
                    "variant": list(played.variants),
                    **{f"saved_{k}": saves[k] for k in SPREAD},
                    **{f"user_h_{k}": costs[k] for k in SPREAD},
                    "on_front": on_front(saves["mean"], costs["mean"]), "probability": often,
                }
            )  # fmt: skip
    return parts


def _sensitivity(results: Results) -> list[dict[str, Any]]:
    parts = []
    paths = list(results.scenario.uncertain)
    for played in results.played:
        rows = []
        parameters = {p: np.array([d.uncertain[p] for d in results.draws]) for p in paths}
        parameters["idle_share"] = idle_shares(played)
        for ledger in SAVED:
            saved = played.saved(ledger)
            for place, variant in enumerate(played.variants):
                if place == played.baseline:
                    continue
                by_draw = played.sample.by_draw(saved[place])
                for name, values in parameters.items():
                    known = ~np.isnan(values)
                    found = rank_correlation(values[known], by_draw[known])
                    rows.append((ledger, variant, name, *found, int(known.sum())))
        names = ("ledger", "variant", "parameter", "correlation", "p05", "p95", "draws")
        parts.append({"idle": played.idle} | columns(names, rows))
    return parts


def idle_shares(played: Played) -> FloatArray:
    """Return the baseline's simulated idle share in the months to come, shape (draws,)."""
    held, busy = (
        played.sample.by_draw(played.of(f"gpu_{x}")[played.baseline])
        for x in ("allocated", "active")
    )
    with np.errstate(invalid="ignore"):
        return np.where(held > 0.0, 1.0 - busy / held, np.nan)


def _pairing(results: Results) -> list[dict[str, Any]]:
    parts = []
    for played in results.played:
        count, base = len(played.variants), played.baseline
        pairs = [("neighbours", a, b) for a, b in pairwise(range(count))]
        pairs += [("baseline", base, b) for b in range(count) if b != base]
        rows = []
        for criterion in CRITERIA:
            values = played.of(criterion.name)
            known = ~np.isnan(values).any(axis=0)
            sample = played.sample.where(known)
            for pair, a, b in pairs:
                one, two = values[a][known], values[b][known]
                for basis in ("within draws", "over draws"):
                    found = _variances(one, two, sample, basis)
                    if not np.isnan(found[0]):
                        names = (played.variants[a], played.variants[b])
                        rows.append((criterion.name, *names, pair, basis, *found))
        names = ("criterion", "a", "b", "pair", "basis", "unpaired", "paired", "ratio")
        parts.append({"idle": played.idle} | columns(names, rows))
    return parts


def _variances(
    a: FloatArray, b: FloatArray, sample: Sample, basis: str
) -> tuple[float, float, float]:
    """Return the variance of a difference unpaired and paired, and their ratio."""
    pooled = sample.within_draws if basis == "within draws" else sample.within_strata
    unpaired, paired = float(pooled(a) + pooled(b)), float(pooled(a - b))
    with np.errstate(divide="ignore", invalid="ignore"):
        return unpaired, paired, float(np.float64(unpaired) / np.float64(paired))


def precision(played: Played, asked: float | None) -> dict[str, Any]:
    """Return how well the mean differences in allocated GPU-h are known: columns of `PRECISION`."""
    sample, gpu_h = played.sample, played.of("gpu_allocated")
    whole = float(sample.mean(gpu_h[played.baseline]))
    more = played.more("gpu_allocated").T
    replicates = int(played.replicate.max()) + 1
    within = sample.within_draws(more) / replicates
    half, floor = sample.half_width(more), sample.half_width(more, within)
    scale = 1.0 / whole if whole > 0.0 else np.nan
    half, floor = half * scale, floor * scale
    others = [i for i in range(len(played.variants)) if i != played.baseline]
    return {
        "idle": played.idle,
        "variant": [played.variants[i] for i in others],
        "replicates": replicates,
        "half_width": half[others],
        "floor": floor[others],
        "asked": np.nan if asked is None else asked,
        "reached": half[others] <= asked if asked is not None else np.ones(len(others), bool),
    }
