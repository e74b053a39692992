"""Clocks, totals, line numbers and repeated rows against slow and obvious ways to do the same."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analysis.accounting import opening
from analysis.accounting.tables import JOBS, frame_of
from analysis.accounting.times import iso_times
from analysis.accounting.totals import monthly
from tests.accounting_by_hand import import_of

ZONES = ("UTC", "Europe/Madrid", "Europe/Dublin", "Australia/Lord_Howe", "America/New_York",
         "Asia/Kathmandu", "Africa/Casablanca")  # fmt: skip
LOCAL = st.datetimes(datetime(1973, 1, 1), datetime(2199, 1, 1))
NEAR_A_CHANGE = st.builds(
    lambda at, shift: at + timedelta(minutes=shift),
    st.sampled_from([datetime(2026, 3, 29, 2), datetime(2026, 10, 25, 2), datetime(2026, 4, 5, 2),
                     datetime(2026, 10, 4, 2), datetime(2026, 3, 8, 2), datetime(2026, 11, 1, 1)]),
    st.integers(-180, 180),
)  # fmt: skip


@settings(deadline=None)
@given(
    locals_=st.lists(LOCAL | NEAR_A_CHANGE, min_size=1, max_size=20), zone=st.sampled_from(ZONES)
)
def test_local_times_are_those_of_the_standard_library(locals_, zone) -> None:
    """A local time would become another UTC than its first reading, or a reading be miscounted."""
    info = ZoneInfo(zone)
    found = iso_times(pa.array([t.isoformat() for t in locals_]), zone)
    offsets = [(info.utcoffset(t), info.utcoffset(t.replace(fold=1))) for t in locals_]
    for second, times in enumerate((found.utc, found.second)):
        wanted = [
            t - (both[second] if both[0] > both[1] else both[0])
            for t, both in zip(locals_, offsets, strict=True)
        ]
        assert times.tolist() == wanted
    assert found.twice == sum(a > b for a, b in offsets)
    assert found.skipped == sum(a < b for a, b in offsets)


@settings(deadline=None)
@given(
    moments=st.lists(st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1)), min_size=1),
    minutes=st.integers(-14 * 60, 14 * 60),
)
def test_times_with_an_offset_are_what_they_say(moments, minutes) -> None:
    """An offset would be ignored, or microseconds get lost."""
    sign, size = ("-" if minutes < 0 else "+"), abs(minutes)
    offset = f"{sign}{size // 60:02d}:{size % 60:02d}"
    texts = [(m + timedelta(minutes=minutes)).isoformat() + offset for m in moments]
    assert iso_times(pa.array(texts), "Europe/Madrid").utc.tolist() == moments


@pytest.mark.parametrize(
    "text",
    ["", "2026", "2026-09", "2026-9-1", "20260901", "2026-09-01T8:00", "2026-02-30", "2026-09-01T",
     "2026-09-01T24:00:01", "2026-09-01T10:60", "2026-09-01T10:00:00 Europe/Madrid", "NaT", "now",
     "2026-09-01T10:00:00+99:00", "٢٠٢٦-09-01", "2026-09-01T10:00:00.", "1e9"],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    """A text that is no full ISO time would be taken for one, or stop the others."""
    utc = iso_times(pa.array([text, "2026-09-01T10:00:00.123456789"]), "UTC").utc
    assert np.isnat(utc).tolist() == [True, False]
    assert utc[1] == np.datetime64("2026-09-01T10:00:00.123456")


JOB = st.tuples(
    st.datetimes(datetime(2023, 11, 1), datetime(2026, 3, 1)),
    st.none() | st.timedeltas(timedelta(0), timedelta(days=200)),
    st.integers(0, 64), st.integers(0, 10**6), st.sampled_from(["a", "b"]),
)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(jobs=st.lists(JOB, max_size=12), pieces=st.integers(1, 4))
@example(jobs=[(datetime(2024, 1, 1), timedelta(days=31), 1, 1, "a")], pieces=1)
@example(jobs=[(datetime(2024, 1, 31), timedelta(0), 1, 1, "a")], pieces=1)
def test_months_are_exact(jobs, pieces) -> None:
    """An hour would be in the wrong month, in none, or in two, when jobs run over their edges."""
    until = datetime(2025, 6, 15, 12)
    wanted: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
    for start, held, gpus, cpus, user in jobs:
        at, end = start, (until if held is None else start + held)
        while at < end:
            edge = datetime(at.year + at.month // 12, at.month % 12 + 1, 1)
            hours = Fraction((min(edge, end) - at) // timedelta(microseconds=1), 3_600_000_000)
            for resource, rate in (("gpu", gpus), ("cpu", cpus)):
                wanted[f"{at:%Y-%m}", user, resource] += rate * hours
            at = edge
    frame = frame_of(
        JOBS,
        {"user": [j[4] for j in jobs], "gpus": np.array([j[2] for j in jobs], float),
         "cpus": np.array([j[3] for j in jobs], float),
         "start_utc": np.array([j[0] for j in jobs], dtype="M8[us]"),
         "end_utc": np.array([j[0] + j[1] if j[1] is not None else "NaT" for j in jobs], "M8[us]")},
        len(jobs),
    )  # fmt: skip
    parts = [frame.iloc[n::pieces] for n in range(pieces)]
    found = monthly(parts, pd.Timestamp(until, tz=UTC), ("user",))
    table = found.set_index(["month", "user", "resource"])["quantity"].to_dict()
    assert table == pytest.approx({k: float(v) for k, v in wanted.items() if v}, rel=1e-12)


LINES = st.lists(
    st.sampled_from(["", "a,2026-09-01,1", '"a,b",2026-09-01,1', "a,2026-09-01", "é,2026-09-01,2",
                     'a",2026-09-01,1', "a,x,1", "a,2026-09-01,1,", "b\x01,2026-09-01,1"]),
    min_size=1, max_size=30,
)  # fmt: skip
WRONG = {"a,2026-09-01", 'a",2026-09-01,1', "a,x,1", "a,2026-09-01,1,", "b\x01,2026-09-01,1"}


@settings(max_examples=30, deadline=None)
@given(lines=LINES, end=st.sampled_from(["\n", "\r\n"]), block=st.sampled_from([1, 7, 64, 1 << 23]))
def test_line_numbers(lines, end, block) -> None:
    """A refused row would be looked for in the wrong line, whatever blocks the file is read in."""
    lines = [*lines, "z,2026-09-01,1"]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "BLOCK", block)
        text = "job_id,start_utc,gpus" + end + "".join(line + end for line in lines)
        result = import_of("tidy", Path(folder), text)
    wanted = [n for n, line in enumerate(lines, start=2) if line in WRONG]
    assert sorted(result.refused["row"].tolist()) == wanted
    assert result.done.rows["read"] == sum(line != "" for line in lines)


TOGETHER = st.sampled_from([1, 3, 500_000])  # rows that are looked at together


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["01", "02"]),
                               st.sampled_from(["", "2026-09-05", "2026-09-06"]),
                               st.sampled_from("12")), min_size=1, max_size=12),
       together=TOGETHER)  # fmt: skip
def test_each_job_counts_once(rows, together) -> None:
    """Rows of one job and start would count twice, or the wrong one of them win."""
    wanted: dict[tuple[str, str], tuple[str, str]] = {}
    for job, day, end, gpus in rows:
        if end or not wanted.get((job, day), ("",))[0]:
            wanted[job, day] = (end, gpus)
    text = "".join(f"{job},2026-09-{day},{end},{gpus}\n" for job, day, end, gpus in rows)
    with TemporaryDirectory() as folder, patch("analysis.accounting.marks._ROWS", together):
        result = import_of("tidy", Path(folder), "job_id,start_utc,end_utc,gpus\n" + text)
    jobs = result.jobs
    keys = zip(jobs["job_id"], jobs["start_utc"].dt.strftime("%d"), strict=True)
    ends = jobs["end_utc"].dt.strftime("%Y-%m-%d").fillna("")
    values = zip(ends, jobs["gpus"].map("{:.0f}".format), strict=True)
    assert dict(zip(keys, values, strict=True)) == wanted
    assert result.done.rows["merged"] == len(rows) - len(wanted)


SPAN = st.tuples(st.integers(0, 12), st.integers(1, 5), st.sampled_from("ab"), st.integers(1, 2))


@settings(max_examples=30, deadline=None)
@given(spans=st.lists(SPAN, min_size=1, max_size=10), together=TOGETHER)
def test_each_time_of_an_aggregate_counts_once(spans, together) -> None:
    """Periods that overlap would both count, or one that overlaps nothing be refused."""
    kept: list[tuple[int, int, str, int]] = []
    for start, length, site, quantity in spans:
        if not any(site == s and start < b and a < start + length for a, b, s, _ in kept):
            kept.append((start, start + length, site, quantity))
    begin = datetime(2026, 9, 1)
    text = "".join(
        f"{begin + timedelta(days=a):%Y-%m-%d},{begin + timedelta(days=a + n):%Y-%m-%d},{s},gpu,"
        f"active,{q}\n"
        for a, n, s, q in spans
    )
    head = "period_start,period_end,site,resource,ledger,quantity\n"
    with TemporaryDirectory() as folder, patch("analysis.accounting.marks._ROWS", together):
        found = import_of("tidy", Path(folder), head + text).aggregates
    first = pd.Timestamp(begin, tz=UTC)
    days = [(found[name] - first).dt.days for name in ("period_start", "period_end")]
    assert list(zip(*days, found["site"], found["quantity"], strict=True)) == kept
