"""Tables of a comparison, from worlds whose numbers can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.paired.criteria import BY_NAME, NAMES
from analysis.paired.decisions import deciding, precision
from analysis.paired.keeping import WAIT_EDGES_H, Kept
from analysis.paired.playing import CALIBRATED, Draw
from analysis.paired.results import Played, Results, describing, played_of
from analysis.paired.shown import said_of_precision, shown
from analysis.paired.tables import TABLES, WORLDS
from analysis.scenarios import build_scenario

READINGS = {"one": 0.25, "other": 0.75}
DRAWS = [
    Draw(h, n, row, pd.Series(), (), {"policy.idle.x": x})
    for row, (h, n, x) in enumerate([("one", 0, 0.1), ("one", 1, 0.4), ("other", 0, 0.2),
                                     ("other", 1, 0.3)])
]  # fmt: skip
UNCERTAIN = {"distribution": "lognormal", "median": 1.0, "sigma": 1.0, "unit": "h", "source": "-"}
SCENARIO = build_scenario(
    {
        "question": "?", "expected": "!", "source": "assumed", "baseline": "base",
        "variants": {"base": {}, "a": {"at": 4.0}, "b": {"at": 8.0}},
        "uncertain": {"policy.idle.x": UNCERTAIN},
    }
)  # fmt: skip
ALLOCATED = [[100.0, 200.0, 300.0, 400.0], [90.0, 150.0, 240.0, 400.0], [95.0, 190.0, 280.0, 330.0]]
INTERRUPTIONS = [[0.0] * 4, [10.0, 10.0, 20.0, 20.0], [1.0, 3.0, 1.0, 3.0]]


def _kept(variant: int, draw: int, shift: float = 0.0) -> Kept:
    values = dict.fromkeys(NAMES, 0.0)
    values |= {
        "gpu_allocated": ALLOCATED[variant][draw] + shift, "gpu_active": 50.0,
        "interruptions": INTERRUPTIONS[variant][draw], "user_h": INTERRUPTIONS[variant][draw],
        "wait_p50": np.nan if draw == 0 else float(variant),
    }  # fmt: skip
    row = np.array([values[n] for n in NAMES])
    gpu_h = np.full((2, 3), 744.0 * (variant + 1))
    waits = np.eye(len(WAIT_EDGES_H) - 1, dtype=int)[variant]
    return Kept(np.stack([row, row]), gpu_h, waits, None)


def _played(idle: str, shifts: tuple[float, ...] = (0.0,), variants: int = 3) -> Played:
    """Return worlds; what `shifts` adds to variant b differs from replicate to replicate."""
    rounds = [
        [[_kept(v, d, s * (v == 2)) for v in range(variants)] for d in range(4)] for s in shifts
    ]
    return played_of(idle, list(SCENARIO.variants)[:variants], 0, DRAWS, READINGS, rounds)


def _results(**more: object) -> Results:
    shares = {"low": [0.1, 0.2, 0.3, 0.4], CALIBRATED: [None] * 4}
    plain = Results(
        SCENARIO, "base", READINGS, DRAWS, ("all", "Here"), (_played("low"),),
        _played(CALIBRATED, variants=1), shares, np.array([744.0, 744.0]), range(2, 3),
    )  # fmt: skip
    return replace(plain, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """Return all tables but that of worlds, which needs a federation."""
    return describing(_results()) | deciding(_results(), [0.0, 5.0], None)


def test_every_declared_table_is_made(tables) -> None:
    """A table would be declared and documented, and never written."""
    assert set(tables) | {WORLDS.file} == {table.file for table in TABLES}
    for table in TABLES:
        if table is not WORLDS:
            assert list(tables[table.file]) == [c.name for c in table.columns]
            assert len(tables[table.file])


def _difference(tables, hypothesis: str, variant: str, criterion: str, measure: str) -> pd.Series:
    t = tables["differences.csv"]
    mine = t[(t["hypothesis"] == hypothesis) & (t["variant"] == variant) & (t["site"] == "all")
             & (t["criterion"] == criterion) & (t["measure"] == measure)]  # fmt: skip
    return mine.iloc[0]


def test_differences_by_hand(tables) -> None:
    """Differences would be taken between worlds, or readings be averaged with other weights."""
    one = _difference(tables, "one", "a", "gpu_allocated", "difference")
    assert (one["mean"], one["p50"], one["unit"]) == (-30.0, -30.0, "GPU-h")
    assert one["half_width"] == pytest.approx(6.313752 * 20.0)  # t of 1, sd 20 sqrt 2, n 2
    whole = _difference(tables, "averaged", "a", "gpu_allocated", "difference")
    assert whole["mean"] == pytest.approx(0.25 * -30.0 + 0.75 * -30.0)
    percent = _difference(tables, "averaged", "a", "gpu_allocated", "percent")
    assert percent["mean"] == pytest.approx(100.0 * -30.0 / (0.25 * 150.0 + 0.75 * 350.0))
    assert percent["unit"] == "%"
    alone = _difference(tables, "one", "a", "gpu_allocated", "percent")
    assert alone["p50"] == pytest.approx((-10.0 - 25.0) / 2.0)


def test_worlds_without_a_criterion_are_left_out(tables) -> None:
    """A median over nobody's waits would make the whole difference missing, or a zero."""
    one = _difference(tables, "one", "b", "wait_p50", "difference")
    assert (one["mean"], one["p05"]) == (2.0, 2.0)
    assert np.isnan(one["half_width"])
    assert np.isnan(_difference(tables, "one", "b", "wait_p50", "percent")["mean"])


def test_decisions_by_hand(tables) -> None:
    """Net benefit, regret, prices or the front would be those of other numbers."""
    regret = tables["regret.csv"]
    mine = regret[(regret["hypothesis"] == "one") & (regret["ledger"] == "allocated")]
    of = mine.set_index(["price", "variant"])
    assert of.loc[(0.0, "a"), "benefit_mean"] == 30.0
    assert of.loc[(0.0, "b"), "regret_mean"] == (5.0 + 40.0) / 2
    assert of.loc[(5.0, "a"), "benefit_mean"] == 30.0 - 50.0
    assert of.loc[(5.0, "b"), "benefit_mean"] == (0.0 - 5.0) / 2  # 5 - 5 and 10 - 15
    assert of.loc[(5.0, "base"), "best"] == 0.5  # tied in both worlds
    prices = tables["prices.csv"]
    found = prices[(prices["hypothesis"] == "one") & (prices["ledger"] == "allocated")]
    assert found["variant"].tolist() == ["a", "b", "base"]
    assert found["to_price"].tolist() == [22.5 / 8.0, 7.5 / 2.0, np.inf]
    front = tables["front.csv"]
    here = front[(front["hypothesis"] == "other") & (front["ledger"] == "allocated")]
    assert here.set_index("variant")["on_front"].to_dict() == {"base": True, "a": False, "b": True}
    better = tables["better.csv"].set_index(["hypothesis", "criterion", "a", "b"])
    row = better.loc[("averaged", "gpu_allocated", "a", "base")]
    assert (row["probability"], row["tied"]) == pytest.approx((0.25 + 0.375, 0.375))


def test_only_criteria_with_a_direction_are_judged(tables) -> None:
    """More invocations would be called better or worse."""
    assert {BY_NAME[n].better for n in tables["better.csv"]["criterion"].unique()} == {"lower"}


def test_sensitivity_by_hand(tables) -> None:
    """Savings would be ranked against another parameter's values."""
    t = tables["sensitivity.csv"].set_index(["ledger", "variant", "parameter"])
    assert t.loc[("allocated", "b", "policy.idle.x"), "correlation"] == pytest.approx(0.4)
    assert t.loc[("allocated", "b", "idle_share"), "correlation"] == pytest.approx(1.0)
    assert t.loc[("allocated", "b", "idle_share"), "draws"] == 4


def test_pairing_by_hand() -> None:
    """What common worlds are worth would be counted over the wrong variances."""
    results = _results(played=(_played("low", (0.0, 6.0)),))
    t = deciding(results, [], None)["pairing.csv"]
    t = t[t["criterion"] == "gpu_allocated"].set_index(["pair", "a", "b", "basis"])
    within = t.loc[("neighbours", "a", "b", "within draws")]
    assert (within["unpaired"], within["paired"], within["ratio"]) == (18.0, 18.0, 1.0)
    over = t.loc[("baseline", "base", "a", "over draws")]
    base, a = np.array(ALLOCATED[0] * 2), np.array(ALLOCATED[1] * 2)

    def pooled(x: np.ndarray) -> float:
        parts = [x[[0, 1, 4, 5]], x[[2, 3, 6, 7]]]
        return sum(((p - p.mean()) ** 2).sum() for p in parts) / 6.0

    assert over["ratio"] == pytest.approx((pooled(base) + pooled(a)) / pooled(base - a))


def test_precision_by_hand() -> None:
    """A comparison would stop too early, or name a half-width of something else."""
    of = precision(_played("low", (0.0, 6.0)), 0.5)
    base = 0.25 * 150.0 + 0.75 * 350.0
    # b less the baseline, by draw: -2, -7, -17, -67; variances 12.5 and 1250; t of 2
    half = 2.919986 * np.sqrt(0.0625 * 12.5 / 2 + 0.5625 * 1250.0 / 2)
    assert of["half_width"][1] == pytest.approx(half / base)
    assert of["replicates"] == 2
    assert of["reached"].tolist() == [True, True]
    assert precision(_played("low", (0.0, 6.0)), 0.01)["reached"].tolist() == [False, False]
    floor = 2.919986 * np.sqrt(0.0625 * (12.5 - 9.0) / 2 + 0.5625 * (1250.0 - 9.0) / 2)
    assert of["floor"][1] == pytest.approx(floor / base)


@pytest.mark.parametrize(
    ("asked", "said"),
    [(None, "or better"), (10.0, "1000.0 % were asked for"), (0.01, "takes more draws")],
)
def test_precision_is_said(asked, said) -> None:
    """A reader would not see whether the asked-for precision was reached, or what would help."""
    results = _results(played=(_played("low", (0.0, 6.0)),))
    assert said in said_of_precision(deciding(results, [], asked))


def test_what_is_shown_names_idleness_and_totals(tables) -> None:
    """Savings would be shown without the prior of idleness that they hang on."""
    worlds = pd.DataFrame(
        [("low", "averaged", "M2-M2", 0.3, 0.1, 0.5, 1.02)],
        columns=["idle", "hypothesis", "period", "idle_share_p50", "idle_share_p05",
                 "idle_share_p95", "ratio"],
    )  # fmt: skip
    (table,) = shown(_results(), tables | {WORLDS.file: worlds})
    assert table.title == (
        "idleness low: 30 % of held GPU time idle [10 - 50], 102 % of the GPU-h as calibrated"
    )
    assert list(table.columns[0].cells) == ["a", "b"]
    assert list(table.columns[1].cells)[1].startswith("20 [")


def test_months_and_waits(tables) -> None:
    """GPUs of a month would be hours, or waits fall into another variant's bins."""
    monthly = tables["monthly.csv"].set_index(["hypothesis", "variant", "month", "ledger"])
    assert monthly.loc[("one", "b", 1, "active"), "p50"] == 3.0
    waits = tables["waits.csv"]
    mine = waits[(waits["hypothesis"] == "averaged") & (waits["variant"] == "a")]
    assert mine["share"].tolist()[:3] == [0.0, 1.0, 0.0]
