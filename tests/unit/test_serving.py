"""Applications in the engine: their months, their ledgers and their nodes, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim.applications import Application, ApplicationKind, Knative, NodeScaling, Retries
from sim.engine.logs import Logs
from sim.engine.play import play
from sim.ledger import DEPLOYMENT, usage_of
from sim.plan.calls import Calls
from sim.serving import hosting
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.kernel.outcome import Outcome
from sim.serving.kernel.scaling import EXPOSED_SERVICE, Autoscaler
from sim.serving.settings import policy_of
from sim.tabulate import serving_frame
from sim.ticks import NEVER, TICKS_PER_H, TICKS_PER_S
from tests.worlds_by_hand import FREE, application, calls, federation, plan, played

DAY_S = 86_400.0
FEBRUARY_S = 31 * DAY_S


def _logs(app: Application, asked: Calls, cores: int = 8) -> Logs:
    return played(federation(app=app, cluster_cores=cores), invocations=asked)


def test_a_month_is_what_ended_in_it() -> None:
    """A request would count in the month it came, or hours fall into the wrong month."""
    logs = _logs(application(), calls([(100.0, 20.0), (FEBRUARY_S - 40.0, 30.0)]))
    first, second = logs.served
    assert [s.month for s in logs.served] == [0, 1]
    assert first.outcomes == (0, 1, 0, 0, 0, 0)
    assert second.outcomes == (0, 1, 0, 0, 0, 0)
    # Cold start 30 s, computing 20 s, warm 60 s; then 40 s before the end of January and 80 s.
    assert first.replica_ticks == (110 + 40) * TICKS_PER_S
    assert first.active_ticks == (20 + 10) * TICKS_PER_S
    assert second.replica_ticks == 80 * TICKS_PER_S
    assert second.active_ticks == 20 * TICKS_PER_S
    np.testing.assert_allclose(first.wait_s, 30.0, rtol=0.016)
    np.testing.assert_allclose(second.response_s, 60.0, rtol=0.016)


def test_hours_of_nodes_replicas_and_computing_by_hand() -> None:
    """The ledgers of CPU would mix nodes, replicas and computing."""
    of = federation(app=application(cores=2), cluster_cores=8)
    asked = calls([(3600.0, 450.0), (7200.0, 225.0)])
    usage = usage_of(of, plan(of, invocations=asked), played(of, invocations=asked))
    held = 2 * (30 + 60) + 450 + 225
    assert usage.of_service(DEPLOYMENT, "allocated")[0].tolist() == [0.0, 2 * held / 3600]
    assert usage.of_service(DEPLOYMENT, "active")[0].tolist() == [0.0, 2 * 675 / 3600]
    assert usage.monthly("cpu", "provisioned")[:, 0].tolist() == [16 * 744.0, 16 * 696.0]


def test_what_scales_to_zero_leaves_its_machines_on() -> None:
    """Nodes without scaling would go with the pods; with it they would stay."""
    of = federation(app=application(), cluster_cores=4)
    asked = calls([(3600.0, 100.0)])
    assert [c.node_ticks for c in played(of, invocations=asked).clusters] == [
        744 * TICKS_PER_H,
        696 * TICKS_PER_H,
    ]
    cluster = replace(of.clusters["cluster"], scaling=NodeScaling(idle_s=300.0))
    scaled = replace(of, clusters={"cluster": cluster})
    first, second = played(scaled, invocations=asked).clusters
    # Told to boot at the call (which brings no boot time), 30 + 100 + 60 s a replica, 300 s empty.
    assert (first.node_ticks, second.node_ticks) == (490 * TICKS_PER_S, 0)


def test_cluster_grows_with_the_applications_on_it() -> None:
    """Nodes under applications would not follow the applications hosted, or follow the replicas."""
    of = federation(app=application(), cluster_cores=4)
    cluster = replace(of.clusters["cluster"], nodes_base=0.0, nodes_per_application=2.0)
    of = replace(of, clusters={"cluster": cluster})
    logs = played(of, invocations=calls([(20_000.0, 1.0)]), hosted_h=3.0)
    assert [c.node_ticks for c in logs.clusters] == [2 * 741 * TICKS_PER_H, 2 * 696 * TICKS_PER_H]


def test_who_has_no_answer_at_the_horizon_is_counted() -> None:
    """Requests that wait or compute at the end would vanish."""
    horizon_s = FEBRUARY_S + 29 * DAY_S
    asked = calls([(horizon_s - 50.0, 100.0), (horizon_s - 40.0, 1.0)])
    logs = _logs(application(max_scale=1), asked)
    assert logs.unserved == {"case/app": 2}
    assert sum(sum(s.outcomes) for s in logs.served) == 0
    assert _logs(application(cores=2), calls([(0.0, 1.0)]), cores=1).unserved == {"case/app": 1}


def test_outcomes_are_told_apart() -> None:
    """Who gave up, was turned away or failed would count as answered, or as something else."""
    asked = calls([(0.0, 500.0), (1.0, 5.0), (2.0, 5.0)])
    impatient = application(max_scale=1, timeout_s=100.0, queue_most=1)
    counts = _logs(impatient, asked).served[0].outcomes
    assert [counts[o] for o in (Outcome.COLD, Outcome.TIMEOUT, Outcome.REJECTED)] == [1, 1, 1]
    failing = asked._replace(fails=np.array([-2, 1, 0]))
    jobs = application(kind=ApplicationKind.ASYNC, retries=Retries(0.5, 1, backoff_s=7.0))
    assert _logs(jobs, failing).served[0].outcomes == (0, 2, 0, 0, 1, 0)


def test_the_serving_table_is_the_months() -> None:
    """The table would show another month, application or quantity than what happened."""
    of = federation(app=application(cores=2), cluster_cores=8)
    asked = calls([(FEBRUARY_S + 7200.0, 100.0), (FEBRUARY_S + 7250.0, 40.0)])
    world = plan(of, invocations=asked, hosted_h=FEBRUARY_S / 3600.0 + 1.0)
    logs = played(of, invocations=asked, hosted_h=FEBRUARY_S / 3600.0 + 1.0)
    (row,) = serving_frame(of, world, logs, 3).to_dict("records")
    assert (row["replicate"], row["month"]) == (3, 2)
    assert (row["site"], row["cluster"]) == ("Here", "cluster")
    assert (row["application"], row["use_case"], row["kind"]) == ("app", "case", "keep_alive")
    assert (row["invocations"], row["cold"], row["timeouts"]) == (2, 2, 0)
    assert (row["busy_s"], row["replica_s"], row["cores"]) == (140.0, 320.0, 2)
    assert row["cluster_node_h"] == 696.0
    assert row["response_p50_s"] == pytest.approx(70.0, rel=0.016)


def test_windows_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens would depend on how many requests are played at a time."""
    random = np.random.default_rng(2)
    arrival = np.sort(random.uniform(0.0, 50 * DAY_S, 2000))
    asked = calls(list(zip(arrival, random.exponential(40.0, 2000), strict=True)))
    of = federation(app=application(kept_mb=10.0), cluster_cores=2)
    world = plan(of, invocations=asked)
    expected = replace(world.hosted["case/app"], expected=np.array([900.0, 1100.0]))
    of_many = replace(world, hosted={"case/app": expected})
    monkeypatch.setattr(hosting, "LEAST_A_WINDOW", 20)
    monkeypatch.setattr(hosting, "LEAST_OF_EACH", 1)
    many, one = play(of, of_many, FREE), play(of, world, FREE)
    assert many.served == one.served
    kept = [np.repeat(logs.answers[0].hour, logs.answers[0].count).tolist() for logs in (many, one)]
    assert kept[0] == kept[1]
    assert len(kept[0]) == 2000


def test_settings_are_those_of_the_platforms() -> None:
    """A default would differ from Knative's, Kubernetes' or what was configured."""
    sync = policy_of(application(kind=ApplicationKind.SYNC))
    assert sync == Autoscaler(timeout=300 * TICKS_PER_S)
    assert policy_of(application(kind=ApplicationKind.EXPOSED)) == EXPOSED_SERVICE._replace(
        panic_window=15 * TICKS_PER_S, timeout=NEVER
    )
    tuned = Knative(stable_window_s=120.0, container_concurrency=4, initial_scale=0)
    other = policy_of(application(kind=ApplicationKind.SYNC, knative=tuned, min_scale=2))
    assert (other.stable_window, other.panic_window) == (120 * TICKS_PER_S, 12 * TICKS_PER_S)
    assert (other.target, other.container_concurrency, other.min_scale) == (2800, 4, 2)
    assert policy_of(application(min_scale=1, queue_most=3)) == KeepAlive(
        60 * TICKS_PER_S, min_scale=1, queue=3
    )
    assert policy_of(application(kind=ApplicationKind.ASYNC, max_scale=4)) == KeepAlive(
        0, max_scale=4
    )
