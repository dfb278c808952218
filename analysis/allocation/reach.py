"""Reach: the scale at which a law of one input comes to a target, and the chance that it never does."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from analysis.allocation.ranged import Ranged, brief, document, interval_words, ranged_log
from analysis.allocation.slopes import value_each
from analysis.engine.compiled import Vectors, predict_many
from analysis.finding import Finding
from analysis.fit import Fit
from analysis.judgement.extrapolation import Extrapolation, extrapolation
from analysis.judgement.extrapolation import as_document as extrapolation_document
from analysis.law import Law
from trainers.schema import InputError

AHEAD = 1e9  # times the largest scale of the data: as far as is looked
BACK = 1e3  # times below the smallest
STEPS = 1_000
HALVINGS = 60
SAID = 0.005  # probability from which a number is given
CLOSE = 1e-9  # relative: a scale so near to where the search ended is that end
SURE = 0.05  # probability of an unreachable target from which it is said
FARTHEST = (math.inf, 1e300, 1e100, 1e30)  # places that stand for an endless scale


@dataclass(frozen=True)
class Reach:
    """The scale at which a law first comes to `target`.

    `scale` is None if it does not within `within`. A resample that does not counts as one beyond its
    end. `unreachable` is the share of resamples whose limit at an endless scale, for a loss its
    irreducible part, does not come to the target; `not_within` that of those that do not within
    `within`. `limit` is that of the fit.
    """

    law: str
    input: str
    name: str
    target: float
    scale: Ranged | None
    within: tuple[float, float]
    limit: float | None
    unreachable: float | None
    not_within: float | None
    draws: int
    level: float
    far: Extrapolation | None
    text: str
    warnings: tuple[Finding, ...]


def reach(fitted: Fit, target: float, *, tested: float | None = None) -> Reach:
    """The scale at which the fitted law comes to a target; `tested` is how far backtests reached.

    Whether the law falls or rises towards it is read from its ends.

    Raises:
        InputError: the law has more than one input, or the target is not a number.
    """
    law = fitted.law
    if len(law.inputs) != 1 or not law.inputs[0].positive:
        raise InputError(
            f"law {law.name}: expected a law of one positive input, got {', '.join(law.input_names)}"
        )
    if not math.isfinite(target):
        raise InputError(f"target: expected a number, got {target}")
    name = law.input_names[0]
    within = searched(fitted)
    vectors = np.concatenate([fitted.vector, fitted.draws])
    logs, reached, falling = scales(fitted, vectors, target)
    grid = np.log(within)
    limits = _limits(law, vectors, falling)
    beyond = (limits >= target if falling else limits <= target) & ~reached
    known = ~np.isnan(limits)
    ends = float(grid[0]), float(grid[1])
    scale = ranged_log(fitted, float(logs[0]), logs[1:], ends) if reached[0] else None
    drawn = len(fitted.draws)
    found = Reach(
        law=law.name,
        input=dict(fitted.inputs)[name],
        name=fitted.target,
        target=target,
        scale=scale,
        within=within,
        limit=float(limits[0]) if np.isfinite(limits[0]) else None,
        unreachable=float(beyond[1:][known[1:]].mean()) if known[1:].any() else None,
        not_within=float(1 - reached[1:].mean()) if drawn else None,
        draws=drawn,
        level=fitted.level,
        far=None
        if scale is None
        else extrapolation(law, fitted.points, {name: scale.value}, tested=tested),
        text="",
        warnings=(),
    )
    return replace(found, text=_text(found), warnings=tuple(_warnings(found, falling)))


def searched(fitted: Fit) -> tuple[float, float]:
    """The scales between which a target is looked for: the runs, and far beyond them on both sides."""
    values = fitted.points.values[fitted.law.input_names[0]]
    return float(values.min()) / BACK, float(values.max()) * AHEAD


def scales(
    fitted: Fit, vectors: Vectors, target: float
) -> tuple[Float[np.ndarray, " draw"], Bool[np.ndarray, " draw"], bool]:
    """The ln scale at which each vector of coefficients first comes to a target, and whether it does.

    The last says whether the law falls. A vector that does not come to it has the end of the search.
    """
    low, high = searched(fitted)
    grid = np.linspace(math.log(low), math.log(high), STEPS + 1)
    at = {fitted.law.input_names[0]: np.exp(grid)}
    ends = predict_many(fitted.law, fitted.vector, at)[0, [0, -1]]
    falling = bool(ends[1] < ends[0])
    heights = predict_many(fitted.law, vectors, at)
    return *_first(fitted.law, vectors, target, grid, heights, falling), falling


def as_document(found: Reach) -> dict[str, Any]:
    """A reach as plain data for JSON."""
    return {
        "law": found.law,
        "input": found.input,
        "target": found.target,
        "scale": None if found.scale is None else document(found.scale),
        "within": list(found.within),
        "limit": found.limit,
        "probability_unreachable": found.unreachable,
        "probability_not_within": found.not_within,
        "resamples": found.draws,
        "level": found.level,
        "extrapolation": None if found.far is None else extrapolation_document(found.far),
        "text": found.text,
        "warnings": [{"code": one.code, "text": one.text} for one in found.warnings],
    }


def _first(
    law: Law,
    vectors: Vectors,
    target: float,
    grid: Float[np.ndarray, " scale"],
    heights: Float[np.ndarray, "draw scale"],
    falling: bool,
) -> tuple[Float[np.ndarray, " draw"], Bool[np.ndarray, " draw"]]:
    """The ln scale at which every draw first comes to the target; the end of the grid if it does not."""
    good = heights <= target if falling else heights >= target
    reached = np.asarray(good.any(axis=1), dtype=bool)
    at = np.where(reached, good.argmax(axis=1), len(grid) - 1)
    right, left = grid[at], grid[np.maximum(at - 1, 0)]
    name = law.input_names[0]
    for _ in range(HALVINGS):
        middle = (left + right) / 2
        height = value_each(law, vectors, {name: np.exp(middle)})
        there = height <= target if falling else height >= target
        right, left = np.where(there, middle, right), np.where(there, left, middle)
    return np.where(reached, right, grid[-1]), reached


def _limits(law: Law, vectors: Vectors, falling: bool) -> Float[np.ndarray, " draw"]:
    """What every draw comes to at an endless scale; NaN where that cannot be computed."""
    heights = predict_many(law, vectors, {law.input_names[0]: np.array(FARTHEST)})
    endless = -np.inf if falling else np.inf
    result = np.full(len(vectors), np.nan)
    for height in heights.T[::-1]:
        result = np.where(np.isfinite(height) | (height == endless), height, result)
    return result


def _text(found: Reach) -> str:
    goal = f"{found.name} {brief(found.target)}"
    chance = ""
    if found.unreachable is not None and found.unreachable >= SAID:
        chance = f"; it is never reached in {found.unreachable:.0%} of the resamples"
    if found.scale is not None and found.scale.value <= found.within[0] * (1 + CLOSE):
        return f"{goal} is met at every {found.input} of the runs, and down to {brief(found.within[0])}"
    if found.scale is None:
        limit = "" if found.limit is None else f", the law comes to {found.limit:.4g} at best"
        return f"{goal} is not reached up to {brief(found.within[1])} {found.input}{limit}{chance}"
    known = ""
    if found.draws:
        known = f" ({interval_words(found.scale, *found.within)})"
    return f"{goal} is reached at {found.input} {brief(found.scale.value)}{known}{chance}"


def _warnings(found: Reach, falling: bool) -> Iterator[Finding]:
    if found.scale is None and found.limit is not None:
        never = found.limit >= found.target if falling else found.limit <= found.target
        if never:
            yield Finding(
                "target_beyond_limit",
                f"the target {found.target:.4g} lies {'below' if falling else 'above'} what the law "
                f"comes to, {found.limit:.4g}; no scale reaches it",
            )
    if found.scale is not None and found.scale.value < found.within[0] * BACK * (1 - CLOSE):
        yield Finding(
            "target_met",
            f"the smallest run, {found.input} {brief(found.within[0] * BACK)}, has met "
            f"{found.name} {brief(found.target)} already by this law",
        )
    if found.unreachable is not None and found.scale is not None and found.unreachable >= SURE:
        yield Finding(
            "target_may_be_unreachable",
            f"in {found.unreachable:.0%} of the resamples no scale reaches {found.target:.4g}; runs "
            "nearer to the limit would settle it",
        )
    if not found.draws:
        yield Finding("no_interval", "there are no resamples, so the scale has no interval")
    if found.far is not None:
        yield from found.far.warnings
