"""Tables of a comparison that nobody played: five times to a release, three priors of idleness.

Numbers follow no model; they have the signs and sizes that a reader would expect, so that figures
can be looked at and sentences be checked.
"""

from __future__ import annotations

from itertools import product

import pandas as pd

from analysis.paired import tables as declared
from sim.records import Table

IDLES = {"low": 0.3, "middle": 0.6, "high": 0.85}
TIMES = (1.0, 4.0, 12.0, 24.0, 72.0)
BASE = "never"
NAMES = {BASE: 0.0, **{f"{t:g} h": t for t in TIMES}}
SITES = {"North": 0.7, "South": 0.3, "all": 1.0}
PERIOD = "M25-M36"
HELD = 100_000.0  # GPU-h
SPREAD = {"p05": 0.5, "p50": 1.0, "p95": 1.8, "mean": 1.1}


def tables() -> dict[str, pd.DataFrame]:
    """Return the tables that figures and the brief read, by their file."""
    made = {
        declared.VARIANTS: _variants(), declared.DIFFERENCES: _differences(),
        declared.FRONT: _front(), declared.PRICES: _prices(), declared.MONTHLY: _monthly(),
        declared.WAITS: _waits(), declared.LEVELS: _levels(), declared.WORLDS: _worlds(),
        declared.SENSITIVITY: _sensitivity(), declared.REGRET: _regret(),
        declared.PRECISION: _precision(),
    }  # fmt: skip
    return {table.file: _framed(table, rows) for table, rows in made.items()}


def _framed(table: Table, rows: list[dict[str, object]]) -> pd.DataFrame:
    """Build a table as declared; columns that no test looks at are missing values."""
    frame = pd.DataFrame(rows)
    unknown = set(frame) - {c.name for c in table.columns}
    assert not unknown, unknown
    for column in table.columns:
        if column.name not in frame:
            assert column.dtype == "float64", (table.file, column.name)
            frame[column.name] = float("nan")
    return table.frame(frame.to_dict("series"))


def _spread(prefix: str, value: float) -> dict[str, float]:
    """Return mean and quantiles around a value; those of a negative one in order, too."""
    factors = SPREAD if value >= 0.0 else SPREAD | {"p05": SPREAD["p95"], "p95": SPREAD["p05"]}
    return {f"{prefix}{q}": factor * value for q, factor in factors.items()}


def _saved(idle: str, at: float) -> float:
    """Return the GPU-h saved: the idler and the sooner, the more."""
    return HELD * IDLES[idle] / (1.0 + at / 20.0) / 2.5 if at else 0.0


def _cuts(idle: str, at: float) -> float:
    return 1200.0 * IDLES[idle] / (1.0 + at) ** 0.7 if at else 0.0


def _variants() -> list[dict[str, object]]:
    return [
        {"variant": n, "baseline": n == BASE, "series": "", "at": at or 1.0}
        for n, at in NAMES.items()
    ]  # fmt: skip


def _differences() -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for idle, (name, at), (site, part) in product(IDLES, NAMES.items(), SITES.items()):
        if name == BASE:
            continue
        saved, cuts = part * _saved(idle, at), part * _cuts(idle, at)
        values = {
            "gpu_allocated": ("GPU-h", -saved), "gpu_provisioned": ("GPU-h", 0.0),
            "interruptions": ("deployments", cuts), "lost_gpu_h": ("GPU-h", 0.3 * cuts),
            "wait_p50": ("h", -0.004 * cuts), "wait_mean": ("h", -0.01 * cuts),
            "node_h": ("node-h", 0.0), "wait_h": ("user-h", -4.0 * cuts),
            "setup_h": ("user-h", 0.5 * cuts), "lost_h": ("user-h", 0.4 * cuts),
            "user_h": ("user-h", -3.1 * cuts),
        }
        common = {"idle": idle, "hypothesis": "averaged", "site": site, "variant": name}
        for criterion, (unit, value) in values.items():
            rows.append(common | {"criterion": criterion, "unit": unit, "measure": "difference",
                                  **_spread("", value), "half_width": abs(0.1 * value)})
        for ledger, value in (("allocated", -saved), ("provisioned", 0.0)):
            rows.append(common | {"criterion": f"gpu_{ledger}", "unit": "%", "measure": "percent",
                                  **_spread("", 100.0 * value / (part * HELD)),
                                  "half_width": 1.0})
    return rows


def _front() -> list[dict[str, object]]:
    return [
        {"idle": idle, "hypothesis": "averaged", "ledger": ledger, "variant": name,
         **_spread("saved_", _saved(idle, at) if ledger == "allocated" else 0.0),
         **_spread("user_h_", (0.9 - 2.0 / (at + 1.0)) * _cuts(idle, at)),
         "on_front": at != 24.0, "probability": 0.5}
        for idle, (name, at), ledger in product(IDLES, NAMES.items(), ("allocated", "provisioned"))
    ]  # fmt: skip


def _prices() -> list[dict[str, object]]:
    rows, names = [], list(NAMES)
    for idle, share in IDLES.items():
        ends = [0.0, 8.0 * share, 25.0 * share, 300.0 * share, 4000.0 * share, float("inf")]
        best = [*names[1:4], names[-1], BASE]
        rows += [
            {"idle": idle, "hypothesis": "averaged", "ledger": "allocated", "variant": name,
             "from_price": low, "to_price": high, "saved": _saved(idle, NAMES[name]),
             "interruptions": _cuts(idle, NAMES[name])}
            for name, low, high in zip(best, ends[:-1], ends[1:], strict=True)
        ]  # fmt: skip
        rows.append({"idle": idle, "hypothesis": "averaged", "ledger": "provisioned",
                     "variant": BASE, "from_price": 0.0, "to_price": float("inf"),
                     "saved": 0.0, "interruptions": 0.0})
    return rows


def _monthly() -> list[dict[str, object]]:
    rows = []
    for idle, (name, at), month in product(IDLES, NAMES.items(), range(1, 37)):
        held = 3.0 * month**0.5
        kept = held * (1.0 - _saved(idle, at) / HELD) if month > 24 else held
        active = held * (1.0 - IDLES[idle])
        for ledger, value in (("provisioned", 20.0 if month > 6 else 8.0), ("allocated", kept),
                              ("active", min(active, kept))):
            rows.append({"idle": idle, "hypothesis": "averaged", "variant": name, "month": month,
                         "ledger": ledger, **_spread("", value)})
    return rows


def _waits() -> list[dict[str, object]]:
    edges = [0.0, 0.01, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 24.0, 72.0, float("inf")]
    rows = []
    for idle, (name, at) in product(IDLES, NAMES.items()):
        total, waited = 4000.0, 0.4 if not at else 0.4 * at / (at + 40.0)
        share = [1.0 - waited, *(waited * w for w in (0.1, 0.1, 0.15, 0.15, 0.2, 0.15, 0.1,
                                                      0.05, 0.0))]
        rows += [
            {"idle": idle, "hypothesis": "averaged", "variant": name, "from_h": low, "to_h": high,
             "requests": total * part, "share": part}
            for low, high, part in zip(edges[:-1], edges[1:], share, strict=True)
        ]  # fmt: skip
    return rows


def _levels() -> list[dict[str, object]]:
    rows = []
    for idle, (name, at) in product(IDLES, NAMES.items()):
        held = HELD - _saved(idle, at)
        values = {"gpu_provisioned": 2.0 * HELD, "gpu_allocated": held,
                  "gpu_idle": held - (1.0 - IDLES[idle]) * HELD}
        rows += [
            {"idle": idle, "hypothesis": "averaged", "site": "all", "variant": name,
             "criterion": criterion, "unit": "GPU-h", **_spread("", value), "half_width": 1.0}
            for criterion, value in values.items()
        ]  # fmt: skip
    return rows


def _worlds() -> list[dict[str, object]]:
    return [
        {"idle": idle, "hypothesis": "averaged", "period": period, "ratio": 0.98,
         "idle_share_p05": 0.8 * share, "idle_share_p50": share, "idle_share_p95": 1.1 * share}
        for (idle, share), period in product(IDLES.items(), ("M19-M24", PERIOD))
    ]  # fmt: skip


def _sensitivity() -> list[dict[str, object]]:
    found = {"policy.idle.keeps_frac": -0.5, "policy.idle.missed_frac": 0.1, "idle_share": 0.8}
    return [
        {"idle": idle, "ledger": "allocated", "variant": name, "parameter": parameter,
         "correlation": r, "p05": r - 0.2, "p95": r + 0.15, "draws": 60}
        for idle, name, (parameter, r) in product(IDLES, NAMES, found.items()) if name != BASE
    ]  # fmt: skip


def _regret() -> list[dict[str, object]]:
    return [
        {"idle": idle, "hypothesis": "averaged", "ledger": "allocated", "price": price,
         "variant": name, "regret_mean": abs(at - price) * IDLES[idle] * 100.0}
        for idle, price, (name, at) in product(IDLES, (1.0, 10.0, 100.0), NAMES.items())
    ]  # fmt: skip


def _precision() -> list[dict[str, object]]:
    return [
        {"idle": idle, "variant": name, "replicates": 1, "half_width": 0.012, "reached": True}
        for idle, name in product(IDLES, NAMES) if name != BASE
    ]  # fmt: skip


FACTS = {
    "federation": "small", "scenario": "release", "period": PERIOD,
    "question": "What is saved if idle GPUs are released?",
    "uncertain": {"policy.idle.keeps_frac": {"median": 0.12, "unit": "probability"}},
    "idleness": [], "config_hash": "abc123", "seed": 0, "draws": 20, "worlds": 60,
    "model_version": "3", "commit": "def456", "dirty": False,
}  # fmt: skip
