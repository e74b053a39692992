"""Backcasts: what is taken away, what is predicted, scores, naive forecasters, what is shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import backcast
from analysis.backcast import (
    EFFORT,
    REPEATS,
    Figure,
    Predicted,
    backcasts,
    crps,
    figures_ahead,
    naive_forecasts,
    pit,
    predicted,
    residuals,
    scored,
    told_by,
    widened,
    z_score,
)
from analysis.backcast_page import (
    ABSENT,
    draw,
    horizons,
    outcome,
    summary,
    tables,
    wide_scores,
    wide_table,
)
from analysis.cli import composed
from analysis.discrepancy import COLUMNS, FILE, OWN, estimate, load_residuals, no_residuals
from analysis.federations import Case, packaged, register
from analysis.hypotheses import targets
from analysis.storing import write_csv
from analysis.verbs.common import prepare_setup
from sim.errors import DataError
from sim.policies.base import Policies
from sim.units import LEDGERS, RESOURCES


@pytest.fixture(scope="module")
def case() -> Case:
    """Return the reference case."""
    register(packaged()["imagine"])
    return prepare_setup(composed("validate", ["federation=imagine"]), {"replicates": int}).case


def test_later_figures_are_taken_away(case: Case) -> None:
    """A backcast would see what it is to predict."""
    known = told_by(case, 12)
    assert known.federation.reported_months == 12
    for hypothesis in case.hypotheses.hypotheses.values():
        periods = {t.period for t in targets(known.observations, hypothesis)}
        assert periods == {"M1-M6", "M7-M12"}
    for hypothesis in case.hypotheses.hypotheses.values():
        whole = targets(told_by(case, 24).observations, hypothesis)
        assert whole == targets(case.observations, hypothesis)
    assert case.federation.reported_months == 24
    assert known.federation.calendar.months == 24
    assert case.federation.calendar.months == 36


def test_wide_priors_are_wider_and_nothing_else(case: Case) -> None:
    """The second backcast would have priors elsewhere, or of the same width."""
    wide = widened(case)
    for name, prior in case.priors.priors.items():
        assert wide.priors.priors[name] == replace(prior, sigma=2.0 * prior.sigma)
    assert replace(wide, priors=case.priors).observations is case.observations


def test_crps_of_a_normal_is_its_closed_form() -> None:
    """Forecasts would be ranked by something else than the score that is named."""
    z, y = stats.norm.ppf((np.arange(4000) + 0.5) / 4000), 0.7
    closed = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / np.sqrt(np.pi)
    assert crps(3.0 * z, 3.0 * y) == pytest.approx(3.0 * closed, rel=1e-3)
    assert crps(np.full(7, 2.0), 5.0) == 3.0


def test_pit_and_z_of_a_lognormal() -> None:
    """A prediction that was too low would look as if it had been too high."""
    drawn = np.exp(stats.norm.ppf((np.arange(999) + 0.5) / 999))
    assert pit(drawn, np.exp(1.0)) == pytest.approx(stats.norm.cdf(1.0), abs=0.002)
    assert z_score(drawn, np.exp(1.0)) == pytest.approx(1.0, abs=0.01)
    assert 0.0 < pit(drawn, 0.0) < 0.001
    assert 0.999 < pit(drawn, 1e9) < 1.0


def test_naive_forecasts_by_hand() -> None:
    """The model would be held against other forecasts than those that are named."""
    one, two = (naive_forecasts([10.0, 20.0, 60.0], ahead) for ahead in (1, 2))
    assert one == pytest.approx({"last": 60.0, "trend": 80.0, "doubling": 140.0})
    assert two == pytest.approx({"last": 60.0, "trend": 105.0, "doubling": 300.0})
    falling = naive_forecasts([30.0, 5.0], 2)
    assert falling == pytest.approx({"last": 5.0, "trend": 0.0, "doubling": 0.0})


FIRST_GPU = ("M13-M18", "all", "gpu")
TOTAL = {"gpu": 6000.0, "cpu": 1.2e6, "storage": 60.0}  # a half-year of the runs below


def _found(case: Case, month: int, spread: float = 0.0, runs: int = 40) -> Predicted:
    """Return runs of each reading that show `TOTAL` a half-year, most of it at two sites."""
    readings = [n for n in case.hypotheses.hypotheses for _ in range(runs)]
    sites = tuple(case.federation.sites)
    share = np.array([0.4 if s in ("IFCA-CSIC", "INCD") else 0.1 for s in sites])
    monthly = share[:, None] * np.array([TOTAL[r] / 6 for r in RESOURCES])
    scale = np.exp(spread * np.random.Generator(np.random.Philox(8)).standard_normal(len(readings)))
    shown = np.broadcast_to(monthly, (len(readings), 24 - month, *monthly.shape))
    shown = shown * scale[:, None, None, None]
    # What deployments hold is half, and what computes a quarter, of what is provisioned.
    ledgers = np.array([{"provisioned": 2.0, "allocated": 1.0, "active": 0.5}[n] for n in LEDGERS])
    return Predicted(month, tuple(readings), sites, shown, shown[..., None] * ledgers)


def test_figures_to_predict_are_those_each_reading_believes(case: Case) -> None:
    """GPU of M13-M18 would be held against a figure that the reading does not believe."""
    figures = figures_ahead(case, 12)
    gpu = {f.hypothesis: f for f in figures if (f.period, f.site, f.resource) == FIRST_GPU}
    assert {n: f.reported for n, f in gpu.items()} == {
        "site": 14_808.0, "provisioned": 90_398.0, "unreported": 90_398.0,
    }  # fmt: skip
    assert gpu["provisioned"].ledger == "provisioned"
    assert gpu["site"].ledger == gpu["unreported"].ledger == "allocated"
    sites = {
        (f.hypothesis, f.ledger)
        for f in figures
        if (f.period, f.site, f.resource) == ("M13-M18", "IFCA-CSIC", "gpu")
    }
    assert sites == {("site", "allocated"), ("provisioned", "allocated")}
    assert all(f.reported > 0.0 for f in figures)
    assert {f.period for f in figures_ahead(case, 18)} == {"M19-M24"}


def test_scores_are_those_of_totals_over_the_period(case: Case) -> None:
    """Other months, sites or ledgers would be held against a figure than it counts."""
    scores = scored(case, found := _found(case, 12), found.without(), seed=0)
    noise = case.hypotheses.noise
    for row in scores[scores["site"] == "all"].to_dict("records"):
        assert row["p50"] == pytest.approx(TOTAL[row["resource"]], rel=0.02)
        size = noise.get(row["resource"], noise["default"])
        assert row["p95"] / row["p50"] == pytest.approx(np.exp(1.645 * size), rel=0.03)
        assert row["ahead"] == (1 if row["period"] == "M13-M18" else 2)
    cpu = scores[(scores["site"] == "INCD") & (scores["resource"] == "cpu")]
    assert cpu["p50"].tolist() == pytest.approx([0.8 * TOTAL["cpu"]] * len(cpu), rel=0.02)
    assert cpu["error_last"].isna().all()
    gpu = scores[scores["resource"] == "gpu"].iloc[0]
    assert gpu["error_last"] == pytest.approx(14_808.0 - 3_600.0)
    assert gpu["error_doubling"] == pytest.approx(14_808.0)


def test_walks_move_months_sites_and_resources_as_drawn(case: Case) -> None:
    """The walk of a site or resource would be laid on another."""
    found = _found(case, 12, runs=2)
    factors = found.without()
    incd, cpu = found.sites.index("INCD"), RESOURCES.index("cpu")
    factors[:, :, 6:, incd, cpu] = 3.0
    figures = {(f.period, f.site, f.resource): f for f in figures_ahead(case, 12)}
    moved = {
        key: found.total(figure, factors).mean() / found.total(figure, found.without()).mean()
        for key, figure in figures.items()
    }
    assert moved.pop(("M19-M24", "all", "cpu")) == pytest.approx(1.8)
    assert moved.pop(("M19-M24", "INCD", "cpu")) == pytest.approx(3.0)
    assert list(moved.values()) == pytest.approx([1.0] * len(moved))


def test_intervals_with_discrepancy_widen_with_the_horizon(case: Case) -> None:
    """What the mechanism cannot reproduce would not be carried into predictions."""
    found = _found(case, 12, spread=0.1)
    sizes = estimate(no_residuals(), 12, case.hypotheses.weights())
    factors = found.factors(sizes, np.random.Generator(np.random.Philox(0)))
    assert factors.shape == found.without().shape
    alone, moved = (scored(case, found, f, seed=0) for f in (found.without(), factors))
    width = [np.log(s["p95"] / s["p05"]) for s in (alone, moved)]
    assert (width[1] > width[0]).all()
    first = moved["ahead"] == 1
    assert width[1][~first].min() > width[1][first].max()


def test_residuals_are_of_logarithms_and_of_shares(case: Case) -> None:
    """The sizes of walks would be learnt from something else than what was missed."""
    found = residuals(case, _found(case, 12, spread=0.05))
    assert list(found.columns) == list(COLUMNS)
    keyed = found.set_index(["hypothesis", "period", "site", "resource"])
    total, incd = (keyed.loc["site", "M13-M18", site, "cpu"] for site in ("all", "INCD"))
    assert total["log_residual"] == pytest.approx(np.log(1_083_363 / 1.2e6), abs=0.04)
    assert total["variance"] == pytest.approx(0.05**2 + 0.08**2, rel=0.25)
    assert np.isnan(total["share"])
    # All ledgers of the runs move together, so that a share is certain but for reporting.
    assert incd["share_variance"] == pytest.approx(0.08**2, rel=0.1)
    assert incd["share_residual"] == pytest.approx(incd["log_residual"] - total["log_residual"])
    other = keyed.loc["provisioned", "M13-M18", "IFCA-CSIC", "gpu"]
    assert np.isnan(other["share_residual"])
    assert np.isfinite(other["log_residual"])


def test_a_backcast_carries_only_what_was_known_then(case: Case, monkeypatch) -> None:
    """A backcast would be widened by how wrong the very same backcast was."""
    monkeypatch.setattr(backcast, "predicted", lambda c, _, month, __: _found(c, month, 0.1))
    policies, effort = Policies.__new__(Policies), EFFORT
    whole = backcasts(case, policies, effort)
    later = case.observations["period"].isin(["M19-M24", "M1-M24"])
    more = case.observations.assign(
        value=case.observations["value"].where(~later, 40.0 * case.observations["value"])
    )
    other = backcasts(replace(case, observations=more), policies, effort)
    sizes = [o.sizes.set_index(["known_to", "resource"])["p50"] for o in (whole, other)]
    for month in (12, 18):
        assert sizes[0][month].equals(sizes[1][month])
    assert sizes[1][24]["gpu"] > sizes[0][24]["gpu"]
    prior = estimate(no_residuals(), 12, case.hypotheses.weights())
    assert sizes[0][12][OWN] == prior.quantile(OWN, 0.5)
    assert set(whole.residuals["fitted_to"]) == {"M12", "M18"}
    assert whole.scores["discrepancy"].sum() * 2 == len(whole.scores)
    moved = [
        s[(s["fitted_to"] == "M18") & s["discrepancy"]][["p05", "p50", "p95"]].to_numpy()
        for s in (whole.scores, other.scores)
    ]
    assert np.array_equal(*moved)


def test_runs_are_played_to_the_last_reported_month(case: Case, monkeypatch, tmp_path) -> None:
    """A backcast would play other draws, readings or months than it says."""
    names = case.priors.names("saturating")
    middle = {name: case.priors.priors[name].median for name in names}
    readings = list(case.hypotheses.hypotheses)
    few = pd.DataFrame({"hypothesis": readings, "law": "saturating", "draw": 0, **middle})
    seen = []

    def fitted(work):
        seen.append(work.case)
        return SimpleNamespace(draws=few)

    monkeypatch.setattr(backcast, "calibrate", fitted)
    monkeypatch.setattr(backcast, "kept_folder", lambda: tmp_path)
    policies = prepare_setup(composed("validate", ["federation=imagine"]), {"replicates": int})
    found = predicted(case, policies.policies, 18, replace(EFFORT, jobs=1))
    assert seen[0].federation.reported_months == 18
    assert found.hypothesis == tuple(few["hypothesis"])
    assert found.shown.shape == (3, 6, 4, 3)
    assert found.usage.shape == (3, 6, 4, 3, 3)
    assert found.without().shape == (3, REPEATS, 6, 4, 3)
    ifca = Figure("site", "M19-M24", "IFCA-CSIC", "cpu", "provisioned", 1.0, 0.1)
    whole = Figure("site", "M19-M24", "all", "cpu", "provisioned", 1.0, 0.1)
    part, total = (found.total(f, found.without()).mean() for f in (ifca, whole))
    assert 1e5 < part < total
    assert (found.usage[..., 0] >= found.usage[..., 1] - 1e-6).all()


@pytest.fixture(scope="module")
def scores(case: Case) -> pd.DataFrame:
    """Return scores of made-up predictions with two sets of priors."""
    sizes = estimate(no_residuals(), 12, case.hypotheses.weights())
    parts = []
    for priors, spread in (("stated", 0.3), ("wide", 0.6)):
        for month in (12, 18):
            found = _found(case, month, spread)
            walked = found.factors(sizes, np.random.Generator(np.random.Philox(month)))
            for moved, factors in ((False, found.without()), (True, walked)):
                score = scored(case, found, factors, seed=0)
                parts.append(score.assign(priors=priors, discrepancy=moved))
    return pd.concat(parts, ignore_index=True)


def test_scores_are_averaged_by_prior_weight(case: Case, scores: pd.DataFrame) -> None:
    """A reading would count more than its weight, or another forecaster be called the best."""
    weights = {"site": 0.75, "provisioned": 0.25, "unreported": 0.0}
    found = summary(scores, weights)
    assert len(found) == 2 * 2 * 9
    row = found.iloc[0]
    mine = scores[
        (scores["priors"] == row["priors"])
        & (scores["discrepancy"] == row["discrepancy"])
        & (scores["fitted_to"] == row["fitted_to"])
        & (scores["period"] == row["period"])
        & (scores["resource"] == row["resource"])
        & (scores["site"] == "all")
    ].set_index("hypothesis")
    assert row["crps"] == pytest.approx(
        0.75 * mine.loc["site", "crps"] + 0.25 * mine.loc["provisioned", "crps"]
    )
    errors = {n: row[f"error_{n}"] for n in ("last", "trend", "doubling")}
    assert row["best_naive"] == min(errors, key=lambda n: errors[n])
    assert row["crps_ratio"] == pytest.approx(row["crps"] / min(errors.values()))


def test_a_horizon_pools_all_origins_under_one_rule(scores: pd.DataFrame) -> None:
    """A naive forecaster that is only once the best would be called the best of a horizon."""
    found = summary(scores, {"site": 1.0, "provisioned": 1.0, "unreported": 1.0})
    found = found[(found["priors"] == "stated") & found["discrepancy"]]
    pooled = horizons(found).set_index(["ahead", "resource"])
    assert pooled["origins"].to_dict() == {
        (ahead, r): 3 - ahead for ahead in (1, 2) for r in RESOURCES
    }
    cpu = found[(found["ahead"] == 1) & (found["resource"] == "cpu")]
    assert pooled.loc[(1, "cpu"), "crps"] == pytest.approx(cpu["crps"].mean())
    means = {n: cpu[f"error_{n}"].mean() for n in ("last", "trend", "doubling")}
    assert pooled.loc[(1, "cpu"), "best_naive"] == min(means, key=lambda n: means[n])


def test_what_was_asked_is_said_to_be_met_only_if_it_is(scores: pd.DataFrame) -> None:
    """The page would claim what the scores do not show."""
    weights = {"site": 1.0, "provisioned": 1.0, "unreported": 1.0}
    good = scores.assign(pit=0.5, crps=0.0)
    said = outcome(good, summary(good, weights)).splitlines()
    assert [line.count("**met**") for line in said] == [1, 1]
    first = (good["site"] == "all") & good["discrepancy"] & (good["ahead"] == 1)
    missed = good.assign(pit=good["pit"].where(~first, 0.99))
    said = outcome(missed, summary(missed, weights)).splitlines()
    assert ["not met" in line for line in said] == [True, False]
    assert "GPU M13-M18 fitted to M12 under `site` (0.990)" in said[0]
    worse = good.assign(crps=good["crps"].where(good["resource"] == "gpu", 1e9))
    said = outcome(worse, summary(worse, weights)).splitlines()
    assert ["not met" in line for line in said] == [True, True]


def test_page_shows_every_prediction_with_and_without(
    case: Case, scores: pd.DataFrame, tmp_path: Path
) -> None:
    """A table would leave out a prediction, or show the mechanism alone for what is carried on."""
    weights = case.hypotheses.weights()
    assert draw(scores, tmp_path, "scores").stat().st_size > 10_000
    write_csv(summary(scores, weights), tmp_path / "summary.csv")
    sizes = estimate(no_residuals(), 12, weights).summary().assign(known_to=12)
    write_csv(sizes, tmp_path / "sizes.csv")
    shown = {name: text.splitlines()[2:] for name, text in tables(tmp_path).items()}
    stated = scores[(scores["priors"] == "stated") & scores["discrepancy"]]
    assert len(shown["horizons"]) == 6
    assert len(shown["scores"]) == 9
    assert len(shown["predictions"]) == 27 == (stated["site"] == "all").sum()
    assert len(shown["wide"]) == 18
    assert len(shown["sizes"]) == 1
    assert len(shown["sites"]) == len(
        stated[stated["site"] != "all"].drop_duplicates(["fitted_to", "period", "site", "resource"])
    )
    without = summary(scores, weights)
    assert wide_table(without[without["priors"] == "stated"]) == ABSENT
    first = stated.iloc[0]
    cells = [c.strip() for c in shown["predictions"][0].split("|")]
    assert cells[8] == f"{first['z']:+.1f}"


def test_a_refused_calibration_leaves_the_rest(case: Case, monkeypatch) -> None:
    """A poor emulator under wide priors would throw away the backcasts with the stated ones."""

    def poor(*_):
        raise DataError("the emulator is not good enough", "figure x", "a log error of 0.1", 0.2)

    monkeypatch.setattr(backcast, "predicted", poor)
    assert wide_scores(case, Policies.__new__(Policies), 1).empty


def test_residuals_of_a_backcast_can_be_loaded(case: Case, tmp_path: Path) -> None:
    """A projection would refuse what the backcast wrote beside the federation."""
    write_csv(residuals(case, _found(case, 12, 0.1)), tmp_path / FILE)
    loaded = load_residuals(tmp_path)
    sizes = estimate(loaded, 24, case.hypotheses.weights())
    assert sizes.quantile("gpu", 0.5) > estimate(loaded, 12, {"site": 1.0}).quantile("gpu", 0.5)
