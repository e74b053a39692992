"""Bad configuration: one line that says what, where, what was expected and the nearest name."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sim.config import build_federation, build_policies
from sim.errors import ConfigError
from tests.configured import federation_data, policies_data


def _set(data: dict[str, Any], path: str, value: object) -> None:
    """Set a value deep inside plain data; the key may be new."""
    *parents, last = path.split("/")
    for part in parents:
        data = data[int(part)] if isinstance(data, list) else data[part]
    data[last] = value


def _drop(data: dict[str, Any], path: str) -> None:
    *parents, last = path.split("/")
    for part in parents:
        data = data[part]
    del data[last]


def _federation_refused(data: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        build_federation(data)
    line = str(caught.value)
    assert "\n" not in line
    return line


def _policies_refused(data: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        build_policies(data)
    line = str(caught.value)
    assert "\n" not in line
    return line


AUTO = policies_data(idle="auto_release")["idle"]
DOWN, BACK = (policies_data(nodes=n)["nodes"] for n in ("scale_down", "give_back"))
WARM = policies_data(serving="keep_warm")["serving"]
NORTH, APP = "pools/north-gpu", "applications/classifier"
WRONG = [
    # key or path, value, where it is said to be, what else the line says
    ("demand/hold", 2.0, "federation.demand.hold", "did you mean 'hold_h'?"),
    ("polls", {}, "federation.polls", "did you mean 'pools'?"),
    (f"{NORTH}/wieght", 1.0, "federation.pools.north-gpu.wieght", "did you mean 'weight'?"),
    ("demand/rhythm/night", 1.0, "federation.demand.rhythm.night", "did you mean 'night_weight'?"),
    (
        "pools/south-gpu/outages/0/begin",
        "2024-03-01",
        "pools.south-gpu.outages.0.begin",
        "a key of",
    ),
    ("demand/hold_h", "long", "federation.demand.hold_h", "number, got 'long'"),
    ("demand/hold_h", "48", "federation.demand.hold_h", "number, got '48'"),
    ("demand/hold_h", None, "federation.demand.hold_h", "number"),
    ("demand/hold_h", math.inf, "federation.demand.hold_h", "finite"),
    ("demand/hold_h", math.nan, "federation.demand.hold_h", "finite"),
    ("demand/cores", {1: math.inf}, "federation.demand.cores.1", "finite"),
    ("demand/hold_h", [1.0], "federation.demand.hold_h", "number, got 'list'"),
    (f"{NORTH}/site", 5, "federation.pools.north-gpu.site", "string, got 5"),
    (f"{NORTH}/gpus_per_node", 1.5, "federation.pools.north-gpu.gpus_per_node", "1.5"),
    (f"{NORTH}/gpus_per_node", True, "federation.pools.north-gpu.gpus_per_node", "True"),
    ("demand", 3, "federation.demand", "3"),
    ("demand/requests_per_user_week", -1.0, "federation.demand.requests_per_user_week", "got -1.0"),
    (f"{APP}/traffic/per_month", -2, "applications.classifier.traffic.per_month", "got -2"),
    (f"{APP}/traffic/per_moth", 2.0, "classifier.traffic.per_moth", "did you mean 'per_month'?"),
    (f"{APP}/traffic", None, "classifier.traffic", "per_month, or a replay"),
    (f"{APP}/traffic/season", [1.0], "classifier.traffic.season", "at least 12"),
    (f"{APP}/traffic/replay", {"trace": "day"}, "traffic.replay.trace", "got 'day'"),
    (f"{APP}/knative", {"stable_window": 60.0}, "knative.stable_window", "'stable_window_s'?"),
    (f"{APP}/knative", {"max_scale_down_rate": 1.0}, "knative.max_scale_down_rate", "1.001"),
    (f"{APP}/autoscaler", {"cpu_threshold_percentage": 120}, "cpu_threshold_percentage", "100"),
    (f"{APP}/retries", {"failing_frac": 1.5}, "retries.failing_frac", "less than or equal to 1"),
    (f"{APP}/then", "classifier", "classifier.then", "a chain with an end"),
    (f"{APP}/then", "clasifier", "classifier.then", "did you mean 'classifier'?"),
    (f"{APP}/cores", 5, "applications.classifier.cores", "at most 4 on south-cluster"),
    (f"{APP}/ram_mb", 16_001, "applications.classifier.ram_mb", "at most 16000"),
    (f"{APP}/min_scale", 4, "applications.classifier.max_scale", "4 or more"),
    ("clusters/south-cluster/scaling", {"idle": 1}, "scaling.idle", "did you mean 'idle_s'?"),
    (
        "clusters/south-cluster/scaling",
        {"boot": {"median_s": 90.0}, "boot_wait_s": 60.0},
        "scaling.boot_wait_s",
        "90.0 s or more",
    ),
    (f"{NORTH}/outages_per_year", -0.1, "outages_per_year", "greater than or equal to 0"),
    ("demand/forget_frac", 1.2, "federation.demand.forget_frac", "less than or equal to 1"),
    ("applications/classifier/kind", "synk", "federation.applications.classifier.kind", "'sync'"),
    ("growth/law", "linear", "federation.growth.law", "'saturating' or 'deployed'"),
    (f"{NORTH}/site", "Nort", "federation.pools.north-gpu.site", "did you mean 'North'?"),
    ("services/north-control-plane/site", "Noth", "services.north-control-plane.site", "'North'?"),
    ("stores/data/migrates_to", "data-nev", "stores.data.migrates_to", "mean 'data-new'?"),
    ("use_cases/birds/application", "clasifier", "use_cases.birds.application", "'classifier'?"),
    ("use_cases/birds/countries", ["SX"], "use_cases.birds.countries", "did you mean 'SE'?"),
    ("use_cases/birds/countries", [], "use_cases.birds.countries", "at least 1"),
    (f"{NORTH}/joined", None, "federation.pools.north-gpu.joined", "date"),
    (f"{NORTH}/joined", "soon", "federation.pools.north-gpu.joined", "date"),
    (f"{NORTH}/left", "2023-01-01", "federation.pools.north-gpu.left", "a day after 2024-01-01"),
    ("pools/south-gpu/outages/0/end", "2024-03-10", "south-gpu.outages", "a day after 2024-03-10"),
    ("calendar/start", "2024-01-02", "calendar.start", "first of a month"),
    ("calendar/months", 0, "calendar.months", "1 to 240"),
    ("reported_months", 5, "federation.reported_months", "whole periods of 6 months"),
    ("retraining/like", "trainning", "federation.retraining.like", "did you mean 'training'?"),
    ("serving_phase", "training", "federation.serving_phase", "serving"),
    ("demand/cores", {64: 1.0}, "federation.demand.cores", "at most 48 cores"),
    ("demand/gpus", {1: 0.0}, "federation.demand.gpus", "a weight above 0"),
]


@pytest.mark.parametrize(("path", "value", "where", "said"), WRONG)
def test_wrong_value_is_refused_in_one_line(
    path: str, value: object, where: str, said: str
) -> None:
    """A wrong key or value would run with a default, or end in a traceback of many lines."""
    data = federation_data("tiny")
    _set(data, path, value)
    line = _federation_refused(data)
    assert where in line.split(": ")[0]
    assert said in line
    assert "expected" in line


@pytest.mark.parametrize(
    ("path", "where"),
    [
        (f"{NORTH}/joined", "federation.pools.north-gpu.joined"),
        ("demand", "federation.demand"),
        ("pools", "federation.pools"),
        ("demand/rhythm", "federation.demand.rhythm"),
        ("calendar/months", "federation.calendar.months"),
        ("budgets/gpu", "federation.budgets.gpu"),
    ],
)
def test_missing_entry_is_named(path: str, where: str) -> None:
    """A federation without a section or date would start with a guess in its place."""
    data = federation_data("tiny")
    _drop(data, path)
    line = _federation_refused(data)
    assert line.startswith(f"{where}: ")


@pytest.mark.parametrize(
    ("path", "value", "where", "said"),
    [
        ("admission/gpus", 3, "policy.admission.gpus", "did you mean 'gpus_per_user'?"),
        ("admission/gpus_per_user", "two", "policy.admission.gpus_per_user", "integer, got 'two'"),
        ("admission/gpus_per_user", 0, "policy.admission.gpus_per_user", "or equal to 1"),
        ("admission/since", 5, "policy.admission.since", "date"),
        ("admission/_target_", "sim.policies.gpu_quota.Quota", "policy.admission._target_", "got"),
        ("admission/_target_", "GpuQuota", "policy.admission._target_", "module.Class"),
        ("placement/_target_", "sim.policies.open_admission.OpenAdmission", "policy.placement",
         "PlacementPolicy's method"),
        ("idle", {**AUTO, "idle_h": 0.0}, "policy.idle.idle_h", "at least 0.1 h, got 0.0"),
        ("idle", {**AUTO, "idle_h": -1.0}, "policy.idle.idle_h", "at least 0.1 h, got -1.0"),
        ("idle", {**AUTO, "idle_h": "day"}, "policy.idle.idle_h", "number, got 'day'"),
        ("idle", {**AUTO, "warning_h": 24.0}, "policy.idle.warning_h", "less than idle_h, 24.0"),
        ("idle", {**AUTO, "grace_h": -1.0}, "policy.idle.grace_h", "0"),
        ("idle", {**AUTO, "keeps_frac": 0.8}, "policy.idle.keeps_frac", "at most 1 with releases"),
        ("idle", {**AUTO, "missed_frac": 1.5}, "policy.idle.missed_frac", "1, got 1.5"),
        ("idle", {**AUTO, "mistaken_frac": -0.1}, "policy.idle.mistaken_frac", "0, got -0.1"),
        ("idle", {**AUTO, "from_day": 2024}, "policy.idle.from_day", "date"),
        ("nodes", {**DOWN, "idle_h": -1.0}, "policy.nodes.idle_h", "0"),
        ("nodes", {**DOWN, "boot_h": -1.0}, "policy.nodes.boot_h", "0"),
        ("nodes", {**DOWN, "boots_h": 1.0}, "policy.nodes.boots_h", "did you mean 'boot_h'?"),
        ("nodes", {**DOWN, "pools": False, "clusters": False}, "policy.nodes.pools", "true, or"),
        ("nodes", {**BACK, "unused_days": 0.5}, "policy.nodes.unused_days", "at least 1 day"),
        ("serving", {**WARM, "max_scale": 0}, "policy.serving.max_scale", "1"),
        ("serving", {**WARM, "min_scale": 3, "max_scale": 2}, "policy.serving.max_scale", "3 or"),
        ("serving", {**WARM, "keep_s": -1.0}, "policy.serving.keep_s", "0"),
        ("serving", {**WARM, "concurrency": "all"}, "policy.serving.concurrency", "integer"),
        ("idle", {**AUTO, "warning": 1.0}, "policy.idle.warning", "did you mean 'warning_h'?"),
        ("idle", {"_target_": AUTO["_target_"]}, "policy.idle.idle_h", "missing"),
        ("idle/_target_", "sim.policies.open_admission.OpenAdmission", "policy.idle",
         "IdlePolicy's method"),
        ("admision", {}, "policy.admision", "did you mean 'admission'?"),
    ],
)  # fmt: skip
def test_wrong_policy_is_refused_in_one_line(
    path: str, value: object, where: str, said: str
) -> None:
    """A misspelt policy or parameter would run with another rule than the one asked for."""
    data = policies_data()
    _set(data, path, value)
    line = _policies_refused(data)
    assert line.startswith(f"{where}: ")
    assert said in line


def test_each_kind_of_policy_must_be_chosen() -> None:
    """A scenario without an admission policy would silently admit everybody."""
    data = policies_data()
    del data["admission"]
    assert "policy.admission: no policy chosen" in _policies_refused(data)


def test_unknown_country_or_time_zone_is_refused() -> None:
    """Users would work through holidays nobody knows of, or a run fail when it has begun."""
    data = federation_data("tiny")
    data["use_cases"]["birds"]["countries"] = ["XX"]
    data["time_zones"]["XX"] = "Europe/Stockholm"
    line = _federation_refused(data)
    assert line.startswith("federation.use_cases: country without known holidays")
    assert "'XX'" in line
    data = federation_data("tiny")
    data["time_zones"]["SE"] = "Europe/Stokholm"
    assert "federation.time_zones: unknown time zone" in _federation_refused(data)


def test_building_leaves_the_data_as_it_was() -> None:
    """Building a federation would change the caller's configuration."""
    data, policies = federation_data("tiny"), policies_data()
    build_federation(data)
    build_policies(policies)
    assert data == federation_data("tiny")
    assert policies == policies_data()
