"""What an import says of a federation: totals, records, and what is left out."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.accounts.opening import open_accounts, site_names
from analysis.accounts.records import covered_months, records_of
from analysis.accounts.rules import Rules, load_rules
from analysis.accounts.totals import totals
from analysis.accounts.use import use
from analysis.calibration.waves import Settings, Work, made_from
from analysis.federations import load_case, packaged
from analysis.hypotheses import targets
from analysis.observations import load_observations
from analysis.outputs import TargetValues, accounted
from analysis.records.reading import of_run
from sim.errors import ConfigError, DataError
from sim.runner import RunSpec, run_once
from tests.accounts_by_hand import import_folder, some_jobs, times

MONTHLY = {  # of North: 31 + 29 + 31 days of 2 GPUs, 2024-01-01 to 2024-04-01
    "job_id": np.array(["1"], dtype=object), "site": "North", "kind": "train", "state": "completed",
    "start_utc": times("2024-01-01"), "end_utc": times("2024-04-01"), "gpus": 2.0, "cpus": 3.0,
}  # fmt: skip


def _aggregates(*rows: tuple[str, str, str, float], **more: object) -> dict[str, object]:
    """Return aggregates of North's GPUs: from, to, project, GPU-h."""
    start, end, project, quantity = zip(*rows, strict=True)
    return {
        "period_start": times(*start), "period_end": times(*end), "site": "North",
        "project": np.array(project, dtype=object), "resource": "gpu", "ledger": "allocated",
        "quantity": np.array(quantity), "unit": "GPU-h", **more,
    }  # fmt: skip


@pytest.fixture
def quarterly(tiny):
    """Return the tiny federation with accounting periods of three months."""
    return replace(tiny, calendar=replace(tiny.calendar, period_months=3))


def _totals(folder: Path, federation, rules: Rules | None = None):
    rules = rules or Rules()
    accounts = open_accounts(folder, rules)
    names = site_names(accounts, rules, federation.sites)
    return {(t.resource, t.period): t for t in totals(accounts, federation.calendar, names)}


def test_jobs_are_totals_of_whole_periods(quarterly, tmp_path) -> None:
    """A job across months would be counted wrongly, or a quarter that is not covered scaled up."""
    found = _totals(import_folder(tmp_path / "d", MONTHLY), quarterly)
    assert found["gpu", "M1-M3"].quantity == (31 + 29 + 31) * 24 * 2
    assert found["cpu", "M1-M3"].quantity == (31 + 29 + 31) * 24 * 3
    assert not found["gpu", "M1-M3"].left_out
    assert len(found) == 2


def test_a_part_of_a_period_is_left_out_and_said(quarterly, tmp_path) -> None:
    """Half a quarter would be fitted as a whole one, or vanish without a word."""
    jobs = {**MONTHLY, "end_utc": times("2024-05-10T06:00:00")}
    found = _totals(import_folder(tmp_path / "d", jobs), quarterly)
    late = found["gpu", "M4-M6"]
    assert late.quantity == (30 + 9.25) * 24 * 2
    assert "2024-01-01 to 2024-05-10 (assumed" in late.left_out
    assert not found["gpu", "M1-M3"].left_out
    stated = Rules(covers="2024-01-02..2024-06-30")
    found = _totals(tmp_path / "d", quarterly, stated)
    assert "2024-01-02 to 2024-06-30 (stated)" in found["gpu", "M1-M3"].left_out
    assert not found["gpu", "M4-M6"].left_out


def test_what_lies_outside_the_calendar_is_said(quarterly, tmp_path) -> None:
    """Hours before the first month would be dropped silently."""
    jobs = {**MONTHLY, "start_utc": times("2023-12-31")}
    found = _totals(import_folder(tmp_path / "d", jobs), quarterly)
    assert found["gpu", "outside the calendar"].quantity == 48.0
    assert "before 2024-01-01" in found["gpu", "outside the calendar"].left_out


@pytest.mark.parametrize(
    ("rows", "quantity", "why"),
    [
        ([("2024-01-01", "2024-02-01", "a", 5.0), ("2024-02-01", "2024-04-01", "b", 7.0)], 12, ""),
        ([("2024-01-01", "2024-02-01", "a", 5.0), ("2024-03-01", "2024-04-01", "b", 7.0)], 12,
         "gap"),
        ([("2024-01-01", "2024-05-01", "a", 5.0)], 0, "across the edge"),
        ([("2024-01-01", "2024-04-01", "", 9.0), ("2024-01-01", "2024-04-01", "a", 5.0)], 9, ""),
        ([("2024-01-01", "2024-02-01", "", 9.0), ("2024-02-01", "2024-04-01", "a", 5.0)], 14,
         "some rows are of all projects"),
    ],
)  # fmt: skip
def test_aggregates_have_to_fill_a_period(quarterly, tmp_path, rows, quantity, why) -> None:
    """Months without figures would count as nothing used, or totals of all projects twice."""
    found = _totals(import_folder(tmp_path / "d", None, _aggregates(*rows)), quarterly)
    total = found["gpu", "M1-M3"]
    assert total.quantity == quantity
    assert why in total.left_out
    assert bool(why) == bool(total.left_out)


def test_months_with_a_known_gap_do_not_count(quarterly, tmp_path) -> None:
    """Months in which a tool was not tracked would be fitted as months of little use."""
    jobs = {**MONTHLY, "end_utc": times("2024-10-01")}
    rows = _aggregates(("2024-01-01", "2024-04-01", "", 9.0), ("2024-04-01", "2024-07-01", "", 9.0))
    rules = Rules(gaps=("2024-06-30..2024-07-02",))
    found = _totals(import_folder(tmp_path / "d", jobs), quarterly, rules)
    assert [p for (r, p), t in found.items() if r == "gpu" and t.left_out] == ["M4-M6", "M7-M9"]
    assert "2024-06-30 to 2024-07-02, gaps in data.yaml" in found["gpu", "M4-M6"].left_out
    accounts = open_accounts(tmp_path / "d", rules)
    assert covered_months(accounts, quarterly.calendar, 9) == range(1, 6)
    found = _totals(import_folder(tmp_path / "a", None, rows), quarterly, rules)
    assert [p for (_, p), t in found.items() if t.left_out] == ["M4-M6"]


def test_months_that_masks_of_the_import_touch(quarterly, tmp_path) -> None:
    """Months without a tool that was masked would be fitted unless somebody states it again."""
    folder = import_folder(tmp_path / "d", {**MONTHLY, "end_utc": times("2024-10-01")})
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["lacking"] = ["2024-07-01..2024-07-02"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for masked, left in (("left_out", ["M7-M9"]), ("fitted", [])):
        found = _totals(folder, quarterly, Rules(masked=masked))
        assert [p for (r, p), t in found.items() if r == "gpu" and t.left_out] == left


def _case(tmp_path: Path, federation, jobs=None, aggregates=None, rules: str = ""):
    folder = tmp_path / "mine"
    shutil.copytree(packaged()["tiny"], folder)
    (folder / "data.yaml").write_text(rules or "fits: all\n", encoding="utf-8")
    data = import_folder(tmp_path / "d", jobs, aggregates)
    return load_case(federation, folder, data=data)


def test_a_total_told_twice_is_shown_and_not_averaged(tiny, tmp_path) -> None:
    """Two figures of the same hours would both be fitted, or a contradiction be hidden."""
    jobs = {**MONTHLY, "end_utc": times("2024-07-01")}
    case = _case(tmp_path, tiny, jobs)
    gpu, cpu = (next(t for t in case.data.totals if t.resource == r) for r in ("gpu", "cpu"))
    assert "north_gpu_m1_m6 of observations.csv tells it" in gpu.left_out
    assert "contradict each other: 7,392 there, 8,736 here (+18.2 %)" in gpu.left_out
    assert not cpu.left_out  # the report's is provisioned, the data's allocated
    hypothesis = case.hypotheses.hypotheses["stated"]
    fitted = {t.id: t.value for t in targets(case.observations, hypothesis)}
    assert fitted["north_gpu_m1_m6"] == 7392.0
    assert fitted["data_cpu_allocated_s1_north_m1_m6"] == 182 * 24 * 3
    assert "data_gpu_allocated_s1_north_m1_m6" not in fitted


def test_an_equal_total_is_no_contradiction(tiny, tmp_path) -> None:
    """A figure that was written from the data would be called a contradiction of them."""
    rows = _aggregates(("2024-01-01", "2024-07-01", "", 7392.0))
    used = _case(tmp_path, tiny, None, rows).data
    (total,) = used.totals
    assert total.left_out.endswith("and the two agree")
    said = "totals: 0 fitted of 1 in the data; 1 are figures of the federation already, and agree"
    assert used.says()[-1] == said


def test_a_part_of_a_reported_sum_is_not_fitted_beside_it(tiny, tmp_path) -> None:
    """One site's hours would push out the sum of all sites, or count beside it."""
    folder = tmp_path / "own"
    shutil.copytree(packaged()["tiny"], folder)
    figures = folder / "observations.csv"
    kept = [x for x in figures.read_text().splitlines() if not x.startswith(("north_", "south_"))]
    figures.write_text("\n".join(kept) + "\n", encoding="utf-8")
    jobs = {**MONTHLY, "end_utc": times("2024-07-01")}
    case = load_case(tiny, folder, data=import_folder(tmp_path / "d", jobs))
    gpu = next(t for t in case.data.totals if t.resource == "gpu")
    assert "increment_gpu_m1_m6 of observations.csv has it in a sum of all sites" in gpu.left_out


def test_jobs_are_taken_before_aggregates_of_the_same(quarterly, tmp_path) -> None:
    """Hours in both tables would be fitted twice."""
    rows = _aggregates(("2024-01-01", "2024-04-01", "", 4000.0))
    folder = import_folder(tmp_path / "d", MONTHLY, rows)
    figures = load_observations(packaged()["tiny"] / "observations.csv").iloc[:0]
    taken = use(folder, Rules(fits="totals"), quarterly, figures)
    gpu = {t.origin: t.left_out for t in taken.totals if t.resource == "gpu"}
    assert gpu["jobs"] == ""
    assert "the jobs tell it, and they contradict each other" in gpu["aggregates"]


def test_totals_of_later_months_carry_the_reported_months_on(quarterly, tmp_path) -> None:
    """Figures after the last report would be projected and fitted at once."""
    jobs = {**MONTHLY, "end_utc": times("2024-10-01")}
    case = _case(tmp_path, quarterly, jobs)
    assert case.federation.reported_months == 9
    assert {t.period for t in case.data.totals if not t.left_out} >= {"M7-M9"}
    assert case.data.window == "M1-M9"


def test_sites_are_named_or_refused(tiny, tmp_path) -> None:
    """Hours of an unknown site would be dropped, or given to another one."""
    jobs = {**MONTHLY, "site": "Nort"}
    with pytest.raises(DataError, match=r"unknown site.*did you mean 'North'"):
        _case(tmp_path, tiny, jobs)
    shutil.rmtree(tmp_path / "mine")
    case = _case(tmp_path, tiny, jobs, rules="site_of: {Nort: South}\n")
    assert {t.site for t in case.data.totals} == {"South"}
    assert "site Nort of the data is South" in case.data.notes
    with pytest.raises(DataError, match=r"unknown site.*did you mean 'South'"):
        load_rules({"site_of": {"x": "Soth"}}, tiny.sites, tmp_path / "data.yaml")


def test_a_job_that_only_waited_has_no_site(tiny, tmp_path) -> None:
    """A queued job, which is at no site yet, would make the whole import useless."""
    waits = {"job_id": np.array(["q"], dtype=object), "state": "pending", "kind": "train",
             "user": "ada", "project": "vision", "gpus": 1.0, "cpus": 4.0}  # fmt: skip
    jobs = some_jobs(50, "2024-01-01", 170.0)
    both = pd.concat([pd.DataFrame(jobs), pd.DataFrame(waits)], ignore_index=True)
    columns = {name: both[name].to_numpy() for name in both if name != "site"}
    columns["site"] = np.array(["North"] * 50 + [""], dtype=object)
    case = _case(tmp_path, tiny, columns)
    assert {t.site for t in case.data.totals} == {"North"}


@pytest.mark.parametrize(
    "rules",
    [{"covers": "2024"}, {"covers": "2024-02-01..2024-01-01"}, {"covers": "2024-02-31..2024-03-01"},
     {"gaps": ["2024"]}, {"window": "M0-M3"}, {"fits": "some"}, {"shortest_min": -1},
     {"window_": "M1-M2"}],
)  # fmt: skip
def test_rules_without_sense_are_refused(tiny, tmp_path, rules) -> None:
    """A slip in data.yaml would be ignored, or end in a traceback."""
    with pytest.raises((ConfigError, DataError)):
        load_rules(rules, tiny.sites, tmp_path / "data.yaml")


def test_a_window_that_the_data_do_not_cover_is_refused(tiny, tmp_path) -> None:
    """Months without jobs would be fitted as months in which nobody worked."""
    with pytest.raises(DataError, match=r"no such window in the data.*M1-M3"):
        _case(tmp_path, tiny, MONTHLY, rules="window: M1-M6\n")


def test_records_of_jobs_are_those_of_the_model(tiny, tmp_path) -> None:
    """Jobs over nodes, jobs that serve, short or running ones would be other records than runs'."""
    jobs = {
        "job_id": np.array(list("abcdef"), dtype=object), "site": "North", "state": "completed",
        "kind": np.array(["train"] * 4 + ["infer", "cpu"], dtype=object),
        "start_utc": times("2024-01-02", "2024-01-03", "2024-01-04", "2023-12-31", "2024-01-02",
                           "2024-01-02"),
        "end_utc": times("2024-01-02T06:00", None, "2024-01-04T00:10", "2024-01-05", "2024-01-03",
                         "2024-01-03"),
        "gpus": np.array([9.0, 1.0, 1.0, 1.0, 1.0, 0.0]), "cpus": 1.0,
    }  # fmt: skip
    accounts = open_accounts(import_folder(tmp_path / "d", jobs, until="2024-03-01"), Rules())
    told = records_of(accounts, tiny, range(1, 3), "UTC", 0.5)
    assert told.deployments.gpus.tolist() == [3.0, 3.0, 3.0, 1.0]  # 9 GPUs, 4 a node
    assert told.deployments.held_h[:3].tolist() == [6.0, 6.0, 6.0]
    assert np.isnan(told.deployments.end_h[3])
    assert (told.serving, told.over_nodes, told.shorter) == (1, 1, 1)


def test_the_jobs_of_a_run_have_the_statistics_of_the_run(tiny, policies, tmp_path) -> None:
    """Records would be cut in another way than those of the runs they are held against."""
    result = run_once(RunSpec(tiny, policies))
    log = [d for d in result.logs.deployments if d.gpus]
    begin = np.datetime64("2024-01-01", "us")

    def at(hours: list[float]) -> np.ndarray:
        return begin + np.rint(np.array(hours) * 3.6e9).astype("timedelta64[us]")

    jobs = {
        "job_id": np.arange(len(log)).astype(str).astype(object), "site": "North", "kind": "train",
        "state": "completed", "start_utc": at([d.started_h for d in log]),
        "end_utc": at([d.released_h for d in log]), "gpus": np.array([float(d.gpus) for d in log]),
    }  # fmt: skip
    folder = import_folder(tmp_path / "d", jobs)
    rules = Rules(covers="2024-01-01..2024-12-31", window="M1-M6", shortest_min=120, fits="records")
    figures = load_observations(packaged()["tiny"] / "observations.csv")
    rows = use(folder, rules, tiny, figures).rows
    assert len(rows) == 9
    case = replace(load_case(tiny, packaged()["tiny"]), observations=rows)
    fitted = targets(rows, case.hypotheses.hypotheses["stated"])
    values = TargetValues(tuple(fitted), accounted(tiny))(result)
    assert values == pytest.approx([t.value for t in fitted], rel=1e-6)
    short = of_run(result, range(1, 7), "UTC")
    assert len(short.at_least(2.0)) < len(short)


def test_other_data_are_another_calibration(tiny, policies, tmp_path) -> None:
    """Runs kept from other data, or another window, would be taken for those of these."""
    made, folders = set(), set()
    every = ("", "window: M2-M5\n", "shortest_min: 60\n", "fits: totals\n")
    for number, rules in enumerate(every):
        place = tmp_path / str(number)
        place.mkdir()
        case = _case(place, tiny, some_jobs(300, "2024-01-01", 182.0), rules=rules)
        made.add(made_from(case, policies)["observations"])
        work = Work(case, policies, Settings(100, 50, 10, 0, 1), Path("kept"), None)
        folders.add(work.folder("saturating", 0))
    assert len(made) == len(folders) == 4


def test_where_an_import_lies_does_not_matter(tiny, policies, tmp_path) -> None:
    """The same data read again would be fitted anew."""
    found = []
    for name in ("a", "b"):
        case = load_case(tiny, packaged()["tiny"], data=import_folder(tmp_path / name, MONTHLY))
        found.append(made_from(case, policies))
    assert found[0] == found[1]


@pytest.mark.parametrize("damage", ["missing", "other", "garbage", "unfinished", "empty"])
def test_a_folder_that_is_no_import_is_refused(tiny, tmp_path, damage) -> None:
    """A damaged table would end in a traceback, or be read as another."""
    folder = import_folder(tmp_path / "d", MONTHLY)
    if damage == "missing":
        (folder / "jobs.parquet").unlink()
    elif damage == "other":
        pd.DataFrame({"x": [1]}).to_parquet(folder / "jobs.parquet")
    elif damage == "garbage":
        (folder / "jobs.parquet").write_bytes(b"PAR1 no")
    elif damage == "unfinished":
        (folder / "manifest.json").write_text('{"verb": "import", "status": "running"}')
    else:
        import_folder(folder)
    with pytest.raises(DataError):
        load_case(tiny, packaged()["tiny"], data=folder)


def test_names_of_the_data_do_nothing_in_the_page(tiny, tmp_path) -> None:
    """A site's name would be markup or a formula in what says how the data were used."""
    name = "=cmd()|<b>"
    jobs = {**MONTHLY, "site": name}
    case = _case(tmp_path, tiny, jobs, rules=f'site_of: {{"{name}": North}}\n')
    case.data.write(tmp_path / "out")
    page = (tmp_path / "out" / "data.md").read_text(encoding="utf-8")
    assert "<b>" not in page
    assert "=cmd()\\|&lt;b&gt;" in page
    assert "=cmd" not in (tmp_path / "out" / "data.csv").read_text(encoding="utf-8")
