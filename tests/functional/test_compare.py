"""`aiaas compare` as a user meets it: policies in the same worlds, refusals, interruption."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from analysis import stopping
from analysis.cli import run
from analysis.paired.playing import PlayWorld
from analysis.paired.tables import TABLES
from analysis.verbs import compare

RELEASE = {"option": "auto_release", "from_day": "2024-07-01"}
WIDE = {"distribution": "logitnormal", "median": 0.4, "sigma": 1.5, "unit": "-", "source": "-"}
SCENARIO: dict[str, Any] = {
    "question": "When should idle GPUs be released?",
    "expected": "The later, the less is saved.",
    "source": "assumed",
    "uncertain": {"policy.idle.releases_frac": WIDE, "policy.idle.keeps_frac": WIDE},
    "variants": {
        "never": {},
        "again": {"policy": {"idle": "never"}},
        "day": {"at": 24.0, "policy": {"idle": RELEASE}},
        "soon": {"at": 4.0, "policy": {"idle": {**RELEASE, "idle_h": 4.0}}},
    },
}
FAST = ("federation=tiny", "scenario=./mine.yaml", "draws=3", "jobs=1", "idle=[low,high]")


@pytest.fixture
def scenario(here: Path) -> Path:
    """Write the scenario to be compared."""
    path = here / "mine.yaml"
    path.write_text(yaml.safe_dump(SCENARIO, sort_keys=False))
    return path


@pytest.fixture(autouse=True)
def undrawn(monkeypatch) -> None:
    """Leave figures out, which take most of the time; the policy brief's test has them."""
    monkeypatch.setattr(compare, "draw_all", lambda *_: {})


def _folders(here: Path) -> list[Path]:
    return sorted((here / "outputs" / "compare").iterdir())


@pytest.fixture
def worlds(monkeypatch) -> list[int]:
    """Count the worlds that are played."""
    played: list[int] = []
    play = PlayWorld.__call__

    def counted(self: PlayWorld, world: Any) -> Any:
        played.append(len(world.specs))
        return play(self, world)

    monkeypatch.setattr(PlayWorld, "__call__", counted)
    return played


@pytest.mark.usefixtures("scenario")
def test_policies_are_compared_in_the_same_worlds(here, capsys) -> None:
    """Variants would meet other worlds, or a table be missing, or not be as declared."""
    assert run(["compare", *FAST]) == 0
    (folder,) = _folders(here)
    for table in TABLES:
        read = pd.read_parquet if table.file.endswith(".parquet") else pd.read_csv
        assert list(read(folder / table.file)) == [c.name for c in table.columns], table.file
    differences = pd.read_csv(folder / "differences.csv")
    assert set(differences["idle"]) == {"low", "high"}
    same = differences[differences["variant"] == "again"]
    assert (same[["mean", "p05", "p50", "p95"]].fillna(0.0) == 0.0).all(axis=None)
    held = differences[
        (differences["criterion"] == "gpu_allocated") & (differences["measure"] == "difference")
        & (differences["site"] == "all")
    ].set_index(["idle", "variant"])["p50"]  # fmt: skip
    assert held["high", "soon"] < held["high", "day"] < 0.0
    assert held["high", "day"] < held["low", "day"] <= 0.0
    levels = pd.read_csv(folder / "levels.csv").set_index(["variant", "criterion", "site", "idle"])
    assert levels.loc[("soon", "releases", "all", "high"), "p50"] > 0.0
    runs = pd.read_parquet(folder / "runs.parquet")
    calls = runs[runs["criterion"] == "invocations"].groupby(["draw", "site"])["quantity"]
    assert (calls.nunique() == 1).all()
    drawn = pd.read_csv(folder / "drawn.csv").groupby(["hypothesis", "draw", "parameter"])["value"]
    assert (drawn.nunique() == np.where([k[2] == "idle_share" for k in drawn.groups], 2, 1)).all()
    out = capsys.readouterr()
    assert "When should idle GPUs be released?" in out.out
    assert "idleness high: " in out.out
    assert "the posterior was made from other" not in out.err
    assert json.loads((folder / "manifest.json").read_text())["status"] == "finished"


@pytest.mark.usefixtures("scenario")
def test_totals_stay_under_every_prior_of_idleness(here) -> None:
    """Priors of idleness would change how many GPU-h there are to be saved."""
    assert run(["compare", *FAST, "idle=[low,posterior]", "draws=8"]) == 0
    worlds = pd.read_csv(_folders(here)[0] / "worlds.csv").set_index(["idle", "period"])
    assert worlds["ratio"].between(0.85, 1.15).all()
    assert (worlds.loc["posterior", "ratio"] == 1.0).all()
    assert worlds.loc[("low", "M7-M12"), "idle_share_p50"] < 0.4
    assert worlds.loc[("posterior", "M7-M12"), "idle_share_p50"] > 0.6
    assert worlds.loc[("low", "M1-M6"), "reported_gpu_h"] > 0.0
    assert np.isnan(worlds.loc[("low", "M7-M12"), "reported_gpu_h"])


def _with(path: Path, **changes: Any) -> None:
    path.write_text(yaml.safe_dump(SCENARIO | changes, sort_keys=False))


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        ({"variants": {"a": {"policy": {"idle": "auto_relase"}}}}, (), "'auto_release'"),
        ({"variants": {"a": {"policy": {"ilde": "never"}}}}, (), "did you mean 'idle'"),
        ({"variants": {"a": {"policy": {"idle": {**RELEASE, "ilde_h": 1}}}}}, (), "'idle_h'"),
        ({"uncertain": {"policy.idle.kept_frac": WIDE}}, (), "did you mean 'keeps_frac'"),
        ({"baseline": "nevver"}, (), "did you mean 'never'"),
        ({}, ("idle=[lo]",), "did you mean 'low'"),
        ({}, ("idle=[]",), "nothing to play"),
        ({}, ("idle=[low,low]",), "one twice"),
        ({}, ("idle_priors.low.median=1.5",), "between 0 and 1"),
        ({}, ("+idle_priors.low.medan=0.5",), "did you mean 'median'"),
        ({}, ("prices=[-1]",), "at least 0"),
        ({}, ("draws=1",), "at least 2"),
        ({}, ("draws=1000",), "the posterior has no more"),
        ({}, ("hypothesis=statd",), "did you mean 'stated'"),
        ({}, ("replicates=0",), "at least 1"),
        ({}, ("half_width=0",), "above 0"),
        ({}, ("half_width=0.1", "replicates=9"), "most_replicates"),
        ({}, ("federation.reported_months=12",), "nothing left to compare"),
    ],
)
def test_bad_comparisons_are_one_line_and_exit_2(
    changes, arguments, said, scenario, here, capsys
) -> None:
    """A mistake in a scenario would end in a traceback, or be played as something else."""
    _with(scenario, **changes)
    assert run(["compare", *FAST, *arguments]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
    assert not (here / "outputs").exists()


@pytest.mark.usefixtures("scenario")
def test_an_interrupted_comparison_goes_on(here, worlds, monkeypatch, capsys) -> None:
    """Ctrl-C would lose finished worlds, or play them again."""
    monkeypatch.setattr(stopping, "_asked", [])
    counted = PlayWorld.__call__

    def stopped(self: PlayWorld, world: Any) -> Any:
        if len(worlds) == 4:
            raise KeyboardInterrupt
        return counted(self, world)

    monkeypatch.setattr(PlayWorld, "__call__", stopped)
    assert run(["compare", *FAST]) == 130
    assert "goes on from there" in capsys.readouterr().err
    (folder,) = _folders(here)
    assert json.loads((folder / "manifest.json").read_text())["status"] == "interrupted"
    monkeypatch.setattr(PlayWorld, "__call__", counted)
    assert run(["compare", *FAST]) == 0
    assert worlds == [4] * 6 + [1] * 3  # two priors, and the baseline as calibrated
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) is not None


@pytest.mark.usefixtures("scenario")
def test_more_replicates_and_other_statistics_use_what_was_played(here, worlds) -> None:
    """A question more would cost all runs again."""
    assert run(["compare", *FAST]) == 0
    assert len(worlds) == 9
    assert run(["compare", *FAST, "prices=[0,3]"]) == 0
    assert len(worlds) == 9
    assert run(["compare", *FAST, "replicates=2"]) == 0
    assert len(worlds) == 18
    assert run(["compare", *FAST, "idle=[high]"]) == 0
    assert len(worlds) == 18
    first, _, twice, high = (pd.read_parquet(f / "runs.parquet") for f in _folders(here))
    keys = ["variant", "idle", "site", "criterion", "draw", "replicate"]
    assert twice["replicate"].unique().tolist() == [0, 1]
    again = twice[twice["replicate"] == 0].sort_values(keys).reset_index(drop=True)
    pd.testing.assert_frame_equal(again, first.sort_values(keys).reset_index(drop=True))
    assert len(high) == len(first) / 2
    within = pd.read_csv(_folders(here)[2] / "pairing.csv")["basis"]
    assert set(within) == {"within draws", "over draws"}


@pytest.mark.usefixtures("scenario")
@pytest.mark.parametrize(
    ("half_width", "rounds", "said"), [(9.0, 1, "were asked for"), (1e-6, 3, "which takes more")]
)
def test_replicates_go_on_until_it_is_precise_enough(
    half_width, rounds, said, here, worlds, capsys
) -> None:
    """A comparison would stop too early, or go on for ever."""
    more = (f"half_width={half_width}", "most_replicates=3", "idle=[high]")
    assert run(["compare", *FAST, *more]) == 0
    assert len(worlds) == 2 * 3 * rounds
    assert said in capsys.readouterr().out
    precision = pd.read_csv(_folders(here)[0] / "precision.csv")
    assert set(precision["replicates"]) == {rounds}
    assert precision.set_index("variant").loc["soon", "reached"] == (rounds == 1)
    assert precision.set_index("variant").loc["again", "reached"]


def test_scenarios_are_swept(here, scenario) -> None:
    """`-m` over scenarios would play one of them, or let them share a folder."""
    (here / "other.yaml").write_text(scenario.read_text().replace("When", "At what time"))
    arguments = ["federation=tiny", "scenario=./mine.yaml,./other.yaml", "draws=2", "idle=[high]"]
    assert run(["compare", "-m", *arguments, "jobs=1"]) == 0
    manifests = [json.loads((f / "manifest.json").read_text()) for f in _folders(here)]
    questions = {m["config"]["scenario"]["question"].split()[0] for m in manifests}
    assert questions == {"When", "At"}


@pytest.mark.usefixtures("scenario")
def test_a_posterior_of_other_policies_is_told_from_other_variants(here, capsys) -> None:
    """Each variant would warn of a posterior that fits, or a changed platform would not."""
    asked = ["compare", *FAST, "draws=2", "idle=[high]"]
    assert run([*asked, "policy/placement=first_fit"]) == 0
    assert "made from other policies" in capsys.readouterr().err
