"""Statistics of paired worlds, held against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.paired.estimates import (
    Range,
    Sample,
    best_by_price,
    better,
    on_front,
    rank_correlation,
    regrets,
)

NAN = float("nan")
PLAIN = Sample(np.zeros(4, int), np.arange(4), np.array([1.0]))


def _sample(stratum: list[int], draw: list[int], share: list[float]) -> Sample:
    return Sample(np.array(stratum), np.array(draw), np.array(share))


def test_readings_weigh_as_stated_and_draws_alike() -> None:
    """A reading with more draws, or a draw that is played more often, would weigh more."""
    sample = _sample([0, 0, 1, 0], [0, 1, 2, 0], [0.25, 0.75])  # draw 0 twice
    assert sample.weights == pytest.approx([0.0625, 0.125, 0.75, 0.0625])
    assert sample.mean(np.array([1.0, 2.0, 4.0, 3.0])) == pytest.approx(0.125 * (2 + 2) + 3.0)
    alone = sample.where(np.array([True, True, False, True]))
    assert alone.weights == pytest.approx([0.25, 0.5, 0.25])


def test_error_of_the_mean_by_hand() -> None:
    """Confidence intervals would be too narrow or too wide."""
    x = np.array([1.0, 2.0, 3.0, 6.0])  # mean 3, variance 14/3
    assert PLAIN.half_width(x) == pytest.approx(2.353363 * np.sqrt(14.0 / 3.0 / 4.0))  # t of 3
    two = _sample([0, 0, 1, 1], [0, 1, 2, 3], [0.5, 0.5])  # variances 1/2 and 9/2
    expected = 2.919986 * np.sqrt(0.25 * 0.5 / 2 + 0.25 * 4.5 / 2)  # t of 2
    assert two.half_width(x) == pytest.approx(expected)
    assert np.isnan(_sample([0, 0, 1], [0, 1, 2], [0.5, 0.5]).half_width(x[:3]))


def test_replicates_of_a_draw_do_not_count_as_draws() -> None:
    """More replicates would seem to make the uncertainty of parameters smaller."""
    sample = _sample([0] * 4, [0, 1, 0, 1], [1.0])
    x = np.array([1.0, 5.0, 3.0, 9.0])  # draws: 1 and 3, 5 and 9; means 2 and 7
    assert sample.by_draw(x) == pytest.approx([2.0, 7.0])
    assert sample.half_width(x) == pytest.approx(6.313752 * np.sqrt(12.5 / 2.0))  # t of 1
    assert sample.within_draws(x) == pytest.approx((2.0 + 8.0) / 2.0)
    floor = sample.half_width(x, sample.within_draws(x) / 2)
    assert floor == pytest.approx(6.313752 * np.sqrt((12.5 - 2.5) / 2.0))
    assert np.isnan(PLAIN.within_draws(x))


def test_quantiles_are_numpys_where_all_weigh_the_same() -> None:
    """The tables would show other quantiles than those of the projection."""
    x = np.array([[5.0, 1.0], [1.0, 2.0], [2.0, 4.0], [9.0, 3.0]])
    levels = (0.05, 0.5, 0.95)
    assert PLAIN.quantiles(x, levels) == pytest.approx(np.quantile(x, levels, axis=0))


def test_quantiles_follow_the_weights() -> None:
    """The median over readings would be that of the reading with most draws."""
    sample = _sample([0, 0, 0, 1], [0, 1, 2, 3], [0.1, 0.9])
    assert sample.quantiles(np.array([1.0, 2.0, 3.0, 10.0]), (0.5,))[0] > 5.0


def test_probability_to_be_better() -> None:
    """Which of two variants is better would be turned round, or ties and gaps be counted."""
    a, b = np.array([1.0, 2.0, 3.0, NAN]), np.array([2.0, 2.0, 1.0, 0.0])
    assert better(a, b, PLAIN, lower=True) == pytest.approx((1 / 3, 1 / 3))
    assert better(a, b, PLAIN, lower=False) == pytest.approx((1 / 3, 1 / 3))
    assert better(np.array([0.0, 0.0, 0.0, NAN]), b, PLAIN, lower=True) == (1.0, 0.0)
    assert np.isnan(better(np.full(4, NAN), b, PLAIN, lower=True)).all()


def test_regret_by_hand() -> None:
    """Regret would be counted from the mean best and not from the best of each world."""
    benefit = np.array([[0.0, 0.0, 0.0], [10.0, -5.0, 0.0], [4.0, 1.0, -1.0]])
    regret, best = regrets(benefit)
    assert regret.tolist() == [[10.0, 1.0, 0.0], [0.0, 6.0, 0.0], [6.0, 0.0, 1.0]]
    assert best.tolist() == [[0.0, 0.0, 0.5], [1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]


def test_ranges_of_prices_are_exact() -> None:
    """A variant would be called best at a price at which another one is."""
    saved, interruptions = np.array([0.0, 60.0, 100.0, 100.0]), np.array([0.0, 10.0, 50.0, 60.0])
    assert best_by_price(saved, interruptions) == [
        Range(0.0, 1.0, 2), Range(1.0, 6.0, 1), Range(6.0, np.inf, 0),
    ]  # fmt: skip


def test_lines_that_meet_in_one_point_and_fewer_interruptions() -> None:
    """Three variants that are equal at a price would leave an empty range."""
    ranges = best_by_price(np.array([0.0, 10.0, 20.0]), np.array([0.0, 10.0, 20.0]))
    assert ranges == [Range(0.0, 1.0, 2), Range(1.0, np.inf, 0)]
    assert best_by_price(np.array([0.0, 5.0]), np.array([0.0, -2.0])) == [Range(0.0, np.inf, 1)]
    assert best_by_price(np.zeros(2), np.zeros(2)) == [Range(0.0, np.inf, 0)]


def test_front_by_hand() -> None:
    """A variant that another beats in both would be offered, or equals be left out."""
    saved = np.array([0.0, 10.0, 8.0, 10.0, 12.0])
    cost = np.array([0.0, 5.0, 6.0, 5.0, 20.0])
    assert on_front(saved, cost).tolist() == [True, True, False, True, True]


def test_rank_correlation_by_hand() -> None:
    """The sensitivity to a parameter would have the wrong sign or size."""
    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    y = np.array([2.0, 1.0, 4.0, 3.0, 50.0])
    r, low, high = rank_correlation(x, y)
    assert r == pytest.approx(1.0 - 6.0 * 4.0 / (5.0 * 24.0))
    assert low < 0.0 < r < high < 1.0
    tied, *_ = rank_correlation(np.array([1.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert tied == pytest.approx(0.9486833)
    assert np.isnan(rank_correlation(np.ones(5), y)).all()
