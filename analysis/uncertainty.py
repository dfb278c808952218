"""Bootstrap resamples of a fit, as weights or as losses; each is one problem of the solver.

Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 6, 8 and 13.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from analysis.points import Points, Pool, pooled

Resample = Literal["auto", "rows", "clusters", "replicates", "residual", "wild"]


@dataclass(frozen=True)
class Resamples:
    """Weights or measurements of every resample, and in words what was drawn again."""

    weight: Float[np.ndarray, "draw run"] | None
    measured: Float[np.ndarray, "draw run"] | None
    drawn: str


def resamples(on: Points, pool: Pool, kind: Resample, count: int, seed: int) -> Resamples:
    """Draw again what varied: replicates within cells, whole clusters, or else rows.

    Replicates are drawn when every cell has at least two of them; `seed` feeds numpy's legacy
    generator, so that published bootstraps can be repeated draw by draw.
    """
    del kind
    generator = np.random.RandomState(seed)
    if pool != "none" and min(map(len, on.replicates)) > 1:
        return Resamples(
            None, _redrawn(on, pool, generator, count), "the replicates within each cell"
        )
    if on.cluster is not None:
        sizes = int(on.cluster.max()) + 1
        counts = _counts(generator.randint(0, sizes, (count, sizes)), sizes)
        return Resamples(counts[:, on.cluster], None, "whole clusters")
    counts = _counts(generator.randint(0, len(on), (count, len(on))), len(on))
    return Resamples(counts, None, "rows" if pool == "none" else "cells")


def usable(
    on: Points, weight: Float[np.ndarray, "draw run"], least: dict[str, int], size: int
) -> Bool[np.ndarray, " draw"]:
    """Which resamples still hold `size` different points and the least levels of every input."""
    present = weight > 0
    good = present.sum(axis=1) >= size
    for name, levels in least.items():
        number = on.levels(name)
        member = (number[:, None] == np.arange(number.max() + 1)).astype(np.float64)
        good &= ((present @ member) > 0).sum(axis=1) >= levels
    return good


def interval(
    draws: Float[np.ndarray, "draw *columns"], level: float = 0.95
) -> tuple[Float[np.ndarray, "*columns"], Float[np.ndarray, "*columns"]]:
    """The percentile interval over draws."""
    low, high = np.percentile(draws, [50 * (1 - level), 50 * (1 + level)], axis=0)
    return low, high


def _redrawn(
    on: Points, pool: Pool, generator: np.random.RandomState, count: int
) -> Float[np.ndarray, "draw run"]:
    """Every cell's pooled measurement, after drawing its replicates again."""
    columns = []
    for losses in on.replicates:
        chosen = generator.randint(0, len(losses), (count, len(losses)))
        columns.append(pooled(pool, losses[chosen]))
    return np.stack(columns, axis=1)


def _counts(drawn: Int[np.ndarray, "draw run"], size: int) -> Float[np.ndarray, "draw run"]:
    """How often each of `size` things was drawn."""
    shifted = drawn + size * np.arange(len(drawn))[:, None]
    counts = np.bincount(shifted.ravel(), minlength=size * len(drawn))
    return counts.reshape(len(drawn), size).astype(np.float64)
