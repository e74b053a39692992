"""Arrivals of requests: their rate, their bursts, and that windows and horizons change nothing."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from scipy import stats

from sim.applications import Bursts, Duration
from sim.entities import Rhythm
from sim.plan.calls import Calls, joined
from sim.plan.reader import CallReader, ColdStart, Work
from sim.plan.rhythm import work_clock
from sim.plan.traffic import (
    BLOCK,
    Intensity,
    PoissonReader,
    intensity,
)
from sim.rng import Streams
from sim.ticks import TICKS_PER_H, TICKS_PER_S
from sim.timeline import ProjectCalendar

YEAR = ProjectCalendar(date(2023, 1, 1), 12)
COLD = ColdStart(Duration(60.0, 0.3), Duration(20.0, 0.5), Duration(2.0), Duration(5.0, 0.5))
ALONE = Bursts()
RHYTHM = Rhythm(9, 18, 0.3, 0.05, 0.2)


def _reader(expected: Intensity, bursts: Bursts = ALONE, path: str = "app") -> CallReader:
    return PoissonReader(expected, bursts, Work(Duration(1.0, 1.0), COLD), Streams(5), path)


def _same(one: Calls, other: Calls) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("bursts", [Bursts(), Bursts(4.0, 1800.0)])
def test_windows_change_nothing(bursts: Bursts) -> None:
    """What a user asks would depend on how often the simulation looks."""
    expected = intensity(YEAR, 100.0, 3000.0, 0.1)
    horizon = 8760 * TICKS_PER_H
    whole = _reader(expected, bursts).until(horizon)
    reader = _reader(expected, bursts)
    edges = np.sort(np.random.default_rng(1).integers(0, horizon, 300))
    parts = [reader.until(int(edge)) for edge in (0, *edges, edges[-1], horizon)]
    assert _same(joined(parts), whole)
    assert (np.diff(whole.arrival) >= 0).all()
    assert all((p.arrival < e).all() for p, e in zip(parts[1:], edges, strict=False))
    assert len(reader.until(2 * horizon).arrival) == 0


@pytest.mark.parametrize("bursts", [Bursts(), Bursts(4.0, 1800.0)])
def test_a_shorter_horizon_is_the_beginning_of_a_longer(bursts: Bursts) -> None:
    """Calibration to a month and projection beyond it would not see the same requests."""
    short = ProjectCalendar(date(2023, 1, 1), 6)
    edge = int(short.horizon_h) * TICKS_PER_H
    one = _reader(intensity(short, 50.0, 3000.0, 0.1), bursts).until(edge)
    other = _reader(intensity(YEAR, 50.0, 3000.0, 0.1), bursts).until(edge)
    assert len(one.arrival) > 5000
    assert _same(one, other)


def test_arrivals_follow_the_rate() -> None:
    """Nights, weekends, summer or growth would not be what was configured."""
    clock = work_clock("ES", "Europe/Madrid", RHYTHM, YEAR)
    season = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.1, 1.0, 1.0, 1.0, 1.0)
    expected = intensity(YEAR, 24.5, 20_000.0, 0.05, clock.effective_h, season)
    found = _reader(expected).until(8760 * TICKS_PER_H).arrival
    counts = np.histogram(found, np.arange(8761) * TICKS_PER_H)[0]
    wanted = np.diff(expected.cumulative)
    assert counts[:24].sum() == 0
    assert 0.0 < wanted[24] < wanted[25] + 1e-9
    for group in (np.arange(8760) % 24, np.arange(8760) // 730):
        seen = np.bincount(group, counts)
        mean = np.bincount(group, wanted)
        statistic = float(((seen - mean) ** 2 / mean).sum())
        assert stats.chi2.sf(statistic, len(mean)) > 1e-4


def test_a_burst_is_a_folder_of_files() -> None:
    """Files of a folder would not come together, or there would be too many of them."""
    expected = intensity(YEAR, 0.0, 1000.0, 0.0)
    alone = _reader(expected).until(8760 * TICKS_PER_H).arrival
    files = _reader(expected, Bursts(5.0, 0.0)).until(8760 * TICKS_PER_H).arrival
    folders, sizes = np.unique(files, return_counts=True)
    assert np.array_equal(folders, alone)
    assert abs(sizes.mean() - 5.0) < 4.0 * sizes.std() / np.sqrt(len(sizes))
    spread = _reader(expected, Bursts(5.0, 2.0)).until(8760 * TICKS_PER_H).arrival
    late = len(files) - len(spread)  # files of the last folder that fall behind the horizon
    assert 0 <= late <= int(sizes[-1])
    assert spread[0] == files[0]
    assert 2 * TICKS_PER_S in np.diff(spread)


def test_durations_are_what_they_are_made_of() -> None:
    """A cold start would miss a part, or count one twice."""
    found = _reader(intensity(YEAR, 0.0, 5000.0, 0.0)).until(8760 * TICKS_PER_H)
    assert np.median(found.boot) == pytest.approx(60 * TICKS_PER_S, rel=0.02)
    assert np.median(found.pull) == pytest.approx(20 * TICKS_PER_S, rel=0.03)
    assert np.median(found.start) == pytest.approx(7 * TICKS_PER_S, rel=0.03)
    assert found.start.min() > 2 * TICKS_PER_S
    assert found.service.min() >= 1


def test_applications_are_independent() -> None:
    """Another application's requests would change with this one's."""
    expected = intensity(YEAR, 0.0, 1000.0, 0.0)
    one, other = (_reader(expected, path=p).until(10**15).arrival for p in ("a", "b"))
    assert not set(one.tolist()) & set(other.tolist())


def test_what_was_read_is_forgotten() -> None:
    """Memory would grow with the number of requests."""
    reader = _reader(intensity(YEAR, 0.0, 300_000.0, 0.0))
    held = []
    for day in range(365):
        reader.until((day + 1) * 24 * TICKS_PER_H)
        held.append(len(reader._pending.arrival))
    assert max(held) <= BLOCK
