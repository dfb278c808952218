"""The runs of a tuning sweep by cell: what every setting gave, and how noisy one run is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special

from analysis.points import level_of
from analysis.runs import Omitted, Runs, is_number, is_positive
from analysis.tuning.neighbourhood import Noise, smallest_tested
from trainers.schema import InputError

Scale = Literal["log", "plain"]


@dataclass(frozen=True)
class Cell:
    """One cell: the settings tried, and the mean (ln) loss of the replicates of each.

    `x` are natural logs of the settings, `weight` is the number of replicates, or the sum of
    1/error^2 when errors are known; `squares` the sum of squared deviations of the replicates;
    `diverged` the logs of settings of which some run has no usable loss.
    """

    fields: tuple[tuple[str, Any], ...]
    x: Float[np.ndarray, "point axis"]
    y: Float[np.ndarray, " point"]
    weight: Float[np.ndarray, " point"]
    count: Int[np.ndarray, " point"]
    squares: Float[np.ndarray, " point"]
    diverged: Float[np.ndarray, "run axis"]


def cells(
    runs: Runs,
    settings: Sequence[str],
    fields: Sequence[str],
    target: str,
    noise: str | None,
    scale: Scale,
) -> tuple[tuple[Cell, ...], tuple[Omitted, ...]]:
    """The runs by the values of `fields`, in rising order, with the runs that have no usable loss.

    Raises:
        InputError: a column is missing, or a setting is not positive.
    """
    for column in (*fields, target):
        if column not in runs.table.columns:
            raise InputError(f"{column}: expected a column or field of that name, there is none")
    x = np.log(np.stack([runs.numbers(column) for column in settings], axis=1))
    losses = runs.table[target].tolist()
    usable = is_positive if scale == "log" else is_number
    good = np.array([usable(one) for one in losses], dtype=bool)
    keys = [str(key) for key in runs.table.index]
    omitted = tuple(
        Omitted(key, f"{target} is {loss}: diverged or not measured")
        for key, loss, fine in zip(keys, losses, good, strict=True)
        if not fine
    )
    plain = np.array(
        [float(one) if fine else np.nan for one, fine in zip(losses, good, strict=True)]
    )
    y = np.log(plain) if scale == "log" else plain
    weight = np.ones(len(y))
    if noise is not None:
        error = runs.numbers(noise)
        weight = (plain / error) ** 2 if scale == "log" else 1 / error**2
    columns = [runs.table[column].tolist() for column in fields]
    names = [tuple(zip(fields, row, strict=True)) for row in zip(*columns, strict=True)]
    members: dict[tuple[tuple[str, Any], ...], list[int]] = {}
    for place, name in enumerate(names or [()] * len(y)):
        members.setdefault(name, []).append(place)
    made = [
        _cell(name, x, y, weight, good, np.array(members[name]))
        for name in sorted(members, key=_order)
    ]
    return tuple(one for one in made if len(one.y)), omitted


def first_noise(found: Sequence[Cell], known: bool) -> Noise:
    """A variance to choose neighbourhoods by, not moved by a few wild settings."""
    if known:
        return Noise(1.0, math.inf, "the errors that were given")
    repeated = [
        (float(square), int(count) - 1)
        for cell in found
        for square, count in zip(cell.squares, cell.count, strict=True)
        if count > 1
    ]
    if sum(free for _, free in repeated) >= 3:
        return Noise(_median(repeated), float(sum(free for _, free in repeated)), "replicates")
    tested = [smallest_tested(cell.x, cell.y, cell.weight) for cell in found]
    left = [one for one in tested if one is not None]
    return Noise(_median(left), float(sum(free for _, free in left)), "misfits")


def last_noise(
    found: Sequence[Cell],
    used: Sequence[Bool[np.ndarray, " _"]],
    misfits: Sequence[tuple[float, int]],
    first: Noise,
) -> Noise:
    """The variance of one run near the best settings, pooled over cells.

    It is that of replicates of the `used` settings, or else of `misfits`, sums of squares with
    their degrees of freedom.
    """
    if math.isinf(first.spare):
        return first
    pairs = list(misfits)
    if first.source == "replicates":
        pairs = [
            (float(cell.squares[near].sum()), int((cell.count[near] - 1).sum()))
            for cell, near in zip(found, used, strict=True)
        ]
    free = sum(one for _, one in pairs)
    if free == 0:
        return Noise(first.variance, first.spare, _words(first.source))
    return Noise(sum(square for square, _ in pairs) / free, float(free), _words(first.source))


def _words(source: str) -> str:
    if source == "replicates":
        return "replicates of the same settings near the best one"
    return "the misfit of the fitted shapes, as nothing was replicated"


def _median(pairs: Sequence[tuple[float, int]]) -> float:
    """The variance behind sums of squares with their degrees of freedom, by medians."""
    if not pairs:
        return 0.0
    return float(np.median([square / special.chdtri(free, 0.5) for square, free in pairs]))


def _cell(
    fields: tuple[tuple[str, Any], ...],
    x: Float[np.ndarray, "run axis"],
    y: Float[np.ndarray, " run"],
    weight: Float[np.ndarray, " run"],
    good: np.ndarray,
    runs: Int[np.ndarray, " member"],
) -> Cell:
    kept = runs[good[runs]]
    lost = runs[~good[runs]]
    axes = x.shape[1]
    if not len(kept):
        nothing = np.zeros(0)
        none = np.zeros((0, axes))
        return Cell(fields, none, nothing, nothing, np.zeros(0, dtype=np.int64), nothing, x[lost])
    levels = np.stack([level_of(np.exp(column)) for column in x[kept].T], axis=1)
    _, first, place = np.unique(levels, axis=0, return_index=True, return_inverse=True)
    place = place.ravel()
    total = np.bincount(place, weight[kept])
    mean = np.bincount(place, weight[kept] * y[kept]) / total
    squares = np.bincount(place, weight[kept] * (y[kept] - mean[place]) ** 2)
    count = np.bincount(place).astype(np.int64)
    return Cell(fields, x[kept][first], mean, total, count, squares, x[lost])


def _order(fields: tuple[tuple[str, Any], ...]) -> tuple[tuple[bool, float, str], ...]:
    return tuple(
        (not is_number(value), float(value) if is_number(value) else 0.0, str(value))
        for _, value in fields
    )
