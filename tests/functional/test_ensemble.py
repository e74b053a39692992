"""Many runs at once: a worker that dies is reported."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from sim.ensemble import run_many
from sim.errors import EngineError
from sim.runner import RunResult, RunSpec


def _die(result: RunResult) -> None:
    os._exit(1)


@pytest.mark.slow
def test_a_dead_worker_is_reported(tiny, policies) -> None:
    """Whoever waits for the runs would wait for ever, or see a traceback of a library."""
    spec = RunSpec(tiny, policies)
    with pytest.raises(EngineError, match="a worker process ended"):
        list(run_many([replace(spec, replicate=k) for k in range(4)], _die, jobs=2))
