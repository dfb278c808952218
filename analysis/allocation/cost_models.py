"""Cost models: what it costs to train (and to serve) a model of some size on some tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float

from analysis.allocation.slopes import slopes_each, value_each
from analysis.engine.compiled import predict_many
from analysis.engine.formula import parse
from analysis.law import Coefficient, Input, Law, Values
from trainers.schema import InputError, shown

STEPS = 60  # of Newton
FARTHEST = 0.98  # share of the tokens by which a step may lower them
LEAST_TOKENS = 1e-6

Numbers = Float[np.ndarray, " place"]


@dataclass(frozen=True)
class Throughput:
    """How fast one GPU trains models of some sizes: parameters, and FLOPs a second at each of them.

    Between two sizes the speed runs evenly in logarithms; beyond them it is that of the nearest.
    """

    params: tuple[float, ...]
    flops_per_s: tuple[float, ...]


@dataclass(frozen=True)
class CostModel:
    """A cost as a formula of `params` and `tokens` and of `numbers` that are known.

    With a throughput the formula gives FLOPs and the cost is in GPU hours.
    """

    name: str
    formula: str
    unit: str
    numbers: tuple[tuple[str, float], ...] = ()
    throughput: Throughput | None = None


SIX_ND = CostModel("6 N D", "cost = 6 * params * tokens", "FLOPs")
"""Training FLOPs of a dense model. Source: Kaplan et al. 2020, arXiv:2001.08361 (C = 6 N D)."""


def transformer_flops(
    *, context: float, vocabulary: float = 0.0, aspect: float = 100.0
) -> CostModel:
    """Training FLOPs with attention over `context` tokens and a last layer over `vocabulary`.

    `params` are those without embeddings, 12 layers width^2, and `aspect` is width over layers. The
    embedding itself is a look-up and costs nothing; the last layer has vocabulary x width parameters,
    whether or not it shares them with the embedding.
    Source: Kaplan et al. 2020, arXiv:2001.08361: 2 N + 2 layers context width FLOPs a token forwards,
    and twice that backwards.

    Raises:
        InputError: a number is negative, or the aspect is 0.
    """
    _check("context", context, zero=True)
    _check("vocabulary", vocabulary, zero=True)
    _check("aspect", aspect)
    return CostModel(
        "transformer FLOPs",
        "cost = 6 * tokens * (params + context * (params / 12)^(2 / 3) / aspect^(1 / 3)"
        " + vocabulary * (aspect * params / 12)^(1 / 3))",
        "FLOPs",
        (("context", context), ("aspect", aspect), ("vocabulary", vocabulary)),
    )


def with_serving(of: CostModel, tokens_served: float) -> CostModel:
    """The cost with that of serving so many tokens: 2 FLOPs for each parameter and token.

    Source: Sardana et al. 2023, arXiv:2401.00448.

    Raises:
        InputError: the number of tokens is negative, or the cost is not in FLOPs.
    """
    _check("tokens_served", tokens_served, zero=True)
    if of.unit != "FLOPs" or "served" in dict(of.numbers):
        raise InputError(f"tokens_served: expected a cost of training in FLOPs, got {of.name}")
    return replace(
        of,
        name=f"{of.name} with {tokens_served:.3g} tokens served",
        formula=f"{of.formula} + 2 * params * served",
        numbers=(*of.numbers, ("served", float(tokens_served))),
    )


def gpu_hours(of: CostModel, flops_per_s: float | Mapping[float, float]) -> CostModel:
    """GPU hours for a cost in FLOPs, at a constant speed or at one for each of some sizes.

    `flops_per_s` is what one GPU reaches in practice (its peak times its utilisation).

    Raises:
        InputError: a speed or a size is not positive, or the cost is not in FLOPs.
    """
    if of.unit != "FLOPs":
        raise InputError(f"gpu_hours: expected a cost in FLOPs, got one in {of.unit}")
    table = flops_per_s if isinstance(flops_per_s, Mapping) else {1.0: float(flops_per_s)}
    if not table:
        raise InputError("flops_per_s: expected at least one speed, got none")
    for size, speed in table.items():
        _check("flops_per_s: size", size)
        _check("flops_per_s", speed)
    rows = sorted(table.items())
    speeds = Throughput(tuple(float(one) for one, _ in rows), tuple(float(one) for _, one in rows))
    return replace(of, name=f"GPU hours for {of.name}", unit="GPU hours", throughput=speeds)


def custom_cost(
    formula: str, numbers: Mapping[str, float] | None = None, unit: str = "FLOPs"
) -> CostModel:
    """A cost by a formula such as `6 * params * tokens + 2 * params * served`, with its numbers.

    Raises:
        InputError: the formula cannot be read, or a number in it is unknown or not used.
    """
    text = formula if "=" in formula else f"cost = {formula}"
    made = CostModel(" ".join(formula.split()), text, unit, tuple((numbers or {}).items()))
    names = set(parse(text).names)
    unused = sorted(set(numbers or {}) - names)
    if unused:
        raise InputError(f"cost: expected {unused[0]} in the formula {shown(formula)}")
    for name, value in made.numbers:
        _check(f"cost: {name}", value, zero=True)
        if name in ("params", "tokens"):
            raise InputError(f"cost: expected {name} to be left free, got {value}")
    return made


def prices(of: CostModel, values: Values) -> Numbers:
    """The cost at every place.

    Raises:
        InputError: an input of the formula is missing, or a cost is not a positive number.
    """
    law = _law(of)
    missing = [name for name in law.input_names if name not in values]
    if missing:
        raise InputError(
            f"cost: expected a number for {missing[0]} in {shown(of.formula)}, there is none"
        )
    with np.errstate(all="ignore"):
        cost = predict_many(law, _vector(of, law), {one: values[one] for one in law.input_names})[0]
        if of.throughput is not None:
            cost = cost / (3600 * np.exp(_speed(of.throughput, _log_sizes(of, values))[0]))
    if not (np.isfinite(cost) & (cost > 0)).all():
        raise InputError(f"cost: expected positive numbers from {shown(of.formula)}")
    return cost


def log_prices(of: CostModel, log_params: Numbers, log_tokens: Numbers) -> tuple[Numbers, ...]:
    """The natural log of the cost at every place, and its derivatives by ln params and by ln tokens."""
    law = _law(of)
    values = {"params": np.exp(log_params), "tokens": np.exp(log_tokens)}
    chosen = {name: values[name] for name in law.input_names}
    vectors = np.repeat(_vector(of, law), len(log_params), axis=0)
    with np.errstate(all="ignore"):
        cost = value_each(law, vectors, chosen)
        slopes = slopes_each(law, vectors, chosen)
        nothing = np.zeros_like(cost)
        by = [slopes.get(name, nothing) * values[name] / cost for name in ("params", "tokens")]
        log = np.log(cost)
        if of.throughput is not None:
            speed, slope = _speed(of.throughput, log_params)
            log, by[0] = log - speed - np.log(3600), by[0] - slope
    return log, by[0], by[1]


def log_tokens_for(of: CostModel, budget: Numbers, log_params: Numbers) -> Numbers:
    """The ln tokens that a budget buys for a size; NaN where it does not even buy the model.

    Raises:
        InputError: the cost does not rise with the tokens.
    """
    wanted = np.log(budget)
    floor = np.full(len(log_params), np.log(LEAST_TOKENS))
    least, _, slope = log_prices(of, log_params, floor)
    _rising(of, np.isfinite(least) & (slope >= 0))
    possible = least < wanted
    # Most costs are nearly proportional to the tokens, so the first step may be as long as it likes.
    logs = wanted - log_params
    logs = np.maximum(logs - log_prices(of, log_params, logs)[0] + wanted, floor)
    for _ in range(STEPS):
        cost, _, slope = log_prices(of, log_params, logs)
        _rising(of, ~possible | (slope > 0))
        # A step of Newton in the tokens themselves: for a cost that is a line in them, the last one.
        short = np.where(possible, np.expm1(wanted - cost) / np.where(slope > 0, slope, 1.0), 0.0)
        step = np.log1p(np.clip(short, -FARTHEST, 1 / (1 - FARTHEST)))
        logs = np.maximum(logs + step, floor)
        if (np.abs(step) <= 1e-14 * np.maximum(np.abs(logs), 1.0)).all():
            break
    return np.where(possible, logs, np.nan)


def _rising(of: CostModel, good: Bool[np.ndarray, " place"]) -> None:
    if not good.all():
        raise InputError(
            f"cost: expected a positive cost that rises with the tokens from {shown(of.formula)}"
        )


@lru_cache(maxsize=64)
def _law(of: CostModel) -> Law:
    """The cost as a law whose coefficients are the known numbers and whose inputs are the rest."""
    formula = parse(of.formula)
    known = dict(of.numbers)
    inputs = tuple(Input(name, "") for name in formula.names if name not in known)
    coefficients = tuple(Coefficient(name, "") for name in formula.names if name in known)
    if not inputs:
        raise InputError(f"cost: expected a formula of params and tokens, got {shown(of.formula)}")
    return Law("cost", of.formula, "", inputs, coefficients)


def free_names(of: CostModel) -> tuple[str, ...]:
    """The names of the formula that are not known numbers."""
    return _law(of).input_names


def _vector(of: CostModel, law: Law) -> Float[np.ndarray, "1 number"]:
    known = dict(of.numbers)
    return np.array([[known[one.name] for one in law.coefficients]]).reshape(1, -1)


def _log_sizes(of: CostModel, values: Values) -> Numbers:
    """The ln parameters, by which speeds are told apart; any, where there is one speed."""
    if "params" in values:
        return np.log(values["params"])
    if of.throughput is not None and len(of.throughput.params) > 1:
        raise InputError("cost: expected one throughput, since there are no parameters here")
    return np.zeros_like(next(iter(values.values())))


def _speed(of: Throughput, log_params: Numbers) -> tuple[Numbers, Numbers]:
    """The ln FLOPs a second at every size, and its derivative by ln params."""
    at, speed = np.log(of.params), np.log(of.flops_per_s)
    value = np.interp(log_params, at, speed)
    if len(at) == 1:
        return value, np.zeros_like(value)
    rise = np.append(np.insert(np.diff(speed) / np.diff(at), 0, 0.0), 0.0)
    return value, rise[np.searchsorted(at, log_params, side="right")]


def _check(what: str, value: float, *, zero: bool = False) -> None:
    if not (np.isfinite(value) and (value > 0 or (zero and value == 0))):
        kind = "a number of at least 0" if zero else "a positive number"
        raise InputError(f"{what}: expected {kind}, got {value}")
