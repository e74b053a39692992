"""What ships with the project is current: posteriors, generated docs, the front page."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis import backcast_page, coverage_page, crosscheck_page, policy_brief, records_page
from analysis.calibration.shipped import differences, read_posterior
from analysis.calibration.waves import made_from
from analysis.cli import composed
from analysis.dictionary import dictionary
from analysis.federations import packaged, register
from analysis.frontpage import with_table
from analysis.pages import with_tables
from analysis.serving_page import growth_table, ledger_table
from analysis.verbs.common import prepare_setup
from tests.docs_commands import commands

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", sorted(packaged()))
def test_shipped_posterior_matches_its_inputs(name) -> None:
    """A projection would use a posterior of other data, priors, federation or model."""
    folder = packaged()[name]
    register(folder)
    config = composed("validate", [f"federation={name}"])
    setup = prepare_setup(config, {"replicates": int})
    posterior = read_posterior(folder / "posterior")
    assert differences(posterior, made_from(setup.case, setup.policies)) == []


def test_front_page_shows_the_published_projection() -> None:
    """The table of the README would be of another run than the files it stands beside."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    summary = pd.read_csv(ROOT / "docs" / "projection" / "projection.csv")
    assert with_table(text, summary) == text


def test_page_about_serving_shows_the_published_runs() -> None:
    """A table of the page would be of another run than the files it stands beside."""
    home, text = ROOT / "docs" / "serving", (ROOT / "docs" / "serving.md").read_text("utf-8")
    ledgers, growth = (pd.read_csv(home / f"{n}.csv") for n in ("three_ledgers", "growth"))
    tables = {"three ledgers": ledger_table(ledgers), "growth": growth_table(growth)}
    assert with_tables(text, tables, Path("docs/serving.md")) == text


def test_page_about_backcasts_shows_the_published_scores() -> None:
    """A table of the page would be of another run than the files it stands beside."""
    home, text = ROOT / "docs" / "backcast", (ROOT / "docs" / "backcast.md").read_text("utf-8")
    assert with_tables(text, backcast_page.tables(home), Path("docs/backcast.md")) == text


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("policy-brief/brief.md")))
def test_policy_brief_says_what_its_tables_say(page: Path) -> None:
    """A sentence or number of the brief would be of another run than the files beside it."""
    assert policy_brief.current(page.parent)


def test_front_page_says_what_the_policy_brief_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the README says of policies would be of another run than the brief it links."""
    monkeypatch.chdir(ROOT)
    text = Path("README.md").read_text(encoding="utf-8")
    assert policy_brief.with_summary(text, policy_brief.HOME) == text


def test_page_about_the_cross_check_shows_the_published_study() -> None:
    """A table of the page would be of another study than the file it stands beside."""
    home, text = ROOT / "docs" / "crosscheck", (ROOT / "docs" / "crosscheck.md").read_text("utf-8")
    tables = crosscheck_page.tables(pd.read_csv(home / "crosscheck.csv"))
    assert with_tables(text, tables, Path("docs/crosscheck.md")) == text


def test_residuals_that_ship_are_those_of_the_page() -> None:
    """A projection's discrepancy would come from other backcasts than the published ones."""
    published = (ROOT / "docs" / "backcast" / "residuals.csv").read_bytes()
    assert (packaged()["imagine"] / "residuals.csv").read_bytes() == published


def test_page_about_records_shows_the_published_study() -> None:
    """A table of the page would be of another study than the files it stands beside."""
    home, text = ROOT / "docs" / "records", (ROOT / "docs" / "records.md").read_text("utf-8")
    read = {name: pd.read_csv(home / f"{name}.csv") for name in records_page.TABLES}
    tables = records_page.tables(pd.read_csv(home / "widths.csv"), read)
    assert with_tables(text, tables, Path("docs/records.md")) == text


def test_page_about_coverage_shows_the_published_study() -> None:
    """A table of the page would be of another study than the file it stands beside."""
    text = (ROOT / "docs" / "coverage.md").read_text("utf-8")
    table = pd.read_csv(ROOT / "docs" / "coverage" / "coverage.csv")
    assert with_tables(text, coverage_page.tables(table), Path("docs/coverage.md")) == text


def test_best_reading_misses_at_most_two_figures_and_all_misses_are_named() -> None:
    """The projection would rest on a reading that the figures contradict, or hide a miss."""
    fit = pd.read_csv(ROOT / "docs" / "projection" / "fit.csv")
    laws = pd.read_csv(packaged()["imagine"] / "posterior" / "laws.csv")
    best = laws.loc[laws["log_evidence"].idxmax(), "hypothesis"]
    misses = fit[~fit["inside"]]
    assert (misses["hypothesis"] == best).sum() <= 2
    report = (ROOT / "docs" / "projection" / "report.md").read_text(encoding="utf-8")
    named = report.partition("Which reported figures the fit misses")[2]
    assert named.count(": reported ") == len(misses)
    for name, mine in fit.groupby("hypothesis"):
        assert f"{int(mine['inside'].sum())} of {len(mine)} under `{name}`" in named


def test_data_dictionary_is_current() -> None:
    """The data dictionary would describe other columns than the tables have."""
    assert (ROOT / "docs" / "data-dictionary.md").read_text(encoding="utf-8") == dictionary()


def test_blocks_left_out_need_a_reason() -> None:
    """A command of the docs could silently not be tried."""
    page = "<!-- not run: needs a cluster -->\n```bash\na\n```\n\n```bash\nb \\\n  c\n# d\n```\n"
    assert commands(page) == ["b    c"]
    with pytest.raises(ValueError, match="without a reason"):
        commands("<!-- not run: -->\n```bash\na\n```\n")
