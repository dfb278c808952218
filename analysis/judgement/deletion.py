"""Which rows to leave out together: outliers, the extremes among them, and those that move a fit."""

import itertools
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

from analysis.engine.compiled import Vectors
from analysis.engine.refit import Setup, misfit, refit, refit_each
from analysis.law import Law
from analysis.points import Points, check_design, level_of
from trainers.schema import InputError

OUTLYING = 5.0  # robust standard deviations beyond which a row is an outlier
NORMAL = 0.6745  # the median of the absolute value of a standard normal number
ROUNDS = 10
MOST = 0.2  # more outliers than this share of the rows are no group but heavy tails
TRIED, LOUDEST = 30, 10  # rows that are tried at each step of the search for a set

Rows = Bool[np.ndarray, " run"]


def noise_of(of: Setup) -> Float[np.ndarray, " run"]:
    """What the residual of every row is divided by."""
    relative = of.surface.relative
    return np.ones(len(of.points)) if relative is None else relative


def determined(law: Law, on: Points, kept: Rows) -> bool:
    """Whether the rows that are kept can determine the law, with one to spare."""
    try:
        check_design(law, on.part(kept))
    except InputError:
        return False
    return int(kept.sum()) > len(law.coefficients)


def outliers(of: Setup, vector: Vectors) -> Rows:
    """Rows that lie far from the law that is fitted without them.

    Rows beyond 5 robust standard deviations are left out and the rest is fitted again, until the
    same rows are left out twice: so a group that pulls the law towards itself is found as a whole.
    """
    size, count = len(of.law.coefficients), len(of.points)
    out = np.zeros(count, dtype=bool)
    if of.objective.kind == "binomial" or count <= 2 * size:
        return out
    best = vector
    for _ in range(ROUNDS):
        residual = np.abs(misfit(of, best)[0]) / noise_of(of)
        # A law passes through as many rows as it has coefficients: these say nothing of the spread.
        spread = float(np.median(np.sort(residual)[size:])) / NORMAL
        spread = max(spread, float(np.sqrt(of.surface.rounding)) * 1e4)
        found = residual > OUTLYING * spread
        if found.mean() > MOST or not determined(of.law, of.points, ~found):
            return np.zeros(count, dtype=bool)
        if (found == out).all():
            break
        out = found
        best = refit(of, vector, weight=(~out).astype(np.float64)[None]).vectors
    return out


def extremes(of: Setup, target: str, out: Rows) -> Iterator[tuple[str, Rows]]:
    """Outliers that are the largest or the smallest of their kind, at least two of them.

    A kind is the target, an input, or the ratio of two inputs; rows of equal value go together.
    """
    if not out.any():
        return
    on = of.points
    kinds = {target: on.measured, **on.values}
    positive = [one.name for one in of.law.inputs if one.positive]
    for first, second in itertools.combinations(positive, 2):
        kinds[f"{second} / {first}"] = on.values[second] / on.values[first]
    for name, values in kinds.items():
        level = level_of(values)
        whole = np.bincount(level[out], minlength=level.max() + 1) == np.bincount(level)
        top = len(whole) - int(np.argmin(whole[::-1])) if not whole.all() else 0
        bottom = int(np.argmin(whole)) if not whole.all() else 0
        for word, rows in (("largest", level >= top), ("smallest", level < bottom)):
            if rows.sum() > 1:
                yield f"with the {word} {name}", rows


def moving_set(
    of: Setup,
    vector: Vectors,
    column: int,
    shift: Float[np.ndarray, " run"],
    count: int,
) -> Rows:
    """The few rows without which a coefficient changes most, found one after another.

    `shift` is the change without each single row. Upwards and downwards are both tried; after each
    row the law is fitted anew, since rows can hide each other. Source: Huang et al. 2024,
    arXiv:2408.09008 (the recursive greedy algorithm).
    """
    found = [_pushed(of, vector, column, sign * shift, sign, count) for sign in (1.0, -1.0)]
    return max(found, key=lambda one: one[1])[0]


def _pushed(
    of: Setup,
    vector: Vectors,
    column: int,
    gain: Float[np.ndarray, " run"],
    sign: float,
    count: int,
) -> tuple[Rows, float]:
    """The rows without which a coefficient moves most in one direction, and how far."""
    gain = np.where(np.isfinite(gain), gain, -np.inf)
    out = np.zeros(len(of.points), dtype=bool)
    best, far = vector, 0.0
    for _ in range(count):
        loud = np.argsort(-np.abs(misfit(of, best)[0]) / noise_of(of), kind="stable")[:LOUDEST]
        tried = np.union1d(np.argsort(-gain, kind="stable")[:TRIED], loud)
        tried = tried[~out[tried]]
        weight = np.repeat((~out).astype(np.float64)[None], len(tried), axis=0)
        weight[np.arange(len(tried)), tried] = 0
        found = refit_each(of, np.repeat(best, len(tried), axis=0), weight=weight)
        moved = sign * (found.vectors[:, column] - vector[0, column])
        for place in np.argsort(-moved, kind="stable"):
            if determined(of.law, of.points, weight[place] > 0):
                out[tried[place]], best = True, found.vectors[[place]]
                far = float(moved[place])
                break
        else:
            break
        gain[tried] = moved
    return out, far
