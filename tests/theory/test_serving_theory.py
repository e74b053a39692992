"""The keep-alive pool as queues whose behaviour is known; intervals from replications."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sim.plan.calls import calls as as_calls
from sim.serving.cluster import Done, ServingCluster, Tenant
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.kernel.outcome import Outcome
from sim.ticks import NEVER, TICKS_PER_S, ticks
from tests.serving_by_hand import Given, in_turn

REQUESTS = 200_000
FOR_EVER = KeepAlive(NEVER)
AMPLE = 2**40  # cores, MB


def _cluster(pool: KeepAlive, reader: Given) -> ServingCluster:
    """Return an application on a node that is on and has room for all its replicas."""
    cluster = ServingCluster([Tenant(pool, 1, 1, reader, in_turn([(0, 0, 0)]))])
    cluster.add_nodes(1, AMPLE, AMPLE)
    return cluster


def _played(pool: KeepAlive, rate: float, start_s: float, seed: int) -> tuple[Done, float]:
    """Play Poisson arrivals with exponential service of mean 1 s.

    Returns:
        What became of all requests; how many computed on average while they came.
    """
    random = np.random.default_rng(seed)
    arrival_s = np.cumsum(random.exponential(1.0 / rate, REQUESTS))
    asked = as_calls(arrival_s, random.exponential(1.0, REQUESTS), start_s)
    cluster = _cluster(pool, Given(asked))
    until = int(asked.arrival[-1]) + 1
    parts = [cluster.play(until), cluster.play(until + 10_000 * TICKS_PER_S)]
    names = ("app", "arrival", "begin", "end", "outcome")
    columns = [np.concatenate([getattr(p.done, name) for p in parts]) for name in names]
    assert len(columns[0]) == REQUESTS
    return Done(*columns), float(parts[0].active[0]) / until


def _contains(values: list[float], expected: float) -> bool:
    """Return whether the 99 % interval of the mean of replications contains a value."""
    half = float(stats.t.ppf(0.995, len(values) - 1)) * float(stats.sem(values))
    return abs(float(np.mean(values)) - expected) <= half


@pytest.mark.parametrize(("servers", "load"), [(1, 0.6), (4, 3.0)])
def test_waits_of_a_full_pool_are_those_of_m_m_c(servers: int, load: float) -> None:
    """Calls would wait longer or shorter than Erlang C says."""
    pool = FOR_EVER._replace(max_scale=servers)
    found = [_played(pool, load, 0.0, seed)[0] for seed in range(8)]
    waits = [float((d.begin - d.arrival).mean()) / TICKS_PER_S for d in found]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    delayed = last / (sum(load**k / math.factorial(k) for k in range(servers)) + last)
    assert _contains(waits, delayed / (servers - load))
    assert _contains([float((d.begin > d.arrival).mean()) for d in found], delayed)


def test_computing_replicas_are_those_of_m_g_infinity() -> None:
    """More or fewer replicas would compute than rate times service."""
    assert _contains([_played(FOR_EVER, 5.0, 0.0, seed)[1] for seed in range(8)], 5.0)


@pytest.mark.parametrize("start_s", [0.0, 2.0])
@pytest.mark.parametrize("newest_first", [True, False])
def test_cold_starts_of_one_replica(start_s: float, newest_first: bool) -> None:
    """The share of cold starts would differ from its closed form.

    A busy period of an M/M/1 queue whose first request waits for a start of D with probability p
    serves (1 + rate D p) / (1 - load) requests on average; it begins cold with probability
    p = exp(-rate * window).
    """
    rate, window_s = 0.5, 1.5
    pool = KeepAlive(int(ticks(window_s)), max_scale=1, newest_first=newest_first)
    found = [_played(pool, rate, start_s, seed)[0] for seed in range(8)]
    cold = math.exp(-rate * window_s)
    expected = cold * (1.0 - rate) / (1.0 + rate * start_s * cold)
    assert _contains([float((d.outcome == Outcome.COLD).mean()) for d in found], expected)


def test_no_traffic_costs_nothing() -> None:
    """A pool that nobody calls would hold replicas."""
    window = _cluster(KeepAlive(600), Given(as_calls(np.empty(0), 1.0))).play(10**15)
    assert (window.allocated.sum(), window.active.sum(), window.replicas.sum()) == (0, 0, 0)
