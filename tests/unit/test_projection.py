"""From runs to tidy tables: ledgers, sites without a row, periods, and the average."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis import projection
from analysis.cli import composed
from analysis.federations import Case, load_case, packaged, register
from analysis.frames import AVERAGED
from sim.config import build_federation
from sim.units import LEDGERS, RESOURCES


@pytest.fixture(scope="module")
def case() -> Case:
    """Return the reference case."""
    folder = packaged()["imagine"]
    register(folder)
    from omegaconf import OmegaConf

    content = OmegaConf.to_container(composed("validate", [])["federation"])
    content.pop("folder")
    return load_case(build_federation(content), folder)


def _kept(case: Case, level: float) -> projection.Kept:
    """Return a run in which provisioned is 3, allocated 2 and active 1 times `level` a month."""
    months, sites = case.federation.calendar.months, len(case.federation.sites)
    monthly = np.zeros((months, sites, len(RESOURCES), len(LEDGERS)))
    for k, factor in enumerate((3.0, 2.0, 1.0)):
        monthly[..., k] = factor * level
    names = ("training_cycles", "application_usage", "models_developed", "models_trained",
             "applications_hosted", "users", "countries")
    metrics = {n: np.arange(1.0, months + 1) for n in names}
    return projection.Kept(monthly, metrics, np.array([level]))


def _ensemble(case: Case) -> projection.Ensemble:
    names = ["site", "site", "provisioned", "provisioned", "unreported", "unreported"]
    kept = [_kept(case, float(i + 1)) for i in range(6)]
    return projection.Ensemble(kept, names, ())


def test_periods_of_the_reference_case(case) -> None:
    """A projection would leave out a half-year or misname the projected year."""
    past, future = projection.periods_of(case.federation)
    assert [p for p, _ in past] == ["M1-M6", "M7-M12", "M13-M18", "M19-M24"]
    assert [(p, len(m)) for p, m in future] == [("M25-M30", 6), ("M31-M36", 6), ("PY3", 12)]


def test_average_takes_readings_by_their_weights(case) -> None:
    """The average over hypotheses would not follow the stated prior weights."""
    found = projection.members(_ensemble(case), case)
    assert found[AVERAGED] == [0, 1, 2, 3, 4, 5]
    readings = dict(case.hypotheses.hypotheses)
    readings["site"] = replace(readings["site"], weight=2.0)
    doubled = replace(case, hypotheses=replace(case.hypotheses, hypotheses=readings))
    assert projection.members(_ensemble(doubled), doubled)[AVERAGED] == [0, 1, 2, 4]


def test_reported_ledger_and_sites_without_a_row(case) -> None:
    """The reported ledger would count hours that no accounting row shows, or another ledger."""
    table = projection.usage_draws(
        _ensemble(case), case, [("M13-M18", range(13, 19)), ("M25-M30", range(25, 31))]
    )
    table = table[table["draw"] == 0].set_index(
        ["hypothesis", "period", "resource", "ledger", "site"]
    )["quantity"]
    # 6 months of level 1; three sites have a row for GPU, of CPU likewise three
    assert table["site", "M25-M30", "gpu", "reported", "all"] == 6 * 2.0 * 3
    assert table["site", "M25-M30", "gpu", "provisioned", "all"] == 6 * 3.0 * 4
    assert table["site", "M25-M30", "cpu", "reported", "TR-FC1-ULAKBIM"] == 0.0
    assert table["site", "M25-M30", "cpu", "reported", "all"] == 6 * 3.0 * 3
    # up to M18 the second reading takes the cumulative table to count provisioned GPUs (level 3)
    assert table["provisioned", "M13-M18", "gpu", "reported", "all"] == 6 * 3.0 * 3 * 3
    assert table["provisioned", "M25-M30", "gpu", "reported", "all"] == 6 * 2.0 * 3 * 3


def test_monthly_draws_name_the_branch(case) -> None:
    """A draw of the average would be continued from another reading's consumption."""
    table = projection.monthly_draws(_ensemble(case), case, range(25, 37))
    mine = table[(table["hypothesis"] == AVERAGED) & (table["month"] == 25)]
    assert mine[mine["resource"] == "gpu"]["branch"].tolist() == [
        "site", "site", "provisioned", "provisioned", "unreported", "unreported"
    ]
    assert set(table["month"]) == set(range(25, 37))


def test_metrics_sum_hours_and_count_states(case) -> None:
    """Hours of a half-year would not be summed, or a count not be that of its last month."""
    table = projection.metric_draws(_ensemble(case), case, [("M1-M6", range(1, 7))])
    row = table[(table["draw"] == 0) & (table["hypothesis"] == "site")]
    row = row.set_index(["installation", "metric"])["quantity"]
    assert row["T4.1", "training_cycles"] == 1 + 2 + 3 + 4 + 5 + 6
    assert row["T4.1", "models_developed"] == 6
    assert row["INCD", "users"] == 6
