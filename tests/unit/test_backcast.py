"""Backcasts: what is taken away, the scores against their closed forms, the naive forecasters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.backcast import (
    NAIVE,
    crps,
    naive_forecasts,
    pit,
    scored,
    summary,
    told_by,
    z_score,
)
from analysis.backcast_page import draw, pit_table, score_table
from analysis.cli import composed
from analysis.federations import Case, packaged, register
from analysis.hypotheses import targets
from analysis.verbs.common import prepare_setup


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


@dataclass(frozen=True)
class Prediction:
    """Draws of one total."""

    hypothesis: str
    period: str
    resource: str
    median: float


def _found(*predictions: Prediction) -> pd.DataFrame:
    rows = [
        (p.hypothesis, k, p.period, p.resource, p.median)
        for p in predictions
        for k in range(400)
    ]
    return pd.DataFrame(rows, columns=["hypothesis", "draw", "period", "resource", "quantity"])


def test_each_reading_is_held_against_its_own_figure(case: Case) -> None:
    """GPU of M13-M18 would be scored with a figure that the reading does not believe."""
    found = _found(
        Prediction("site", "M13-M18", "gpu", 14_808.0),
        Prediction("unreported", "M13-M18", "gpu", 90_398.0),
        Prediction("site", "M19-M24", "cpu", 2_451_206.0),
    )
    scores = scored(case, 12, found, seed=0)
    assert scores["reported"].tolist() == [14_808.0, 90_398.0, 2_451_206.0]
    assert scores["pit"].between(0.4, 0.6).all()
    noise = case.hypotheses.noise["default"]
    assert (scores["p95"] / scores["p50"]).tolist() == pytest.approx(
        [np.exp(1.645 * noise)] * 3, rel=0.03
    )
    gpu = scores.iloc[0]
    assert gpu["error_last"] == pytest.approx(14_808.0 - 3_600.0)
    assert gpu["error_doubling"] == pytest.approx(14_808.0)


def test_scores_are_averaged_by_prior_weight(case: Case, tmp_path) -> None:
    """A reading would count more than its weight, or another forecaster be called the best."""
    found = _found(*(Prediction(n, "M19-M24", "cpu", 2e6) for n in ("site", "unreported")))
    scores = scored(case, 18, found, seed=0)
    scores.loc[:, "crps"] = [1.0, 4.0]
    weighted = replace(
        case.hypotheses,
        hypotheses={
            n: replace(h, weight=3.0 if n == "site" else 1.0)
            for n, h in case.hypotheses.hypotheses.items()
        },
    )
    (row,) = summary(scores, replace(case, hypotheses=weighted)).to_dict("records")
    assert row["crps"] == pytest.approx(0.75 * 1.0 + 0.25 * 4.0)
    errors = {n: row[f"error_{n}"] for n in NAIVE}
    assert row["best_naive"] == min(errors, key=lambda n: errors[n])
    assert "| model |" in score_table(summary(scores, case))
    assert pit_table(scores).count("`site`") == 1
    assert draw(scores, tmp_path, "scores").stat().st_size > 10_000
