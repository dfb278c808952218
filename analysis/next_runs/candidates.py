"""Candidates: places for new runs, on a grid inside and beyond the data, with what each would cost."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from analysis.allocation.cost_models import SIX_ND, CostModel, free_names, prices
from analysis.allocation.ranged import brief
from analysis.allocation.size_and_data import sizes_of
from analysis.fit import Fit
from analysis.law import Law
from trainers.schema import InputError

REACH = 8.0  # times beyond the largest value of an input
LEVELS = 9  # of each of up to two inputs that are varied
FEWER = 5  # of each of more than two
MOST = 5_000
ODD = 2.0  # times beyond the tokens per parameter so far: farther from them a law is not trusted

Values = dict[str, Float[np.ndarray, " candidate"]]


@dataclass(frozen=True)
class Candidates:
    """Places for runs, their cost and its unit."""

    values: Values
    cost: Float[np.ndarray, " candidate"]
    unit: str

    def __len__(self) -> int:
        return len(self.cost)


def usual_cost(law: Law) -> CostModel:
    """What a run costs unless it is said: 6 N D, or in proportion to the product of positive inputs."""
    if sizes_of(law, dict.fromkeys(law.input_names, np.ones(1))) is not None:
        return SIX_ND
    names = [one.name for one in law.inputs if one.positive]
    if not names:
        return CostModel("runs", f"cost = 1 + 0 * {law.input_names[0]}", "runs")
    product = " x ".join(names)
    return CostModel(product, f"cost = {' * '.join(names)}", f"units of {product}")


def grid_of(
    fitted: Fit,
    cost: CostModel | None = None,
    *,
    reach: float = REACH,
    most: float = math.inf,
) -> Candidates:
    """A grid in logarithms from the smallest inputs so far to `reach` times beyond the largest.

    Only places of at most the cost `most` are kept, and for sizes and tokens only those whose tokens
    per parameter are within twice the range so far. Inputs that may be 0 or negative stay in their range.

    Raises:
        InputError: `reach` is below 1, nothing can be paid, or the law has too many inputs for a grid.
    """
    if not (math.isfinite(reach) and reach >= 1):
        raise InputError(f"reach: expected a number of at least 1, got {reach}")
    law, rows = fitted.law, fitted.points.values
    count = LEVELS if len(law.inputs) <= 2 else FEWER
    levels = [_levels(one.positive, rows[one.name], reach, count) for one in law.inputs]
    shares = any(one.name.startswith("share_") for one in law.inputs)
    if shares or math.prod(map(len, levels)) > MOST:
        raise InputError(
            f"next runs: expected a law of fewer inputs and no shares, got {law.name} with "
            f"{len(law.inputs)}; candidates can be given in Python"
        )
    table = np.array(list(itertools.product(*levels))).T
    values = dict(zip(law.input_names, table, strict=True))
    kept = _usual(law, rows, values)
    made = priced(fitted, {name: one[kept] for name, one in values.items()}, cost)
    if not (made.cost <= most * (1 + 1e-12)).any():
        least = f"{brief(float(made.cost.min()))} {made.unit}" if len(made) else "none"
        raise InputError(
            f"spend: expected what pays for a run, at least {least}, got {brief(most)}"
        )
    return _chosen(made, made.cost <= most * (1 + 1e-12))


def priced(
    fitted: Fit,
    values: Mapping[str, Sequence[float] | Float[np.ndarray, " candidate"]],
    cost: CostModel | None = None,
) -> Candidates:
    """Places that the caller names, with their cost.

    Raises:
        InputError: an input is missing, not a number or not positive, or a cost is not positive.
    """
    law = fitted.law
    made: Values = {}
    for one in law.inputs:
        if one.name not in values:
            raise InputError(f"candidates: expected values of {one.name}, there are none")
        column = np.asarray(values[one.name], dtype=np.float64)
        good = np.isfinite(column) & ((column > 0) | (not one.positive))
        if not good.all():
            kind = "positive" if one.positive else "finite"
            raise InputError(f"candidates: expected {kind} numbers of {one.name}")
        made[one.name] = column
    of = usual_cost(law) if cost is None else cost
    places = {**made, **_sizes(law, made)}
    missing = sorted(set(free_names(of)) - set(places))
    if missing:
        raise InputError(f"cost: expected inputs of {', '.join(places)}, got {missing[0]}")
    return Candidates(made, prices(of, places), of.unit)


def _sizes(law: Law, values: Values) -> Values:
    """Parameters and tokens of places, where the law is one of size and data."""
    found = sizes_of(law, values)
    return {} if found is None else {"params": found[0], "tokens": found[1]}


def _levels(
    positive: bool, rows: Float[np.ndarray, " run"], reach: float, count: int
) -> Float[np.ndarray, " level"]:
    low, high = float(rows.min()), float(rows.max())
    if low == high:
        return np.array([low])
    if not positive:
        return np.linspace(low, high, count)
    logs = np.linspace(math.log(low), math.log(high * reach), count)
    whole = bool((rows == np.round(rows)).all())
    found = np.exp(logs)
    return np.unique(np.maximum(np.round(found), 1.0)) if whole else found


def _usual(
    law: Law, rows: Mapping[str, np.ndarray], values: Values
) -> Bool[np.ndarray, " candidate"]:
    """Whether the tokens per parameter are like those so far, and different tokens are no more than all."""
    count = len(next(iter(values.values())))
    good = np.ones(count, dtype=bool)
    sizes = _sizes(law, values)
    if sizes:
        so_far = _sizes(law, dict(rows))
        ratio = so_far["tokens"] / so_far["params"]
        here = sizes["tokens"] / sizes["params"]
        good &= (here >= ratio.min() / ODD) & (here <= ratio.max() * ODD)
    if {"tokens", "unique_tokens"} <= set(values):
        good &= values["unique_tokens"] <= values["tokens"]
    return good


def _chosen(of: Candidates, kept: Bool[np.ndarray, " candidate"]) -> Candidates:
    return Candidates({name: one[kept] for name, one in of.values.items()}, of.cost[kept], of.unit)
