"""Figures that came after a posterior was made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.calibration.shipped import read_emulators, read_posterior
from analysis.calibration.update import Later, discrepancy, new_figures, update
from analysis.calibration.waves import Settings, Work
from analysis.cli import run
from analysis.corrections import sizes_of
from analysis.federations import load_case, packaged
from analysis.progress import progress
from analysis.projection import periods_of
from sim.errors import DataError

HEAD = "id,table,installation,site,metric,resource,ledger,period,value,unit,note"


def _file(folder: Path, value: float, period: str = "M7-M7") -> Path:
    path = folder / "later.csv"
    row = f"north_gpu_m7,-,North GPU,North,usage,gpu,by_hypothesis,{period},{value},GPU-h,a month"
    path.write_text(f"{HEAD}\n{row}\n", encoding="utf-8")
    return path


def _later(tiny, policies, tmp_path: Path, value: float, accept: bool = False) -> Later:
    folder = packaged()["tiny"]
    case = load_case(tiny, folder, _file(tmp_path, value))
    settings = Settings(runs=200, steps=60, keep=700, seed=0, jobs=1)
    work = Work(case, policies, settings, tmp_path / "kept", progress)
    return Later(work, load_case(tiny, folder), read_posterior(folder / "posterior"), accept)


def test_a_later_month_is_read_as_the_accounting_shows_it(tiny, tmp_path) -> None:
    """A month would not be fitted, or count in another ledger, or be projected once more."""
    case = load_case(tiny, packaged()["tiny"], _file(tmp_path, 900.0))
    assert case.federation.reported_months == 7
    assert case.hypotheses.hypotheses["stated"].reads["north_gpu_m7"] == "allocated"
    assert [p for p, _ in periods_of(case.federation)[1]] == ["M8-M12"]


def test_discrepancy_is_part_of_later_figures_alone(tiny, policies, tmp_path) -> None:
    """Figures beyond the fitted months would count as if the model were right by then."""
    later = _later(tiny, policies, tmp_path, 900.0)
    assert [t.id for t in new_figures(later)] == ["north_gpu_m7"]
    found = discrepancy(later, sizes_of(later.before))
    place = [t.id for t in later.work.figures].index("north_gpu_m7")
    assert found[place, place] > 0.0
    found[place, place] = 0.0
    assert not found.any()


def test_shipped_emulators_have_all_figures(tiny) -> None:
    """A posterior could not be updated from what ships with it."""
    folder = packaged()["tiny"]
    known, emulators = read_emulators(read_posterior(folder / "posterior"))
    assert set(emulators) == {"saturating", "deployed"}
    for emulator in emulators.values():
        assert emulator.coefficients.shape[1] == len(known) + 1  # and the busy share


@pytest.mark.slow
def test_a_plausible_figure_moves_the_posterior_and_an_absurd_one_is_refused(
    tiny, policies, tmp_path
) -> None:
    """A unit error would be fitted like any figure, or a true surprise could not be told."""
    low, _ = update(_later(tiny, policies, tmp_path, 400.0))
    high, told = update(_later(tiny, policies, tmp_path, 3000.0))
    assert 0.002 < told["probability"].iloc[0] < 0.5
    rates = [np.log(f.draws["request_rate"]).mean() for f in (low, high)]
    assert rates[1] > rates[0] + 0.01
    absurd = _later(tiny, policies, tmp_path, 900_000.0)
    with pytest.raises(DataError, match=r"north_gpu_m7 .*nothing predicted"):
        update(absurd)
    taken, told = update(replace(absurd, accept=True))
    assert told["probability"].iloc[0] < 1e-6
    assert len(taken.draws) == 700


def test_figures_up_to_the_horizon_leave_nothing_to_project(tiny, tmp_path, capsys) -> None:
    """A projection of no month would be made, or end in a traceback."""
    path = _file(tmp_path, 900.0, "M7-M12")
    assert run(["calibrate", "federation=tiny", f"data={path}", "runs=100", "steps=50"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "nothing would be left to project" in lines[0]
