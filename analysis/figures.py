"""Figures of a study, as SVG and PNG with the same bytes for the same study."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.typing import RcKeyType

from analysis.contrast import Contrast
from analysis.fit import Fit, band, predict_fit
from analysis.study import Group, SweepFit, Table
from analysis.summary import Summary, between, conditions, number, written

# Okabe and Ito 2008, Color Universal Design: told apart by every kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK = "#22262b"
STYLE: dict[RcKeyType, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "axes.edgecolor": "#8a919c",
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e9ee",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": "#565d68",
    "ytick.color": "#565d68",
    "legend.frameon": False,
    "svg.hashsalt": "lawsweep",  # the ids inside an SVG are random without it
    "svg.fonttype": "path",
}
WIDTH_IN, LABEL = 7.2, 44  # inches, characters


@dataclass(frozen=True)
class Picture:
    """One figure: its file name without ending, what it shows in words, and its bytes."""

    name: str
    alt: str
    svg: bytes
    png: bytes


def table_picture(name: str, table: Table) -> Picture | None:
    """A dot with an interval for the first metric of every row; the reference as a diamond."""
    rows = [row for row in table.rows if row.metrics[0] is not None]
    if not rows:
        return None
    metric, beside = table.spec.metrics[0], table.spec.beside
    with mpl.rc_context(STYLE):
        figure, axes = _lines(len(rows))
        means = [row.metrics[0] for row in rows]
        _dots(axes, means, COLOURS[0], metric)
        if beside is not None:
            known = [(place, row.beside.mean) for place, row in enumerate(rows) if row.beside]
            axes.plot(
                [mean for _, mean in known],
                [place for place, _ in known],
                linestyle="none",
                marker="D",
                markersize=8,
                markerfacecolor="none",
                markeredgecolor=COLOURS[1],
                markeredgewidth=1.6,
                label=plain(f"{beside} (expected)"),
            )
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        _label_rows(axes, [row.group for row in rows])
        _scale(axes, [one.mean for one in means if one])
        axes.set_xlabel(plain(f"{metric}, mean and 95 % interval over trials"))
        return _picture(name, f"{metric} by {', '.join(table.spec.rows)}", figure)


def contrast_picture(name: str, shown: Contrast) -> Picture | None:
    """A dot with an interval for every difference, beside the line of no difference."""
    rows = [row for row in shown.rows if row.difference is not None]
    if not rows:
        return None
    spec = shown.spec
    with mpl.rc_context(STYLE):
        figure, axes = _lines(len(rows))
        axes.axvline(0.0, color=INK, linewidth=1.0)
        _dots(axes, [row.difference for row in rows], COLOURS[0], spec.metric)
        several = len({repr(row.value) for row in rows}) > 1
        _label_rows(
            axes,
            [(*row.group, *([(spec.field, row.value)] if several else [])) for row in rows],
        )
        against = f"{spec.field} {written(spec.base)}"
        change = "other values" if several else f"{spec.field} {written(rows[0].value)}"
        axes.set_xlabel(
            plain(f"difference in {spec.metric}: {_short(change)} less {_short(against)}")
        )
        return _picture(
            name, f"paired differences in {spec.metric}, {change} less {against}", figure
        )


def fit_picture(name: str, fits: Sequence[SweepFit]) -> Picture | None:
    """The runs, their cells and the fitted law of every split, on logarithmic axes."""
    fitted = [(one, one.fit) for one in fits if one.fit is not None]
    if not fitted:
        return None
    spec = fits[0].spec
    unit = f" ({_short(spec.unit)})" if spec.unit else ""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, 4.6), layout="constrained")
        axes = figure.add_subplot()
        for place, (one, law) in enumerate(fitted):
            colour = COLOURS[place % len(COLOURS)]
            if len(law.inputs) == 1:
                _curve(axes, law, colour, _legend(one, law))
            else:
                measured_by_fitted(axes, law, colour, _legend(one, law))
        axes.set_xscale("log")
        axes.set_yscale("log")
        inputs = fitted[0][1].inputs
        one_input = len(inputs) == 1
        axes.set_xlabel(plain(inputs[0][1] if one_input else f"fitted {spec.metric}{unit}"))
        axes.set_ylabel(plain(f"{spec.metric}{unit}"))
        if one_input:
            levels = np.unique(
                np.concatenate([law.points.values[inputs[0][0]] for _, law in fitted])
            )
            if len(levels) <= 9:
                axes.set_xticks(levels, [number(float(level)) for level in levels])
                axes.xaxis.set_minor_locator(LogLocator(subs=()))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=1)
        return _picture(name, f"{spec.metric} against the inputs of the law {spec.law}", figure)


def plain(text: str) -> str:
    """Text that matplotlib shows as it stands: a dollar sign would start mathematics."""
    return text.replace("$", r"\$")


def measured_by_fitted(axes: Axes, law: Fit, colour: str, label: str) -> None:
    """Measured against fitted losses, for a law of several inputs."""
    fitted = predict_fit(law, law.points.values)
    ends = [
        min(fitted.min(), law.points.measured.min()),
        max(fitted.max(), law.points.measured.max()),
    ]
    axes.plot(ends, ends, color=INK, linewidth=1.0)
    axes.plot(
        fitted, law.points.measured, "o", markersize=4.5, color=colour, alpha=0.7, label=label
    )


def _curve(axes: Axes, law: Fit, colour: str, label: str) -> None:
    name = law.inputs[0][0]
    levels = law.points.values[name]
    for level, losses in zip(levels, law.points.replicates, strict=True):
        if len(losses) > 1:
            axes.plot(
                np.full(len(losses), level), losses, "o", markersize=3, color=colour, alpha=0.22,
                markeredgewidth=0,
            )  # fmt: skip
    grid = np.geomspace(levels.min(), levels.max(), 80)
    spread = band(law, {name: grid})
    if spread is not None:
        axes.fill_between(grid, *spread, color=colour, alpha=0.18, linewidth=0)
    axes.plot(grid, predict_fit(law, {name: grid}), color=colour, linewidth=1.8, label=label)
    axes.plot(
        levels, law.points.measured, "o", markersize=6.5, color=colour, markeredgecolor="white"
    )


def _legend(one: SweepFit, law: Fit) -> str:
    exponents = [law.coefficient(coefficient.name) for coefficient in law.law.nonlinear]
    found = ", ".join(
        f"{each.name} = {number(each.value)}"
        + ("" if each.low is None else f" ({between(each.low, each.high)})")
        for each in exponents
    )
    group = _short(conditions(one.group))
    return plain(f"{group}: {found}" if group else found)


def _lines(count: int) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH_IN, 1.3 + 0.36 * count), layout="constrained")
    axes = figure.add_subplot()
    axes.set_ylim(count - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    return figure, axes


def _dots(axes: Axes, means: Sequence[Summary | None], colour: str, label: str) -> None:
    for place, one in enumerate(means):
        if one is not None and one.low is not None and one.high is not None:
            axes.plot([one.low, one.high], [place, place], color=colour, linewidth=2.2, alpha=0.55)
    known = [(place, one.mean) for place, one in enumerate(means) if one is not None]
    axes.plot(
        [mean for _, mean in known],
        [place for place, _ in known],
        linestyle="none",
        marker="o",
        markersize=7.5,
        color=colour,
        label=plain(label),
    )


def _label_rows(axes: Axes, groups: Sequence[Group]) -> None:
    axes.set_yticks(
        range(len(groups)), [plain(_short(conditions(group) or "all")) for group in groups]
    )
    axes.tick_params(axis="y", length=0)


def _short(text: str) -> str:
    """A label that leaves room for the data; the table beside has it in full."""
    return text if len(text) <= LABEL else f"{text[: LABEL - 1]}…"


def _scale(axes: Axes, means: Sequence[float]) -> None:
    """A logarithmic axis for values over more than a factor of 30."""
    if min(means) > 0 and max(means) > 30 * min(means):
        axes.set_xscale("log")
        axes.set_xlim(min(means) / 3, max(means) * 3)


def _picture(name: str, alt: str, figure: Figure) -> Picture:
    """Both files, without dates and versions, which would change their bytes."""
    FigureCanvasAgg(figure)
    svg, png = io.BytesIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
    return Picture(name, alt, svg.getvalue(), png.getvalue())
