"""Deployment records beside the reported figures."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.federations import load_case, packaged
from analysis.hypotheses import targets
from analysis.outputs import TargetValues
from analysis.records.as_figures import METRIC, record_rows, record_values
from sim.errors import DataError
from sim.runner import RunSpec, run_once
from tests.records_by_hand import write_log


def test_a_log_of_a_run_has_the_statistics_of_the_run(tiny, policies, tmp_path) -> None:
    """A log would be held against other statistics than the same deployments have in a run."""
    result = run_once(RunSpec(tiny, policies))
    write_log(result, tmp_path / "log.csv")
    rows = record_rows(tmp_path / "log.csv", tiny.calendar, "M1-M6")
    expected = record_values(result, [("M1-M6", "records_duration_p50")])
    assert len(rows) == len(expected) > 10
    for row in rows.itertuples():
        assert row.value == pytest.approx(expected["M1-M6", row.id], rel=1e-3), row.id


def test_statistics_are_fitted_under_every_reading(tiny, policies, tmp_path) -> None:
    """Records would be read and then not used, or with the noise of an accounting figure."""
    result = run_once(RunSpec(tiny, policies))
    write_log(result, tmp_path / "log.csv")
    folder = packaged()["tiny"]
    case = load_case(tiny, folder, None, (tmp_path / "log.csv", "M1-M6"))
    for hypothesis in case.hypotheses.hypotheses.values():
        found = [t for t in targets(case.observations, hypothesis) if t.metric == METRIC]
        assert len(found) > 10
        assert {case.hypotheses.noise_of(t) for t in found} == {0.02}
    plain = load_case(tiny, folder)
    assert len(case.observations) == len(plain.observations) + len(found)
    values = TargetValues(tuple(found), frozenset())(result)
    assert np.log(values) == pytest.approx(np.log([t.value for t in found]), abs=2e-3)


def test_records_of_months_to_come_are_refused(tiny, policies, tmp_path) -> None:
    """A window that nothing was reported for would be fitted beside figures that end before it."""
    result = run_once(RunSpec(tiny, policies))
    write_log(result, tmp_path / "log.csv")
    with pytest.raises(DataError, match="records of months to come"):
        load_case(tiny, packaged()["tiny"], None, (tmp_path / "log.csv", "M7-M12"))
