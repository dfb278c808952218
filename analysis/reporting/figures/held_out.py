"""Figures of held-out runs: how far off a law's forecasts were, and those of several laws."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from analysis.judgement.holdout import Backtest, HeldOut
from analysis.reporting.figures.canvas import (
    Canvas,
    canvas,
    colour,
    marker,
    picture,
    plain,
    scale_axis,
    short,
    styled,
)
from analysis.reporting.figures.colours import INK, PAPER
from analysis.reporting.sections import Picture
from analysis.summary import number

LONGEST = 3.0  # times the largest error: as far as a figure reaches
APART = 0.015  # of the axis, between the marks of two backtests of one run


def backtest_picture(
    name: str, target: str, tests: Sequence[Backtest], unit: str = ""
) -> Picture | None:
    """Predicted against measured for the scales that a law did not see, as per cent off.

    Bars are the 95 % prediction intervals, where residuals are of logarithms. None without a
    backtest whose errors are relative.
    """
    done = [one for one in tests if one.points and one.error is not None]
    measured = np.array([point.measured for one in done for point in one.points])
    if not done:
        return None
    with styled():
        drawn = canvas(3.3 + 0.15 * len(done))
        ratio = float(measured.max() / measured.min())
        log = ratio > 1.5
        scale_axis(drawn.axes, "x", measured, log=log)
        drawn.axes.axhline(0.0, color=INK, linewidth=1.0)
        bars = False
        for place, one in enumerate(done):
            # Points of several backtests would stand on each other.
            apart = APART * (place - (len(done) - 1) / 2)
            seen = np.array([point.measured for point in one.points])
            seen = seen * ratio**apart if log else seen + apart * float(np.ptp(measured))
            error = _per_cent(one.points)
            ends = [_interval(point) for point in one.points]
            if all(end is not None for end in ends):
                bars = True
                low, high = (100 * np.array(end) for end in zip(*filter(None, ends), strict=True))
                drawn.axes.vlines(seen, low, high, color=colour(place), linewidth=2.0, alpha=0.4)
            drawn.axes.plot(
                seen, error, marker(place), linestyle="none", markersize=6.2, color=colour(place),
                markeredgecolor=PAPER, markeredgewidth=0.6,
                label=f"without the {_scales(one)}: {100 * float(one.error or 0):.1f} % off on average",
            )  # fmt: skip
            for point, x, off in zip(one.points, seen.tolist(), error.tolist(), strict=True):
                drawn.tip(x, off, f"without the {_scales(one)}\n{point_words(point)}")
        units = f" ({short(unit)})" if unit else ""
        limit_errors(drawn, np.concatenate([_per_cent(one.points) for one in done]))
        drawn.label(f"measured {target}{units}", "predicted less measured, %")
        drawn.legend()
        interval = " Bars: its 95 % prediction interval, which should hold 0." if bars else ""
        return picture(
            name,
            f"forecasts of left-out runs against their {target}",
            drawn,
            f"Each mark is a run that the fit had not seen.{interval}",
        )


def ranking_picture(
    name: str, laws: Sequence[tuple[str, Sequence[HeldOut]]], target: str
) -> Picture | None:
    """One line for each law, the best on top, with its forecast of every held-out run."""
    shown = [
        (law, points)
        for law, points in laws
        if points and all(point.error is not None for point in points)
    ]
    if not shown:
        return None
    with styled():
        drawn = canvas(1.0 + 0.42 * len(shown))
        drawn.axes.set_ylim(len(shown) - 0.4, -0.6)
        drawn.axes.grid(visible=False, axis="y")
        drawn.axes.axvline(0.0, color=INK, linewidth=1.0)
        errors = [
            100 * np.array([point.error for point in points], dtype=np.float64)
            for _, points in shown
        ]
        typical = [float(np.abs(one).mean()) for one in errors]
        if max(typical) > 12 * min(typical) > 0:
            drawn.axes.set_xscale("symlog", linthresh=3 * min(typical))
            ticks = _symmetric_ticks(3 * min(typical), float(max(map(np.max, map(np.abs, errors)))))
            drawn.axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            drawn.axes.minorticks_off()
        for place, ((law, points), error) in enumerate(zip(shown, errors, strict=True)):
            drawn.axes.plot(
                error, np.full(len(error), place), "o", markersize=6, alpha=0.6,
                color=colour(0), markeredgecolor=PAPER, markeredgewidth=0.5,
            )  # fmt: skip
            for point, off in zip(points, error.tolist(), strict=True):
                drawn.tip(off, float(place), f"{law}\n{point_words(point)}")
        drawn.axes.set_yticks(range(len(shown)), [plain(short(law, 26)) for law, _ in shown])
        drawn.axes.tick_params(axis="y", length=0)
        drawn.axes.set_xlabel(plain(f"predicted less measured {target}, %"))
        return picture(
            name,
            f"forecasts of the same left-out runs by {len(shown)} laws",
            drawn,
            "Each dot is a run that the law had not seen; the best law stands on top.",
        )


def limit_errors(drawn: Canvas, errors: Float[np.ndarray, " point"]) -> None:
    """Show every error, and of an interval that is much longer no more than fits."""
    low, high = drawn.axes.get_ylim()
    most = LONGEST * float(np.abs(errors).max()) or 1.0
    drawn.axes.set_ylim(max(low, -most), min(high, most))


def point_words(point: HeldOut) -> str:
    """A held-out point: its inputs, the forecast and what came."""
    inputs = ", ".join(f"{name} {number(value)}" for name, value in point.inputs)
    off = "" if point.error is None else f" ({100 * point.error:+.2f} %)"
    return f"{inputs}\npredicted {number(point.predicted)}, measured {number(point.measured)}{off}"


def _scales(one: Backtest) -> str:
    return "largest scale" if one.largest == 1 else f"largest {one.largest} scales"


def _per_cent(points: Sequence[HeldOut]) -> Float[np.ndarray, " point"]:
    return 100 * np.array([point.error for point in points], dtype=np.float64)


def _interval(point: HeldOut) -> tuple[float, float] | None:
    """The prediction interval of a point over what was measured, less 1."""
    if point.width is None or point.error is None or point.predicted <= 0:
        return None
    over = point.predicted / point.measured
    if abs(np.log(over) - point.residual) > 1e-6 * (1 + abs(point.residual)):
        return None  # the residual is not one of logarithms
    return float(over * np.exp(-point.width) - 1), float(over * np.exp(point.width) - 1)


def _symmetric_ticks(near: float, far: float) -> list[float]:
    powers = range(int(np.floor(np.log10(near))), int(np.ceil(np.log10(far))) + 1)
    right = [10.0**power for power in powers if near <= 10.0**power <= far]
    right = right[:: max(1, len(right) // 3)]
    return [*(-tick for tick in reversed(right)), 0.0, *right]
