"""Deployment records against known truths: durations, rhythm, and a small study of recovery."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.cli import composed
from analysis.federations import packaged, register
from analysis.records.reading import of_run
from analysis.records.recovery import (
    FIGURES,
    IDLE,
    RECORDS,
    Study,
    play,
    recover,
    rhythm_summary,
    summary,
)
from analysis.records.rhythm import ratio_of_rates, rhythm_of
from analysis.records.summary import survival_quantiles
from analysis.verbs.common import prepare_setup
from sim.entities import Federation, Rhythm
from sim.policies.open_admission import OpenAdmission
from sim.runner import RunSpec, run_once


def test_what_still_runs_does_not_bias_durations() -> None:
    """Long deployments would be missed because the window ends before they do."""
    random = np.random.default_rng(1)
    start = 200.0 * random.random(20_000)  # of a window of 200 h
    held = 48.0 * np.exp(random.standard_normal(20_000))
    ended = start + held < 200.0
    seen = np.where(ended, held, 200.0 - start)
    at = (0.25, 0.5, 0.75)
    found = survival_quantiles(seen, ended, at)
    truth = 48.0 * np.exp([-0.6745, 0.0, 0.6745])
    assert found == pytest.approx(truth, rel=0.05)
    assert np.quantile(held[ended], 0.5) < 0.75 * 48.0
    assert np.quantile(seen, 0.5) < 0.9 * 48.0


def test_rates_of_poisson_counts_are_covered() -> None:
    """Intervals of a weight would not hold it as often as they say, with few starts or many."""
    random = np.random.default_rng(2)
    for mean in (3.0, 30.0):
        counts = random.poisson([0.3 * mean, mean], (1000, 2))
        found = np.array([ratio_of_rates(c.astype(float), np.ones(2)) for c in counts])
        inside = (found[:, 0] <= 0.3) & (found[:, 2] >= 0.3)
        assert 0.86 <= inside.mean() <= 0.98


def _plain(tiny: Federation, rhythm: Rhythm) -> Federation:
    """Return a federation in which every request starts a deployment, all in one country."""
    cases = {n: replace(c, countries=("SE",)) for n, c in tiny.use_cases.items()}
    pools = {n: replace(p, nodes_first=99.0, nodes_top=99.0) for n, p in tiny.pools.items()}
    demand = replace(
        tiny.demand, rhythm=rhythm, reuse_frac=0.0, requests_per_user_week=10.0
    )
    return replace(tiny, use_cases=cases, pools=pools, demand=demand)


def test_a_known_rhythm_is_found_again(tiny, policies) -> None:
    """Weights of evenings, nights and free days would be of something else than the model's."""
    everybody = replace(policies, admission=OpenAdmission())
    inside, ratio = [], []
    for number, weights in enumerate(((0.3, 0.05, 0.35), (0.8, 0.4, 0.6), (1.0, 1.0, 1.0))):
        rhythm = Rhythm(8, 18, *weights)
        known = np.array(weights)
        for replicate in range(5):
            federation = _plain(tiny, rhythm)
            run = run_once(RunSpec(federation, everybody, 50 + number, replicate))
            records = of_run(run, range(1, 13), "Europe/Stockholm")
            assert len(records) > 300
            table = rhythm_of(records, rhythm, "SE")
            inside += ((table["p05"] <= known) & (table["p95"] >= known)).tolist()
            ratio += (table["p50"] / known).tolist()
    assert np.mean(inside) >= 0.75
    assert np.exp(np.mean(np.log(ratio))) == pytest.approx(1.0, abs=0.04)


@pytest.mark.slow
def test_a_small_study_finds_hold_time_and_idle_share_again(tmp_path) -> None:
    """Records would not say how long deployments are held, or would be surer than they are."""
    register(packaged()["tiny"])
    setup = prepare_setup(composed("validate", ["federation=tiny"]), {"replicates": int})
    study = Study(
        runs=210, sets=50, window="M1-M12", idle="M7-M12", time_zone="Europe/Stockholm",
        country="SE", chains=4, burn=60, steps=300, thin=6, jobs=1,
    )  # fmt: skip
    played = play(setup.case, setup.policies, study, tmp_path, lambda _: None)
    table = summary(recover(setup.case, played, study)).set_index(["data", "name"])
    for name in ("hold_time", IDLE):
        found = table.loc[RECORDS, name]
        assert found["ratio"] < 0.6 * table.loc[FIGURES, name]["ratio"]
        assert found["covered"] >= 0.7  # few runs teach, so that intervals are a little narrow
    assert 0.8 <= table["covered"].mean() <= 0.97
    assert (rhythm_summary(setup.case, played, study)["p50"] > 0.0).all()
