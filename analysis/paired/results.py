"""What was played, as arrays, and the tables that describe it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from analysis.frames import AVERAGED
from analysis.paired.criteria import CRITERIA, NAMES
from analysis.paired.estimates import Sample
from analysis.paired.keeping import WAIT_EDGES_H, Kept
from analysis.paired.playing import Draw
from analysis.paired.tables import DIFFERENCES, DRAWN, LEVELS, MONTHLY, RUNS, VARIANTS, WAITS
from analysis.scenarios import Scenario
from sim.records import Table
from sim.units import LEDGERS, FloatArray, IntArray

LEVELS_OF = (0.05, 0.50, 0.95)
SPREAD = ("mean", "p05", "p50", "p95")


@dataclass(frozen=True, eq=False)
class Played:
    """All worlds of one prior of idleness.

    Args:
        idle: Its name.
        variants: Names of the variants, in order.
        baseline: Place of the baseline among them.
        sample: The worlds; draws are numbered as in the experiment.
        replicate: Replicate of each world, shape (worlds,).
        criteria: Shape (variants, worlds, sites + 1, criteria).
        gpu_h: Shape (variants, worlds, months, ledgers).
        waits: Shape (variants, worlds, bins).
    """

    idle: str
    variants: tuple[str, ...]
    baseline: int
    sample: Sample
    replicate: IntArray
    criteria: FloatArray
    gpu_h: FloatArray
    waits: IntArray

    def of(self, criterion: str) -> FloatArray:
        """Return a criterion of all sites, shape (variants, worlds)."""
        return self.criteria[:, :, 0, NAMES.index(criterion)]

    def saved(self, ledger: str) -> FloatArray:
        """Return the GPU-h of a ledger that variants save against the baseline, same shape."""
        gpu_h = self.of(f"gpu_{ledger}")
        return gpu_h[self.baseline] - gpu_h

    def more(self, criterion: str) -> FloatArray:
        """Return what variants have more of than the baseline, same shape."""
        found = self.of(criterion)
        return found - found[self.baseline]


@dataclass(frozen=True, eq=False)
class Results:
    """All that was played.

    Args:
        scenario: The scenario.
        baseline: Name of its baseline.
        hypotheses: Readings and their weights, in order.
        draws: The posterior draws.
        sites: All sites together, then each.
        played: The worlds of each prior of idleness that was asked for, in order.
        calibrated: The baseline's worlds with idleness as calibrated.
        shares: Idle share that each draw has under each of the priors, by name.
        month_h: Length of each project month, h.
        months: Project months to come, 1 is M1.
    """

    scenario: Scenario
    baseline: str
    hypotheses: dict[str, float]
    draws: Sequence[Draw]
    sites: tuple[str, ...]
    played: tuple[Played, ...]
    calibrated: Played
    shares: Mapping[str, Sequence[float | None]]
    month_h: FloatArray
    months: range

    def readings(self, played: Played) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the average over readings and each of them, with the worlds that belong to it."""
        names = list(self.hypotheses)
        if len(names) > 1:
            yield AVERAGED, np.ones(len(played.replicate), dtype=bool)
        for place, name in enumerate(names):
            yield name, played.sample.stratum == place

    def each(self) -> Iterator[tuple[Played, str, np.ndarray, Sample]]:
        """Yield the worlds of each prior and reading: all, its name, which ones, and these."""
        for played in self.played:
            for name, mine in self.readings(played):
                yield played, name, mine, played.sample.where(mine)


def played_of(
    idle: str, variants: Sequence[str], baseline: int, draws: Sequence[Draw],
    hypotheses: Mapping[str, float], kept: Sequence[Sequence[list[Kept]]],
) -> Played:
    """Put together what was kept of all worlds with one prior of idleness.

    Args:
        idle: Name of the prior.
        variants: Names of the variants that were played.
        baseline: Place of the baseline among them.
        draws: The posterior draws.
        hypotheses: Readings and their weights.
        kept: By replicate, by draw, by variant.
    """
    names = list(hypotheses)
    rounds = len(kept)
    stratum = np.tile([names.index(d.hypothesis) for d in draws], rounds)
    draw, shares = np.tile(np.arange(len(draws)), rounds), np.array([*hypotheses.values()])
    sample = Sample(stratum, draw, shares)
    worlds = [world for round_ in kept for world in round_]

    def stacked(what: str) -> Any:
        return np.stack([[getattr(w[v], what) for w in worlds] for v in range(len(variants))])

    return Played(
        idle, tuple(variants), baseline, sample, np.repeat(np.arange(rounds), len(draws)),
        stacked("criteria"), stacked("gpu_h"), stacked("waits"),
    )  # fmt: skip


def described(x: FloatArray, sample: Sample) -> dict[str, FloatArray]:
    """Describe a quantity of worlds, shape (worlds, …); worlds that lack it are left out.

    Returns:
        mean, p05, p50, p95 and half_width, shape (…) each; NaN where no world has it.
    """
    flat = x.reshape(len(x), -1)
    found = np.full((5, flat.shape[1]), np.nan)
    whole = ~np.isnan(flat).any(axis=0)
    found[:, whole] = _five(flat[:, whole], sample)
    for column in np.flatnonzero(~whole):
        known = ~np.isnan(flat[:, column])
        if known.any():
            found[:, column] = _five(flat[known, column], sample.where(known))
    return dict(zip((*SPREAD, "half_width"), found.reshape(5, *x.shape[1:]), strict=True))


def _five(x: FloatArray, sample: Sample) -> FloatArray:
    return np.stack([sample.mean(x), *sample.quantiles(x, LEVELS_OF), sample.half_width(x)])


def filled(table: Table, parts: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a declared table from parts; what is no list or array in a part stands in each row."""
    frames = [pd.DataFrame(part) for part in parts if _length(part)]
    if not frames:
        return table.frame({c.name: [] for c in table.columns})
    whole = pd.concat(frames, ignore_index=True)
    return table.frame({name: whole[name] for name in whole})


def columns(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """Turn rows into columns by name; none are columns without values."""
    found = [list(c) for c in zip(*rows, strict=True)] or [[] for _ in names]
    return dict(zip(names, found, strict=True))


def _length(part: Mapping[str, Any]) -> int:
    return max(len(v) for v in part.values() if isinstance(v, (list, np.ndarray)))


def describing(results: Results) -> dict[str, pd.DataFrame]:
    """Return the tables that describe variants and their differences, by file."""
    tables = {
        VARIANTS: _variants(results), RUNS: _runs(results), DRAWN: _drawn(results),
        LEVELS: _levels(results), DIFFERENCES: _differences(results),
        MONTHLY: _monthly(results), WAITS: _waits(results),
    }  # fmt: skip
    return {table.file: filled(table, parts) for table, parts in tables.items()}


def _variants(results: Results) -> list[dict[str, Any]]:
    variants = results.scenario.variants
    return [
        {
            "variant": list(variants),
            "baseline": [name == results.baseline for name in variants],
            "series": [v.series for v in variants.values()],
            "at": [v.at for v in variants.values()],
        }
    ]


def _labels(results: Results) -> dict[str, list[str]]:
    """Return site, criterion and unit of each cell of (sites + 1, criteria)."""
    pairs = list(product(results.sites, CRITERIA))
    return {
        "site": [site for site, _ in pairs],
        "criterion": [c.name for _, c in pairs],
        "unit": [c.unit for _, c in pairs],
    }


def _runs(results: Results) -> list[dict[str, Any]]:
    labels, parts = _labels(results), []
    cells = len(labels["site"])
    for played in results.played:
        draws = [results.draws[i] for i in played.sample.draw]
        for place, variant in enumerate(played.variants):
            parts.append(
                {
                    "variant": variant,
                    "idle": played.idle,
                    "hypothesis": np.repeat([d.hypothesis for d in draws], cells),
                    "draw": np.repeat([d.number for d in draws], cells),
                    "replicate": np.repeat(played.replicate, cells),
                    "quantity": played.criteria[place].ravel(),
                    **{name: label * len(draws) for name, label in labels.items()},
                }
            )
    return parts


def _drawn(results: Results) -> list[dict[str, Any]]:
    units = {path: prior.unit for path, prior in results.scenario.uncertain.items()}
    rows = []
    for played in results.played:
        for draw, share in zip(results.draws, results.shares[played.idle], strict=True):
            values = {} if share is None else {"idle_share": share}
            for name, value in (values | draw.uncertain).items():
                rows.append((played.idle, draw.hypothesis, draw.number, name, value,
                             units.get(name, "share")))  # fmt: skip
    return [columns([c.name for c in DRAWN.columns], rows)]


def _levels(results: Results) -> list[dict[str, Any]]:
    labels = _labels(results)
    return [
        {
            "idle": played.idle, "hypothesis": name, "variant": variant, **labels,
            **_flat(described(played.criteria[place][mine], sample)),
        }
        for played, name, mine, sample in results.each()
        for place, variant in enumerate(played.variants)
    ]  # fmt: skip


def _flat(found: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    return {name: values.ravel() for name, values in found.items()}


def _differences(results: Results) -> list[dict[str, Any]]:
    labels, parts = _labels(results), []
    for played, name, mine, sample in results.each():
        base = played.criteria[played.baseline][mine]
        for place, variant in enumerate(played.variants):
            if place == played.baseline:
                continue
            more = played.criteria[place][mine] - base
            head = {"idle": played.idle, "hypothesis": name, "variant": variant, **labels}
            found = described(more, sample)
            parts.append({**head, "measure": "difference", **_flat(found)})
            in_percent = {**head, "unit": "%", "measure": "percent"}
            parts.append(in_percent | _flat(_percent(more, base, sample)))
    return parts


def _percent(more: FloatArray, base: FloatArray, sample: Sample) -> dict[str, FloatArray]:
    """Describe differences in percent of the baseline; the mean is a ratio of means."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(base > 0.0, 100.0 * more / base, np.nan)
        found = described(share, sample)
        whole = described(np.where(np.isnan(more), np.nan, base), sample)["mean"]
        absolute = described(np.where(np.isnan(base), np.nan, more), sample)
        whole = np.where(whole > 0.0, whole, np.nan)
        ratio = {k: 100.0 * absolute[k] / whole for k in ("mean", "half_width")}
    return found | ratio


def _monthly(results: Results) -> list[dict[str, Any]]:
    months = np.arange(1, len(results.month_h) + 1)
    parts = []
    for played, name, mine, sample in results.each():
        gpus = played.gpu_h[:, mine] / results.month_h[:, None]
        for place, variant in enumerate(played.variants):
            found = described(gpus[place], sample)
            for at, ledger in enumerate(LEDGERS):
                parts.append(
                    {
                        "idle": played.idle, "hypothesis": name, "variant": variant,
                        "month": months, "ledger": ledger,
                        **{k: found[k][:, at] for k in SPREAD},
                    }
                )  # fmt: skip
    return parts


def _waits(results: Results) -> list[dict[str, Any]]:
    parts = []
    for played, name, mine, sample in results.each():
        for place, variant in enumerate(played.variants):
            requests = sample.mean(played.waits[place][mine].astype(np.float64))
            total = requests.sum()
            parts.append(
                {
                    "idle": played.idle, "hypothesis": name, "variant": variant,
                    "from_h": WAIT_EDGES_H[:-1], "to_h": WAIT_EDGES_H[1:], "requests": requests,
                    "share": requests / total if total else np.full(len(requests), np.nan),
                }
            )  # fmt: skip
    return parts
