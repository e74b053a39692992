"""A thousand applications that share nodes for a year, and how the number of applications costs.

Writes a table and a figure to docs/serving/.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.figure_style import (
    COLOURS,
    FONT_PT,
    GREY,
    HALF_PAGE_IN,
    MARKERS,
    SMALL_PT,
    new_figure,
    plain_axes,
    save,
)
from benchmarks.measure import Measure, at_most, seconds
from benchmarks.serving import YEAR, peak_memory
from sim.applications import Application, ApplicationKind, Bursts, Duration, NodeScaling, Retries
from sim.entities import Rhythm
from sim.plan.reader import ColdStart, StartReader, Work
from sim.plan.rhythm import work_clock
from sim.plan.traffic import Intensity, PoissonReader, intensity
from sim.rng import Streams
from sim.serving.cluster import ServingCluster, Tenant
from sim.serving.kernel.outcome import Outcome
from sim.serving.settings import policy_of
from sim.ticks import TICKS_PER_H, ticks

HOME = Path(__file__).parents[1] / "docs" / "serving"
NAME = "many_applications"
APPLICATIONS, REQUESTS_EACH = 1000, 10_000
NODES, CORES, RAM_MB = 50, 16, 64_000
SCALING = NodeScaling()
BURSTS = Bursts(4.0, 1.0)  # a folder of four files on average
OFFICE = Rhythm(8, 18, evening_weight=0.3, night_weight=0.05, weekend_weight=0.2)
KINDS = {
    ApplicationKind.SYNC: "functions (Knative)",
    ApplicationKind.ASYNC: "jobs",
    ApplicationKind.KEEP_ALIVE: "kept warm for 10 min",
}
WINDOW_H = 7 * 24
COUNTS = (1, 10, 100, 1000)
REQUESTS_IN_ALL = 1e6  # of each point of the figure
MOST_UNSERVED = 1e-3


def many_applications() -> list[Measure]:
    """Play 1,000 applications of all kinds for a year; measure and draw the cost of their number.

    All times are of everything: requests drawn, played, handed out.
    """
    _year(3, 3000.0, tuple(KINDS))  # compiles
    requests = float(APPLICATIONS * REQUESTS_EACH)
    year_s, (answered, others) = seconds(lambda: _year(APPLICATIONS, requests, tuple(KINDS)))
    memory = peak_memory(lambda: _year(APPLICATIONS, requests, tuple(KINDS)))
    costs = pd.DataFrame([_cost(kind, count) for kind in KINDS for count in COUNTS])
    draw(costs, HOME, NAME)
    name, most = "serving.1000_applications", costs["applications"] == max(COUNTS)
    worst = (
        costs[most].set_index("kind")["us_per_request"]
        / costs[costs["applications"] == 1].set_index("kind")["us_per_request"]
    )
    return [
        Measure(f"{name}_year_of_1e7_requests", year_s, "s"),
        Measure(f"{name}_answered", answered, "requests"),
        at_most(f"{name}_unserved", others / (answered + others), "share", MOST_UNSERVED),
        Measure(f"{name}_requests_per_second", answered / year_s, "1/s"),
        Measure(f"{name}_memory", memory / 1e6, "MB"),
        Measure(f"{name}_cost_against_1_worst_kind", float(worst.max()), "ratio"),
    ]


def _cost(kind: ApplicationKind, count: int) -> dict[str, object]:
    """Return what a request costs when so many applications of a kind share 1e6 of them."""
    spent_s, (answered, others) = seconds(lambda: _year(count, REQUESTS_IN_ALL, (kind,)))
    per_request = 1e6 * spent_s / (answered + others)
    return {
        "kind": KINDS[kind],
        "applications": count,
        "requests": answered + others,
        "seconds": spent_s,
        "us_per_request": per_request,
    }


def _year(count: int, requests: float, kinds: tuple[ApplicationKind, ...]) -> tuple[int, int]:
    """Play applications for a year; return requests that were answered, and those that were not.

    Args:
        count: How many applications.
        requests: To all of them, about.
        kinds: Of the applications in turn.
    """
    clock = work_clock("ES", "Europe/Madrid", OFFICE, YEAR)
    per_month = requests / count / BURSTS.size_mean / YEAR.months
    expected = intensity(YEAR, 0.0, per_month, 0.0, clock.effective_h)
    kind_of = [kinds[number % len(kinds)] for number in range(count)]
    cluster = ServingCluster([_tenant(n, kind, expected) for n, kind in enumerate(kind_of)])
    cluster.add_nodes(NODES, CORES, RAM_MB, int(ticks(SCALING.idle_s)), on=False)
    outcomes = np.zeros(len(Outcome), np.int64)
    for edge_h in [*range(WINDOW_H, int(YEAR.horizon_h), WINDOW_H), int(YEAR.horizon_h)]:
        done = cluster.play(edge_h * TICKS_PER_H).done
        outcomes += np.bincount(done.outcome, minlength=len(Outcome))
    answered = int(outcomes[[Outcome.WARM, Outcome.COLD]].sum())
    return answered, int(outcomes.sum() + cluster.unanswered().sum()) - answered


def _tenant(number: int, kind: ApplicationKind, expected: Intensity) -> Tenant:
    jobs = kind is ApplicationKind.ASYNC
    application = Application(
        "cluster", kind, cores=2, ram_mb=3000, kept_mb=0.0, service=Duration(10.0, 0.5),
        container=Duration(2.0, 0.3), load=Duration(3.0, 0.3), pull=Duration(20.0, 0.5),
        timeout_s=None if jobs else 300.0, retries=Retries(0.02 if jobs else 0.0),
    )  # fmt: skip
    parts = SCALING.boot, application.pull, application.container, application.load
    cold, streams = ColdStart(*parts, SCALING.boot_wait_s), Streams(0)
    path = f"application/{number}"
    for_request = None if kind is ApplicationKind.SYNC else cold
    work = Work(application.service, for_request, application.retries)
    return Tenant(
        policy_of(application), application.cores, application.ram_mb,
        PoissonReader(expected, BURSTS, work, streams, path), StartReader(cold, streams, path),
    )  # fmt: skip


def draw(costs: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw what a request costs over the number of applications.

    Args:
        costs: Columns kind, applications, us_per_request.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.

    Returns:
        Path of the PNG.
    """
    figure = new_figure(*HALF_PAGE_IN)
    axes = figure.subplots()
    for (kind, mine), colour, marker in zip(
        costs.groupby("kind", sort=False), COLOURS, MARKERS, strict=False
    ):
        axes.plot(
            mine["applications"], mine["us_per_request"], color=colour, marker=marker,
            markersize=4, linewidth=1.1, label=kind,
        )  # fmt: skip
    plain_axes(axes)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(10, (1.0, 2.0, 5.0)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("applications that share about a million requests", fontsize=FONT_PT)
    axes.set_ylabel("processor time per request, µs", fontsize=FONT_PT)
    axes.legend(fontsize=SMALL_PT, frameon=False, labelcolor=GREY)
    return save(figure, costs, folder, name)
