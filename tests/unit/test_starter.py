"""What a new federation's folder says: numbers of hand-made jobs, and texts that stay texts."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
import yaml

from analysis.federations import federation_of, load_case
from analysis.starter import behaviour, missed
from analysis.starter.asked import Asked
from analysis.starter.facts import TotalFacts
from analysis.starter.gather import example, from_data
from analysis.starter.jobs import keys_of, most_at_once
from analysis.starter.sites import place_of
from analysis.starter.span import spanning
from analysis.starter.writing import number, texts
from sim.errors import ConfigError, DataError
from sim.policies.open_admission import OpenAdmission
from sim.runner import RunSpec, run_once
from tests import configured
from tests.accounts_by_hand import import_folder, some_jobs, times

ROW = {"site": "North", "kind": "train", "state": "completed"}


def _folder(facts, place):
    place.mkdir()
    for name, text in texts(facts, "./mine").items():
        (place / name).write_text(text, encoding="utf-8")
    return place


def test_the_calendar_is_of_whole_months_that_are_covered(tmp_path) -> None:
    """A month of which the data have a part would be fitted as a whole one."""
    data = import_folder(tmp_path / "d", some_jobs(200, "2025-11-20", 200.0))
    facts = from_data("mine", data, Asked())
    assert (facts.start, facts.reported_months, facts.period_months) == (date(2025, 12, 1), 6, 2)
    assert facts.months == 18
    stated = from_data("mine", data, Asked(covers="2025-11-01..2026-04-30", project_months=6))
    assert (stated.start, stated.reported_months, stated.months) == (date(2025, 11, 1), 6, 12)


def test_periods_with_a_gap_have_no_total(tmp_path) -> None:
    """A month that lacks something would be a reported one, or its gap forgotten by data.yaml."""
    data = import_folder(tmp_path / "d", some_jobs(200, "2026-01-01", 180.0), until="2026-07-01")
    facts = from_data("mine", data, Asked(gaps=("2026-03-10..2026-03-11",)))
    assert {t.period for t in facts.totals} == {"M1-M2", "M5-M6"}
    place = _folder(facts, tmp_path / "mine")
    case = load_case(federation_of(place), place, data=data)
    assert case.data.window == "M4-M6"
    left = {t.period: t.left_out for t in case.data.totals if t.resource == "gpu"}
    assert "gaps in data.yaml" in left["M3-M4"]


def test_a_part_of_a_month_is_no_federation(tmp_path) -> None:
    """Three days would be taken for a month."""
    data = import_folder(tmp_path / "d", some_jobs(20, "2025-11-20", 3.0))
    with pytest.raises(DataError, match="no whole month in the data"):
        from_data("mine", data, Asked())
    with pytest.raises(ConfigError, match="impossible accounting period"):
        spanning(date(2026, 1, 1), 5, Asked(period_months=3), "here")


def test_use_cases_are_projects_with_their_users_and_first_day(tmp_path) -> None:
    """A project would begin before its first job, or have users it never had."""
    jobs = {
        **ROW, "job_id": np.array(list("abcd"), dtype=object),
        "project": np.array(["old", "old", "new", "new"], dtype=object),
        "user": np.array(["u", "v", "u", "w"], dtype=object),
        "start_utc": times("2026-01-01", "2026-03-01", "2026-02-10", "2026-02-10"),
        "end_utc": times("2026-03-31", "2026-03-02", "2026-02-11", "2026-02-11"), "gpus": 1.0,
    }  # fmt: skip
    data = import_folder(tmp_path / "d", jobs, until="2026-04-01")
    old, new = from_data("mine", data, Asked()).use_cases
    assert (old.name, old.joins, old.users.value) == ("old", date(2026, 1, 1), 2)
    assert old.users_join_months.value == pytest.approx(59 * 24 / 730.5, rel=1e-2)
    assert (new.name, new.joins, new.users.value) == ("new", date(2026, 2, 10), 2)
    (one,) = from_data("mine", data, Asked(use_cases="all")).use_cases
    assert (one.joins, one.users.value) == (date(2026, 1, 1), 3)
    by_user = from_data("mine", data, Asked(use_cases="user", most_use_cases=2)).use_cases
    assert [c.name for c in by_user] == ["u", "others"]
    assert by_user[1].users.value == 2


def test_nodes_hold_the_most_that_was_held_at_once(tmp_path) -> None:
    """Nodes would be counted from jobs that follow each other, or lie outside the months."""
    jobs = {
        **ROW, "job_id": np.array(list("abcde"), dtype=object),
        "gpu_model": np.array(["a100", "a100", "a100", "v100", "a100"], dtype=object),
        "start_utc": times("2026-01-01", "2026-01-10", "2026-01-20", "2026-01-01", "2025-12-01"),
        "end_utc": times("2026-01-10", "2026-01-31", "2026-01-25", "2026-02-01", "2025-12-02"),
        "gpus": np.array([8.0, 6.0, 6.0, 1.0, 800.0]),
    }  # fmt: skip
    data = import_folder(tmp_path / "d", jobs, until="2026-02-01")
    facts = from_data("mine", data, Asked(covers="2026-01-01..2026-01-31", gpus_per_node=4))
    nodes = {p.gpu_model: p.nodes.value for p in facts.pools}
    assert nodes == {"a100": math.ceil(12 / 4 * 1.2), "v100": 1.0}
    span = spanning(date(2026, 1, 1), 1, Asked(), "here")
    table = pd.DataFrame({"start": times("2026-01-05", "2026-01-06"),
                          "end": times("2026-01-06", "2026-01-07")})  # fmt: skip
    assert most_at_once(table, np.array([2.0, 3.0]), span) == 3.0


def test_a_run_as_configured_gives_the_hours_of_the_data(tmp_path) -> None:
    """Rates, GPUs and lengths would each be right and their product wrong."""
    random = np.random.default_rng(1)
    jobs = some_jobs(4000, "2026-01-01", 181.0)
    large = random.random(4000) < 0.2  # large jobs are longer: means do not simply multiply
    jobs["gpus"] = np.where(large, 8.0, 1.0)
    jobs["end_utc"] = np.where(large, jobs["start_utc"] + 5 * (jobs["end_utc"] - jobs["start_utc"]),
                               jobs["end_utc"])  # fmt: skip
    folder = import_folder(tmp_path / "d", jobs, until="2026-07-01")
    for template, near in (("batch", 0.15), ("platform", 0.3)):
        facts = from_data("mine", folder, Asked(template=template, most_requests=10**6))
        place = _folder(facts, tmp_path / template)
        federation = federation_of(place)
        policies = replace(configured.policies(), admission=OpenAdmission())
        usage = run_once(RunSpec(federation, policies)).usage
        for resource in ("gpu", "cpu"):
            told = sum(t.quantity for t in facts.totals if t.resource == resource)
            months = facts.reported_months
            held = float(usage.monthly(resource, "allocated")[:months].sum())
            assert held == pytest.approx(told, rel=near), (template, resource)


def test_short_jobs_are_left_out_only_as_far_as_needed(tmp_path) -> None:
    """Jobs would be left out although a run is small, or so many that hours are missing."""
    jobs = some_jobs(2000, "2026-01-01", 181.0)
    held = np.where(np.arange(2000) % 2 == 0, 45, 36_000).astype("timedelta64[s]")
    jobs["end_utc"] = jobs["start_utc"] + held
    folder = import_folder(tmp_path / "d", jobs, until="2026-07-01")
    assert from_data("mine", folder, Asked()).work.shortest_min == 0
    few = from_data("mine", folder, Asked(most_requests=4000))
    assert few.work.shortest_min == 1
    assert "Jobs shorter than 1 min" in " ".join(few.notes)
    fewer = from_data("mine", folder, Asked(most_requests=100))
    assert fewer.work.shortest_min == 60  # of ten hours each none is lost
    kept = from_data("mine", folder, Asked(most_requests=100, most_lost_frac=0.0))
    assert kept.work.shortest_min == 0


def test_many_jobs_are_played_in_a_row(tmp_path) -> None:
    """A large cluster could not be played, or its hours would change when jobs are joined."""
    folder = import_folder(tmp_path / "d", some_jobs(3000, "2026-01-01", 181.0), until="2026-07-01")
    plain = from_data("mine", folder, Asked())
    joined = from_data("mine", folder, Asked(most_requests=500, most_lost_frac=0.0))
    assert joined.work.jobs_per_request == int(24 / behaviour.batch_mean_h(plain.work.hours)) == 5
    load = [f.work.requests_per_user_week.value * behaviour.batch_mean_h(f.work.hours)
            for f in (plain, joined)]  # fmt: skip
    assert load[0] == pytest.approx(load[1])
    variance = [
        math.expm1(f.work.hours["burst_sigma"].value ** 2)
        * behaviour.batch_mean_h(f.work.hours) ** 2 / f.work.jobs_per_request
        for f in (plain, joined)
    ]  # fmt: skip
    assert variance[0] == pytest.approx(variance[1])
    place = _folder(joined, tmp_path / "mine")
    case = load_case(federation_of(place), place, data=folder)
    assert case.data.window == ""
    assert "5 jobs in a row" in (place / "README.md").read_text(encoding="utf-8")


def test_totals_alone_make_a_federation(tmp_path) -> None:
    """Accounting that knows no jobs could not be planned from."""
    months = [f"2026-{m:02d}-01" for m in range(1, 8)]
    aggregates = {
        "period_start": times(*months[:-1], *months[:-1]),
        "period_end": times(*months[1:], *months[1:]), "site": "North",
        "project": np.array(["a", "b"] * 6, dtype=object), "ledger": "allocated",
        "resource": np.array(["gpu"] * 6 + ["cpu"] * 6, dtype=object),
        "quantity": np.array([7440.0] * 6 + [29760.0] * 6),
        "unit": np.array(["GPU-h"] * 6 + ["CPU-h"] * 6, dtype=object),
    }  # fmt: skip
    facts = from_data("mine", import_folder(tmp_path / "d", None, aggregates), Asked())
    assert facts.work.template == "platform"
    assert [c.name for c in facts.use_cases] == ["a", "b"]
    assert facts.work.cores == {4: 1.0}
    gpus = next(p for p in facts.pools if p.gpus_per_node)
    assert gpus.nodes.value == math.ceil(7440 / (28 * 24) * 2.0 * 1.2 / 4)
    federation = federation_of(_folder(facts, tmp_path / "mine"))
    case = load_case(federation, tmp_path / "mine", data=tmp_path / "d")
    assert [t.left_out for t in case.data.totals if "agree" not in t.left_out] == []


def test_what_a_constant_rate_missed_is_told_from_chance() -> None:
    """The model's error would be sized by the chance of a few large jobs, or not at all."""
    span = spanning(date(2026, 1, 1), 3, Asked(), "here")
    totals = [TotalFacts("North", "gpu", "allocated", f"M{m}-M{m}", q, "GPU-h", "")
              for m, q in ((1, 31.0), (2, 28.0), (3, 62.0))]  # fmt: skip
    (row,) = missed.residuals_of(totals, span, 0.1, {"gpu": 0.03}).to_dict("records")
    assert (row["fitted_to"], row["period"], row["site"]) == ("M2", "M3-M3", "all")
    assert row["log_residual"] == pytest.approx(math.log(2.0))  # one GPU-h a day before, two then
    assert row["variance"] == pytest.approx((0.01 + 0.03) * 1.5)
    logs = np.log([31.0, 28.0, 62.0])
    assert missed.scatter_of(totals, {}) == pytest.approx(logs.std(ddof=1))
    assert missed.scatter_of(totals, {"gpu": 9.0}) == 0.0
    jobs = pd.DataFrame({"start": times("2026-01-05", "2026-02-05"), "held_h": [2.0, 2.0],
                         "gpus": [1.0, 3.0], "cpus": [0.0, 0.0]})  # fmt: skip
    assert missed.chance_of(jobs, span) == {"gpu": 1.0}  # 3 (4 + 36) / 64, at most 1
    two = [*totals, *(replace(t, site="South", quantity=2 * t.quantity) for t in totals)]
    found = missed.residuals_of(two, span, 0.1, {})
    assert found["share"].dropna().tolist() == pytest.approx([1 / 3, 2 / 3])
    assert found["share_residual"].dropna().tolist() == pytest.approx([0.0, 0.0])


def test_names_stay_names(tmp_path) -> None:
    """A project's name would end a comment, open an interpolation or become a formula."""
    names = ["x\nbudgets: {gpu: 1.0}", "${oc.env:HOME}", "=cmd()", "# a", "null"]
    jobs = some_jobs(100, "2026-01-01", 181.0)
    jobs["project"] = np.array(names, dtype=object)[np.arange(100) % 5]
    jobs["site"] = np.array(["=cmd()|calc", "all"], dtype=object)[np.arange(100) % 2]
    facts = from_data("mine", import_folder(tmp_path / "d", jobs, until="2026-07-01"), Asked())
    written = texts(facts, "./mine")
    federation = federation_of(_folder(facts, tmp_path / "mine"))
    assert set(federation.budgets.values()) == {0.0}
    assert len(federation.use_cases) == 5
    assert "${" not in written["use_cases.yaml"]
    assert "=cmd" not in written["observations.csv"]
    assert yaml.safe_load(written["data.yaml"])["site_of"] == facts.site_of


def test_the_example_is_a_federation_of_its_own(tmp_path) -> None:
    """A folder without data would not load, or have figures its own model is far from."""
    for template in (None, "batch"):
        place = _folder(example("mine", Asked(template=template)), tmp_path / str(template))
        assert not (place / "data.yaml").exists()
        case = load_case(federation_of(place), place)
        notes = {"made up: replace it", "sum of what the sites told"}
        assert set(case.observations["note"]) == notes


def test_helpers_of_numbers_and_names() -> None:
    """Numbers would be read as texts or integers, keys twice, countries guessed silently."""
    for value in (1e-9, 0.00123456789, 1.0, 12345678.0, 1e15):
        read = yaml.safe_load(number(value))
        assert isinstance(read, float)
        assert read == pytest.approx(value, rel=1e-5, abs=1e-9)
    with pytest.raises(ValueError, match="nan"):
        number(math.nan)
    assert keys_of(["a b", "A-B", "..", ""]) == ["a-b", "a-b-2", "x", "x-2"]
    assert behaviour.around(0.2) == {1: 1.0}
    assert behaviour.around(3.0) == behaviour.around(2.99999) == {3: 1.0}
    assert sum(n * w for n, w in behaviour.around(5.3).items()) == pytest.approx(5.3)
    assert place_of(Asked(), "Asia/Shanghai").country == "CN"
    assert "assumed" in place_of(Asked(), None).source
    with pytest.raises(ConfigError, match="country"):
        place_of(Asked(country="XX"), None)


@pytest.mark.parametrize("held", [[0.5, 1.0, 8.0], [1.0], [0.0, 0.0, 5.0]])
def test_lengths_of_batch_jobs_have_median_and_mean_of_the_jobs(held) -> None:
    """Jobs of the model would be as long in the middle and hold other hours in all."""
    found = behaviour.batch_hours(np.array(held))
    assert found["burst_h"].value == pytest.approx(max(np.median(held), 1 / 60))
    if held[0] == 0.5:
        assert behaviour.batch_mean_h(found) == pytest.approx(np.mean(held))
