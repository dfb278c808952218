"""Allocation: the size and tokens of least loss for a budget, with intervals, and what others lose."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from analysis.allocation.best_size import Optima, Path, best_sizes, closed_form, slope_over
from analysis.allocation.cost_models import SIX_ND, CostModel, free_names, prices
from analysis.allocation.optimum import Best, Question, best_at, best_document
from analysis.allocation.ranged import Ranged, document, ranged
from analysis.allocation.size_and_data import size_and_data
from analysis.finding import Finding
from analysis.fit import Fit
from trainers.schema import InputError

RATIO = 20.0  # tokens per parameter that many people train by
DECADE = 10.0
OVER = 5  # budgets by which exponents are found


@dataclass(frozen=True)
class Allocation:
    """The optimum at every budget, and the exponents of size and tokens `over` a range of budgets.

    `held` are the inputs of the law that stayed as they are; intervals are of the share `level`.
    """

    law: str
    target: str
    cost: CostModel
    held: tuple[tuple[str, float], ...]
    best: tuple[Best, ...]
    size_exponent: Ranged
    token_exponent: Ranged
    over: tuple[float, float]
    draws: int
    level: float
    method: str
    warnings: tuple[Finding, ...]

    @property
    def text(self) -> str:
        """The answer in one sentence."""
        return ". ".join(one.text for one in self.best)


def allocation(
    fitted: Fit,
    budgets: Sequence[float],
    *,
    cost: CostModel = SIX_ND,
    held: Mapping[str, float] | None = None,
    ratios: Sequence[float] = (RATIO,),
    sizes: Sequence[float] = (),
    limits: Mapping[str, float] | None = None,
    over: tuple[float, float] | None = None,
    tested: float | None = None,
) -> Allocation:
    """The best size and tokens for every budget, in the unit of the cost.

    `held` are numbers for the law's other inputs; `unique_tokens` is how many different tokens there
    are (without it, as many as are needed). `ratios` (tokens per parameter) and `sizes` are what the
    optimum is compared with, `limits` the most that an input may be. Exponents are those over the range
    `over`, by itself the budgets, or a decade about a single one. `tested` is how far backtests reached.

    Raises:
        InputError: the law has no size and data, or a number is missing or not positive.
    """
    on = Path(size_and_data(fitted.law, held), cost)
    wanted = _numbers("budgets", budgets)
    if not len(wanted):
        raise InputError("budgets: expected at least one, got none")
    if set(free_names(cost)) - {"params", "tokens"}:
        raise InputError(f"cost: expected params and tokens, got {', '.join(free_names(cost))}")
    spread = _range(wanted) if over is None else (float(over[0]), float(over[1]))
    if not 0 < spread[0] < spread[1] < np.inf:
        raise InputError(f"over: expected 0 < low < high, got {spread[0]} and {spread[1]}")
    of = Question(
        fitted,
        on,
        np.concatenate([fitted.vector, fitted.draws]),
        tuple(_numbers("ratios", ratios)),
        tuple(_numbers("sizes", sizes)),
        _limits(limits or {}),
        tested,
    )
    grid = np.geomspace(*spread, OVER)
    both = np.concatenate([wanted, grid])
    near = around(fitted, on, both)
    found = best_sizes(on, of.vectors, both, near)
    best = tuple(
        best_at(of, found.part(place), float(budget), float(near[place]))
        for place, budget in enumerate(wanted)
    )
    exponents = _exponents(fitted, found, grid)
    return Allocation(
        fitted.law.name,
        fitted.target,
        cost,
        (
            *on.law.held,
            *((("unique_tokens", on.law.unique),) if np.isfinite(on.law.unique) else ()),
        ),
        best,
        *exponents,
        spread,
        len(fitted.draws),
        fitted.level,
        "closed form" if closed_form(on, fitted.vector, wanted) is not None else "search",
        tuple(_doubts(fitted)),
    )


def around(
    fitted: Fit, on: Path, budgets: Float[np.ndarray, " budget"]
) -> Float[np.ndarray, " budget"]:
    """A size for every budget near which to look: that of the runs, moved by the root of the cost."""
    params, tokens = on.law.of_rows(fitted.points.values)
    usual = np.exp(np.log(params).mean())
    cost = np.exp(np.log(prices(on.cost, {"params": params, "tokens": tokens})).mean())
    return usual * np.sqrt(budgets / cost)


def as_document(found: Allocation) -> dict[str, Any]:
    """An allocation as plain data for JSON."""
    return {
        "law": found.law,
        "target": found.target,
        "cost": {
            "name": found.cost.name,
            "formula": found.cost.formula,
            "unit": found.cost.unit,
            "numbers": dict(found.cost.numbers),
        },
        "held": dict(found.held),
        "best": [best_document(one) for one in found.best],
        "size_exponent": document(found.size_exponent),
        "token_exponent": document(found.token_exponent),
        "exponents_over": list(found.over),
        "resamples": found.draws,
        "level": found.level,
        "method": found.method,
        "warnings": [{"code": one.code, "text": one.text} for one in found.warnings],
    }


def _numbers(what: str, numbers: Sequence[float]) -> Float[np.ndarray, " number"]:
    if any(not (np.isfinite(one) and one > 0) for one in numbers):
        raise InputError(f"{what}: expected positive numbers, got {list(numbers)}")
    return np.array([float(one) for one in numbers])


def _limits(limits: Mapping[str, float]) -> dict[str, float]:
    for name, value in limits.items():
        if name not in ("params", "tokens"):
            raise InputError(f"limits: expected params or tokens, got {name}")
        _numbers(f"limits: {name}", [value])
    return dict(limits)


def _range(budgets: Float[np.ndarray, " budget"]) -> tuple[float, float]:
    low, high = float(budgets.min()), float(budgets.max())
    return (low, high) if high > low else (low / DECADE, high * DECADE)


def _exponents(
    fitted: Fit, found: Optima, grid: Float[np.ndarray, " budget"]
) -> tuple[Ranged, Ranged]:
    good = found.inner[-len(grid) :].all(axis=0)
    result: list[Ranged] = []
    for logs in (found.log_params[-len(grid) :], found.log_tokens[-len(grid) :]):
        slopes = np.where(good, slope_over(logs, grid), np.nan)
        result.append(ranged(fitted, float(slopes[0]), slopes[1:]))
    return result[0], result[1]


def _doubts(fitted: Fit) -> Iterator[Finding]:
    if fitted.status != "converged":
        yield Finding(
            "fit_in_doubt",
            f"the fit is {fitted.status}: see its warnings before a budget is spent by it",
        )
    if not len(fitted.draws):
        yield Finding("no_interval", "there are no resamples, so nothing here has an interval")
