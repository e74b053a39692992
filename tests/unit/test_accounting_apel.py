"""EGI's messages: virtual machines that come again and again, and the GPUs attached to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sim.errors import DataError
from tests.accounting_by_hand import GOLDEN, Result, import_of

HEADER = "APEL-cloud-message: v0.4\n"
START = 1788249600  # 2026-09-01 08:00 UTC
DAY = 86_400


def _machine(**changed: object) -> str:
    keys = {
        "VMUUID": "vm1", "SiteName": "S", "GlobalUserName": "u", "FQAN": "vo", "StartTime": START,
        "EndTime": START + DAY, "WallDuration": DAY, "CpuDuration": 2 * DAY, "CpuCount": 2,
        "Memory": 1024, "Status": "completed", **changed,
    }  # fmt: skip
    return "".join(f"{k}: {v}\n" for k, v in keys.items() if v is not None) + "%%\n"


def _cloud(folder: Path, *messages: str, **options: str) -> Result:
    return import_of("apel_cloud", folder, *(HEADER + m for m in messages), **options)


def test_cloud_golden(tmp_path) -> None:
    """The golden file would give other hours than those computed by hand."""
    result = import_of("apel_cloud", tmp_path, GOLDEN / "apel_cloud.txt")
    assert result.done.rows == {"read": 4, "used": 3, "refused": 0, "merged": 1}
    # 1: 8 cores for a day: 192. 2: 4 cores, still there after 48 h: 192.
    # 3: 2 cores, for one of its two hours: 2.
    assert result.done.totals["quantity"].tolist() == [192.0 + 192.0 + 2.0]
    assert result.done.until == pd.Timestamp("2026-09-03 08:00", tz="UTC")
    jobs = result.jobs
    assert jobs["state"].tolist() == ["completed", "running", "completed"]
    assert jobs["user"].tolist() == ["a1b2@egi.eu", "u2", "u3"]
    assert jobs["project"].tolist() == ["vo.ai4eosc.eu", "p2", "vo.ai4eosc.eu"]
    assert set(jobs["site"]) == {"IFCA-LCG2"}
    assert jobs["mem_gb"].iloc[0] == pytest.approx(65536 * 2**20 / 1e9)
    assert np.isnan(jobs["mem_gb"].iloc[2])
    assert "Keys that are not read: NewKey" in result.said
    assert "no GPUs" in result.said


def test_the_later_record_of_a_machine_counts(tmp_path) -> None:
    """A machine would count once for each message, or be taken for still there when it ended."""
    growing = [_machine(Status="started", EndTime=None, WallDuration=n * 3600) for n in (1, 5, 9)]
    first = "".join(growing) + _machine(VMUUID="vm2")
    second = _machine(WallDuration=DAY) + _machine(VMUUID="vm2", Status="started", EndTime=None)
    result = _cloud(tmp_path, first, second)
    assert result.done.rows == {"read": 6, "used": 2, "refused": 0, "merged": 4}
    assert result.hours() == {("2026-09", "cpu"): 2 * 48.0}


def test_a_start_that_was_corrected(tmp_path) -> None:
    """A machine whose start differs between two records would be two machines."""
    result = _cloud(tmp_path, _machine(), _machine(StartTime=START + 3600, WallDuration=DAY - 3600))
    assert result.jobs["start_utc"].tolist() == [pd.Timestamp("2026-09-01 09:00", tz="UTC")]
    assert result.hours() == {("2026-09", "cpu"): 2 * 23.0}


def test_the_same_identifier_at_two_sites(tmp_path) -> None:
    """Machines of two sites would be taken for one."""
    result = _cloud(tmp_path, _machine() + _machine(SiteName="T"))
    assert len(result.jobs) == 2
    assert set(_cloud(tmp_path, _machine(), site="X").jobs["site"]) == {"X"}


@pytest.mark.parametrize(("option", "hours"), [("released", 10.0), ("held", 24.0)])
def test_suspended_machines(option: str, hours: float, tmp_path) -> None:
    """Time in which a machine was suspended would count, or not, without anybody saying so."""
    machine = _machine(WallDuration=36_000, SuspendDuration=DAY - 36_000, CpuDuration=72_000)
    result = _cloud(tmp_path, machine, suspended=option)
    assert result.hours() == {("2026-09", "cpu"): 2 * hours}
    assert "suspended" in result.said


@pytest.mark.parametrize(
    ("changed", "state", "ended"),
    [
        ({"Status": "started", "EndTime": "NULL"}, "running", False),
        ({"Status": "started"}, "running", False),
        ({"Status": "completed", "EndTime": None}, "suspended", False),
        ({"Status": "suspended", "EndTime": "None"}, "suspended", False),
        ({"Status": "stopped", "EndTime": "NULL"}, "suspended", False),
        ({"Status": "Error", "EndTime": 0}, "failed", False),
        ({"Status": "error"}, "failed", True),
        ({"Status": "unknown"}, "unknown", True),
    ],
)
def test_states(changed: dict[str, Any], state: str, ended: bool, tmp_path) -> None:
    """A machine that is still there would be over, or one that ended go on."""
    result = _cloud(tmp_path, _machine(**changed))
    assert result.jobs["state"].tolist() == [state]
    assert result.jobs["end_utc"].notna().tolist() == [ended]
    assert result.hours(str(result.done.until.tz_localize(None))) == {("2026-09", "cpu"): 48.0}
    contradicts = changed["Status"] in ("started", "completed") and changed.get("EndTime") != "NULL"
    assert ("contradict" in result.said) is contradicts


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"VMUUID": None}, "VMUUID"), ({"StartTime": None}, "StartTime"),
        ({"WallDuration": None}, "WallDuration"), ({"CpuCount": "many"}, "CpuCount"),
        ({"CpuCount": 1e308}, "CpuCount"),
        ({"Status": "dancing"}, "Status"), ({"WallDuration": -1}, "WallDuration"),
        ({"WallDuration": DAY + 61}, "WallDuration"), ({"EndTime": START - 1}, "WallDuration"),
        ({"StartTime": "2026-09-01"}, "StartTime"), ({"StartTime": START * 1000}, "StartTime"),
        ({"Memory": -5}, "Memory"), ({"FQAN": "v\x07o"}, "FQAN"), ({"no colon\n#": 1}, "record"),
        ({"CpuCount ": 2}, "record"), ({"FQAN": "\udce9"}, "record"),
    ],
)  # fmt: skip
def test_records_without_sense(changed: dict[str, Any], field: str, tmp_path) -> None:
    """A record without sense would be used, or refused without its number and field."""
    text = HEADER + _machine(VMUUID="vm0") + _machine(**changed)
    result = import_of("apel_cloud", tmp_path, text.encode("utf-8", "surrogateescape"))
    assert result.refused[["row", "field"]].values.tolist() == [[2, field]]
    assert result.done.rows["used"] == 1


@pytest.mark.parametrize(
    "text",
    ["", _machine(), HEADER.replace("4", "2") + _machine(), HEADER, '{"Type": "x"}', "a,b\n1,2\n",
     HEADER + _machine() + HEADER.replace("4", "9") + _machine()],
)  # fmt: skip
def test_files_of_another_kind(text: str, tmp_path) -> None:
    """A message of another version, or no message at all, would be read as this one."""
    with pytest.raises(DataError) as caught:
        import_of("apel_cloud", tmp_path, text)
    assert "\n" not in str(caught.value)


def test_records_across_blocks_and_cut_off(tmp_path, monkeypatch) -> None:
    """A record would be torn where a block ends, or half of one be read as a whole one."""
    from analysis.accounting.readers import apel_cloud

    blocks = apel_cloud.blocks_of_lines
    monkeypatch.setattr(apel_cloud, "blocks_of_lines", lambda stream, _: blocks(stream, 100))
    text = "".join(_machine(VMUUID=f"vm{n}") for n in range(9))
    assert len(_cloud(tmp_path, text).jobs) == 9
    cut = _cloud(tmp_path, text[:-30])
    assert cut.refused[["row", "field"]].values.tolist() == [[9, "record"]]
    assert len(_cloud(tmp_path, text.removesuffix("%%\n")).jobs) == 9
    crlf = import_of("apel_cloud", tmp_path, (HEADER + text).replace("\n", "\r\n"))
    assert len(crlf.jobs) == 9


def test_a_record_without_end_is_refused(tmp_path) -> None:
    """A file of any length without a separator would be held in memory."""
    with pytest.raises(DataError, match="record too long"):
        _cloud(tmp_path, "Key: value\n" * 200_000)


def _gpu(**changed: object) -> dict[str, object]:
    record = {
        "SiteName": "S", "AssociatedRecord": "vm1", "FQAN": "vo", "Count": 1, "Type": "GPU",
        "AvailableDuration": DAY, "ActiveDuration": DAY, "MeasurementMonth": 9,
        "MeasurementYear": 2026, "Model": "T4", **changed,
    }  # fmt: skip
    return {k: v for k, v in record.items() if v is not None}


def _gpus(folder: Path, *records: dict[str, object], **options: str) -> Result:
    message = {"Type": "APEL-accelerator-message", "Version": "0.1", "UsageRecords": list(records)}
    return import_of("apel_gpu", folder, json.dumps(message), **options)


def _amounts(result: Result) -> dict[Any, float]:
    table = result.done.totals.set_index(["month", "ledger"])
    assert set(table["unit"]) == {"GPU-h"}
    return table["quantity"].to_dict()


def test_gpu_golden(tmp_path) -> None:
    """The golden file would give other hours than those computed by hand."""
    result = import_of("apel_gpu", tmp_path, GOLDEN / "apel_gpu.json")
    assert result.done.rows == {"read": 4, "used": 2, "refused": 0, "merged": 2}
    # September: 1 × 86,400 s, and 2 × 90,000 s of a record that replaces an earlier one: 24 + 50.
    # October: 36,000 s attached, 9,000 s of them active.
    assert _amounts(result) == {
        ("2026-09", "allocated"): 24.0 + 50.0,
        ("2026-10", "allocated"): 10.0,
        ("2026-10", "active"): 2.5,
    }
    assert set(result.aggregates["period_end"].astype(str)) == {
        "2026-10-01 00:00:00+00:00", "2026-11-01 00:00:00+00:00"
    }  # fmt: skip
    assert "nothing is known of use" in result.said


def test_attached_is_not_used(tmp_path) -> None:
    """A duration that only repeats how long a GPU was attached would be taken for its use."""
    same = _gpus(tmp_path, _gpu(), _gpu(AssociatedRecord="vm2", ActiveDuration=None))
    assert _amounts(same) == {("2026-09", "allocated"): 48.0}
    # in a month in which somebody measures, a machine that was always busy counts as such
    measured = _gpus(tmp_path, _gpu(), _gpu(AssociatedRecord="vm2", ActiveDuration=3600))
    assert _amounts(measured) == {("2026-09", "allocated"): 48.0, ("2026-09", "active"): 25.0}


def test_records_about_the_same(tmp_path) -> None:
    """A record that is sent again would count again; two models of one machine are two records."""
    again = _gpus(tmp_path, _gpu(), _gpu(), _gpu(Model="A100", Count=2))
    assert _amounts(again) == {("2026-09", "allocated"): 24.0 + 48.0}
    assert again.done.rows == {"read": 3, "used": 1, "refused": 0, "merged": 2}
    later = _gpus(tmp_path, _gpu(), _gpu(AvailableDuration=2 * DAY, ActiveDuration=2 * DAY),
                  _gpu(MeasurementMonth=10))  # fmt: skip
    assert _amounts(later) == {("2026-09", "allocated"): 48.0, ("2026-10", "allocated"): 24.0}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"Type": "FPGA"}, "Type"), ({"MeasurementMonth": 13}, "MeasurementMonth"),
        ({"MeasurementMonth": 1.5}, "MeasurementMonth"),
        ({"MeasurementYear": 26}, "MeasurementYear"),
        ({"Count": -1}, "Count"), ({"Count": "one"}, "Count"),
        ({"AssociatedRecord": ""}, "AssociatedRecord"),
        ({"AvailableDuration": None}, "AvailableDuration"),
        ({"AvailableDuration": 1e308, "Count": 99}, "AvailableDuration"),
        ({"AvailableDuration": 31 * DAY, "ActiveDuration": 0}, "AvailableDuration"),
        ({"ActiveDuration": DAY + 2}, "ActiveDuration"), ({"FQAN": ["vo"]}, "FQAN"),
    ],
)  # fmt: skip
def test_gpu_records_without_sense(changed: dict[str, Any], field: str, tmp_path) -> None:
    """A record of more than a month has, or of no GPU, would be counted."""
    result = _gpus(tmp_path, _gpu(), _gpu(**{"AssociatedRecord": "vm2", **changed}))
    assert result.refused[["row", "field"]].values.tolist() == [[2, field]]
    assert _amounts(result) == {("2026-09", "allocated"): 24.0}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"Type": "APEL-cloud-message", "Version": "0.4", "UsageRecords": [{}]}, "field Type"),
        ({"Type": "APEL-accelerator-message", "Version": "9", "UsageRecords": [{}]}, "Version"),
        ({"UsageRecords": [{}]}, "Type"),
        ({"Type": "APEL-accelerator-message", "Version": "0.1", "UsageRecords": []}, "no records"),
        ({"Type": "APEL-accelerator-message", "Version": "0.1"}, "no records"),
        ([], "Type"),
    ],
)
def test_messages_of_another_kind(message: Any, said: str, tmp_path) -> None:
    """Records of another kind would be read as those of accelerators."""
    with pytest.raises(DataError, match=said):
        import_of("apel_gpu", tmp_path, json.dumps(message))
