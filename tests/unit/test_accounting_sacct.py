"""Slurm's accounting: what it holds, what is no job, and clocks."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.accounting.readers.sacct import parsed_tres
from sim.errors import DataError
from tests.accounting_by_hand import GOLDEN, Result, import_of

HEADER = (
    "JobIDRaw|User|Account|Partition|State|Submit|Start|End|ElapsedRaw|NCPUS|AllocTRES"
)
MADRID = {"time_zone": "Europe/Madrid"}
TRES = "cpu=4,gres/gpu=1,mem=32G"


def _row(
    job: str = "1", state: str = "COMPLETED", start: str = "2026-09-01T10:00:00",
    end: str = "2026-09-01T12:00:00", elapsed: object = 7200, tres: str = TRES,
) -> str:  # fmt: skip
    return f"{job}|u|a|gpu|{state}|2026-09-01T09:00:00|{start}|{end}|{elapsed}|4|{tres}"


def _read(folder: Path, *rows: str, header: str = HEADER, **options: str) -> Result:
    return import_of("sacct", folder, "\n".join([header, *rows]) + "\n", **options)


def test_golden(tmp_path) -> None:
    """The golden file would give other hours than those computed by hand."""
    result = import_of("sacct", tmp_path, GOLDEN / "sacct.psv", **MADRID)
    assert result.done.rows == {"read": 7, "used": 6, "refused": 0, "merged": 1}
    # 1001: 6 h on 2 GPUs, 8 cores: 12 GPU-h, 48 CPU-h.
    # 1003: from 09:00 UTC on 30 September for 24 h, 15 h of them in September: 15 and 9 GPU-h,
    #   60 and 36 CPU-h.
    # 1004 still runs, for 554 h since 09:00 UTC on 2 October: the export is of 11:00 UTC on 25
    #   October, up to which it counts: 554 GPU-h, 2,216 CPU-h.
    # 1005: 00:30 to 04:30 in the night in which the clocks are set back, 5 h on 16 cores: 80 CPU-h.
    assert result.done.until == pd.Timestamp("2026-10-25 11:00", tz="UTC")
    totals = result.done.totals.set_index(["month", "resource"])["quantity"]
    assert totals.to_dict() == {
        ("2026-09", "gpu"): 12.0 + 15.0,
        ("2026-09", "cpu"): 48.0 + 60.0,
        ("2026-10", "gpu"): 9.0 + 554.0,
        ("2026-10", "cpu"): 36.0 + 2216.0 + 80.0,
    }
    assert result.done.states["never placed"] == 2
    assert result.jobs["state"].tolist() == [
        "completed", "cancelled", "timeout", "running", "completed", "pending"
    ]  # fmt: skip
    assert result.jobs["mem_gb"].iloc[0] == pytest.approx(64 * 2**30 / 1e9)


@pytest.mark.parametrize(
    ("tres", "gpus", "model"),
    [
        ("cpu=8,gres/gpu:a100=2,gres/gpu=2,mem=64G", 2, "a100"),
        ("cpu=8,gres/gpu:a100=2,mem=64G", 2, "a100"),
        ("cpu=8,gres/gpu=2", 2, ""),
        ("cpu=8,gres/gpu:a100=2,gres/gpu:v100=1", 3, "a100+v100"),
        ("gres/gpu:a100=2,gres/gpu:v100=1,gres/gpu=3", 3, "a100+v100"),
        ("gres/gpu:1g.5gb=4,gres/gpu=4", 4, "1g.5gb"),
        ("cpu=8,gres/gpumem=40G,gres/gpuutil=90", 0, ""),
        ("cpu=8", 0, ""),
        ("", 0, ""),
    ],
)
def test_typed_and_untyped_gpus_are_the_same(tres: str, gpus: float, model: str) -> None:
    """GPUs that are listed with and without their type would count twice, or not at all."""
    assert parsed_tres(tres)[:2] == (gpus, model)


def test_a_total_that_is_not_the_sum_of_its_types_is_said(tmp_path) -> None:
    """A contradiction inside a row would be settled in silence."""
    result = _read(tmp_path, _row(tres="cpu=4,gres/gpu:a100=1,gres/gpu=2"))
    assert result.jobs["gpus"].tolist() == [2.0]
    assert "gres/gpu is not the sum of its types" in result.said


@pytest.mark.parametrize(
    ("text", "gb"),
    [("64G", 64 * 2**30 / 1e9), ("500M", 500 * 2**20 / 1e9), ("1T", 2**40 / 1e9),
     ("1.5G", 1.5 * 2**30 / 1e9), ("1024K", 2**20 / 1e9), ("128", 128 * 2**20 / 1e9)],
)  # fmt: skip
def test_memory(text: str, gb: float) -> None:
    """Memory would be read in another unit; without one it is megabytes."""
    assert parsed_tres(f"mem={text}").mem_gb == pytest.approx(gb)


@pytest.mark.parametrize("tres", ["cpu", "cpu=x", "gres/gpu=-1", "gres/gpu=1.5", "cpu=1,cpu=2",
                                  "mem=64Q", "gres/gpu=1,gres/gpu=1", "=", ","])  # fmt: skip
def test_malformed_tres_is_refused(tres: str, tmp_path) -> None:
    """A list of resources that cannot be read would be guessed at."""
    result = _read(tmp_path, _row("1", tres=tres), _row("2"))
    row = result.refused.iloc[0]
    assert (row["row"], row["field"], result.done.rows["used"]) == (2, "AllocTRES", 1)


def test_states(tmp_path) -> None:
    """A state would be lost, misread, or an unknown one be taken for something."""
    rows = [_row(str(n), state) for n, state in enumerate(
        ["CANCELLED by 1234", "NODE_FAIL", "OUT_OF_MEMORY", "DEADLINE", "PREEMPTED", "DREAMING"]
    )]  # fmt: skip
    result = _read(tmp_path, *rows)
    assert result.jobs["state"].tolist() == [
        "cancelled", "failed", "failed", "timeout", "preempted"
    ]  # fmt: skip
    assert result.refused[["row", "field", "given"]].values.tolist() == [[7, "State", "DREAMING"]]


def test_running_and_queued_jobs(tmp_path) -> None:
    """A job without an end would be dropped, or one that waits hold something."""
    rows = [
        _row("1", "RUNNING", end="Unknown", elapsed=3600),
        _row("2", "PENDING", "Unknown", "Unknown", 0),
        _row("3", "PENDING", "2026-09-05T00:00:00", "Unknown", 0),
        _row("4", "CANCELLED by 7", "None", "2026-09-01T11:00:00", 0),
        _row("5", "SUSPENDED", end="Unknown", elapsed=1800),
        _row("6", "COMPLETED", end="Unknown"),
        _row("7", "COMPLETED", start="None"),
    ]
    result = _read(tmp_path, *rows)
    assert result.jobs["job_id"].tolist() == ["1", "2", "3", "4", "5"]
    assert result.jobs["start_utc"].isna().tolist() == [False, True, True, True, False]
    # 1 and 5 began at 10:00; the export is of 11:00, as 1 has run for an hour.
    assert result.done.until == pd.Timestamp("2026-09-01 11:00", tz="UTC")
    assert result.done.totals.set_index("resource")["quantity"].to_dict() == {"cpu": 8, "gpu": 2}
    assert result.refused[["row", "field"]].values.tolist() == [[7, "End"], [8, "Start"]]
    assert "expected one is not used" in result.said


def test_steps_and_arrays(tmp_path) -> None:
    """Steps would count beside their job, or elements of an array be taken for steps."""
    header = HEADER.replace("JobIDRaw", "JobID")
    rows = [_row(i) for i in ("7_1", "7_1.batch", "7_1.0", "7_2", "8+0", "8+1", "8+0.extern")]
    result = _read(tmp_path, *rows, header=header)
    assert result.jobs["job_id"].tolist() == ["7_1", "7_2", "8+0", "8+1"]
    assert result.done.rows["merged"] == 3


def test_the_header_names_the_columns(tmp_path) -> None:
    """Columns would be taken by their place, or a column that is not read go unsaid."""
    header = "AllocTRES|QOS|End|Start|State|JobID|JobIDRaw"
    row = f"{TRES}|normal|2026-09-01T12:00:00|2026-09-01T10:00:00|COMPLETED|9_1|12"
    result = _read(tmp_path, row, header=header)
    assert result.jobs["job_id"].tolist() == ["12"]
    assert result.jobs["submit_utc"].isna().all()
    assert "not read: QOS" in result.said


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (HEADER.replace("AllocTRES", "ReqTRES"), "no column 'AllocTRES' in the header"),
        (HEADER.replace("JobIDRaw", "JobName"), "no column of job ids in the header"),
        (HEADER.replace("Submit", "State"), "column given twice"),
        (_row(), "no column 'State' in the header"),
    ],
)
def test_a_wrong_header_refuses_the_file(header: str, said: str, tmp_path) -> None:
    """A file of other columns would be read by their place."""
    with pytest.raises(DataError) as caught:
        _read(tmp_path, _row(), header=header)
    assert said in str(caught.value)


def test_clocks_that_change(tmp_path) -> None:
    """A job over a change of the clocks would last an hour more or less than it did."""
    rows = [
        # spring: 01:30 to 03:30 local is one hour; autumn: 00:30 to 04:30 is five.
        _row("1", start="2026-03-29T01:30:00", end="2026-03-29T03:30:00", elapsed=3600),
        _row("2", start="2026-10-25T00:30:00", end="2026-10-25T04:30:00", elapsed=18000),
        # 02:15 comes twice in autumn: run times tell which is meant.
        _row("3", start="2026-10-25T02:15:00", end="2026-10-25T03:15:00", elapsed=7200),
        _row("4", start="2026-10-25T02:15:00", end="2026-10-25T03:15:00", elapsed=3600),
        _row("5", start="2026-10-25T01:15:00", end="2026-10-25T02:15:00", elapsed=7200),
        _row("6", start="2026-10-25T02:45:00", end="2026-10-25T02:15:00", elapsed=1800),
        # 02:30 does not exist in spring: read with the offset from before it is 01:30 UTC.
        _row("7", start="2026-03-29T02:30:00", end="2026-03-29T04:30:00", elapsed=3600),
    ]
    result = _read(tmp_path, *rows, **MADRID)
    held_h = (result.jobs["end_utc"] - result.jobs["start_utc"]) / pd.Timedelta(hours=1)
    assert held_h.tolist() == [1.0, 5.0, 2.0, 1.0, 2.0, 0.5, 1.0]
    begins = result.jobs["start_utc"].dt.strftime("%d %H:%M").tolist()
    assert begins == [
        "29 00:30", "24 22:30", "25 00:15", "25 01:15", "24 23:15", "25 00:45", "29 01:30"
    ]  # fmt: skip
    assert "came twice" in result.said
    assert "do not exist" in result.said


def test_elapsed_is_checked(tmp_path) -> None:
    """A run time that contradicts start and end would be believed, or a suspension go unsaid."""
    rows = [_row("1", elapsed=7201), _row("2", elapsed=7300), _row("3", elapsed=3600),
            _row("4", elapsed="")]  # fmt: skip
    result = _read(tmp_path, *rows)
    assert result.refused[["row", "field"]].values.tolist() == [[3, "ElapsedRaw"]]
    assert result.done.reading.notes[
        "Jobs whose ElapsedRaw is less than End - Start (suspended): they count from Start to End"
    ] == 1
    assert result.hours()["2026-09", "gpu"] == 6.0


def test_requeued_and_repeated_jobs(tmp_path) -> None:
    """A job that was started twice would count once, or one that is listed twice count twice."""
    running = _row("1", "RUNNING", end="Unknown", elapsed=60)
    again = _row("1", start="2026-09-01T13:00:00", end="2026-09-01T14:00:00", elapsed=3600)
    other = _row("2", tres="cpu=4,gres/gpu=2")
    result = _read(tmp_path, _row("1"), _row("1"), again, running, _row("2"), other)
    assert result.done.rows == {"read": 6, "used": 3, "refused": 0, "merged": 3}
    # the first start ended, which its row of when it ran does not undo; of two that differ, the
    # last: 2 h and 1 h of one GPU, 2 h of two
    assert result.hours()["2026-09", "gpu"] == 2.0 + 1.0 + 4.0
    assert sorted(result.done.reading.merged_why.values()) == [1, 2]


def test_a_job_that_waited_in_an_earlier_export(tmp_path) -> None:
    """A job would be there twice: as it waited last month, and as it ran this month."""
    waits = [_row(n, "PENDING", "Unknown", "Unknown", 0) for n in "123"]
    later = _row("2").replace("T09:00:00", "T09:30:00", 1)  # submitted again: another job
    now = [_row("1"), later, _row("3", "RUNNING", end="Unknown", elapsed=60)]
    for rows in ([*waits, *now], [*now, *waits]):
        result = _read(tmp_path, *rows)
        assert result.done.rows == {"read": 6, "used": 4, "refused": 0, "merged": 2}
        assert sorted(result.jobs["job_id"]) == ["1", "2", "2", "3"]
        assert result.done.states["never placed"] == 1
        assert result.done.states["still running"] == 1
        assert "waiting job" in " ".join(result.done.reading.merged_why)


def test_durations_of_nothing_and_less(tmp_path) -> None:
    """A job that ends before it starts would be subtracted, or one of no duration go unsaid."""
    rows = [
        _row("1", end="2026-09-01T09:59:59", elapsed=""),
        _row("2", end="2026-09-01T10:00:00", elapsed=0),
        _row("3", elapsed=-1),
    ]
    result = _read(tmp_path, *rows)
    assert result.refused[["row", "field"]].values.tolist() == [[4, "ElapsedRaw"], [2, "end_utc"]]
    assert result.done.states["of no duration"] == 1
    assert result.hours() == {}


def test_a_map_says_what_serves(tmp_path) -> None:
    """Jobs of a partition that serves would be taken for training."""
    table = tmp_path / "kinds.csv"
    table.write_text("name,kind\na,train\ngpu,infer\n")
    rows = [_row("1"), _row("2", tres="cpu=4"), _row("3").replace("|gpu|", "|big|")]
    result = _read(tmp_path, *rows, map=str(table))
    assert result.jobs["kind"].tolist() == ["infer", "cpu", "train"]
    table.write_text("name,kind\ngpu,dance\n")
    with pytest.raises(DataError, match="unknown kind"):
        _read(tmp_path, *rows, map=str(table))


@pytest.mark.parametrize("changed", [
    lambda b: b"\xef\xbb\xbf" + b, lambda b: b.replace(b"\n", b"\r\n"), gzip.compress,
    lambda b: gzip.compress(b"\xef\xbb\xbf" + b.replace(b"\n", b"\r\n")),
    lambda b: b.replace(b"\n", b"\n\n"), lambda b: b[:-1], lambda b: b.replace(b"|", b" | "),
])  # fmt: skip
def test_other_ways_to_write_the_same(changed, tmp_path) -> None:
    """A BOM, other line ends, gzip, empty lines or blanks would change what is read."""
    data = (GOLDEN / "sacct.psv").read_bytes()
    plain = import_of("sacct", tmp_path, data, **MADRID).jobs
    same = import_of("sacct", tmp_path, changed(data), **MADRID)
    pd.testing.assert_frame_equal(same.jobs, plain)
    assert same.done.rows["refused"] == 0


def test_last_line_cut_off(tmp_path) -> None:
    """Half a line at the end of a file would be read as a whole one, or refuse the others."""
    result = import_of("sacct", tmp_path, f"{HEADER}\n{_row()}\n{_row('2')[:40]}")
    assert result.refused[["row", "what"]].values.tolist() == [[3, "last line cut off"]]
    assert result.done.rows["used"] == 1


def test_microseconds_and_offsets_are_kept(tmp_path) -> None:
    """A time with its own offset or fractions of a second would be read as a whole local one."""
    row = _row(start="2026-09-01T10:00:00.25+02:00", end="2026-09-01T10:00:00.5Z", elapsed="")
    result = _read(tmp_path, row, **MADRID)
    span = result.jobs["end_utc"] - result.jobs["start_utc"]
    assert span.tolist() == [pd.Timedelta(hours=2, milliseconds=250)]
    assert np.isnan(result.jobs["gpu_util_frac"]).all()
