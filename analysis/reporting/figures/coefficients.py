"""Figures of coefficients: the profile of one, and two that trade off over the resamples."""

import numpy as np
from jaxtyping import Float

from analysis.reporting.figures.canvas import MANY, canvas, picture, plain, styled
from analysis.reporting.figures.colours import COLOURS, INK, SOFT
from analysis.reporting.sections import Picture
from analysis.summary import number

Vector = Float[np.ndarray, " point"]


def profile_picture(
    name: str,
    coefficient: str,
    values: Vector,
    rise: Vector,
    best: float,
    *,
    threshold: float | None = None,
    low: float | None = None,
    high: float | None = None,
    rise_words: str = "rise of the objective",
) -> Picture:
    """How much worse the best fit gets when one coefficient is held at other values.

    `rise` is at least zero; where it passes `threshold` the interval `low` to `high` ends.
    """
    finite = rise[np.isfinite(rise)]
    top = float(finite.max()) if len(finite) else 1.0
    if threshold is not None:
        top = min(top, 6 * threshold) if top > threshold else 1.3 * threshold
    unit = 10.0 ** np.floor(np.log10(top)) if 0 < top < 1e-2 else 1.0
    with styled():
        drawn = canvas()
        drawn.axes.plot(values, rise / unit, color=COLOURS[0], linewidth=1.8)
        if threshold is not None:
            drawn.axes.axhline(threshold / unit, color=SOFT, linewidth=1.0, linestyle="--")
            drawn.axes.annotate(
                "interval ends", (best, threshold / unit), xytext=(-4, 3),
                textcoords="offset points", ha="right", color=SOFT, fontsize=8.5,
            )  # fmt: skip
        if low is not None or high is not None:
            inside = (values >= (low if low is not None else -np.inf)) & (
                values <= (high if high is not None else np.inf)
            )
            drawn.axes.fill_between(
                values,
                0,
                rise / unit,
                where=inside.tolist(),
                color=COLOURS[0],
                alpha=0.15,
                linewidth=0,
            )
        drawn.axes.axvline(best, color=INK, linewidth=1.0)
        drawn.axes.set_ylim(0, 1.05 * top / unit or 1.0)
        for value, up in zip(values.tolist(), rise.tolist(), strict=True):
            drawn.tip(value, up / unit, f"{coefficient} {number(value)}\n{rise_words} {number(up)}")
        drawn.label(coefficient, rise_words if unit == 1.0 else f"{rise_words} / {unit:.0e}")
        open_ends = threshold is not None and len(finite) > 0 and (
            rise[0] < threshold or rise[-1] < threshold
        )  # fmt: skip
        words = "A curve that stays flat says that the runs do not determine this coefficient."
        return picture(
            name,
            f"profile of {coefficient}",
            drawn,
            f"{words} It stays below the line at an end shown: the interval is open there."
            if open_ends
            else words,
        )


def tradeoff_picture(
    name: str,
    first: str,
    second: str,
    draws: Float[np.ndarray, "draw 2"],
    best: tuple[float, float],
) -> Picture:
    """Two coefficients over the resamples of a fit; along a narrow cloud one stands for the other."""
    together = float(np.corrcoef(draws.T)[0, 1])
    with styled():
        drawn = canvas()
        drawn.axes.plot(
            draws[:, 0], draws[:, 1], "o", markersize=2.6, color=COLOURS[0], alpha=0.3,
            markeredgewidth=0, label="resamples", rasterized=len(draws) > MANY,
        )  # fmt: skip
        drawn.axes.plot(*best, "D", markersize=7, color=COLOURS[1], label="the fit")
        for place, column in enumerate(draws.T):
            low, high = np.percentile(column, [0.5, 99.5])
            room = 0.08 * (high - low) or 1.0
            (drawn.axes.set_ylim if place else drawn.axes.set_xlim)(low - room, high + room)
        drawn.tip(*best, f"the fit\n{first} {number(best[0])}, {second} {number(best[1])}")
        drawn.axes.annotate(
            plain(f"correlation {together:.2f}"), (0.98, 0.97), xycoords="axes fraction",
            ha="right", va="top", color=SOFT, fontsize=9,
        )  # fmt: skip
        drawn.label(first, second)
        drawn.legend(columns=2)
        return picture(
            name,
            f"{first} against {second} over the resamples",
            drawn,
            f"Along the cloud another {first} is made up for by another {second}. "
            "The outermost 1 % of the resamples is not shown.",
        )
