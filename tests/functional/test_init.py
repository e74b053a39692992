"""A new federation on the command line: from nothing, and from a sacct file to a projection."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from analysis.cli import composed, run
from analysis.federations import packaged, register
from analysis.records.helios_sacct import main
from analysis.verbs import calibrate, project
from analysis.warmup import compile_kernel
from sim.errors import ConfigError
from tests.accounts_by_hand import import_folder, some_jobs

FILES = {
    "federation.yaml", "use_cases.yaml", "priors.yaml", "hypotheses.yaml", "observations.csv",
    "policies.yaml", "README.md",
}  # fmt: skip


REGISTERED = ["federation=venus", "policy/admission=none"]


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    """Compile the kernel before output is looked at: that says a line of its own."""
    compile_kernel()


def test_a_folder_from_nothing_is_used_by_all_verbs(here, capsys) -> None:
    """The first thing a planner tries would be refused by the next verb, or lack a file."""
    assert run(["init", "mine"]) == 0
    assert {p.name for p in (here / "mine").iterdir()} == FILES
    assert [p.name for p in here.iterdir()] == ["mine"]
    for line in (here / "mine" / "federation.yaml").read_text(encoding="utf-8").splitlines():
        told = line.partition("  # ")[2]
        number = any(c.isdigit() for c in line.partition(": ")[2].partition("  # ")[0])
        assert told or not number or "joined" in line, line
    assert run(["validate", "federation=./mine"]) == 0
    assert run(["run", "federation=./mine", "parameters=configured", "jobs=1"]) == 0
    table = pd.read_csv(next((here / "outputs" / "run").iterdir()) / "comparison.csv")
    assert table["error_frac"].abs().max() < 0.5
    capsys.readouterr()


@pytest.mark.parametrize(
    "arguments",
    [[], ["mine", "other"], ["tiny"], ["a.b"], ["none/mine"], ["mine", "data=nowhere"],
     ["mine", "headrom=2"], ["mine", "headroom=0.5"], ["mine", "use_cases=team"],
     ["mine", "country=XX"], ["mine", "time_zone=Mars/Base"], ["mine", "covers=2024"]],
)  # fmt: skip
def test_mistakes_leave_nothing(here, capsys, arguments) -> None:
    """A slip would leave half a folder, or end in a traceback."""
    assert run(["init", *arguments]) == 2
    said = capsys.readouterr()
    assert len(said.err.strip().splitlines()) == 1, said.err
    assert not list(here.iterdir())


def test_a_folder_that_exists_is_left_alone(here, capsys) -> None:
    """Somebody's federation would be overwritten."""
    (here / "mine").mkdir()
    (here / "mine" / "federation.yaml").write_text("name: precious\n", encoding="utf-8")
    assert run(["init", "mine"]) == 2
    assert "it exists" in capsys.readouterr().err
    assert (here / "mine" / "federation.yaml").read_text(encoding="utf-8") == "name: precious\n"
    assert len(list((here / "mine").iterdir())) == 1


def test_its_policies_apply_unless_others_are_named(here) -> None:
    """A cluster would be planned with the reference platform's quota, or no policy be tried."""
    import_folder(here / "data", some_jobs(300, "2026-01-01", 181.0), until="2026-07-01")
    assert run(["init", "mine", "data=data"]) == 0
    asked = ("run", "federation=./mine", "data=data", "parameters=configured", "jobs=1")
    assert run([*asked]) == 0
    assert run([*asked, "policy/admission=gpu_quota"]) == 0
    first, second = sorted((here / "outputs" / "run").iterdir())
    targets = [
        json.loads((f / "manifest.json").read_text())["config"]["policy"]["admission"]["_target_"]
        for f in (first, second)
    ]
    assert [t.rpartition(".")[2] for t in targets] == ["OpenAdmission", "GpuQuota"]
    (here / "mine" / "policies.yaml").write_text("admission: [a]\n", encoding="utf-8")
    assert run([*asked]) == 2


def test_data_update_a_posterior_that_knows_the_rest(here) -> None:
    """A shipped posterior would be thrown away, or one made with the data be updated with them."""
    jobs = some_jobs(200, "2024-01-01", 182.0)
    import_folder(here / "data", jobs, until="2024-07-01")
    register(packaged()["tiny"])
    asked = ["federation=tiny", "data=data", "runs=200"]
    job = calibrate.prepare(composed("calibrate", asked))
    assert job.posterior is not None
    assert job.before is not None
    assert job.setup.case.data is not None
    with pytest.raises(ConfigError, match="cannot update"):
        calibrate.prepare(composed("calibrate", [*asked, "ship=true"]))


@pytest.mark.slow
def test_from_a_sacct_file_to_a_projection(here, capsys) -> None:
    """The way of the tutorial would break somewhere, or not say what was used of the data."""
    assert main(["small.sacct", "every=50"]) == 0
    asked = ["import", "sacct", "small.sacct", "site=Venus", "time_zone=Asia/Shanghai"]
    assert run(asked) == 0
    (data,) = (here / "outputs" / "import").iterdir()
    data = data.rename(here / "jobs")
    assert run(["init", "venus", "data=jobs", "shortest_min=30"]) == 0
    both = ("federation=./venus", "data=jobs", "jobs=1")
    register(Path("venus"))
    assert run(["validate", *both[:2]]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "604 jobs with GPUs that started in M1-M5" in said
    assert "a part of the period only: the jobs cover 2020-03-03 to 2020-09-15" in said
    assert run(["calibrate", *both, "runs=60", "steps=50", "keep=20", "ship=true"]) == 0
    assert (here / "venus" / "posterior" / "draws.parquet").is_file()
    again = composed("calibrate", [*REGISTERED, "data=jobs", "ship=true", "runs=60"])
    assert calibrate.prepare(again).posterior is None  # made with the data: nothing to update
    assert run(["project", *both, "draws=6"]) == 0
    (projected,) = (here / "outputs" / "project").iterdir()
    manifest = json.loads((projected / "manifest.json").read_text())
    assert manifest["posterior_changed"] == []
    assert manifest["data"]["records_window"] == "M1-M5"
    assert set(manifest["data"]["sha256"]) == {"jobs.parquet", "aggregates.parquet"}
    assert "data/jobs.parquet" in manifest["input_sha256"]
    assert "## What was used of the data" in (projected / "report.md").read_text(encoding="utf-8")
    table = pd.read_csv(projected / "data.csv")
    assert len(table) == 7
    assert table["left_out"].str.contains("and the two agree").sum() == 5
    year = pd.read_csv(projected / "projection.csv").query("period == 'M6-M17' and site == 'all'")
    median = year.query("ledger == 'reported' and resource == 'gpu'")["p50"].iloc[0]
    assert 30_000 < median < 300_000  # five months had 36,658 GPU-h
    job = project.prepare(composed("project", REGISTERED))
    assert job.changed == ("observations",)
