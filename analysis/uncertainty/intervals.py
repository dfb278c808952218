"""From draws to intervals: percentiles, moved for bias and widened for few rows where that is due.

Sources: Efron and Tibshirani 1993, An Introduction to the Bootstrap (percentiles, bias correction);
Hesterberg 2015, What teachers should know about the bootstrap, The American Statistician 69 (the
percentile interval is too narrow for small samples: n draws of n vary too little, and it knows no
Student t).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy import special

IntervalKind = Literal[
    "none",
    "percentile",
    "widened percentile",
    "bias-corrected percentile",
    "widened bias-corrected percentile",
]

ENOUGH = 40  # rows per coefficient from which neither correction is made
MOST_BIAS = 0.5  # of the half width: by more than that no interval is moved


@dataclass(frozen=True)
class Reading:
    """How draws are read as an interval.

    `corrected` moves the percentiles by the share of draws below the estimate; with `degrees` they are
    taken as far out as Student's t is, times `stretch`.
    """

    corrected: bool = False
    degrees: int | None = None
    stretch: float = 1.0

    @property
    def kind(self) -> IntervalKind:
        """What a reader is told."""
        if self.corrected:
            if self.degrees is None:
                return "bias-corrected percentile"
            return "widened bias-corrected percentile"
        return "percentile" if self.degrees is None else "widened percentile"

    def reach(self, level: float) -> float:
        """How many standard errors of a normal distribution the percentiles lie apart from 0."""
        half = (1 + level) / 2
        if self.degrees is None:
            return float(special.ndtri(half))
        return float(special.stdtrit(self.degrees, half)) * self.stretch


PLAIN = Reading()
"""Percentiles as they are."""


def of_rows(rows: int, size: int, sharp: bool) -> Reading:
    """How draws of rows are read.

    A sharp objective is like a median: its resamples scatter more than itself in small samples, which
    makes up for what widening would give, while their centre is off.
    """
    if rows >= ENOUGH * size or rows <= size:
        return PLAIN
    if sharp:
        return Reading(corrected=True)
    return Reading(True, rows - size, float(np.sqrt(rows / (rows - size))))


def of_clusters(clusters: int) -> Reading:
    """How draws of signs of whole clusters are read."""
    if clusters < 2:
        return PLAIN
    return Reading(False, clusters - 1, float(np.sqrt(clusters / (clusters - 1))))


def of_replicates(replicates: int, cells: int) -> Reading:
    """How means of replicates drawn within cells are read: of n, they vary too little by (n - 1) / n."""
    spare = replicates - cells
    return Reading(False, spare, float(np.sqrt(replicates / spare)))


def of_residuals(rows: int, size: int) -> Reading:
    """How draws of residuals are read, once they are freed of leverage."""
    if rows <= size:
        return PLAIN
    return Reading(False, rows - size, float(np.sqrt(rows / (rows - size))))


def ends(
    draws: Float[np.ndarray, "draw *columns"],
    centre: Float[np.ndarray, "*columns"],
    level: float = 0.95,
    reading: Reading = PLAIN,
) -> tuple[Float[np.ndarray, "*columns"], Float[np.ndarray, "*columns"]]:
    """The interval that draws give; `centre` is the estimate itself."""
    reach = reading.reach(level)
    if not reading.corrected:
        low, high = np.percentile(draws, 100 * special.ndtr([-reach, reach]), axis=0)
        return np.asarray(low), np.asarray(high)
    below = (draws < centre).mean(axis=0) + (draws == centre).mean(axis=0) / 2
    with np.errstate(divide="ignore"):
        bias = np.clip(special.ndtri(below), -MOST_BIAS * reach, MOST_BIAS * reach)
    ordered = np.sort(draws, axis=0)
    return (
        _quantile(ordered, np.asarray(special.ndtr(2 * bias - reach))),
        _quantile(ordered, np.asarray(special.ndtr(2 * bias + reach))),
    )


def interval(
    draws: Float[np.ndarray, "draw *columns"], level: float = 0.95
) -> tuple[Float[np.ndarray, "*columns"], Float[np.ndarray, "*columns"]]:
    """The percentile interval over draws."""
    low, high = np.percentile(draws, [50 * (1 - level), 50 * (1 + level)], axis=0)
    return np.asarray(low), np.asarray(high)


def named(kind: IntervalKind, level: float, draws: int, drawn: str) -> str:
    """What an interval is and rests on: `95 % percentile interval over 1,000 resamples of rows`."""
    if kind == "none":
        return "no interval"
    # Draws of coefficients are no resamples of anything that was measured.
    what = "draws" if drawn.startswith("coefficients") else "resamples"
    return f"{100 * level:g} % {kind} interval over {draws:,} {what} of {drawn}"


def _quantile(
    ordered: Float[np.ndarray, "draw *columns"], share: Float[np.ndarray, "*columns"]
) -> Float[np.ndarray, "*columns"]:
    """A quantile of each column of ordered draws, between two draws by linear interpolation."""
    place = np.asarray(share * (len(ordered) - 1))
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, len(ordered) - 1)
    left, right = (np.take_along_axis(ordered, one[None], axis=0)[0] for one in (below, above))
    return np.asarray(left + (place - below) * (right - left))
