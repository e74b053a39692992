"""`aiaas import` as a user meets it: formats, refusals, what is written and what is not."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from analysis.accounting.tables import AGGREGATE_SCHEMA, JOB_SCHEMA
from analysis.cli import run
from tests.accounting_by_hand import GOLDEN

HEADER = "job_id,user,start_utc,end_utc,gpus\n"
FINE = "a,u,2026-09-01,2026-09-02,1\n"


def _folder(here: Path) -> Path:
    (folder,) = (here / "outputs" / "import").iterdir()
    return folder


def test_a_slurm_file_becomes_two_tables_and_a_report(here, capsys) -> None:
    """A file that is missing from the folder, or a figure that is not as computed by hand."""
    shutil.copy(GOLDEN / "sacct.psv", here / "september.psv")
    assert run(["import", "sacct", "september.psv", "time_zone=Europe/Madrid", "site=North"]) == 0
    folder = _folder(here)
    assert sorted(p.name for p in folder.iterdir()) == [
        "aggregates.parquet", "jobs.parquet", "manifest.json", "refused.csv", "report.md"
    ]  # fmt: skip
    jobs = pd.read_parquet(folder / "jobs.parquet")
    assert list(jobs) == list(JOB_SCHEMA.columns)
    assert set(jobs["site"]) == {"North"}
    assert list(pd.read_parquet(folder / "aggregates.parquet")) == list(AGGREGATE_SCHEMA.columns)
    manifest = json.loads((folder / "manifest.json").read_text())
    content = (here / "september.psv").read_bytes()
    assert manifest["input_sha256"] == {"september.psv": hashlib.sha256(content).hexdigest()}
    assert manifest["status"] == "finished"
    assert manifest["rows"] == {"read": 7, "used": 6, "refused": 0, "merged": 1}
    assert {"pandera", "pyarrow", "pandas"} <= set(manifest["versions"])
    report = (folder / "report.md").read_text()
    # 12 + 15 GPU-h in September, computed in the golden test
    assert "| 2026-09 | jobs | gpu | allocated | 27 | GPU-h |" in report
    assert "Times are local to Europe/Madrid" in report
    assert "counted up to 2026-10-25 11:00:00 UTC" in report
    assert "`time_zone` = Europe/Madrid" in report
    out = capsys.readouterr().out
    assert "rows: 7 read, 6 used, 0 refused, 1 merged" in out
    assert str(folder) in out
    assert [p.name for p in here.iterdir() if p.name.startswith(".")] == []


def test_until_is_what_the_user_states(here, capsys) -> None:
    """Running jobs would be counted up to another time than stated."""
    path = str(GOLDEN / "sacct.psv")
    assert run(["import", "sacct", path, "time_zone=Europe/Madrid", "until=2026-10-03"]) == 0
    report = (_folder(here) / "report.md").read_text()
    # 9 h of job 1003; 1004 from 09:00 on 2 October to the 3rd: 15 h
    assert "| 2026-10 | jobs | gpu | allocated | 24 | GPU-h |" in report
    assert "2026-10-03 00:00:00 UTC" in capsys.readouterr().out


def test_formats_and_options_are_listed(here, capsys) -> None:
    """A user could not find out what there is."""
    assert run(["import"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("sacct", "swf", "tidy"))
    assert run(["import", "swf", "--help"]) == 0
    told = capsys.readouterr().out
    assert "[option=value …]" in told
    assert "has to be stated" in told
    assert "unix_start_s" in told
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sact", "a.csv"], "unknown format (expected"),
        (["sact", "a.csv"], "did you mean 'sacct'?"),
        (["tidy"], "no file"),
        (["tidy", "b.csv"], "b.csv: no such file (expected a file of accounting, got 'b.csv'; "
                            "did you mean 'bad.csv'?)"),
        (["tidy", "a.csv", "a.csv"], "file given twice"),
        (["tidy", "a.csv", "./a.csv"], "file given twice"),
        (["tidy", "a.csv", "timezone=UTC"], "did you mean 'time_zone'?"),
        (["tidy", "a.csv", "time_zone=Europe/Madird"], "time_zone: wrong type (expected an IANA"),
        (["tidy", "a.csv", "decimal=dot"], "decimal: unknown choice"),
        (["tidy", "a.csv", "until=later"], "until: not a time"),
        (["swf", "a.csv"], "processors: has to be stated"),
        (["sacct", "a.csv"], "a.csv, line 1: no column 'State' in the header"),
        (["sacct", "a.csv", "map=kinds.csv"], "map: no such file"),
        (["tidy", "empty.csv"], "empty.csv: the file is empty"),
        (["tidy", "a.csv", "bad.csv"], "bad.csv: none of its 2 rows can be used (expected at line "
                                       "2, field start_utc: ISO 8601"),
        (["tidy", "nothing"], "nothing: no file in the folder"),
        (["tidy", "a.csv", "site=${x}"], "Interpolation key 'x' not found"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_leaves_nothing(here, arguments, said, capsys) -> None:
    """A refused file or option would end otherwise than in one line, or leave something."""
    (here / "nothing").mkdir()
    (here / "a.csv").write_text(HEADER + FINE)
    (here / "empty.csv").write_text("")
    (here / "bad.csv").write_text(HEADER + "a,u,today,2026-09-02,1\nb,u,now,2026-09-02,1\n")
    before = sorted(here.rglob("*"))
    assert run(["import", *arguments]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
    assert sorted(here.rglob("*")) == before


def test_every_refused_row_is_told(here, capsys) -> None:
    """A row would be dropped silently, or the report say less than the list."""
    rows = [f"j{n},u,2026-09-0{n},2026-09-01,1\n" for n in range(2, 10)]
    rows += ["x,u,2026-09-01\n", "y,u,2026-13-01,2026-09-02,1\n", "z,u,2026-09-01,,nan\n"]
    (here / "a.csv").write_text(HEADER + FINE + "".join(rows) + FINE)
    assert run(["import", "tidy", "a.csv"]) == 0
    folder = _folder(here)
    with (folder / "refused.csv").open(newline="") as file:
        told = list(csv.DictReader(file))
    assert sorted(int(row["row"]) for row in told) == list(range(3, 14))
    assert {row["file"] for row in told} == {"a.csv"}
    assert all(row["field"] and row["what"] and row["expected"] for row in told)
    report = (folder / "report.md").read_text()
    assert "| 13 | 1 | 11 | 1 |" in report
    assert report.count("| a.csv | ") == 1 + 10  # of the files, and the first ten
    assert "end_utc not before start_utc" in capsys.readouterr().out


EVIL = ("=cmd()", "+1+2", "-x", "@SUM(A1)", "<script>alert(1)</script>", "a|b", "[b](c)", "`d`")


def test_names_stay_names(here) -> None:
    """A name would become a formula in a CSV, or markup where it is shown."""
    rows = "".join(f'{n},"{name}",yesterday,2026-09-02,1\n' for n, name in enumerate(EVIL))
    rows += "".join(f'"{name}",u,yesterday,2026-09-02,"{name}"\n' for name in EVIL)
    rows += "".join(f'{n},u,"{name}",2026-09-02,1\n' for n, name in enumerate(EVIL))
    (here / "=a.csv").write_text(HEADER + rows + FINE)
    assert run(["import", "tidy", "=a.csv"]) == 0
    folder = _folder(here)
    with (folder / "refused.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert "'=cmd()" in cells
    assert "'=a.csv" in cells
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    report = (folder / "report.md").read_text()
    assert "<script>" not in report
    shown = [line for line in report.splitlines() if line.startswith("| =a.csv | 1")]
    assert {line.replace("\\|", "").count("|") for line in shown} == {7}


def test_a_file_name_that_is_no_text(here, capsys) -> None:
    """A name of bytes that are no UTF-8 would end in a traceback, with nothing imported."""
    (here / os.fsdecode(b"jobs\xff.csv")).write_text(HEADER + "a,u,yesterday,,1\n" + FINE)
    assert run(["import", "tidy", str(here / os.fsdecode(b"jobs\xff.csv"))]) == 0
    folder = _folder(here)
    assert set(pd.read_parquet(folder / "jobs.parquet")["source"]) == {"tidy:jobs?.csv"}
    assert "jobs?.csv,2,start_utc" in (folder / "refused.csv").read_text(encoding="utf-8")


def test_columns_and_options_stay_names(here, capsys) -> None:
    """The name of a column or a site would become markup, or not get through to the reader."""
    text = (GOLDEN / "sacct.psv").read_text().replace("NCPUS", "<b>\x1b[31m")
    (here / "a b.psv").write_text(text)
    site = "Ciudad Real (ES), 'x' [y]"
    assert run(["import", "sacct", "a b.psv", f"site={site}"]) == 0
    assert set(pd.read_parquet(_folder(here) / "jobs.parquet")["site"]) == {site}
    report = (_folder(here) / "report.md").read_text()
    assert "<b>" not in report
    assert "\x1b" not in report + capsys.readouterr().out


def test_other_verbs_do_not_wait_for_accounting(here) -> None:
    """Each verb would load what only accounting needs."""
    code = (
        "import sys; from analysis.cli import run; code = run(['validate', 'federation=tiny']); "
        "sys.exit(code or 'pandera' in sys.modules or 'ijson' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r}); {code}"],
        capture_output=True, cwd=here, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
