"""Figures of a comparison draw its tables, say what they show, and nothing of them overlaps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis.paired import figures_tables as chosen
from analysis.paired.figures import begins, draw_all, shown_variant
from analysis.paired.figures_look import Palette
from analysis.paired.tables import DIFFERENCES, FRONT, MONTHLY, PRICES, VARIANTS, WAITS
from analysis.paired.variants import Playable
from sim.config import build_policies
from sim.timeline import ProjectCalendar
from tests import configured
from tests.unit import small_comparison as small

AXIS = "idle time until the release (h)"
ALL = [small.BASE, *(n for n in small.NAMES if n != small.BASE)]
Tables = dict[str, pd.DataFrame]

DRAWN: dict[str, tuple[Callable[[Tables], pd.DataFrame], set[str]]] = {
    "differences": (
        lambda t: chosen.differences(t[DIFFERENCES.file], t[FRONT.file], ALL[1:]),
        {"saved,\nallocated", "saved,\nprovisioned", "GPU-h", "0 in all worlds",
         "deployments", "change of\nmedian wait", "h", "4 h", "low idleness", "high idleness",
         "median, 90 % interval over worlds"},
    ),
    "front": (
        lambda t: chosen.front(t[FRONT.file], ALL),
        {"GPU-h saved, allocated", "additional cost to users\n(user-h)", "never", "72 h",
         "middle idleness", "mean, 90 % interval over worlds", "filled: on the front of means"},
    ),
    "savings": (
        lambda t: chosen.savings(t[DIFFERENCES.file], t[FRONT.file], t[VARIANTS.file]),
        {AXIS, "GPU-h", "% of the baseline's GPU-h", "deployments", "saved, allocated",
         "90 % interval over worlds", "72", "high idleness"},
    ),
    "prices": (
        lambda t: chosen.prices(t[PRICES.file]),
        {"best: never", "low idleness, allocated", "12 h",
         "price of an interruption (GPU-h); best: most GPU-h saved in the ledger, less price x "
         "more interruptions, mean over worlds\n(longer waits and nodes that boot are not priced)"},
    ),
    "monthly": (
        lambda t: chosen.monthly(t[MONTHLY.file], small.BASE, "4 h"),
        {"GPUs, mean of the month", "project month", "M24", "the policy begins",
         "low idleness\nnever", "high idleness\n4 h", "provisioned, median",
         "90 % interval over worlds"},
    ),
    "waits": (
        lambda t: chosen.waits(t[WAITS.file], ALL),
        {"x, hours of waiting", "requests with GPUs that waited\nx or longer (%)", "never",
         "low idleness"},
    ),
    "sites": (
        lambda t: chosen.sites(t[DIFFERENCES.file], ALL[1:]),
        {"North", "all sites", "GPU-h saved, allocated\n(%, median)", "28", "high idleness"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Figure]]:
    """Draw all figures; return path and figure by their stem."""
    found: dict[str, Figure] = {}
    written = Figure.savefig

    def savefig(figure: Figure, path: Path, **options: object) -> None:
        written(figure, path, **options)
        found[path.stem] = figure

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", savefig)
        folder = tmp_path_factory.mktemp("figures")
        paths = draw_all(small.tables(), folder, AXIS, {"4 h": 24.0})
    return {path.stem: (path, found[path.stem]) for path in paths.values()}


def _texts(figure: Figure) -> list[Text]:
    shown = figure.findobj(lambda x: isinstance(x, Text) and x.get_visible() and x.get_text())
    return list(dict.fromkeys(shown))


def test_every_figure_is_drawn_from_the_table_beside_it(drawn) -> None:
    """A figure would be missing, or the CSV beside it not be what it shows."""
    assert list(drawn) == list(DRAWN)
    for name, (table, _) in DRAWN.items():
        path, _ = drawn[name]
        assert path.stat().st_size > 10_000
        beside = pd.read_csv(path.with_suffix(".csv"))
        wanted = table(small.tables())
        wanted = wanted.where(wanted != "", np.nan)
        assert len(wanted)
        pd.testing.assert_frame_equal(beside, wanted, check_dtype=False, rtol=1e-12)


@pytest.mark.parametrize("name", DRAWN)
def test_figures_say_what_they_show(drawn, name: str) -> None:
    """A reader would not know quantity, unit, ledger, interval or prior of idleness."""
    said = {text.get_text() for text in _texts(drawn[name][1])}
    assert DRAWN[name][1] <= said, DRAWN[name][1] - said


@pytest.mark.parametrize("name", DRAWN)
def test_no_text_is_cut_off_and_no_tick_labels_overlap(drawn, name: str) -> None:
    """A label would run out of the figure or into its neighbour at the size it is printed."""
    figure = drawn[name][1]
    renderer = figure.canvas.get_renderer()
    width, height = figure.bbox.width, figure.bbox.height
    for axes in figure.axes:
        shown = [axes.title, axes._left_title, axes._right_title, axes.xaxis.label,
                 axes.yaxis.label]  # fmt: skip
        for text in filter(Text.get_text, shown):
            box = text.get_window_extent(renderer)
            assert box.x0 >= -1 and box.y0 >= -1, text.get_text()  # noqa: PT018
            assert box.x1 <= width + 1 and box.y1 <= height + 1, text.get_text()  # noqa: PT018
        ends = axes.bbox.padded(1.0)
        for axis in (axes.xaxis, axes.yaxis):
            boxes = [t.get_window_extent(renderer) for t in axis.get_ticklabels()
                     if t.get_text() and t.get_visible()]  # fmt: skip
            inside = [b for b in boxes if ends.x0 <= (b.x0 + b.x1) / 2 <= ends.x1
                      or ends.y0 <= (b.y0 + b.y1) / 2 <= ends.y1]  # fmt: skip
            rotated = axis is axes.xaxis and any(t.get_rotation() for t in axis.get_ticklabels())
            if not rotated:
                assert not any(a.overlaps(b) for a, b in pairwise(inside)), axis


def test_a_comparison_in_which_nothing_changes_is_drawn(tmp_path: Path) -> None:
    """Policies that touch no GPU would end in a warning or a traceback after hours of runs."""
    tables = small.tables()
    for file in (DIFFERENCES.file, FRONT.file):
        numbers = tables[file].select_dtypes("float64").columns
        tables[file][numbers] = 0.0 * tables[file][numbers]
    none = tables[PRICES.file].query("variant == 'never' and ledger == 'provisioned'")
    both = [none, none.assign(ledger="allocated")]
    tables[PRICES.file] = pd.concat(both, ignore_index=True)
    tables[WAITS.file]["share"] = np.nan
    drawn = {path.stem for path in draw_all(tables, tmp_path, AXIS).values()}
    assert drawn == set(DRAWN) - {"waits"}


def test_long_names_of_many_variants_have_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key would run out of the figure: a scenario may have a dozen variants with long names."""
    names = {"never": 0.0, **{f"release-after-{t}-h-and-off-after-30-min": float(t)
                              for t in range(1, 12)}}  # fmt: skip
    monkeypatch.setattr(small, "NAMES", names)
    found: list[Figure] = []
    written = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (written(self, *a, **k), found.append(self))
    )
    draw_all(small.tables(), tmp_path, AXIS)
    assert len(found) == len(DRAWN)
    for figure in found:
        for legend in figure.legends:
            box = legend.get_window_extent(figure.canvas.get_renderer())
            assert box.x0 >= 0.0
            assert box.x1 <= figure.bbox.width


def test_no_two_of_a_dozen_variants_look_alike() -> None:
    """Curves of two variants could not be told apart where colours begin anew."""
    names = [f"v{i}" for i in range(12)]
    look = Palette(["base", *names], "base")
    for looks in (look.line, look.marker, look.hatch):
        assert len({(look.colour(n), str(looks(n))) for n in ["base", *names]}) == 13


def test_drawing_does_not_change_tables(tmp_path: Path) -> None:
    """Tables written after the figures would differ from what was computed."""
    tables = small.tables()
    draw_all(tables, tmp_path, AXIS)
    for file, table in small.tables().items():
        pd.testing.assert_frame_equal(tables[file], table)


def test_savings_need_an_axis_with_places_of_their_own(tmp_path: Path) -> None:
    """Variants without an axis would be drawn as a curve on top of each other."""
    tables = small.tables()
    assert "savings" not in {p.stem for p in draw_all(tables, tmp_path, "").values()}
    tables[VARIANTS.file]["at"] = 1.0
    assert "savings" not in {p.stem for p in draw_all(tables, tmp_path, AXIS).values()}


def test_a_scenario_of_one_variant_has_no_figures(tmp_path: Path) -> None:
    """A comparison of one variant would end in a traceback."""
    tables = small.tables()
    tables[VARIANTS.file] = tables[VARIANTS.file].query("baseline")
    assert draw_all(tables, tmp_path) == {}


def test_a_saving_is_a_difference_with_its_sign_turned() -> None:
    """The map of sites would show what a policy costs as saved, or its interval upside down."""
    table = chosen.saved_percent(small.tables()[DIFFERENCES.file], everywhere=False)
    found = table.set_index(["idle", "variant", "site", "quantity"])
    row = found.loc[("high", "4 h", "North", "saved, allocated")]
    saved = 0.85 / (1.0 + 4.0 / 20.0) / 2.5 * 100.0
    assert row[chosen.QUANTILES].to_list() == pytest.approx([0.5 * saved, saved, 1.8 * saved])
    assert found.loc[("high", "4 h", "North", "saved, provisioned"), "p50"] == 0.0


def test_who_waited_at_least_so_long_is_in_all_longer_bins() -> None:
    """The curve of waits would be that of bins, or count the shorter waits."""
    table = chosen.waits(small.tables()[WAITS.file], ["never"])
    share = table[table["idle"] == "low"].set_index("at_least_h")["share"]
    assert share[0.0] == pytest.approx(1.0)
    assert share[0.01] == pytest.approx(0.4)
    assert share[24.0] == pytest.approx(0.4 * 0.05)
    assert share.is_monotonic_decreasing


def test_the_mean_wait_stands_for_a_median_that_never_moves() -> None:
    """Where most requests do not wait, the forest plot would say that waits do not change."""
    tables = small.tables()
    still = tables[DIFFERENCES.file].copy()
    still.loc[still["criterion"] == "wait_p50", chosen.QUANTILES] = 0.0
    found = chosen.differences(still, tables[FRONT.file], ALL[1:])["quantity"]
    assert found.iloc[-1] == "change of mean wait"
    assert "change of median wait" not in set(found)


def test_other_readings_are_left_out() -> None:
    """Rows of a single reading would be drawn on top of the average."""
    front = small.tables()[FRONT.file]
    both = pd.concat([front, front.assign(hypothesis="site")])
    pd.testing.assert_frame_equal(chosen.front(both, ALL), chosen.front(front, ALL))


def test_months_show_the_variant_that_is_best_under_most_priors() -> None:
    """The figure of months would show a variant nobody would choose at the stated price."""
    tables = small.tables()
    assert shown_variant(tables[PRICES.file], tables[VARIANTS.file]) == "4 h"
    prices = tables[PRICES.file].assign(variant=small.BASE)
    assert shown_variant(prices, tables[VARIANTS.file]) == "1 h"


def test_months_show_what_is_best_in_the_ledger_that_moves() -> None:
    """A comparison about empty nodes would be shown by the variant that releases most GPUs."""
    tables = small.tables()
    front, prices = tables[FRONT.file], tables[PRICES.file]
    assert chosen.moved_most(front) == "allocated"
    mine = (front["ledger"] == "provisioned") & (front["variant"] == "24 h")
    front.loc[mine, "saved_p50"] = 1e6
    assert chosen.moved_most(front) == "provisioned"
    other = prices.assign(ledger="provisioned", variant="24 h")
    both = pd.concat([prices, other], ignore_index=True)
    assert shown_variant(both, tables[VARIANTS.file], "provisioned") == "24 h"


def test_a_policy_begins_on_its_first_day(tiny, policies) -> None:
    """The line at the policy's first day would stand a month too early or too late."""
    calendar = ProjectCalendar(date(2023, 9, 1), 12)
    data = configured.policies_data(idle="auto_release")
    data["idle"]["from_day"] = date(2023, 11, 16)
    variants = [Playable("never", tiny, policies, {}, ()),
                Playable("release", tiny, build_policies(data), {}, ())]
    assert begins(variants, 0, calendar) == {"release": pytest.approx(2.5)}
