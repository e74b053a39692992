"""`aiaas export`: what a run held, in formats that other tools read, and back."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from analysis.accounting.totals import monthly
from analysis.cli import composed, run
from analysis.federations import packaged, register
from analysis.verbs import export
from sim.units import GRID_PER_H

TINY = ["federation=tiny", "parameters=configured"]
UNTIL = pd.Timestamp("2025-01-01", tz="UTC")


def _folder(capsys, *arguments: str) -> Path:
    assert run(arguments) == 0
    return Path(re.findall(r"^results: (.+)$", capsys.readouterr().out, re.MULTILINE)[-1])


def _hours(folder: Path) -> dict[tuple[str, str, str], float]:
    jobs = pd.read_parquet(folder / "jobs.parquet")
    table = monthly([jobs], UNTIL, ("user",))
    return table.set_index(["month", "user", "resource"])["quantity"].to_dict()


def test_out_and_in_again(capsys, here) -> None:
    """A planner who reads what we write would find other hours than those of the run."""
    out = _folder(capsys, "export", *TINY, "seed=5", "replicate=1", "interval_h=12")
    assert sorted(p.name for p in out.iterdir()) == [
        "cores.swf", "gpus.swf", "jobs.parquet", "manifest.json", "names.csv", "snapshots",
        "summaries", "totals.csv",
    ]  # fmt: skip
    totals = pd.read_csv(out / "totals.csv").set_index(["month", "user", "resource"])
    assert len(totals) > 100
    assert totals["quantity"].tolist() == pytest.approx(totals["ledger"].tolist(), rel=1e-9)
    back = _folder(capsys, "import", "ai4-accounting", str(out / "snapshots"))
    assert _hours(back) == totals["quantity"].to_dict()
    names = pd.read_csv(out / "names.csv")
    number = names[names["field"] == "user"].set_index("name")["number"].astype(str)
    for processors, resource in (("gpus", "gpu"), ("cores", "cpu")):
        back = _folder(capsys, "import", "swf", str(out / f"{processors}.swf"),
                       f"processors={processors}")  # fmt: skip
        mine = totals["quantity"].to_dict().items()
        assert _hours(back) == {(m, number[u], r): q for (m, u, r), q in mine if r == resource}
    played = _folder(capsys, "run", *TINY, "seed=5", "replicates=2")
    same = pd.read_parquet(played / "deployments.parquet")
    same = same[(same["replicate"] == 1) & same["started_h"].notna()]
    held = ((same["released_h"] - same["started_h"]) * same["gpus"]).sum()
    # Sums of times on the grid are exact, so that is the same run to the last bit.
    assert (held * GRID_PER_H).is_integer()
    said = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert said["total"]["GPU-h"]["ledger"] == held
    assert said["status"] == "finished"
    assert "services" in said["carries"]


def test_summaries_can_be_read(capsys, here) -> None:
    """The summaries beside the snapshots would not be the tables of ai4-accounting."""
    out = _folder(capsys, "export", *TINY, "formats=[ai4-accounting]", "namespace=imagine")
    assert not list(out.glob("*.swf"))
    files = [str(out / "summaries" / f"imagine-{n}.csv") for n in ("timeseries", "full-agg")]
    period = ["period_start=2024-01-01", "period_end=2025-01-01"]
    hours = []
    for file in files:
        table = pd.read_parquet(
            _folder(capsys, "import", "ai4-accounting-csv", file, *period) / "aggregates.parquet"
        )
        hours.append(table[table["resource"] == "gpu"]["quantity"].sum())
    exact = pd.read_csv(out / "totals.csv")
    exact = exact[exact["resource"] == "gpu"]["quantity"].sum()
    # Whole numbers of a mean of four snapshots a day: near the truth, not more.
    assert hours == pytest.approx([exact, exact], rel=0.03)


def test_whole_seconds(capsys, here) -> None:
    """Whoever wants whole seconds would not be told what they cost."""
    out = _folder(capsys, "export", *TINY, "formats=[swf]", "processors=[cores]",
                  "whole_seconds=true")  # fmt: skip
    rows = [line for line in (out / "cores.swf").read_text(encoding="utf-8").splitlines()
            if not line.startswith(";")]  # fmt: skip
    assert not any("." in row for row in rows)
    totals = pd.read_csv(out / "totals_swf.csv").set_index(["month", "user", "resource"])
    back = _folder(capsys, "import", "swf", str(out / "cores.swf"), "processors=cores")
    cores = totals["quantity"][totals.index.get_level_values("resource") == "cpu"]
    assert sorted(_hours(back).values()) == sorted(cores.tolist())
    said = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["total_swf"]["CPU-h"]
    off = (totals["quantity"] - totals["ledger"]).abs()
    assert said["largest_difference"] == off[cores.index].max() > 1e-6


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("formats=[swff]", "did you mean 'swf'"), ("formats=[]", "formats"),
        ("processors=[gpu]", "did you mean 'gpus'"), ("interval_h=0", "0.1 to 24 h"),
        ("interval_h=x", "interval_h"), ("replicate=-1", "at least 0"),
        ("replicates=2", "did you mean 'replicate'"), ('namespace="a/b"', "namespace"),
        ("parameters=guessed", "parameters"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_2(argument: str, said: str, capsys, here) -> None:
    """A mistake would end in a traceback, another exit code, or files half written."""
    assert run(["export", *TINY, argument]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert not list(here.iterdir())


def test_a_failure_is_said(capsys, here, monkeypatch) -> None:
    """Files of a run that was not exported to the end would look finished."""

    def fails(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "write_swf", fails)
    with pytest.raises(KeyboardInterrupt):
        export.execute(export.prepare(_composed()))
    manifest = next((here / "outputs" / "export").rglob("manifest.json"))
    assert json.loads(manifest.read_text(encoding="utf-8"))["status"] == "interrupted"


def _composed():
    register(packaged()["tiny"])
    return composed("export", [*TINY, "formats=[swf]"])
