"""Properties of paired comparisons: whatever the numbers, a variant does not differ from itself."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.paired.estimates import Sample, best_by_price, better, on_front, regrets
from analysis.paired.results import described

NUMBERS = st.floats(-1e9, 1e9, allow_nan=False)
VARIANTS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=7)


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """Return worlds of two readings with two to four draws each, played one to three times."""
    counts = draw(st.tuples(st.integers(2, 4), st.integers(2, 4)))
    rounds = draw(st.integers(1, 3))
    stratum = np.repeat([0, 1], counts)
    weight = draw(st.floats(0.05, 0.95))
    number = np.arange(len(stratum))
    return Sample(np.tile(stratum, rounds), np.tile(number, rounds), np.array([weight, 1 - weight]))


@given(samples(), st.integers(0, 2**32 - 1))
def test_a_variant_does_not_differ_from_itself(sample: Sample, seed: int) -> None:
    """A comparison of a variant with itself would show a difference, or an error of it."""
    x = np.random.default_rng(seed).lognormal(8.0, 2.0, len(sample.stratum))
    found = described(x - x.copy(), sample)
    assert {float(v) for v in found.values()} == {0.0}
    weight = sample.weights.sum()
    assert better(x, x.copy(), sample, lower=True) == (0.0, weight)
    regret, best = regrets(np.stack([x, x]))
    assert (regret == 0.0).all()
    assert (best == 0.5).all()


@given(samples(), st.integers(0, 2**32 - 1))
def test_descriptions_are_in_order(sample: Sample, seed: int) -> None:
    """A quantile would lie outside of the values, or an upper one below a lower one."""
    x = np.random.default_rng(seed).normal(0.0, 1.0, (len(sample.stratum), 2))
    found = described(x, sample)
    assert (x.min(axis=0) <= found["p05"]).all()
    assert (found["p05"] <= found["p50"]).all()
    assert (found["p50"] <= found["p95"]).all()
    assert (found["p95"] <= x.max(axis=0)).all()
    assert (found["half_width"] > 0.0).all()


@given(VARIANTS, st.floats(0.0, 1e6))
@example([(0.0, 0.0), (-3760787.0, -2.0920071283328402e-302)], 0.0)
def test_nobody_is_better_than_the_best_at_a_price(variants, price: float) -> None:
    """A range of prices would name a variant that another one beats there."""
    saved, interruptions = np.array(variants).T
    ranges = best_by_price(saved, interruptions)
    assert ranges[0].low == 0.0
    assert ranges[-1].high == np.inf
    assert all(a.high == b.low > a.low for a, b in pairwise(ranges))
    chosen = next(r.variant for r in ranges if r.low <= price < r.high)
    benefit = saved - price * interruptions
    scale = np.abs(saved).max() + price * np.abs(interruptions).max()
    assert benefit[chosen] >= benefit.max() - 1e-9 * scale


@given(VARIANTS)
def test_the_front_beats_everyone_else(variants) -> None:
    """A variant would be left out though none is better, or nobody be on the front."""
    saved, cost = np.array(variants).T
    front = on_front(saved, cost)
    assert front.any()
    for k in np.flatnonzero(~front):
        better = (saved >= saved[k]) & (cost <= cost[k]) & ((saved > saved[k]) | (cost < cost[k]))
        assert (better & front).any()
