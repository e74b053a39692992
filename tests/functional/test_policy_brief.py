"""The policy brief as `make brief` writes it, on the tiny federation with few draws."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from analysis import policy_brief
from analysis.wording import thousands

SCENARIO = """
question: What does it save to release GPUs that have been idle for 4 or 24 h?
expected: Allocated GPU-h fall.
source: assumed
axis: idle time until the release (h)
baseline: never
uncertain:
  policy.idle.keeps_frac:
    {distribution: logitnormal, median: 0.12, sigma: 0.6, unit: probability, source: assumed}
variants:
  never: {}
  after-4h: {at: 4.0, policy: {idle: {option: auto_release, idle_h: 4.0}}}
  after-24h: {at: 24.0, policy: {idle: {option: auto_release, idle_h: 24.0}}}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a brief of two comparisons; return its folder."""
    here = tmp_path_factory.mktemp("brief")
    for name in ("release", "other"):
        (here / f"{name}.yaml").write_text(SCENARIO, encoding="utf-8")
    names = [str(here / f"{name}.yaml") for name in ("release", "other")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        policy_brief.make("tiny", names, 5, here / "docs", ["idle=[low,high]", "jobs=1"])
    return here / "docs"


def test_numbers_of_the_brief_are_those_of_its_tables(made: Path) -> None:
    """The text would say something else than the run that it names."""
    text = (made / "brief.md").read_text(encoding="utf-8")
    front = pd.read_csv(made / "release" / "front.csv")
    table = pd.read_csv(made / "release" / "differences.csv")
    lines = re.findall(r"^\| `(after-\d+h)` \| (low|high) \|(.*)\|$", text, re.MULTILINE)
    assert len(lines) == 2 * 2 * 2  # variants, priors, comparisons

    def shown(row: pd.Series, prefix: str = "") -> str:
        p50, p05, p95 = (
            thousands(round(row[f"{prefix}{q}"]) + 0.0, 3) for q in ("p50", "p05", "p95")
        )
        return "0" if p50 == p05 == p95 == "0" else f"{p50} [{p05} to {p95}]"

    for variant, idle, rest in lines[:4]:
        cells = [cell.strip() for cell in rest.split("|")]
        of = front[(front["variant"] == variant) & (front["idle"] == idle)].set_index("ledger")
        assert cells[0] == shown(of.loc["allocated"], "saved_")
        assert cells[1] == shown(of.loc["provisioned"], "saved_")
        mine = table[(table["variant"] == variant) & (table["idle"] == idle)
                     & (table["site"] == "all") & (table["measure"] == "difference")]
        mine = mine.set_index("criterion")
        for cell, criterion in zip(cells[2:], ("interruptions", "lost_gpu_h"), strict=True):
            assert cell == shown(mine.loc[criterion])
    answer = text.split("## Savings")[0]
    of = front[(front["variant"] == "after-4h") & (front["idle"] == "high")].set_index("ledger")
    assert shown(of.loc["allocated"], "saved_") in answer


def test_the_brief_says_what_was_run(made: Path) -> None:
    """Nobody could run the brief's comparisons again."""
    text = (made / "brief.md").read_text(encoding="utf-8")
    for name in ("release", "other"):
        assert f"`aiaas compare federation=tiny scenario={name} draws=5 seed=0`" in text
        facts = policy_brief.read(made / name).facts
        assert f"config hash {facts['config_hash']}, 5 worlds for each prior" in text
    assert "M7-M12" in text
    assert str(made) not in text


def test_the_brief_stands_beside_its_figures_and_tables(made: Path) -> None:
    """Links of the brief would lead nowhere, or what it shows differ from its tables."""
    text = (made / "brief.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) == 2 + 6
    assert all((made / link).is_file() for link in links)
    assert len(text.split()) < 1600  # two pages with their tables


def test_a_brief_that_was_changed_by_hand_is_noticed(made: Path, tmp_path: Path) -> None:
    """A number corrected in the text would stay although no run gave it."""
    assert policy_brief.current(made)
    other = tmp_path / "docs"
    shutil.copytree(made, other)
    text = (other / "brief.md").read_text(encoding="utf-8")
    (other / "brief.md").write_text(text.replace("saves ", "saves about ", 1), encoding="utf-8")
    assert not policy_brief.current(other)
