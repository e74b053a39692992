"""Traces of invocations: read, scaled in time and volume, and repeated."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from analysis.traces import azure_2019, azure_2021
from sim.applications import Duration, Recorded, Replay
from sim.errors import DataError
from sim.plan.reader import ColdStart, Work
from sim.plan.replay import Trace, TraceReader, trace_of
from sim.rng import Streams
from sim.ticks import TICKS_PER_S

S = TICKS_PER_S
AZURE = Path(str(files("scenarios"))) / "measurements" / "azure2021_first200.csv"
TRACE = Trace(np.array([0.0, 1.0, 1.0, 8.0]), np.array([5.0, 0.0, 2.0, 3.0]), 10.0)


def _reader(replay: Replay, trace: Trace = TRACE, horizon_s: int = 1000) -> TraceReader:
    return TraceReader(
        trace, replay, 100 * S, horizon_s * S, Work(Duration(4.0), ColdStart()), Streams(0), "app"
    )


def test_a_trace_is_replayed_as_it_was() -> None:
    """Requests would come at other times, or take longer, than in the trace."""
    found = _reader(Replay("", repeat=False)).until(1000 * S)
    assert (found.arrival / S).tolist() == [100.0, 101.0, 101.0, 108.0]
    assert found.service.tolist() == [5 * S, 1, 2 * S, 3 * S]


def test_a_trace_begins_again_at_its_end() -> None:
    """The simulation would fall silent when the trace ends, or play on behind the horizon."""
    found = _reader(Replay(""), horizon_s=128).until(10**15)
    assert (found.arrival / S).tolist() == [
        *(100.0, 101.0, 101.0, 108.0),
        *(110.0, 111.0, 111.0, 118.0),
        *(120.0, 121.0, 121.0),
    ]


def test_time_is_stretched_and_durations_stay() -> None:
    """A slower trace would also compute longer."""
    found = _reader(Replay("", time_factor=2.5, repeat=False)).until(1000 * S)
    assert (found.arrival / S).tolist() == [100.0, 102.5, 102.5, 120.0]
    assert found.service.tolist() == [5 * S, 1, 2 * S, 3 * S]


@pytest.mark.parametrize("volume", [0.3, 1.0, 2.6])
def test_volume_scales_the_number_of_requests(volume: float) -> None:
    """Ten times the volume would not be ten times the requests, with their durations."""
    found = _reader(Replay("", volume=volume, spread_s=0.0), horizon_s=50_100).until(10**15)
    mean, count = volume * 4 * 5000, len(found.arrival)
    part = volume % 1.0
    assert abs(count - mean) <= 4.0 * np.sqrt(20_000 * part * (1.0 - part))
    assert np.mean(found.service == 5 * S) == pytest.approx(0.25, abs=0.02)
    assert (np.diff(found.arrival) >= 0).all()


def test_windows_change_nothing() -> None:
    """What is replayed would depend on how often the simulation looks."""
    replay = Replay("", volume=2.6, spread_s=25.0)
    whole = _reader(replay).until(1000 * S)
    reader = _reader(replay)
    parts = [reader.until(t * S) for t in (90, 100, 101, 117, 117, 300, 1000)]
    for column in whole._fields:
        joined = np.concatenate([getattr(part, column) for part in parts])
        assert np.array_equal(joined, getattr(whole, column))


def test_counts_a_minute_stay_in_their_minute() -> None:
    """A trace of counts would lose requests, or move them to another minute."""
    counts = (3, 0, 7, 1)
    trace = trace_of(Recorded((), None, counts, 240.0), Streams(0), "app")
    minutes = np.bincount((trace.arrival_s // 60.0).astype(int), minlength=4)
    assert minutes.tolist() == [*counts]
    found = _reader(Replay("", repeat=False), trace).until(1000 * S)
    assert set(found.service.tolist()) == {4 * S}


def test_azure_2021_is_read() -> None:
    """The layout of a published trace would be read wrongly."""
    everything = azure_2021(AZURE)
    assert len(everything.arrival_s) == 199
    assert everything.arrival_s[0] == 0.0
    assert (np.diff(everything.arrival_s) >= 0.0).all()
    assert trace_of(everything, Streams(0), "app").service_s.sum() > 0.0
    app = "7b2c43a2bc30f6bb438074df88b603d2cb982d3e7961de05270735055950a568"
    assert 0 < len(azure_2021(AZURE, app).arrival_s) < 199


def test_azure_2019_is_read(tmp_path: Path) -> None:
    """Counts of another function, or of another minute, would be replayed."""
    path = tmp_path / "day.csv"
    path.write_text(
        "HashOwner,HashApp,HashFunction,Trigger,1,2,3\no,a,f,http,1,0,4\no,a,g,queue,9,9,9\n"
    )
    assert azure_2019(path, "f").per_minute == (1, 0, 4)
    with pytest.raises(DataError, match="did you mean 'g'"):
        azure_2019(path, "gg")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("app,func,duration\n", "missing column"),
        ("app,func,end_timestamp,duration\n", "nothing in it"),
        ("app,func,end_timestamp,duration\na,f,1.0,x\n", "line 2, column duration: not a number"),
        ("app,func,end_timestamp,duration\na,f,1.0,\n", "line 2, column duration: not a number"),
        ("app,func,end_timestamp,duration\na,f,1.0,1\na,f,1.0,-1\n", "line 3: negative duration"),
        ("", "cannot be read"),
    ],
)
def test_a_bad_trace_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """A broken trace would be replayed, or end in a traceback."""
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        azure_2021(path)


def test_a_missing_trace_is_refused(tmp_path: Path) -> None:
    """A file that is not there would end in a traceback."""
    with pytest.raises(DataError, match="no such file"):
        azure_2021(tmp_path / "nothing.csv")
