"""The plan: lives, rhythm of work, and what a longer horizon leaves as it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from analysis.fingerprint import digest, plain
from sim.entities import Delay, Era, Federation, Phase, Retraining, Rhythm
from sim.paths import with_value
from sim.plan.outages import draw_outages
from sim.plan.phases import Life, draw_life
from sim.plan.rhythm import WorkClock, work_clock
from sim.plan.world import draw_plan
from sim.policies.base import Policies
from sim.rng import Streams
from sim.runner import RunSpec, run_once
from sim.timeline import ProjectCalendar
from sim.units import MONTH_H
from tests.worlds_by_hand import START, federation, pool

CALENDAR = ProjectCalendar(START, 12)
RHYTHM = Rhythm(8, 18, 0.3, 0.05, 0.35)


def _phases() -> dict[str, Phase]:
    return {
        "learn": Phase(1.0, 0.0, 0.5, 0.0, 1.0, 0.1),
        "train": Phase(2.0, 0.0, 1.0, 1.0, 1.0, 0.5, models=True),
        "serve": Phase(1.0, 0.0, 0.25, 0.5, 1.0, 0.1),
    }


def _life(**changes: object) -> Life:
    plain = federation(months=12, phases=_phases())
    plain = with_value(plain, "retraining", Retraining(0.0, 1.0, 0.0, "train"))
    of = replace(plain, **changes)  # type: ignore[arg-type]
    return draw_life(of, "case", Streams(0))


def test_phases_follow_each_other() -> None:
    """A use case would not live through its phases in order and for their durations."""
    life = _life()
    assert life.starts_h.tolist() == [0.0, MONTH_H, 3 * MONTH_H]
    assert life.phase.tolist() == [0, 1, 2]
    assert life.rate.tolist() == [0.5, 1.0, 0.25]
    assert life.serving_h == 3 * MONTH_H


def test_pace_stretches_the_phases() -> None:
    """A slow use case would be as fast as the others."""
    of = with_value(federation(months=12, phases=_phases()), "use_cases.case.pace", 2.0)
    assert draw_life(of, "case", Streams(0)).serving_h == 6 * MONTH_H


def test_eras_multiply_the_rates_from_their_day_on() -> None:
    """An era would not change the rate, change it on another day, or change the phases."""
    plain = federation()
    eras = {"b": Era(date(2024, 4, 1), 2.0), "a": Era(date(2024, 2, 1), 0.5)}
    life = _life(demand=replace(plain.demand, eras=eras))
    april = CALENDAR.hours_at(date(2024, 4, 1))
    assert life.starts_h.tolist() == [0.0, MONTH_H, 744.0, april, 3 * MONTH_H]
    assert life.phase.tolist() == [0, 1, 1, 1, 2]
    assert life.rate.tolist() == [0.5, 1.0, 0.5, 2.0, 0.5]


@pytest.mark.parametrize(
    ("months", "starts"),
    [
        (1.0, [0.0, MONTH_H, 4 * MONTH_H]),
        (-0.25, [0.0, MONTH_H, 2.75 * MONTH_H]),
        (-2.0, [0.0, MONTH_H, 1440.0]),  # midnight of 1 March
    ],
)
def test_delay_moves_what_has_not_begun(months: float, starts: list[float]) -> None:
    """A delay would move the past, another time than told, or the future into the past."""
    life = _life(delay=Delay(date(2024, 3, 1), months))
    assert life.starts_h.tolist() == starts
    assert life.serving_h == starts[2]
    late = _life(delay=Delay(date(2023, 1, 1), -9.0))  # before it joins: all phases are skipped
    assert late.serving_h == 0.0
    assert late.phase.tolist() == [2]


@pytest.mark.parametrize("months", [-3.0, 3.0])
def test_delay_leaves_the_past_as_it_was(
    imagine: Federation, policies: Policies, months: float
) -> None:
    """What was reported would change because use cases will move to service at another time."""
    delayed = replace(imagine, delay=Delay(date(2024, 9, 1), months))
    before, other = (run_once(RunSpec(f, policies, seed=2)) for f in (imagine, delayed))
    one, two = (r.usage.quantity for r in (before, other))
    assert np.array_equal(one[:24], two[:24])
    assert not np.array_equal(one[24:], two[24:])
    for name, values in before.metrics().items():
        assert np.array_equal(values[:24], other.metrics()[name][:24]), name


def test_only_a_delay_that_is_set_is_in_the_fingerprint(imagine: Federation) -> None:
    """Posteriors made before there were delays would be taken for outdated, or one be ignored."""
    assert "delay" not in plain(imagine)
    delayed = [replace(imagine, delay=Delay(date(2024, 9, 1), m)) for m in (0.0, 3.0)]
    assert len({digest(f) for f in (imagine, *delayed)}) == 3


def test_retraining_interrupts_serving() -> None:
    """Retraining would begin before serving, last other than drawn, or never end."""
    life = _life(retraining=Retraining(6.0, 0.5, 0.0, "train"))
    later = life.phase[2:]
    assert len(later) > 2
    assert later.tolist() == [2, 1] * (len(later) // 2) + [2] * (len(later) % 2)
    spells = np.diff(life.starts_h[2:])[1::2]
    assert spells == pytest.approx(np.full(len(spells), 0.5 * MONTH_H), abs=1e-6)
    assert life.rate[3] == 1.0


def test_models_are_finished_in_phases_that_finish_models() -> None:
    """Models would be counted before training or after it."""
    of = with_value(federation(months=12, phases=_phases()), "use_cases.case.models", 40)
    models = draw_life(of, "case", Streams(0)).models_h
    assert len(models) == 40
    assert MONTH_H <= models[0] <= models[-1] <= 3 * MONTH_H


def test_users_join_over_their_months() -> None:
    """Nobody would be there on the first day, or users join later than the last."""
    of = with_value(federation(), "use_cases.case.users", 30)
    joins = draw_life(with_value(of, "use_cases.case.users_join_months", 6.0), "case", Streams(0))
    assert joins.users_join_h[0] == 0.0
    assert 0.0 < joins.users_join_h[1:].min() <= joins.users_join_h.max() <= 6 * MONTH_H


def _clock(country: str, zone: str) -> WorkClock:
    return work_clock(country, zone, RHYTHM, CALENDAR)


def _gained(clock: WorkClock, start: datetime, hours: float) -> float:
    """Return the effective hours of a span that begins at a UTC time."""
    begin = (start - datetime(2024, 1, 1)) / timedelta(hours=1)
    at = clock.effective_at(np.array([begin, begin + hours]))
    return float(at[1] - at[0])


def test_free_days_get_the_weekend_weight() -> None:
    """A Sunday or holiday would see as much work as a Monday."""
    clock = _clock("SE", "UTC")
    monday = _gained(clock, datetime(2024, 3, 11), 24.0)
    assert _gained(clock, datetime(2024, 3, 10), 24.0) == pytest.approx(0.35 * monday)
    good_friday = _gained(clock, datetime(2024, 3, 29), 24.0)
    assert good_friday == pytest.approx(0.35 * monday)
    assert _gained(clock, datetime(2024, 3, 28), 24.0) == pytest.approx(monday)


def test_nights_and_evenings_get_their_weights() -> None:
    """People would work at night as they do by day."""
    clock = _clock("SE", "UTC")
    office, evening, night = (_gained(clock, datetime(2024, 3, 11, h), 1.0) for h in (9, 20, 2))
    assert evening == pytest.approx(0.3 * office)
    assert night == pytest.approx(0.05 * office)


def test_work_follows_the_local_clock() -> None:
    """Users would work by the clock of Greenwich, or not change to summer time."""
    clock = _clock("GR", "Europe/Athens")
    winter, summer = datetime(2024, 3, 11), datetime(2024, 7, 8)
    office = _gained(clock, winter.replace(hour=6), 1.0)  # 08:00 in Athens
    assert _gained(clock, winter.replace(hour=5), 1.0) == pytest.approx(0.3 * office)
    assert _gained(clock, summer.replace(hour=5), 1.0) == pytest.approx(office)  # 08:00 too


def test_a_week_without_holidays_has_its_hours() -> None:
    """The rhythm would change how much is asked for, not only when."""
    assert _gained(_clock("SE", "UTC"), datetime(2024, 3, 11), 168.0) == pytest.approx(168.0)


def test_clock_can_be_turned_back() -> None:
    """Arrivals would be laid on other times than the intensity says."""
    clock = _clock("SE", "Europe/Stockholm")
    times = np.linspace(0.0, 8000.0, 1001)
    np.testing.assert_allclose(clock.time_at(clock.effective_at(times)), times, atol=1e-6)


def test_requests_avoid_nights_and_sundays(imagine: Federation) -> None:
    """The requests of a plan would not follow the rhythm of work."""
    arrival = draw_plan(imagine, 0).requests.arrival_h
    weekday = (arrival // 24.0 + imagine.calendar.start.weekday()) % 7
    counts = np.bincount(weekday.astype(int), minlength=7)
    assert counts[6] < 0.6 * counts[0]
    hour = arrival % 24.0
    assert (hour < 4.0).mean() < 0.5 * ((hour >= 9.0) & (hour < 13.0)).mean()


def test_outages_that_overlap_are_one() -> None:
    """A pool would come back in the middle of an outage, or twice."""
    from sim.entities import Outage

    days = [(1, 5, 1.0), (3, 9, 1.0), (9, 11, 0.5), (20, 21, 1.0)]
    outages = tuple(Outage(date(2024, 1, a), date(2024, 1, b), kept) for a, b, kept in days)
    of = federation({"pool": pool(outages=outages)})
    found = draw_outages(of, "pool", Streams(0))
    assert [(o.start_h, o.end_h, o.vms_kept_frac) for o in found] == [
        (0.0, 240.0, 0.5),
        (456.0, 480.0, 1.0),
    ]


@pytest.mark.parametrize("law", ["saturating", "deployed"])
def test_a_shorter_horizon_is_the_beginning_of_a_longer(
    imagine: Federation, policies: Policies, law: str
) -> None:
    """Usage in months 1 to 24 would depend on how far the simulation goes on."""
    of = with_value(imagine, "growth.law", law)
    long = run_once(RunSpec(of, policies, seed=3))
    short = run_once(RunSpec(with_value(of, "calendar.months", 24), policies, seed=3))
    assert np.array_equal(short.usage.quantity, long.usage.quantity[:24])
    for name, values in short.metrics().items():
        assert np.array_equal(values, long.metrics()[name][:24]), name


def test_half_a_year_of_the_reference_case_runs(imagine: Federation, policies: Policies) -> None:
    """A horizon before services, clusters and pools begin would end in an error."""
    short = with_value(with_value(imagine, "calendar.months", 6), "reported_months", 6)
    usage = run_once(RunSpec(short, policies)).usage_frame()
    assert usage["month"].max() == 6
