"""What every policy under conf/policy keeps when it is played: collected from the files."""

from __future__ import annotations

import pickle
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import conf
from sim.config import build_policies
from sim.entities import Federation
from sim.errors import ConfigError
from sim.paths import value_at, with_value
from sim.policies.base import Inert, NodesPolicy, NodeView, Policies, SwitchOff
from sim.policies.plain import PLAIN
from sim.runner import RunSpec, run_once
from tests import configured
from tests.worlds_by_hand import Ask, federation, plan, play, pool

FILES = sorted((Path(conf.__path__[0]) / "policy").glob("*/*.yaml"))
TINY = configured.federation("tiny")
QUEUE = 10_000
each_policy = pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}/{f.stem}")


def parameters(file: Path) -> dict[str, Any]:
    """Return what a policy's file says, in force from the tiny federation's third month on."""
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    return moved(data, date(2024, 3, 1))


def moved(data: dict[str, Any], to: date) -> dict[str, Any]:
    """Return parameters with their first date at `to` and the others as far from it as before."""
    dates = sorted(v for v in flat(data) if isinstance(v, date)) or [to]

    def shifted(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: shifted(v) for k, v in value.items()}
        return to + (value - dates[0]) if isinstance(value, date) else value

    return shifted(data)


def flat(data: dict[str, Any]) -> Iterator[Any]:
    """Yield all values, also those of nested mappings."""
    for value in data.values():
        yield from flat(value) if isinstance(value, dict) else (value,)


def policies(kind: str, data: dict[str, Any]) -> Policies:
    """Return the plain choice of policies with one of them as told."""
    built = build_policies({**configured.policies_data(), kind: data})
    return replace(PLAIN, **{kind: getattr(built, kind)})


class Watched:
    """Stands in for a policy: counts what it is asked, and sees whether it changes what it saw."""

    def __init__(self, policy: Any) -> None:
        self.policy, self.asked = policy, 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.policy, name)
        if not callable(found):
            return found

        def ask(*seen: Any) -> Any:
            self.asked += 1
            before = [_bytes(view) for view in seen]
            answer = found(*seen)
            assert [_bytes(view) for view in seen] == before
            return answer

        return ask


class BootsAtOnce:
    """Stands in for a nodes policy: says the same, but for boots."""

    def __init__(self, policy: NodesPolicy) -> None:
        self.policy, self.from_day = policy, policy.from_day

    def switch_off(self, node: NodeView) -> SwitchOff | None:
        said = self.policy.switch_off(node)
        return None if said is None else said._replace(boot_h=0.0)


def _bytes(view: Any) -> bytes:
    plain = tuple(None if callable(v) else v for v in view) if isinstance(view, tuple) else view
    return pickle.dumps(plain)


def crowded() -> Federation:
    """Return the tiny federation with users who do not all find room."""
    return with_value(TINY, "demand.requests_per_user_week", 8.0)


@each_policy
def test_asked_or_left_out_same_bits(file: Path) -> None:
    """A policy would keep state, change what it is shown, or not reach another process."""
    kind = file.parent.name
    chosen = policies(kind, parameters(file))
    spec = RunSpec(crowded(), chosen, seed=3)
    watched = Watched(pickle.loads(pickle.dumps(getattr(chosen, kind))))
    result = run_once(spec)
    seen = replace(spec, policies=replace(chosen, **{kind: watched}))
    configured.assert_same(result, run_once(seen))
    configured.assert_same(result, run_once(pickle.loads(pickle.dumps(spec))))


@each_policy
def test_nothing_is_held_twice(file: Path) -> None:
    """Nodes would give more GPUs, cores or memory than they have."""
    result = run_once(RunSpec(crowded(), policies(file.parent.name, parameters(file)), seed=3))
    changes = defaultdict(list)
    for d in result.logs.deployments:
        held = np.array([d.gpus, d.cores, d.ram_gb], dtype=float)
        changes[d.pool, d.node] += [(d.started_h, 1, held), (d.released_h, 0, -held)]
    for (name, _), mine in changes.items():
        pool = result.spec.federation.pools[name]
        most = np.array([pool.gpus_per_node, pool.cores_per_node, pool.ram_gb_per_node])
        taken = np.cumsum([h for _, _, h in sorted(mine, key=lambda c: c[:2])], axis=0)
        assert (taken <= most).all()
        assert np.array_equal(taken[-1], np.zeros(3))


@each_policy
def test_every_request_ends_once(file: Path) -> None:
    """Requests would be lost, served twice, or deployments left open."""
    result = run_once(RunSpec(crowded(), policies(file.parent.name, parameters(file)), seed=3))
    logs, horizon_h = result.logs, result.spec.federation.calendar.horizon_h
    names = [d.name for d in logs.deployments] + [w.name for w in logs.withdrawn]
    assert max(Counter(names).values()) == 1
    for d in logs.deployments:
        assert d.ended is not None
        assert d.released_h is not None
        assert d.requested_h <= d.started_h <= d.released_h <= horizon_h
    assert len(logs.deployments) > 100


@each_policy
def test_from_a_day_after_the_horizon_changes_no_bit(file: Path) -> None:
    """A policy could not be dated, or would act before its day."""
    kind = file.parent.name
    data = parameters(file)
    never = getattr(PLAIN, kind)
    if not any(isinstance(v, date) for v in flat(data)):
        never = getattr(policies(kind, data), kind)
        assert kind == "placement" or isinstance(never, Inert)
    late = policies(kind, moved(data, date(2034, 1, 1)))
    one, two = (
        run_once(RunSpec(crowded(), p, seed=3)) for p in (late, replace(PLAIN, **{kind: never}))
    )
    configured.assert_same(one, two)


@each_policy
def test_one_user_more_changes_nobody_else(file: Path) -> None:
    """What a policy does to one user would depend on who else there is, though there is room."""
    before = configured.roomy(TINY)
    users = value_at(before, "use_cases.birds.users")
    after = with_value(before, "use_cases.birds.users", users + 1)
    chosen = policies(file.parent.name, parameters(file))
    chosen = replace(chosen, nodes=BootsAtOnce(chosen.nodes))  # who finds a node on waits less
    alone, together = (
        run_once(RunSpec(f, chosen, seed=3)).deployments_frame() for f in (before, after)
    )
    extra = together["user"] == f"birds/{users}"
    assert extra.any()
    where = ["site", "pool"] if file.parent.name == "placement" else []  # may depend on load
    pd.testing.assert_frame_equal(
        alone.sort_values("deployment", ignore_index=True).drop(columns=where),
        together[~extra].sort_values("deployment", ignore_index=True).drop(columns=where),
        check_exact=True,
    )


@each_policy
def test_a_long_queue_costs_so_much_a_request(file: Path) -> None:
    """Time would grow with the square of a queue of ten thousand."""
    kind, data = file.parent.name, parameters(file)
    chosen = policies(kind, moved(data, date(2024, 1, 1)))
    watched = Watched(getattr(chosen, kind))
    of = federation({"one": pool(gpus_per_node=4), "two": pool(gpus_per_node=4)})
    asks = [Ask(0.0, user=k % 500, bursts=(0.25, 0.25), gaps=(0.1,)) for k in range(QUEUE)]
    logs = play(of, plan(of, asks), replace(chosen, **{kind: watched}))
    assert len(logs.deployments) > QUEUE // 2
    assert watched.asked <= 8 * (len(logs.deployments) + len(logs.withdrawn))


@each_policy
def test_impossible_parameters_are_refused_by_name(file: Path) -> None:
    """A parameter that makes no sense would be played, or refused without saying which."""
    kind, data = file.parent.name, parameters(file)
    for name, value in data.items():
        if name == "_target_" or value is None:
            continue
        wrong = [["a", "list"], "words"] if isinstance(value, (date, bool, dict)) else [[{}], -1]
        for given in wrong:
            with pytest.raises(ConfigError, match=rf"policy\.{kind}\.{name}"):
                policies(kind, {**data, name: given})
