"""Long series of runs: what was finished when one is interrupted is not done again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analysis import chunks
from analysis.chunks import run_in_chunks
from sim.runner import RunResult, RunSpec


def _number(result: RunResult) -> int:
    return result.spec.replicate


@pytest.fixture
def specs(tiny, policies, monkeypatch) -> list[RunSpec]:
    """Return seven short runs, to be kept three at a time."""
    monkeypatch.setattr(chunks, "CHUNK", 3)
    short = replace(tiny, calendar=replace(tiny.calendar, months=1, period_months=1))
    return [RunSpec(replace(short, reported_months=0), policies, 0, k) for k in range(7)]


class Counter:
    """Counts finished runs; interrupts after some of them."""

    def __init__(self, most: int = 99) -> None:
        """Start at none."""
        self.done, self.most = 0, most

    def __call__(self, count: int) -> None:
        """Count."""
        self.done += count
        if self.done >= self.most:
            raise KeyboardInterrupt


def test_an_interrupted_series_goes_on_where_it_was(specs, tmp_path: Path) -> None:
    """Finished runs would be lost with the chunk they belong to, or be played twice."""
    with pytest.raises(KeyboardInterrupt):
        run_in_chunks(lambda: specs, 7, _number, tmp_path, 1, Counter(5))
    kept = sorted(p.name for p in tmp_path.iterdir())
    assert kept == ["runs-00000.joblib", "runs-00003.part"]
    counter, played = Counter(), []

    def keep(result: RunResult) -> int:
        played.append(result.spec.replicate)
        return _number(result)

    assert run_in_chunks(lambda: specs, 7, keep, tmp_path, 1, counter) == list(range(7))
    assert played == [5, 6]
    assert counter.done == 7
    assert not list(tmp_path.glob("*.part"))
    assert run_in_chunks(list, 7, keep, tmp_path, 1, Counter()) == list(range(7))
