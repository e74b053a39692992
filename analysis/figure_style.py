"""How every figure looks: sizes, colours, lines and markers, and how it is saved with its table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis.figure_tables import tick_text
from analysis.frames import AVERAGED
from analysis.storing import write_csv

HALF_PAGE_IN = (3.5, 2.8)  # inches; a column of 8.5 cm
WIDE_IN = 7.2  # inches; both columns
DPI = 300
FONT_PT = 7.5
SMALL_PT = 6.5
BLACK = "#000000"
GREY = "#666666"
# Okabe and Ito (2008), colour universal design; instead of their yellow, which is faint as a line,
# wine of P. Tol's muted scheme. The first three as the hypotheses appear.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#882255")
LINES = ("--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)), (0, (3, 3)))
MARKERS = ("s", "^", "D", "v", "P", "X", "*")


@dataclass(frozen=True)
class Look:
    """Colour, line and marker of each hypothesis, the same in every figure of a projection.

    Args:
        names: Hypotheses in the order they appear; the average is black and solid wherever.
    """

    names: list[str]

    @property
    def _rest(self) -> list[str]:
        return [name for name in self.names if name not in (AVERAGED, "-")]

    def _place(self, name: str) -> int:
        return self._rest.index(name) % len(COLOURS)

    def colour(self, name: str) -> str:
        """Return the colour of a hypothesis."""
        return BLACK if name not in self._rest else COLOURS[self._place(name)]

    def line(self, name: str) -> str | tuple[int, tuple[int, ...]]:
        """Return the line style of a hypothesis."""
        return "-" if name not in self._rest else LINES[self._place(name)]

    def marker(self, name: str) -> str:
        """Return the marker of a hypothesis."""
        return "o" if name not in self._rest else MARKERS[self._place(name)]


def new_figure(width_in: float, height_in: float) -> Figure:
    """Make an empty figure of a size in inches, laid out so that nothing overlaps."""
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain_axes(axes: Axes) -> None:
    """Give axes the house style: small type, light grid behind, no box."""
    axes.tick_params(labelsize=SMALL_PT, width=0.6, length=2.5)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#E5E5E5", linewidth=0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_linewidth(0.6)


def quantity_axis(axes: Axes, ticks: int = 6) -> None:
    """Start a vertical axis of quantities at zero and separate its thousands."""
    axes.set_ylim(bottom=0, top=max(axes.get_ylim()[1] * 1.03, 1e-9))
    axes.yaxis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value)))


def save(figure: Figure, table: pd.DataFrame, folder: Path, name: str) -> Path:
    """Write `name.png` and, beside it, the table it was drawn from as `name.csv`.

    Args:
        figure: The finished figure.
        table: The very table that was drawn.
        folder: Where to write; made if needed.
        name: Stem of both files.

    Returns:
        Path of the PNG.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    write_csv(table, folder / f"{name}.csv", float_format=None)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    return path
