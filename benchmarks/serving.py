"""Serving: the compiled cluster against SimPy and SimFaaS on the same arrivals, and a busy year.

The kernel is played from end to end: through `ServingCluster`, in windows of about as many requests
as a run plays at a time, with all that is done around it.
"""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import TypeVar

import numpy as np

from benchmarks.measure import Measure, at_least, at_most, seconds
from benchmarks.twin.applications import TwinTenant
from benchmarks.twin.callbacks import CallbackPool
from benchmarks.twin.cluster import TwinCluster
from benchmarks.twin.nodes import TwinNode
from benchmarks.twin.processes import ProcessPool
from sim.applications import Bursts, Duration, Retries
from sim.plan.calls import Calls, calls, part_of
from sim.plan.given import GivenReader
from sim.plan.reader import ColdStart, Reader, Work
from sim.plan.traffic import PoissonReader, intensity
from sim.rng import Streams
from sim.serving.cluster import Done, ServingCluster, Tenant, Window
from sim.serving.hosting import requests_a_window
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.kernel.outcome import Outcome
from sim.serving.kernel.scaling import EXPOSED_SERVICE, Autoscaler
from sim.ticks import TICKS_PER_H, TICKS_PER_S
from sim.timeline import ProjectCalendar
from sim.units import IntArray

MANY, FEW = 1_000_000, 50_000  # requests for the kernel, and for what it is held against
DAY = 86_400 * TICKS_PER_S
AMPLE = 2**40  # cores and MB of a node that never lacks room
KEPT = KeepAlive(600 * TICKS_PER_S)
LEAST = {"process": 300.0, "callbacks": 50.0, "simfaas": 100.0, "autoscaler": 100.0}
MOST_YEAR_S = 5.0
MOST_MEMORY = 1.2  # times the memory for ten times the requests
YEAR = ProjectCalendar(date(2023, 1, 1), 12)
Pool = TypeVar("Pool", ProcessPool, CallbackPool)
START = (10 * TICKS_PER_S, 0, 0)  # of a replica that is not started for a request


@dataclass
class Sums:
    """What windows add up to.

    Args:
        cold: Requests that began cold and have ended.
        ended: Requests that have.
        allocated: Replica ticks.
    """

    cold: int = 0
    ended: int = 0
    allocated: int = 0


def alone(policy: KeepAlive | Autoscaler, reader: Reader) -> ServingCluster:
    """Return a cluster with one application that never lacks room."""
    cluster = ServingCluster([Tenant(policy, 1, 1, reader, _starts)])
    cluster.add_nodes(1, AMPLE, AMPLE)
    return cluster


def windows(cluster: ServingCluster, until: int, requests: float) -> Iterator[Window]:
    """Play to a time in windows of equal length, about as a run does.

    Args:
        cluster: The cluster.
        until: End, ticks.
        requests: How many are expected until then.
    """
    edges = np.linspace(cluster.now, until, 2 + int(requests / requests_a_window(1)))[1:]
    for edge in edges.astype(np.int64).tolist():
        yield cluster.play(edge)


def _starts(first: int, count: int) -> IntArray:
    return np.tile(np.array(START), (count, 1))


def _poisson(count: int) -> Calls:
    """Return 1 request/s, 2 s warm and 2.5 s cold, exponential."""
    random = np.random.default_rng(0)
    arrival_s = np.cumsum(random.exponential(1.0, count))
    return calls(arrival_s, random.exponential(2.0, count), 0.5)


def _sums(policy: KeepAlive | Autoscaler, asked: Calls, until: int) -> Sums:
    sums = Sums()
    for window in windows(alone(policy, GivenReader(asked)), until, len(asked.arrival)):
        sums.cold += int((window.done.outcome == Outcome.COLD).sum())
        sums.ended += len(window.done.outcome)
        sums.allocated += int(window.allocated[0])
    return sums


def _twin(policy: KeepAlive | Autoscaler, asked: Calls, until: int) -> TwinCluster:
    tenant = TwinTenant(policy, 1, 1, asked, [START])
    return TwinCluster([tenant], [TwinNode(AMPLE, AMPLE)], [], until)


def _differing(policy: KeepAlive | Autoscaler, asked: Calls, until: int, twin: TwinCluster) -> int:
    """Return how many requests met another fate than in the twin, and sums of ticks that differ."""
    rows: Counter[tuple[int, ...]] = Counter()
    allocated = active = 0
    for window in windows(alone(policy, GivenReader(asked)), until, len(asked.arrival)):
        rows.update(_rows(window.done))
        allocated += int(window.allocated[0])
        active += int(window.active[0])
    theirs = Counter(twin.rows)
    requests = max((rows - theirs).total(), (theirs - rows).total())
    return requests + (twin.allocated != [allocated]) + (twin.active != [active])


def _rows(done: Done) -> Iterator[tuple[int, ...]]:
    columns = (done.app, done.arrival, done.begin, done.end, done.outcome)
    return zip(*(column.tolist() for column in columns), strict=True)


def keep_alive() -> list[Measure]:
    """Hold keep-alive against SimPy, per request, on the same arrivals."""
    many = _poisson(MANY)
    few = part_of(many, slice(FEW))
    until, all_until = (int(asked.arrival[-1]) + 1 for asked in (few, many))
    twin = _twin(KEPT, few, until)
    twin.play()
    differ = _differing(KEPT, few, until, twin)  # compiles
    ours_s, against = [], []
    for _ in range(3):  # turn by turn: a shared machine is not equally fast all the time
        ours_s.append(seconds(lambda: _sums(KEPT, many, all_until), times=3)[0] / MANY)
        against.append(seconds(_twin(KEPT, few, until).play)[0] / FEW / ours_s[-1])
    ours = min(ours_s)
    processes_s, processes = _fastest(lambda: ProcessPool(few, KEPT.idle_window))
    callbacks_s, callbacks = _fastest(lambda: CallbackPool(few, KEPT.idle_window))
    to_the_end = _sums(KEPT, few, int((few.arrival + few.service + few.start).max()) + 1)
    cold = sum(row[2] == Outcome.COLD for row in processes.rows)
    wrong = abs(to_the_end.cold - callbacks.cold) + abs(to_the_end.cold - cold)
    ratio = {
        "process": median(against),  # the same semantics, a process for each request
        "bare": processes_s / FEW / ours,
        "callbacks": callbacks_s / FEW / ours,
    }
    name = "serving.keep_alive_against"
    return [
        at_most("serving.keep_alive_differs_from_the_twin", differ, "results", 0),
        at_most("serving.cold_starts_differ_from_simpy", wrong, "cold", 0),
        at_least(f"{name}_processes", ratio["process"], "ratio", LEAST["process"]),
        Measure(f"{name}_bare_processes", ratio["bare"], "ratio"),
        at_least(f"{name}_callbacks", ratio["callbacks"], "ratio", LEAST["callbacks"]),
        Measure("serving.keep_alive_requests_per_second", 1.0 / ours, "1/s"),
    ]


def _fastest(make: Callable[[], Pool]) -> tuple[float, Pool]:
    """Return the least time that it takes to play a pool, and a pool that was played."""
    pools = [make() for _ in range(3)]
    return min(seconds(pool.play)[0] for pool in pools), pools[0]


def simfaas() -> list[Measure]:
    """Hold keep-alive against SimFaaS: Poisson 1/s, 2 s warm, 2.5 s cold, 10 min expiry."""
    from simfaas.ServerlessSimulator import ServerlessSimulator

    np.random.seed(0)
    other = ServerlessSimulator(
        arrival_rate=1.0, warm_service_rate=1 / 2.0, cold_service_rate=1 / 2.5,
        expiration_threshold=600.0, max_time=float(MANY),
    )  # fmt: skip
    other_s, _ = seconds(lambda: other.generate_trace(debug_print=False, progress=False))
    asked = _poisson(MANY)
    until = int(asked.arrival[-1]) + 1
    ours_s, sums = seconds(lambda: _sums(KEPT, asked, until), times=5)
    played = windows(alone(KEPT, GivenReader(asked)), until, MANY)
    cold = np.concatenate([window.done.outcome for window in played]) == Outcome.COLD
    batches = np.array([part.mean() for part in np.array_split(cold, 50)])
    error = float(np.hypot(*2 * [batches.std(ddof=1) / np.sqrt(len(batches))]))
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
            abs(sums.allocated / until / float(other.get_average_server_count()) - 1.0),
            "share",
            0.02,
        ),
    ]


def other_kinds() -> list[Measure]:
    """Hold Knative, an exposed service and jobs against the twin: a day of 20,000 requests."""
    random = np.random.default_rng(1)
    arrival_s = np.sort(random.uniform(0.0, 86_400.0, 20_000))
    asked = calls(arrival_s, random.exponential(2.0, 20_000))
    start_s, fails = random.exponential(3.0, 20_000), random.geometric(0.95, 20_000) - 1
    jobs = calls(arrival_s, random.exponential(2.0, 20_000), start_s, 20.0)
    jobs = jobs._replace(fails=np.where(fails > 2, -3, fails))
    return [
        *_against_the_twin("knative", Autoscaler(), asked, LEAST["autoscaler"]),
        *_against_the_twin("exposed", EXPOSED_SERVICE, asked, None),
        *_against_the_twin("jobs", KeepAlive(0, max_scale=8), jobs, None),
    ]


def _against_the_twin(
    name: str, policy: KeepAlive | Autoscaler, asked: Calls, least: float | None
) -> list[Measure]:
    twin = _twin(policy, asked, DAY)
    twin_s, _ = seconds(twin.play)
    differ = _differing(policy, asked, DAY, twin)
    ratio = twin_s / seconds(lambda: _sums(policy, asked, DAY), times=7)[0]
    speed = f"serving.{name}_against_the_twin"
    return [
        at_most(f"serving.{name}_differs_from_the_twin", differ, "results", 0),
        Measure(speed, ratio, "ratio") if least is None else at_least(speed, ratio, "ratio", least),
    ]


def busy_year() -> list[Measure]:
    """Play a year of one application, arrivals and all durations drawn as it goes."""
    _year(1000.0)
    year_s, served = seconds(lambda: _year(1e7))
    small, large = (peak_memory(lambda: _year(1e6)), peak_memory(lambda: _year(1e7)))
    return [
        at_most("serving.year_of_1e7_requests", year_s, "s", MOST_YEAR_S),
        Measure("serving.requests_of_that_year", served, "requests"),
        at_most("serving.memory_for_10_times_the_requests", large / small, "ratio", MOST_MEMORY),
    ]


def _year(requests: float) -> int:
    """Serve one application for a year; return the requests that were served."""
    service = Duration(1.0, 1.0)
    cold = ColdStart(Duration(60.0, 0.3), Duration(20.0, 0.5), Duration(2.0, 0.3), service)
    expected = intensity(YEAR, 0.0, requests / 12.0, 0.0)
    work = Work(service, cold, Retries())
    reader = PoissonReader(expected, Bursts(), work, Streams(0), "application")
    cluster = alone(KeepAlive(90 * TICKS_PER_S), reader)
    played = windows(cluster, int(YEAR.horizon_h) * TICKS_PER_H, requests)
    return sum(len(window.done.outcome) for window in played)


def peak_memory(what: Callable[[], object]) -> int:
    """Return the most memory that a call takes at a time, bytes."""
    tracemalloc.start()
    what()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak
