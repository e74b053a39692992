"""The page on methods shows the priors that a calibration uses."""

from __future__ import annotations

from pathlib import Path

from analysis.calibration.priors import Prior, Priors
from analysis.methods_page import PAGE, priors_table, shipped_priors, shortened, tables
from analysis.pages import with_tables

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_shows_the_priors_that_are_used() -> None:
    """A referee would read other priors than those the calibration draws from."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    assert with_tables(text, tables(), PAGE) == text
    for name in shipped_priors().priors:
        assert f"| `{name}` |" in text


def test_ranges_are_those_of_the_cut_off_prior() -> None:
    """The 90 % range would be that of the whole normal, wider than what is sampled."""
    prior = Prior(("a.b",), "lognormal", 2.0, 1.0, "h", "assumed", mode="scale", law="deployed")
    row = priors_table(Priors({"rate": prior})).splitlines()[-1]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:4] == ["`rate`", "× `a.b` (law `deployed`)", "lognormal, 1", "2"]
    assert cells[4] == "0.41 to 9.8"  # 2 exp(±1.593); of the whole normal 0.39 to 10
    assert cells[5:] == ["h", "assumed"]


def test_paths_that_differ_in_more_than_a_step_are_kept() -> None:
    """A path would be shortened into one that does not exist."""
    assert shortened(["a.b.x", "a.c.y"]) == "a.b.x, a.c.y"
    assert shortened(["a.b", "a.b.c"]) == "a.b, a.b.c"
    assert shortened(["a.b.x", "a.b.y"]) == "a.b.{x, y}"
