"""Snapshots of ai4-accounting: files, records, and the summaries made of them."""

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
from analysis.accounting.ai4.watching import Watch, held_by
from sim.errors import ConfigError, DataError
from tests.accounting_by_hand import import_of
from tests.ai4_by_hand import DAY, job_record, read_snapshots, written


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
    job = job_record(start=DAY + "05:30:00Z")  # at 07:30 in Madrid, the snapshot is of 08:00 there
    shown = {f"{DAY}05-00-00.json": [job]}
    assert "file_time_zone" in read_snapshots(tmp_path, shown).said
    stated = read_snapshots(tmp_path, {"08": [job]}, file_time_zone="Europe/Madrid")
    assert stated.done.until == pd.Timestamp("2024-09-02T06:00:00", tz="UTC")


def test_submit_times_are_local(tmp_path) -> None:
    """Waits would be off by the server's offset from UTC."""
    job = job_record(start=DAY + "05:00:00Z", submit_time="2024-09-02 06:59:00")
    result = read_snapshots(tmp_path, {"06": [job]}, time_zone="Europe/Madrid")
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
    good = job_record("2", start=DAY + "01:00:00Z")
    bad = job_record(start=DAY + "01:00:00Z", **changed)
    result = read_snapshots(tmp_path, {"06": [bad, good, good]})
    assert result.done.rows == {"read": 3, "used": 1, "refused": 1, "merged": 1}
    assert result.refused[["row", "field"]].to_numpy().tolist() == [[1, field]]
    assert result.refused["file"].iloc[0].endswith("06:00:00.json")


def test_times_of_go_that_are_none(tmp_path) -> None:
    """The zero time of Go would be an end two thousand years ago."""
    job = job_record(start=DAY + "01:00:00Z", alloc_end="0001-01-01T00:00:00Z", status="running")
    assert read_snapshots(tmp_path, {"06": [job]}).jobs["state"].tolist() == ["running"]


def test_mhz_per_core_of_nothing(tmp_path) -> None:
    """Old jobs would have infinitely many cores."""
    with pytest.raises(ConfigError, match="mhz_per_core"):
        read_snapshots(tmp_path, {"06": [job_record()]}, mhz_per_core=0.0)


def test_gzip(tmp_path) -> None:
    """A compressed snapshot would have to be unpacked first."""
    path = tmp_path / f"{DAY}06:00:00.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"ns": [job_record()]}).encode()))
    assert len(import_of("ai4_accounting", tmp_path, path).jobs) == 1


def test_what_is_kept_does_not_grow_with_snapshots(tmp_path) -> None:
    """A year of snapshots would fill the memory with sightings of the same jobs."""
    shown = {f"{DAY}{h:02}:{m:02}:00.json": [job_record(start=DAY + "00:00:00Z"), job_record("2")]
             for h in range(5) for m in range(0, 60, 5)}  # fmt: skip
    result = read_snapshots(tmp_path, shown)
    assert result.done.rows == {"read": 120, "used": 2, "refused": 0, "merged": 118}
    assert sum(map(len, result.done.reading.merged)) == 0
    watch = Watch()
    for number in range(100):
        watch.begin("ns", number)
        watch.see(sighting("ns", job_record(start=DAY + "00:00:00Z")), number, number)
    assert (len(watch.allocations), len(watch.waiting)) == (1, 0)


def test_what_intervals_held_by_some_moments() -> None:
    """What rests on gaps would be counted wrongly."""
    start, end = np.array([0, 10]), np.array([20, 15])
    held = held_by(np.array([-5, 5, 12, 30]), start, end, np.array([1.0, 2.0]))
    # before all: 0; 5 of the first; 12 and 2 x 2; 20 and 2 x 5
    assert held.tolist() == [0.0, 5.0, 16.0, 30.0]


def test_summaries_by_hand(tmp_path) -> None:
    """Our summaries would not follow the rules of those that ai4-accounting publishes."""
    run = job_record(start=DAY + "00:00:00Z")
    hidden = {"cpu_num": 0, "cpu_MHz": 6, "gpu_num": 0}
    other = job_record("2", start=DAY + "00:00:00Z", owner="u2", resources=hidden)
    done = job_record("3", start=DAY + "00:00:00Z", end=DAY + "01:00:00Z", owner="u3")
    paths = written(tmp_path, {
        "06": [run, other, job_record("4", owner="u4")], "12": [run], "18": [run, done],
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
    jobs = [job_record(str(i), start=f"{DAY}0{i}:00:00Z", owner=f"u{i % 2}") for i in range(5)]
    result = read_snapshots(tmp_path, {"06": jobs})
    hours = result.hours("2024-09-02T06:00:00", "user")
    assert hours["2024-09", "u0", "gpu"] == 2 * (6 + 4 + 2)
    assert hours["2024-09", "u1", "gpu"] == 2 * (5 + 3)
    assert result.hours("2024-09-02T06:00:00")["2024-09", "gpu"] == 2 * 20.0
