"""Results of the shipped federations against those kept beside this file."""

from __future__ import annotations

import json

import pytest

from tests.golden.regenerate import GOLDEN, results

CHANGED = "results changed: raise sim.MODEL_VERSION and run `make golden`"


def test_results_are_those_kept() -> None:
    """The same specification would give other results under the same model version."""
    kept, found = json.loads(GOLDEN.read_text(encoding="utf-8")), results()
    assert found.keys() == kept.keys(), CHANGED
    assert found.pop("model_version") == kept.pop("model_version"), (
        "sim.MODEL_VERSION was raised: run `make golden`"
    )
    for name, quantities in kept.items():
        assert found[name] == pytest.approx(quantities, rel=1e-6), f"{name}: {CHANGED}"
