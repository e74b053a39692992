"""The page says what the tables say, and no number besides."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from analysis.budgets import exhaustion
from analysis.comparators import comparators
from analysis.report import markdown_table, write_report
from analysis.tables import summarise
from sim.errors import DataError
from tests.unit import small_projection as small

IDENTIFIABILITY = pd.DataFrame(
    [("tail_h", "h", 1.0, 0.97, 0.97, "Totals teach nothing about tails."),
     ("rate", "1/month", 1.0, 0.4, 0.4, "Known.")],
    columns=["parameter", "unit", "prior_sd", "posterior_sd", "ratio", "sentence"])
FIT = pd.DataFrame(
    [("a1", "M1-M6", 90.0, 50.0, 80.0, 120.0, True), ("a2", "M7-M12", 60.0, 1.0, 5.0, 20.0, False)],
    columns=["id", "period", "reported", "p05", "p50", "p95", "inside"])
LAWS = pd.DataFrame(
    [("low", "saturating", 0.5, 0.75, -12.34, 0.56),
     ("low", "proportional", 0.5, 0.25, -13.4, 0.5)],
    columns=["hypothesis", "law", "prior_weight", "weight", "log_evidence", "log_evidence_sd"])


def _write(folder: Path, **changes: object) -> str:
    draws = small.draws().query("period == 'M16-M18'").assign(period="PY2")
    handed: dict[str, object] = {
        "summary": summarise(draws),
        "compared": comparators(draws, small.observations()),
        "exhausted": exhaustion(small.monthly(), small.consumed(), small.budgets(275.0),
                                small.DATE_AT),
        "identifiability": IDENTIFIABILITY, "fit": FIT, "laws": LAWS,
        "figures": {"Fig. 1 GPU": folder / "figures" / "gpu.png"},
        "hypotheses": {"low": "Reads less."}, "title": "small",
    }
    path = write_report(folder, **(handed | changes))  # type: ignore[arg-type]
    return path.read_text(encoding="utf-8")


def test_the_answer_comes_first(tmp_path: Path) -> None:
    """The planner would have to search for the projection."""
    text = _write(tmp_path)
    assert text.startswith("# small: projection of PY2 (M13-M24)")
    heads = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert heads[:3] == ["The answer", "Budgets", "PY2 by site"]
    # 3 months of 10 x draw: 30 60 90 120 150
    assert "| GPU (GPU-h) | 90 [36 - 144] | 90 [36 - 144] | 90 [36 - 144] |" in text


def test_what_is_not_modelled_is_no_answer(tmp_path: Path) -> None:
    """A federation that has no cores would read that it needs 0 CPU-h."""
    draws = small.draws().query("period == 'M16-M18'").assign(period="PY2")
    nothing = draws.assign(resource="cpu", unit="CPU-h", quantity=0.0)
    text = _write(tmp_path, summary=summarise(pd.concat([draws, nothing])))
    assert "| GPU (GPU-h) | 90 [36 - 144]" in text
    assert "CPU (CPU-h)" not in text


def test_each_comparison_names_its_comparator(tmp_path: Path) -> None:
    """A bare "lower than last year" would be wrong by one table or the other."""
    text = _write(tmp_path)
    assert "PY1 (M1-M12) as the cumulative table has it (300 GPU-h) | over 99 % |" in text
    assert "PY1 (M1-M12) as the site tables sum it up, 1 blank cell left out (190 GPU-h)" in text


def test_a_hypothesis_named_like_a_column_keeps_its_own(tmp_path: Path) -> None:
    """The hypothesis `site` would overwrite the names of the sites."""
    draws = small.draws().query("period == 'M16-M18'").replace({"hypothesis": {"low": "site"}})
    text = _write(tmp_path, summary=summarise(draws))
    assert "| site | resource | unit | averaged | `site` | `high` |" in text
    assert "| A | GPU | GPU-h | 67.5 [27 - 108] |" in text


def test_budgets_by_probability_and_day(tmp_path: Path) -> None:
    """The planner would not learn when the budget ends, under which reading."""
    text = _write(tmp_path)
    assert "used up in M7-M12" in text
    assert "80 % (40 % in M7-M12), 2023-12-04 [" in text


def test_what_the_data_cannot_say_is_said(tmp_path: Path) -> None:
    """Assumptions would pass for measurements."""
    text = _write(tmp_path)
    assert "1 of 2 parameters" in text
    assert "`tail_h` (h): posterior over prior standard deviation 0.97" in text
    assert "`rate`" not in text


def test_misses_are_named(tmp_path: Path) -> None:
    """A poor fit would be hidden behind the projection."""
    text = _write(tmp_path)
    assert "1 of 2. Outside:" in text
    assert "- a2, M7-M12: reported 60, predicted 5 [1 - 20]" in text


def test_law_weights_and_readings_are_given(tmp_path: Path) -> None:
    """The reader could not tell which story of growth carries the projection."""
    text = _write(tmp_path)
    assert "| low | saturating | 0.50 | 0.75 | -12.3 ± 0.6 |" in text
    assert "- `low`: Reads less." in text


def test_figures_are_linked_relative_to_the_page(tmp_path: Path) -> None:
    """The page would lose its figures when the folder is moved or mailed."""
    text = _write(tmp_path)
    assert "![Fig. 1 GPU](figures/gpu.png)" in text
    assert "([table](figures/gpu.csv))" in text
    assert str(tmp_path) not in text


def test_a_federation_without_budgets_or_comparators_gets_a_page(tmp_path: Path) -> None:
    """A new federation could not be projected before it has a report."""
    text = _write(
        tmp_path, compared=comparators(small.draws(), small.observations()).iloc[:0],
        exhausted=exhaustion(small.monthly(), small.consumed(), small.budgets().iloc[:0],
                             small.DATE_AT),
        fit=FIT.iloc[:0], laws=LAWS.iloc[:0], figures={}, title="",
    )
    assert "## Budgets" not in text
    assert "## Figures" not in text
    assert text.startswith("# projection of PY2")


def test_bad_tables_leave_nothing_behind(tmp_path: Path) -> None:
    """Half a page would stand in the folder after an error."""
    with pytest.raises(DataError, match="'ratio'"):
        _write(tmp_path, identifiability=IDENTIFIABILITY.drop(columns="ratio"))
    assert list(tmp_path.iterdir()) == []


def test_table_cells_cannot_break_the_table() -> None:
    """A name with a bar would shift all columns after it."""
    table = markdown_table(pd.DataFrame({"a": ["x|y\nz"], "b": ["1"]}))
    assert table.splitlines()[2] == "| x\\|y z | 1 |"
