"""The axes of a plot: how high values stand, the ticks, and reference lines with their words."""

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.plots import Plot
from analysis.reporting.figures.canvas import (
    Canvas,
    folded,
    log_ticks,
    plain,
    scale_axis,
    short,
    spelled_tick,
)
from analysis.reporting.figures.colours import EDGE, SOFT
from analysis.reporting.figures.places import Places, round_numbers
from sweeps.plots import Level

LINE = 0.045  # of the height of the axes, that a line of small print takes
WORDS = 18  # characters of a line of what a level stands for


@dataclass(frozen=True)
class Heights:
    """The vertical axis: its ends, and where a milestone stands that was never reached, if any was."""

    low: float
    high: float
    log: bool
    never: float | None

    def place(self, value: float) -> float:
        """Where a value stands; infinite above all others."""
        return self.never if math.isinf(value) and self.never is not None else value

    def places(self, values: np.ndarray) -> np.ndarray:
        """Where values stand; what has no logarithm is not drawn."""
        return np.where(values > 0, values, np.nan) if self.log else values

    def cut(self, value: float) -> float:
        """A value, or the end of the axis that it lies beyond."""
        return min(max(self.place(value), self.low), self.high)

    def share(self, value: float) -> float:
        """How far up the axis a value stands, from 0 to 1."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def heights(shown: Plot) -> Heights:
    """An axis with room for every trial, level and theory; intervals may end at its edge."""
    log = "y" in shown.spec.log
    values = [value for line in shown.lines for dot in line.dots for value in dot.values]
    theory = [dot.beside for line in shown.lines for dot in line.dots if dot.beside is not None]
    for line in shown.lines:
        if line.training is not None:
            found = line.training
            values += [float(one) for _, each in found.each for one in each]
            theory += [] if found.beside is None else [float(one) for one in found.beside]
    never = any(map(math.isinf, values))
    numbers = [one for one in [*values, *theory] if math.isfinite(one) and (one > 0 or not log)]
    levels = [one.at for one in shown.spec.levels if one.at > 0 or not log]
    numbers = [*numbers, *levels] or [1.0]
    share = all(0 <= one <= 1 for one in numbers)
    low, high = _ends([math.log10(one) for one in numbers] if log else numbers)
    reach = high - low
    ends = [
        end
        for line in shown.lines
        for dot in line.dots
        for end in (dot.pooled.low, dot.pooled.high)
        if end is not None and math.isfinite(end) and (end > 0 or not log)
    ]
    # Intervals of two trials can be ten times as wide as all that was measured.
    for end in (math.log10(one) if log else one for one in ends):
        low, high = min(low, max(end, low - reach)), max(high, min(end, high + reach))
    if share and not log:
        low, high = max(low, 0.0), min(high, 1.0)
    edge = 0.05 * (high - low)
    low, high = low - edge, high + edge
    at = high + edge if never else None
    high = high + 3 * edge if never else high
    if not log:
        return Heights(low, high, log=False, never=at)
    return Heights(10**low, 10**high, log=True, never=None if at is None else 10**at)


def _ends(numbers: Sequence[float]) -> tuple[float, float]:
    """The least and the largest, apart where they are one."""
    low, high = min(numbers), max(numbers)
    if high > low:
        return low, high
    around = abs(low) * 0.1 or 0.5
    return low - around, high + around


def scale(drawn: Canvas, along: Places, tall: Heights, *, spread: bool = False) -> None:
    """Both axes with their ends and ticks; with `spread` the ticks along are round numbers."""
    axes = drawn.axes
    scale_axis(axes, "y", [tall.low, tall.high], log=tall.log)
    axes.set_ylim(tall.low, tall.high)
    if tall.never is not None:
        known = [
            float(one) for one in axes.get_yticks() if tall.low <= float(one) <= tall.never * 0.93
        ]
        ticks = log_ticks(tall.low, tall.never) if tall.log else known
        ticks = [one for one in ticks if tall.share(one) < tall.share(tall.never) - 0.06]
        axes.set_yticks([*ticks, tall.never], [*map(spelled_tick, ticks), "never"])
    if spread and along.log:
        scale_axis(axes, "x", [along.low, along.high], log=True)
        return
    if spread:
        axes.set_xlim(0.0, along.high)
        axes.set_xticks(ticks := round_numbers(0.0, along.high), [*map(_counted_tick, ticks)])
        return
    if along.log:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xlim(along.low, along.high)
    for place in along.breaks:
        axes.axvline(place, color=EDGE, linewidth=0.8, linestyle=(0, (1, 3)))
    names = [_named(name, len(along.ticks)) for _, name in along.ticks]
    axes.set_xticks([at for at, _ in along.ticks], names)
    if not along.is_scale:
        axes.grid(visible=False, axis="x")
        if max(len(line) for name in names for line in name.split("\n")) > 52 / len(names):
            axes.tick_params(axis="x", labelrotation=35)
            for label in axes.get_xticklabels():
                label.set_horizontalalignment("right")
                label.set_rotation_mode("anchor")


def _counted_tick(value: float) -> str:
    """So many steps or examples: 150,000 is read sooner than 1.5 times ten to the fifth."""
    return f"{value:,.0f}" if abs(value) < 1e6 else spelled_tick(value)


def _named(name: str, count: int) -> str:
    """The name of a tick, on several lines where it is long; it is broken after `_`, not in a word."""
    if "$" in name:
        return name
    parts = re.findall(r"[^_ ]+_*|_+| +", name)
    lines = [""]
    for part in parts:
        if lines[-1] and len(lines[-1] + part.rstrip()) > max(9, 48 // count):
            lines.append("")
        lines[-1] += part
    return plain(short("\n".join(line.strip() for line in lines), 60))


def draw_levels(drawn: Canvas, levels: Sequence[Level], tall: Heights) -> None:
    """A line at each level, and beside its right end what it stands for; words keep off each other."""
    drawable = sorted((one for one in levels if one.at > 0 or not tall.log), key=lambda one: one.at)
    if not drawable:
        return
    words = [folded(one.say, WORDS) for one in drawable]
    rooms = [LINE * (1 + text.count("\n")) for text in words]
    at = _apart([tall.share(one.at) for one in drawable], rooms)
    for one, text, place in zip(drawable, words, at, strict=True):
        drawn.axes.axhline(
            one.at, color=SOFT, linewidth=1.0, linestyle=(0, (6, 2, 1, 2)), zorder=1.5
        )
        drawn.axes.annotate(
            plain(text),
            (1.0, tall.share(one.at)), xycoords="axes fraction", xytext=(1.03, place),
            textcoords="axes fraction", va="center", ha="left", fontsize=8, color=SOFT,
            annotation_clip=False,
            arrowprops=_leader(place - tall.share(one.at)),
        )  # fmt: skip


def _leader(moved: float) -> dict[str, Any] | None:
    """A thin line from a level to its words, where they had to move."""
    if abs(moved) < 0.01:
        return None
    return {"arrowstyle": "-", "color": SOFT, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0}


def _apart(at: Sequence[float], rooms: Sequence[float]) -> list[float]:
    """Places as near to those wanted as keeps all words apart, in the same order."""
    result = list(at)
    for _ in range(200):
        moved = False
        for one, after in itertools.pairwise(range(len(result))):
            short_of = (rooms[one] + rooms[after]) / 2 + 0.01 - (result[after] - result[one])
            if short_of > 1e-6:
                result[one] -= short_of / 2
                result[after] += short_of / 2
                moved = True
        if not moved:
            break
    return result
