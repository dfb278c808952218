"""Figure of a crossover: two groups of runs, the law of each, and where the two laws meet."""

import numpy as np
from jaxtyping import Float

from analysis.fit import Fit, band, predict_fit
from analysis.judgement.between_groups import COMPUTE, Groups, scale_along
from analysis.reporting.figures.canvas import (
    MANY,
    canvas,
    colour,
    marker,
    picture,
    plain,
    scale_axis,
    short,
    styled,
)
from analysis.reporting.figures.colours import INK, PAPER, SOFT
from analysis.reporting.figures.words import misfit_words, place_words, target_words
from analysis.reporting.sections import Picture
from analysis.summary import number

FARTHEST = 30.0  # times the largest scale of the data: as far as the figure reaches
ROOM = 2.0  # times beyond the crossing
POINTS = 160


def crossing_picture(name: str, found: Groups, unit: str = "") -> Picture:
    """Both laws along the scale, solid within the runs and dashed beyond, and where they cross."""
    crossing = found.found
    low, high = crossing.inside
    far = high if crossing.scale is None else max(high, ROOM * crossing.scale)
    scale = np.geomspace(
        low if crossing.scale is None else min(low, crossing.scale / ROOM),
        min(far, FARTHEST * high),
        POINTS,
    )
    at = found.path(scale)
    laws = [predict_fit(one, at) for one in found.fits]
    moved = [_moved(one, found) for one in found.fits]
    with styled():
        drawn = canvas(3.7)
        axes = drawn.axes
        heights = np.concatenate([*laws, *moved])
        heights = heights[np.isfinite(heights)]
        scale_axis(axes, "x", scale, log=True)
        wide = bool((heights > 0).all() and heights.max() > 1.5 * heights.min())
        scale_axis(axes, "y", heights, log=wide)
        if crossing.scale is not None and scale[0] <= crossing.scale <= scale[-1]:
            ends = (crossing.low or scale[0], crossing.high or scale[-1])
            axes.axvspan(
                max(ends[0], scale[0]), min(ends[1], scale[-1]), color=SOFT, alpha=0.15,
                linewidth=0, label="95 % interval of the crossing",
            )  # fmt: skip
            axes.axvline(crossing.scale, color=INK, linewidth=1.1)
        for place, (one, law, label) in enumerate(zip(found.fits, laws, found.names, strict=True)):
            paint = colour(place)
            spread = band(one, at)
            if spread is not None:
                axes.fill_between(scale, *spread, color=paint, alpha=0.16, linewidth=0)
            within = (scale >= low) & (scale <= high)
            axes.plot(scale, law, "--", color=paint, linewidth=1.2)
            axes.plot(scale[within], law[within], color=paint, linewidth=1.9)
            x = scale_along(one.points.values, found.along)
            axes.plot(
                x, moved[place], marker(place), linestyle="none", markersize=5, color=paint,
                markeredgecolor=PAPER, markeredgewidth=0.5, rasterized=one.rows > MANY,
                label=plain(short(label, 30)),
            )  # fmt: skip
            own = predict_fit(one, one.points.values)

            def say(row: int, one: Fit = one, label: str = label, own: np.ndarray = own) -> str:
                words = misfit_words(one, row, own.item(row))
                return f"{label}: {place_words(one, row)}\n{words}"

            drawn.tips(x, moved[place], np.abs(one.points.measured - own), say)
        drawn.label(along_words(found), target_words(found.fits[0], unit))
        drawn.legend(columns=2)
        return picture(
            name,
            f"{found.fits[0].target} of {found.names[0]} and {found.names[1]} along {found.along}",
            drawn,
            _caption(found),
        )


def along_words(found: Groups) -> str:
    """The name of the scale."""
    if found.along == COMPUTE:
        return "compute (6 × params × tokens, FLOPs)"
    return short(dict(found.fits[0].inputs)[found.along])


def _moved(one: Fit, found: Groups) -> Float[np.ndarray, " run"]:
    """The runs, moved along the law to where the other inputs are held."""
    if not found.held:
        return one.points.measured
    at = found.path(scale_along(one.points.values, found.along))
    law, there = predict_fit(one, one.points.values), predict_fit(one, at)
    if (law > 0).all() and (there > 0).all():
        return one.points.measured * there / law
    return one.points.measured + there - law


def _caption(found: Groups) -> str:
    words = "Dashed: beyond the runs"
    if found.held:
        kept = ", ".join(f"{name} {number(value)}" for name, value in found.held)
        words += f". Runs are moved along their law to {kept}"
    return f"{words}. Bands: {100 * found.fits[0].level:g} % intervals of the laws."
