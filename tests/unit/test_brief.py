"""The policy brief says what its tables say, and its words follow the signs of the numbers."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.paired import brief_decision as decision
from analysis.paired.brief import brief, sensitivities
from analysis.paired.brief_words import Comparison, Effect
from analysis.paired.tables import DIFFERENCES, FRONT, PRICES, SENSITIVITY
from analysis.wording import thousands
from sim.errors import DataError
from tests.unit import small_comparison as small

FIGURES = {"savings": "release/figures/savings.png", "prices": "release/figures/prices.png"}


def _small() -> Comparison:
    return Comparison(small.tables(), small.FACTS)


def _brief(main: Comparison, **others: Comparison) -> str:
    return brief(main, others, ["Totals say nothing."], FIGURES)


def _section(text: str, heading: str) -> str:
    return re.split(r"^## ", text.split(f"## {heading}", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def _scaled(factor: float, *files: str) -> Comparison:
    """Return the comparison with the numbers of tables multiplied."""
    tables = small.tables()
    for file in files:
        numbers = tables[file].select_dtypes("float64").columns
        tables[file][numbers] = factor * tables[file][numbers]
    return Comparison(tables, small.FACTS)


def test_the_table_has_the_numbers_of_the_tables() -> None:
    """A work package leader would paste numbers that no run gave."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in _section(_brief(_small()), "Savings and costs").splitlines()
            if line.startswith("| `")]  # fmt: skip
    assert len(rows) == 5 * 2  # the least and the most idleness
    tables = small.tables()
    front = tables[FRONT.file].set_index(["variant", "idle", "ledger"])
    differences = tables[DIFFERENCES.file].set_index(
        ["variant", "idle", "site", "criterion", "measure"])  # fmt: skip

    def shown(*values: float) -> str:
        p50, p05, p95 = (thousands(round(x), 3) for x in values)
        return f"{p50} [{p05} to {p95}]"

    for variant, idle, saved, provisioned, cuts, lost in rows:
        key = (variant.strip("`"), idle)
        of = front.loc[(*key, "allocated")]
        assert saved == shown(of["saved_p50"], of["saved_p05"], of["saved_p95"])
        assert provisioned == "0"
        for cell, criterion in ((cuts, "interruptions"), (lost, "lost_gpu_h")):
            of = differences.loc[(*key, "all", criterion, "difference")]
            assert cell == shown(of["p50"], of["p05"], of["p95"])


def test_no_number_of_a_sentence_stays_when_all_tables_change() -> None:
    """A number typed by hand would stay in the text whatever a run gave."""
    files = [f for f in small.tables() if f != PRICES.file]
    before, after = _brief(_small()), _brief(_scaled(0.7137, *files))
    number = re.compile(r"(?<![\w.,-])\d[\d,]*\.?\d*(?![\w-])")
    for heading in ("Question and answer", "Savings and costs", "Who pays",
                    "What it changes less: machines"):  # fmt: skip
        found = [number.findall(re.sub("`.*?`", "", _section(text, heading)))
                 for text in (before, after)]  # fmt: skip
        assert len(found[0]) >= 8, heading
        same = {a for a, b in zip(*found, strict=True) if a == b}
        assert same <= {"0", "1", "10", "100"}, heading  # nothing, and stated prices


def test_signs_are_said_in_words() -> None:
    """The brief would praise a saving that is a cost, or hide that its direction is open."""
    rises = Effect(10.0, 5.0, 20.0, "GPU-h")
    words = ("saves", "costs", "saves nothing")
    assert rises.said(*words) == "saves 10 [5 to 20] GPU-h"
    assert rises.turned.said(*words) == "costs 10 [5 to 20] GPU-h"
    assert Effect(0.0, 0.0, 0.0, "h").said(*words) == "saves nothing"
    open_ = Effect(10.0, -5.0, 20.0, "GPU-h").said(*words)
    assert open_ == "saves 10 [-5 to 20] GPU-h (the direction is not certain)"
    assert Effect(0.0, 0.0, 3.0, "h").said(*words) == "saves 0 [0 to 3] h"
    assert Effect(0.02, -0.1, 0.3, "GPU-h").said(*words) == "saves nothing"


def test_the_answer_turns_with_the_sign() -> None:
    """The first sentence would say that a policy saves what it costs."""
    told = _section(_brief(_small()), "Question and answer")
    assert "`1 h` saves 11,400 [5,710 to 20,600] GPU-h under low idleness and 32,400 [" in told
    turned = _section(_brief(_scaled(-1.0, FRONT.file)), "Question and answer")
    assert "`1 h` costs 11,400" in turned
    assert "saves" not in turned.split("GPU-h", 1)[1].split(". ", 1)[0]


def test_provisioned_hours_that_move_are_not_denied() -> None:
    """The brief would say that machines stay where a policy gives them back."""
    assert "No provisioned GPU-h are saved" in _brief(_small())
    tables = small.tables()
    front = tables[FRONT.file]
    mine = (front["ledger"] == "provisioned") & (front["variant"] == "4 h")
    front.loc[mine, ["saved_p05", "saved_p50", "saved_p95"]] = [10.0, 20.0, 30.0]
    text = _brief(Comparison(tables, small.FACTS))
    assert "No provisioned GPU-h are saved" not in text
    assert "Provisioned GPU-h change with `4 h`, as the table says." in text
    front.loc[mine, "saved_p50"] = 0.0
    text = _section(_brief(Comparison(tables, small.FACTS)), "Question and answer")
    assert "In half of the worlds or more no provisioned GPU-h are saved" in text
    assert "0 [10 to 30] GPU-h at the most, with `4 h` under low idleness." in text


def test_what_all_priors_agree_on_is_told_apart() -> None:
    """A choice that hangs on how idle GPUs are would be recommended as if it did not."""
    found = {r.variant: (r.low, r.high) for r in decision.agreed(_small(), "allocated")}
    assert found["1 h"] == (0.0, pytest.approx(8.0 * 0.3))
    assert found["4 h"] == (pytest.approx(8.0 * 0.85), pytest.approx(25.0 * 0.3))
    assert found["never"] == (pytest.approx(4000.0 * 0.85), np.inf)
    best, other = decision.recommendation(_small(), "allocated")
    assert "worth less than 2.4 GPU-h: `1 h`; between 6.8 and 7.5 GPU-h: `4 h`; " in best
    assert best.endswith("more than 3,400 GPU-h: do nothing.")
    assert other.startswith("At other prices the best hangs on how idle")


def test_nothing_is_recommended_where_priors_never_agree() -> None:
    """The section would be empty, or name what is best under one prior alone."""
    main = _small()
    prices = main.tables[PRICES.file]
    prices.loc[prices["idle"] == "low", "variant"] = "72 h"
    prices.loc[prices["idle"] == "high", "variant"] = "1 h"
    (line,) = decision.recommendation(main, "allocated")
    assert line.startswith("No variant is the best under every prior of idleness at any price.")


def test_one_choice_at_any_price_needs_no_condition() -> None:
    """A choice that is best everywhere would be tied to prices from 0 to infinity."""
    main = _small()
    prices = main.tables[PRICES.file]
    keep = prices["variant"] == "1 h"
    main.tables[PRICES.file] = prices[keep].assign(from_price=0.0, to_price=np.inf)
    (line,) = decision.recommendation(main, "allocated")
    assert line.startswith("Whatever an interruption is worth")
    assert line.endswith("`1 h`.")


def test_the_least_regret_is_that_of_the_worst_prior() -> None:
    """The cautious choice would be judged by the prior of idleness that suits it."""
    line = decision.cautious(_small(), "allocated", 10.0)
    assert line.startswith("At 10 GPU-h an interruption `12 h` risks least")
    assert f"lacks {thousands(2.0 * 85.0, 3)} GPU-h" in line
    assert decision.cautious(_small(), "allocated", 11.0) == ""  # a price nobody asked about


def test_only_what_is_told_from_zero_is_bold() -> None:
    """A correlation that may be chance would look like a finding."""
    text = sensitivities(_small(), "4 h")
    assert text.count("**-0.50 [-0.70 to -0.35]**") == 2
    assert "+0.10" not in text
    assert "Not told from zero: `missed_frac`." in text
    main = _small()
    table = main.tables[SENSITIVITY.file]
    seen = (table["parameter"] == "policy.idle.missed_frac") & (table["idle"] == "low")
    table.loc[seen, "p05"] = 0.05
    text = sensitivities(main, "4 h")
    assert "| **+0.10 [+0.05 to +0.25]** | +0.10 [-0.10 to +0.25] |" in text
    main.tables[SENSITIVITY.file] = main.tables[SENSITIVITY.file].assign(correlation=np.nan)
    assert sensitivities(main, "4 h") == ""


def test_readings_stand_side_by_side_where_there_are_several() -> None:
    """What hangs on how the report is read would be hidden in the average."""
    assert "Reading of the report" not in _brief(_small())
    tables = small.tables()
    front = tables[FRONT.file]
    site = _scaled(2.0, FRONT.file).tables[FRONT.file].assign(hypothesis="site")
    parts = [front, front.assign(hypothesis="unreported"), site]
    tables[FRONT.file] = pd.concat(parts, ignore_index=True)
    text = _section(_brief(Comparison(tables, small.FACTS)), "What it depends on")
    assert "10,000 (`unreported`, low idleness), 20,000 (`site`, low idleness)" in text


def test_figures_are_linked_with_their_tables_if_drawn() -> None:
    """The brief would show a figure that is not there, or none of those that are."""
    text = _brief(_small())
    assert "(release/figures/savings.png)" in text
    assert "[table](release/figures/savings.csv)" in text
    assert "[best choice by the price of an interruption](release/figures/prices.png)." in text
    assert "monthly" not in text


def test_what_else_could_be_done_names_the_most_saving() -> None:
    """A further comparison would be summed up by a variant that saves less."""
    tables = small.tables()
    front = tables[FRONT.file]
    mine = (front["ledger"] == "provisioned") & (front["variant"] == "24 h")
    front.loc[mine, ["saved_p05", "saved_p50", "saved_p95"]] = [10.0, 20.0, 30.0]
    text = _brief(_small(), node_scale_down=Comparison(tables, small.FACTS))
    part = _section(text, "What else could be done: `node_scale_down`")
    assert "20 [10 to 30] provisioned GPU-h by `24 h` under low idleness" in part
    assert part.count("| `24 h` |") == 2
    assert part.count("\n| `") == 2 * 2
    assert "scenario=node_scale_down" in _section(text, "Provenance")
    assert "see `node_scale_down`" in _section(text, "Recommendation")


def test_changes_that_are_not_committed_are_said() -> None:
    """A brief of a changed tree would claim to be reproducible from a commit."""
    facts = small.FACTS | {"dirty": True}
    assert "with changes that are not committed" in _brief(replace(_small(), facts=facts))
    assert "commit unknown" in _brief(replace(_small(), facts=facts | {"commit": ""}))
    assert "not committed" not in _brief(_small())


def test_a_row_that_is_missing_is_refused() -> None:
    """A number of another variant or site would fill the hole."""
    with pytest.raises(DataError, match="no such row"):
        _small().change("interruptions", "5 h", "low")
