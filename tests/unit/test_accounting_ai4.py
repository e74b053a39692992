"""Snapshots of ai4-accounting: a job is in many of them, and what it held is known exactly."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.accounting.ai4.snapshots import QUANTITIES, sighting, snapshots, time_of
from analysis.accounting.ai4.summaries import COUNTED, summaries
from analysis.accounting.ai4.watching import Watch, gaps, held_by
from sim.errors import ConfigError, DataError
from tests.accounting_by_hand import GOLDEN, Result, import_of
from tests.configured import ROOT

DAY = "2024-09-02T"


def _job(job_id: str = "1", start: str | None = None, end: str | None = None,
         **changed: Any) -> dict[str, Any]:  # fmt: skip
    resources = {"cpu_num": 4, "cpu_MHz": 8000, "gpu_num": 2, "memory_MB": 8000, "disk_MB": 100}
    resources |= changed.pop("resources", {})
    status = "queued" if start is None else "running" if end is None else "complete"
    return {
        "job_ID": job_id, "name": f"module-{job_id}", "status": status, "owner": "u1", "title": "t",
        "docker_image": "x", "submit_time": "2024-09-01 22:00:00", "alloc_ID": f"a{job_id}",
        "datacenter": "ifca", "alloc_start": start, "alloc_end": end, **changed,
        "resources": resources,
    }  # fmt: skip


def _written(folder: Path, shown: dict[str, Any], namespace: str = "ns") -> list[Path]:
    """Write snapshots, given by the hour of 2 September or by their whole name."""
    paths = []
    for name, records in shown.items():
        path = folder / (f"{DAY}{name}:00:00.json" if len(name) == 2 else name)
        data = records if isinstance(records, dict) else {namespace: records}
        path.write_text(json.dumps(data), encoding="utf-8")
        paths.append(path)
    return paths


def _read(folder: Path, shown: dict[str, Any], **options: Any) -> Result:
    return import_of("ai4_accounting", folder, *_written(folder, shown), **options)


def test_golden(tmp_path) -> None:
    """The golden file would give other hours than those computed by hand."""
    path = GOLDEN / "ai4_accounting.2024-09-02T00-00-00.json"
    result = import_of("ai4_accounting", tmp_path, path)
    # 1 runs from 00:10:00.123456 (nanoseconds are cut) to the snapshot, a day later at 00:00, on
    #   1 GPU and 4 cores. 2 is queued and holds nothing. 3 hides 2 cores in cpu_MHz: 12 h in
    #   August, 6 h in September.
    held_h = 24.0 - 600.123456 / 3600.0
    assert result.hours("2024-09-02") == {
        ("2024-08", "cpu"): 2 * 12.0,
        ("2024-09", "cpu"): pytest.approx(4 * held_h + 2 * 6.0, abs=1e-12),
        ("2024-09", "gpu"): pytest.approx(held_h, abs=1e-12),
    }
    assert result.done.until == pd.Timestamp("2024-09-02", tz="UTC")
    assert result.jobs["state"].tolist() == ["running", "completed", "pending"]
    assert result.jobs["mem_gb"].tolist() == [8.0, 2.0, 8.0]
    assert result.jobs[["project", "site"]].iloc[1].tolist() == ["ai4eosc", "incd"]


def test_a_job_of_many_snapshots_counts_once_and_exactly(tmp_path) -> None:
    """A job would count by the snapshots that show it, or once for each of them."""
    begin, end = DAY + "05:00:00.000001999Z", DAY + "13:30:00Z"
    result = _read(tmp_path, {
        "00": [_job()], "06": [_job(start=begin)], "12": [_job(start=begin)],
        "18": [_job(start=begin, end=end)],
        "2024-09-03T00:00:00.json": [_job(start=begin, end=end)],
    })  # fmt: skip
    assert len(result.jobs) == 1
    held_us = (8 * 3600 + 30 * 60) * 1_000_000 - 1  # what is below a microsecond is cut off
    assert result.hours()["2024-09", "gpu"] == 2 * held_us / 3.6e9
    assert result.done.rows == {"read": 5, "used": 1, "refused": 0, "merged": 4}
    assert result.jobs["source"].iloc[0] == "ai4_accounting:2024-09-03T00:00:00.json"


@pytest.mark.parametrize(("rule", "hours"), [("last", 5.0), ("middle", 8.0), ("next", 11.0)])
def test_a_job_that_vanishes(rule: str, hours: float, tmp_path) -> None:
    """An end that nobody saw would be invented without a word, or the job run for ever."""
    shown = {"06": [_job(start=DAY + "01:00:00Z")], "12": [], "18": []}
    result = _read(tmp_path, shown, vanished=rule)
    assert result.hours() == {("2024-09", "gpu"): 2 * hours, ("2024-09", "cpu"): 4 * hours}
    assert result.jobs["state"].tolist() == ["unknown"]
    # between 06:00 and 12:00: 6 job-hours, 12 GPU-h
    assert "within 6 job-hours, 12 GPU-h" in result.said


def test_a_job_that_died_without_saying_when(tmp_path) -> None:
    """A dead job without alloc_end would go on until the last snapshot."""
    start = DAY + "01:00:00Z"
    dead = _job(start=start, status="dead")
    result = _read(tmp_path, {"06": [_job(start=start)], "12": [dead], "18": [dead]})
    assert result.hours()["2024-09", "gpu"] == 2 * 5.0
    assert result.jobs["state"].tolist() == ["cancelled"]
    assert "shows as ended, without alloc_end" in result.said
    assert "within 6 job-hours" in result.said


def test_running_jobs_run_up_to_the_last_snapshot(tmp_path) -> None:
    """A job that still runs would run up to whatever time is the latest anywhere."""
    shown = {"06": [_job(start=DAY + "01:00:00Z"), _job("2", submit_time="2024-09-05 00:00:00")]}
    result = _read(tmp_path, shown)
    assert result.done.until == pd.Timestamp("2024-09-02T06:00:00", tz="UTC")
    assert result.done.totals.set_index("resource")["quantity"]["gpu"] == 2 * 5.0


def test_queued_jobs_hold_nothing(tmp_path) -> None:
    """Somebody who waits would be charged, or vanish from the table when he gives up."""
    odd = _job("3", start=DAY + "01:00:00Z", status="queued")
    result = _read(tmp_path, {"06": [_job(), _job("2"), odd], "12": [_job("2")]})
    assert result.hours("2024-10-01") == {}
    by_name = result.jobs.set_index("job_id")
    assert by_name["state"].to_dict() == {"1": "cancelled", "2": "pending", "3": "cancelled"}
    assert by_name["end_utc"]["1"] == pd.Timestamp("2024-09-02T06:00:00", tz="UTC")


@pytest.mark.parametrize(
    ("cpu_num", "cpu_mhz", "cores"), [(4, 8000, 4.0), (0, 6, 6.0), (0, 7000, 3.5), (0, 0, 0.0)]
)
def test_cores_hidden_in_mhz(cpu_num: int, cpu_mhz: int, cores: float, tmp_path) -> None:
    """Old jobs would have no cores, or thousands of them."""
    job = _job(start=DAY + "01:00:00Z", resources={"cpu_num": cpu_num, "cpu_MHz": cpu_mhz})
    result = _read(tmp_path, {"06": [job]})
    assert result.jobs["cpus"].tolist() == [cores]
    assert ("cpu_num is 0" in result.said.lower()) == (cpu_num == 0 and cpu_mhz > 0)


def test_gaps_are_reported_with_what_rests_on_them(tmp_path) -> None:
    """Hours that no snapshot has seen would look as sure as all others."""
    one = _job(start=DAY + "00:30:00Z")
    two = _job("2", start=DAY + "10:00:00Z", end=DAY + "14:00:00Z", resources={"gpu_num": 0})
    result = _read(tmp_path, {
        "01": [one], "02": [one], "03": [one], "04": [one], "12": [one, two], "13": [one],
    })  # fmt: skip
    # 04:00 to 12:00 is 8 h where 1 h is usual. In it 1 holds 2 GPUs for 8 h, 2 none for 2 h.
    assert "Gap of ns from 2024-09-02 04:00:00 to 2024-09-02 12:00:00" in result.said
    assert "10 job-hours, 16 GPU-h" in result.said
    assert "usually every 1 h" in result.said
    # The gap costs no hours: times of allocations are exact.
    assert result.hours("2024-09-02T13:00:00")["2024-09", "gpu"] == 2 * 12.5


def test_even_snapshots_have_no_gaps() -> None:
    """Any set of snapshots would be called full of holes."""
    assert gaps([0, 6, 12, 18]) == ([], 0)
    assert gaps([0, 100]) == ([], 0)
    assert gaps([0, 6, 12, 14, 20, 40]) == ([(20, 40)], 1)


def test_clock_steps(tmp_path) -> None:
    """A clock that was set would go unnoticed, or make hours that are negative."""
    early, late = DAY + "07:00:00Z", DAY + "08:00:00Z"
    result = _read(tmp_path, {
        "06": [_job(start=late)], "12": [_job(start=early)],
        f"{DAY}13:00:00.json": [_job(start=early)], "18": [_job(start=early)],
    })  # fmt: skip
    assert result.hours("2024-09-02T18:00:00")["2024-09", "gpu"] == 2 * 11.0
    assert "starts after its snapshot" in result.said
    assert "changed between snapshots" in result.said
    assert "less than half the usual time" in result.said


def test_an_end_before_the_start_is_refused(tmp_path) -> None:
    """A negative duration would take hours away from others."""
    bad = _job("2", start=DAY + "05:00:00Z", end=DAY + "04:00:00Z")
    result = _read(tmp_path, {"06": [_job(start=DAY + "01:00:00Z"), bad]})
    assert result.refused[["row", "field"]].to_numpy().tolist() == [[2, "alloc_end"]]
    assert result.hours("2024-09-02T06:00:00")["2024-09", "gpu"] == 2 * 5.0


def test_job_ids_that_are_used_again(tmp_path) -> None:
    """A second allocation of a job would replace the first."""
    first = _job(start=DAY + "01:00:00Z", end=DAY + "02:00:00Z", alloc_ID="a")
    second = _job(start=DAY + "07:00:00Z", alloc_ID="b")
    result = _read(tmp_path, {"06": [first], "12": [second], "18": [second]})
    assert result.hours("2024-09-02T18:00:00")["2024-09", "gpu"] == 2 * (1.0 + 11.0)
    assert "identifiers with several allocations" in result.said


def test_the_latest_sighting_counts(tmp_path) -> None:
    """A job that goes on would keep an end that was taken back."""
    start = DAY + "01:00:00Z"
    ended = _job(start=start, end=DAY + "05:00:00Z")
    result = _read(tmp_path, {"06": [ended], "12": [_job(start=start)]})
    assert result.jobs["state"].tolist() == ["running"]
    assert result.hours("2024-09-02T12:00:00")["2024-09", "gpu"] == 2 * 11.0


def test_duplicates(tmp_path) -> None:
    """A job that is there twice would hold twice as much."""
    job = _job(start=DAY + "01:00:00Z")
    result = _read(tmp_path, {"06": [job, job], f"copy_{DAY}06-00-00.json": [job], "12": [job]})
    assert result.hours("2024-09-02T12:00:00")["2024-09", "gpu"] == 2 * 11.0
    assert result.done.rows == {"read": 4, "used": 1, "refused": 0, "merged": 3}
    assert result.done.reading.notes[
        "Jobs that one snapshot, or two of the same time, show twice: once counts"
    ] == 2  # fmt: skip


def test_empty_and_missing_namespaces(tmp_path) -> None:
    """Nobody at work would be an error, or a namespace that is left out keep its jobs running."""
    job = _job(start=DAY + "01:00:00Z")
    shown = {"06": {"a": [job], "b": []}, "12": {"a": []}, "18": {"b": []}}
    result = _read(tmp_path, shown)
    assert result.hours()["2024-09", "gpu"] == 2 * 5.0
    assert "within 6 job-hours" in result.said
    assert "Snapshots of b: 2" in result.said


def test_nothing_in_any_snapshot(tmp_path) -> None:
    """Empty tables would be written as if they meant something."""
    with pytest.raises(DataError, match="no rows in it"):
        _read(tmp_path, {"06": [], "12": []})


def test_masks_leave_hours_out(tmp_path) -> None:
    """Hours that were not tracked would count, or those beside the gap not."""
    masks = tmp_path / "masks.yaml"
    masks.write_text(
        "tool: {pattern: '*CVAT*', from: 2024-09-02T04:00:00, until: 2024-09-02T06:00:00}\n"
        "again: {pattern: 'mod*', from: 2024-09-02T05:00:00, until: 2024-09-02T07:00:00}\n",
        encoding="utf-8",
    )
    all_of_it = _job("2", start=DAY + "04:30:00Z", end=DAY + "05:30:00Z", title="a cvat tool")
    shown = {"12": [_job(start=DAY + "01:00:00Z", title="Cvat"), all_of_it,
                    _job("3", start=DAY + "04:00:00Z", name="tool")]}  # fmt: skip
    result = _read(tmp_path, shown, map=str(masks))
    # 1: 01:00 to 04:00 and 07:00 to 12:00, 8 h; 2: nothing; 3: 8 h
    assert result.hours("2024-09-02T12:00:00")["2024-09", "gpu"] == 2 * (8.0 + 8.0)
    assert result.done.rows == {"read": 3, "used": 2, "refused": 0, "merged": 1}
    # tool: 2 h of 1 and 1 h of 2; again: what is left of 05:00 to 07:00 of 1
    assert "Mask tool (*CVAT*) left out 3 job-hours, 6 GPU-h and 12 CPU-h" in result.said
    assert "Mask again (mod*) left out 1 job-hours, 2 GPU-h and 4 CPU-h" in result.said


def test_the_masks_that_ship(tmp_path) -> None:
    """The known gaps would be a file that nobody can read."""
    path = ROOT / "docs" / "ai4-accounting-masks.yaml"
    start = "2025-03-01T00:00:00Z"
    job = _job(start=start, title="Deploy your LLM")
    result = _read(tmp_path, {"2025-03-04T00:00:00.json": [job]}, map=str(path))
    assert result.hours()["2025-03", "gpu"] == 2 * 48.0


@pytest.mark.parametrize("row", ["{from: 2024-01-02, until: 2024-01-01}", "{from: x, until: y}"])
def test_a_mask_that_is_no_period(row: str, tmp_path) -> None:
    """A mask the wrong way round would mask nothing, or everything."""
    masks = tmp_path / "masks.yaml"
    masks.write_text("a: " + row.replace("{", "{pattern: '*', "), encoding="utf-8")
    with pytest.raises(DataError, match="name a: not a period"):
        _read(tmp_path, {"06": [_job()]}, map=str(masks))


def test_names_of_files() -> None:
    """A snapshot would be taken for one of another time."""
    hour_us = 3_600_000_000
    name = "2024-09-02T00-00-00"
    midnight = time_of(Path(f"ai4_snapshot_{name}.json"))
    assert midnight == pd.Timestamp("2024-09-02", tz="UTC").value // 1000
    assert time_of(Path("2024-09-02T00:00:00.json.gz")) == midnight
    assert time_of(Path("2024-09-02T00:00:00+02:00.json")) == midnight - 2 * hour_us
    assert time_of(Path(f"{name}.json"), "Europe/Madrid") == midnight - 2 * hour_us
    for bad in ("snapshot.json", "2024-13-02T00:00:00.json", "2024-09-02.json"):
        with pytest.raises(DataError, match="no time in its name"):
            time_of(Path(bad))


def test_names_of_local_time_are_noticed(tmp_path) -> None:
    """Files that are named by local time would shift all ends without a word."""
    job = _job(start=DAY + "05:30:00Z")  # at 07:30 in Madrid, the snapshot is of 08:00 there
    shown = {f"{DAY}05-00-00.json": [job]}
    assert "file_time_zone" in _read(tmp_path, shown).said
    stated = _read(tmp_path, {"08": [job]}, file_time_zone="Europe/Madrid")
    assert stated.done.until == pd.Timestamp("2024-09-02T06:00:00", tz="UTC")


def test_submit_times_are_local(tmp_path) -> None:
    """Waits would be off by the server's offset from UTC."""
    job = _job(start=DAY + "05:00:00Z", submit_time="2024-09-02 06:59:00")
    result = _read(tmp_path, {"06": [job]}, time_zone="Europe/Madrid")
    assert result.jobs["submit_utc"].tolist() == [pd.Timestamp("2024-09-02T04:59:00", tz="UTC")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"ns": [{"job_ID": "1", "na', "line 1, column 25: not JSON, or cut off"),
        ("[]", "not a snapshot"),
        ('{"ns": {}}', "field ns: not a namespace"),
        ('{"ns": [], "ns": []}', "is there twice"),
        ('{"ns": [NaN]}', "NaN is no number"),
        ("[" * 100_000, "not JSON"),
        ('{"\\ud800": 1}', "not a namespace"),
        ("\xff", "not JSON"),
        ("", "the file is empty"),
    ],
)
def test_files_that_are_no_snapshot(text: str, said: str, tmp_path) -> None:
    """What is left of a file would be used as if it were whole."""
    path = tmp_path / f"{DAY}06:00:00.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError) as error:
        import_of("ai4_accounting", tmp_path, path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"job_ID": ""}, "job_ID"), ({"owner": 5}, "owner"), ({"owner": "a\ud800"}, "owner"),
        ({"status": "happy"}, "status"), ({"alloc_start": "yesterday"}, "alloc_start"),
        ({"alloc_start": "9999-01-01T00:00:00Z"}, "alloc_start"), ({"alloc_end": 5}, "alloc_end"),
        ({"submit_time": "2024-09-01T00:00:00Z"}, "submit_time"),
        ({"resources": {"gpu_num": -1}}, "resources.gpu_num"),
        ({"resources": {"gpu_num": True}}, "resources.gpu_num"),
        ({"resources": {"cpu_num": None}}, "resources.cpu_num"),
        ({"resources": {"memory_MB": "8"}}, "resources.memory_MB"),
        ({"resources": {"cpu_num": 1e9}}, "cpus"),
    ],
)  # fmt: skip
def test_records_that_cannot_be(changed: dict[str, Any], field: str, tmp_path) -> None:
    """A record without sense would count, or take others with it."""
    good = _job("2", start=DAY + "01:00:00Z")
    bad = _job(start=DAY + "01:00:00Z", **changed)
    result = _read(tmp_path, {"06": [bad, good, good]})
    assert result.done.rows == {"read": 3, "used": 1, "refused": 1, "merged": 1}
    assert result.refused[["row", "field"]].to_numpy().tolist() == [[1, field]]
    assert result.refused["file"].iloc[0].endswith("06:00:00.json")


def test_times_of_go_that_are_none(tmp_path) -> None:
    """The zero time of Go would be an end two thousand years ago."""
    job = _job(start=DAY + "01:00:00Z", alloc_end="0001-01-01T00:00:00Z", status="running")
    assert _read(tmp_path, {"06": [job]}).jobs["state"].tolist() == ["running"]


def test_mhz_per_core_of_nothing(tmp_path) -> None:
    """Old jobs would have infinitely many cores."""
    with pytest.raises(ConfigError, match="mhz_per_core"):
        _read(tmp_path, {"06": [_job()]}, mhz_per_core=0.0)


def test_gzip(tmp_path) -> None:
    """A compressed snapshot would have to be unpacked first."""
    path = tmp_path / f"{DAY}06:00:00.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"ns": [_job()]}).encode()))
    assert len(import_of("ai4_accounting", tmp_path, path).jobs) == 1


def test_what_is_kept_does_not_grow_with_snapshots(tmp_path) -> None:
    """A year of snapshots would fill the memory with sightings of the same jobs."""
    shown = {f"{DAY}{h:02}:{m:02}:00.json": [_job(start=DAY + "00:00:00Z"), _job("2")]
             for h in range(5) for m in range(0, 60, 5)}  # fmt: skip
    result = _read(tmp_path, shown)
    assert result.done.rows == {"read": 120, "used": 2, "refused": 0, "merged": 118}
    assert sum(map(len, result.done.reading.merged)) == 0
    watch = Watch()
    for number in range(100):
        watch.begin("ns", number)
        watch.see(sighting("ns", _job(start=DAY + "00:00:00Z")), number, number)
    assert (len(watch.allocations), len(watch.waiting)) == (1, 0)


def test_what_intervals_held_by_some_moments() -> None:
    """What rests on gaps would be counted wrongly."""
    start, end = np.array([0, 10]), np.array([20, 15])
    held = held_by(np.array([-5, 5, 12, 30]), start, end, np.array([1.0, 2.0]))
    # before all: 0; 5 of the first; 12 and 2 x 2; 20 and 2 x 5
    assert held.tolist() == [0.0, 5.0, 16.0, 30.0]


def test_summaries_by_hand(tmp_path) -> None:
    """Our summaries would not follow the rules of those that ai4-accounting publishes."""
    run, other = _job(start=DAY + "00:00:00Z"), _job("2", start=DAY + "00:00:00Z", owner="u2",
                      resources={"cpu_num": 0, "cpu_MHz": 6, "gpu_num": 0})  # fmt: skip
    done = _job("3", start=DAY + "00:00:00Z", end=DAY + "01:00:00Z", owner="u3")
    paths = _written(tmp_path, {
        "06": [run, other, _job("4", owner="u4")], "12": [run], "18": [run, done],
        "2024-09-03T00:00:00.json": [run],
    })  # fmt: skip
    found = summaries(snapshots(paths))["ns"]
    # 2 September has three snapshots: cores 4 + 6, 4, 4; MHz 8000 + 6, 8000, 8000; GPUs 2, 2, 2;
    # one of three shows a queued job, one of three a second running one.
    first = found.timeseries.set_index("date").loc["2024-09-02"]
    assert first["cpu_num"] == pytest.approx(18 / 3)
    assert first["cpu_MHz"] == pytest.approx(24_006 / 3)
    assert first["memory_MB"] == pytest.approx(4 * 8000 / 3)
    assert first[["gpu_num", *COUNTED]].tolist() == pytest.approx([2.0, 1 / 3, 4 / 3])
    users = found.users.set_index("owner")
    assert users["gpu_num"].to_dict() == {"u1": 4.0, "u2": 0.0, "u3": 0.0, "u4": 0.0}
    assert users["cpu_num"].to_dict() == pytest.approx({"u1": 8, "u2": 2, "u3": 0, "u4": 0})
    # A user's total is the sum of his jobs, and that of all the sum of users.
    for name in QUANTITIES:
        assert found.full[name].iloc[0] == pytest.approx(users[name].sum())
        assert found.full[name].iloc[0] == pytest.approx(found.timeseries[name].sum())
    assert found.rounded().timeseries["running"].tolist() == [1, 1]


def test_a_users_total_is_the_sum_of_his_jobs(tmp_path) -> None:
    """Hours of a user would not be those of his jobs."""
    jobs = [_job(str(i), start=f"{DAY}0{i}:00:00Z", owner=f"u{i % 2}") for i in range(5)]
    result = _read(tmp_path, {"06": jobs})
    hours = result.hours("2024-09-02T06:00:00", "user")
    assert hours["2024-09", "u0", "gpu"] == 2 * (6 + 4 + 2)
    assert hours["2024-09", "u1", "gpu"] == 2 * (5 + 3)
    assert result.hours("2024-09-02T06:00:00")["2024-09", "gpu"] == 2 * 20.0
