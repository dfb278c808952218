"""Slices of a law of several inputs: the loss along one input, a curve for each level of another."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from analysis.fit import Fit, predict_fit
from analysis.points import level_of
from analysis.reporting.figures.canvas import (
    MANY,
    canvas,
    colour,
    marker,
    picture,
    plain,
    scale_axis,
    short,
    spelled_tick,
    styled,
)
from analysis.reporting.figures.colours import PAPER
from analysis.reporting.figures.words import input_words, misfit_words, place_words, target_words
from analysis.reporting.sections import Picture

MOST = 4  # curves
Vector = Float[np.ndarray, " run"]


@dataclass(frozen=True)
class Levels:
    """A few levels of an input, and for every run the one that it is nearest to."""

    values: Float[np.ndarray, " level"]
    nearest: Int[np.ndarray, " run"]
    exact: bool


def slices_picture(name: str, fitted: Fit, unit: str = "") -> Picture | None:
    """The loss against the input of the widest range, one curve for each of a few levels of the next.

    A run between two levels is moved along the law to the level of its curve (a partial residual),
    so that its distance from the curve is its distance from the law. Other inputs of the curve
    stand at their median. None for a law of one input.
    """
    order = sorted(fitted.law.input_names, key=lambda one: -_width(fitted.points.values[one]))
    if len(order) < 2:
        return None
    along, across = order[0], order[1]
    values = fitted.points.values
    levels = few_levels(values[across])
    law = predict_fit(fitted, values)
    middle = {one: np.full(fitted.rows, np.median(values[one])) for one in order[2:]}
    on_curve = predict_fit(
        fitted, {**middle, along: values[along], across: levels.values[levels.nearest]}
    )
    moved = (
        fitted.points.measured * on_curve / law
        if (law > 0).all() and fitted.objective_used.residual == "log"
        else fitted.points.measured + on_curve - law
    )
    log = bool((values[along] > 0).all())
    ends = float(values[along].min()), float(values[along].max())
    grid = np.geomspace(*ends, 100) if log else np.linspace(*ends, 100)
    with styled():
        drawn = canvas(3.4 + 0.11 * len(levels.values))
        scale_axis(drawn.axes, "x", values[along], log=log)
        scale_axis(
            drawn.axes, "y", moved, log=bool(moved.min() > 0 and moved.max() > 1.5 * moved.min())
        )
        for place, level in enumerate(levels.values.tolist()):
            held = {one: np.full(100, float(np.median(values[one]))) for one in order[2:]}
            curve = predict_fit(fitted, {**held, along: grid, across: np.full(100, level)})
            mine = levels.nearest == place
            drawn.axes.plot(grid, curve, color=colour(place), linewidth=1.6)
            drawn.axes.plot(
                values[along][mine], moved[mine], marker(place), linestyle="none", markersize=4.8,
                color=colour(place), markeredgecolor=PAPER, markeredgewidth=0.5,
                rasterized=int(mine.sum()) > MANY,
                label=f"{plain(short(dict(fitted.inputs)[across], 24))} {_level(level, levels)}",
            )  # fmt: skip

        def say(at: int) -> str:
            return f"{place_words(fitted, at)}\n{misfit_words(fitted, at, law.item(at))}"

        drawn.tips(values[along], moved, np.abs(fitted.points.measured - law), say)
        drawn.label(input_words(fitted, along), target_words(fitted, unit))
        drawn.legend(columns=2)
        return picture(
            name,
            f"{fitted.target} against {dict(fitted.inputs)[along]} by {dict(fitted.inputs)[across]}",
            drawn,
            _caption(fitted, levels, order),
        )


def few_levels(values: Vector) -> Levels:
    """Up to four levels: those that occur, or the middles of equal shares of the runs."""
    distinct = np.unique(level_of(values), return_index=True)[1]
    if len(distinct) <= MOST:
        chosen = values[distinct]
    else:
        chosen = np.quantile(values, (np.arange(MOST) + 0.5) / MOST, method="nearest")
        chosen = np.unique(chosen)
    place = np.log(values) if (values > 0).all() else values
    at = np.log(chosen) if (values > 0).all() else chosen
    return Levels(chosen, np.abs(place[:, None] - at).argmin(axis=1), len(distinct) <= MOST)


def _width(values: Vector) -> float:
    """How many factors of e an input spans; one that may be zero counts as narrow."""
    return float(np.ptp(np.log(values))) if (values > 0).all() else 0.0


def _level(level: float, levels: Levels) -> str:
    return spelled_tick(level) if levels.exact else f"≈ {spelled_tick(float(f'{level:.2g}'))}"


def _caption(fitted: Fit, levels: Levels, order: list[str]) -> str:
    columns = dict(fitted.inputs)
    words = []
    if not levels.exact or len(order) > 2:
        words.append("Runs are moved along the law to the nearest curve shown")
    if len(order) > 2:
        words.append(f"{', '.join(columns[one] for one in order[2:])} at the median of the runs")
    return "; ".join(words) + "." if words else ""
