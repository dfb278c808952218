"""Figure of a reach: the runs, the law with its band, and where it comes to the target."""

import numpy as np

from analysis.allocation.ranged import brief
from analysis.allocation.reach import Reach
from analysis.fit import Fit, band, predict_fit
from analysis.reporting.figures.canvas import canvas, colour, picture, scale_axis, short, styled
from analysis.reporting.figures.colours import INK, PAPER
from analysis.reporting.figures.words import target_words
from analysis.reporting.sections import Picture

ROOM = 2.0  # times beyond the scale that is shown
OPEN = 10.0  # times beyond a scale whose interval has no end
POINTS = 200


def reach_picture(name: str, fitted: Fit, found: Reach, unit: str = "") -> Picture | None:
    """The law up to the scale of the target, or to the end of its interval; None without a scale."""
    if found.scale is None:
        return None
    (only,) = fitted.law.input_names
    seen, measured = fitted.points.values[only], fitted.points.measured
    far = found.scale.high if found.scale.high is not None else OPEN * found.scale.value
    # An endless interval is cut, so that the runs can still be seen.
    far = min(max(far, float(seen.max())), 100 * max(found.scale.value, float(seen.max()))) * ROOM
    x = np.geomspace(min(float(seen.min()), found.scale.value), far, POINTS)
    law, spread = predict_fit(fitted, {only: x}), band(fitted, {only: x})
    with styled():
        drawn = canvas()
        axes = drawn.axes
        heights = np.concatenate([measured, law, [found.target]])
        finite = heights[np.isfinite(heights)]
        scale_axis(axes, "x", x, log=True)
        wide = bool((finite > 0).all() and finite.max() > 1.5 * finite.min())
        scale_axis(axes, "y", finite, log=wide)
        inside = x <= seen.max()
        if spread is not None:
            axes.fill_between(x, *spread, color=colour(0), alpha=0.18, linewidth=0)
        axes.plot(x[inside], law[inside], color=colour(0), label="law")
        axes.plot(x[~inside], law[~inside], "--", color=colour(0))
        axes.plot(seen, measured, "o", color=colour(0), markeredgecolor=PAPER, markersize=5)
        axes.axhline(found.target, color=INK, linewidth=0.9, linestyle=(0, (2, 3)))
        low, high = found.scale.low, found.scale.high
        if low is not None or high is not None:
            ends = [x[0] if low is None else low, x[-1] if high is None else min(high, x[-1])]
            axes.plot(ends, [found.target] * 2, color=colour(1), linewidth=2.4, label="interval")
            for end, place, arrow in ((low, ends[0], "<"), (high, ends[1], ">")):
                if end is None or end > x[-1]:
                    axes.plot([place], [found.target], arrow, color=colour(1), markersize=8)
        axes.plot([found.scale.value], [found.target], "o", color=colour(1), markeredgecolor=PAPER)
        drawn.tip(found.scale.value, found.target, found.text)
        drawn.label(short(found.input), target_words(fitted, unit))
        drawn.legend(columns=2)
        return picture(
            name,
            f"{found.name} comes to {brief(found.target)} at {found.input} {brief(found.scale.value)}",
            drawn,
            f"Dotted: the target. Dashed: beyond the runs. Shaded: {fitted.level:.0%} interval of the law. "
            "Dot and bar: the scale with its interval"
            + ("." if high is not None and high <= x[-1] else ", which goes on beyond the arrow."),
        )
