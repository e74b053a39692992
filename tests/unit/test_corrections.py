"""What turns runs into a projection: conditioning, discrepancy and where variance comes from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis import corrections
from analysis.corrections import (
    conditioned,
    diverged,
    projected_totals,
    replicate_covariance,
    variance_shares,
)
from analysis.discrepancy import estimate, no_residuals
from analysis.federations import Case, load_case, packaged
from analysis.hypotheses import logged
from analysis.projection import Ensemble, Kept, figures_of
from sim.units import LEDGERS, RESOURCES


@pytest.fixture
def case(tiny) -> Case:
    """Return the tiny federation with its figures."""
    return load_case(tiny, packaged()["tiny"])


def _ensemble(case: Case, values: np.ndarray, figures: np.ndarray, point: np.ndarray) -> Ensemble:
    """Return runs that hold `values` of every resource at each site in each month."""
    months, sites = case.federation.calendar.months, len(case.federation.sites)
    shape = (months, sites, len(RESOURCES), len(LEDGERS))
    kept = [Kept(np.full(shape, v), {}, f) for v, f in zip(values, figures, strict=True)]
    return Ensemble(kept, ["stated"] * len(values), figures_of(case), point)


def test_runs_are_moved_by_what_their_figures_say(case) -> None:
    """A projection would ignore what the reported half-years say of the sizes it projects."""
    random = np.random.default_rng(1)
    reported = np.array([t.value for t in figures_of(case)])
    points, count = 400, len(reported)
    chance = 0.3 * random.standard_normal(2 * points)
    logs = np.log(1.02 * reported) + 0.05 * random.standard_normal((2 * points, count))
    logs[:, 0] += chance - 0.5  # every run shows less of the first figure than was reported
    figures = np.exp(logs) - 0.02 * reported
    values = 100.0 * np.exp(chance)
    runs = _ensemble(case, values, figures, np.repeat(np.arange(points), 2))
    told = conditioned(runs, case, 3)
    first = case.federation.reported_months
    before, after = (
        np.log([k.monthly[first:, 0, 0, 0].sum() for k in e.kept]) for e in (runs, told)
    )
    noise = case.hypotheses.noise_of(figures_of(case)[0])
    spread = 0.3**2
    gain = spread / (spread + 0.05**2 + noise**2)
    assert (after - before).mean() == pytest.approx(gain * 0.5, rel=0.1)
    assert after.var() == pytest.approx(spread * (1.0 - gain), rel=0.35)
    assert after.var() < 0.3 * before.var()
    assert np.array_equal(told.kept[0].monthly[:first], runs.kept[0].monthly[:first])
    given = float(logged(reported[0], reported[0]))
    assert given == pytest.approx(np.log(1.02 * reported[0]))


def test_without_replicates_nothing_is_moved(case) -> None:
    """Chance and parameters would be confused where they cannot be told apart."""
    count = len(figures_of(case))
    runs = _ensemble(case, np.arange(1.0, 9.0), np.ones((8, count)), np.arange(8))
    assert conditioned(runs, case, 0) is runs


def test_discrepancy_spares_what_was_reported_and_widens(case) -> None:
    """Reported months would be changed, or the far end be as sure as the near one."""
    count = len(figures_of(case))
    runs = _ensemble(case, np.full(600, 10.0), np.ones((600, count)), np.arange(600))
    moved = diverged(runs, case, estimate(no_residuals(), 6, {"stated": 1.0}), 5)
    first = case.federation.reported_months
    monthly = np.array([k.monthly[:, 0, 0, 0] for k in moved.kept])
    assert (monthly[:, :first] == 10.0).all()
    low, high = np.quantile(np.log(monthly / 10.0), [0.1, 0.9], axis=0)
    assert high[-1] - low[-1] > 1.5 * (high[first] - low[first])
    ratio = np.array([k.monthly[first:, 0, 0] / 10.0 for k in moved.kept])
    assert np.allclose(ratio[:, :, 0], ratio[:, :, 1])  # the same in each ledger


def test_variance_is_split_by_where_it_was_put(case) -> None:
    """A planner would be told to collect what does not change the answer."""
    random = np.random.default_rng(7)
    points, each = 300, 3
    logs = np.repeat(0.2 * random.standard_normal(points), each)
    logs += 0.1 * random.standard_normal(points * each)
    logs += np.repeat(np.where(np.arange(points) < points // 2, -0.3, 0.3), each)
    walk = 0.4 * random.standard_normal(points * each)
    count = len(figures_of(case))
    laws = ["a" if i < points // 2 * each else "b" for i in range(points * each)]
    runs = replace(
        _ensemble(case, np.exp(logs), np.ones((len(logs), count)),
                  np.repeat(np.arange(points), each)),
        law=laws,
    )  # fmt: skip
    after = corrections.scaled(
        runs, case,
        np.exp(walk)[:, None, None, None]
        * np.ones((1, case.federation.calendar.months - case.federation.reported_months,
                   len(case.federation.sites), len(RESOURCES))),
    )  # fmt: skip
    table = variance_shares(runs, after, case)
    mine = table[(table["site"] == "all") & (table["resource"] == "gpu")].set_index("source")
    assert mine["share"].sum() == pytest.approx(1.0)
    found = mine["variance"] / mine.loc["discrepancy", "variance"] * 0.16
    assert found["parameters"] == pytest.approx(0.04, rel=0.3)
    assert found["replicates"] == pytest.approx(0.01, rel=0.3)
    assert found["hypotheses"] == pytest.approx(0.09, rel=0.2)


def test_replicates_of_a_point_give_their_covariance() -> None:
    """The spread between points would be taken for chance."""
    random = np.random.default_rng(2)
    truth = np.array([[0.04, 0.03], [0.03, 0.09]])
    centre = np.repeat(10.0 * random.standard_normal((2000, 2)), 2, axis=0)
    values = centre + random.multivariate_normal([0.0, 0.0], truth, 4000)
    found, freedom = replicate_covariance(np.repeat(np.arange(2000), 2), values)
    assert freedom == 2000
    assert found == pytest.approx(truth, rel=0.12)


def test_totals_are_those_of_accounted_sites(case) -> None:
    """A sum over sites would count months that were reported, or resources nobody accounts."""
    count = len(figures_of(case))
    runs = _ensemble(case, np.array([2.0]), np.ones((1, count)), np.array([0]))
    months = case.federation.calendar.months - case.federation.reported_months
    totals = projected_totals(runs, case)
    assert totals.shape == (1, len(case.federation.sites) + 1, len(RESOURCES))
    assert totals[0, 0, 0] == pytest.approx(2.0 * months)
    assert totals[0, -1] == pytest.approx(totals[0, :-1].sum(axis=0))


def test_conditioning_is_that_of_two_correlated_figures(case) -> None:
    """Figures that go together would each be counted in full, and move a run too far."""
    random = np.random.default_rng(11)
    targets = figures_of(case)
    reported = np.array([t.value for t in targets])
    truth = np.array([[0.09, 0.06, 0.05], [0.06, 0.08, 0.06], [0.05, 0.06, 0.07]])
    points = 3000  # of two figures and, last, of hours
    chance = random.multivariate_normal(np.zeros(3), truth, 2 * points)
    logs = np.log(1.02 * reported) + np.zeros((2 * points, len(targets)))
    away = np.array([-0.4, 0.3])  # what runs show of the two figures beside what was reported
    logs[:, :2] += chance[:, :2] + away
    figures = np.exp(logs) - 0.02 * reported
    values = np.exp(7.0 + chance[:, 2])
    runs = _ensemble(case, values, figures, np.repeat(np.arange(points), 2))
    first = case.federation.reported_months
    after = np.array([k.monthly[first, 0, 0, 0] for k in conditioned(runs, case, 3).kept])
    noise = np.array([case.hypotheses.noise_of(t) for t in targets[:2]])
    gain = np.linalg.solve(truth[:2, :2] + np.diag(noise**2), truth[:2, 2])
    scale = np.log(after + corrections.OFFSET * np.median(values))  # the one that is conditioned
    before = np.log(values + corrections.OFFSET * np.median(values))
    assert (scale - before).mean() == pytest.approx(-gain @ away, abs=0.02)
    assert scale.var() == pytest.approx(0.07 - gain @ truth[:2, 2], rel=0.1)
