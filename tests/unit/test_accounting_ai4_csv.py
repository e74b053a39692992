"""Summaries of ai4-accounting: resource-days become hours of a period."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sim.errors import ConfigError, DataError
from tests.accounting_by_hand import GOLDEN, Result, golden_options, import_of

HEAD = "cpu_num;cpu_MHz;memory_MB;disk_MB;gpu_num"
PERIOD = {"period_start": "2024-09-02", "period_end": "2024-09-04"}


def _golden(folder: Path, *kinds: str, **options: Any) -> Result:
    files = [GOLDEN / f"ai4_accounting_csv.ai4eosc-{kind}.csv" for kind in kinds]
    return import_of("ai4_accounting_csv", folder, *files,
                     **(golden_options("ai4_accounting_csv") | options))  # fmt: skip


@pytest.mark.parametrize("kind", ["timeseries", "users-agg", "full-agg"])
def test_golden(kind: str, tmp_path) -> None:
    """The three summaries of the same two days would not give the same hours."""
    result = _golden(tmp_path, kind, site="IFCA")
    # 2 days of 4 cores, 1 GPU and 8 GB: 8 core-days, 2 GPU-days, 16 GB-days, 24 h each
    sums = result.aggregates.groupby("resource")["quantity"].sum().to_dict()
    assert sums == {"cpu": 8 * 24.0, "gpu": 2 * 24.0, "memory": 16 * 24.0}
    assert set(result.aggregates["project"]) == {"ai4eosc"}
    assert set(result.aggregates["site"]) == {"IFCA"}
    assert set(result.aggregates["ledger"]) == {"allocated"}
    days = 1 if kind == "timeseries" else 2
    span = result.aggregates["period_end"] - result.aggregates["period_start"]
    assert set(span.dt.days) == {days}
    assert "overestimates" in result.said


def test_the_same_days_count_once(tmp_path) -> None:
    """A period that two summaries tell would be there twice."""
    result = _golden(tmp_path, "timeseries", "users-agg", "full-agg")
    assert result.aggregates.groupby("resource")["quantity"].sum()["gpu"] == 48.0
    assert result.done.rows["refused"] == 2


def test_resource_days_need_a_period(tmp_path) -> None:
    """Resource-days would be put into a period that nobody has stated."""
    with pytest.raises(DataError, match="no period"):
        _golden(tmp_path, "users-agg", period_start="", period_end="")
    with pytest.raises(ConfigError, match="not a period"):
        _golden(tmp_path, "users-agg", period_end="2024-09-01")


def test_the_namespace_is_that_of_the_file_name(tmp_path) -> None:
    """Files of two namespaces would be one."""
    path = tmp_path / "imagine-full-agg.csv"
    path.write_text(f"{HEAD}\n8;16000;16000;40000;2\n", encoding="utf-8")
    result = import_of("ai4_accounting_csv", tmp_path, path, **PERIOD)
    assert set(result.aggregates["project"]) == {"imagine"}
    with pytest.raises(DataError, match="no namespace"):
        import_of("ai4_accounting_csv", tmp_path, f"{HEAD}\n8;1;1;4;2\n", **PERIOD)


def _text(folder: Path, text: str) -> Result:
    return import_of("ai4_accounting_csv", folder, text, namespace="n", **PERIOD)


def test_rows_that_cannot_be(tmp_path) -> None:
    """A day without sense would count, or take others with it."""
    text = f"date;{HEAD}\r\n2024-09-02;4;8;8;2;1\r\n2024-09-03;-4;8;8;2;1\r\n"
    text += "2024-09-04T12:00:00;4;8;8;2;1\r\n2024-09-05;4;8;8;2\r\n"
    result = _text(tmp_path, text)
    assert result.refused[["row", "field"]].to_numpy().tolist() == [
        [5, "row"], [3, "cpu_num"], [4, "date"],
    ]  # fmt: skip
    assert result.done.rows == {"read": 4, "used": 1, "refused": 3, "merged": 0}


def test_owners_are_summed_and_bad_ones_refused(tmp_path) -> None:
    """An owner's resource-days would be lost, or overlap with those of others."""
    result = _text(tmp_path, f"owner;{HEAD}\na;1;1;1;1;1\nb;x;1;1;1;1\nc;2;1;1;1;0\n")
    assert result.aggregates.set_index("resource")["quantity"]["cpu"] == 3 * 24.0
    assert result.done.rows == {"read": 3, "used": 1, "refused": 1, "merged": 1}


def test_totals_of_all_are_one_row(tmp_path) -> None:
    """Several totals of all would be added up."""
    with pytest.raises(DataError, match="line 3: several rows"):
        _text(tmp_path, f"{HEAD}\n1;1;1;1;1\n1;1;1;1;1\n")


def test_cores_of_old_jobs_may_be_missing(tmp_path) -> None:
    """No cores would be taken for a fact where old jobs hide them."""
    result = _text(tmp_path, f"{HEAD}\n0;4;1;1;1\n")
    assert "cores of old jobs may be missing" in result.said


def test_another_table(tmp_path) -> None:
    """A table of something else would be read as zeros."""
    with pytest.raises(DataError, match="no column 'cpu_num' in the header"):
        _text(tmp_path, "a;b\n1;2\n")
