"""Figure of a rolling backtest: how far off the law was at each next scale, and whether it keeps up."""

import numpy as np
from jaxtyping import Float

from analysis.fit import Fit
from analysis.judgement.holdout import Backtest, HeldOut, scale_of
from analysis.judgement.rolling import Rolling
from analysis.judgement.subsets import unit_of
from analysis.reporting.figures.canvas import (
    MANY,
    canvas,
    picture,
    plain,
    scale_axis,
    short,
    styled,
)
from analysis.reporting.figures.colours import COLOURS, INK, PAPER
from analysis.reporting.figures.held_out import limit_errors, point_words
from analysis.reporting.sections import Picture

NARROW = 0.012  # of the axis
Range = tuple[float, float]


def rolling_picture(name: str, fitted: Fit, found: Rolling, unit: str = "") -> Picture | None:
    """Predicted less measured over the scale, step by step; None without a step."""
    steps = [one for one in found.steps if one.points]
    if not steps:
        return None
    places = np.exp(scale_of(fitted.law, fitted.points)) if _logarithmic(fitted) else None
    relative = unit_of(fitted.objective_used) == "log" and found.error is not None
    points = found.points
    x = _scale(fitted, points, places)
    off = _off(points, relative)
    with styled():
        drawn = canvas(3.7)
        scale_axis(drawn.axes, "x", x, log=places is not None)
        drawn.axes.axhline(0.0, color=INK, linewidth=1.0)
        alone = len(steps) == len(points)
        drawn.axes.plot(
            x, off, "o", markersize=5.5 if alone else 3.8, color=COLOURS[0], zorder=3,
            alpha=1.0 if alone else 0.45, markeredgecolor=PAPER, markeredgewidth=0.3,
            label="left-out runs", rasterized=len(points) > MANY,
        )  # fmt: skip
        for number, one in enumerate(steps):
            at = _scale(fitted, one.points, places)
            ends = _widened(float(at.min()), float(at.max()), x, log=places is not None)
            reach = _interval(one, relative)
            if reach is not None:
                drawn.axes.fill_between(
                    ends, *reach, color=COLOURS[0], alpha=0.12, linewidth=0,
                    label=None if number else "95 % prediction interval",
                )  # fmt: skip
            mean = float(_off(one.points, relative).mean())
            drawn.axes.plot(
                ends, [mean, mean], color=COLOURS[1], linewidth=2.6,
                label=None if number else "mean of a step",
            )  # fmt: skip
        for place, one in enumerate(points):
            drawn.tip(float(x[place]), float(off[place]), point_words(one))
        limit_errors(drawn, off)
        columns = [column for _, column in fitted.inputs]
        drawn.label(short(" × ".join(columns), 50), _axis(relative, unit))
        drawn.legend(columns=2)
        return picture(
            name,
            f"forecasts of {fitted.target} scale by scale",
            drawn,
            "Every run was predicted by the law fitted to the smaller scales only. A mean that "
            "moves away from 0 with the scale says that the law does not keep up.",
        )


def _logarithmic(fitted: Fit) -> bool:
    return any(one.positive for one in fitted.law.inputs)


def _scale(
    fitted: Fit, points: tuple[HeldOut, ...], places: np.ndarray | None
) -> Float[np.ndarray, " point"]:
    if places is None:
        places = scale_of(fitted.law, fitted.points)
    return places[[one.row for one in points]]


def _off(points: tuple[HeldOut, ...], relative: bool) -> Float[np.ndarray, " point"]:
    """Predicted less measured: in per cent, or in the unit of the target."""
    if relative:
        return 100 * np.expm1([one.residual for one in points])
    return np.array([one.predicted - one.measured for one in points])


def _interval(one: Backtest, relative: bool) -> Range | None:
    """The prediction interval of the middle point of a step, around a forecast that is right."""
    widths = [point.width for point in one.points if point.width is not None]
    if not widths:
        return None
    half = float(np.median(widths))
    if relative:
        return 100 * float(np.expm1(-half)), 100 * float(np.expm1(half))
    return -half, half


def _widened(low: float, high: float, x: Float[np.ndarray, " point"], *, log: bool) -> Range:
    """The range of a step, made so wide that it can be seen where it is a single scale."""
    if log:
        room = max((x.max() / x.min()) ** NARROW, 1.01)
        return (low / room, high * room) if high < low * room else (low, high)
    room = max(NARROW * float(np.ptp(x)), 1e-9)
    return (low - room, high + room) if high < low + room else (low, high)


def _axis(relative: bool, unit: str) -> str:
    if relative:
        return "predicted less measured, %"
    return f"predicted less measured{plain(f' ({short(unit)})') if unit else ''}"
