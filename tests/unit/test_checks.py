"""What a calibration says of itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.calibration.checks import refuse_poor, replicate_sd
from analysis.calibration.identifiability import PRIOR_SD, directions
from analysis.calibration.priors import Prior
from analysis.outputs import LEAST_BUSY, FiguresAndBusyShare, TargetValues, busy_share
from sim.errors import DataError
from sim.runner import RunSpec, run_once


def _judged(*lack: float) -> pd.DataFrame:
    columns = {"law": "saturating", "figure": [f"f{i}" for i in range(len(lack))]}
    return pd.DataFrame({**columns, "ledger": "-", "lack_of_fit": lack, "observed_sd": 0.1})


def test_only_points_played_twice_say_what_chance_is() -> None:
    """The emulator's error would be taken for chance, or chance for its error."""
    random = np.random.default_rng(0)
    alone, twice = random.standard_normal((300, 2)), random.standard_normal((800, 2))
    z = np.concatenate([alone, twice, twice])
    outputs = z[:, :1] * 5.0 + 0.2 * random.standard_normal((len(z), 1))
    found, freedom = replicate_sd(z, outputs)
    assert freedom == 800
    assert found == pytest.approx([0.2], rel=0.08)


def test_an_emulator_is_refused_where_its_error_is_far_above_the_figures() -> None:
    """A posterior of the emulator's errors would pass for one of the figures."""
    assert refuse_poor(_judged(0.05, 0.1), 2.0) == []
    (warning,) = refuse_poor(_judged(0.05, 0.15, np.nan), 2.0)
    assert warning.startswith("1 of 3 emulated figures")
    assert "f1" in warning
    with pytest.raises(DataError, match=r"figure f1 .*emulator is not good enough"):
        refuse_poor(_judged(0.15, 0.25), 2.0)


def test_the_direction_that_was_learnt_is_found() -> None:
    """The table would name parameters that the figures say nothing of."""
    random = np.random.default_rng(1)
    z = PRIOR_SD * random.standard_normal((6000, 3))
    known = (z[:, 0] + z[:, 1]) / np.sqrt(2.0)
    z[:, :2] -= 0.9 * known[:, None] / np.sqrt(2.0)
    table = directions("stated", ["a", "b", "c"], z)
    assert list(table["direction"]) == [1, 2, 3]
    assert table["ratio"].to_numpy() == pytest.approx([0.1, 1.0, 1.0], abs=0.03)
    first = table.loc[0, "parameters"]
    assert "+0.71 a" in first
    assert "+0.71 b" in first
    assert " c" not in first
    assert table.loc[0, "share"] > 0.95


@pytest.mark.parametrize("distribution", ["lognormal", "logitnormal"])
def test_values_turn_back_into_z(distribution) -> None:
    """An update would start from other points than the posterior's."""
    prior = Prior(("demand.hold_h",), distribution, 0.4, 0.7, "-", "assumed")
    z = np.linspace(-2.4, 2.4, 9)
    assert prior.z(prior.value(z)) == pytest.approx(z)


def test_busy_share_is_that_of_the_usage_table(tiny, policies) -> None:
    """The idle share would be of other months or another ledger than it says."""
    result = run_once(RunSpec(tiny, policies))
    frame = result.usage_frame()
    gpu = frame[(frame["resource"] == "gpu") & frame["month"].between(1, 6)]
    sums = gpu.groupby("ledger")["quantity"].sum()
    expected = sums["active"] / sums["allocated"]
    assert busy_share(result.usage, range(1, 7)) == pytest.approx(expected, rel=1e-9)
    assert LEAST_BUSY < expected < 1.0
    keep = FiguresAndBusyShare(TargetValues((), frozenset()), range(1, 7))
    assert keep(result) == pytest.approx([np.log(expected)], rel=1e-9)
