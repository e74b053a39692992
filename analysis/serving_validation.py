"""Serving against measured AWS Lambda experiments: `make validate-serving`.

Writes a table and a figure to docs/serving/. Goals: mean absolute percentage error of at most 13 %
on the probability of a cold start and 3.5 % on the mean number of replicas, and at least 15 of 20
cold-start points within two standard errors. (The simulator that the data were published with
reports 12.23 and 3.05 %; the standard error of the measurements is 10.14 % on average.)
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from analysis.figure_style import (
    COLOURS,
    FONT_PT,
    GREY,
    SMALL_PT,
    WIDE_IN,
    new_figure,
    plain_axes,
    save,
)
from analysis.progress import progress, stdout
from sim.plan.calls import Calls, calls
from sim.plan.given import GivenReader
from sim.rng import Streams
from sim.serving.cluster import ServingCluster, Tenant
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.kernel.outcome import Outcome
from sim.ticks import ticks
from sim.units import FloatArray, IntArray

HOME = Path("docs") / "serving"
NAME = "aws_lambda"
REQUESTS = 2_000_000  # per experiment: the simulation's own error is a tenth of the data's
WINDOW_REQUESTS = 60_000  # played at a time, about; nothing depends on it but the speed
AMPLE = 2**40  # cores and MB of a node that never lacks room
GOALS = {"cold_mape": 0.13, "replicas_mape": 0.035, "within_two_errors": 15}


@dataclass(frozen=True)
class Score:
    """How well the model meets the measurements.

    Args:
        cold_mape: Mean absolute percentage error of the cold-start probability, as a share.
        replicas_mape: The same of the mean number of replicas.
        within_two_errors: Experiments whose cold-start probability lies within two standard
            errors of the measured one.
        experiments: How many there are.
    """

    cold_mape: float
    replicas_mape: float
    within_two_errors: int
    experiments: int

    @property
    def holds(self) -> bool:
        """Whether all goals are met."""
        return (
            self.cold_mape <= GOALS["cold_mape"]
            and self.replicas_mape <= GOALS["replicas_mape"]
            and self.within_two_errors >= GOALS["within_two_errors"]
        )


def measured() -> pd.DataFrame:
    """Return the experiments, by ascending rate."""
    path = Path(str(files("scenarios"))) / "measurements" / "aws_lambda_experiments.csv"
    table = pd.read_csv(path, index_col=0).rename_axis("experiment").reset_index()
    return table.sort_values("ArrivalRate", ignore_index=True)


def simulated(table: pd.DataFrame, service: str, count: int = REQUESTS) -> pd.DataFrame:
    """Simulate every experiment.

    Args:
        table: As `measured` returns it.
        service: Distribution of the service time: `exponential` (as the published simulator has
            it) or `constant`. A cold request takes longer by the measured difference of means.
        count: Calls per experiment.

    Returns:
        Columns experiment, service, rate_per_s, cold_probability, replicas and, of both, the
        measured value; cold_measured_se, z (difference of cold-start probabilities in standard
        errors).
    """
    rows = [_play(row, service, count) for row in table.itertuples()]
    found = pd.DataFrame(rows, columns=["cold_probability", "replicas"])
    found.insert(0, "experiment", table["experiment"])
    found.insert(1, "service", service)
    found.insert(2, "rate_per_s", table["ArrivalRate"])
    found["cold_measured"] = table["ColdStartProbability"]
    found["cold_measured_se"] = table["ColdStartProbabilitySE"]
    found["replicas_measured"] = table["AverageInstanceCount"]
    found["z"] = (found["cold_probability"] - found["cold_measured"]) / found["cold_measured_se"]
    return found


def _play(row: object, service: str, count: int) -> tuple[float, float]:
    streams, path = Streams(0), f"experiment/{row.experiment}"  # type: ignore[attr-defined]
    gaps = streams.stream(path, "arrivals").standard_exponential(count)
    shape: FloatArray | float = 1.0
    if service == "exponential":
        shape = streams.stream(path, "service").standard_exponential(count)
    warm_s = row.ServiceTimeWarm / 1000.0  # type: ignore[attr-defined]
    cold_s = row.ServiceTimeCold / 1000.0  # type: ignore[attr-defined]
    window_s = row.IdleMinutesBeforeKill * 60.0  # type: ignore[attr-defined]
    arrival_s = np.cumsum(gaps) / row.ArrivalRate  # type: ignore[attr-defined]
    asked = calls(arrival_s, warm_s * shape, cold_s - warm_s)
    return _cold_and_replicas(KeepAlive(int(ticks(window_s))), asked)


def _cold_and_replicas(policy: KeepAlive, asked: Calls) -> tuple[float, float]:
    """Return the share of cold starts and the mean number of replicas, to the last arrival."""
    cluster = ServingCluster([Tenant(policy, 1, 1, GivenReader(asked), _at_once)])
    cluster.add_nodes(1, AMPLE, AMPLE)
    until = int(asked.arrival[-1]) + 1
    edges = np.linspace(0, until, 2 + len(asked.arrival) // WINDOW_REQUESTS)[1:].astype(np.int64)
    done, allocated = [], 0
    for edge in edges.tolist():
        window = cluster.play(edge)
        allocated += int(window.allocated[0])
        done.append(window.done)
    done.append(cluster.still_computing())
    cold = sum(int((part.outcome == Outcome.COLD).sum()) for part in done)
    return cold / len(asked.arrival), allocated / until


def _at_once(first: int, count: int) -> IntArray:
    """Return how replicas start that no request asked for; there are none here."""
    return np.zeros((count, 3), np.int64)


def score(found: pd.DataFrame) -> Score:
    """Compare simulated with measured values of one service distribution."""
    cold = (found["cold_probability"] / found["cold_measured"] - 1.0).abs().mean()
    replicas = (found["replicas"] / found["replicas_measured"] - 1.0).abs().mean()
    return Score(float(cold), float(replicas), int((found["z"].abs() <= 2.0).sum()), len(found))


def draw(found: pd.DataFrame, folder: Path, name: str) -> Path:
    """Draw measured and simulated values over the rate.

    Args:
        found: Rows of `simulated`, of one or more service distributions.
        folder: Where `name.png` and `name.csv` go.
        name: Stem of both.

    Returns:
        Path of the PNG.
    """
    figure = new_figure(WIDE_IN, 2.8)
    cold, replicas = figure.subplots(1, 2)
    once = found.drop_duplicates("experiment")
    cold.errorbar(
        once["rate_per_s"],
        once["cold_measured"],
        2.0 * once["cold_measured_se"],
        fmt="o",
        color="black",
        markersize=3,
        linewidth=0.8,
        capsize=1.5,
        label="measured, ± 2 standard errors",
    )
    replicas.plot(
        once["rate_per_s"],
        once["replicas_measured"],
        "o",
        color="black",
        markersize=3,
        label="measured",
    )
    for (service, mine), colour, line in zip(
        found.groupby("service", sort=False), COLOURS, ("-", "--"), strict=False
    ):
        for axes, column in ((cold, "cold_probability"), (replicas, "replicas")):
            axes.plot(
                mine["rate_per_s"],
                mine[column],
                line,
                color=colour,
                linewidth=1.1,
                label=f"simulated, {service} service time",
            )
    cold.set_yscale("log")
    _finish(cold, "probability of a cold start")
    _finish(replicas, "replicas, mean")
    return save(figure, found, folder, name)


def _finish(axes: Axes, label: str) -> None:
    plain_axes(axes)
    axes.set_xscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("requests per second", fontsize=FONT_PT)
    axes.set_ylabel(label, fontsize=FONT_PT)
    axes.legend(fontsize=SMALL_PT, frameon=False, labelcolor=GREY)


def main(folder: Path = HOME) -> int:
    """Simulate, write table and figure, print the scores; return 1 if a goal is missed."""
    table, found = measured(), []
    with progress("experiments", 2) as advance:
        for service in ("exponential", "constant"):
            found.append(simulated(table, service))
            advance(1)
    path = draw(pd.concat(found, ignore_index=True), folder, NAME)
    for mine in found:
        result = score(mine)
        stdout().print(
            f"{mine['service'].iloc[0]} service time: cold-start probability "
            f"{result.cold_mape:.2%}, replicas {result.replicas_mape:.2%} mean absolute error; "
            f"{result.within_two_errors} of {result.experiments} within two standard errors"
        )
    stdout().print(f"table and figure: {path.with_suffix('.csv')} and {path.name}", soft_wrap=True)
    return 0 if score(found[0]).holds else 1


if __name__ == "__main__":
    sys.exit(main())
