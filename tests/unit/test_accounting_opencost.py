"""OpenCost: what namespaces hold, what nobody holds, and windows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sim.errors import DataError
from tests.accounting_by_hand import GOLDEN, Result, import_of

DAY = {"start": "2026-09-01T00:00:00Z", "end": "2026-09-02T00:00:00Z"}
NEXT = {"start": "2026-09-02T00:00:00Z", "end": "2026-09-03T00:00:00Z"}


def _read(folder: Path, *data: Any, **options: str) -> Result:
    return import_of("opencost", folder, json.dumps({"code": 200, "data": data}), **options)


def _amounts(result: Result) -> dict[Any, float]:
    rows = result.aggregates.set_index(["project", "resource", "ledger"])["quantity"]
    return rows.groupby(level=[0, 1, 2]).sum().to_dict()


def test_golden(tmp_path) -> None:
    """The golden file would give other amounts than those computed by hand."""
    result = import_of("opencost", tmp_path, GOLDEN / "opencost.json")
    assert result.done.rows == {"read": 5, "used": 5, "refused": 0, "merged": 0}
    # Allocated: 96 + 24 + 10.5 CPU-h, 48 + 24 GPU-h, 1.5e12 byte-h are 1,500 GB-h.
    # Provisioned, on the first day only: 288 idle and 96 + 24 held, GPUs 48 + 48, 500 + 1,500 GB-h.
    # Volumes: (24 + 12) TB-h in September, which has 720 h.
    assert result.done.totals.set_index(["resource", "ledger"])["quantity"].to_dict() == {
        ("cpu", "allocated"): 130.5,
        ("cpu", "provisioned"): 288.0 + 96.0 + 24.0,
        ("gpu", "allocated"): 72.0,
        ("gpu", "provisioned"): 96.0,
        ("memory", "allocated"): 1500.0,
        ("memory", "provisioned"): 2000.0,
        ("storage", "provisioned"): pytest.approx(36 / 720, abs=1e-15),
    }
    # what ran for a part of a window is of the whole window
    assert result.aggregates["period_start"].dt.hour.unique().tolist() == [0]
    provisioned = result.aggregates[result.aggregates["resource"] != "storage"]
    provisioned = provisioned[provisioned["ledger"] == "provisioned"]
    assert set(provisioned["project"]) == {""}


def test_names_that_are_no_namespace(tmp_path) -> None:
    """What nobody holds would be allocated to a namespace called __idle__."""
    idle = {**DAY, "cpuCoreHours": 10.0, "pvByteHours": 0.0}
    rows = {
        "a": {**DAY, "cpuCoreHours": 5.0},
        "c1/__idle__": idle,
        "c2/__idle__": {**idle, "cpuCoreHours": 1.0},
        "__unmounted__": {**DAY, "pvByteHours": 7.2e14},
        "__unallocated__": {**DAY, "cpuCoreHours": 3.0},
        "my__idle__": {**DAY, "cpuCoreHours": 2.0},
    }
    result = _read(tmp_path, rows)
    assert _amounts(result) == {
        ("", "cpu", "provisioned"): 21.0,
        ("__unallocated__", "cpu", "allocated"): 3.0,
        ("__unmounted__", "storage", "provisioned"): pytest.approx(1.0),
        ("a", "cpu", "allocated"): 5.0,
        ("my__idle__", "cpu", "allocated"): 2.0,
    }
    assert result.done.rows == {"read": 6, "used": 5, "refused": 0, "merged": 1}


def test_idle_is_of_its_window(tmp_path) -> None:
    """Idle hours of one day would be added to what was held on others."""
    first, second = ({"a": {**day, "cpuCoreHours": 5.0}} for day in (DAY, NEXT))
    second["__idle__"] = {**NEXT, "cpuCoreHours": 1.0}
    result = _read(tmp_path, first, second)
    cpu = result.aggregates[result.aggregates["resource"] == "cpu"]
    table = cpu.set_index([cpu["period_start"].dt.day, "ledger"])["quantity"].to_dict()
    assert table == {
        (1, "allocated"): 5.0, (2, "allocated"): 5.0, (2, "provisioned"): 6.0
    }  # fmt: skip


def test_what_is_not_told_is_no_zero(tmp_path) -> None:
    """A cluster without GPU accounting would have used no GPU."""
    result = _read(tmp_path, {"a": {**DAY, "gpuHours": 0, "cpuCoreHours": None}})
    assert _amounts(result) == {("a", "gpu", "allocated"): 0.0}
    # nobody knows how many GPUs were idle, so neither how many there were
    idle = _read(tmp_path, {
        "a": {**DAY, "gpuHours": 2.0, "cpuCoreHours": 1.0}, "__idle__": {**DAY, "cpuCoreHours": 3}
    })  # fmt: skip
    assert _amounts(idle) == {
        ("a", "gpu", "allocated"): 2.0, ("a", "cpu", "allocated"): 1.0,
        ("", "cpu", "provisioned"): 4.0,
    }  # fmt: skip
    nothing = _read(
        tmp_path, {"a": {**DAY, "gpuHours": 2.0}, "__idle__": {**DAY, "pvByteHours": 0}}
    )
    assert nothing.refused["what"].tolist() == ["no amount in it"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"gpuHours": -1}, "gpuHours"), ({"cpuCoreHours": "x"}, "cpuCoreHours"),
        ({"start": "yesterday"}, "start"), ({"end": None}, "end"), ({"end": DAY["start"]}, "end"),
        ({"window": {"start": "2026-09-03"}}, "end"), ({"cpuCoreHours": None}, "cpuCoreHours"),
        ({"pvByteHours": 1e300}, "pvByteHours"), ({"gpuHours": [1]}, "gpuHours"),
        ({"pvByteHours": 1.0, "cpuCoreHours": None, "end": DAY["start"]}, "end"),
    ],
)  # fmt: skip
def test_allocations_without_sense(changed: dict[str, Any], field: str, tmp_path) -> None:
    """Negative hours, or hours of no time, would be added up."""
    rows = {"b": {**DAY, "cpuCoreHours": 1.0}, "a": {**DAY, "cpuCoreHours": 5.0, **changed}}
    result = _read(tmp_path, rows, {"__idle__": {**DAY, "cpuCoreHours": 1.0}})
    assert result.refused[["row", "field"]].values.tolist() == [[2, field]]
    assert _amounts(result)["", "cpu", "provisioned"] == 2.0


def test_null_data(tmp_path) -> None:
    """A window without data would refuse the others, or be a row."""
    rows = {"a": {**DAY, "cpuCoreHours": 5.0}, "b": None}
    result = _read(tmp_path, None, {}, rows)
    assert _amounts(result) == {("a", "cpu", "allocated"): 5.0}
    assert result.refused[["row", "field"]].values.tolist() == [[2, "record"]]


@pytest.mark.parametrize(
    "text",
    ['{"code": 200, "data": [null]}', '{"code": 200, "data": null}', '{"code": 200, "data": []}',
     '{"code": 400, "message": "bad window"}', '{"data": [[1, 2]]}', "[]", '{"data": "x"}'],
)  # fmt: skip
def test_answers_without_data(text: str, tmp_path) -> None:
    """An error of the server would be imported as a cluster that used nothing."""
    with pytest.raises(DataError, match="no records in it"):
        import_of("opencost", tmp_path, text)


def test_windows_that_overlap(tmp_path) -> None:
    """A day and the week it lies in would both be counted."""
    week = {"start": DAY["start"], "end": "2026-09-08T00:00:00Z"}
    rows = [
        {"a": {**window, "cpuCoreHours": hours}}
        for window, hours in ((DAY, 5.0), (week, 30.0), (NEXT, 6))
    ]
    result = _read(tmp_path, *rows, site="S")
    assert _amounts(result) == {("a", "cpu", "allocated"): 11.0}
    assert result.refused[["row", "field"]].values.tolist() == [[2, "period_start"]]
    assert set(result.aggregates["site"]) == {"S"}
    again = _read(tmp_path, rows[0], rows[0])
    assert again.done.rows == {"read": 2, "used": 1, "refused": 0, "merged": 1}


def test_a_name_twice_in_a_window(tmp_path) -> None:
    """Of two entries of the same name one would overwrite the other in silence."""
    one, two = (json.dumps({**DAY, "cpuCoreHours": hours}) for hours in (5, 6))
    text = f'{{"data": [{{"a": {one}, "a": {two}}}]}}'
    result = import_of("opencost", tmp_path, text)
    assert result.done.rows == {"read": 2, "used": 1, "refused": 1, "merged": 0}


def test_names_like_formulas_and_long_ones(tmp_path) -> None:
    """A namespace would run as a formula in a spreadsheet, or be too long for the table."""
    rows = {"=cmd()": {**DAY, "cpuCoreHours": 1.0}, "x" * 600: {**DAY, "cpuCoreHours": 1.0},
            "=bad()": {**DAY, "cpuCoreHours": -1.0}}  # fmt: skip
    result = _read(tmp_path, rows)
    assert result.aggregates["project"].tolist() == ["=cmd()"]
    assert result.refused["field"].tolist() == ["cpuCoreHours", "project"]
