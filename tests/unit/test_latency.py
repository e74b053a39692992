"""Waits and responses against exact quantiles."""

from __future__ import annotations

import numpy as np
import pytest

from sim.plan.calls import calls, part_of
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.latency import Histogram, Served
from sim.serving.kernel.outcome import Outcome
from sim.serving.kernel.state import ample_nodes
from sim.serving.windows import KeepAlivePool
from sim.ticks import NEVER, TICKS_PER_S

LEVELS = np.array([0.0, 0.05, 0.5, 0.95, 0.99, 1.0])


@pytest.mark.parametrize("median_s", [1e-5, 0.2, 50.0, 1e6])
def test_quantiles_are_within_their_width(median_s: float) -> None:
    """A reported latency would be off by more than two percent."""
    random = np.random.default_rng(3)
    ticks = np.rint(random.lognormal(np.log(median_s), 2.0, 20_001) * TICKS_PER_S).astype(int)
    histogram = Histogram()
    for part in np.array_split(ticks, 7):
        histogram.add(part)
    exact = np.quantile(ticks, LEVELS, method="inverted_cdf") / TICKS_PER_S
    found = histogram.quantiles_s(LEVELS)
    assert np.allclose(found, exact, rtol=0.016, atol=0.5 / TICKS_PER_S)


def test_nobody_waited() -> None:
    """An application nobody calls would have a latency, or a request without wait a wait."""
    histogram = Histogram()
    assert np.isnan(histogram.quantiles_s(LEVELS)).all()
    histogram.add(np.zeros(5, np.int64))
    assert histogram.quantiles_s(LEVELS).tolist() == [0.0] * 6


def test_a_month_is_the_sum_of_its_windows() -> None:
    """Requests or hours would be lost between windows."""
    random = np.random.default_rng(4)
    asked = calls(np.sort(random.uniform(0.0, 5e4, 3000)), random.exponential(40.0, 3000), 9.0)
    pool = KeepAlive(60 * TICKS_PER_S, max_scale=3, timeout=30 * TICKS_PER_S, queue=4)

    def played(edges: list[int]) -> Served:
        served, kernel, nodes, since = Served(), KeepAlivePool(pool), ample_nodes(NEVER), 0
        for until in edges:
            low, high = np.searchsorted(asked.arrival, [since, until])
            served.add(kernel.serve(part_of(asked, slice(low, high)), until, nodes))
            since = until
        return served

    end = 60_000 * TICKS_PER_S
    one, many = played([end]), played(list(range(end // 50, end + 1, end // 50)))
    assert one.outcomes.sum() == 3000
    assert all(one.outcomes[outcome] > 0 for outcome in Outcome)
    assert one.outcomes.tolist() == many.outcomes.tolist()
    assert (one.allocated, one.active) == (many.allocated, many.active)
    assert np.array_equal(one.waited.counts, many.waited.counts)
    assert np.array_equal(one.response.counts, many.response.counts)
    assert one.cold_share == one.outcomes[Outcome.COLD] / one.invocations
