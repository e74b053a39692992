"""Deployments as queues whose behaviour is known; intervals from replications, nothing pinned."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sim.engine.logs import Deployment
from sim.plan.requests import Requests
from sim.units import to_grid_h
from tests.worlds_by_hand import NEVER_H, federation, played, pool

SERVICE_H = 1.0  # mean burst
MONTHS = 4
END_H = 2904.0  # January to April 2024
WARM_UP_H = 400.0


def _plan(arrival_h: np.ndarray, service_h: np.ndarray) -> Requests:
    """Return requests of one user: one GPU, one burst, no tail, patience without end."""
    count = len(arrival_h)
    zeros, ones = np.zeros(count, dtype=np.int64), np.ones(count, dtype=np.int64)
    nothing, never = np.zeros(count), np.full(count, 0.999)
    return Requests(
        arrival_h=to_grid_h(arrival_h),
        user=zeros,
        number=np.arange(count),
        phase=zeros,
        gpus=ones,
        cores=ones,
        ram_gb=ones,
        burst_first=np.arange(count),
        burst_count=ones,
        site_draw=nothing,
        reuse_draw=never,
        forget_draw=never,
        hold_h=nothing,
        prompt_h=nothing,
        patience_h=np.full(count, NEVER_H),
        restart_h=nothing,
        batch_draw=nothing,
        share_draw=nothing,
        burst_h=to_grid_h(service_h),
        gap_h=nothing,
        before_h=nothing,
    )


def _poisson(rate: float, until_h: float, random: np.random.Generator) -> np.ndarray:
    count = random.poisson(rate * until_h)
    return np.sort(random.uniform(0.0, until_h, count))


def _deployments(nodes: int, requests: Requests) -> list[Deployment]:
    """Play requests on one pool of so many nodes with one GPU each."""
    of = federation({"pool": pool(nodes_first=nodes, nodes_top=float(nodes))}, months=MONTHS)
    return played(of, requests).deployments


def _erlang_c(servers: int, load: float) -> float:
    """Return the probability to wait (Erlang 1917); `load` is arrival rate times mean service."""
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(load**k / math.factorial(k) for k in range(servers)) + last)


def _interval(values: list[float]) -> tuple[float, float]:
    """Return the 99 % confidence interval of the mean of independent replications."""
    mean, error = float(np.mean(values)), float(stats.sem(values))
    half = float(stats.t.ppf(0.995, len(values) - 1)) * error
    return mean - half, mean + half


@pytest.mark.slow
@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (3, 2.1)])
def test_waits_are_those_of_m_m_c(servers: int, load: float) -> None:
    """Users would wait longer or shorter than the queue's theory says (Erlang C)."""
    waits, delayed = [], []
    for replicate in range(12):
        random = np.random.default_rng([servers, replicate])
        arrival = _poisson(load / SERVICE_H, END_H, random)
        service = random.exponential(SERVICE_H, len(arrival))
        log = [
            d for d in _deployments(servers, _plan(arrival, service)) if d.requested_h > WARM_UP_H
        ]
        wait = np.array([d.started_h - d.requested_h for d in log])
        waits.append(float(wait.mean()))
        delayed.append(float((wait > 0.0).mean()))
    chance = _erlang_c(servers, load)
    low, high = _interval(delayed)
    assert low <= chance <= high
    low, high = _interval(waits)
    assert low <= chance * SERVICE_H / (servers - load) <= high


@pytest.mark.slow
def test_occupancy_is_that_of_m_g_infinity() -> None:
    """The number of deployments would not be Poisson with mean rate times length of stay."""
    rate, sigma = 4.0, 0.8
    mean_h = math.exp(sigma**2 / 2.0)
    times = np.arange(WARM_UP_H, END_H, 24.0)
    means, ratios = [], []
    for replicate in range(10):
        random = np.random.default_rng([99, replicate])
        arrival = _poisson(rate, END_H, random)
        service = random.lognormal(0.0, sigma, len(arrival))
        log = _deployments(60, _plan(arrival, service))
        assert all(d.started_h == d.requested_h for d in log)
        start, end = (np.sort([getattr(d, k) for d in log]) for k in ("started_h", "released_h"))
        there = np.searchsorted(start, times, "right") - np.searchsorted(end, times, "right")
        means.append(float(there.mean()))
        ratios.append(float(there.var(ddof=1) / there.mean()))
    low, high = _interval(means)
    assert low <= rate * mean_h <= high
    low, high = _interval(ratios)
    assert low <= 1.0 <= high


@pytest.mark.parametrize("servers", [1, 2, 5])
def test_littles_law_holds_exactly(servers: int) -> None:
    """Deployments would come or go in the log without the time they spent in between."""
    random = np.random.default_rng(servers)
    arrival = _poisson(0.9 * servers, 200.0, random)  # all done long before the horizon
    log = _deployments(servers, _plan(arrival, random.exponential(SERVICE_H, len(arrival))))
    assert len(log) == len(arrival)
    for first, last in (
        ("requested_h", "released_h"),
        ("requested_h", "started_h"),
        ("started_h", "released_h"),
    ):
        begin, end = (np.array([getattr(d, k) for d in log]) for k in (first, last))
        times = np.concatenate([begin, end])
        order = np.argsort(times, kind="stable")
        steps = np.repeat([1.0, -1.0], len(log))[order]
        number = np.cumsum(steps)[:-1]
        area = float((number * np.diff(times[order])).sum())  # integral of the number there
        window, stay = float(times.max() - times.min()), float((end - begin).sum())
        assert area == stay
        rate = len(log) / window
        assert area / window == pytest.approx(rate * (stay / len(log)), rel=1e-12)


def test_one_server_serves_without_a_pause_while_somebody_waits() -> None:
    """A node would stand idle although a request for it waits (Lindley's recursion)."""
    random = np.random.default_rng(7)
    arrival = _poisson(0.8, 500.0, random)
    requests = _plan(arrival, random.exponential(SERVICE_H, len(arrival)))
    free_h = 0.0
    expected = []
    for at_h, service_h in zip(requests.arrival_h, requests.burst_h, strict=True):
        started_h = max(float(at_h), free_h)
        free_h = started_h + float(service_h)
        expected.append((started_h, free_h))
    found = [(d.started_h, d.released_h) for d in _deployments(1, requests)]
    assert found == expected
