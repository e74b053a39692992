"""Sweeps whose jobs run in other processes."""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace

import pytest
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.singleton import Singleton
from hydra.core.utils import setup_globals
from joblib import Parallel, delayed

from analysis import scenarios
from analysis.cli import _through_hydra
from analysis.federations import packaged, register
from sim.errors import EngineError

LAUNCH = BasicLauncher.launch


def _fails_with_seed_2(config) -> None:
    if config.seed == 2:
        raise EngineError("went wrong", "a job", "another seed")


VERB = SimpleNamespace(prepare=lambda config: config, execute=_fails_with_seed_2)


def _there(launcher: BasicLauncher, jobs: list, first: int, state: dict) -> list:
    setup_globals()
    Singleton.set_state(state)
    return LAUNCH(launcher, jobs, first)


def _elsewhere(launcher: BasicLauncher, job_overrides: list, initial_job_idx: int) -> list:
    """Launch jobs in another process."""
    state = Singleton.get_state()
    call = delayed(_there)(launcher, job_overrides, initial_job_idx, state)
    return Parallel(n_jobs=2)([call])[0]


@pytest.fixture
def known(here) -> None:
    """Make the packaged federations and scenarios known, as the command line does."""
    for folder in packaged().values():
        register(folder)
    for path in scenarios.packaged().values():
        scenarios.register(path)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(("seeds", "code"), [("1,2,3", 2), ("1,3", 0)])
def test_a_job_that_fails_in_another_process_is_reported(seeds, code, monkeypatch) -> None:
    """A sweep would end with 0 though one of its jobs failed."""
    monkeypatch.setattr(BasicLauncher, "launch", _elsewhere)
    arguments = ["-m", "federation=tiny", f"seed={seeds}"]
    assert _through_hydra("run", VERB, arguments) == code


@pytest.mark.skipif(not find_spec("hydra_plugins"), reason="the extra `sweep` is not installed")
@pytest.mark.usefixtures("known")
def test_joblib_launches_a_sweep() -> None:
    """Jobs could not run side by side, or their exit codes would be lost."""
    more = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    assert _through_hydra("run", VERB, ["-m", "federation=tiny", "seed=1,2,3", *more]) == 2
