"""Ledgers against totals worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sim.ledger import DEVELOPMENT, active_bursts, integrate, usage_of
from sim.plan.outages import PoolOutage
from sim.tabulate import usage_frame
from tests.worlds_by_hand import FREE, Ask, federation, plan, played, pool

EDGES = np.array([0.0, 10.0, 20.0, 40.0])


@pytest.mark.parametrize(
    ("start", "end", "quantity", "expected"),
    [
        (2.0, 7.0, 3.0, [15.0, 0.0, 0.0]),
        (5.0, 12.0, 2.0, [10.0, 4.0, 0.0]),
        (5.0, 25.0, 1.0, [5.0, 10.0, 5.0]),
        (0.0, 40.0, 1.0, [10.0, 10.0, 20.0]),
        (10.0, 20.0, 1.0, [0.0, 10.0, 0.0]),  # from edge to edge
        (-5.0, 50.0, 1.0, [10.0, 10.0, 20.0]),  # parts outside do not count
        (-5.0, -1.0, 1.0, [0.0, 0.0, 0.0]),
        (40.0, 50.0, 1.0, [0.0, 0.0, 0.0]),
        (7.0, 7.0, 1.0, [0.0, 0.0, 0.0]),
    ],
)
def test_integrate_one_interval(
    start: float, end: float, quantity: float, expected: list[float]
) -> None:
    """Hours would fall into the wrong month, or be lost at its edges."""
    found = integrate(
        np.array([start]), np.array([end]), np.array([quantity]), EDGES, np.array([0]), 1
    )
    assert found.tolist() == [expected]


def test_integrate_adds_by_key() -> None:
    """Intervals of different owners would be mixed up."""
    start, end = np.array([0.0, 5.0, 15.0]), np.array([10.0, 15.0, 25.0])
    found = integrate(start, end, np.array([1.0, 2.0, 4.0]), EDGES, np.array([1, 0, 1]), 3)
    assert found.tolist() == [[10.0, 10.0, 0.0], [10.0, 20.0, 20.0], [0.0, 0.0, 0.0]]


def test_gpu_and_cpu_hours_of_deployments_across_a_month() -> None:
    """Provisioned, allocated and active hours would not be nodes, deployments and bursts."""
    of = federation({"pool": pool(gpus_per_node=4)})  # January has 744 h, February 696 h
    asks = [Ask(740.0, gpus=2, cores=3, bursts=(1.0, 6.0), gaps=(2.0,), tail_h=10.0)]
    world = plan(of, asks)
    usage = usage_of(of, world, played(of, asks))
    assert usage.monthly("gpu", "provisioned")[:, 0].tolist() == [4 * 744.0, 4 * 696.0]
    assert usage.monthly("gpu", "allocated")[:, 0].tolist() == [2 * 4.0, 2 * 15.0]
    assert usage.monthly("gpu", "active")[:, 0].tolist() == [2 * 2.0, 2 * 5.0]
    assert usage.monthly("cpu", "provisioned")[:, 0].tolist() == [8 * 744.0, 8 * 696.0]
    assert usage.monthly("cpu", "allocated")[:, 0].tolist() == [3 * 4.0, 3 * 15.0]
    assert usage.of_service(DEVELOPMENT, "active").tolist() == [[4.0, 6.0], [10.0, 15.0]]


def test_cut_bursts_count_until_the_cut() -> None:
    """An outage would leave a burst active beyond it, or count the repeated part only once."""
    of = federation()
    asks = [Ask(0.0, bursts=(2.0, 4.0), gaps=(1.0,), restart_h=0.0)]
    outages = {"pool": [PoolOutage(5.0, 6.0, 0.0)]}
    world = plan(of, asks, outages=outages)
    logs = played(of, asks, outages=outages)
    owner, start, end = active_bursts(world, logs)
    assert list(zip(owner, start, end, strict=True)) == [
        (0, 0.0, 2.0),
        (0, 3.0, 5.0),
        (1, 6.0, 10.0),
    ]
    usage = usage_of(of, world, logs)
    assert usage.monthly("gpu", "active")[0, 0] == 8.0
    assert usage.monthly("gpu", "provisioned")[0, 0] == 743.0


@pytest.mark.parametrize(("kept", "nodes_out"), [(0.0, 0), (0.2, 0), (0.5, 1), (0.8, 2), (1.0, 2)])
def test_outage_stays_billed_only_if_its_machines_are_kept(kept: float, nodes_out: int) -> None:
    """Machines kept through an outage would leave the accounting, or those given back stay."""
    of = federation({"pool": pool(gpus_per_node=1, nodes_first=2.0, nodes_top=2.0)})
    outages = {"pool": [PoolOutage(24.0, 48.0, kept)]}
    usage = usage_of(of, plan(of, outages=outages), played(of, outages=outages))
    assert usage.monthly("gpu", "provisioned")[0, 0] == (744.0 - 24.0) * 2 + 24.0 * nodes_out


def test_bursts_beyond_the_horizon_do_not_count() -> None:
    """Work after the horizon would be counted in the last month."""
    of = federation()
    asks = [Ask(1435.0, bursts=(2.0, 9.0), gaps=(1.0,))]
    usage = usage_of(of, plan(of, asks), played(of, asks))
    assert usage.monthly("gpu", "allocated")[:, 0].tolist() == [0.0, 5.0]
    assert usage.monthly("gpu", "active")[:, 0].tolist() == [0.0, 4.0]


def test_usage_table_has_one_row_for_each_quantity() -> None:
    """The usage table would lose or double hours, or give them to another row of the report."""
    of = federation()
    asks = [Ask(740.0, bursts=(8.0,))]
    frame = usage_frame(of, usage_of(of, plan(of, asks), played(of, asks, FREE)), 7)
    gpu = frame[frame["resource"] == "gpu"].drop(columns=["replicate", "resource", "site"])
    assert set(frame["replicate"]) == {7}
    assert sorted(gpu.itertuples(index=False, name=None)) == [
        (1, "Here GPU", "-", "provisioned", 744.0, "GPU-h"),
        (1, "development", "case", "active", 4.0, "GPU-h"),
        (1, "development", "case", "allocated", 4.0, "GPU-h"),
        (2, "Here GPU", "-", "provisioned", 696.0, "GPU-h"),
        (2, "development", "case", "active", 4.0, "GPU-h"),
        (2, "development", "case", "allocated", 4.0, "GPU-h"),
    ]
