"""`aiaas import` of what clouds tell, as a user meets it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.cli import run
from tests.accounting_by_hand import GOLDEN

DEEP = '{"data": [{"a": ' + "[" * 100_000


def _folder(here: Path) -> Path:
    (folder,) = (here / "outputs" / "import").iterdir()
    return folder


def test_servers_with_their_flavors(here, capsys) -> None:
    """GPUs of a flavor would not come from the user's table, or the report lack what was said."""
    servers = str(GOLDEN / "os_simple_tenant_usage.json")
    table = str(GOLDEN / "maps" / "flavors.yaml")
    assert run(["import", "os-simple-tenant-usage", servers, f"map={table}"]) == 0
    report = (_folder(here) / "report.md").read_text()
    # 4 GPUs for 24 h and half a second, and one for a day, computed in the golden test
    assert "| 2026-09 | jobs | gpu | allocated | 120.001 | GPU-h |" in report
    assert "began before the period asked for" in report
    assert "## Rows (records)" in report
    assert "rows: 3 read, 3 used" in capsys.readouterr().out


def test_a_table_of_flavors_has_to_be_there(here, capsys) -> None:
    """Servers would be imported without GPUs because nobody listed them."""
    assert (
        run(["import", "os-simple-tenant-usage", str(GOLDEN / "os_simple_tenant_usage.json")]) == 2
    )
    assert "no table of flavors" in capsys.readouterr().err
    assert list(here.iterdir()) == []


def test_dates_are_options(here) -> None:
    """A date on the command line would become a number, or an unknown key."""
    usage = str(GOLDEN / "openstack_usage.csv")
    assert run(["import", "openstack-usage", usage, "start=2026-09-01", "end=2026-10-01"]) == 0
    table = pd.read_parquet(_folder(here) / "aggregates.parquet")
    assert set(table["period_end"]) == {pd.Timestamp("2026-10-01", tz="UTC")}


def test_messages_of_many_files_are_one_import(here) -> None:
    """A machine whose records lie in two messages would count twice."""
    message = (GOLDEN / "apel_cloud.txt").read_text()
    for name in ("a", "b"):
        (here / name).write_text(message)
    assert run(["import", "apel-cloud", "a", "b"]) == 0
    folder = _folder(here)
    assert (
        "| 2026-09 | jobs | cpu | allocated | 386 | CPU-h |" in (folder / "report.md").read_text()
    )
    assert len(pd.read_parquet(folder / "jobs.parquet")) == 3


def test_absurd_json_ends_in_one_line(here, capsys) -> None:
    """A file that is nested without end would end in a traceback, or leave half a folder."""
    (here / "deep.json").write_text(DEEP)
    assert run(["import", "opencost", "deep.json"]) == 2
    said = capsys.readouterr().err
    assert "deep.json: nested beyond reason" in said
    assert "Traceback" not in said
    assert [p.name for p in here.iterdir()] == ["deep.json"]
