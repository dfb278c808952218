"""The canvas of every figure: style, axes that label themselves, hover tips, SVG and PNG bytes."""

import io
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator
from matplotlib.typing import RcKeyType

from analysis.reporting.figures.colours import COLOURS, EDGE, INK, LINES, MARKERS, SOFT
from analysis.reporting.sections import Picture, Tip

STYLE: dict[RcKeyType, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "axes.edgecolor": EDGE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": LINES,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "legend.frameon": False,
    "svg.hashsalt": "lawsweep",  # the ids inside an SVG are random without it
    "svg.fonttype": "path",
}
WIDTH_IN, HEIGHT_IN = 4.8, 3.5  # small enough that 9 points can still be read on a telephone
POINTS_PER_INCH = 72
PRINT_DPI = 300
MANY = 2_000  # points beyond which dots are drawn as pixels inside the SVG
TIPS = 300  # at most; those that are named first stay
LABEL = 44  # characters
ROOM = 54  # characters of a legend side by side
_MARK = 5  # that a mark and the space beside it take


@dataclass
class Canvas:
    """A figure that is being drawn, and the tips of its points so far."""

    figure: Figure
    axes: Axes
    marks: list[tuple[float, float, str]] = field(default_factory=list[tuple[float, float, str]])

    def tip(self, x: float, y: float, text: str) -> None:
        """Say this when somebody points at (x, y), in units of the data."""
        self.marks.append((x, y, text))

    def tips(
        self,
        x: Float[np.ndarray, " point"],
        y: Float[np.ndarray, " point"],
        worst: Float[np.ndarray, " point"],
        say: Callable[[int], str],
    ) -> None:
        """Say something about every point, or about those that are worst where there are many."""
        for at in np.argsort(-worst, kind="stable")[:TIPS].tolist():
            self.tip(x.item(at), y.item(at), say(at))

    def label(self, x: str, y: str) -> None:
        """Name both axes, on two lines where one would be longer than the axis."""
        self.axes.set_xlabel(plain(folded(x)))
        self.axes.set_ylabel(plain(folded(y, 38)))

    def legend(self, columns: int = 1, title: str = "") -> None:
        """What the colours mean, above the axes where no point can lie; `title` says of what."""
        labels = self.axes.get_legend_handles_labels()[1]
        if labels:
            # A legend wider than the figure would leave no room for the axes.
            columns = min(columns, max(1, ROOM // (max(map(len, labels)) + _MARK)))
            self.axes.legend(
                loc="lower left",
                bbox_to_anchor=(0.0, 1.0),
                ncols=columns,
                borderaxespad=0.2,
                handlelength=1.6,
                title=plain(title) or None,
                alignment="left",
            )

    def entitle(self, title: str, small: str) -> None:
        """A title above everything and small print below, so that the figure can stand alone."""
        self.figure.suptitle(
            plain(folded(title, 54)), x=0.01, ha="left", fontsize=10.5, fontweight="bold"
        )
        self.figure.supxlabel(plain(folded(small, 76)), x=0.01, ha="left", fontsize=8, color=SOFT)


def styled() -> AbstractContextManager[None]:
    """The style of every figure, for the time of a `with` block."""
    return mpl.rc_context(STYLE)


def canvas(height_in: float = HEIGHT_IN) -> Canvas:
    """An empty figure; to be used within `styled()`."""
    figure = Figure(figsize=(WIDTH_IN, height_in), dpi=POINTS_PER_INCH, layout="constrained")
    return Canvas(figure, figure.add_subplot())


def picture(name: str, alt: str, drawn: Canvas, caption: str = "") -> Picture:
    """Both files, without dates and versions, which would change their bytes."""
    FigureCanvasAgg(drawn.figure)
    svg, png = io.BytesIO(), io.BytesIO()
    drawn.figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    drawn.figure.set_layout_engine(None)  # it is laid out, and once more would take as long again
    drawn.figure.savefig(png, format="png", dpi=PRINT_DPI, metadata={"Software": None})
    return Picture(name, alt, svg.getvalue(), png.getvalue(), tuple(_tips(drawn)), caption)


def _tips(drawn: Canvas) -> Iterable[Tip]:
    """The marks as shares of the figure, after its layout; one that lies outside is left out."""
    if not drawn.marks:
        return
    at = drawn.axes.transData.transform([(x, y) for x, y, _ in drawn.marks])
    width, height = drawn.figure.bbox.width, drawn.figure.bbox.height
    kept = 0
    for (x, y), (_, _, text) in zip(at, drawn.marks, strict=True):
        left, top = x / width, 1 - y / height
        if kept < TIPS and 0 <= left <= 1 and 0 <= top <= 1:
            kept += 1
            yield Tip(round(float(left), 5), round(float(top), 5), text)


def plain(text: str) -> str:
    """Text that matplotlib shows as it stands: a dollar sign would start mathematics."""
    return text.replace("$", r"\$")


def short(text: str, most: int = LABEL) -> str:
    """A label that leaves room for the data; the table beside has it in full."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def folded(text: str, most: int = 56) -> str:
    """Text on as many lines as it needs."""
    return "\n".join(textwrap.wrap(text, most)) or text


def colour(place: int) -> str:
    """The colour of the n-th series."""
    return COLOURS[place % len(COLOURS)]


def shades(count: int) -> list[str]:
    """Colours from dark to light in the order of some numbers: Viridis, also told apart in grey."""
    return [to_hex(one) for one in mpl.colormaps["viridis"](np.linspace(0.05, 0.88, count))]


def marker(place: int) -> str:
    """The marker of the n-th series."""
    return MARKERS[place % len(MARKERS)]


def scale_axis(
    axes: Axes,
    which: Literal["x", "y"],
    values: Sequence[float] | np.ndarray,
    *,
    log: bool,
    at: Sequence[float] = (),
) -> None:
    """A linear or logarithmic axis over some values, with ticks that are numbers people read.

    `at` gives the ticks where the values have few levels.
    """
    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = float(np.min(values)), float(np.max(values))
    if not log or not high > low > 0:
        axis.set_major_locator(MaxNLocator(nbins=6))
        return
    room = (high / low) ** 0.04
    low, high = low / room, high * room
    if which == "x":
        axes.set_xscale("log")
        axes.set_xlim(low, high)
    else:
        axes.set_yscale("log")
        axes.set_ylim(low, high)
    ticks = list(at) or log_ticks(low, high)
    axis.set_ticks(ticks, [spelled_tick(tick) for tick in ticks])
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def log_ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers inside low..high, evenly spread on a logarithmic axis."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for step in (8, 4, 3, 2, 1):
        ticks = [10.0**power for power in decades if power % step == 0]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= 3:
            return inside
    for multiples in ((1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [many * 10.0**power for power in decades for many in multiples]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) >= 3:
            return inside
    return [float(tick) for tick in MaxNLocator(5).tick_values(low, high) if low <= tick <= high]


def spelled_tick(value: float) -> str:
    """A tick as people write it: 0.02, 3,000, 2 times ten to the ninth."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:,.6g}"
    mantissa, exponent = f"{value:.5e}".split("e")
    factor = f"{float(mantissa):g}"
    power = f"10^{{{int(exponent)}}}"
    return f"${power}$" if factor == "1" else rf"${factor}\times {power}$"
