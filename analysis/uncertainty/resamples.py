"""Bootstrap resamples of a fit, as weights or as measurements; each is one problem of the solver.

Sources: Efron and Tibshirani 1993, An Introduction to the Bootstrap; Wu 1986, Jackknife, bootstrap and
other resampling methods in regression analysis (wild).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from analysis.points import Points, Pool, pooled
from trainers.schema import InputError

Resample = Literal[
    "auto", "rows", "clusters", "replicates", "residual", "wild", "counts", "covariance"
]
RESAMPLES: tuple[Resample, ...] = get_args(Resample)

MANY_ROWS, MANY_NUMBERS = 20_000, 20_000_000  # beyond: coefficients from their covariance
MOST_NUMBERS = 100_000_000  # of all resamples that are asked for: more would not fit the memory


@dataclass(frozen=True)
class Resamples:
    """Weights or measurements of every resample, and in words what was drawn again."""

    weight: Float[np.ndarray, "draw run"] | None
    measured: Float[np.ndarray, "draw run"] | None
    drawn: str


def chosen(on: Points, pool: Pool, kind: Resample, count: int) -> Resample:
    """What to draw again: what was asked for, or for "auto" what varied.

    That is replicates where every cell has at least two of them, whole clusters where rows have one,
    and else rows; with very many rows the coefficients, from their covariance.

    Raises:
        InputError: what was asked for cannot be drawn from these points.
    """
    if kind == "auto":
        if _replicated(on, pool):
            return "replicates"
        if len(on) > MANY_ROWS or len(on) * count > MANY_NUMBERS:
            return "covariance"
        return "rows" if on.cluster is None else "clusters"
    if kind not in RESAMPLES:
        raise InputError(f"resample: expected one of {', '.join(RESAMPLES)}, got {kind!r}")
    if kind != "covariance" and len(on) * count > MOST_NUMBERS:
        raise InputError(
            f"resample: expected at most {max(2, MOST_NUMBERS // len(on)):,} resamples of "
            f"{len(on):,} rows, got {count:,}; covariance takes any number"
        )
    if kind == "clusters" and on.cluster is None:
        raise InputError("resample: expected a column of clusters to draw clusters")
    if kind == "replicates" and not _replicated(on, pool):
        raise InputError(
            "resample: expected pooled cells of at least two replicates each to draw replicates"
        )
    if kind == "counts" and on.counts is None:
        raise InputError("resample: expected a column of counts to draw counts")
    if kind in ("residual", "wild"):
        if on.counts is not None:
            raise InputError(f"resample: expected counts, rows or clusters, got {kind} of shares")
        if on.censored is not None and on.censored.any():
            raise InputError(f"resample: expected rows or clusters, got {kind} of censored rows")
    return kind


def resamples(on: Points, pool: Pool, kind: Resample, count: int, seed: int) -> Resamples:
    """Draw again what was measured: replicates within cells, whole clusters, or rows.

    `seed` feeds numpy's legacy generator, so that published bootstraps can be repeated draw by draw.

    Raises:
        InputError: what was asked for cannot be drawn from the points alone.
    """
    generator = np.random.RandomState(seed)
    match chosen(on, pool, kind, 1):
        case "replicates":
            return Resamples(
                None, _redrawn(on, pool, generator, count), "the replicates within each cell"
            )
        case "clusters" if on.cluster is not None:
            sizes = int(on.cluster.max()) + 1
            counts = _counts(generator.randint(0, sizes, (count, sizes)), sizes)
            return Resamples(counts[:, on.cluster], None, "whole clusters")
        case "rows" | "covariance":
            counts = _counts(generator.randint(0, len(on), (count, len(on))), len(on))
            return Resamples(counts, None, "rows" if pool == "none" else "cells")
        case other:
            raise InputError(f"resample: expected rows, clusters or replicates, got {other}")


def residual_errors(
    errors: Float[np.ndarray, " run"], sharp: bool, count: int, seed: int
) -> Float[np.ndarray, "draw run"]:
    """Errors for every row, drawn from those of all rows after these are centred.

    The centre is the mean, or the median under a `sharp` objective, which fits medians.
    """
    generator = np.random.RandomState(seed)
    centre = float(np.median(errors) if sharp else errors.mean())
    return (errors - centre)[generator.randint(0, len(errors), (count, len(errors)))]


def wild_errors(
    errors: Float[np.ndarray, " run"],
    cluster: Int[np.ndarray, " run"] | None,
    count: int,
    seed: int,
) -> Float[np.ndarray, "draw run"]:
    """Every row's own error with a random sign: one sign for a row, or for a whole cluster.

    Signs of Rademacher, +1 or -1 with equal chance, keep the size of the noise of each row.
    """
    generator = np.random.RandomState(seed)
    groups = np.arange(len(errors)) if cluster is None else cluster
    signs = 2.0 * generator.randint(0, 2, (count, int(groups.max()) + 1)) - 1.0
    return errors * signs[:, groups]


def redrawn_successes(
    rate: Float[np.ndarray, " run"], counts: Float[np.ndarray, " run"], draws: int, seed: int
) -> Float[np.ndarray, "draw run"]:
    """Numbers of successes of every row, from the binomial distribution of its fitted rate."""
    generator = np.random.RandomState(seed)
    trials = np.maximum(np.rint(counts), 1).astype(np.int64)
    drawn = generator.binomial(trials, np.clip(rate, 0.0, 1.0), (draws, len(rate)))
    return drawn * (counts / trials)


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


def _replicated(on: Points, pool: Pool) -> bool:
    return pool != "none" and min(map(len, on.replicates)) > 1


def _redrawn(
    on: Points, pool: Pool, generator: np.random.RandomState, count: int
) -> Float[np.ndarray, "draw run"]:
    """Every cell's pooled measurement, after drawing its replicates again."""
    columns = []
    for losses in on.replicates:
        drawn = generator.randint(0, len(losses), (count, len(losses)))
        columns.append(pooled(pool, losses[drawn]))
    return np.stack(columns, axis=1)


def _counts(drawn: Int[np.ndarray, "draw run"], size: int) -> Float[np.ndarray, "draw run"]:
    """How often each of `size` things was drawn."""
    shifted = drawn + size * np.arange(len(drawn))[:, None]
    counts = np.bincount(shifted.ravel(), minlength=size * len(drawn))
    return counts.reshape(len(drawn), size).astype(np.float64)
