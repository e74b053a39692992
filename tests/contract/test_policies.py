"""Every policy under conf/policy keeps the contract: collected from the files, none named here."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import date
from math import isfinite
from pathlib import Path

import pytest
import yaml

import conf
from sim.applications import ApplicationKind
from sim.config import build_policies, check_policies
from sim.errors import ConfigError
from sim.policies.anti_affinity import AntiAffinity
from sim.policies.auto_release import AutoRelease
from sim.policies.base import (
    IdleRelease,
    IdleView,
    NodeView,
    Policies,
    PoolView,
    RequestView,
    Share,
    SwitchOff,
    Terms,
)
from sim.policies.give_back import GiveBack
from sim.policies.gpu_fractions import GpuFractions
from sim.policies.gpu_quota import GpuQuota
from sim.policies.home_with_failover import HomeWithFailover
from sim.policies.least_loaded import LeastLoaded
from sim.policies.promptness_ramp import PromptnessRamp
from sim.policies.scale_down import ScaleDown
from sim.serving.settings import policy_of, settings_of
from tests.configured import federation, policies_data
from tests.worlds_by_hand import application

FOLDER = Path(conf.__path__[0]) / "policy"
FILES = sorted(FOLDER.glob("*/*.yaml"))
KINDS = ("admission", "placement", "idle", "nodes", "serving")
ASKED = [f for f in FILES if f.parent.name in KINDS]
DEFAULT = policies_data(admission="none", placement="first_fit")
STRICT = AutoRelease(24.0, 4.0, 0.0, 0.1, 0.2, 0.3, 0.5, 0.1, 0.0, 1, 0.5, date(2024, 6, 1))


def _request(gpus: int = 1, held: int = 0, day: date = date(2024, 6, 1), draw: float = 0.5):
    return RequestView(0, gpus, 4, held, day, draw)


def _pool(name: str, weight: float = 1.0, held: int = 0, fits: bool = True) -> PoolView:
    return PoolView(name, weight, 8, 64, held, 4 * held, fits)


def _idle(
    computing: bool = False,
    detector: float = 0.9,
    reaction: float = 0.9,
    exempt: float = 0.9,
    day: date = date(2024, 9, 1),
    held_h: float = 100.0,
    gpus: int = 1,
) -> IdleView:
    return IdleView(0, gpus, 4, day, 6.0, held_h, computing, exempt, detector, reaction)


def _node(serves: bool = False, gpus: int = 1) -> NodeView:
    return NodeView("a", gpus, 64, serves, date(2024, 9, 1), 6.0)


def _answers(policy, kind: str, draws: list[float], pools: list[PoolView]) -> list:
    if kind == "placement":
        return [policy.place(_request(draw=u), pools) for u in draws]
    if kind == "admission":
        return [policy.admits(_request(held=int(4 * u))) for u in draws]
    if kind == "nodes":
        return [policy.switch_off(_node(serves)) for serves in (True, False)]
    if kind == "serving":
        return [settings_of(policy, k.name, application(kind=k)) for k in ApplicationKind]
    return [policy.release(_idle(c, u, v)) for c in (True, False) for u in draws for v in draws]


def _policies(file: Path, changes: dict) -> Policies:
    data = yaml.safe_load(file.read_text(encoding="utf-8")) | changes
    data = {k: str(v) if isinstance(v, date) else v for k, v in data.items()}
    return build_policies({**DEFAULT, file.parent.name: data})


def _built(file: Path):
    return getattr(_policies(file, {}), file.parent.name)


@pytest.mark.parametrize("file", ASKED, ids=lambda f: f"{f.parent.name}/{f.stem}")
def test_policy_is_frozen_deterministic_and_picklable(file) -> None:
    """A policy would keep state, differ between calls, or not reach another process."""
    policy = pickle.loads(pickle.dumps(_built(file)))
    with pytest.raises((AttributeError, TypeError)):
        policy.anything = 1
    pools = [_pool("a", fits=False), _pool("b", 2.0, 4), _pool("c", 1.0, 1)]
    before, kind, draws = list(pools), file.parent.name, [u / 10 for u in range(10)]
    answers = _answers(policy, kind, draws, pools)
    assert answers == _answers(policy, kind, draws, pools)
    assert pools == before
    if kind == "placement":
        assert all(a in (1, 2) for a in answers)
        assert policy.place(_request(), [_pool("a", fits=False)]) is None
    elif kind == "admission":
        assert all(a is None or isinstance(a, Terms) for a in answers)
    elif kind == "nodes":
        said = [h for a in answers if a is not None for h in a]
        assert all(isfinite(h) and h >= 0.0 for h in said)
        assert isinstance(policy.from_day, date)
    elif kind == "serving":
        assert all(policy_of(a) for a in answers)
        assert isinstance(policy.from_day, date)
    else:
        assert isinstance(policy.from_day, date)
        said = [a for a in answers if a is not None]
        assert all(isfinite(a.after_h) and a.after_h >= policy.shortest_h for a in said)
        assert all(isfinite(a.setup_h) and a.setup_h >= 0.0 for a in said)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}/{f.stem}")
def test_policy_refuses_unknown_parameters(file) -> None:
    """A misspelt parameter of a policy would be ignored."""
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    with pytest.raises(ConfigError, match="unknown key"):
        build_policies({**DEFAULT, file.parent.name: {**data, "no_such_parameter": 1}})


def test_quota_counts_from_its_day_and_only_gpus() -> None:
    """A quota would hold people back too early, too late, or for requests without GPUs."""
    quota = GpuQuota(2, date(2024, 1, 25))
    assert quota.admits(_request(held=1))
    assert not quota.admits(_request(held=2))
    assert quota.admits(_request(held=2, day=date(2024, 1, 24)))
    assert not quota.admits(_request(held=2, day=date(2024, 1, 25)))
    assert quota.admits(_request(gpus=0, held=9))


def test_home_is_drawn_by_weight_and_failover_goes_to_the_heaviest() -> None:
    """Requests would not be spread by weight, or fail over to the wrong pool."""
    pools = [_pool("a", 1.0), _pool("b", 3.0), _pool("c", 2.0)]
    home = HomeWithFailover()
    assert [home.place(_request(draw=u), pools) for u in (0.0, 0.16, 0.17, 0.66, 0.67, 0.99)] == [
        0, 0, 1, 1, 2, 2
    ]
    full = [pools[0]._replace(fits=False), *pools[1:]]
    assert home.place(_request(draw=0.0), full) == 1


def test_least_loaded_looks_at_the_scarce_resource() -> None:
    """Work would be placed where the most and not the least is in use."""
    pools = [_pool("a", held=4), _pool("b", held=1), _pool("c", held=0, fits=False)]
    assert LeastLoaded().place(_request(), pools) == 1


def test_anti_affinity_spreads_what_a_user_holds() -> None:
    """An outage would interrupt more of a user's work than need be, or ties go by chance."""
    pools = [_pool("a", 1.0), _pool("b", 3.0), _pool("c", 2.0)]
    spread = AntiAffinity()

    def placed(*held_in: str, draw: float = 0.0) -> int | None:
        return spread.place(_request(draw=draw)._replace(held_in=held_in), pools)

    assert [placed(draw=u) for u in (0.0, 0.17, 0.67)] == [0, 1, 2]  # home
    assert placed("a") == 1  # home holds more; the heaviest of the others
    assert [placed("a", "b"), placed("a", "b", "c"), placed("a", "b", "c", "a")] == [2, 0, 1]
    pools[1] = pools[1]._replace(fits=False)
    assert [placed("a"), placed("a", "c", "c"), placed("c", draw=0.5)] == [2, 0, 0]


def test_fractions_are_for_one_gpu_in_a_phase_from_a_day() -> None:
    """Work would share GPUs that cannot, or too early, or not as often as it could."""
    rule = GpuFractions(4, 0.3, ("onboarding",), 1.5, date(2024, 6, 1))
    fits = _request()._replace(phase="onboarding", share_draw=0.29)
    assert rule.share(fits) == Share(0.25, 1.5)
    for other in ({"gpus": 2}, {"phase": "training"}, {"share_draw": 0.3}):
        assert rule.share(fits._replace(**other)) is None
    assert rule.share(fits._replace(day=date(2024, 5, 31))) is None
    assert replace(rule, phases=()).share(fits._replace(phase="training")) is not None


@pytest.mark.parametrize("parts", [1, 3, 6, 128, 0])
def test_parts_that_do_not_add_up_are_refused(parts: int) -> None:
    """Sums of parts would be rounded, or a GPU not split at all."""
    with pytest.raises(ConfigError, match="power of two from 2 to 64, so that parts add up"):
        GpuFractions(parts, 0.5, (), 1.5, date(2024, 6, 1))


def test_unknown_phase_is_refused_with_the_nearest() -> None:
    """A misspelt phase would never be seen, and nothing be shared."""
    file = FOLDER / "sharing" / "fractions.yaml"
    check_policies(_policies(file, {}), federation("tiny"))
    wrong = _policies(file, {"phases": ["onboarding", "trainig"]})
    with pytest.raises(ConfigError, match=r"phases\.1: unknown phase.*did you mean 'training'"):
        check_policies(wrong, federation("tiny"))


def test_promptness_ramps_from_what_it_is_to_what_is_said() -> None:
    """Users would learn too early, too much, or unlearn."""
    ramp = PromptnessRamp(0.9, date(2024, 6, 1), date(2024, 6, 5))
    days = [date(2024, 5, 1), *(date(2024, 6, k) for k in range(1, 6)), date(2024, 9, 1)]
    found = [ramp.forget_frac(day, 0.5) for day in days]
    assert found == pytest.approx([0.5, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1])
    assert [ramp.forget_frac(day, 0.05) for day in days] == [0.05] * 7
    assert [ramp.forget_frac(day, 0.0) for day in days] == [0.0] * 7
    with pytest.raises(ConfigError, match=r"policy\.education\.ends"):
        replace(ramp, ends=date(2024, 6, 1))


def test_auto_release_counts_measured_idleness_from_its_day_and_after_grace() -> None:
    """Deployments would be released before anybody measured them, or while they are set up."""
    assert STRICT.release(_idle()) == IdleRelease(24.0, False, 0.5)
    assert STRICT.release(_idle(gpus=0)) is None
    early = _idle(day=date(2024, 5, 30))  # at 06:00: 42 h before the first day
    assert STRICT.release(early) == IdleRelease(66.0, False, 0.5)
    careful = replace(STRICT, grace_h=72.0)
    assert careful.release(_idle(held_h=10.0)) == IdleRelease(62.0, False, 0.5)
    assert careful.release(_idle(held_h=60.0)) == IdleRelease(24.0, False, 0.5)


def test_auto_release_acts_on_what_the_detector_sees() -> None:
    """False negatives, false positives or exemptions would not follow their probabilities."""
    acts = [
        [STRICT.release(_idle(computing, detector=u)) is not None for u in (0.19, 0.2, 0.29, 0.3)]
        for computing in (False, True)
    ]
    assert acts == [[False, True, True, True], [True, True, True, False]]
    assert STRICT.release(_idle(exempt=0.09)) is None
    assert STRICT.release(_idle(exempt=0.1)) is not None


def test_warned_users_keep_release_or_do_nothing() -> None:
    """Reactions to a warning would have other shares, or come without a warning."""
    reactions = (0.09, 0.1, 0.59, 0.6)
    assert [STRICT.release(_idle(reaction=u)) for u in reactions] == [
        None,
        IdleRelease(20.0, True, 0.5),
        IdleRelease(20.0, True, 0.5),
        IdleRelease(24.0, False, 0.5),
    ]
    assert STRICT.release(_idle(True, detector=0.0, reaction=0.3)) == IdleRelease(24.0, False, 0.5)
    silent = replace(STRICT, warning_h=0.0)
    assert {silent.release(_idle(reaction=u)) for u in reactions} == {IdleRelease(24.0, False, 0.5)}


def test_nodes_are_chosen_by_kind() -> None:
    """Nodes would be switched off that the operators have left out."""
    for pools, clusters in ((True, False), (False, True)):
        down = ScaleDown(1.0, 0.5, pools, clusters, date(2024, 1, 1))
        assert (down.switch_off(_node()) == SwitchOff(1.0, 0.5)) is pools
        assert (down.switch_off(_node(serves=True)) == SwitchOff(1.0, 0.5)) is clusters
    lends = GiveBack(2.0, 72.0, True, date(2024, 1, 1))
    assert lends.switch_off(_node()) == SwitchOff(48.0, 72.0)
    assert lends.switch_off(_node(serves=True)) is None
    assert lends.switch_off(_node(gpus=0)) is None
    assert replace(lends, gpus_only=False).switch_off(_node(gpus=0)) == SwitchOff(48.0, 72.0)
