"""The jobs of another cluster as a sacct file: what is imported is what the data say."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from analysis.accounting.formats import reader_of
from analysis.accounting.importing import import_files
from analysis.accounting.options import checked
from analysis.accounting.reading import Reading
from analysis.records.helios_sacct import main


def _imported(path, folder):
    """Import a sacct file; return what was said and the jobs."""
    reader = reader_of("sacct")
    told = {"site": "Venus", "time_zone": "Asia/Shanghai"}
    options = checked(reader.OPTIONS, told, "sacct")
    folder.mkdir()
    reading = Reading([path], options, "sacct", folder / "refused.csv")
    return import_files(reader, reading, folder), pd.read_parquet(folder / "jobs.parquet")


def test_all_jobs_are_imported_with_their_hours(tmp_path) -> None:
    """Jobs of the tutorial would be lost, doubled or shifted on their way through sacct's columns.

    The other side is computed here from the shipped file alone: seconds since the first job, which
    began on 2020-03-03 at 20:00 UTC (assumed, see analysis.records.helios).
    """
    assert main([str(tmp_path / "venus.sacct")]) == 0
    done, jobs = _imported(tmp_path / "venus.sacct", tmp_path / "data")
    name = "helios_venus_gpu_jobs_48hclamp.csv.gz"
    raw = pd.read_csv(files("scenarios") / "measurements" / name)
    assert done.rows == {"read": 125_303, "used": 125_303, "refused": 0, "merged": 0}
    assert len(jobs) == len(raw) == 125_303
    held_s = (jobs["end_utc"] - jobs["start_utc"]) / pd.Timedelta(seconds=1)
    assert held_s.median() == raw["service_sec"].median() == 204.0
    assert held_s.sum() == raw["service_sec"].sum()
    assert (held_s * jobs["gpus"]).median() == (raw["service_sec"] * raw["gpu_count"]).median()
    gpu_s = (raw["service_sec"] * raw["gpu_count"]).sum()
    total = done.totals.query("resource == 'gpu'")
    assert total["quantity"].sum() == pytest.approx(gpu_s / 3600.0, rel=1e-12)
    assert gpu_s / 3600.0 == pytest.approx(2_423_406.545, abs=1e-3)
    start = pd.Timestamp("2020-03-03 20:00") + pd.to_timedelta(raw["arrival_s"], unit="s")
    end = start + pd.to_timedelta(raw["service_sec"], unit="s")
    for month, quantity in zip(total["month"], total["quantity"], strict=True):
        first = pd.Timestamp(f"{month}-01")
        last = first + pd.offsets.MonthBegin(1)
        inside = end.clip(upper=last) - start.clip(lower=first)
        hours = np.maximum(inside / pd.Timedelta(hours=1), 0.0) * raw["gpu_count"]
        assert quantity == pytest.approx(hours.sum(), rel=1e-12), month
    assert set(jobs["site"]) == {"Venus"}
    assert set(jobs["user"]) == set(jobs["project"]) == {""}


def test_a_part_of_the_jobs_is_every_so_manieth(tmp_path, capsys) -> None:
    """The small file of the docs would not be a sample of the whole one."""
    assert main([str(tmp_path / "small.sacct"), "every=50"]) == 0
    assert "2,507 jobs" in capsys.readouterr().out
    lines = (tmp_path / "small.sacct").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 2507
    assert lines[1] == (
        "363167_0|||venus|COMPLETED|2020-03-04T04:00:00|2020-03-04T04:00:00|2020-03-06T04:00:00|"
        "172800||gres/gpu=32"
    )


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["a", "every=0"], ["a", "evry=2"]])
def test_mistakes_are_one_line(arguments, capsys, tmp_path, monkeypatch) -> None:
    """A slip would write a file nobody asked for, or end in a traceback."""
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
