"""A simulated run out and in again: the same hours, by month and user."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.accounting.exports.from_run import (
    STATE_OF,
    begin_of,
    horizon_of,
    jobs_of,
    ledger_of,
)
from analysis.accounting.exports.snapshots import (
    STATUS_OF,
    snapshot_times_us,
    snapshots_of,
    write_snapshots,
)
from analysis.accounting.exports.swf import in_whole_seconds, names_table, write_swf
from analysis.accounting.tables import JOB_SCHEMA, JOBS, STATES, frame_of
from analysis.accounting.totals import monthly
from sim.engine.logs import Ended
from sim.runner import RunResult, RunSpec, run_once
from tests import configured
from tests.accounting_by_hand import Result, import_of

UNTIL = pd.Timestamp("2024-09-10", tz="UTC")
KEYS = ["month", "user", "resource"]


@pytest.fixture(scope="module", params=["as shipped", "other policies"])
def result(request, tiny) -> RunResult:
    """Return a run of the tiny federation, once with policies that end deployments."""
    others = {} if request.param == "as shipped" else {
        "idle": "auto_release", "sharing": "fractions", "admission": "maximum_lifetime",
    }  # fmt: skip
    return run_once(RunSpec(tiny, configured.policies(**others), seed=3, replicate=1))


def _by_user(table: pd.DataFrame) -> pd.Series:
    return table.set_index(KEYS)["quantity"].sort_index()


def _snapshots(jobs: pd.DataFrame, until: pd.Timestamp, folder: Path, **more) -> Result:
    write_snapshots(snapshots_of(jobs, until, **more), folder / "snapshots")
    files = sorted((folder / "snapshots").iterdir())
    return import_of("ai4_accounting", folder, *files)


def _swf(jobs: pd.DataFrame, until: pd.Timestamp, folder: Path, processors: str) -> Result:
    path = folder / f"{processors}.swf"
    write_swf(jobs, path, processors, until)
    return import_of("swf", folder, path, processors=processors)


def _named(table: pd.DataFrame, jobs: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the names for which SWF has numbers."""
    names = names_table(jobs)
    users = names[names["field"] == "user"]
    of = dict(zip(users["number"].astype(str), users["name"], strict=True))
    return table.assign(user=table["user"].map(of))


def _same_as_the_ledger(found: pd.Series, result: RunResult, resource: str) -> None:
    """Hold hours of users' months to the run's own to 1e-9.

    Times are rounded to microseconds: an edge may be off by half of one for each core that is held.
    """
    mine = _by_user(ledger_of(result))
    mine = mine[mine.index.get_level_values("resource") == resource]
    assert len(mine) > 30
    assert found.index.equals(mine.index)
    assert found.to_numpy() == pytest.approx(mine.to_numpy(), rel=1e-9, abs=1e-9)


def test_the_ledger_of_users_is_that_of_use_cases(result: RunResult) -> None:
    """Users would be told other hours than `usage.parquet` has."""
    usage = result.usage_frame()
    service = result.spec.federation.development_service
    rows = (usage["ledger"] == "allocated") & (usage["installation"] == service)
    by_case = usage[rows].groupby(["use_case", "resource"])["quantity"].sum().to_dict()
    mine = ledger_of(result)
    mine = mine.assign(use_case=mine["user"].str.partition("/")[0])
    assert mine.groupby(["use_case", "resource"])["quantity"].sum().to_dict() == by_case


def test_a_run_as_jobs(result: RunResult) -> None:
    """A run would give a table that no reader could give."""
    jobs = jobs_of(result)
    JOB_SCHEMA.validate(jobs)
    assert set(STATE_OF) == set(Ended)
    assert jobs["job_id"].is_unique
    found = _by_user(monthly([jobs], horizon_of(result), by=("user",)))
    for resource in ("gpu", "cpu"):
        mine = found[found.index.get_level_values("resource") == resource]
        _same_as_the_ledger(mine, result, resource)


@pytest.mark.parametrize("interval_h", [6.0, 5.0])
def test_snapshots_out_and_in(result: RunResult, interval_h: float, tmp_path) -> None:
    """Snapshots of a run would be read as other hours than those simulated."""
    jobs, until = jobs_of(result), horizon_of(result)
    back = _snapshots(jobs, until, tmp_path, interval_h=interval_h, begin=begin_of(result))
    assert back.done.until == until
    assert len(back.jobs) == len(jobs)
    found = _by_user(monthly([back.jobs], until, by=("user",)))
    sent = _by_user(monthly([jobs], until, by=("user",)))
    assert found.index.equals(sent.index)
    assert found.tolist() == sent.tolist()  # to the last bit
    for resource in ("gpu", "cpu"):
        mine = found[found.index.get_level_values("resource") == resource]
        _same_as_the_ledger(mine, result, resource)
    columns = ["job_id", "user", "site", "kind", "start_utc", "end_utc", "gpus", "cpus"]
    began = [t[t["start_utc"].notna()].sort_values("job_id")[columns].reset_index(drop=True)
             for t in (back.jobs, jobs)]  # fmt: skip
    pd.testing.assert_frame_equal(*began, check_dtype=False)


@pytest.mark.parametrize("processors", ["gpus", "cores"])
def test_swf_out_and_in(result: RunResult, processors: str, tmp_path) -> None:
    """A workload file of a run would be read as other hours than those simulated."""
    jobs, until = jobs_of(result), horizon_of(result)
    back = _swf(jobs, until, tmp_path, processors)
    found = _by_user(_named(monthly([back.jobs], until, by=("user",)), jobs))
    resource = {"gpus": "gpu", "cores": "cpu"}[processors]
    sent = _by_user(monthly([jobs], until, by=("user",)))
    assert found.tolist() == sent[sent.index.get_level_values("resource") == resource].tolist()
    _same_as_the_ledger(found, result, resource)
    assert len(back.jobs) == (jobs["gpus" if processors == "gpus" else "cpus"] > 0).sum()


def test_run_time_times_processors(result: RunResult, tmp_path) -> None:
    """The rule by which everybody adds up SWF would give another total than ours."""
    jobs, until = jobs_of(result), horizon_of(result)
    for some, off_s in ((jobs, 0.0), (in_whole_seconds(jobs), 1.0)):
        write_swf(some, tmp_path / "a.swf", "cores", until)
        rows = np.loadtxt(tmp_path / "a.swf", comments=";")
        ran = rows[rows[:, 3] >= 0.0]
        total = float((ran[:, 3] * ran[:, 4]).sum() / 3600.0)
        mine = monthly([some], until)
        mine = mine[mine["resource"] == "cpu"]["quantity"].sum()
        assert total == pytest.approx(mine, rel=1e-12)
        ledger = ledger_of(result)
        ledger = ledger[ledger["resource"] == "cpu"]["quantity"].sum()
        assert abs(total - ledger) <= 1e-9 * ledger + off_s * ran[:, 4].sum() / 3600.0
        assert bool((rows[:, 1:4] == np.rint(rows[:, 1:4])).all()) == bool(off_s)
        assert (np.diff(rows[:, 1]) >= 0.0).all()


def test_every_key_of_the_format_is_there(result: RunResult) -> None:
    """Scripts of ai4-accounting would stop at a key that is missing."""
    keys = {
        "job_ID", "name", "status", "owner", "title", "description", "docker_image",
        "docker_command", "submit_time", "resources", "endpoints", "active_endpoints",
        "main_endpoint", "alloc_ID", "datacenter", "alloc_start", "alloc_end",
    }  # fmt: skip
    found = snapshots_of(jobs_of(result), horizon_of(result), 24.0, "ns", begin_of(result))
    records = [job for _, text in found for job in json.loads(text)["ns"]]
    assert {frozenset(job) for job in records} == {frozenset(keys)}
    resources = {"cpu_num", "cpu_MHz", "gpu_num", "memory_MB", "disk_MB"}
    assert {frozenset(job["resources"]) for job in records} == {frozenset(resources)}
    starts = {len(job["alloc_start"]) for job in records if job["alloc_start"]}
    assert starts == {len("2024-09-01T00:10:00.123456789Z")}
    assert {job["status"] for job in records} >= {"running", "queued", "complete", "dead"}


def test_times_of_snapshots() -> None:
    """Snapshots would not be of whole intervals, or the last moment of a run not be seen."""
    hour = 3_600_000_000
    assert snapshot_times_us(5 * hour, 18 * hour, 6.0) == [6 * hour, 12 * hour, 18 * hour]
    assert snapshot_times_us(6 * hour, 13 * hour, 6.0) == [12 * hour, 13 * hour]
    assert snapshot_times_us(0, hour, 6.0) == [hour]


TIMES = st.integers(0, 9 * 86_400_000_000)
BEGIN_US = pd.Timestamp("2024-09-01", tz="UTC").value // 1000
NAMES = st.sampled_from(["u1", "a b", '"=cmd()"', "é; |", ""])


@st.composite
def _jobs(draw) -> pd.DataFrame:
    """Draw jobs of any length, some of them running or waiting."""
    rows = []
    for number in range(draw(st.integers(1, 6))):
        us = sorted(draw(st.lists(TIMES, min_size=3, max_size=3)))
        kind = draw(st.sampled_from(["ended", "running", "waiting", "withdrawn"]))
        submit, start, end = (np.datetime64(BEGIN_US + t, "us") for t in us)
        nat = np.datetime64("NaT", "us")
        rows.append({
            "job_id": str(number + 1), "user": draw(NAMES), "project": draw(NAMES),
            "site": draw(NAMES), "submit_utc": submit,
            "start_utc": nat if kind in ("waiting", "withdrawn") else start,
            "end_utc": nat if kind in ("waiting", "running") else end,
            "state": {"ended": draw(st.sampled_from(["completed", "failed", "cancelled"])),
                      "running": "running", "waiting": "pending", "withdrawn": "cancelled"}[kind],
            "gpus": float(draw(st.sampled_from([0, 1, 3]))), "cpus": float(draw(st.integers(1, 9))),
            "mem_gb": draw(st.sampled_from([8.0, np.nan])),
        })  # fmt: skip
    table = pd.DataFrame(rows)
    columns = {name: table[name].to_numpy() for name in table}
    columns["kind"] = np.where(table["gpus"] > 0, "train", "cpu")
    return frame_of(JOBS, {**columns, "source": "x"}, len(rows))


def _without_source(result: Result) -> pd.DataFrame:
    table = result.jobs.drop(columns="source").sort_values(["job_id", "start_utc"])
    return table.reset_index(drop=True)


@settings(max_examples=30, deadline=None)
@given(jobs=_jobs(), interval_h=st.sampled_from([6.0, 24.0, 0.5]))
def test_snapshots_of_what_was_read_are_the_same(jobs, interval_h, tmp_path_factory) -> None:
    """A second round through snapshots would change what the first has left."""
    folders = [tmp_path_factory.mktemp(name) for name in "ab"]
    once = _snapshots(jobs, UNTIL, folders[0], interval_h=interval_h)
    again = _snapshots(once.jobs, UNTIL, folders[1], interval_h=interval_h)
    pd.testing.assert_frame_equal(_without_source(once), _without_source(again))
    sent, back = (monthly([t], UNTIL, ("job_id",)) for t in (jobs, once.jobs))
    pd.testing.assert_frame_equal(sent, back, check_dtype=False, rtol=0.0, atol=0.0)


@settings(max_examples=30, deadline=None)
@given(jobs=_jobs())
def test_swf_of_what_was_read_is_the_same(jobs, tmp_path_factory) -> None:
    """A second round through SWF would change what the first has left."""
    folders = [tmp_path_factory.mktemp(name) for name in "ab"]
    once = _swf(jobs, UNTIL, folders[0], "cores")
    again = _swf(once.jobs, UNTIL, folders[1], "cores")
    pd.testing.assert_frame_equal(_without_source(once), _without_source(again))


def test_every_state_has_a_status() -> None:
    """A state would stop an export."""
    assert set(STATUS_OF) == set(STATES)


def test_names_stay_on_their_line(tmp_path) -> None:
    """A name with a line break would write a job of its own into the file."""
    columns = {"job_id": ["1"], "user": ["a\n2 0 0 9 9"], "site": ["x\n3 0 0"], "cpus": [1.0],
               "start_utc": np.array(["2024-09-01"], dtype="M8[us]")}  # fmt: skip
    write_swf(frame_of(JOBS, columns, 1), tmp_path / "a.swf", "cores", UNTIL)
    lines = (tmp_path / "a.swf").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if not line.startswith(";")]) == 1
