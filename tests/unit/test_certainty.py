"""How sure a projection is, in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.calibration.shipped import Posterior, read_posterior
from analysis.certainty import idle_sentences, words
from analysis.federations import packaged
from analysis.uncertainty_figure import draw_shares

SOURCES = ("parameters", "replicates", "hypotheses", "discrepancy")


def _shares() -> pd.DataFrame:
    rows = [
        ("PY3", site, "gpu", source, share / 10.0, share)
        for site in ("A", "all")
        for source, share in zip(SOURCES, (0.2, 0.1, 0.1, 0.6), strict=True)
    ]
    return pd.DataFrame(rows, columns=["period", "site", "resource", "source", "variance", "share"])


def _movers() -> pd.DataFrame:
    rows = [
        ("hold_time", "all", "gpu", 100.0, -10.0, 15.0, 25.0, 0.98),
        ("request_rate", "all", "gpu", 100.0, -30.0, 40.0, 70.0, 0.5),  # the figures inform it
        ("gap_length", "all", "gpu", 100.0, -1.0, 1.0, 2.0, 0.98),  # hardly felt
    ]
    return pd.DataFrame(rows, columns=["parameter", "site", "resource", "at_mean", "percent_p05",
                                       "percent_p95", "swing", "sd_ratio"])  # fmt: skip


@pytest.fixture
def posterior() -> Posterior:
    """Return the posterior that ships with the tiny federation."""
    return read_posterior(packaged()["tiny"] / "posterior")


def test_words_come_from_the_tables(posterior) -> None:
    """A planner would read that something is known which is assumed, or the other way round."""
    found = words(posterior, ["stated"], _shares(), _movers())
    known, prior, changes = (" ".join(part) for part in found.sections().values())
    ratio = posterior.parameters.set_index("parameter")["ratio"]
    assert ratio["request_rate"] < 0.9 < ratio["hold_time"]
    assert "`request_rate`" in known
    assert "the best known (+" in known  # not the apostrophe that the CSV has before a sign
    assert "`hold_time`" not in known
    assert "`hold_time`" in prior
    assert "say nothing about how much of the GPU hours held in M1-M6 were idle" in prior
    assert "Between readings" not in prior  # there is only one
    assert "discrepancy 60 %, parameters 20 %" in changes
    assert "`hold_time` (-10 % to +15 %)" in changes
    assert "gap_length" not in changes
    assert "request_rate" not in changes


def test_nothing_is_idle_by_assumption(posterior) -> None:
    """A federation of batch jobs would be told that releasing idle GPUs saves something."""
    nothing = posterior.idle.assign(p05=0.0, p50=0.0, p95=0.0)
    (said,) = idle_sentences(replace(posterior, idle=nothing), ["stated"])
    assert "idle by assumption" in said
    assert "save" not in said


def test_an_idle_share_that_was_learnt_is_not_called_unknown(posterior) -> None:
    """Records would have taught the idle share, and the report would deny it."""
    idle = posterior.idle.copy()
    idle.loc[idle["hypothesis"] == "stated", ["p05", "p50", "p95"]] = [0.80, 0.81, 0.82]
    taught = Posterior(**{**vars(posterior), "idle": idle})
    prior = " ".join(words(taught, ["stated"], _shares(), pd.DataFrame()).prior)
    assert "say something about how much of the GPU hours" in prior


def test_the_figure_of_shares_has_its_table(tmp_path: Path) -> None:
    """The bars would stand without the numbers that they show."""
    path = draw_shares(_shares(), tmp_path, "uncertainty")
    assert path.stat().st_size > 10_000
    assert len(pd.read_csv(tmp_path / "uncertainty.csv")) == 8
