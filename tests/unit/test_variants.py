"""Variants of a scenario: which policies they have, what is drawn for them, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analysis.federations import Case, load_case, packaged
from analysis.paired.variants import Playable, drawn, playable, policies_at
from analysis.scenarios import Scenario, build_scenario
from sim.config import build_federation
from sim.errors import ConfigError
from sim.policies.auto_release import AutoRelease
from sim.policies.least_loaded import LeastLoaded
from sim.policies.never_release import NeverRelease
from tests.configured import federation_data, policies_data

RELEASE = {"option": "auto_release", "idle_h": 4.0}
WIDE = {"distribution": "logitnormal", "sigma": 2.0, "unit": "probability", "source": "assumed"}
KEEPS, RELEASES = "policy.idle.keeps_frac", "policy.idle.releases_frac"


def _case() -> Case:
    return load_case(build_federation(federation_data("tiny")), packaged()["tiny"])


def _scenario(variants: dict[str, Any], **more: Any) -> Scenario:
    data = {"question": "?", "expected": "!", "source": "assumed", "variants": variants}
    return build_scenario(data | more)


def _playable(scenario: Scenario, **chosen: str) -> list[Playable]:
    return playable(scenario, _case(), federation_data("tiny"), policies_data(**chosen))


def test_options_and_parameters_of_policies() -> None:
    """A variant would be played under other policies than it names."""
    both = {"idle": {"option": "auto_release"}, "placement": "least_loaded"}
    changes = {"never": {}, "release": {"idle": RELEASE}, "both": both,
               "later": {"admission": {"gpus_per_user": 3}}}  # fmt: skip
    scenario = _scenario({name: {"policy": of} for name, of in changes.items()})
    never, release, both, later = _playable(scenario)
    assert isinstance(never.policies.idle, NeverRelease)
    assert isinstance(release.policies.idle, AutoRelease)
    assert (release.policies.idle.idle_h, both.policies.idle.idle_h) == (4.0, 24.0)
    assert isinstance(both.policies.placement, LeastLoaded)
    assert later.policies.admission.gpus_per_user == 3
    assert later.policies.admission.since == never.policies.admission.since
    assert never.case is release.case is later.case


def test_base_and_the_configured_policies_lie_below() -> None:
    """What is true of all variants, or was asked for on the command line, would be lost."""
    scenario = _scenario(
        {"a": {}, "b": {"policy": {"idle": {"idle_h": 4.0}}}, "c": {"policy": {"idle": "never"}}},
        base={"policy": {"idle": {"warning_h": 0.25}}},
    )
    a, b, c = _playable(scenario, idle="auto_release")
    assert (a.policies.idle.idle_h, a.policies.idle.warning_h) == (24.0, 0.25)
    assert (b.policies.idle.idle_h, b.policies.idle.warning_h) == (4.0, 0.25)
    assert isinstance(c.policies.idle, NeverRelease)


@pytest.mark.parametrize(
    ("variants", "more", "said"),
    [
        ({"a": {"policy": {"idel": "never"}}}, {}, "a.policy.idel.*did you mean 'idle'"),
        ({"a": {"policy": {"idle": "auto_relaese"}}}, {}, "did you mean 'auto_release'"),
        ({"a": {"policy": {"idle": {"option": 3}}}}, {}, "no such option"),
        ({"a": {"policy": {"idle": 3}}}, {}, "a.policy.idle: no policy"),
        ({"a": {"policy": {"idle": {"idle_h": 4.0}}}}, {}, "a.policy.idle.idle_h: unknown key"),
        ({"a": {"policy": {"idle": {**RELEASE, "idel_h": 1}}}}, {}, "did you mean 'idle_h'"),
        ({"a": {"policy": {"idle": {**RELEASE, "idle_h": 0.0}}}}, {}, "a.policy.idle.idle_h"),
        ({"a": {}}, {"baseline": "b"}, "scenario.baseline"),
        ({"a": {}}, {"uncertain": {KEEPS: {**WIDE, "median": 0.1}}}, "no variant leaves it open"),
        (
            {"a": {"policy": {"idle": RELEASE}}},
            {"uncertain": {"policy.idle.keep_frac": {**WIDE, "median": 0.1}}},
            "did you mean 'keeps_frac'",
        ),
        (
            {"a": {"policy": {"idle": {**RELEASE, "keeps_frac": 0.0}}}},
            {"uncertain": {KEEPS: {**WIDE, "median": 0.1}}},
            "no variant leaves it open",
        ),
        (
            {"a": {}},
            {"uncertain": {"policy.admission.gpus_per_user": {**WIDE, "median": 0.1}}},
            "cannot be drawn",
        ),
        ({"a": {}}, {"uncertain": {"demand.hold_h": {**WIDE, "median": 0.1}}}, "leads nowhere"),
        ({"a": {}}, {"uncertain": {"policy.idel.x": {**WIDE, "median": 0.1}}}, "'idle'"),
        ({"a": {}}, {"uncertain": {KEEPS: {**WIDE, "median": 1.5}}}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_played_is_refused(variants, more, said) -> None:
    """A misspelt policy or parameter would be played as something else, or as nothing."""
    with pytest.raises(ConfigError, match=said):
        _playable(_scenario(variants, **more))


UNCERTAIN = {KEEPS: {**WIDE, "median": 0.4}, RELEASES: {**WIDE, "median": 0.4}}
VARIANTS = {
    "never": {},
    "four": {"policy": {"idle": RELEASE}},
    "eight": {"policy": {"idle": {**RELEASE, "idle_h": 8.0}}},
    "own": {"policy": {"idle": {**RELEASE, "keeps_frac": 0.0}}},
}


def test_drawn_values_are_the_same_in_all_variants_that_leave_them_open() -> None:
    """Variants would differ in what nobody knows, or one's own value be overwritten."""
    scenario = _scenario(VARIANTS, uncertain=UNCERTAIN)
    variants = _playable(scenario)
    shares = []
    for k in range(40):
        values = drawn(scenario, 0, f"site/{k}")
        (never, four, eight, own), used, moved = policies_at(variants, values)
        assert never == variants[0].policies
        assert four.idle.keeps_frac == eight.idle.keeps_frac == used[KEEPS]
        assert four.idle.releases_frac == own.idle.releases_frac == used[RELEASES]
        assert own.idle.keeps_frac == 0.0
        assert (four.idle.idle_h, eight.idle.idle_h) == (4.0, 8.0)
        assert moved == (values[KEEPS] + values[RELEASES] > 1.0)
        if moved:
            assert 0.99 < used[KEEPS] + used[RELEASES] <= 1.0
            way = [(used[p] - b) / (values[p] - b) for p, b in ((KEEPS, 0.2), (RELEASES, 0.3))]
            assert way[0] == pytest.approx(way[1])
        else:
            assert used == values
        shares.append(moved)
    assert 0 < sum(shares) < 40


def test_draws_have_names() -> None:
    """A parameter more would change what is drawn for the others."""
    two, one = (_scenario(VARIANTS, uncertain=u) for u in (UNCERTAIN, {KEEPS: UNCERTAIN[KEEPS]}))
    assert drawn(two, 3, "site/0")[KEEPS] == drawn(one, 3, "site/0")[KEEPS]
    assert drawn(two, 3, "site/0") != drawn(two, 3, "site/1") != drawn(two, 4, "site/1")
    values = [drawn(one, 3, f"site/{k}")[KEEPS] for k in range(400)]
    assert np.median(values) == pytest.approx(0.4, abs=0.06)
