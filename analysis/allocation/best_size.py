"""The size of least loss along curves of equal cost, for all draws of a law and all budgets at once."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from analysis.allocation.cost_models import SIX_ND, CostModel, log_prices, log_tokens_for
from analysis.allocation.size_and_data import SizeAndData
from analysis.allocation.slopes import slopes_each, value_each
from analysis.engine.compiled import Vectors, predict_many
from analysis.law import find_law

POINTS = 121  # of the search for the valley in which the optimum lies
HALVINGS = 52  # until a valley of half an e-fold is as narrow as rounding
NEAR_LARGEST = np.geomspace(1e-7, 0.3, 25)  # natural-log units
BEYOND = 1e6  # how far from the sizes at hand an optimum is looked for, as a factor

Draws = Float[np.ndarray, "budget draw"]


@dataclass(frozen=True)
class Path:
    """A law of size and data, and the cost along whose curves it is minimised."""

    law: SizeAndData
    cost: CostModel


@dataclass(frozen=True)
class Optima:
    """The best sizes: natural logs of parameters and tokens, and the loss there.

    `inner` is false where the loss is least at an end of what was searched, or cannot be told.
    """

    log_params: Draws
    log_tokens: Draws
    loss: Draws
    inner: Bool[np.ndarray, "budget draw"]

    def part(self, budget: int) -> "Optimum":
        """Those at one budget."""
        return Optimum(
            self.log_params[budget], self.log_tokens[budget], self.loss[budget], self.inner[budget]
        )


@dataclass(frozen=True)
class Optimum:
    """The best sizes at one budget, as in `Optima`."""

    log_params: Float[np.ndarray, " draw"]
    log_tokens: Float[np.ndarray, " draw"]
    loss: Float[np.ndarray, " draw"]
    inner: Bool[np.ndarray, " draw"]


def best_sizes(
    on: Path,
    vectors: Vectors,
    budgets: Float[np.ndarray, " budget"],
    around: Float[np.ndarray, " budget"],
) -> Optima:
    """Minimise the law along the curve of each budget, with every vector of coefficients.

    `around` are sizes at which each search is centred. Chinchilla's law under 6 N D is solved in closed
    form. Of several valleys the deepest on a grid of sizes counts.
    """
    exact = closed_form(on, vectors, budgets)
    return searched(on, vectors, budgets, around) if exact is None else exact


def closed_form(on: Path, vectors: Vectors, budgets: Float[np.ndarray, " budget"]) -> Optima | None:
    """The optimum of E + A / N^alpha + B / D^beta with 6 N D = C; None for other laws and costs.

    N = G (C / 6)^(beta / (alpha + beta)), G = (alpha A / (beta B))^(1 / (alpha + beta)).
    Source: Hoffmann et al. 2022, arXiv:2203.15556 (its efficient frontier).
    """
    law = on.law.law
    known = {find_law(name).formula for name in ("chinchilla", "chinchilla_tied")}
    if law.formula not in known or on.cost != SIX_ND:
        return None
    # A tied law has one exponent for both.
    columns = [law.place[name] for name in ("A", "B", "alpha")]
    a, b, alpha = (vectors[:, place] for place in columns)
    beta = vectors[:, law.place.get("beta", columns[2])]
    with np.errstate(all="ignore"):
        log_g = np.log(alpha * a / (beta * b)) / (alpha + beta)
        product = np.log(budgets / 6)[:, None]
        log_params = log_g + product * beta / (alpha + beta)
        log_tokens = product - log_params
    inner = np.isfinite(log_params)
    return Optima(log_params, log_tokens, losses(on, vectors, log_params, log_tokens), inner)


def searched(
    on: Path,
    vectors: Vectors,
    budgets: Float[np.ndarray, " budget"],
    around: Float[np.ndarray, " budget"],
) -> Optima:
    """The optimum of any law under any cost: the valley by a grid, its bottom by the exact slope."""
    ends = [_valley(on, vectors, *one) for one in zip(budgets, around, strict=True)]
    low, high, inner = (np.stack(one) for one in zip(*ends, strict=True))
    shape = low.shape
    each = np.tile(vectors, (len(budgets), 1))
    of = np.repeat(budgets, len(vectors))
    left, right, alive = low.ravel(), high.ravel(), inner.ravel()
    for _ in range(HALVINGS):
        middle = (left + right) / 2
        rising = np.zeros(len(left), dtype=bool)
        rising[alive] = _slope(on, each[alive], of[alive], middle[alive]) > 0
        left, right = np.where(rising, left, middle), np.where(rising, middle, right)
    log_params = np.where(alive, (left + right) / 2, low.ravel())
    log_tokens = log_tokens_for(on.cost, of, log_params)
    loss = losses(on, vectors, log_params.reshape(shape), log_tokens.reshape(shape))
    return Optima(log_params.reshape(shape), log_tokens.reshape(shape), loss, inner)


def losses(on: Path, vectors: Vectors, log_params: Draws, log_tokens: Draws) -> Draws:
    """The prediction of every draw at a place of its own, for every budget."""
    shape = log_params.shape
    with np.errstate(all="ignore"):
        values = on.law.values(np.exp(log_params.ravel()), np.exp(log_tokens.ravel()))
    each = np.tile(vectors, (shape[0], 1))
    return value_each(on.law.law, each, values).reshape(shape)


def _valley(
    on: Path, vectors: Vectors, budget: float, around: float
) -> tuple[Float[np.ndarray, " draw"], Float[np.ndarray, " draw"], Bool[np.ndarray, " draw"]]:
    """Neighbours of the best size on a grid; an end of the grid twice where that is the best."""
    reach = np.log(BEYOND)
    sizes = np.linspace(max(np.log(around) - reach, 0.0), np.log(around) + reach, POINTS)
    # Where serving costs most, the optimum lies just below the largest size that can be paid.
    largest = size_for(on.cost, budget, np.zeros_like)
    if math.isfinite(largest):
        sizes = np.union1d(sizes, largest - NEAR_LARGEST)
        sizes = sizes[(sizes >= 0) & (sizes <= np.log(around) + reach)]
    tokens = log_tokens_for(on.cost, np.full(len(sizes), budget), sizes)
    possible = np.nan_to_num(tokens, nan=-1.0) >= 0
    nowhere = np.full(len(vectors), sizes[0])
    if possible.sum() < 3:
        return nowhere, nowhere, np.zeros(len(vectors), dtype=bool)
    sizes, tokens = sizes[possible], tokens[possible]
    height = predict_many(on.law.law, vectors, on.law.values(np.exp(sizes), np.exp(tokens)))
    height = np.where(np.isfinite(height), height, np.inf)
    at = height.argmin(axis=1)
    inner = (at > 0) & (at < len(sizes) - 1) & np.isfinite(height.min(axis=1))
    return (
        sizes[np.where(inner, at - 1, at)],
        sizes[np.where(inner, np.minimum(at + 1, len(sizes) - 1), at)],
        inner,
    )


def _slope(
    on: Path,
    vectors: Vectors,
    budgets: Float[np.ndarray, " problem"],
    log_params: Float[np.ndarray, " problem"],
) -> Float[np.ndarray, " problem"]:
    """The derivative of the loss by ln size along the curve of equal cost."""
    log_tokens = log_tokens_for(on.cost, budgets, log_params)
    _, by_size, by_data = log_prices(on.cost, log_params, log_tokens)
    with np.errstate(all="ignore"):
        params, tokens = np.exp(log_params), np.exp(log_tokens)
        values = on.law.values(params, tokens)
        slopes = slopes_each(on.law.law, vectors, values)
        exchange = -by_size / by_data
        total = np.zeros(len(log_params))
        for name, (size, data) in on.law.powers_of(tokens).items():
            total += slopes[name] * values[name] * (size + data * exchange)
    return total


def size_for(
    cost: CostModel,
    budget: float,
    log_tokens: Callable[[Float[np.ndarray, " place"]], Float[np.ndarray, " place"]],
) -> float:
    """The ln size that the budget buys where tokens follow from it; NaN where there is none."""
    low, high = 0.0, 120.0
    wanted = math.log(budget)
    for _ in range(64):
        middle = np.array([(low + high) / 2])
        if log_prices(cost, middle, log_tokens(middle))[0][0] > wanted:
            high = float(middle[0])
        else:
            low = float(middle[0])
    return low if low > 0 and high < 120.0 else math.nan


def valley_of(
    on: Path, vector: Vectors, budget: float, centre: float, share: float
) -> tuple[float, float] | None:
    """The sizes around an optimum (ln size `centre`) at which at most a share more of the loss is lost."""
    sizes = centre + np.linspace(-np.log(100.0), np.log(100.0), 801)
    tokens = log_tokens_for(on.cost, np.full(len(sizes), budget), sizes)
    sizes, tokens = sizes[np.isfinite(tokens)], tokens[np.isfinite(tokens)]
    loss = predict_many(on.law.law, vector, on.law.values(np.exp(sizes), np.exp(tokens)))[0]
    best = float(np.nanmin(loss))
    above = loss - best - abs(best) * share
    if not (above <= 0).any():
        return None
    start, bad = int(np.nanargmin(loss)), np.flatnonzero(~(above <= 0))

    def end(inner: int, outer: int) -> float:
        """Where the line through two places of the grid crosses the share."""
        rise = above[outer] - above[inner]
        part = -above[inner] / rise if np.isfinite(rise) else 0.0
        return float(np.exp(sizes[inner] + part * (sizes[outer] - sizes[inner])))

    below = int(bad[bad < start].max(initial=-1))
    beyond = int(bad[bad > start].min(initial=len(loss)))
    first = end(below + 1, below) if below >= 0 else float(np.exp(sizes[0]))
    last = end(beyond - 1, beyond) if beyond < len(loss) else float(np.exp(sizes[-1]))
    return first, last


def slope_over(
    logs: Draws, budgets: Sequence[float] | Float[np.ndarray, " budget"]
) -> Float[np.ndarray, " draw"]:
    """The exponent with which something rises over the budgets: a line through its natural logs."""
    x = np.log(np.asarray(budgets, dtype=np.float64))
    x = x - x.mean()
    return (x @ (logs - logs.mean(axis=0))) / float(x @ x)
