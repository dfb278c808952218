"""A mean over trials with its interval, and how numbers and values are written for people."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

INTERVAL = "95 % Student t interval over trials"


@dataclass(frozen=True)
class Summary:
    """The mean of `count` values; `low` and `high` are None when one value gives no interval."""

    count: int
    mean: float
    low: float | None
    high: float | None


def summary(values: Sequence[float]) -> Summary | None:
    """The mean with its 95 % Student t interval; None without values."""
    if not values:
        return None
    numbers = np.array(values, dtype=np.float64)
    mean = float(numbers.mean())
    if len(numbers) == 1:
        return Summary(1, mean, None, None)
    half = special.stdtrit(len(numbers) - 1, 0.975) * numbers.std(ddof=1) / math.sqrt(len(numbers))
    return Summary(len(numbers), mean, mean - float(half), mean + float(half))


def number(value: float | int | None) -> str:
    """A number with four significant digits, thousands set apart."""
    if value is None:
        return "none"
    if value == 0:
        return "0"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if not math.isfinite(value):
        return str(value)
    if 1e-4 <= abs(value) < 1e6:
        digits = max(0, 3 - math.floor(math.log10(abs(value))))
        return f"{value:,.{digits}f}"
    mantissa, exponent = f"{value:.3e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def stated(value: float) -> str:
    """A number that somebody wrote down, without digits that they did not write."""
    return f"{value:,.10g}"


def between(low: float | None, high: float | None) -> str:
    """An interval in words."""
    if low is None or high is None:
        return "no interval from one trial"
    return f"{number(low)} to {number(high)}"


def written(value: Any) -> str:
    """The value of a field as a person reads it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(written, value))
    return str(value)


def conditions(fields: Sequence[tuple[str, Any]]) -> str:
    """Fields and their values in words: `encoding.base 30, model.width 64`."""
    return ", ".join(f"{name} {written(value)}" for name, value in fields)
