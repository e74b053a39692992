"""Exact logs of deployments on plans written by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from sim.engine.logs import Held
from sim.entities import Service
from sim.paths import with_value
from sim.plan.outages import PoolOutage
from sim.policies.gpu_quota import GpuQuota
from sim.policies.home_with_failover import HomeWithFailover
from sim.policies.least_loaded import LeastLoaded
from tests.worlds_by_hand import FREE, START, Ask, application, federation, played, pool, story

PROMPT, LATE, OUT = "released promptly", "released late", "pool out"
CLOSED, HORIZON, GONE = "pool closed", "still running at the horizon", "patience ended"
ON = "on pool"


def test_start_work_and_release() -> None:
    """A deployment would not last from the request through bursts and gaps to its release."""
    logs = played(federation(), [Ask(1.0, bursts=(1.0, 2.0), gaps=(3.0,), tail_h=0.5)])
    assert story(logs) == [(1.0, "0#0.0", ON), (7.5, "0#0.0", PROMPT)]
    assert logs.deployments[0].last_active_h == 7.0


def test_forgotten_deployment_keeps_its_node() -> None:
    """A forgotten deployment would not hold its GPU until the end of its tail."""
    logs = played(federation(), [Ask(0.0, tail_h=48.0, forgotten=True), Ask(2.0, user=1)])
    assert story(logs) == [
        (0.0, "0#0.0", ON),
        (49.0, "0#0.0", LATE),
        (49.0, "1#0.0", ON),
        (50.0, "1#0.0", PROMPT),
    ]
    assert logs.deployments[0].last_active_h == 1.0


def test_queue_is_served_in_order_of_arrival() -> None:
    """Whoever came later would be served first."""
    logs = played(federation(), [Ask(float(k), user=k, bursts=(10.0,)) for k in range(4)])
    assert [(d.user, d.started_h) for d in logs.deployments] == [
        (0, 0.0),
        (1, 10.0),
        (2, 20.0),
        (3, 30.0),
    ]


def test_small_request_overtakes_one_that_does_not_fit() -> None:
    """A request that fits would be blocked by one of another shape that does not (no backfill)."""
    big_node = federation({"pool": pool(gpus_per_node=4)})
    logs = played(
        big_node,
        [
            Ask(0.0, gpus=2, bursts=(10.0,)),
            Ask(1.0, user=1, gpus=4, bursts=(5.0,)),
            Ask(2.0, user=2, gpus=2, bursts=(1.0,)),
        ],
    )
    assert [(d.user, d.started_h) for d in logs.deployments] == [(0, 0.0), (2, 2.0), (1, 10.0)]


def test_same_shape_does_not_overtake() -> None:
    """Within one shape the order of arrival would not hold when capacity is freed."""
    two = federation({"pool": pool(nodes_first=2, nodes_top=2.0)})
    asks = [Ask(0.0, bursts=(5.0,)), Ask(0.0, user=1, bursts=(6.0,))]
    asks += [Ask(1.0, user=2, bursts=(9.0,)), Ask(2.0, user=3, bursts=(1.0,))]
    logs = played(two, asks)
    assert [(d.user, d.started_h, d.node) for d in logs.deployments] == [
        (0, 0.0, 0),
        (1, 0.0, 1),
        (2, 5.0, 0),
        (3, 6.0, 1),
    ]


def test_oldest_of_all_shapes_goes_first() -> None:
    """A shape asked for earlier would keep its turn, whoever of it had come later."""
    asks = [Ask(0.0), Ask(0.1, user=1), Ask(0.2, user=2, cores=2), Ask(0.3, user=3)]
    assert [d.user for d in played(federation(), asks).deployments] == [0, 1, 2, 3]


def test_order_of_arrival_holds_across_shapes_when_much_is_freed_at_once() -> None:
    """Of two shapes each would get one turn, though two of the first had come before the other."""
    nodes = federation({"pool": pool(gpus_per_node=2)})
    asks = [Ask(0.0, gpus=2, bursts=(9.0,)), Ask(1.0, user=1), Ask(2.0, user=2)]
    logs = played(nodes, [*asks, Ask(3.0, user=3, cores=2)])
    assert [(d.user, d.started_h) for d in logs.deployments] == [
        (0, 0.0),
        (1, 9.0),
        (2, 9.0),
        (3, 10.0),
    ]


@pytest.mark.parametrize("much", [{"gpus": 2}, {"cores": 9}, {"ram_gb": 65}])
def test_every_resource_of_a_node_counts(much: dict[str, int]) -> None:
    """A request would start on a node that lacks GPUs, cores or memory for it."""
    logs = played(federation(), [Ask(0.0, patience_h=1.0, **much)])
    assert story(logs) == [(1.0, "0#0.0", GONE)]


def test_best_fit_leaves_the_empty_node_whole() -> None:
    """A small request would be placed on the emptier node and split it."""
    nodes = federation({"pool": pool(gpus_per_node=4, nodes_first=2, nodes_top=2.0)})
    asks = [Ask(0.0, gpus=2, bursts=(9.0,)), Ask(1.0, gpus=1, bursts=(9.0,))]
    logs = played(nodes, [*asks, Ask(2.0, gpus=4)])
    assert [(d.node, d.started_h) for d in logs.deployments] == [(0, 0.0), (0, 1.0), (1, 2.0)]


def test_patience_ends_in_withdrawal() -> None:
    """A user would wait longer than his patience, or be served after he had left."""
    asks = [Ask(0.0, bursts=(10.0,)), Ask(1.0, user=1, patience_h=4.0), Ask(2.0, user=2)]
    logs = played(federation(), asks)
    assert story(logs) == [
        (0.0, "0#0.0", ON),
        (5.0, "1#0.0", GONE),
        (10.0, "0#0.0", PROMPT),
        (10.0, "2#0.0", ON),
        (11.0, "2#0.0", PROMPT),
    ]
    assert logs.withdrawn[0].requested_h == 1.0


def test_returning_user_takes_the_idle_deployment() -> None:
    """A returning user would get a second deployment, or the first would end at its old time."""
    asks = [Ask(0.0, tail_h=48.0, forgotten=True), Ask(5.0, bursts=(2.0,), tail_h=1.0, reuse=True)]
    logs = played(federation(), asks)
    assert story(logs) == [(0.0, "0#0.0", ON), (8.0, "0#0.0", PROMPT)]
    assert [(s.request, s.start_h, s.end_h) for s in logs.deployments[0].segments] == [
        (0, 0.0, 1.0),
        (1, 5.0, 7.0),
    ]


def test_busy_or_foreign_or_smaller_deployments_are_not_taken() -> None:
    """Users would share a deployment that computes, belongs to another or is too small."""
    roomy = federation({"pool": pool(nodes_first=9, nodes_top=9.0)})
    first = Ask(0.0, bursts=(4.0,), tail_h=90.0, cores=2)
    for second in (
        Ask(2.0, reuse=True),
        Ask(6.0, reuse=True, user=1),
        Ask(6.0, reuse=True, cores=4),
        Ask(6.0, reuse=False),
    ):
        assert len(played(roomy, [first, second]).deployments) == 2


def test_outage_cuts_a_burst_and_the_rest_is_done_elsewhere() -> None:
    """Work lost in an outage would vanish, or finished bursts would be done twice."""
    two = federation({"pool": pool(), "spare": pool()})
    ask = Ask(0.0, bursts=(2.0, 4.0, 1.0), gaps=(1.0, 2.0), tail_h=0.5, restart_h=3.0)
    logs = played(two, [ask], outages={"pool": [PoolOutage(5.0, 50.0, 0.0)]})
    assert story(logs) == [
        (0.0, "0#0.0", ON),
        (5.0, "0#0.0", OUT),
        (8.0, "0#0.1", "on spare"),
        (15.5, "0#0.1", PROMPT),
    ]
    cut, rest = logs.deployments
    assert (cut.lost_h, rest.lost_h) == (2.0, 0.0)  # the second burst ran from 3 to 5
    assert (cut.segments[0].end_h, rest.segments[0].first) == (5.0, 1)
    assert rest.last_active_h == 15.0
    assert logs.nodes == [
        Held("pool", 0.0, 5.0, 1),
        Held("pool", 50.0, 1440.0, 1),
        Held("spare", 0.0, 1440.0, 1),
    ]


def test_outage_in_a_gap_loses_nothing() -> None:
    """A pause would be counted as lost work, or as work."""
    asks = [Ask(0.0, bursts=(2.0, 4.0), gaps=(10.0,), restart_h=0.0)]
    logs = played(federation(), asks, outages={"pool": [PoolOutage(5.0, 6.0, 1.0)]})
    assert story(logs) == [
        (0.0, "0#0.0", ON),
        (5.0, "0#0.0", OUT),
        (6.0, "0#0.1", ON),
        (10.0, "0#0.1", PROMPT),
    ]
    cut = logs.deployments[0]
    assert (cut.lost_h, cut.last_active_h) == (0.0, 2.0)
    assert logs.deployments[1].requested_h == 5.0
    assert logs.nodes == [Held("pool", 0.0, 1440.0, 1)]


def test_outage_in_the_tail_ends_without_continuation() -> None:
    """A deployment whose work was done would come back after an outage."""
    asks = [Ask(0.0, tail_h=48.0, forgotten=True)]
    logs = played(federation(), asks, outages={"pool": [PoolOutage(5.0, 6.0, 1.0)]})
    assert story(logs) == [(0.0, "0#0.0", ON), (5.0, "0#0.0", OUT)]


def test_two_outages_make_two_continuations() -> None:
    """The parts of a deployment that is killed twice would not be told apart."""
    outages = {"pool": [PoolOutage(5.0, 6.0, 1.0), PoolOutage(8.0, 9.0, 1.0)]}
    logs = played(federation(), [Ask(0.0, bursts=(10.0,))], outages=outages)
    assert [(d.name, d.started_h, d.released_h, d.lost_h) for d in logs.deployments] == [
        ("case/0#0.0", 0.0, 5.0, 5.0),
        ("case/0#0.1", 6.0, 8.0, 2.0),
        ("case/0#0.2", 9.0, 19.0, 0.0),
    ]


def test_pool_that_leaves_gives_up_its_deployments() -> None:
    """A pool would go on working, or be billed, after the day it left."""
    leaving = federation({"pool": pool(left=date(2024, 1, 3)), "spare": pool()})
    logs = played(leaving, [Ask(40.0, bursts=(20.0,))])
    assert story(logs) == [
        (40.0, "0#0.0", ON),
        (48.0, "0#0.0", CLOSED),
        (49.0, "0#0.1", "on spare"),
        (69.0, "0#0.1", PROMPT),
    ]
    assert logs.nodes[0] == Held("pool", 0.0, 48.0, 1)


def test_pool_works_from_the_day_it_joins() -> None:
    """A pool would be used or billed before it joined, or waiting users not told of it."""
    later = federation({"pool": pool(joined=date(2024, 1, 2))})
    logs = played(later, [Ask(3.0)])
    assert story(logs) == [(24.0, "0#0.0", ON), (25.0, "0#0.0", PROMPT)]
    assert logs.nodes == [Held("pool", 24.0, 1440.0, 1)]


def test_quota_holds_a_user_back_until_he_releases() -> None:
    """A quota would not bind, bind others, or bind for longer than needed."""
    roomy = federation({"pool": pool(nodes_first=9, nodes_top=9.0)})
    quota = replace(FREE, admission=GpuQuota(1, START))
    asks = [Ask(0.0, bursts=(5.0,)), Ask(1.0), Ask(2.0, user=1), Ask(3.0, gpus=0)]
    logs = played(roomy, asks, quota)
    assert [(d.name, d.started_h) for d in logs.deployments] == [
        ("case/0#0.0", 0.0),
        ("case/1#0.0", 2.0),
        ("case/0#2.0", 3.0),
        ("case/0#1.0", 5.0),
    ]


def test_quota_binds_from_its_date_on() -> None:
    """A quota would hold users back before its date, or take from them what they held."""
    roomy = federation({"pool": pool(nodes_first=9, nodes_top=9.0)})
    quota = replace(FREE, admission=GpuQuota(1, date(2024, 1, 2)))
    asks = [Ask(0.0, bursts=(30.0,)), Ask(23.0, bursts=(9.0,)), Ask(24.0)]
    logs = played(roomy, asks, quota)
    assert [d.started_h for d in logs.deployments] == [0.0, 23.0, 32.0]


def test_outage_ends_what_a_quota_counts() -> None:
    """A user whose deployment an outage killed would be held back although he holds nothing."""
    two = federation({"pool": pool(), "spare": pool()})
    quota = replace(FREE, admission=GpuQuota(1, START))
    outages = {"pool": [PoolOutage(5.0, 50.0, 0.0)]}
    asks = [Ask(0.0, tail_h=100.0), Ask(2.0, bursts=(3.0,))]
    logs = played(two, asks, quota, outages=outages)
    assert story(logs) == [
        (0.0, "0#0.0", ON),
        (5.0, "0#0.0", OUT),
        (5.0, "0#1.0", "on spare"),
        (8.0, "0#1.0", PROMPT),
    ]


def test_horizon_cuts_what_runs_and_what_waits() -> None:
    """What runs at the horizon would be dropped, or run on beyond it."""
    logs = played(federation(), [Ask(1430.0, bursts=(50.0,)), Ask(1431.0, user=1)])
    assert story(logs) == [(1430.0, "0#0.0", ON), (1440.0, "0#0.0", HORIZON)]
    assert logs.withdrawn == []
    assert played(federation(), [Ask(1440.0)]).deployments == []


def test_release_comes_before_outage_and_arrival() -> None:
    """At one instant, a finished deployment would be killed or a free node seem taken."""
    outages = {"pool": [PoolOutage(1.0, 2.0, 1.0)]}
    killed = played(federation(), [Ask(0.0)], outages=outages)
    assert story(killed)[-1] == (1.0, "0#0.0", PROMPT)
    followed = played(federation(), [Ask(0.0, bursts=(5.0,)), Ask(5.0, user=1, patience_h=0.0)])
    assert [d.started_h for d in followed.deployments] == [0.0, 5.0]


def test_capacity_comes_before_arrival() -> None:
    """A request at the instant a pool joins or goes out would see what was there before."""
    joining = federation({"pool": pool(joined=date(2024, 1, 2))})
    joined = played(joining, [Ask(24.0, patience_h=0.0)])
    assert story(joined)[0] == (24.0, "0#0.0", ON)
    outages = {"pool": [PoolOutage(24.0, 26.0, 1.0)]}
    out = played(federation(), [Ask(24.0)], outages=outages)
    assert story(out)[0] == (26.0, "0#0.0", ON)


def test_placement_comes_before_the_end_of_patience() -> None:
    """Who is placed at the instant his patience ends would be withdrawn as well."""
    asks = [Ask(0.0, bursts=(5.0,)), Ask(1.0, user=1, patience_h=4.0)]
    logs = played(federation(), asks)
    assert story(logs)[1:3] == [(5.0, "0#0.0", PROMPT), (5.0, "1#0.0", ON)]
    assert logs.withdrawn == []


def test_home_pool_first_then_the_heaviest_that_fits() -> None:
    """A request would not start at its home, or not fail over when home is full."""
    pools = {"a": pool(weight=1.0), "b": pool(weight=3.0), "c": pool(weight=2.0)}
    home = replace(FREE, placement=HomeWithFailover())
    asks = [Ask(0.0, home=0.1, bursts=(9.0,)), Ask(1.0, home=0.1, bursts=(9.0,))]
    asks += [Ask(2.0, home=0.1, bursts=(9.0,)), Ask(12.0, home=0.9)]
    logs = played(federation(pools), asks, home)
    assert [d.pool for d in logs.deployments] == ["a", "b", "c", "c"]


def test_least_loaded_counts_shares_not_numbers() -> None:
    """The pool with fewer GPUs in use would be taken for the less loaded one."""
    pools = {"small": pool(gpus_per_node=2), "large": pool(gpus_per_node=8)}
    least = replace(FREE, placement=LeastLoaded())
    logs = played(federation(pools), [Ask(float(k), bursts=(90.0,)) for k in range(5)], least)
    assert [d.pool for d in logs.deployments] == ["small", "large", "large", "large", "large"]


def test_requests_without_gpus_leave_gpu_nodes_free() -> None:
    """A request without GPUs would take a GPU node although there are nodes without."""
    pools = {"pool": pool(), "cores": pool(gpus_per_node=0)}
    logs = played(federation(pools), [Ask(0.0, gpus=0)])
    assert logs.deployments[0].pool == "cores"


def test_pool_grows_where_somebody_waits() -> None:
    """Under the `deployed` law nobody would add the node a waiting user needs, or too many."""
    growing = federation(
        {"pool": pool(nodes_top=3.0), "cores": pool(gpus_per_node=0, nodes_top=3.0)}
    )
    growing = replace(growing, growth=replace(growing.growth, law="deployed"))
    logs = played(growing, [Ask(0.0, bursts=(2000.0,)), Ask(1.0, user=1, bursts=(2000.0,))])
    assert [d.started_h for d in logs.deployments] == [0.0, 744.0]
    last = {held.owner: held.quantity for held in logs.nodes}
    assert last == {"pool": 2, "cores": 1}


def test_held_back_users_make_no_other_pool_grow() -> None:
    """Nodes without GPUs would be bought for users whom a quota of GPUs holds back."""
    growing = federation(
        {"pool": pool(nodes_top=3.0), "cores": pool(gpus_per_node=0, nodes_top=3.0)}
    )
    growing = replace(growing, growth=replace(growing.growth, law="deployed"))
    quota = replace(FREE, admission=GpuQuota(1, START))
    logs = played(growing, [Ask(0.0, bursts=(2000.0,)), Ask(1.0, bursts=(9.0,))], quota)
    last = {held.owner: held.quantity for held in logs.nodes}
    assert last == {"pool": 1, "cores": 1}


def test_cores_waited_for_are_not_outnumbered_by_gpus() -> None:
    """Many GPUs asked for by one waiting user would hide the users who wait for cores."""
    pools = {
        "pool": pool(gpus_per_node=4),
        "cores": pool(gpus_per_node=0, cores_per_node=1, nodes_top=3.0),
    }
    growing = federation(pools)
    growing = replace(growing, growth=replace(growing.growth, law="deployed"))
    asks = [Ask(0.0, gpus=g, user=u, bursts=(2000.0,)) for u, g in enumerate((4, 0, 4, 0))]
    logs = played(growing, asks)
    assert [(d.user, d.started_h) for d in logs.deployments] == [(0, 0.0), (1, 0.0), (3, 744.0)]


def test_services_that_begin_after_the_horizon_cost_nothing() -> None:
    """A shorter horizon would make a later service or cluster an error, or bill it."""
    service = Service("Here", 4.0, 4.0, 2.0, date(2025, 1, 1))
    app = application()
    later = federation(app=app, services={"later": service})
    later = with_value(later, "clusters.cluster.since", date(2025, 1, 1))
    for law in ("saturating", "deployed"):
        logs = played(with_value(later, "growth.law", law))
        assert (logs.services, [c.node_ticks for c in logs.clusters]) == ([], [0, 0])
