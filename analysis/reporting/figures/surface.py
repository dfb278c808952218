"""The surface of a law of two inputs as contours, with the runs and the compute-optimal line."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analysis.fit import Fit, predict_fit
from analysis.reporting.figures.canvas import MANY, canvas, picture, plain, scale_axis, styled
from analysis.reporting.figures.colours import COLOURS, EDGE, INK, PAPER
from analysis.reporting.figures.words import input_words, misfit_words, place_words
from analysis.reporting.sections import Picture
from analysis.summary import number

GRID = 90
CONTOURS = 9
Vector = Float[np.ndarray, " point"]


@dataclass(frozen=True)
class Line:
    """A line over the surface: where it runs, and what it is."""

    x: Vector
    y: Vector
    label: str


def surface_picture(
    name: str, fitted: Fit, line: Line | None = None, unit: str = ""
) -> Picture | None:
    """Contours of the fitted law over two positive inputs, with every run; None for other laws.

    Without `line` a law of params and tokens gets the line on which the loss is least for its
    compute, at 6 FLOPs for each parameter and token (Kaplan et al. 2020, arXiv:2001.08361).
    """
    values = fitted.points.values
    if len(fitted.inputs) != 2 or any((values[one] <= 0).any() for one, _ in fitted.inputs):
        return None
    (first, _), (second, _) = fitted.inputs
    if line is None and {first, second} == {"params", "tokens"}:
        line = compute_optimal(fitted)
    x, y = (_padded(values[one]) for one in (first, second))
    mesh = np.meshgrid(x, y)
    height = predict_fit(fitted, {first: mesh[0].ravel(), second: mesh[1].ravel()})
    height = height.reshape(mesh[0].shape)
    with styled():
        drawn = canvas(3.7)
        scale_axis(drawn.axes, "x", x, log=True)
        scale_axis(drawn.axes, "y", y, log=True)
        at = _levels(height)
        lines = drawn.axes.contour(*mesh, height, levels=at, colors=EDGE, linewidths=0.9)
        drawn.axes.clabel(lines, fontsize=8, fmt=lambda level: number_of(level, at), colors=INK)
        drawn.axes.plot(
            values[first], values[second], "o", markersize=4.4, color=COLOURS[0],
            markeredgecolor=PAPER, markeredgewidth=0.5, alpha=0.9, label="runs",
            rasterized=fitted.rows > MANY,
        )  # fmt: skip
        if line is not None:
            drawn.axes.plot(
                line.x, line.y, color=COLOURS[1], linewidth=2.0, label=plain(line.label)
            )
        law = predict_fit(fitted, values)

        def say(at: int) -> str:
            return f"{place_words(fitted, at)}\n{misfit_words(fitted, at, law.item(at))}"

        drawn.tips(values[first], values[second], np.abs(fitted.points.measured - law), say)
        drawn.label(input_words(fitted, first), input_words(fitted, second))
        drawn.legend(columns=2)
        return picture(
            name,
            f"contours of {fitted.target} over {first} and {second}",
            drawn,
            f"Grey lines: equal fitted {fitted.target}{f' ({unit})' if unit else ''}. Where there "
            "are no runs near, the contours are an extrapolation.",
        )


def number_of(level: float, levels: Float[np.ndarray, " level"]) -> str:
    """A contour's value, with as many digits as tell it from its neighbours."""
    gap = float(np.diff(levels).min()) if len(levels) > 1 else abs(level)
    digits = max(0, 1 - int(np.floor(np.log10(gap)))) if gap > 0 else 3
    return f"{level:.{digits}f}" if 1e-3 <= abs(level) < 1e5 else number(level)


def _padded(values: Vector) -> Float[np.ndarray, " grid"]:
    low, high = float(values.min()), float(values.max())
    room = max(high / low, 1.2) ** 0.05
    return np.geomspace(low / room, high * room, GRID)


def _levels(height: Float[np.ndarray, "row column"]) -> Float[np.ndarray, " level"]:
    """Levels that divide the surface into equal shares, so that steep and flat parts show both."""
    shares = np.quantile(height, np.linspace(0.02, 0.98, CONTOURS))
    gap = float(np.ptp(shares)) / CONTOURS
    digits = max(0, 1 - int(np.floor(np.log10(gap)))) if gap > 0 else 6
    return np.unique(np.round(shares, digits))


def compute_optimal(fitted: Fit) -> Line | None:
    """Among sizes on a fine grid the one of least loss, for every compute that the runs span."""
    params, tokens = fitted.points.values["params"], fitted.points.values["tokens"]
    flops = 6 * params * tokens
    budgets = np.geomspace(flops.min(), flops.max(), 60)
    sizes = np.geomspace(params.min() / 10, params.max() * 10, 600)
    mesh = np.meshgrid(sizes, budgets)
    height = predict_fit(
        fitted, {"params": mesh[0].ravel(), "tokens": (mesh[1] / (6 * mesh[0])).ravel()}
    ).reshape(mesh[0].shape)
    best = height.argmin(axis=1)
    inner = (best > 0) & (best < len(sizes) - 1)
    x, y = sizes[best], budgets / (6 * sizes[best])
    inner &= (x >= params.min()) & (x <= params.max()) & (y >= tokens.min()) & (y <= tokens.max())
    if inner.sum() < 2:
        return None
    swap = fitted.inputs[0][0] == "tokens"
    x, y = x[inner], y[inner]
    return Line(*((y, x) if swap else (x, y)), "least loss for its compute (6 N D)")
