"""A mean or median over trials with its interval, and how numbers and values are written for people."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import special

from analysis.uncertainty.medians import median, order_interval

INTERVAL = "95 % Student t interval over trials"
MEDIAN_INTERVAL = "95 % order-statistics interval of the median"


@dataclass(frozen=True)
class Summary:
    """The mean of `count` values; `low` and `high` are None when they are too few for an interval.

    With `pool` "median" it is their median. `never` of them are infinite: milestones that were never
    reached, and larger than every number.
    """

    count: int
    mean: float
    low: float | None
    high: float | None
    pool: Literal["mean", "median"] = "mean"
    never: int = 0


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


def median_summary(values: Sequence[float]) -> Summary | None:
    """The median with its `order_interval`; None without values. They may be infinite, not NaN."""
    if not values:
        return None
    low, high = order_interval(values) or (None, None)
    never = sum(math.isinf(value) for value in values)
    return Summary(len(values), median(values), low, high, "median", never)


def pooled(values: Sequence[float], pool: str) -> Summary | None:
    """The mean with `pool` "mean", else the median; None without values."""
    return summary(values) if pool == "mean" else median_summary(values)


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


def when(value: float) -> str:
    """A milestone as a person reads it: infinite is `never`."""
    return "never" if math.isinf(value) else number(value)


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
    if isinstance(value, float) and 1e-4 <= abs(value) < 1e6 and not value.is_integer():
        return f"{value:,.4g}"  # nobody wrote the noughts that `number` would end it with
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(written, value))
    return str(value)


def conditions(fields: Sequence[tuple[str, Any]]) -> str:
    """Fields and their values in words: `encoding.base 30, model.width 64`."""
    return ", ".join(f"{name} {written(value)}" for name, value in fields)
