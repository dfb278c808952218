"""Costs as they are written: `6nd`, `transformer context=4096`, or a formula, with numbers after it."""

import math
import re

from analysis.allocation.cost_models import (
    SIX_ND,
    CostModel,
    custom_cost,
    gpu_hours,
    transformer_flops,
    with_serving,
)
from trainers.schema import InputError, shown

MOST = 500  # characters
TRANSFORMER = ("context", "vocabulary", "aspect")

_PAIR = re.compile(r"[\s,]+([A-Za-z_][A-Za-z0-9_]*)=(\S*?)(?=,?\s|,?$)")


def cost_of(text: str) -> CostModel:
    """The cost that a text names.

    `6nd` is 6 x parameters x tokens; `transformer` adds attention over `context` tokens and a last layer
    over a `vocabulary`; both take `served`, the tokens that are to be served. Anything else is a formula
    of params and tokens (or of the inputs of a law), and of numbers given after it; its `unit` is FLOPs
    unless given. With `throughput`, the FLOPs a second of one GPU (or `SIZE:FLOPS/SIZE:FLOPS` for sizes),
    the cost is in GPU hours.

    Raises:
        InputError: the text is no cost, or a number is missing, unknown or not positive.
    """
    if not text.strip() or len(text) > MOST:
        raise InputError(f"cost: expected 1 to {MOST} characters, got {len(text.strip())}")
    padded = re.sub(r"^\s*cost\s*=\s*", "", text).strip()
    pairs = dict(_PAIR.findall(padded))
    head = _PAIR.sub("", padded).strip().rstrip(",")
    speed = _speed(pairs.pop("throughput")) if "throughput" in pairs else None
    made = _named(head, pairs)
    return made if speed is None else gpu_hours(made, speed)


def _named(head: str, pairs: dict[str, str]) -> CostModel:
    word = head.lower()
    if word not in ("6nd", "transformer"):
        unit = pairs.pop("unit", "FLOPs")
        return custom_cost(head, {name: _number(name, one) for name, one in pairs.items()}, unit)
    known = ("served",) if word == "6nd" else ("served", *TRANSFORMER)
    numbers = {name: _number(name, one) for name, one in pairs.items() if name in known}
    for name in pairs:
        if name not in known:
            raise InputError(f"cost: expected {word} with {', '.join(known)}, got {name}")
    served = numbers.pop("served", None)
    made = SIX_ND
    if word == "transformer":
        if "context" not in numbers:
            raise InputError("cost: expected transformer context=TOKENS, got no context")
        made = transformer_flops(**numbers)
    return made if served is None else with_serving(made, served)


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise InputError(f"cost: expected {name}=NUMBER, got {shown(text)}") from error
    if not math.isfinite(value):
        raise InputError(f"cost: expected a finite number for {name}, got {value}")
    return value


def _speed(text: str) -> float | dict[float, float]:
    if ":" not in text:
        return _positive(text)
    found: dict[float, float] = {}
    for part in text.split("/"):
        size, colon, speed = part.partition(":")
        if not colon:
            raise InputError(f"cost: expected throughput=SIZE:FLOPS/SIZE:FLOPS, got {shown(text)}")
        found[_positive(size)] = _positive(speed)
    return found


def _positive(text: str) -> float:
    value = _number("throughput", text)
    if not value > 0:
        raise InputError(f"cost: expected a positive throughput, got {value:g}")
    return value
