"""The tables that compare variants of serving, and the page about it, from hand-made runs."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.serving_figures import draw_growth
from analysis.serving_page import growth_table, ledger_table
from analysis.serving_tables import KeepServing, compared
from sim.ledger import usage_of
from sim.runner import RunResult, RunSpec
from tests.worlds_by_hand import FREE, application, calls, federation, plan, played

FEBRUARY_S = 31 * 86_400.0


def _kept(months: range) -> pd.DataFrame:
    """Return what is kept of a run with two calls in January and one that has no answer."""
    of = federation(app=application(max_scale=1), cluster_cores=8)
    horizon_s = of.calendar.horizon_h * 3600.0
    asked = calls([(100.0, 20.0), (125.0, 10.0), (FEBRUARY_S, 60.0), (horizon_s - 40.0, 50.0)])
    world, logs = plan(of, invocations=asked), played(of, invocations=asked)
    result = RunResult(RunSpec(of, FREE), world, logs, usage_of(of, world, logs))
    return KeepServing(months)(result)


def test_measures_by_hand() -> None:
    """A measure would count other months, or other requests, than it says."""
    kept = _kept(range(1, 2)).set_index("measure")["quantity"]
    assert kept["invocations"] == 2.0
    assert kept["cold_share"] == 0.5
    assert kept["busy"] == 30.0 / 3600.0
    assert kept["replicas"] == (30.0 + 30.0 + 60.0) / 3600.0
    assert kept["nodes"] == 744.0
    assert kept["unserved_share"] == pytest.approx(1.0 / 3.0)


def test_variants_stand_side_by_side() -> None:
    """A variant's runs would be summarised with another's."""
    one, two = _kept(range(1, 2)), _kept(range(1, 3))
    two = two.assign(quantity=two["quantity"].where(two["measure"] != "nodes", 7.0))
    table = compared([one, one, two, two], [("a", "s", 1.0)] * 2 + [("b", "s", 10.0)] * 2)
    nodes = table[table["measure"] == "nodes"].set_index("variant")
    assert nodes["p50"].to_dict() == {"a": 744.0, "b": 7.0}
    assert nodes["unit"].unique().tolist() == ["node-h"]
    assert nodes["at"].to_dict() == {"a": 1.0, "b": 10.0}


def test_the_figure_stands_beside_its_table(tmp_path) -> None:
    """The figure would not be drawn, or its numbers not stand beside it."""
    kept = _kept(range(1, 3))
    table = compared([kept] * 4, [("a", "s", 1.0)] * 2 + [("b", "s", 10.0)] * 2)
    path = draw_growth(table, tmp_path, "growth", "calls")
    assert path.stat().st_size > 10_000
    assert len(pd.read_csv(tmp_path / "growth.csv")) == len(table)
    shown = growth_table(pd.read_csv(tmp_path / "growth.csv"))
    assert "cluster (keep_alive)" in shown
    assert "10×" in shown


def test_ledgers_stand_beside_what_was_reported() -> None:
    """A reported figure would stand beside another ledger than the one it measures."""
    rows = [("M1", "provisioned", 9.0, 10.0, 11.0, 10.5), ("M1", "allocated", 1.0, 2.0, 3.0, None),
            ("M1", "active", 0.1, 0.2, 0.3, None)]  # fmt: skip
    columns = ["period", "ledger", "p05", "p50", "p95", "reported"]
    table = ledger_table(pd.DataFrame(rows, columns=columns))
    assert "10 [9 - 11]; reported 10.5" in table
