"""Serving against measured experiments, as `make validate-serving` plays them."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.serving_validation import draw, measured, score, simulated


@pytest.mark.slow
def test_measured_experiments_are_met(tmp_path: Path) -> None:
    """Cold starts and replicas of a real platform would not come out of the mechanism."""
    found = simulated(measured(), "exponential")
    assert score(found).experiments == 20
    assert score(found).holds
    draw(found, tmp_path, "lambda")
    assert (tmp_path / "lambda.png").stat().st_size > 10_000


@pytest.mark.parametrize(("factor", "holds"), [(1.0, True), (1.2, False)])
def test_a_score_fails_when_the_model_is_off(factor: float, holds: bool) -> None:
    """A model that is a fifth off would pass."""
    table = measured()
    found = table.rename(
        columns={
            "AverageInstanceCount": "replicas_measured",
            "ColdStartProbability": "cold_measured",
        }
    )
    found = found.assign(
        cold_probability=found["cold_measured"],
        replicas=factor * found["replicas_measured"],
        z=0.0,
    )
    assert score(found).holds is holds
