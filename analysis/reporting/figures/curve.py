"""Figures of laws of one input: the runs, the fitted curve, its band, and how far it may reach."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analysis.fit import Fit, band, predict_fit
from analysis.judgement.trust import headlines
from analysis.reporting.figures.canvas import (
    MANY,
    Canvas,
    canvas,
    colour,
    folded,
    marker,
    picture,
    plain,
    scale_axis,
    short,
    styled,
)
from analysis.reporting.figures.colours import INK, PAPER, SOFT
from analysis.reporting.figures.words import level_words, misfit_words, place_words, target_words
from analysis.reporting.sections import Picture

Vector = Float[np.ndarray, " point"]


@dataclass(frozen=True)
class Curve:
    """One fit of a law of one input, and what to call it."""

    label: str
    fit: Fit


@dataclass(frozen=True)
class Forecast:
    """A law along one input, with an interval, within the data and beyond.

    `interval` says which interval it is: `95 % prediction interval`.
    """

    x: Vector
    predicted: Vector
    low: Vector | None
    high: Vector | None
    interval: str


def curves_picture(name: str, curves: Sequence[Curve], unit: str = "") -> Picture | None:
    """The runs, their cells and the fitted law of every fit, with the band of the law."""
    if not curves:
        return None
    first = curves[0].fit
    column = first.inputs[0][1]
    with styled():
        drawn = canvas(3.3 + 0.22 * len(curves))
        levels = np.concatenate([one.fit.points.values[one.fit.inputs[0][0]] for one in curves])
        losses = np.concatenate([loss for one in curves for loss in one.fit.points.replicates])
        _axes(drawn, levels, losses)
        for place, one in enumerate(curves):
            _curve(drawn, one, place)
        drawn.label(short(column), target_words(first, unit))
        drawn.legend()
        return picture(name, f"{first.target} against {column}", drawn, _caption(first))


def forecast_picture(name: str, fitted: Fit, ahead: Forecast, unit: str = "") -> Picture:
    """A law of one input within its data (solid) and beyond (dashed), with the interval given."""
    input_name, column = fitted.inputs[0]
    seen = fitted.points.values[input_name]
    with styled():
        drawn = canvas()
        known = [one for one in (ahead.predicted, ahead.low, ahead.high) if one is not None]
        finite = np.concatenate([fitted.points.measured, *known])
        _axes(drawn, np.concatenate([seen, ahead.x]), finite[np.isfinite(finite)])
        inside = (ahead.x >= seen.min()) & (ahead.x <= seen.max())
        above, below = ahead.x >= seen.max(), ahead.x <= seen.min()
        for part, style in ((inside, "-"), (above, "--"), (below, "--")):
            if part.sum() < 2:
                continue
            x = ahead.x[part]
            drawn.axes.plot(
                x, ahead.predicted[part], style, color=colour(0), linewidth=1.8,
                label="law" if style == "-" else None,
            )  # fmt: skip
            if ahead.low is not None and ahead.high is not None:
                drawn.axes.fill_between(
                    x, ahead.low[part], ahead.high[part], color=colour(0), linewidth=0,
                    alpha=0.2 if style == "-" else 0.1,
                    label=plain(ahead.interval) if style == "-" else None,
                )  # fmt: skip
                for edge in (ahead.low, ahead.high):
                    drawn.axes.plot(x, edge[part], style, color=colour(0), linewidth=0.8, alpha=0.7)
        if ahead.x.max() > seen.max():
            falls = bool(ahead.predicted[-1] < ahead.predicted[0])
            _mark_end(drawn, float(seen.max()), top=falls)
        _dots(drawn, fitted, 0)
        drawn.label(short(column), target_words(fitted, unit))
        drawn.legend(columns=2)
        return picture(
            name,
            f"{fitted.target} against {column}, with its extrapolation",
            drawn,
            f"Beyond the dotted line there are no runs: the dashed part is an extrapolation. "
            f"Shaded: {ahead.interval}.",
        )


def default_forecast(fitted: Fit, times: float = 4.0) -> Forecast:
    """A law of one input up to `times` beyond its largest run, with the bootstrap band."""
    name = fitted.inputs[0][0]
    seen = fitted.points.values[name]
    if not (seen > 0).all():
        x = np.linspace(seen.min(), seen.max() + (times - 1) * float(np.ptp(seen)) / 3, 161)
    else:
        x = np.unique(np.append(np.geomspace(seen.min(), seen.max() * times, 160), seen.max()))
    spread = band(fitted, {name: x})
    low, high = (None, None) if spread is None else spread
    return Forecast(
        x, predict_fit(fitted, {name: x}), low, high, f"{level_words(fitted)} of the law"
    )


def _axes(drawn: Canvas, levels: Vector, losses: Float[np.ndarray, " loss"]) -> None:
    distinct = np.unique(levels)
    few = [float(level) for level in distinct] if len(distinct) <= 8 and levels.max() < 1e5 else []
    # Levels that lie close together would print over each other.
    apart = len(few) > 1 and min(np.diff(np.log(few))) > 0.07 * np.log(few[-1] / few[0])
    scale_axis(drawn.axes, "x", levels, log=bool(levels.min() > 0), at=few if apart else ())
    wide = losses.min() > 0 and losses.max() > 1.5 * losses.min()
    scale_axis(drawn.axes, "y", losses, log=bool(wide))


def _curve(drawn: Canvas, one: Curve, place: int) -> None:
    fitted, paint = one.fit, colour(place)
    name = fitted.inputs[0][0]
    levels = fitted.points.values[name]
    if any(len(losses) > 1 for losses in fitted.points.replicates):
        counts = [len(losses) for losses in fitted.points.replicates]
        drawn.axes.plot(
            np.repeat(levels, counts), np.concatenate(fitted.points.replicates), "o",
            markersize=2.6, color=paint, alpha=0.25, markeredgewidth=0, rasterized=sum(counts) > MANY,
        )  # fmt: skip
    spaced = np.geomspace if levels.min() > 0 else np.linspace
    grid = spaced(levels.min(), levels.max(), 80)
    spread = band(fitted, {name: grid})
    if spread is not None:
        drawn.axes.fill_between(grid, *spread, color=paint, alpha=0.18, linewidth=0)
    found = ", ".join(each.text for each in headlines(fitted))
    label = folded(f"{short(one.label)}: {found}" if one.label else found, 52)
    law = predict_fit(fitted, {name: grid})
    drawn.axes.plot(grid, law, color=paint, linewidth=1.8, label=plain(label))
    _dots(drawn, fitted, place, one.label)


def _dots(drawn: Canvas, fitted: Fit, place: int, label: str = "") -> None:
    name = fitted.inputs[0][0]
    levels, measured = fitted.points.values[name], fitted.points.measured
    drawn.axes.plot(
        levels, measured, marker(place), markersize=6, color=colour(place),
        markeredgecolor=PAPER, markeredgewidth=0.7, linestyle="none", rasterized=len(levels) > MANY,
    )  # fmt: skip
    law = predict_fit(fitted, fitted.points.values)
    named = [label] if label else []

    def say(at: int) -> str:
        return "\n".join([*named, place_words(fitted, at), misfit_words(fitted, at, law.item(at))])

    drawn.tips(levels, measured, np.abs(measured - law), say)


def _mark_end(drawn: Canvas, at: float, *, top: bool) -> None:
    drawn.axes.axvline(at, color=INK, linewidth=0.9, linestyle=":")
    drawn.axes.annotate(
        "extrapolation", (at, 1.0 if top else 0.0), xycoords=("data", "axes fraction"),
        xytext=(3, -2 if top else 2), textcoords="offset points", rotation=90,
        va="top" if top else "bottom", color=SOFT, fontsize=9,
    )  # fmt: skip


def _caption(fitted: Fit) -> str:
    parts = []
    if fitted.pool != "none":
        parts.append(f"Large marks: the {fitted.pool} of each cell; pale dots: single trials")
    if len(fitted.draws):
        parts.append(f"shaded: {level_words(fitted)} of the law, over {fitted.drawn}")
    words = "; ".join(parts)
    return f"{words[0].upper()}{words[1:]}." if words else ""
