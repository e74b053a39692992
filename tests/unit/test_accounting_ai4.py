"""Snapshots of ai4-accounting: a job is in many of them, and what it held is known exactly."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.accounting.ai4.watching import gaps
from sim.errors import DataError
from tests.accounting_by_hand import GOLDEN, import_of
from tests.ai4_by_hand import DAY, job_record, read_snapshots
from tests.configured import ROOT


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
    result = read_snapshots(tmp_path, {
        "00": [job_record()], "06": [job_record(start=begin)], "12": [job_record(start=begin)],
        "18": [job_record(start=begin, end=end)],
        "2024-09-03T00:00:00.json": [job_record(start=begin, end=end)],
    })  # fmt: skip
    assert len(result.jobs) == 1
    held_us = (8 * 3600 + 30 * 60) * 1_000_000 - 1  # what is below a microsecond is cut off
    assert result.hours()["2024-09", "gpu"] == 2 * held_us / 3.6e9
    assert result.done.rows == {"read": 5, "used": 1, "refused": 0, "merged": 4}
    assert result.jobs["source"].iloc[0] == "ai4_accounting:2024-09-03T00:00:00.json"


@pytest.mark.parametrize(("rule", "hours"), [("last", 5.0), ("middle", 8.0), ("next", 11.0)])
def test_a_job_that_vanishes(rule: str, hours: float, tmp_path) -> None:
    """An end that nobody saw would be invented without a word, or the job run for ever."""
    shown = {"06": [job_record(start=DAY + "01:00:00Z")], "12": [], "18": []}
    result = read_snapshots(tmp_path, shown, vanished=rule)
    assert result.hours() == {("2024-09", "gpu"): 2 * hours, ("2024-09", "cpu"): 4 * hours}
    assert result.jobs["state"].tolist() == ["unknown"]
    # between 06:00 and 12:00: 6 job-hours, 12 GPU-h
    assert "within 6 job-hours, 12 GPU-h" in result.said


def test_a_job_that_died_without_saying_when(tmp_path) -> None:
    """A dead job without alloc_end would go on until the last snapshot."""
    start = DAY + "01:00:00Z"
    dead = job_record(start=start, status="dead")
    result = read_snapshots(tmp_path, {"06": [job_record(start=start)], "12": [dead], "18": [dead]})
    assert result.hours()["2024-09", "gpu"] == 2 * 5.0
    assert result.jobs["state"].tolist() == ["cancelled"]
    assert "shows as ended, without alloc_end" in result.said
    assert "within 6 job-hours" in result.said


def test_running_jobs_run_up_to_the_last_snapshot(tmp_path) -> None:
    """A job that still runs would run up to whatever time is the latest anywhere."""
    shown = {
        "06": [
            job_record(start=DAY + "01:00:00Z"),
            job_record("2", submit_time="2024-09-05 00:00:00"),
        ]
    }
    result = read_snapshots(tmp_path, shown)
    assert result.done.until == pd.Timestamp("2024-09-02T06:00:00", tz="UTC")
    assert result.done.totals.set_index("resource")["quantity"]["gpu"] == 2 * 5.0


def test_queued_jobs_hold_nothing(tmp_path) -> None:
    """Somebody who waits would be charged, or vanish from the table when he gives up."""
    odd = job_record("3", start=DAY + "01:00:00Z", status="queued")
    result = read_snapshots(
        tmp_path, {"06": [job_record(), job_record("2"), odd], "12": [job_record("2")]}
    )
    assert result.hours("2024-10-01") == {}
    by_name = result.jobs.set_index("job_id")
    assert by_name["state"].to_dict() == {"1": "cancelled", "2": "pending", "3": "cancelled"}
    assert by_name["end_utc"]["1"] == pd.Timestamp("2024-09-02T06:00:00", tz="UTC")


@pytest.mark.parametrize(
    ("cpu_num", "cpu_mhz", "cores"), [(4, 8000, 4.0), (0, 6, 6.0), (0, 7000, 3.5), (0, 0, 0.0)]
)
def test_cores_hidden_in_mhz(cpu_num: int, cpu_mhz: int, cores: float, tmp_path) -> None:
    """Old jobs would have no cores, or thousands of them."""
    job = job_record(start=DAY + "01:00:00Z", resources={"cpu_num": cpu_num, "cpu_MHz": cpu_mhz})
    result = read_snapshots(tmp_path, {"06": [job]})
    assert result.jobs["cpus"].tolist() == [cores]
    assert ("cpu_num is 0" in result.said.lower()) == (cpu_num == 0 and cpu_mhz > 0)


def test_gaps_are_reported_with_what_rests_on_them(tmp_path) -> None:
    """Hours that no snapshot has seen would look as sure as all others."""
    one = job_record(start=DAY + "00:30:00Z")
    two = job_record("2", start=DAY + "10:00:00Z", end=DAY + "14:00:00Z", resources={"gpu_num": 0})
    result = read_snapshots(tmp_path, {
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
    result = read_snapshots(tmp_path, {
        "06": [job_record(start=late)], "12": [job_record(start=early)],
        f"{DAY}13:00:00.json": [job_record(start=early)], "18": [job_record(start=early)],
    })  # fmt: skip
    assert result.hours("2024-09-02T18:00:00")["2024-09", "gpu"] == 2 * 11.0
    assert "starts after its snapshot" in result.said
    assert "changed between snapshots" in result.said
    assert "less than half the usual time" in result.said


def test_an_end_before_the_start_is_refused(tmp_path) -> None:
    """A negative duration would take hours away from others."""
    bad = job_record("2", start=DAY + "05:00:00Z", end=DAY + "04:00:00Z")
    result = read_snapshots(tmp_path, {"06": [job_record(start=DAY + "01:00:00Z"), bad]})
    assert result.refused[["row", "field"]].to_numpy().tolist() == [[2, "alloc_end"]]
    assert result.hours("2024-09-02T06:00:00")["2024-09", "gpu"] == 2 * 5.0


def test_job_ids_that_are_used_again(tmp_path) -> None:
    """A second allocation of a job would replace the first."""
    first = job_record(start=DAY + "01:00:00Z", end=DAY + "02:00:00Z", alloc_ID="a")
    second = job_record(start=DAY + "07:00:00Z", alloc_ID="b")
    result = read_snapshots(tmp_path, {"06": [first], "12": [second], "18": [second]})
    assert result.hours("2024-09-02T18:00:00")["2024-09", "gpu"] == 2 * (1.0 + 11.0)
    assert "identifiers with several allocations" in result.said


def test_the_latest_sighting_counts(tmp_path) -> None:
    """A job that goes on would keep an end that was taken back."""
    start = DAY + "01:00:00Z"
    ended = job_record(start=start, end=DAY + "05:00:00Z")
    result = read_snapshots(tmp_path, {"06": [ended], "12": [job_record(start=start)]})
    assert result.jobs["state"].tolist() == ["running"]
    assert result.hours("2024-09-02T12:00:00")["2024-09", "gpu"] == 2 * 11.0


def test_duplicates(tmp_path) -> None:
    """A job that is there twice would hold twice as much."""
    job = job_record(start=DAY + "01:00:00Z")
    result = read_snapshots(
        tmp_path, {"06": [job, job], f"copy_{DAY}06-00-00.json": [job], "12": [job]}
    )
    assert result.hours("2024-09-02T12:00:00")["2024-09", "gpu"] == 2 * 11.0
    assert result.done.rows == {"read": 4, "used": 1, "refused": 0, "merged": 3}
    assert result.done.reading.notes[
        "Jobs that one snapshot, or two of the same time, show twice: once counts"
    ] == 2  # fmt: skip


def test_empty_and_missing_namespaces(tmp_path) -> None:
    """Nobody at work would be an error, or a namespace that is left out keep its jobs running."""
    job = job_record(start=DAY + "01:00:00Z")
    shown = {"06": {"a": [job], "b": []}, "12": {"a": []}, "18": {"b": []}}
    result = read_snapshots(tmp_path, shown)
    assert result.hours()["2024-09", "gpu"] == 2 * 5.0
    assert "within 6 job-hours" in result.said
    assert "Snapshots of b: 2" in result.said


def test_nothing_in_any_snapshot(tmp_path) -> None:
    """Empty tables would be written as if they meant something."""
    with pytest.raises(DataError, match="no rows in it"):
        read_snapshots(tmp_path, {"06": [], "12": []})


def test_masks_leave_hours_out(tmp_path) -> None:
    """Hours that were not tracked would count, or those beside the gap not."""
    masks = tmp_path / "masks.yaml"
    masks.write_text(
        "tool: {pattern: '*CVAT*', from: 2024-09-02T04:00:00, until: 2024-09-02T06:00:00}\n"
        "again: {pattern: 'mod*', from: 2024-09-02T05:00:00, until: 2024-09-02T07:00:00}\n",
        encoding="utf-8",
    )
    all_of_it = job_record("2", start=DAY + "04:30:00Z", end=DAY + "05:30:00Z", title="a cvat tool")
    shown = {"12": [job_record(start=DAY + "01:00:00Z", title="Cvat"), all_of_it,
                    job_record("3", start=DAY + "04:00:00Z", name="tool")]}  # fmt: skip
    result = read_snapshots(tmp_path, shown, map=str(masks))
    # 1: 01:00 to 04:00 and 07:00 to 12:00, 8 h; 2: nothing; 3: 8 h
    assert result.hours("2024-09-02T12:00:00")["2024-09", "gpu"] == 2 * (8.0 + 8.0)
    assert result.done.rows == {"read": 3, "used": 2, "refused": 0, "merged": 1}
    # tool: 2 h of 1 and 1 h of 2; again: what is left of 05:00 to 07:00 of 1
    assert "Mask tool (*CVAT*) left out 3 job-hours, 6 GPU-h and 12 CPU-h" in result.said
    assert result.done.reading.lacking == ["2024-09-02..2024-09-02"] * 2
    assert "Mask again (mod*) left out 1 job-hours, 2 GPU-h and 4 CPU-h" in result.said


def test_the_masks_that_ship(tmp_path) -> None:
    """The known gaps would be a file that nobody can read."""
    path = ROOT / "docs" / "ai4-accounting-masks.yaml"
    start = "2025-03-01T00:00:00Z"
    job = job_record(start=start, title="Deploy your LLM")
    result = read_snapshots(tmp_path, {"2025-03-04T00:00:00.json": [job]}, map=str(path))
    assert result.hours()["2025-03", "gpu"] == 2 * 48.0


@pytest.mark.parametrize("row", ["{from: 2024-01-02, until: 2024-01-01}", "{from: x, until: y}"])
def test_a_mask_that_is_no_period(row: str, tmp_path) -> None:
    """A mask the wrong way round would mask nothing, or everything."""
    masks = tmp_path / "masks.yaml"
    masks.write_text("a: " + row.replace("{", "{pattern: '*', "), encoding="utf-8")
    with pytest.raises(DataError, match="name a: not a period"):
        read_snapshots(tmp_path, {"06": [job_record()]}, map=str(masks))
