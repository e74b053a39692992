"""Turns configuration into entities: the one place of `sim` that knows configuration libraries."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from math import isfinite
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from sim.entities import Federation
from sim.errors import AiaasError, ConfigError
from sim.plan.rhythm import work_clock
from sim.policies.base import Policies

T = TypeVar("T")
_POLICY_KINDS: dict[str, type] = get_type_hints(Policies)


def build(kind: type[T], data: Mapping[str, Any], where: str) -> T:
    """Build a frozen dataclass (with nested ones) from plain data, checking every key and type.

    Args:
        kind: The dataclass.
        data: Plain dictionaries, lists and values as YAML gives them.
        where: Path of the data in the configuration, for messages.

    Raises:
        ConfigError: For the first wrong key, type, missing or impossible value.
    """
    _refuse_unknown(kind, data, where)
    try:
        checker: TypeAdapter[T] = _adapter(kind)  # type: ignore[arg-type]
        return checker.validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        raise _first_problem(error, where) from None


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    """Return the checker of a dataclass; to make one takes longer than to use it."""
    return TypeAdapter(kind)


def build_federation(data: Mapping[str, Any]) -> Federation:
    """Build a federation and check what its entities say of each other.

    Raises:
        ConfigError: For the first thing that does not fit.
    """
    federation = build(Federation, data, "federation")
    _check_references(federation)
    _check_ranges(federation)
    for country in sorted({c for u in federation.use_cases.values() for c in u.countries}):
        zone = federation.time_zones[country]
        work_clock(country, zone, federation.demand.rhythm, federation.calendar)
    return federation


def build_policies(data: Mapping[str, Mapping[str, Any]]) -> Policies:
    """Build one policy of each kind from `{kind: {_target_: module.Class, parameter: value}}`.

    Raises:
        ConfigError: For an unknown kind, class or parameter, or an impossible value.
    """
    for kind in data:
        if kind not in _POLICY_KINDS:
            raise ConfigError(
                "unknown kind of policy",
                f"policy.{kind}",
                ", ".join(_POLICY_KINDS),
                kind,
                _POLICY_KINDS,
            )
    built = {}
    for kind in _POLICY_KINDS:
        if kind not in data:
            raise ConfigError("no policy chosen", f"policy.{kind}", f"an option of policy/{kind}")
        built[kind] = build_policy(kind, data[kind])
    return Policies(**built)


def check_policies(policies: Policies, federation: Federation) -> None:
    """Refuse policies for phases that no use case of the federation goes through.

    Raises:
        ConfigError: For the first such phase.
    """
    known = federation.phases
    for kind in _POLICY_KINDS:
        for index, name in enumerate(getattr(getattr(policies, kind), "phases", ())):
            if name not in known:
                where = f"policy.{kind}.phases.{index}"
                expected = f"one of {', '.join(known)}"
                raise ConfigError("unknown phase", where, expected, name, known)


def build_policy(kind: str, data: Mapping[str, Any]) -> Any:
    """Build the policy of one kind; see `build_policies`."""
    where, protocol = f"policy.{kind}", _POLICY_KINDS[kind]
    target = str(data.get("_target_", ""))
    module, _, name = target.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        raise ConfigError(
            "no such policy class", f"{where}._target_", "module.Class that can be imported", target
        ) from None
    policy = build(cls, {k: v for k, v in data.items() if k != "_target_"}, where)
    if not isinstance(policy, protocol):
        raise ConfigError(
            "not such a policy", where, f"a class with {protocol.__name__}'s method", target
        )
    return policy


def _refuse_unknown(kind: Any, data: Any, where: str) -> None:
    """Walk data along the types of `kind`; refuse keys no field has and numbers without end."""
    kind = _inside(kind)
    if is_dataclass(kind) and isinstance(data, Mapping):
        hints, name = _hints(kind), getattr(kind, "__name__", "it")
        for key, value in data.items():
            if key not in hints:
                raise ConfigError(
                    "unknown key", f"{where}.{key}", f"a key of {name}", str(key), hints
                )
            _refuse_unknown(hints[key], value, f"{where}.{key}")
        return
    if get_origin(kind) is dict and isinstance(data, Mapping):
        for key, value in data.items():
            _refuse_unknown(get_args(kind)[1], value, f"{where}.{key}")
    elif get_origin(kind) is tuple and isinstance(data, Sequence):
        for index, value in enumerate(data):
            _refuse_unknown(get_args(kind)[0], value, f"{where}.{index}")
    elif isinstance(data, float) and not isfinite(data):
        raise ConfigError("impossible value", where, "a finite number", data)


def _inside(kind: Any) -> Any:
    """Return the one type that a value has unless it is None, of `X | None`."""
    inside = [k for k in get_args(kind) if k is not type(None)]
    return inside[0] if isinstance(kind, UnionType) and len(inside) == 1 else kind


def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind)}


def _first_problem(error: ValidationError, where: str) -> ConfigError:
    problem = error.errors()[0]
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, AiaasError):
        return ConfigError(*cause.args)
    path = ".".join([where, *(str(p) for p in problem["loc"] if p != "[key]")])
    given = problem["input"]
    message = problem["msg"]
    if problem["type"] == "missing":
        return ConfigError("missing", path, "a value")
    if isinstance(given, (dict, list)):
        given = type(given).__name__
    expected = re.sub(r"^(Input|Value) should be (a |an )?(valid )?", "", message)
    return ConfigError("impossible value", path, expected, given)


def _check_references(f: Federation) -> None:
    def known(name: str | None, names: Mapping[str, Any], where: str, what: str) -> None:
        if name is not None and name not in names:
            raise ConfigError(f"unknown {what}", where, f"one of {', '.join(names)}", name, names)

    for group in ("pools", "services", "clusters", "stores", "installations"):
        for name, entity in getattr(f, group).items():
            known(entity.site, f.sites, f"federation.{group}.{name}.site", "site")
    for name, store in f.stores.items():
        known(store.migrates_to, f.stores, f"federation.stores.{name}.migrates_to", "store")
    for name, application in f.applications.items():
        where = f"federation.applications.{name}"
        known(application.cluster, f.clusters, f"{where}.cluster", "cluster")
        known(application.then, f.applications, f"{where}.then", "application")
        _check_chain(f, name)
        if application.traffic is not None and application.traffic.replay is not None:
            trace = application.traffic.replay.trace
            known(trace, f.traces, f"{where}.traffic.replay.trace", "trace")
    for name, case in f.use_cases.items():
        where = f"federation.use_cases.{name}"
        known(case.application, f.applications, f"{where}.application", "application")
        if case.application is not None and f.applications[case.application].traffic is None:
            where = f"federation.applications.{case.application}.traffic"
            raise ConfigError("nobody calls it", where, "per_month, or a replay")
        for country in case.countries:
            known(country, f.time_zones, f"{where}.countries", "country (see time_zones)")
    known(f.serving_phase, f.phases, "federation.serving_phase", "phase")
    known(f.retraining.like, f.phases, "federation.retraining.like", "phase")
    for resource in ("gpu", "cpu", "storage"):
        if resource not in f.budgets:
            raise ConfigError("no budget", f"federation.budgets.{resource}", "a number, 0 for none")


def _check_chain(f: Federation, name: str) -> None:
    """Refuse results that come back to an application, or that leave its cluster."""
    chain = [name]
    while (following := f.applications[chain[-1]].then) in f.applications:
        where = f"federation.applications.{chain[-1]}.then"
        if following in chain:
            raise ConfigError("it would call itself", where, "a chain with an end", following)
        chain.append(following)
        clusters = [f.applications[n].cluster for n in (name, following)]
        if clusters[0] != clusters[1]:
            raise ConfigError(
                "called on another cluster", where, f"an application on {clusters[0]}", following
            )


def _check_ranges(f: Federation) -> None:
    if f.serving_phase != list(f.phases)[-1]:
        raise ConfigError(
            "the serving phase must be the last one",
            "federation.serving_phase",
            list(f.phases)[-1],
            f.serving_phase,
        )
    if f.reported_months > f.calendar.months or f.reported_months % f.calendar.period_months:
        raise ConfigError(
            "impossible reported months",
            "federation.reported_months",
            f"whole periods of {f.calendar.period_months} months up to {f.calendar.months}",
            f.reported_months,
        )
    for name, pool in f.pools.items():
        if pool.left is not None and pool.left <= pool.joined:
            raise ConfigError(
                "a pool leaves before it joins",
                f"federation.pools.{name}.left",
                f"a day after {pool.joined}",
                str(pool.left),
            )
        for outage in pool.outages:
            if outage.end <= outage.start:
                raise ConfigError(
                    "an outage ends before it begins",
                    f"federation.pools.{name}.outages",
                    f"a day after {outage.start}",
                    str(outage.end),
                )
    _check_serving(f)
    for what in ("gpus", "cores"):
        if not sum(getattr(f.demand, what).values()) > 0.0:
            raise ConfigError("nothing to choose", f"federation.demand.{what}", "a weight above 0")
    largest = max(f.demand.cores)
    if not any(p.cores_per_node >= largest for p in f.pools.values()):
        raise ConfigError(
            "no node can hold the largest request",
            "federation.demand.cores",
            f"at most {max(p.cores_per_node for p in f.pools.values())} cores",
            largest,
        )


def _check_serving(f: Federation) -> None:
    """Refuse replicas that no node can hold, limits that cross, and nodes that never boot."""
    for name, app in f.applications.items():
        where, cluster = f"federation.applications.{name}", f.clusters[app.cluster]
        for what, most in (("cores", cluster.cores_per_node), ("ram_mb", cluster.ram_mb_per_node)):
            if getattr(app, what) > most:
                raise ConfigError(
                    "no node can hold a replica",
                    f"{where}.{what}",
                    f"at most {most} on {app.cluster}",
                    getattr(app, what),
                )
        if app.max_scale is not None and (app.min_scale or 0) > app.max_scale:
            raise ConfigError(
                "less than the least",
                f"{where}.max_scale",
                f"{app.min_scale} or more",
                app.max_scale,
            )
    for name, cluster in f.clusters.items():
        scaling = cluster.scaling
        if scaling and scaling.boot.sigma == 0.0 and scaling.boot.median_s > scaling.boot_wait_s:
            raise ConfigError(
                "no boot would ever be waited for",
                f"federation.clusters.{name}.scaling.boot_wait_s",
                f"{scaling.boot.median_s} s or more",
                scaling.boot_wait_s,
            )
