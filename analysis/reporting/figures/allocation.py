"""Figures of allocation: the loss along curves of equal cost, and the best size over the budget."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from analysis.allocation.best_size import Path, best_sizes
from analysis.allocation.budgets import Allocation, around
from analysis.allocation.cost_models import log_tokens_for, prices
from analysis.allocation.optimum import Best
from analysis.allocation.ranged import Ranged, brief, interval_words
from analysis.allocation.size_and_data import size_and_data
from analysis.engine.compiled import predict_many
from analysis.fit import Fit
from analysis.reporting.figures.canvas import (
    Canvas,
    canvas,
    colour,
    picture,
    scale_axis,
    styled,
)
from analysis.reporting.figures.colours import EDGE, INK, PAPER
from analysis.reporting.figures.words import target_words
from analysis.reporting.sections import Picture
from analysis.uncertainty.intervals import ends

WIDE = 8.0  # times on either side of the best size
GRID = 61
BUDGETS = 13
ROOM = 10.0  # times beyond sizes and runs: farther a band is cut, so that the rest can be seen
FEW = 5  # budgets whose curves one figure can hold


def cost_curves_picture(
    name: str, fitted: Fit, found: Allocation, unit: str = ""
) -> Picture | None:
    """The loss over the size at each budget, with its band, the optimum and what else was asked for."""
    shown = [one for one in found.best if one.inner][:FEW]
    if not shown:
        return None
    on = _path(fitted, found)
    with styled():
        drawn = canvas()
        axes = drawn.axes
        low = min(one.params.value for one in shown) / WIDE
        high = max(one.params.value for one in shown) * WIDE
        scale_axis(axes, "x", [low, high], log=True)
        heights: list[float] = []
        for place, one in enumerate(shown):
            sizes = np.log(one.params.value) + np.linspace(-np.log(WIDE), np.log(WIDE), GRID)
            tokens = log_tokens_for(on.cost, np.full(GRID, one.budget), sizes)
            sizes, tokens = sizes[np.isfinite(tokens)], tokens[np.isfinite(tokens)]
            values = on.law.values(np.exp(sizes), np.exp(tokens))
            curve = predict_many(fitted.law, fitted.vector, values)[0]
            tint = colour(place)
            if len(fitted.draws):
                bands = predict_many(fitted.law, fitted.draws, values)
                below, above = ends(bands, curve, fitted.level, fitted.reading)
                axes.fill_between(np.exp(sizes), below, above, color=tint, alpha=0.16, linewidth=0)
            beyond = (one.far.factor or 0.0) > 1
            axes.plot(
                np.exp(sizes),
                curve,
                "--" if beyond else "-",
                color=tint,
                label=f"{brief(one.budget)} {found.cost.unit}",
            )
            _across(drawn, one.params, one.loss.value, tint)
            axes.plot(
                [one.params.value],
                [one.loss.value],
                "o",
                color=tint,
                markeredgecolor=PAPER,
                zorder=4,
            )
            drawn.tip(one.params.value, one.loss.value, one.text)
            heights.extend((float(curve.min()), float(np.quantile(curve, 0.97))))
            for other in one.alternatives:
                if low <= other.params <= high:
                    axes.plot(
                        [other.params],
                        [other.loss],
                        "D",
                        color=tint,
                        markersize=8,
                        markerfacecolor=PAPER,
                    )
                    drawn.tip(other.params, other.loss, f"{other.what}: {brief(other.loss)}")
        room = 0.08 * (max(heights) - min(heights))
        axes.set_ylim(min(heights) - room, max(heights) + room)
        drawn.label("parameters", target_words(fitted, unit))
        drawn.legend(columns=2 if len(shown) > 1 else 1)
        return picture(
            name,
            f"{fitted.target} over the size at equal cost, lowest at "
            + ", ".join(brief(one.params.value) for one in shown),
            drawn,
            "Along a curve every size gets the tokens that the budget still pays. Dots: the best size "
            f"with its interval{_choices(shown)}. Dashed: beyond all runs. Shaded: interval of the law.",
        )


def best_size_picture(name: str, fitted: Fit, found: Allocation) -> Picture | None:
    """The best size over the budget with its band, and where the runs lie."""
    on = _path(fitted, found)
    params, tokens = on.law.of_rows(fitted.points.values)
    costs = prices(found.cost, {"params": params, "tokens": tokens})
    wanted = [one.budget for one in found.best]
    least = min(float(np.quantile(costs, 0.25)), *wanted, found.over[0])
    most = max(float(costs.max()), *wanted, found.over[1])
    budgets = np.geomspace(least, most, BUDGETS)
    vectors = np.concatenate([fitted.vector, fitted.draws])
    best = best_sizes(on, vectors, budgets, around(fitted, on, budgets))
    inner = best.inner[:, 0]
    if inner.sum() < 2:
        return None
    sizes = np.exp(best.log_params[:, 0])
    with styled():
        drawn = canvas()
        axes = drawn.axes
        below, above = sizes, sizes
        if len(fitted.draws) > 1:
            below, above = _band(fitted, best.log_params, best.inner)
        span = np.concatenate([params, below[inner], above[inner]])
        scale_axis(axes, "x", np.concatenate([costs, budgets]), log=True)
        scale_axis(
            axes, "y", np.clip(span, params.min() / ROOM, sizes[inner].max() * ROOM), log=True
        )
        if len(fitted.draws) > 1:
            axes.fill_between(
                budgets[inner], below[inner], above[inner], color=colour(1), alpha=0.2, linewidth=0
            )
        axes.plot(budgets[inner], sizes[inner], color=colour(1), label="best size")
        axes.plot(
            costs, params, "o", markersize=3.8, color=EDGE, markeredgecolor=PAPER,
            markeredgewidth=0.4, label="runs", zorder=1.5, rasterized=len(params) > 2_000,
        )  # fmt: skip
        axes.axvline(float(costs.max()), color=INK, linewidth=0.8, linestyle=(0, (2, 3)))
        for one in found.best:
            if one.inner:
                axes.plot([one.budget], [one.params.value], "o", color=colour(1))
                drawn.tip(one.budget, one.params.value, one.text)
        drawn.label(f"cost ({found.cost.unit})", "parameters")
        drawn.legend(columns=2)
        exponent = found.size_exponent
        return picture(
            name,
            f"the best size rises with the power {exponent.value:.3f} of the cost",
            drawn,
            f"The best size rises with the power {brief(exponent.value)} ({interval_words(exponent)}) of "
            "the cost. Shaded: its interval. Right of the dotted line nothing was run.",
        )


def _choices(shown: Sequence[Best]) -> str:
    """What the diamonds are."""
    named = dict.fromkeys(other.what for one in shown for other in one.alternatives)
    return f"; diamonds: {', '.join(named)}" if named else ""


def _path(fitted: Fit, found: Allocation) -> Path:
    return Path(size_and_data(fitted.law, dict(found.held)), found.cost)


def _band(
    fitted: Fit, logs: Float[np.ndarray, "budget draw"], inner: np.ndarray
) -> tuple[Float[np.ndarray, " budget"], Float[np.ndarray, " budget"]]:
    """Each budget has those draws that have an optimum there."""
    pairs: list[tuple[float, float]] = []
    for row, good in zip(logs, inner, strict=True):
        drawn = row[1:][good[1:]]
        if len(drawn) < 2:
            pairs.append((float(row[0]), float(row[0])))
            continue
        low, high = ends(drawn, np.asarray(row[0]), fitted.level, fitted.reading)
        pairs.append((float(low), float(high)))
    both = np.exp(np.array(pairs))
    return both[:, 0], both[:, 1]


def _across(drawn: Canvas, one: Ranged, height: float, tint: str) -> None:
    """A bar from end to end of an interval."""
    if one.low is not None and one.high is not None:
        drawn.axes.plot(
            [one.low, one.high], [height, height], color=tint, linewidth=2.2, alpha=0.75
        )
