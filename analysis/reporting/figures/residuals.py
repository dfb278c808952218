"""The residuals of a fit against its fitted values, with every run's name on hover."""

from collections.abc import Sequence

import numpy as np

from analysis.fit import Fit, predict_fit
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
from analysis.reporting.figures.words import misfit_words, place_words
from analysis.reporting.sections import Picture


def residual_picture(name: str, fitted: Fit, names: Sequence[str] = (), unit: str = "") -> Picture:
    """Measured less fitted against fitted; in per cent where the fit is of logarithms.

    `names` are those of the runs, one for each row of the fit.
    """
    law = predict_fit(fitted, fitted.points.values)
    measured = fitted.points.measured
    relative = fitted.objective_used.residual == "log" and bool((law > 0).all())
    apart = 100 * (measured / law - 1) if relative else measured - law
    censored = (
        np.zeros(len(law), bool) if fitted.points.censored is None else fitted.points.censored
    )
    middle = float(np.median(np.abs(apart[~censored]))) if (~censored).any() else 0.0
    with styled():
        drawn = canvas()
        wide = bool(law.min() > 0 and law.max() > 1.5 * law.min())
        scale_axis(drawn.axes, "x", law, log=wide)
        drawn.axes.axhline(0.0, color=INK, linewidth=1.0)
        if middle:
            drawn.axes.axhspan(
                -middle, middle, color=COLOURS[0], alpha=0.1, linewidth=0,
                label=plain(f"half of the runs lie within {middle:.2g}{' %' if relative else ''}"),
            )  # fmt: skip
        for chosen, marker, face, edge, label in (
            (~censored, "o", COLOURS[0], PAPER, None),
            (censored, "^", "none", COLOURS[1], "ended before it was seen: at least this"),
        ):
            if chosen.any():
                drawn.axes.plot(
                    law[chosen], apart[chosen], linestyle="none", marker=marker, markersize=4.6,
                    markerfacecolor=face, markeredgecolor=edge, alpha=0.85, label=label,
                    markeredgewidth=0.5 if edge == PAPER else 1.2,
                    rasterized=int(chosen.sum()) > MANY,
                )  # fmt: skip

        def say(at: int) -> str:
            return f"{place_words(fitted, at, names)}\n{misfit_words(fitted, at, law.item(at))}"

        drawn.tips(law, apart, np.abs(apart), say)
        units = f" ({short(unit)})" if unit else ""
        drawn.label(
            f"fitted {fitted.target}{units}",
            "measured less fitted, %" if relative else f"measured less fitted{units}",
        )
        drawn.legend()
        return picture(
            name,
            f"residuals of {fitted.law.name} against fitted {fitted.target}",
            drawn,
            "A pattern that bends or fans out says that another form, or weights, would fit better.",
        )
