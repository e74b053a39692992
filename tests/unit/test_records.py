"""Deployment records: read, taken from runs, reduced to statistics and shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.records.helios import BEGINS, ORIGIN, WEEKS, as_deployments, by_hour, read_jobs
from analysis.records.reading import (
    SHORTEST_H,
    Deployments,
    Window,
    of_run,
    read_records,
    window_of,
)
from analysis.records.recovery import BARE, DATA, IDLE, RECORDS
from analysis.records.rhythm import kinds_of_hours, rhythm_of
from analysis.records.summary import NAMES, OUTSIDE, STATISTICS, statistics
from analysis.records_page import draw_hours, draw_widths, outcome, recovery_table, value_table
from sim.entities import Federation, Rhythm
from sim.errors import DataError
from sim.plan.rhythm import work_clock
from sim.runner import RunResult, RunSpec, run_once
from sim.timeline import ProjectCalendar

ZONE = "Europe/Stockholm"
HEADER = "start_utc,end_utc,gpus,utilisation\n"
ROW = "2024-01-10T08:00:00Z,2024-01-10T18:00:00Z,1,0.5\n"
RHYTHM = Rhythm(8, 18, 0.3, 0.05, 0.35)


@pytest.fixture(scope="module")
def run(tiny, policies) -> RunResult:
    """Play a year of the tiny federation."""
    return run_once(RunSpec(tiny, policies, 3))


def _written(path: Path, rows: str, header: str = HEADER) -> Path:
    file = path / "records.csv"
    file.write_text(header + rows, encoding="utf-8")
    return file


def _read(file: Path, tiny: Federation) -> Deployments:
    return read_records(file, tiny.calendar, range(1, 3), ZONE)


def _made(start: list[float], end: list[float], share: list[float], hours: float) -> Deployments:
    window = Window(datetime(2024, 1, 1, tzinfo=UTC), hours, ZONE)
    gpus = np.ones(len(start), dtype=np.int64)
    return Deployments(np.array(start), np.array(end), gpus, np.array(share), window)


def test_a_run_and_its_file_say_the_same(run, tiny, tmp_path) -> None:
    """Data and simulation would be cut, or counted, in two ways."""
    frame = run.deployments_frame().dropna(subset=["started_h"])
    begins = pd.Timestamp(tiny.calendar.start_utc)
    start, end = (
        (begins + pd.to_timedelta(frame[c], unit="h")).map(lambda t: t.isoformat())
        for c in ("started_h", "released_h")
    )
    ended = frame["released_why"] != "still running at the horizon"
    share = frame["active_h"] / (frame["released_h"] - frame["started_h"]).clip(lower=SHORTEST_H)
    rows = pd.DataFrame(
        {"start_utc": start, "end_utc": end.where(ended, ""), "gpus": frame["gpus"],
         "utilisation": share.where(ended)}
    )  # fmt: skip
    rows.to_csv(tmp_path / "all.csv", index=False)
    for months in (range(1, 13), range(3, 8)):
        taken = of_run(run, months, ZONE)
        found = read_records(tmp_path / "all.csv", tiny.calendar, months, ZONE)
        assert len(taken) > 50
        assert found.start_h == pytest.approx(taken.start_h, abs=1e-6)
        assert found.end_h == pytest.approx(taken.end_h, abs=1e-6, nan_ok=True)
        assert (found.gpus == taken.gpus).all()
        assert found.utilisation == pytest.approx(taken.utilisation, abs=1e-6, nan_ok=True)
        assert statistics(found) == pytest.approx(statistics(taken), rel=1e-4)


def test_the_horizon_of_a_run_does_not_matter(run, tiny, policies) -> None:
    """Durations of simulated records would depend on how long after the window the run goes on."""
    calendar = replace(tiny.calendar, months=6)
    shorter = run_once(RunSpec(replace(tiny, calendar=calendar), policies, 3))
    one, other = of_run(shorter, range(1, 7), ZONE), of_run(run, range(1, 7), ZONE)
    assert np.isnan(other.end_h).any()
    for name in ("start_h", "end_h", "gpus", "utilisation"):
        assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True), name


def test_what_belongs_to_a_window(tiny, tmp_path) -> None:
    """A deployment from before the window, or its end after it, would bias durations."""
    rows = (
        "2023-12-31T23:00:00Z,2024-01-02T00:00:00Z,1,0.9\n"  # had started before
        "2024-02-29T12:00:00Z,2024-03-01T12:00:00Z,2,0.9\n"  # ended after
        "2024-01-10 09:30,2024-01-10 11:30,1,\n"  # UTC, utilisation not known
        "2024-01-20T01:30:00+02:00,,4,\n"  # still runs
        "2024-01-11T00:00:00Z,2024-01-11T01:00:00Z,0,1\n"  # without GPUs
        "2024-03-01T00:00:00Z,2024-03-02T00:00:00Z,1,1\n"  # starts after
    )
    found = _read(_written(tmp_path, rows), tiny)
    assert found.gpus.tolist() == [1, 4, 2]
    assert found.start_h[0] == 9 * 24 + 9.5
    assert np.isnan(found.end_h).tolist() == [False, True, True]
    assert np.isnan(found.utilisation).all()
    assert found.weekday.tolist() == [2, 5, 3]
    assert found.hour.tolist() == [10, 0, 13]
    assert found.held_h.tolist() == [2.0, 60 * 24 - 18 * 24 - 23.5, 12.0]


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        ("", "start_utc,end_utc,gpu,utilisation\n", "line 1: unknown column.*'gpus'"),
        ("", "start_utc,end_utc,utilisation\n", "line 1: missing column"),
        (ROW + ROW.replace("08:00:00Z", "8 o'clock"), HEADER, "line 3.*start_utc: not a time"),
        (ROW.replace("2024-01-10T08", "2024-13-10T08"), HEADER, "line 2.*start_utc: not a time"),
        (ROW.replace("2024-01-10T08:00:00Z", ""), HEADER, "line 2.*start_utc: missing"),
        (ROW.replace("T18", "T07"), HEADER, "line 2.*end_utc: ends before it starts"),
        (ROW.replace(",1,", ",1.5,"), HEADER, "line 2.*gpus: impossible number"),
        (ROW.replace(",1,", ",,"), HEADER, "line 2.*gpus: impossible number"),
        (ROW.replace(",1,", ",one,"), HEADER, "line 2.*gpus: not a number.*'one'"),
        (ROW + "\n" + ROW, HEADER, "line 3.*start_utc: missing"),
        (ROW.replace("0.5", "50"), HEADER, "line 2.*utilisation: no share.*not percent"),
        (ROW.replace("0.5", "-0.1"), HEADER, "line 2.*utilisation: no share"),
        (ROW.replace("2024", "2025"), HEADER, "nothing of the window"),
        ("a,b,c,d,e,f\n", HEADER, "line 2: more cells than columns"),
        (ROW + "a,b,c,d,e,f\n", HEADER, "cannot be read.*line 3"),
        ("", "", "cannot be read"),
    ],
)
def test_bad_records_are_refused_with_their_line(rows, header, said, tiny, tmp_path) -> None:
    """Records with a mistake would be fitted, or refused without saying where it is."""
    with pytest.raises(DataError, match=said):
        _read(_written(tmp_path, rows, header), tiny)


def test_bad_windows_are_refused(tiny, tmp_path) -> None:
    """A window outside of the calendar, or a made-up zone, would give empty records."""
    with pytest.raises(DataError, match="no such months"):
        window_of(tiny.calendar, range(10, 15), ZONE)
    with pytest.raises(DataError, match="unknown time zone"):
        window_of(tiny.calendar, range(1, 3), "Europe/Atlantis")
    with pytest.raises(DataError, match="no such file"):
        _read(tmp_path / "none.csv", tiny)


def test_statistics_by_hand() -> None:
    """A statistic would be of something else than it says."""
    # nine deployments, 10 h apart; the last still runs when the window of 100 h ends
    held = np.array([1.0, 2.0, 4.0, 8.0, 10.0, 12.0, 16.0, 20.0, np.nan])
    share = np.array([0.5, 0.5, 0.25, 0.5, 0.1, 0.5, 0.5, 0.9, np.nan])
    start = 10.0 * np.arange(1.0, 10.0)
    found = statistics(_made(start.tolist(), (start + held).tolist(), share.tolist(), 100.0))
    assert list(found) == list(NAMES)
    assert found["starts_first_half"] == 4.5
    assert found["starts_second_half"] == 5.5
    assert found["duration_p50"] == 10.0  # the last was seen for 10 h: a fifth of nine
    active = held[:-1] * share[:-1]
    idle = held[:-1] - active
    assert found["active_share"] == pytest.approx(active.sum() / held[:-1].sum())
    assert found["active_mean"] == pytest.approx(active.mean())
    assert found["idle_p95"] == pytest.approx(np.quantile(idle, 0.95))
    assert found["idle_per_active_p75"] == pytest.approx(np.quantile(idle / active, 0.75))
    long = np.sort(active)[4:]
    ratios = [i / a for a, i in zip(active, idle, strict=True) if a in long]
    assert found["long_idle_per_active_p25"] == pytest.approx(np.quantile(ratios, 0.25))
    # the third that computed least: 0.5, 1, 1 and 1 h, idle for 0.5, 1, 3 and 9 h
    assert found["brief_idle_over_8h"] == pytest.approx(1.5 / 5.0)
    assert found["brief_idle_over_24h"] == pytest.approx(0.5 / 5.0)
    # starts at 11:00 Monday, 21:00, 07:00, 17:00, 03:00, 13:00, 23:00, 09:00 and 19:00, local
    assert found["starts_at_night"] == pytest.approx(2.5 / 10.0)
    assert found["starts_on_weekends"] == pytest.approx(0.5 / 10.0)


def test_statistics_without_utilisation() -> None:
    """Statistics of idle time would be made up where nothing is known of it."""
    start = np.arange(20.0)
    shares = np.where(start < 17, np.nan, 0.5).tolist()
    found = statistics(_made(start.tolist(), (start + 5.0).tolist(), shares, 100.0))
    assert tuple(found) == OUTSIDE
    shares[:16] = [0.5] * 16
    assert tuple(statistics(_made(start.tolist(), (start + 5.0).tolist(), shares, 100.0))) == NAMES


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_statistics_have_logarithms(share) -> None:
    """One deployment that never, or always, computed would end a calibration with a nan."""
    for made in (
        _made([1.0], [1.0], [share], 100.0),
        _made([1.0], [np.nan], [np.nan], 100.0),
        _made([], [], [], 100.0),
    ):
        values = np.array(list(statistics(made).values()))
        assert (values > 0.0).all()
        assert np.isfinite(values).all()


def test_statistics_are_declared_once() -> None:
    """Two statistics would share a name, or one would have no unit."""
    assert len(set(NAMES)) == len(STATISTICS)
    assert all(s.unit and s.says for s in STATISTICS)


def test_hours_are_those_of_the_model() -> None:
    """Evenings and nights of the estimate would not be those of the model's rhythm."""
    calendar = ProjectCalendar(datetime(2024, 1, 1, tzinfo=UTC).date(), 1, 1)
    clock = work_clock("SE", "UTC", RHYTHM, calendar)
    tuesday = np.diff(clock.effective_h)[24:48]  # the 2nd of January, a working day
    weight = np.array([1.0, RHYTHM.evening_weight, RHYTHM.night_weight])[kinds_of_hours(RHYTHM)]
    assert tuesday / tuesday.max() == pytest.approx(weight)


def test_rhythm_by_hand_and_clusters() -> None:
    """A weight would be of other hours, or a script of forty starts pass for forty users."""
    # Monday to Friday: 4 starts in an office hour, 2 in an evening hour; weekends 2 in an office
    # hour, 1 in an evening hour; nights none
    hour = np.arange(4 * 168)
    local = (hour + 1) % 24  # winter in Stockholm
    weekend = ((hour + 1) // 24 % 7) >= 5
    kind = kinds_of_hours(RHYTHM)[local]
    count = np.array([4, 2, 0])[kind] // np.where(weekend, 2, 1)
    start = np.repeat(hour + 0.5, count)
    nan = [np.nan] * len(start)
    table = rhythm_of(_made(start.tolist(), nan, nan, 4 * 168.0), RHYTHM).set_index("weight")
    assert table.loc["evening_weight", "p50"] == pytest.approx(0.5, rel=0.01)
    assert table.loc["weekend_weight", "p50"] == pytest.approx(0.5, rel=0.01)
    assert table.loc["night_weight", "p95"] < 0.01
    assert (table["scatter"] == 1.0).all()
    random = np.random.default_rng(0)
    some = random.choice(start, 40)
    alone, many = some.tolist(), np.repeat(some, 40).tolist()
    width = []
    for times in (alone, many):
        nan = [np.nan] * len(times)
        row = rhythm_of(_made(sorted(times), nan, nan, 4 * 168.0), RHYTHM).iloc[0]
        width.append(np.log(row["p95"] / row["p05"]))
    assert width[1] > 0.7 * width[0]


def test_unknown_holidays_are_refused() -> None:
    """A wrong country would pass for one without holidays."""
    with pytest.raises(DataError, match="country without known holidays"):
        rhythm_of(_made([1.0], [2.0], [np.nan], 168.0), RHYTHM, "XX")


def test_the_jobs_of_the_other_platform() -> None:
    """The jobs would be of another file, or weeks in which only long ones are seen would count."""
    jobs = read_jobs()
    assert len(jobs) == 125_303
    assert jobs["service_sec"].max() == 48 * 3600
    last = ORIGIN + timedelta(seconds=float(jobs["arrival_s"].max()))
    end = BEGINS + timedelta(weeks=WEEKS)
    assert timedelta(0) < end - last < timedelta(minutes=5)
    found = as_deployments(jobs)
    per_day = np.bincount((found.start_h // 24).astype(int), minlength=7 * WEEKS)
    assert per_day.min() > 50
    hours = by_hour(jobs, RHYTHM)
    office = hours[(hours["day"] != "weekend") & hours["hour"].between(8, 17)]
    assert office["jobs"].mean() == pytest.approx(1.0)
    assert office["model"].tolist() == [1.0] * 10


def test_jobs_of_another_layout_are_refused(tmp_path) -> None:
    """A file of other columns would pass for the jobs."""
    (tmp_path / "jobs.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="unknown columns"):
        read_jobs(tmp_path / "jobs.csv")
    with pytest.raises(DataError, match="no such file"):
        read_jobs(tmp_path / "none.csv")


def _summary() -> pd.DataFrame:
    rows = [
        (
            data, kind, name, 100, 0.2 if data == RECORDS else 0.6, 0.9, 0.3,
            0.8 if data == BARE else 0.9,
        )
        for data in DATA
        for kind, name in (("parameter", "hold_time"), (IDLE, IDLE), ("quantity", "all GPU-h"))
    ]  # fmt: skip
    columns = ["data", "kind", "name", "sets", "ratio", "narrow", "ratio_in_units", "covered"]
    return pd.DataFrame(rows, columns=columns).assign(date="2026-01-01", made_from="abc")


def test_the_page_says_what_fails(tmp_path) -> None:
    """A study that missed what was asked would read like one that did not."""
    table = _summary()
    said = outcome(table)
    assert "With utilisation it passes for `hold_time`" in said
    assert "Without utilisation it **fails** for `hold_time`" in said
    assert said.count("**fails**") == 2
    assert recovery_table(table).count("**80%**") == 2
    assert value_table(table).count("0.60") == 6
    assert draw_widths(table, tmp_path).stat().st_size > 10_000
    hours = pd.DataFrame({"hour": [0, 1] * 2, "day": ["a"] * 2 + ["b"] * 2})
    hours["jobs"], hours["model"] = 1.0, 2.0
    assert draw_hours(hours, tmp_path).stat().st_size > 10_000
