"""Another share of held time idle: what is expected by hand, and that totals stay."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from math import exp

import numpy as np
import pytest

from analysis.paired.idleness import IdlePrior, expected, with_idle_share
from sim.config import build
from sim.entities import Era
from sim.errors import ConfigError, EngineError
from sim.ledger import ACTIVE, ALLOCATED, GPU
from sim.runner import RunSpec, run_once
from tests import worlds_by_hand as by_hand

PRIOR = IdlePrior(0.3, 0.5, "assumed")


def _federation(**demand: object):
    """Return a federation whose expectations can be worked out by hand."""
    plain = by_hand.federation()
    phase = replace(plain.phases["work"], months=2.0, intensity=0.5, gpu_frac=0.5, work_scale=2.0)
    other = replace(plain.phases["serve"], months=1.0, intensity=2.0, gpu_frac=1.0, work_scale=1.0)
    return replace(
        plain,
        phases={"work": phase, "serve": other},
        demand=replace(plain.demand, **{"reuse_frac": 0.0, "prompt_delay_h": 0.5, **demand}),
    )


def test_expected_times_by_hand() -> None:
    """A part of a request's time would be left out, or phases weigh other than by requests."""
    of = expected(_federation(bursts_mean=4.0, burst_sigma=1.0, gap_h=3.0, forget_frac=0.25,
                              hold_h=10.0, hold_sigma=0.5))  # fmt: skip
    scale = (2.0 * 0.5 * 0.5 * 2.0 + 1.0 * 2.0 * 1.0 * 1.0) / (2.0 * 0.5 * 0.5 + 2.0)
    assert of.busy_h == pytest.approx(4.0 * exp(0.5) * scale)
    assert of.idle_h == pytest.approx(3.0 * 3.0 + 0.25 * 10.0 * exp(0.125) + 0.75 * 0.5)
    assert of.idle_share == of.idle_h / (of.busy_h + of.idle_h)


def test_pauses_are_cut_off_at_a_fortnight() -> None:
    """Long pauses would count for more than users are played to take."""
    of = expected(_federation(bursts_mean=2.0, gap_h=1000.0, gap_sigma=1.0, hold_h=0.1))
    normals = np.random.default_rng(1).standard_normal(400_000)
    drawn = np.minimum(1000.0 * np.exp(normals), 336.0).mean()
    assert of.idle_h == pytest.approx(drawn + 0.5 * 0.1 + 0.5 * 0.5, rel=2e-3)


def test_a_returning_user_ends_the_tail() -> None:
    """Tails that are cut short by the next request would count in full."""
    demand = {"reuse_frac": 1.0, "hold_h": 200.0, "hold_sigma": 0.0, "forget_frac": 1.0}
    federation = _federation(requests_per_user_week=16.8, **demand)  # 0.1 an hour
    intensity = (1.0 * 0.5 + 2.0 * 2.0) / 3.0
    rate = 0.1 * intensity
    assert expected(federation).idle_h == pytest.approx((1.0 - exp(-200.0 * rate)) / rate)
    eras = {"b": Era(date(2024, 2, 1), 0.5), "a": Era(date(2024, 1, 1), 9.0)}
    slower = replace(federation, demand=replace(federation.demand, eras=eras))
    assert expected(slower).idle_h == pytest.approx((1 - exp(-100.0 * rate)) / (0.5 * rate))
    two = replace(federation, demand=replace(federation.demand, cores={1: 1.0, 2: 1.0}))
    assert expected(two).idle_h > expected(federation).idle_h  # the larger one does not fit


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.85, 0.98])
@pytest.mark.parametrize("name", ["tiny", "imagine"])
def test_the_share_is_met_and_the_held_time_stays(share, name, request) -> None:
    """A prior of idleness would change how long requests hold their deployments."""
    federation = request.getfixturevalue(name)
    before, after = expected(federation), expected(with_idle_share(federation, share))
    assert after.idle_share == pytest.approx(share, rel=1e-9)
    assert after.busy_h + after.idle_h == pytest.approx(before.busy_h + before.idle_h)


def test_nothing_but_times_of_work_changes(tiny) -> None:
    """A prior of idleness would change who asks for what."""
    after = with_idle_share(tiny, 0.3)
    times = ("burst_h", "gap_h", "hold_h", "prompt_delay_h")
    put_back = replace(after.demand, **{t: getattr(tiny.demand, t) for t in times})
    assert replace(after, demand=put_back) == tiny
    ratios = {getattr(after.demand, t) / getattr(tiny.demand, t) for t in times[1:]}
    assert max(ratios) == pytest.approx(min(ratios))


def test_a_share_that_no_pause_makes_is_refused() -> None:
    """A search would go on for ever, or end with another share than asked for."""
    with pytest.raises(EngineError, match="idle share"):
        with_idle_share(_federation(burst_h=1000.0, forget_frac=0.0, prompt_delay_h=0.0), 0.9)


@pytest.mark.parametrize("share", [0.2, 0.85])
def test_simulated_totals_stay(share, tiny, policies) -> None:
    """GPU-h would no longer be those that the federation was fitted to."""

    def gpu_h(federation, ledger: int) -> float:
        runs = [run_once(RunSpec(federation, policies, 5, k)) for k in range(24)]
        return sum(float(r.usage.quantity[:, :, :, GPU, ledger].sum()) for r in runs)

    other = with_idle_share(tiny, share)
    held = gpu_h(other, ALLOCATED)
    assert held == pytest.approx(gpu_h(tiny, ALLOCATED), rel=0.1)
    assert 1.0 - gpu_h(other, ACTIVE) / held == pytest.approx(share, abs=0.05)


def test_shares_are_drawn_by_name() -> None:
    """Worlds would change when another draw or prior is added."""
    shares = [PRIOR.share(0, "low", f"site/{k}") for k in range(400)]
    assert np.median(shares) == pytest.approx(0.3, abs=0.03)
    assert len(set(shares)) == 400
    assert PRIOR.share(0, "low", "site/3") == shares[3]
    assert PRIOR.share(1, "low", "site/3") != shares[3] != PRIOR.share(0, "high", "site/3")


def test_impossible_priors_are_refused() -> None:
    """A share of 1 would divide by zero."""
    with pytest.raises(ConfigError, match="between 0 and 1"):
        build(IdlePrior, {"median": 1.0, "sigma": 0.5, "source": "assumed"}, "idle_priors.x")
