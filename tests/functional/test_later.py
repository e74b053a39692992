"""What came after a posterior was made, on the command line: later figures, deployment records."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from analysis.calibration.waves import made_from
from analysis.cli import composed, run
from analysis.federations import load_case, packaged, register
from analysis.verbs import project
from analysis.warmup import compile_kernel
from sim.runner import RunSpec, run_once
from tests.records_by_hand import write_log

FIGURE = (
    "id,table,installation,site,metric,resource,ledger,period,value,unit,note\n"
    "north_gpu_m7,-,North GPU,North,usage,gpu,by_hypothesis,M7-M7,900000,GPU-h,seconds of GPU\n"
)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    """Compile the kernel before output is looked at: that says a line of its own."""
    compile_kernel()


@pytest.mark.slow
def test_an_absurd_figure_is_refused_until_it_is_accepted(capsys, here) -> None:
    """A unit error would be fitted, its refusal end in a traceback, or a surprise not be told."""
    (here / "later.csv").write_text(FIGURE, encoding="utf-8")
    asked = ("calibrate", "federation=tiny", "data=later.csv", "runs=200", "steps=50", "keep=10",
             "jobs=1")  # fmt: skip
    assert run(asked) == 2
    said = capsys.readouterr()
    (line,) = said.err.strip().splitlines()
    assert "north_gpu_m7" in line
    assert "900,000" in line
    assert "surprises=accept" in line
    assert not said.out
    (refused,) = (here / "outputs" / "calibrate").iterdir()
    assert [p.name for p in refused.iterdir()] == ["manifest.json"]
    assert json.loads((refused / "manifest.json").read_text())["status"] == "failed"
    assert not list(here.rglob("*.part"))
    assert run([*asked, "surprises=accept"]) == 0
    taken = max((here / "outputs" / "calibrate").iterdir())
    assert pd.read_csv(taken / "predictive.csv")["probability"].max() < 0.002
    assert len(pd.read_parquet(taken / "posterior" / "draws.parquet")) == 10
    assert json.loads((taken / "manifest.json").read_text())["status"] == "finished"


@pytest.fixture
def told(here, tiny, policies) -> str:
    """Write records, and a posterior that names them as what it was made from, as an argument."""
    write_log(run_once(RunSpec(tiny, policies)), here / "log.csv")
    folder = packaged()["tiny"]
    shutil.copytree(folder / "posterior", here / "updated")
    case = load_case(tiny, folder, None, (Path("log.csv"), "M1-M6"))
    (here / "updated" / "made_from.json").write_text(json.dumps(made_from(case, policies)))
    return "posterior=updated"


RECORDS = ("records=log.csv", "window=M1-M6")


def test_project_knows_the_records_of_its_posterior(told) -> None:
    """A posterior updated with records could not be projected without the word that it changed."""
    for folder in packaged().values():
        register(folder)
    asked = ["federation=tiny", "draws=2", told]
    assert project.prepare(composed("project", [*asked, *RECORDS])).changed == ()
    assert project.prepare(composed("project", asked)).changed == ("observations",)
    other = [RECORDS[0], "window=M1-M5"]
    assert project.prepare(composed("project", [*asked, *other])).changed == ("observations",)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("records=nowhere.csv", "window=M1-M6"), "nowhere.csv"),
        (("records=log.csv",), "M13-M24"),  # beyond the tiny federation
        (("records=log.csv", "window=M1-M7"), "records of months to come"),
        (("records=log.csv", "window=spring"), "spring"),
        (("record=log.csv",), "did you mean 'records'"),
    ],
)
def test_project_refuses_records_it_cannot_use(given, said, told, capsys, here) -> None:
    """A wrong file or window would end in a traceback, or be passed over in silence."""
    assert run(["project", "federation=tiny", "draws=2", told, *given]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
    assert not (here / "outputs").exists()


@pytest.mark.slow
def test_a_projection_is_conditioned_on_records_too(told, capsys, here) -> None:
    """Records would be checked and then not held against the runs, or not be in the manifest."""
    asked = ("project", "federation=tiny", "draws=2", "replicates=1", "jobs=1", told)
    assert run([*asked, *RECORDS]) == 0
    assert "made from other" not in capsys.readouterr().err
    (folder,) = (here / "outputs" / "project").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert len(manifest["input_sha256"]["records/log.csv"]) == 64
    assert manifest["config"]["window"] == "M1-M6"
    fit = pd.read_csv(folder / "fit.csv")
    assert fit["id"].str.startswith("records_").sum() > 10
