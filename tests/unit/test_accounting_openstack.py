"""OpenStack: usage of projects as CSV, and servers as JSON with the GPUs of their flavors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sim.errors import DataError
from tests.accounting_by_hand import GOLDEN, Result, golden_options, import_of

SEPTEMBER = {"start": "2026-09-01", "end": "2026-10-01"}
HEAD = '"Project","RAM MB-Hours","CPU Hours","Disk GB-Hours"\n'
SAID = "Usage from 2026-09-01 to 2026-10-01: \n"
MAP = {"map": str(GOLDEN / "maps" / "flavors.yaml")}
GIB, MIB = 2**30 / 1e9, 2**20 / 1e9


def _usage(folder: Path, text: str, **options: str) -> dict[str, float]:
    table = import_of("openstack_usage", folder, text, **options).done.totals
    return table.set_index(["resource", "ledger"])["quantity"].to_dict()


def test_usage_golden(tmp_path) -> None:
    """The golden file would give other amounts than those computed by hand."""
    result = import_of("openstack_usage", tmp_path, GOLDEN / "openstack_usage.csv", **SEPTEMBER)
    assert result.done.rows == {"read": 2, "used": 2, "refused": 0, "merged": 0}
    # 5760 + 720.5 CPU-h. 47,185,920 MiB-h are 46,080 GiB-h, 1,474,560 are 1,440.
    # 144,000 GiB-h over September's 720 h are 200 GiB for a month.
    assert result.done.totals.set_index(["month", "resource", "ledger"])["quantity"].to_dict() == {
        ("2026-09", "cpu", "allocated"): 6480.5,
        ("2026-09", "memory", "allocated"): pytest.approx((46_080 + 1440) * GIB),
        ("2026-09", "storage", "provisioned"): pytest.approx(200 * 2**30 / 1e12),
    }
    assert result.aggregates["project"].tolist() == ["8c1f3a", "77aa01"] * 3
    assert "no GPUs" in result.said


def test_older_clients_say_the_period(tmp_path) -> None:
    """A line before the CSV would refuse the file, or its period be ignored."""
    result = import_of("openstack_usage", tmp_path, GOLDEN / "openstack_usage.older.csv")
    assert set(result.aggregates["period_start"]) == {pd.Timestamp("2026-09-01", tz="UTC")}
    assert set(result.aggregates["period_end"]) == {pd.Timestamp("2026-10-01", tz="UTC")}
    assert result.done.rows["used"] == 1


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (HEAD, {}, "period not told"),
        (HEAD, {"start": "2026-09-01"}, "period not told"),
        (HEAD, {"start": "2026-10-01", "end": "2026-09-01"}, "not a period"),
        (HEAD, {"start": "September", "end": "2026-10-01"}, "not a period"),
        (SAID + HEAD, {**SEPTEMBER, "end": "2026-11-01"}, "two periods"),
        (SAID.replace("09", "13") + HEAD, {}, "not a period"),
        (HEAD.replace("CPU Hours", "CPUs"), SEPTEMBER, "no column 'CPU Hours'"),
    ],
)
def test_the_period_has_to_be_known(
    text: str, options: dict[str, str], said: str, tmp_path
) -> None:
    """Hours would be put into months that nobody named."""
    with pytest.raises(DataError, match=said):
        _usage(tmp_path, text + "a,1,1,1\n", **options)


def test_months_that_a_period_spans(tmp_path) -> None:
    """Disks kept for a quarter would count as if they were there for one month."""
    row = "a,0,0,2208.0\n"  # 1 GiB for the 92 days of July to September
    found = _usage(tmp_path, HEAD + row, start="2026-07-01", end="2026-10-01")
    # one GiB for three calendar months
    assert found["storage", "provisioned"] == pytest.approx(3 * 2**30 / 1e12)


def test_machines_of_the_platform_are_provisioned(tmp_path) -> None:
    """Machines that a platform runs in would be mixed with what its users hold."""
    found = _usage(tmp_path, SAID + HEAD + "a,0,5,0\n", ledger="provisioned")
    assert found["cpu", "provisioned"] == 5.0


@pytest.mark.parametrize(
    ("row", "field"),
    [(",1,1,1", "Project"), ("a,,1,1", "RAM MB-Hours"), ("a,1,-1,1", "CPU Hours"),
     ("a,1,1,x", "Disk GB-Hours"), ('a,1,"1,5",1', "CPU Hours"), ("a,1,1", "row")],
)  # fmt: skip
def test_rows_without_sense(row: str, field: str, tmp_path) -> None:
    """A project without a name or an amount would be counted."""
    text = f"{SAID}{HEAD}b,1,1,1\n{row}\n"
    result = import_of("openstack_usage", tmp_path, text)
    assert result.refused[["row", "field"]].values.tolist() == [[4, field]]


def test_periods_that_overlap(tmp_path) -> None:
    """A month and the quarter it lies in would both be counted."""
    first = SAID + HEAD + "a,0,10,0\nb,0,5,0\n"
    second = SAID.replace("2026-10-01", "2026-12-01") + HEAD + "a,0,40,0\nc,0,1,0\n"
    result = import_of("openstack_usage", tmp_path, first, second)
    assert result.done.totals["quantity"].tolist() == [16.0, 0.0, 0.0]
    assert "overlaps" in result.refused["what"].iloc[0]


def _server(**changed: Any) -> dict[str, Any]:
    return {
        "instance_id": "i1", "flavor": "g4.a100", "vcpus": 8, "memory_mb": 1024, "state": "active",
        "started_at": "2026-09-10T00:00:00", "ended_at": "2026-09-11T00:00:00", "hours": 24.0,
        "uptime": 86400, "tenant_id": "t", **changed,
    }  # fmt: skip


def _servers(folder: Path, *servers: dict[str, Any], after: bool = False, **options: str) -> Result:
    window = {"start": "2026-09-01T00:00:00.000000", "stop": "2026-10-01T00:00:00.000000"}
    usages = {"server_usages": list(servers)}
    tenant = {**usages, **window} if after else {**window, **usages}
    text = json.dumps({"tenant_usages": [tenant]})
    return import_of("os_simple_tenant_usage", folder, text, **({} if options else MAP), **options)


def test_servers_golden(tmp_path) -> None:
    """The golden file would give other hours than those computed by hand."""
    name = "os_simple_tenant_usage"
    result = import_of(name, tmp_path, GOLDEN / f"{name}.json", **golden_options(name))
    assert result.done.rows == {"read": 3, "used": 3, "refused": 0, "merged": 0}
    # 1: 24 h and 0.5 s on 4 GPUs and 8 cores.
    # 2: 2 cores since noon of 31 August, asked for 5.5 d later, at midnight before 6 September.
    # 3: a GPU and 4 cores since 5 September; stopped, it is still there at the same midnight.
    span_h = 24 + 0.5 / 3600
    assert result.done.until == pd.Timestamp("2026-09-06", tz="UTC")
    assert result.done.totals.set_index(["month", "resource"])["quantity"].to_dict() == {
        ("2026-08", "cpu"): 2 * 12.0,
        ("2026-09", "cpu"): pytest.approx(8 * span_h + 2 * 5 * 24 + 4 * 24, abs=1e-9),
        ("2026-09", "gpu"): pytest.approx(4 * span_h + 24, abs=1e-9),
    }
    jobs = result.jobs.set_index("job_id")
    assert jobs["gpu_model"].tolist() == ["a100", "", "t4"]
    assert jobs["kind"].tolist() == ["train", "cpu", "infer"]
    assert jobs["state"].tolist() == ["completed", "running", "suspended"]
    assert jobs["project"].tolist() == ["8c1f3a", "8c1f3a", "77aa01"]
    assert jobs["mem_gb"].tolist() == pytest.approx([65536 * MIB, 4096 * MIB, 16384 * MIB])
    assert "began before the period" in result.said


def test_a_flavor_that_is_not_in_the_table(tmp_path) -> None:
    """The GPUs of a flavor that nobody listed would be lost unseen."""
    result = _servers(tmp_path, _server(), _server(instance_id="i2", flavor="g8.h100"))
    assert result.refused[["row", "field", "given"]].values.tolist() == [[2, "flavor", "g8.h100"]]
    told = _servers(tmp_path, _server(), _server(instance_id="i2", flavor="g8.h100"),
                    unknown_flavors="no_gpus", **MAP)  # fmt: skip
    assert told.jobs["gpus"].tolist() == [4.0, 0.0]
    assert (
        told.done.reading.notes[
            "Servers of a flavor that is not in the table: no GPUs (unknown_flavors)"
        ]
        == 1
    )
    without = _servers(tmp_path, _server(), unknown_flavors="no_gpus")
    assert without.hours() == {("2026-09", "cpu"): 8 * 24.0}
    with pytest.raises(DataError, match="no table of flavors"):
        _servers(tmp_path, _server(), unknown_flavors="refuse")


def test_the_table_of_flavors_is_checked(tmp_path) -> None:
    """A flavor would serve or train by a word that nobody knows."""
    table = tmp_path / "flavors.csv"
    table.write_text("name,gpus,kind\ng4.a100,4,dance\n")
    with pytest.raises(DataError, match="unknown kind"):
        _servers(tmp_path, _server(), map=str(table))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("changed", "fine"),
    [
        ({}, True),
        ({"hours": 24.005}, True),
        ({"hours": 25.0}, False),
        ({"hours": 20.0}, False),
        # within the period are 9 of its 19 days, or 20 of its 30
        ({"started_at": "2026-08-22T00:00:00", "ended_at": "2026-09-10", "hours": 216.0}, True),
        ({"started_at": "2026-08-22T00:00:00", "ended_at": "2026-09-10", "hours": 456.0}, False),
        ({"started_at": "2026-09-11", "ended_at": "2026-10-11T00:00:00", "hours": 480}, True),
        ({"ended_at": None, "hours": 24.0}, True),
        ({"ended_at": None, "hours": 23.0}, False),
        ({"ended_at": None, "uptime": None, "hours": 23.0}, True),
        ({"started_at": None, "ended_at": None, "hours": 0.0}, True),
    ],
)
def test_hours_are_checked(changed: dict[str, Any], fine: bool, after: bool, tmp_path) -> None:
    """Hours that contradict start and end would be believed, or those of a period refused."""
    servers = _server(instance_id="other"), _server(**changed)
    result = _servers(tmp_path, *servers, after=after)
    fields = [] if fine else ["hours"]
    assert result.refused["field"].tolist() == fields
    assert len(result.jobs) == 1 + fine


def test_running_servers_of_consecutive_months(tmp_path) -> None:
    """A server that two exports list would count twice, or be taken for still running."""

    def text(server: dict[str, Any], start: str, stop: str) -> str:
        return json.dumps(
            {"tenant_usage": {"server_usages": [server], "start": start, "stop": stop}}
        )

    first = text(_server(ended_at=None, hours=24.0), "2026-09-01", "2026-10-01")
    second = text(
        _server(ended_at="2026-10-02T00:00:00", hours=24.0), "2026-10-01T00:00:00", "2026-11-01"
    )
    result = import_of("os_simple_tenant_usage", tmp_path, first, second, **MAP)
    assert result.done.rows == {"read": 2, "used": 1, "refused": 0, "merged": 1}
    assert result.hours() == {
        ("2026-09", "gpu"): 4 * 21 * 24.0, ("2026-09", "cpu"): 8 * 21 * 24.0,
        ("2026-10", "gpu"): 4 * 24.0, ("2026-10", "cpu"): 8 * 24.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"state": "dreaming"}, "state"), ({"state": "deleted", "ended_at": None}, "ended_at"),
        ({"vcpus": -1}, "vcpus"), ({"memory_mb": "x"}, "memory_mb"), ({"hours": None}, "hours"),
        ({"instance_id": ""}, "instance_id"), ({"started_at": "yesterday"}, "started_at"),
        ({"flavor": {"name": "x"}}, "flavor"), ({"ended_at": "2026-09-09T00:00:00"}, "hours"),
    ],
)  # fmt: skip
def test_servers_without_sense(changed: dict[str, Any], field: str, tmp_path) -> None:
    """A server without a name, a time or a state would be counted."""
    result = _servers(tmp_path, _server(instance_id="other"), _server(**changed))
    assert result.refused[["row", "field"]].values.tolist() == [[2, field]]


def test_a_summary_without_servers_is_refused(tmp_path) -> None:
    """An answer without detailed=1 would be imported as nothing."""
    text = json.dumps({"tenant_usages": [{"tenant_id": "t", "total_hours": 24.0}]})
    with pytest.raises(DataError, match="detailed=1"):
        import_of("os_simple_tenant_usage", tmp_path, text, **MAP)


def test_a_failed_server_keeps_its_place(tmp_path) -> None:
    """A server in error would hold nothing, though nobody deleted it."""
    result = _servers(tmp_path, _server(state="ERROR", ended_at=None))
    assert result.jobs["state"].tolist() == ["failed"]
    assert result.jobs["end_utc"].isna().all()
    assert result.hours("2026-09-12")["2026-09", "gpu"] == 4 * 48.0
    assert not np.isnan(result.jobs["mem_gb"]).any()
