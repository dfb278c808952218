"""Figures of the sweep file's plots: metrics over a field or over training, one colour for each group."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.groups import Group
from analysis.plots import Dot, Line, Plot
from analysis.reporting.figures.canvas import (
    Canvas,
    canvas,
    colour,
    folded,
    marker,
    picture,
    plain,
    shades,
    short,
    styled,
)
from analysis.reporting.figures.colours import COLOURS, INK, PAPER
from analysis.reporting.figures.places import Places, places
from analysis.reporting.figures.plot_axes import Heights, draw_levels, heights, scale
from analysis.reporting.figures.plot_words import (
    group_words,
    legend_title,
    none_words,
    small_print,
    theory_words,
    x_words,
    y_words,
)
from analysis.reporting.sections import Picture
from analysis.runs import is_number
from analysis.summary import between, number, when, written

ASIDE = 0.3  # of the gap between two values of the field, over which groups and trials are spread
PALE = 400  # dots of single trials beyond which they would only be a fog
ENTRY = 46  # characters of an entry of the legend
_STYLES = ("-", ":", "-.", (0, (1, 1)))  # of metrics; dashes are a theory's


@dataclass(frozen=True)
class Look:
    """How a line is drawn; `hollow` marks tell a second metric from the first."""

    paint: str
    mark: str
    style: str | tuple[int, tuple[int, int]]
    hollow: bool
    label: str
    aside: float


def plot_picture(name: str, shown: Plot) -> Picture | None:
    """The figure of a plot; None where there is nothing to draw."""
    if not shown.lines:
        return None
    spec = shown.spec
    looks = _looks(shown)
    entries = [one.label for one in looks if one.label]
    entries += [theory_words(spec)] if spec.beside else []
    with styled():
        drawn = canvas(_height_in(shown, entries))
        tall = heights(shown)
        if spec.over_training:
            _training(drawn, shown, looks, tall)
        else:
            _field(drawn, shown, looks, tall)
        drawn.label(x_words(spec), y_words(shown))
        if entries:
            drawn.legend(columns=4, title=legend_title(spec))
        drawn.entitle(spec.title, small_print(shown, pale=_pale(shown)))
        return picture(name, f"{', '.join(spec.y)} over {spec.x}: {spec.title}", drawn)


def _height_in(shown: Plot, entries: Sequence[str]) -> float:
    rows = math.ceil(len(entries) / max(1, 48 // max(map(len, entries)))) if entries else 0
    rows += bool(entries and legend_title(shown.spec))
    title = folded(shown.spec.title, 54).count("\n")
    small = folded(small_print(shown, pale=_pale(shown)), 76).count("\n")
    return 3.5 + 0.2 * rows + 0.19 * title + 0.15 * small


def _looks(shown: Plot) -> list[Look]:
    """A colour and a marker for each group, and a style for each metric where both differ."""
    spec = shown.spec
    found = list(dict.fromkeys(map(_key, (line.group for line in shown.lines))))
    several = len(found) > 1 and len(spec.y) > 1
    keys = found if several or len(spec.y) == 1 else list(spec.y)
    paints = _paints(shown, len(keys))
    looks: list[Look] = []
    for order, line in enumerate(shown.lines):
        at = keys.index(_key(line.group) if several or len(spec.y) == 1 else line.metric)
        metric = spec.y.index(line.metric)
        aside = (order - (len(shown.lines) - 1) / 2) / max(1, len(shown.lines))
        looks.append(
            Look(
                paint=paints[at],
                mark=marker(at + at // len(COLOURS)),  # so that colour and mark do not come again
                style=_STYLES[metric] if several else "-",
                hollow=several and metric > 0,
                label=short(group_words(line, spec, alone=len(shown.lines) == 1), ENTRY),
                aside=aside,
            )
        )
    return looks


def _key(group: Group) -> str:
    return repr(group)


def _paints(shown: Plot, count: int) -> list[str]:
    """Shades where the groups are many numbers in order; else colours as different as can be."""
    firsts = [line.group[0][1] for line in shown.lines if len(line.group) == 1]
    numbers = [value for value in firsts if is_number(value)]
    if count > 4 and len(numbers) == len(shown.lines) == count and numbers == sorted(numbers):
        return shades(count)
    return [colour(place) for place in range(count)]


def _pale(shown: Plot) -> bool:
    """Whether single trials are drawn behind what is pooled of them."""
    if shown.pool == "each" or shown.spec.over_training:
        return False
    counts = [count for line in shown.lines for count in line.trials]
    return max(counts) > 1 and sum(counts) <= PALE


# Over a field -------------------------------------------------------------------------------------


def _field(drawn: Canvas, shown: Plot, looks: Sequence[Look], tall: Heights) -> None:
    spec = shown.spec
    values = _in_order([dot.x for line in shown.lines for dot in line.dots])
    along = places(values, log="x" in spec.log, none=none_words(spec.x), row=spec.row)
    scale(drawn, along, tall)
    for line, look in zip(shown.lines, looks, strict=True):
        _dots(drawn, shown, line, look, along, tall)
    _theory(drawn, shown, looks, along)
    draw_levels(drawn, spec.levels, tall)


def _in_order(values: Sequence[object]) -> list[object]:
    """Each value once, in the order of the first line that has it."""
    found: list[object] = []
    for value in values:
        if not any(type(one) is type(value) and one == value for one in found):
            found.append(value)
    return found


def _dots(drawn: Canvas, shown: Plot, line: Line, look: Look, along: Places, tall: Heights) -> None:
    axes, aside = drawn.axes, ASIDE * look.aside
    face = PAPER if look.hollow else look.paint
    if shown.pool == "each" or _pale(shown):
        x, y = zip(*_singles(line, look, along, shown), strict=True)
        axes.plot(
            x, [tall.place(value) for value in y], look.mark, markersize=5 if shown.pool == "each" else 3,
            markerfacecolor=face if shown.pool == "each" else look.paint, markeredgecolor=look.paint,
            markeredgewidth=0.8 if shown.pool == "each" else 0, linestyle="none",
            alpha=0.75 if shown.pool == "each" else 0.45,
            label=plain(look.label) if shown.pool == "each" else None,
        )  # fmt: skip
    for dot in line.dots:
        drawn.tip(along.of(dot.x, aside), tall.place(dot.pooled.mean), _tip(shown, line, dot))
    if shown.pool == "each":
        return
    for dot in line.dots:
        low, high = dot.pooled.low, dot.pooled.high
        if low is not None and high is not None:
            at = along.of(dot.x, aside)
            axes.plot(
                [at, at], [tall.cut(low), tall.cut(high)], color=look.paint, linewidth=2.2,
                alpha=0.5, solid_capstyle="butt",
            )  # fmt: skip
    joined = [dot for dot in line.dots if along.joined(dot.x)]
    reached = [dot.pooled.mean if math.isfinite(dot.pooled.mean) else math.nan for dot in joined]
    axes.plot(
        [along.of(dot.x, aside) for dot in joined], reached,
        color=look.paint, linestyle=look.style, linewidth=1.3,
    )  # fmt: skip
    axes.plot(
        [along.of(dot.x, aside) for dot in line.dots],
        [tall.place(dot.pooled.mean) for dot in line.dots],
        linestyle=look.style if joined and along.is_scale else "none", linewidth=0, color=look.paint,
        marker=look.mark, markersize=6, markerfacecolor=face,
        markeredgecolor=look.paint if look.hollow else PAPER, markeredgewidth=1.2 if look.hollow else 0.7,
        label=plain(look.label) or None,
    )  # fmt: skip


def _singles(line: Line, look: Look, along: Places, shown: Plot) -> Iterator[tuple[float, float]]:
    """Every trial, beside its neighbours so that none hides another."""
    wide = ASIDE / len(shown.lines)
    for dot in line.dots:
        for order, value in enumerate(dot.values):
            beside = (order - (len(dot.values) - 1) / 2) / len(dot.values)
            yield along.of(dot.x, ASIDE * look.aside + 0.8 * wide * beside), value


def _tip(shown: Plot, line: Line, dot: Dot) -> str:
    one, spec = dot.pooled, shown.spec
    where = [f"{spec.x} {written(dot.x)}"]
    where += [f"{field} {written(value)}" for field, value in line.group]
    pooled = "mean" if one.pool == "mean" else "median"
    interval = ""
    if one.low is not None and one.high is not None:
        interval = f" ({between(one.low, one.high)})"
    lines = [
        ", ".join(where),
        f"{pooled} {line.metric} {when(one.mean)}{interval}, {one.count} trials",
    ]
    if dot.beside is not None:
        lines.append(f"{spec.beside} {number(dot.beside)}")
    return "\n".join(lines)


def _theory(drawn: Canvas, shown: Plot, looks: Sequence[Look], along: Places) -> None:
    """What a theory says, dashed: once where it says the same of every group."""
    spec = shown.spec
    told: list[tuple[str, list[tuple[object, float]]]] = []
    for line, look in zip(shown.lines, looks, strict=True):
        known = [(dot.x, dot.beside) for dot in line.dots if dot.beside is not None]
        if line.metric == spec.y[0] and known:
            told.append((look.paint, known))
    if not told:
        return
    if all(known == told[0][1] for _, known in told):
        told = [(INK, told[0][1])]
    name = plain(theory_words(spec))
    drawn.axes.plot([], [], color=INK, linestyle="--", linewidth=1.2, label=name)
    half = 0.3 * along.gap
    for paint, known in told:
        joined = [one for one in known if along.joined(one[0])]
        drawn.axes.plot(
            [along.of(x) for x, _ in joined],
            [y for _, y in joined],
            "--",
            color=paint,
            linewidth=1.2,
        )
        for x, y in known if len(joined) < 2 else [one for one in known if one not in joined]:
            ends = [along.moved(along.of(x), by) for by in (-half, half)]
            drawn.axes.plot(ends, [y, y], color=paint, linestyle=(0, (3, 1.5)), linewidth=1.4)


# Over training ------------------------------------------------------------------------------------


def _training(drawn: Canvas, shown: Plot, looks: Sequence[Look], tall: Heights) -> None:
    spec = shown.spec
    ends = [end for line in shown.lines if line.training for end in line.training.x[[0, -1]]]
    along = places(sorted({float(end) for end in ends}), log="x" in spec.log)
    scale(drawn, along, tall, spread=True)
    theories: list[tuple[str, np.ndarray, np.ndarray]] = []
    for order, (line, look) in enumerate(zip(shown.lines, looks, strict=True)):
        found = line.training
        if found is None:
            continue
        if shown.pool == "each":
            for x, values in found.each:
                drawn.axes.plot(x, tall.places(values), color=look.paint, linewidth=0.8, alpha=0.5)
        elif len(found.each) > 1:
            drawn.axes.fill_between(
                found.x, tall.places(found.low), tall.places(found.high), color=look.paint,
                alpha=0.16, linewidth=0,
            )  # fmt: skip
        every = max(1, len(found.x) // 7)
        drawn.axes.plot(
            found.x, tall.places(found.middle), color=look.paint, linestyle=look.style,
            linewidth=1.7 if shown.pool != "each" else 0, marker=look.mark, markersize=4.5,
            markevery=(order * every // max(1, len(shown.lines)), every),
            markerfacecolor=PAPER if look.hollow else look.paint, label=plain(look.label) or None,
        )  # fmt: skip
        last = int(np.flatnonzero(np.isfinite(found.middle))[-1])
        words = group_words(line, spec, alone=False) or line.metric
        end = float(found.middle[last])
        drawn.tip(
            float(found.x[last]),
            tall.place(end),
            f"{words}\n{line.metric} {number(end)} at the end",
        )
        if found.beside is not None and line.metric == spec.y[0]:
            theories.append((look.paint, found.x, found.beside))
    alike = len(theories) < 2 or all(np.array_equal(one[2], theories[0][2]) for one in theories)
    for paint, x, values in theories[:1] if alike else theories:
        drawn.axes.plot(x, values, "--", color=INK if alike else paint, linewidth=1.2)
    if theories:
        name = plain(theory_words(spec))
        drawn.axes.plot([], [], color=INK, linestyle="--", linewidth=1.2, label=name)
    draw_levels(drawn, spec.levels, tall)
