"""Figures that came after a posterior was made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.calibration.design import Design
from analysis.calibration.shipped import read_emulators, read_posterior
from analysis.calibration.update import Later, discrepancy, join, new_figures, update
from analysis.calibration.waves import Learned, Settings, Work
from analysis.cli import run
from analysis.corrections import sizes_of
from analysis.federations import load_case, packaged
from analysis.observations import load_observations
from analysis.progress import progress
from analysis.projection import figures_of, periods_of
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


def test_a_ledger_that_a_later_figure_names_is_kept(tiny, tmp_path) -> None:
    """A later figure would be taken to measure something else than it says."""
    path = _file(tmp_path, 900.0)
    path.write_text(path.read_text("utf-8").replace("by_hypothesis", "active"), encoding="utf-8")
    case = load_case(tiny, packaged()["tiny"], path)
    assert "north_gpu_m7" not in case.hypotheses.hypotheses["stated"].reads
    assert [t.ledger for t in figures_of(case) if t.id == "north_gpu_m7"] == ["active"]


def test_later_figures_come_last_and_are_checked_with_the_others(tmp_path) -> None:
    """A figure told twice, or in two overlapping periods, would be fitted twice."""
    own = packaged()["tiny"] / "observations.csv"
    both = load_observations(own, _file(tmp_path, 900.0))
    assert both["id"].iloc[-1] == "north_gpu_m7"
    assert both.iloc[:-1].equals(load_observations(own))
    with pytest.raises(DataError):
        load_observations(own, own)
    with pytest.raises(DataError, match=r"later\.csv"):
        load_observations(own, _file(tmp_path, 900.0, "M6-M7"))


def test_discrepancy_counts_in_the_joined_emulator(tiny, policies, tmp_path) -> None:
    """The likelihood would hold a later figure to the model as if it were never wrong."""
    later = _later(tiny, policies, tmp_path, 900.0)
    figures, fresh = later.work.figures, new_figures(later)
    known, emulators = read_emulators(later.posterior)
    places = {(f, ledger): i for i, (f, ledger) in enumerate(known.itertuples(index=False))}
    names, random = later.work.case.priors.names("saturating"), np.random.default_rng(0)
    z = random.standard_normal((120, len(names)))
    outputs = random.standard_normal((120, len(figures) + 1))
    runs = Learned(Design("saturating", names, z), outputs)
    extra, shipped = discrepancy(later, sizes_of(later.before)), emulators["saturating"]
    with_it, without = (
        join(figures, places, shipped, runs, fresh, e) for e in (extra, 0.0 * extra)
    )
    added = with_it.residual_covariance - without.residual_covariance
    assert added[:-1, :-1] == pytest.approx(extra, abs=1e-12)
    assert not added[-1].any()
    old = [i for i, t in enumerate(figures) if t not in fresh]
    place = [places[figures[i].id, figures[i].ledger] for i in old]
    assert with_it.predict(z)[:, old] == pytest.approx(shipped.predict(z)[:, place])
    assert with_it.predict(z)[:, -1] == pytest.approx(shipped.predict(z)[:, -1])


@pytest.mark.slow
def test_a_plausible_figure_moves_the_posterior_and_an_absurd_one_is_refused(
    tiny, policies, tmp_path
) -> None:
    """A unit error would be fitted like any figure, or a true surprise could not be told."""
    low, _ = update(_later(tiny, policies, tmp_path, 400.0))
    assert set(low.idle["period"]) == {"M1-M6"}  # what the shipped emulators' busy share is of
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
