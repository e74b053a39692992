"""The section of docs/policies.md on writing a policy, followed to the letter."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from analysis.cli import run
from tests.contract import test_conformance

PAGE = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Write your own")[2].partition("\n## ")[0]


def _block(language: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)
    assert len(found) == 1
    return found[0]


@pytest.fixture
def two_files(tmp_path, monkeypatch) -> Path:
    """Write the two files of the section into an empty directory and work there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "fullest_first.py").write_text(_block("python"), encoding="utf-8")
    (tmp_path / "fullest_first.yaml").write_text(_block("yaml"), encoding="utf-8")
    yield tmp_path
    sys.modules.pop("fullest_first", None)


def test_it_is_short() -> None:
    """The docs would promise fifteen lines and show more."""
    assert len([line for line in _block("python").splitlines() if line.strip()]) <= 15


def test_its_commands_run_and_the_policy_decides(two_files: Path) -> None:
    """A user who follows the docs would meet an error, or play another policy."""
    commands = [c.split()[1:] for c in _block("bash").splitlines()]
    assert len(commands) == 2
    assert [run(arguments) for arguments in (*commands, ["run", "federation=tiny"])] == [0, 0, 0]
    folders = sorted((two_files / "outputs" / "run").iterdir())
    one, _, plain = (pd.read_parquet(f / "deployments.parquet")["pool"] for f in folders)
    assert not one.equals(plain)


def test_it_conforms_without_an_edit(two_files: Path, monkeypatch) -> None:
    """A new policy would need changes elsewhere, or the suite not collect it."""
    kind = two_files / "placement"
    kind.mkdir()
    file = (two_files / "fullest_first.yaml").rename(kind / "fullest_first.yaml")
    monkeypatch.syspath_prepend(str(two_files))
    for name, test in vars(test_conformance).items():
        if name.startswith("test_"):
            test(file)


def test_a_file_that_is_not_there_is_one_line(two_files: Path, capsys) -> None:
    """A misspelt path would end in a traceback."""
    assert run(["run", "federation=tiny", "policy/placement=./fullest.yaml"]) == 2
    line = capsys.readouterr().err.strip()
    assert "did you mean 'fullest_first.yaml'" in line
    assert "\n" not in line


def test_a_variant_may_have_it(two_files: Path) -> None:
    """A scenario could compare shipped policies only."""
    data = {"question": "?", "expected": "!", "source": "assumed"}
    data["variants"] = {"plain": {}, "mine": {"policy": {"placement": "./fullest_first.yaml"}}}
    (two_files / "mine.yaml").write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    command = ["compare", "federation=tiny", "scenario=./mine.yaml", "draws=2", "idle=[low]"]
    assert run([*command, "jobs=1"]) == 0
    (folder,) = (two_files / "outputs" / "compare").iterdir()
    runs = pd.read_parquet(folder / "runs.parquet").set_index(["variant", "criterion", "site"])
    held = runs["quantity"].xs("gpu_allocated", level="criterion")
    assert held.loc[("plain", "South")].tolist() != held.loc[("mine", "South")].tolist()
