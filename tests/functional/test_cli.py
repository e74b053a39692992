"""The command line as a user meets it: bad input, overrides, sweeps, interruption."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from analysis.cli import run
from analysis.federations import packaged


def _refused(capsys, here: Path, *arguments: str) -> str:
    """Give a command that must be refused; return its one line."""
    assert run(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert not [p for p in here.rglob("*") if "outputs" in p.parts]
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rum"], "did you mean 'run'"),
        (["run", "federation=tiny", "replicats=2"], "did you mean 'replicates'"),
        (["run", "federation=tiny", "+replicats=2"], "did you mean 'replicates'"),
        (["run", "federation=tiny", "+federation.demand.hold=2"], "did you mean 'hold_h'"),
        (["run", "federation=tiny", "federation.demand.hold=2"], "did you mean 'hold_h'"),
        (["run", "federation=tiny", "federation.demnd.hold_h=2"], "did you mean 'demand'"),
        (
            ["run", "federation=tiny", "federation.applications.classifier.min_scal=2"],
            "did you mean 'min_scale'",
        ),
        (["run", "federation=tiny", "replicates=two"], "a whole number"),
        (["run", "federation=tiny", "replicates=0"], "at least 1"),
        (["run", "federation=tiny", "seed=-1"], "0 or more"),
        (["run", "federation=tiny", "federation.demand.hold_h=long"], "demand.hold_h"),
        (["run", "federation=tiny", "federation.demand.requests_per_user_week=-1"], "-1"),
        (
            ["run", "federation=tiny", "federation.pools.north-gpu.site=Nort"],
            "did you mean 'North'",
        ),
        (["run", "federation=tiny", "federation.pools.north-gpu.joined=null"], "joined"),
        (["run", "federation=tinny"], "did you mean 'tiny'"),
        (["run", "federation=./nowhere/at/all"], "no such file"),
        (["run", "federation=tiny", "policy/placement=first"], "policy/placement"),
        (["run", "federation=tiny", "policy.admission.gpus_per_user=0"], "or equal to 1"),
        (["run", "federation=tiny", "+policy.admission.gpu=3"], "gpus_per_user"),
        (["run", "federation=tiny", "policy/idle=auto_release", "policy.idle.idle_h=0"], "0.1 h"),
        (["run", "federation=tiny", "a b"], "override"),
        (["project", "federation=tiny", "hypothesis=sites"], "hypothesis"),
        (["project", "federation=tiny", "posterior=nowhere"], "no posterior"),
        (["calibrate", "federation=tiny", "runs=10"], "runs"),
        (["run", "-m", "federation=tiny", "replicates=1,0"], "at least 1"),
        (["compare", "federation=tiny", "scenario=serving_growht"], "'serving_growth'"),
        (["compare", "federation=tiny", "scenario=nowhere.yaml"], "no such file"),
        (["compare", "federation=tiny", "draws=1"], "at least 2"),
        (["compare", "federation=tiny", "scenario.variants.kept-1.at=0"], "kept-1.at"),
        (["compare", "federation=tiny", "+scenario.base.puts={a: 1}"], "did you mean 'put'"),
        (
            ["compare", "federation=tiny", "+scenario.base.put={applications.classifer.cores: 2}"],
            "did you mean 'classifier'",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments, said, capsys, here) -> None:
    """A mistake would end in a traceback, another exit code, or files half written."""
    assert said in _refused(capsys, here, *arguments)


def _own_federation(here: Path) -> Path:
    folder = here / "mine"
    shutil.copytree(packaged()["tiny"], folder)
    return folder


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("observations.csv", "ledger,", "", "ledger"),
        ("observations.csv", "GPU-h", "GPU-days", "GPU-h"),
        ("federation.yaml", "joined: 2024-02-01, ", "", "joined"),
        ("federation.yaml", "name: tiny", "name: [", "YAML"),
        ("priors.yaml", "demand.hold_h", "demand.hold", "did you mean 'hold_h'"),
        ("hypotheses.yaml", "default: 0.05", "default: -0.05", "default"),
    ],
)
def test_bad_files_are_one_line_and_exit_2(file, old, new, said, capsys, here) -> None:
    """A damaged file of a user's federation would not be named with what is wrong in it."""
    folder = _own_federation(here)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    assert said in _refused(capsys, here, "run", "federation=./mine")


def test_missing_file_is_named(capsys, here) -> None:
    """A federation without its figures would fail with a traceback."""
    (_own_federation(here) / "observations.csv").unlink()
    assert "observations.csv" in _refused(capsys, here, "run", "federation=./mine")


def test_a_value_left_at_its_default_can_be_overridden(here) -> None:
    """Only values that the YAML writes down could be set on the command line."""
    kept = "federation.applications.classifier.min_scale=1"
    assert run(["run", "federation=tiny", "parameters=configured", "jobs=1", kept]) == 0
    (folder,) = (here / "outputs" / "run").iterdir()
    table = pd.read_parquet(folder / "serving.parquet")
    assert table["cold"].sum() < 0.1 * table["invocations"].sum()


def test_run_writes_the_declared_tables(capsys, here) -> None:
    """A run would leave out a table, or its manifest would not say what it was."""
    assert run(["run", "federation=tiny", "parameters=configured", "replicates=2", "jobs=1"]) == 0
    (folder,) = (here / "outputs" / "run").iterdir()
    usage = pd.read_parquet(folder / "usage.parquet")
    assert set(usage["replicate"]) == {0, 1}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["config"]["replicates"] == 2
    assert len(manifest["input_sha256"]["observations.csv"]) == 64
    assert {p.name for p in folder.iterdir()} == {
        "usage.parquet",
        "deployments.parquet",
        "serving.parquet",
        "summary.json",
        "manifest.json",
        "comparison.csv",
    }
    assert str(folder) in capsys.readouterr().out


def test_sweep_runs_every_job(here) -> None:
    """A sweep would skip a job or let two share a folder."""
    code = run(["run", "-m", "federation=tiny", "parameters=configured", "seed=1,2", "jobs=1"])
    assert code == 0
    seeds = [
        json.loads((p / "manifest.json").read_text())["seed"]
        for p in (here / "outputs" / "run").iterdir()
    ]
    assert sorted(seeds) == [1, 2]


def test_own_federation_by_path(here) -> None:
    """A user's own folder could not be run."""
    _own_federation(here)
    assert run(["run", "federation=./mine", "parameters=configured", "jobs=1"]) == 0


def _start(here: Path, *arguments: str) -> subprocess.Popen:
    """Start a command that Ctrl-C can reach, even if the tests run where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "analysis", *arguments],
            cwd=here,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_two_runs_at_once_have_two_folders(here) -> None:
    """Two runs started at the same moment would write into one folder."""
    runs = [
        _start(here, "run", "federation=tiny", "parameters=configured", "jobs=1") for _ in range(2)
    ]
    assert [p.wait(120) for p in runs] == [0, 0]
    for process in runs:
        process.communicate()
    assert len(list((here / "outputs" / "run").iterdir())) == 2


@pytest.mark.parametrize("arguments", [["--help"], ["import"], ["validate", "federation=tiny"]])
def test_nobody_reads_on(here, arguments: list[str]) -> None:
    """`aiaas … | head -1` would end in a traceback."""
    process = _start(here, *arguments)
    process.stdout.close()
    assert process.wait(60) == 128 + signal.SIGPIPE
    assert process.stderr.read() == ""
    process.stderr.close()


def test_what_is_not_kept_does_not_go_on(here, monkeypatch, capsys) -> None:
    """An interrupted import would promise that the same command goes on."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("analysis.accounting.importing._validated", interrupted)
    (here / "jobs.csv").write_text("job_id,start_utc\na,2026-09-01\n")
    assert run(["import", "tidy", "jobs.csv"]) == 130
    assert capsys.readouterr().err == "aiaas: interrupted; nothing was finished\n"
    assert [p.name for p in here.iterdir()] == ["jobs.csv"]


@pytest.mark.slow
def test_interrupted_calibration_goes_on(here) -> None:
    """Ctrl-C would lose finished runs of a design, or not say how to go on."""
    arguments = ("calibrate", "federation=tiny", "runs=1200", "steps=50", "keep=20", "jobs=1")
    process = _start(here, *arguments)
    kept = here / "outputs" / "kept"
    deadline = time.monotonic() + 120
    while not list(kept.glob("design-*/*.joblib")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on from there" in said
    assert "Traceback" not in said
    done = {p: p.stat().st_mtime_ns for p in kept.glob("design-*/*.joblib")}
    assert done
    shorter = _start(here, *arguments)
    _, said = shorter.communicate(timeout=300)
    assert shorter.returncode == 0, said
    assert all(p.stat().st_mtime_ns == then for p, then in done.items())
    assert not list(kept.rglob("*.part"))


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "told to end"])
def test_interrupted_run_goes_on(here, how: signal.Signals) -> None:
    """Ctrl-C or a batch system's end would lose finished replicates, or play them again."""
    arguments = ("run", "federation=tiny", "parameters=configured", "jobs=1")
    process = _start(here, *arguments, "replicates=900")
    runs = here / "outputs" / "run"
    deadline = time.monotonic() + 120
    while not list(runs.glob("*/manifest.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.5)
    os.killpg(process.pid, how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "goes on from there" in said
    (stopped,) = runs.iterdir()
    done = json.loads((stopped / "manifest.json").read_text())["replicates_finished"]
    assert 0 < done < 900
    usage = pd.read_parquet(stopped / "usage.parquet")
    assert usage["replicate"].nunique() == done
    (kept,) = (here / "outputs" / "kept").glob("run-*.joblib")
    again = _start(here, *arguments, f"replicates={done + 1}")
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert not kept.exists()
    whole = pd.read_parquet(max(runs.iterdir()) / "usage.parquet")
    assert whole["replicate"].nunique() == done + 1
    pd.testing.assert_frame_equal(whole[whole["replicate"] < done], usage, check_exact=True)


SCENARIO = """
question: Does a kept replica spare its users the cold start?
expected: It does.
source: assumed
axis: calls
variants:
  plain: {series: plain}
  kept: {series: kept, put: {"applications.*.min_scale": 1}}
"""


def test_compare_plays_a_scenario_of_ones_own(capsys, here) -> None:
    """Variants would not be compared in the same worlds, or the answer not be shown."""
    (here / "mine.yaml").write_text(SCENARIO)
    assert run(["compare", "federation=tiny", "scenario=./mine.yaml", "draws=3", "jobs=1"]) == 0
    (folder,) = (here / "outputs" / "compare").iterdir()
    table = pd.read_csv(folder / "serving.csv").set_index(["variant", "measure"])
    calls = table.xs("invocations", level="measure")[["p05", "p50", "p95"]]
    assert calls.loc["plain"].tolist() == calls.loc["kept"].tolist()
    assert table.loc[("plain", "cold_share"), "p50"] > table.loc[("kept", "cold_share"), "p95"]
    assert (folder / "figures" / "serving.png").is_file()
    out = capsys.readouterr().out
    assert "Does a kept replica spare its users the cold start?" in out
    assert json.loads((folder / "manifest.json").read_text())["status"] == "finished"


TRACE = "app,func,end_timestamp,duration\na,f,10.5,0.5\na,f,12.0,2.0\nb,g,19.0,1.0\n"
REPLAY = "{trace: day, repeat: false}"


def _with_trace(here: Path, text: str) -> str:
    """Make a federation whose application replays a trace; return it as an argument."""
    folder = _own_federation(here)
    (folder / "calls.csv").write_text(text)
    federation = (folder / "federation.yaml").read_text()
    traces = "traces: {day: {file: calls.csv, layout: azure_2021, select: a}}\n"
    replayed = federation.replace("growth_per_month: 0.1}", f"replay: {REPLAY}}}")
    assert replayed != federation
    (folder / "federation.yaml").write_text(replayed + traces)
    return "federation=./mine"


def test_a_trace_of_ones_own_is_replayed(capsys, here) -> None:
    """A trace would not be read, or other calls be played than those of the application."""
    mine = _with_trace(here, TRACE)
    assert run(["run", mine, "parameters=configured", "jobs=1"]) == 0
    (folder,) = (here / "outputs" / "run").iterdir()
    table = pd.read_parquet(folder / "serving.parquet")
    assert table["invocations"].sum() == 2
    assert table["busy_s"].sum() == pytest.approx(2.5, abs=1e-5)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert len(manifest["input_sha256"]["calls.csv"]) == 64


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TRACE.replace("0.5", "soon", 1), "calls.csv"),
        (TRACE.replace("a,f", "c,f"), "no such application"),
        ("", "calls.csv"),
    ],
)
def test_bad_traces_are_one_line_and_exit_2(text, said, capsys, here) -> None:
    """A broken trace would end in a traceback, or be played as far as it goes."""
    assert said in _refused(capsys, here, "run", _with_trace(here, text))
