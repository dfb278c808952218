"""Figures of a sweep's tables and contrasts: a dot with its interval for every row."""

import math
from collections.abc import Sequence

from analysis.contrast import Contrast
from analysis.groups import Group
from analysis.reporting.figures.canvas import (
    Canvas,
    canvas,
    picture,
    plain,
    scale_axis,
    short,
    styled,
)
from analysis.reporting.figures.colours import COLOURS, INK
from analysis.reporting.sections import Picture
from analysis.study import Table
from analysis.summary import Summary, between, conditions, number, written

ROW_IN, FRAME_IN = 0.34, 1.0  # inches for each row, and for the axis and legend
VALUE = 22  # characters of a row's label


def table_picture(name: str, table: Table) -> Picture | None:
    """A dot with an interval for the first metric of every row; the reference as a diamond."""
    rows = [row for row in table.rows if row.metrics[0] and math.isfinite(row.metrics[0].mean)]
    if not rows:
        return None
    metric, beside = table.spec.metrics[0], table.spec.beside
    with styled():
        drawn = _lines(len(rows))
        means = [row.metrics[0] for row in rows]
        known = [(place, row.beside.mean) for place, row in enumerate(rows) if row.beside]
        _scale(drawn, [one.mean for one in means if one] + [mean for _, mean in known])
        _dots(drawn, means, [row.group for row in rows], metric)
        if beside is not None:
            drawn.axes.plot(
                [mean for _, mean in known],
                [place for place, _ in known],
                linestyle="none",
                marker="D",
                markersize=7,
                markerfacecolor="none",
                markeredgecolor=COLOURS[1],
                markeredgewidth=1.6,
                label=plain(f"{beside} (expected)"),
            )
            drawn.legend(columns=2)
        _label_rows(drawn, [row.group for row in rows])
        pooled = next(one.pool for one in means if one)
        drawn.axes.set_xlabel(plain(f"{metric}, {pooled} and 95 % interval over trials"))
        return picture(name, f"{metric} by {', '.join(table.spec.rows)}", drawn)


def contrast_picture(name: str, shown: Contrast) -> Picture | None:
    """A dot with an interval for every difference, beside the line of no difference."""
    rows = [row for row in shown.rows if row.difference is not None]
    if not rows:
        return None
    spec = shown.spec
    with styled():
        drawn = _lines(len(rows))
        drawn.axes.axvline(0.0, color=INK, linewidth=1.0)
        several = len({repr(row.value) for row in rows}) > 1
        groups = [(*row.group, *([(spec.field, row.value)] if several else [])) for row in rows]
        _dots(drawn, [row.difference for row in rows], groups, f"change in {spec.metric}")
        _label_rows(drawn, groups)
        change = "other values" if several else f"{spec.field} {written(rows[0].value)}"
        against = f"{spec.field} {written(spec.base)}"
        drawn.axes.set_xlabel(
            plain(
                f"difference in {spec.metric}, mean and 95 % interval over pairs\n"
                f"{short(change, 30)} less {short(against, 30)}"
            )
        )
        return picture(name, f"paired differences in {spec.metric}, {change} less {against}", drawn)


def _lines(count: int) -> Canvas:
    drawn = canvas(FRAME_IN + ROW_IN * count)
    drawn.axes.set_ylim(count - 0.4, -0.6)
    drawn.axes.grid(visible=False, axis="y")
    return drawn


def _dots(
    drawn: Canvas, means: Sequence[Summary | None], groups: Sequence[Group], label: str
) -> None:
    for place, (one, group) in enumerate(zip(means, groups, strict=True)):
        if one is None:
            continue
        interval = ""
        if one.low is not None and one.high is not None and math.isfinite(one.high):
            drawn.axes.plot(
                [one.low, one.high], [place, place], color=COLOURS[0], linewidth=2.4, alpha=0.55
            )
            interval = f" ({between(one.low, one.high)})"
        where = conditions(group) or "all trials"
        drawn.tip(one.mean, float(place), f"{where}\n{label} {number(one.mean)}{interval}")
    known = [(place, one.mean) for place, one in enumerate(means) if one is not None]
    drawn.axes.plot(
        [mean for _, mean in known],
        [place for place, _ in known],
        linestyle="none",
        marker="o",
        markersize=7,
        color=COLOURS[0],
        label=plain(label),
    )


def _label_rows(drawn: Canvas, groups: Sequence[Group]) -> None:
    """The values beside the rows; the fields they belong to stand once, above them."""
    labels = [short(", ".join(written(value) for _, value in group), VALUE) for group in groups]
    drawn.axes.set_yticks(range(len(groups)), [plain(label or "all") for label in labels])
    drawn.axes.tick_params(axis="y", length=0)
    drawn.axes.set_ylabel(plain(short(", ".join(field for field, _ in groups[0]), 60)))


def _scale(drawn: Canvas, means: Sequence[float]) -> None:
    """A logarithmic axis for values over more than a factor of 30."""
    if min(means) > 0 and max(means) > 30 * min(means):
        scale_axis(drawn.axes, "x", [min(means) / 1.5, max(means) * 1.5], log=True)
