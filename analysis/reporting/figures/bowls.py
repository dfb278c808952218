"""Figures of best settings: the bowl of every cell, and how its lowest point moves with scale."""

from typing import Any

import numpy as np

from analysis.reporting.figures.canvas import (
    canvas,
    colour,
    marker,
    picture,
    plain,
    scale_axis,
    short,
    styled,
)
from analysis.reporting.figures.colours import INK
from analysis.reporting.sections import Picture
from analysis.summary import between, conditions, number
from analysis.tuning.drift import Drift
from analysis.tuning.optimum import Optimum
from analysis.tuning.settings import Tuning, curve_value
from analysis.tuning.trend import expected

SHOWN = 8  # cells; more curves than colours cannot be told apart


def bowls_picture(name: str, found: Tuning) -> Picture | None:
    """The loss over the first setting in every cell, with the curve and its lowest point."""
    shown = _spread(found.optima)
    if not shown or len(found.settings) != 1:
        return None
    (setting,) = found.settings
    with styled():
        drawn = canvas()
        for place, one in enumerate(shown):
            x, loss = np.exp(one.cell.x[:, 0]), _losses(found, one)
            label = plain(short(conditions(list(one.cell.fields)) or "all runs", 30))
            drawn.axes.plot(
                x, loss, marker(place), color=colour(place), markersize=4.5, label=label
            )
            inside = x[one.used] if one.used.any() else x
            grid = np.geomspace(inside.min(), inside.max(), 60)
            curve = curve_value(found, found.optima.index(one), grid[:, None])
            drawn.axes.plot(grid, curve, color=colour(place), linewidth=1.3)
            for at, value in zip(x.tolist(), loss.tolist(), strict=True):
                drawn.tip(
                    at, value, f"{label}\n{setting} {number(at)}\n{found.target} {number(value)}"
                )
            if one.best is not None and one.loss is not None:
                low = float(np.exp(one.loss)) if found.scale == "log" else one.loss
                drawn.axes.plot(
                    [one.best[0]], [low], "|", color=INK, markersize=13, markeredgewidth=1.6
                )
                words = f"best {setting} {number(one.best[0])}"
                drawn.tip(one.best[0], low, f"{label}\n{words}\n{between(one.low[0], one.high[0])}")
        every = np.concatenate([np.exp(one.cell.x[:, 0]) for one in shown])
        losses = np.concatenate([_losses(found, one) for one in shown])
        scale_axis(drawn.axes, "x", every, log=True)
        scale_axis(drawn.axes, "y", losses, log=found.scale == "log")
        drawn.label(setting, found.target)
        drawn.legend(2)
        left = len(found.optima) - len(shown)
        more = f" {left} more cells are in the table." if left else ""
        return picture(
            name,
            f"{found.target} over {setting} in every cell",
            drawn,
            f"Bars mark the lowest point of each curve.{more}",
        )


def drift_picture(name: str, found: Drift) -> Picture | None:
    """The best setting of every cell over the first input of its power law, with intervals."""
    over = found.trend.inputs[0]
    points = [(float(dict(one.cell.fields)[over]), one) for one in found.used if one.best]
    if len(points) < 2:
        return None
    at = next(place for one in found.used for place, _ in enumerate(one.errors))
    with styled():
        drawn = canvas()
        x = np.array([value for value, _ in points])
        best = np.array([one.best[at] for _, one in points if one.best is not None])
        for value, one in points:
            if one.best is None:
                continue
            if np.isfinite(one.high[at]):
                drawn.axes.plot(
                    [value, value], [one.low[at], one.high[at]], color=colour(0), alpha=0.5
                )
            words = (
                f"{conditions(list(one.cell.fields))}\nbest {found.setting} {number(one.best[at])}"
            )
            drawn.tip(value, one.best[at], words)
        drawn.axes.plot(x, best, "o", color=colour(0), markersize=5.5, label="cells")
        if len(found.trend.inputs) == 1:
            grid = np.geomspace(x.min(), x.max(), 40)
            line: list[Any] = [expected(found.trend, {over: value}) for value in grid.tolist()]
            drawn.axes.plot(grid, [one.value for one in line], color=colour(1), label="power law")
            if line[0].low is not None:
                drawn.axes.fill_between(
                    grid, [one.low for one in line], [one.high for one in line],
                    color=colour(1), alpha=0.15, linewidth=0,
                )  # fmt: skip
        scale_axis(
            drawn.axes, "x", x, log=True, at=sorted(set(x.tolist())) if len(set(x)) < 8 else ()
        )
        scale_axis(drawn.axes, "y", best, log=True)
        drawn.label(over, f"best {found.setting}")
        drawn.legend(2)
        return picture(
            name, f"best {found.setting} over {over}", drawn, "Bars and band: 95 % intervals."
        )


def _spread(optima: tuple[Optimum, ...]) -> list[Optimum]:
    """At most so many cells, from the first to the last."""
    if len(optima) <= SHOWN:
        return list(optima)
    places = np.unique(np.linspace(0, len(optima) - 1, SHOWN).astype(np.int64))
    return [optima[place] for place in places.tolist()]


def _losses(found: Tuning, one: Optimum) -> Any:
    return np.exp(one.cell.y) if found.scale == "log" else one.cell.y
