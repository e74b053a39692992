"""Every policy under conf/policy keeps the contract: collected from the files, none named here."""

from __future__ import annotations

import pickle
from datetime import date
from pathlib import Path

import pytest
import yaml

import conf
from sim.config import build_policies
from sim.errors import ConfigError
from sim.policies.base import PoolView, RequestView
from sim.policies.gpu_quota import GpuQuota
from sim.policies.home_with_failover import HomeWithFailover
from sim.policies.least_loaded import LeastLoaded

FOLDER = Path(conf.__path__[0]) / "policy"
FILES = sorted(FOLDER.glob("*/*.yaml"))
DEFAULT = {
    "admission": {"_target_": "sim.policies.open_admission.OpenAdmission"},
    "placement": {"_target_": "sim.policies.first_fit.FirstFit"},
}


def _request(gpus: int = 1, held: int = 0, day: date = date(2024, 6, 1), draw: float = 0.5):
    return RequestView(0, gpus, 4, held, day, draw)


def _pool(name: str, weight: float = 1.0, held: int = 0, fits: bool = True) -> PoolView:
    return PoolView(name, weight, 8, 64, held, 4 * held, fits)


def _built(file: Path):
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    data = {k: str(v) if isinstance(v, date) else v for k, v in data.items()}
    policies = build_policies({**DEFAULT, file.parent.name: data})
    return getattr(policies, file.parent.name)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}/{f.stem}")
def test_policy_is_frozen_deterministic_and_picklable(file) -> None:
    """A policy would keep state, differ between calls, or not reach another process."""
    policy = pickle.loads(pickle.dumps(_built(file)))
    with pytest.raises((AttributeError, TypeError)):
        policy.anything = 1
    pools = [_pool("a", fits=False), _pool("b", 2.0, 4), _pool("c", 1.0, 1)]
    before = list(pools)
    asked = [_request(draw=u / 10) for u in range(10)]
    if file.parent.name == "placement":
        answers = [policy.place(r, pools) for r in asked]
        assert answers == [policy.place(r, pools) for r in asked]
        assert all(a in (1, 2) for a in answers)
        assert policy.place(asked[0], [_pool("a", fits=False)]) is None
    else:
        assert [policy.admits(r) for r in asked] == [policy.admits(r) for r in asked]
    assert pools == before


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
