"""Serving: compiled kernels against SimPy and SimFaaS on the same arrivals, and a busy year."""

from __future__ import annotations

import tracemalloc
from datetime import date

import numpy as np

from benchmarks.measure import Measure, at_least, at_most, seconds
from benchmarks.twin.autoscaled import TwinAutoscaled
from benchmarks.twin.callbacks import CallbackPool
from benchmarks.twin.keepalive import TwinKeepAlive, TwinNode
from sim.plan.calls import Calls, calls, part_of
from sim.plan.reader import ColdStart, Duration
from sim.plan.traffic import Bursts, PoissonReader, intensity
from sim.rng import Streams
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.kernel.outcome import Outcome
from sim.serving.scaled_state import Starts
from sim.serving.kernel.scaling import Autoscaler
from sim.serving.kernel.state import ample_nodes
from sim.serving.windows import AutoscaledPool, KeepAlivePool, Window
from sim.ticks import NEVER, TICKS_PER_H, TICKS_PER_S
from sim.timeline import ProjectCalendar

MANY, FEW = 1_000_000, 50_000  # requests for the kernel, and for what it is held against
POOL = KeepAlive(600 * TICKS_PER_S)
LEAST = {"process": 300.0, "callbacks": 50.0, "simfaas": 100.0, "autoscaler": 100.0}
MOST_YEAR_S = 5.0
MOST_MEMORY = 1.2  # times the memory for ten times the requests
YEAR = ProjectCalendar(date(2023, 1, 1), 12)


def _poisson(count: int) -> Calls:
    """Return 1 request/s, 2 s warm and 2.5 s cold, exponential."""
    random = np.random.default_rng(0)
    arrival_s = np.cumsum(random.exponential(1.0, count))
    return calls(arrival_s, random.exponential(2.0, count), 0.5)


def _kept_alive(asked: Calls) -> Window:
    pool = KeepAlivePool(POOL)
    return pool.serve(asked, int(asked.arrival[-1]) + 1, ample_nodes())


def keep_alive() -> list[Measure]:
    """Hold the keep-alive kernel against SimPy, per request, on the same arrivals."""
    many = _poisson(MANY)
    few = part_of(many, slice(FEW))
    horizon = int(few.arrival[-1]) + 1
    window = _kept_alive(few)  # compiles
    ours = min(seconds(lambda: _kept_alive(many))[0] for _ in range(5)) / MANY
    twin = TwinKeepAlive(POOL, few, [TwinNode(NEVER)], [], horizon)
    process_s, _ = seconds(twin.play)
    events = CallbackPool(few, POOL.idle_window)
    callbacks_s, _ = seconds(events.play)
    same = [(r[1], r[2], int(r[3])) for r in twin.rows] == list(
        zip(window.begin.tolist(), window.end.tolist(), window.outcome.tolist(), strict=True)
    )
    differ = (not same) + (twin.allocated != window.allocated) + (twin.active != window.active)
    cold = int((window.outcome == Outcome.COLD).sum())
    return [
        at_most("serving.keep_alive_differs_from_the_twin", differ, "results", 0),
        at_most("serving.cold_starts_differ_from_callbacks", abs(cold - events.cold), "cold", 0),
        at_least(
            "serving.keep_alive_against_processes",
            process_s / FEW / ours,
            "ratio",
            LEAST["process"],
        ),
        at_least(
            "serving.keep_alive_against_callbacks",
            callbacks_s / FEW / ours,
            "ratio",
            LEAST["callbacks"],
        ),
        Measure("serving.keep_alive_requests_per_second", 1.0 / ours, "1/s"),
    ]


def simfaas() -> list[Measure]:
    """Hold the kernel against SimFaaS: Poisson 1/s, 2 s warm, 2.5 s cold, 10 min expiry."""
    from simfaas.ServerlessSimulator import ServerlessSimulator

    np.random.seed(0)
    other = ServerlessSimulator(
        arrival_rate=1.0, warm_service_rate=1 / 2.0, cold_service_rate=1 / 2.5,
        expiration_threshold=600.0, max_time=float(MANY),
    )  # fmt: skip
    other_s, _ = seconds(lambda: other.generate_trace(debug_print=False, progress=False))
    asked = _poisson(MANY)
    ours_s, window = seconds(lambda: _kept_alive(asked), times=5)
    cold = window.outcome == Outcome.COLD
    batches = np.array([part.mean() for part in np.array_split(cold, 50)])
    error = float(np.hypot(*2 * [batches.std(ddof=1) / np.sqrt(len(batches))]))
    replicas = window.allocated / int(asked.arrival[-1])
    return [
        at_least("serving.against_simfaas", other_s / ours_s, "ratio", LEAST["simfaas"]),
        at_most(
            "serving.cold_probability_against_simfaas",
            abs(float(cold.mean()) - float(other.get_cold_start_prob())) / error,
            "standard errors",
            3.0,
        ),
        at_most(
            "serving.replicas_against_simfaas",
            abs(replicas / float(other.get_average_server_count()) - 1.0),
            "share",
            0.02,
        ),
    ]


def autoscaler() -> list[Measure]:
    """Hold the autoscaler against its twin: a day of 20,000 requests."""
    random = np.random.default_rng(1)
    day = 86_400 * TICKS_PER_S
    asked = calls(np.sort(random.uniform(0.0, 86_400.0, 20_000)), random.exponential(2.0, 20_000))
    nothing = np.zeros(20_000, np.int64)
    starts = Starts(nothing + 10 * TICKS_PER_S, nothing, nothing)

    def ours() -> Window:
        return AutoscaledPool(Autoscaler(), lambda _: starts).serve(asked, day, ample_nodes())

    ours()  # compiles
    ours_s, window = seconds(ours, times=7)
    twin = TwinAutoscaled(Autoscaler(), asked, starts, [TwinNode(NEVER)], [], day, sleeps=True)
    twin_s, _ = seconds(twin.play)
    differ = [r[1] for r in twin.rows] != window.begin.tolist()
    differ += (twin.allocated != window.allocated) + (twin.active != window.active)
    return [
        at_most("serving.autoscaler_differs_from_the_twin", differ, "results", 0),
        at_least(
            "serving.autoscaler_against_the_twin", twin_s / ours_s, "ratio", LEAST["autoscaler"]
        ),
    ]


def busy_year() -> list[Measure]:
    """Play a year in hourly windows, arrivals and all durations drawn as it goes."""
    _year(1000.0)
    year_s, served = seconds(lambda: _year(1e7))
    small, large = (_memory(count) for count in (1e6, 1e7))
    return [
        at_most("serving.year_of_1e7_requests", year_s, "s", MOST_YEAR_S),
        Measure("serving.requests_of_that_year", served, "requests"),
        at_most("serving.memory_for_10_times_the_requests", large / small, "ratio", MOST_MEMORY),
    ]


def _year(requests: float) -> int:
    """Serve one application for a year; return the requests that were served."""
    duration = Duration(1.0, 1.0)
    cold = ColdStart(Duration(60.0, 0.3), Duration(20.0, 0.5), Duration(2.0, 0.3), duration)
    expected = intensity(YEAR, 0.0, requests / 12.0, 0.0)
    reader = PoissonReader(expected, Bursts(), duration, cold, Streams(0), "application")
    pool, nodes, served = KeepAlivePool(KeepAlive(90 * TICKS_PER_S)), ample_nodes(), 0
    for hour in range(int(YEAR.horizon_h)):
        until = (hour + 1) * TICKS_PER_H
        served += len(pool.serve(reader.until(until), until, nodes).begin)
    return served


def _memory(requests: float) -> int:
    tracemalloc.start()
    _year(requests)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak
