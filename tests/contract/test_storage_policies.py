"""Every storage policy under conf/policy/storage keeps the contract: collected from the files."""

from __future__ import annotations

import pickle
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import yaml

import conf
from sim.config import build_policies
from sim.entities import StoreRole
from sim.errors import ConfigError
from sim.policies.base import FilesView, Inert
from sim.timeline import ProjectCalendar
from tests.configured import policies_data

FILES = sorted((Path(conf.__path__[0]) / "policy" / "storage").glob("*.yaml"))
CALENDAR = ProjectCalendar(date(2024, 3, 1), 12)
FIRST_H = CALENDAR.hours_at(date(2024, 9, 1))  # the first day of all that are dated


def _built(file: Path, **changes: object):
    data = {**policies_data()["storage"], **yaml.safe_load(file.read_text(encoding="utf-8"))}
    data = {k: str(v) if isinstance(v, date) else v for k, v in {**data, **changes}.items()}
    return build_policies({**policies_data(), "storage": data}).storage


def _seen(role: StoreRole) -> FilesView:
    time_h = np.linspace(0.0, CALENDAR.horizon_h - 1.0, 500)
    case, draw = np.arange(500) % 2, np.arange(500) * 0.37 % 1.0
    for column in (time_h, case, draw):
        column.setflags(write=False)
    return FilesView(role, time_h, case, np.full(500, 0.5), CALENDAR.hours_at, draw)


@pytest.mark.parametrize("role", StoreRole)
@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_storage_policy_is_frozen_deterministic_and_dated(file: Path, role: StoreRole) -> None:
    """A policy would keep state, not reach another process, or act before its first day."""
    policy = pickle.loads(pickle.dumps(_built(file)))
    with pytest.raises((AttributeError, TypeError)):
        policy.anything = 1
    view = _seen(role)
    until_h = policy.keep(view).until_h
    assert np.array_equal(until_h, policy.keep(view).until_h)
    assert until_h.shape == view.time_h.shape
    assert not np.isnan(until_h).any()
    ends = until_h < np.inf
    assert (until_h[ends] >= FIRST_H).all()
    acts = role is StoreRole.DATA and not isinstance(policy, Inert)
    assert ends.any() == acts
    assert not ends.all()


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("retire", "after_days", 0.0),
        ("retire", "needed_frac", 1.5),
        ("retire", "from_day", "soon"),
        ("quota", "tb_per_use_case", -1.0),
    ],
)
def test_impossible_storage_policies_are_refused(name: str, key: str, value: object) -> None:
    """A rule that nobody could announce would be played."""
    file = next(f for f in FILES if f.stem == name)
    with pytest.raises(ConfigError, match=rf"policy\.storage\.{key}"):
        _built(file, **{key: value})
