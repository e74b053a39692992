"""Waits and responses against exact quantiles."""

from __future__ import annotations

import numpy as np
import pytest

from sim.plan.calls import calls
from sim.plan.given import GivenReader
from sim.serving.cluster import ServingCluster, Tenant
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.kernel.outcome import Outcome
from sim.serving.latency import Histogram, Served
from sim.ticks import TICKS_PER_S

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
    failing = asked._replace(fails=np.where(np.arange(3000) % 50 == 0, -1, 0))
    pool = KeepAlive(60 * TICKS_PER_S, max_scale=3, timeout=30 * TICKS_PER_S, queue=4)

    def played(edges: list[int]) -> Served:
        served = Served()
        cluster = ServingCluster([Tenant(pool, 1, 1, GivenReader(failing), no_starts)])
        cluster.add_nodes(1, 10, 10)
        for until in edges:
            window = cluster.play(until)
            served.add(window.done, int(window.allocated[0]), int(window.active[0]))
        return served

    end = 60_000 * TICKS_PER_S
    one, many = played([end]), played(list(range(end // 50, end + 1, end // 50)))
    assert one.outcomes.sum() == 3000
    assert all(one.outcomes[outcome] > 0 for outcome in Outcome if outcome != Outcome.NOT_CALLED)
    assert one.outcomes.tolist() == many.outcomes.tolist()
    assert (one.allocated, one.active) == (many.allocated, many.active)
    assert np.array_equal(one.waited.counts, many.waited.counts)
    assert np.array_equal(one.response.counts, many.response.counts)


def no_starts(first: int, count: int) -> np.ndarray:
    """Return how replicas start that are not started for a request: at once."""
    return np.zeros((count, 3), np.int64)
