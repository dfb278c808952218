"""Extrapolation: how far a place lies from the data, by each input and all together, in words."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from analysis.finding import Finding
from analysis.judgement.holdout import Backtest
from analysis.law import Law
from analysis.points import Points
from trainers.schema import InputError

NEAR = 1e-9  # relative difference of values that are the same
FLAT = 1e-12  # share of the largest variance, below which inputs only ever moved together


@dataclass(frozen=True)
class Beyond:
    """One input of a place: [low, high] is its range in the data.

    `distance` is how far the value lies beyond that range (above it, or, if negative, below it), in
    natural-log units for a positive input and else as it is; `share` is that over the length of the
    range, None where it has none.
    """

    name: str
    value: float
    low: float
    high: float
    distance: float
    share: float | None


@dataclass(frozen=True)
class Extrapolation:
    """How far a place lies from the data.

    `factor` is its scale (the product of its positive inputs, for sizes and tokens compute) over the
    largest in the data, `tested` the largest such factor that a backtest reached. `mahalanobis` is
    the distance from the middle of the data in standard deviations of the log inputs, `farthest` that
    of the farthest row; None where the inputs of the data only ever moved together and the place
    departs from that.
    """

    inputs: tuple[Beyond, ...]
    factor: float | None
    tested: float | None
    mahalanobis: float | None
    farthest: float
    text: str
    warnings: tuple[Finding, ...]

    @property
    def inside(self) -> bool:
        """Whether nothing about the place lies beyond the data."""
        return not self.warnings


def reached(tests: Sequence[Backtest]) -> float | None:
    """The farthest that backtests predicted beyond the largest fitted scale, as a factor."""
    return max((one.reach for one in tests if one.points), default=None)


def extrapolation(
    law: Law,
    on: Points,
    place: Mapping[str, float],
    *,
    tested: float | None = None,
    limits: Mapping[str, float] | None = None,
) -> Extrapolation:
    """How far `place` lies from the points of a fit; `limits` are the most that an input may be.

    Raises:
        InputError: an input is missing, not a number or not positive, or a limit is of none.
    """
    limits = limits or {}
    for name in limits:
        if name not in law.input_names:
            known = ", ".join(law.input_names)
            raise InputError(f"limits: expected inputs of {known}, got {name}")
    for one in law.inputs:
        value = place.get(one.name)
        if value is None or not math.isfinite(value) or (one.positive and value <= 0):
            kind = "positive" if one.positive else "finite"
            raise InputError(f"{one.name}: expected a {kind} number, got {value}")
    inputs = tuple(
        _beyond(one.name, one.positive, on.values[one.name], place[one.name]) for one in law.inputs
    )
    factor = _factor(law, on, place)
    distance, farthest = _mahalanobis(law, on, place)
    warnings = tuple(_warnings(law, inputs, factor, tested, distance, farthest, limits))
    text = warnings[0].text if warnings else "lies within the data"
    return Extrapolation(inputs, factor, tested, distance, farthest, text, warnings)


def as_document(found: Extrapolation) -> dict[str, Any]:
    """An extrapolation as plain data for JSON."""
    return {
        "inputs": [
            {
                "name": one.name,
                "value": one.value,
                "low": one.low,
                "high": one.high,
                "distance": one.distance,
                "share_of_range": one.share,
            }
            for one in found.inputs
        ],
        "factor_beyond_largest": found.factor,
        "factor_reached_by_backtests": found.tested,
        "mahalanobis": found.mahalanobis,
        "mahalanobis_farthest_row": found.farthest,
        "text": found.text,
        "warnings": [{"code": one.code, "text": one.text} for one in found.warnings],
    }


def _beyond(name: str, positive: bool, values: Float[np.ndarray, " run"], value: float) -> Beyond:
    low, high = float(values.min()), float(values.max())
    ends = (math.log(low), math.log(high), math.log(value)) if positive else (low, high, value)
    distance = max(ends[2] - ends[1], 0.0) + min(ends[2] - ends[0], 0.0)
    if abs(distance) <= NEAR:
        distance = 0.0
    length = ends[1] - ends[0]
    return Beyond(name, value, low, high, distance, distance / length if length > 0 else None)


def _factor(law: Law, on: Points, place: Mapping[str, float]) -> float | None:
    names = [one.name for one in law.inputs if one.positive]
    if not names:
        return None
    scale = np.sum([np.log(on.values[name]) for name in names], axis=0)
    return math.exp(sum(math.log(place[name]) for name in names) - float(scale.max()))


def _mahalanobis(law: Law, on: Points, place: Mapping[str, float]) -> tuple[float | None, float]:
    rows = np.stack(
        [np.log(on.values[one.name]) if one.positive else on.values[one.name] for one in law.inputs]
    )
    here = np.array(
        [math.log(place[one.name]) if one.positive else place[one.name] for one in law.inputs]
    )
    middle = rows.mean(axis=1)
    spread = rows.std(axis=1)
    unit = np.where(spread > 0, spread, 1.0)
    rows, here = (rows - middle[:, None]) / unit[:, None], (here - middle) / unit
    count = max(rows.shape[1] - 1, 1)
    variance, directions = np.linalg.eigh(rows @ rows.T / count)
    free = variance > FLAT * max(float(variance.max()), FLAT)
    along = (directions.T @ rows)[free] / np.sqrt(variance[free])[:, None]
    farthest = float(np.sqrt((along**2).sum(axis=0)).max())
    moved = directions.T @ here
    if (np.abs(moved[~free]) > 1e-6).any():
        return None, farthest
    return float(np.sqrt((moved[free] ** 2 / variance[free]).sum())), farthest


def _warnings(
    law: Law,
    inputs: Sequence[Beyond],
    factor: float | None,
    tested: float | None,
    distance: float | None,
    farthest: float,
    limits: Mapping[str, float],
) -> Iterator[Finding]:
    scale = " x ".join(one.name for one in law.inputs if one.positive)
    beyond = False
    if factor is not None and factor > 1 + NEAR:
        beyond = True
        backed = "no backtest reached beyond its data"
        if tested is not None:
            backed = f"backtests reached {tested:.3g} times"
        yield Finding(
            "beyond_backtests" if tested is None or factor > tested else "beyond_data",
            f"predicts {factor:.3g} times beyond the largest {scale}; {backed}",
        )
    for one in inputs:
        if one.distance and not (beyond and len(inputs) == 1):
            yield Finding("beyond_range", f"{one.name} {_words(one, law)}")
    if distance is None:
        yield Finding(
            "off_the_line",
            "the inputs of the data only ever moved together, and this place departs from that: no "
            "run tells what each of them does alone",
        )
    elif distance > farthest * (1 + NEAR) and not any(one.distance for one in inputs):
        yield Finding(
            "unusual_combination",
            f"each input lies within its range, but no run combines them like this: {distance:.2g} "
            "standard deviations from the middle of the data, where the farthest run is "
            f"{farthest:.2g}",
        )
    for one in inputs:
        if one.name in limits and one.value > limits[one.name] * (1 + NEAR):
            yield Finding(
                "above_limit",
                f"{one.name} {one.value:.4g} is more than the {limits[one.name]:.4g} that is "
                "allowed",
            )


def _words(one: Beyond, law: Law) -> str:
    side = "above the largest" if one.distance > 0 else "below the smallest"
    edge = one.high if one.distance > 0 else one.low
    positive = next(each.positive for each in law.inputs if each.name == one.name)
    far = f"{math.exp(abs(one.distance)):.3g} times" if positive else f"{abs(one.distance):.3g}"
    share = (
        "the data hold a single value of it"
        if one.share is None
        else f"{abs(one.share):.0%} of the range of the data"
    )
    return f"{one.value:.4g} lies {far} {side} value {edge:.4g} ({share})"
