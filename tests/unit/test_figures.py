"""Figures draw the tables they are handed, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from analysis.figure_style import COLOURS, Look
from analysis.figure_tables import cumulative_bands, fit_check, site_year
from analysis.figures import draw_cumulative, draw_cumulative_wide, draw_fit, draw_sites
from sim.errors import DataError
from tests.unit import small_projection as small

Draw = Callable[[pd.DataFrame, Path, str], Path]


def _bands() -> pd.DataFrame:
    return cumulative_bands(small.observations(), small.history(), small.monthly(),
                            small.consumed(), small.budgets(), small.DATE_AT)


def _fit() -> pd.DataFrame:
    return pd.DataFrame({
        "id": ["a1", "a2", "c1"], "period": ["M1-M6", "M7-M12", "M1-M6"],
        "reported": [90.0, 0.0, 100.0], "p05": [50.0, 0.0, 110.0], "p50": [80.0, 5.0, 120.0],
        "p95": [120.0, 20.0, 130.0], "inside": [True, True, False],
    })


def _sites() -> pd.DataFrame:
    return site_year(small.draws().query("period == 'M16-M18'"), small.observations())


FIGURES: list[tuple[Draw, Callable[[], pd.DataFrame]]] = [
    (draw_cumulative, _bands),
    (draw_cumulative_wide, _bands),
    (draw_sites, _sites),
    (draw_fit, lambda: fit_check(_fit(), small.observations())),
]


@pytest.mark.parametrize(("draw", "make"), FIGURES)
def test_figure_is_drawn_and_its_table_stands_beside_it(
    draw: Draw, make: Callable[[], pd.DataFrame], tmp_path: Path
) -> None:
    """A figure would be blank, or the CSV beside it another table than the one drawn."""
    table = make()
    before = table.copy(deep=True)
    path = draw(table, tmp_path / "figures", "it")
    assert path == tmp_path / "figures" / "it.png"
    pixels = imread(path)[..., :3]
    assert pixels.shape[1] >= 3.5 * 300
    assert (pixels.min(axis=2) < 0.9).mean() > 0.005
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
    pd.testing.assert_frame_equal(table, before)
    beside = pd.read_csv(path.with_suffix(".csv"))
    pd.testing.assert_frame_equal(
        beside, table.replace("", float("nan")), check_dtype=False, rtol=1e-12)


@pytest.mark.parametrize(("draw", "make"), FIGURES)
def test_an_empty_table_is_refused(
    draw: Draw, make: Callable[[], pd.DataFrame], tmp_path: Path
) -> None:
    """A projection without rows would leave an empty figure or a traceback."""
    with pytest.raises(DataError, match="nothing to draw"):
        draw(make().iloc[:0], tmp_path, "it")


@pytest.mark.parametrize(("draw", "make"), FIGURES)
def test_the_same_table_gives_the_same_file(
    draw: Draw, make: Callable[[], pd.DataFrame], tmp_path: Path
) -> None:
    """Two runs of one projection would differ in every figure."""
    first, second = draw(make(), tmp_path, "a"), draw(make(), tmp_path, "b")
    assert first.read_bytes() == second.read_bytes()


def test_a_table_without_its_columns_is_refused(tmp_path: Path) -> None:
    """A wrong table would end in a traceback of the plotting library, with half a figure."""
    with pytest.raises(DataError, match="'p95'"):
        draw_cumulative(_bands().drop(columns="p95"), tmp_path, "it")
    assert list(tmp_path.iterdir()) == []


def test_bands_start_at_the_reading_and_end_at_the_horizon() -> None:
    """The fan would not grow out of the last reported point as the hypothesis reads it."""
    bands = _bands().set_index(["kind", "hypothesis", "month"])
    assert bands.loc[("projected", "low", 12), "p95"] == 200.0
    assert bands.loc[("projected", "low", 18), "p50"] == 200.0 + 6 * 30.0
    assert bands.loc[("read", "low", 12), "value"] == 200.0
    assert bands.loc[("reported", "-", 12), "value"] == 300.0
    assert bands.loc[("budget", "-", 18), "value"] == 300.0
    assert bands.loc[("reported", "-", 12), "month_label"] == "Aug 2023"


def test_fitted_band_adds_the_increments_of_each_draw() -> None:
    """The band would show increments, or sums of quantiles, against cumulative points."""
    fitted = _bands().query("kind == 'fitted' and hypothesis == 'low'").set_index("month")
    assert fitted.loc[6, "p50"] == 60.0  # 20 40 60 80 100
    assert fitted.loc[12, "p50"] == 180.0  # 60 120 180 240 300
    assert fitted.loc[12, "p95"] == pytest.approx(288.0)


def test_site_marker_leaves_blanks_out() -> None:
    """A blank half-year would lower the last reported year as if it were zero."""
    longer = small.draws().query("period == 'M13-M15'").assign(period="PY2")
    rows = site_year(longer, small.observations()).set_index(["site", "hypothesis"])
    assert rows.loc[("A", "low"), ["last_reported", "blank_cells"]].tolist() == [150.0, 0]
    assert rows.loc[("B", "low"), ["last_reported", "blank_cells"]].tolist() == [40.0, 1]
    assert rows.loc[("B", "low"), "last_period"] == "M1-M12"


def test_a_shorter_report_is_brought_to_the_length_of_the_projection() -> None:
    """Five reported months would stand beside a projected year as if nothing had been used."""
    longer = small.draws().query("period == 'M13-M15'").assign(period="M13-M36")
    rows = site_year(longer, small.observations()).set_index(["site", "hypothesis"])
    assert rows.loc[("A", "low"), "last_reported"] == 300.0
    assert rows.loc[("A", "low"), "last_period"] == "M1-M12 × 24/12"


def test_months_have_room_for_their_names(tmp_path: Path, monkeypatch) -> None:
    """A report by month would have its axis written over itself."""
    figures_drawn = []
    monkeypatch.setattr("analysis.figures.save", lambda f, *_: figures_drawn.append(f) or tmp_path)
    observed = small.observations()
    months = [(f"m{m}", "2.9", "all", "all", "cumulative", "gpu", "-", f"M1-M{m}", 10.0 * m,
               "GPU-h", "") for m in range(1, 12)]  # fmt: skip
    more = pd.DataFrame(months, columns=list(observed))
    table = cumulative_bands(pd.concat([observed, more]), small.history(), small.monthly(),
                             small.consumed(), small.budgets(), small.DATE_AT)
    for draw in (draw_cumulative, draw_cumulative_wide):
        draw(table, tmp_path, "it")
        for axes in figures_drawn[-1].axes:
            ticks = list(axes.get_xticks())
            assert 2 <= len(ticks) <= 6
            assert ticks[-1] == 18


def test_records_are_named_by_what_they_are() -> None:
    """All statistics of records would be called Records."""
    observed = small.observations().assign(id="records_from_30min_duration_p50", metric="records")
    fit = _fit().assign(id="records_from_30min_duration_p50")
    label = fit_check(fit, observed)["label"].iloc[0]
    assert label == "records: duration p50, from 30 min"


def test_fit_rows_are_named_after_the_report() -> None:
    """The reader would see identifiers of a file instead of installations."""
    found = fit_check(_fit(), small.observations()).set_index("id")
    assert found.loc["a1", ["label", "unit", "hypothesis"]].tolist() == ["A GPU", "GPU-h", "-"]
    assert found.loc["c1", "label"] == "all sites, gpu"


def test_looks_do_not_depend_on_colour_alone() -> None:
    """Hypotheses could not be told apart in print or by colour-blind readers."""
    look = Look(["averaged", "site", "provisioned", "unreported"])
    names = look.names
    assert look.colour("averaged") == "#000000"
    assert [look.colour(n) for n in names[1:]] == ["#0072B2", "#D55E00", "#009E73"]
    assert len({str(look.line(n)) for n in names}) == len({look.marker(n) for n in names}) == 4
    assert len(set(COLOURS)) == len(COLOURS)
