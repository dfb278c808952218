"""Which points a backtest fits and which it predicts: scales, and the cuts between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from analysis.points import Pool
from analysis.runs import Runs
from trainers.schema import InputError

SAME_SCALE = 1e-3  # scales whose logarithms differ by less are one: budgets are rounded to batches


@dataclass(frozen=True)
class Cut:
    """Which points are fitted and which are tested; `leaks` says that runs lie on both sides."""

    largest: int
    kept: Bool[np.ndarray, " run"]
    tested: Bool[np.ndarray, " run"]
    reach: float
    leaks: bool


def pooled_runs(runs: Runs, inputs: Sequence[str], target: str, pool: Pool, signed: bool) -> Runs:
    """One row per cell of equal inputs, its target the mean or median of the cell's."""
    measured = runs.numbers(target, positive=not signed)
    if not len(measured):
        return runs
    names = list(dict.fromkeys(inputs))
    levels = np.stack([_levels(runs.numbers(name, positive=False), 1e-9) for name in names])
    _, first, cell = np.unique(levels, axis=1, return_index=True, return_inverse=True)
    table = runs.table.iloc[first].copy()
    table[target] = [
        float(np.mean(one) if pool == "mean" else np.median(one))
        for one in (measured[cell.ravel() == number] for number in range(len(first)))
    ]
    return Runs(table, runs.omitted)


def levels_of(scale: Float[np.ndarray, " run"]) -> Int[np.ndarray, " run"]:
    """The number of each point's scale, counted from the smallest."""
    return _levels(scale, 0.0, SAME_SCALE)


def cut(
    scale: Float[np.ndarray, " run"], cluster: Int[np.ndarray, " run"] | None, largest: int
) -> Cut:
    """Fit all but the `largest` scales, test on them.

    Raises:
        InputError: there are no more scales than are left out.
    """
    level = levels_of(scale)
    top = int(level.max(initial=0))
    if not 1 <= largest <= top:
        raise InputError(f"hold-out: expected 1 to {top} of the {top + 1} scales, got {largest}")
    return between(scale, cluster, level <= top - largest, level > top - largest, largest)


def between(
    scale: Float[np.ndarray, " run"],
    cluster: Int[np.ndarray, " run"] | None,
    below: Bool[np.ndarray, " run"],
    tested: Bool[np.ndarray, " run"],
    largest: int,
) -> Cut:
    """Fit the points `below`, without those of runs that reach beyond them, and test on others."""
    kept = below
    if cluster is not None:
        kept = below & ~np.isin(cluster, cluster[~below])
    leaks = not kept.any()
    kept = below if leaks else kept
    return Cut(largest, kept, tested, float(np.exp(scale[tested].max() - scale[kept].max())), leaks)


def _levels(
    values: Float[np.ndarray, " run"], relative: float, absolute: float = 0.0
) -> Int[np.ndarray, " run"]:
    """Values within a tolerance of the largest of their level are one level."""
    distinct, place = np.unique(values, return_inverse=True)
    number = np.zeros(len(distinct), dtype=np.int64)
    top = np.inf
    count = 0
    for at in range(len(distinct) - 1, -1, -1):
        if top - distinct[at] > absolute + relative * abs(top) or not np.isfinite(top):
            top, count = distinct[at], count + 1
        number[at] = -count
    return number[place.ravel()] + count
