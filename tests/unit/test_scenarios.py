"""Scenarios: their files, what they change, and what is refused."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from analysis.calibration.priors import Z_LIMIT
from analysis.federations import load_case
from analysis.paired.variants import Playable, playable, policies_at
from analysis.scenarios import Change, Scenario, build_scenario, changed, packaged
from sim.config import build_federation
from sim.errors import ConfigError
from tests.configured import ROOT, federation_data, policies_data

NAMING_POOLS = ("site_loss",)  # scenarios for one federation only
DATA = {"a": {"x": {"n": 2, "on": True}, "y": {"n": 3.0}}, "b": 4}


def _read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_values_are_put_and_scaled_everywhere_a_star_stands() -> None:
    """A variant would change one application and leave the others as they were."""
    before = deepcopy(DATA)
    change = Change({"a.*.new": {"deep": 1}, "b": None}, {"a.*.n": 10.0})
    assert changed(DATA, change, "here") == {
        "a": {
            "x": {"n": 20.0, "on": True, "new": {"deep": 1}},
            "y": {"n": 30.0, "new": {"deep": 1}},
        },
        "b": None,
    }
    assert before == DATA


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Change(put={"c.n": 1}), "here.put.c.n: leads nowhere"),
        (Change(put={"a.z.n": 1}), "here.put.a.z.n: leads nowhere"),
        (Change(put={"b.n.m": 1}), "here.put.b.n.m: leads nowhere"),
        (Change(scale={"a.x.m": 2.0}), "here.scale.a.x.m: cannot be scaled"),
        (Change(scale={"a.x.on": 2.0}), "here.scale.a.x.on: cannot be scaled"),
        (Change(scale={"a.x": 2.0}), "here.scale.a.x: cannot be scaled"),
    ],
)
def test_paths_that_lead_nowhere_are_refused(change: Change, said: str) -> None:
    """A misspelt path would leave the variant equal to the others without a word."""
    with pytest.raises(ConfigError) as caught:
        changed(DATA, change, "here")
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("question", None, "scenario.question"),
        ("variants", {}, "scenario.variants"),
        ("variants", {"a": {"scales": {}}}, "did you mean 'scale'"),
        ("variants", {"a": {"at": -1.0}}, "scenario.variants.a.at"),
        ("variants", {"a": {"scale": {"b": 0.0}}}, "scenario.variants.a.scale.b"),
    ],
)
def test_wrong_scenarios_are_refused(key: str, value: object, said: str) -> None:
    """A scenario with a wrong key would be played without it."""
    data = {"question": "?", "expected": "!", "source": "assumed", "axis": "x"}
    data["variants"] = {"a": {}}
    data[key] = value
    with pytest.raises(ConfigError, match=said):
        build_scenario(data)


def _playable(name: str, federation: str) -> tuple[Scenario, list[Playable]]:
    scenario, data = build_scenario(_read(packaged()[name])), federation_data(federation)
    case = load_case(build_federation(data), ROOT / "scenarios" / federation)
    return scenario, playable(scenario, case, data, policies_data())


@pytest.mark.parametrize("name", sorted(packaged()))
@pytest.mark.parametrize("federation", ["imagine", "tiny"])
def test_shipped_scenarios_fit_the_shipped_federations(name: str, federation: str) -> None:
    """A shipped scenario would end in an error, or two of its variants be the same."""
    if federation == "tiny" and name in NAMING_POOLS:
        with pytest.raises(ConfigError, match="leads nowhere"):
            _playable(name, federation)
        return
    scenario, variants = _playable(name, federation)
    played = [(v.case.federation, v.policies) for v in variants]
    assert all(one != other for k, one in enumerate(played) for other in played[:k])
    assert min(len(t) for t in (scenario.question, scenario.expected, scenario.source)) > 20
    assert packaged()[name].read_text(encoding="utf-8").startswith("# What if ")


@pytest.mark.parametrize("name", sorted(packaged()))
def test_policies_take_whatever_is_drawn_for_them(name: str) -> None:
    """Values that a policy refuses would be moved, so that the prior would not be the one told."""
    scenario, variants = _playable(name, "imagine")
    for end in (-Z_LIMIT, Z_LIMIT):
        values = {path: prior.value(end) for path, prior in scenario.uncertain.items()}
        _, used, moved = policies_at(variants, values)
        assert used == values
        assert not moved


def test_shipped_scenarios_agree_on_what_nobody_knows() -> None:
    """The same parameter would be uncertain in one scenario and less so in another."""
    told: dict[str, set[tuple[str, float, float]]] = {}
    for path in packaged().values():
        for name, prior in build_scenario(_read(path)).uncertain.items():
            told.setdefault(name, set()).add((prior.distribution, prior.median, prior.sigma))
    assert len(told) > 5
    assert {name for name, priors in told.items() if len(priors) > 1} == set()
