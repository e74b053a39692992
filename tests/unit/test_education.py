"""Who forgets on which day, on plans written by hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from math import nan
from typing import Any

import pytest

from sim.engine.script import script_of
from sim.errors import EngineError
from sim.policies.promptness_ramp import PromptnessRamp
from tests.worlds_by_hand import FREE, Ask, federation, played, requests

RAMP = PromptnessRamp(0.9, date(2024, 1, 2), date(2024, 1, 6))  # of 0.5 in the world by hand


def _forgotten(draws: list[float], at_h: list[float], education: Any = RAMP) -> list[bool]:
    asks = requests([Ask(h) for h in at_h])
    asks = replace(asks, forget_draw=asks.forget_draw * 0.0 + draws)
    return script_of(asks, federation(), education).forgotten


def test_threshold_falls_day_by_day() -> None:
    """Users would learn at another time, all at once, or not at all."""
    levels = [0.5, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1]  # 1 to 8 January
    noons = [24.0 * day + 12.0 for day in range(8)]
    assert all(_forgotten([level - 1e-9 for level in levels], noons))
    assert not any(_forgotten([level + 1e-9 for level in levels], noons))


def test_day_of_the_request_decides() -> None:
    """The day would begin at another hour than midnight UTC, or the release's day count."""
    assert _forgotten([0.45] * 3, [47.99, 48.0, 71.99]) == [True, False, False]
    ask = Ask(47.0, bursts=(5.0,), tail_h=1.0, forgotten=True)
    logs = played(federation(), [ask], replace(FREE, education=replace(RAMP, prompt_frac=1.0)))
    assert [d.ended.value for d in logs.deployments] == ["released late"]


@dataclass(frozen=True)
class _Says:
    """A policy that always says the same and notes the days on which it is asked."""

    said: float
    days: list[date] = field(default_factory=list)

    def forget_frac(self, day: date, forget_frac: float) -> float:
        self.days.append(day)
        return self.said


def test_each_day_is_asked_about_once() -> None:
    """A policy would be asked for every request, or about days on which nobody asks."""
    always = _Says(1.0)
    assert _forgotten([0.99] * 4, [1.0, 2.0, 50.0, 51.0], always) == [True] * 4
    assert always.days == [date(2024, 1, 1), date(2024, 1, 3)]


@pytest.mark.parametrize("said", [-0.1, 1.1, nan])
def test_impossible_probability_is_refused(said: float) -> None:
    """A mistake in a policy would make everybody forget, or nobody."""
    with pytest.raises(EngineError, match="an education policy gave an impossible probability"):
        _forgotten([0.5], [1.0], _Says(said))
