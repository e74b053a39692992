"""How priors of idleness, variants and the axes of a comparison's figures look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis.figure_style import BLACK, COLOURS, FONT_PT, GREY, LINES, MARKERS, SMALL_PT, WIDE_IN
from analysis.figure_tables import tick_text

INTERVAL = "median, 90 % interval over worlds"
WORDS = {"posterior": "idleness as calibrated", "literature": "idleness as in literature"}
LETTER_IN, KEY_IN = 0.05, 0.4  # width of a letter of a key, and of its sign with spaces; about
GRID = "#E5E5E5"
STEPS = [1, 2, 2.5, 5, 10]  # of ticks


def idle_word(name: str) -> str:
    """Name a prior of idleness in a sentence or over a panel.

    >>> idle_word("high"), idle_word("posterior")
    ('high idleness', 'idleness as calibrated')
    """
    return WORDS.get(name, f"{name} idleness")


@dataclass(frozen=True)
class Palette:
    """Colour, line and marker of names in order, the same in all figures of a comparison.

    Args:
        names: Priors of idleness, or variants.
        plain: The one that is black and solid: the baseline; empty for none.
    """

    names: Sequence[str]
    plain: str = ""

    def _place(self, name: str) -> int:
        return [n for n in self.names if n != self.plain].index(name)

    def colour(self, name: str) -> str:
        """Return the colour of a name."""
        return BLACK if name == self.plain else COLOURS[self._place(name) % len(COLOURS)]

    def ink(self, name: str) -> str:
        """Return the colour of letters on the colour of a name."""
        red, green, blue = to_rgb(self.colour(name))
        return "white" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else BLACK

    def line(self, name: str) -> object:
        """Return the line style of a name; another one where colours begin anew."""
        return "-" if name == self.plain else LINES[self._shifted(name) % len(LINES)]

    def marker(self, name: str) -> str:
        """Return the marker of a name; another one where colours begin anew."""
        return "o" if name == self.plain else MARKERS[self._shifted(name) % len(MARKERS)]

    def hatch(self, name: str) -> str:
        """Return the hatch of a bar; none but where colours begin anew."""
        anew = name != self.plain and self._place(name) >= len(COLOURS)
        return "///" if anew else ""

    def _shifted(self, name: str) -> int:
        place = self._place(name)
        return place + place // len(COLOURS)


def idle_handles(look: Palette) -> list[Line2D]:
    """Explain the priors of idleness."""
    return [
        Line2D([], [], color=look.colour(n), marker=look.marker(n), markersize=3.5, linewidth=1.2,
               label=idle_word(n))
        for n in look.names
    ]


def key_above(figure: Figure, handles: list) -> None:
    """Put the key above the panels, where it covers nothing, in as many columns as have room."""
    wide_in = [KEY_IN + LETTER_IN * len(handle.get_label()) for handle in handles]
    fitting = int(WIDE_IN / max(wide_in)) if sum(wide_in) > WIDE_IN else len(handles)
    figure.legend(
        handles=handles, loc="outside upper center",
        ncols=max(1, min(len(handles), fitting)), fontsize=SMALL_PT,
        frameon=False, handlelength=2.0, columnspacing=1.2, borderpad=0.1,
    )  # fmt: skip


def horizontal_quantity(axes: Axes, ticks: int) -> None:
    """Tick a horizontal axis of quantities, with thousands separated and lines at the ticks."""
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=GRID, linewidth=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(ticks, steps=STEPS, min_n_ticks=2))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value)))


def vertical_quantity(axes: Axes, ticks: int = 5) -> None:
    """Tick a vertical axis of quantities that may be below zero."""
    axes.yaxis.set_major_locator(MaxNLocator(ticks, steps=STEPS, min_n_ticks=3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value)))


def with_zero(axes: Axes, horizontal: bool) -> None:
    """Draw the baseline's zero."""
    (axes.axvline if horizontal else axes.axhline)(0.0, color=GREY, linewidth=0.8, zorder=1)


def titled(axes: Axes, text: str, colour: str = BLACK) -> None:
    """Put a title over the left end of axes."""
    axes.set_title(text, fontsize=FONT_PT, loc="left", color=colour)


def spread(place: int, of: int, width: float) -> float:
    """Return the offset of the place-th of some things that share a line of a width."""
    return float(np.linspace(-0.5, 0.5, of)[place] * width) if of > 1 else 0.0
