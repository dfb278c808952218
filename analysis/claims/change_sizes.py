"""How large a change is: mean or median differences and ratios, each with its interval."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import special

from analysis.claims.values import counted, span
from analysis.claims.verdict import Found
from analysis.summary import MEDIAN_INTERVAL, number
from analysis.uncertainty.medians import LEAST, median, order_interval

MEAN_BASIS = "95 % Student t interval over pairs"
RATIO_BASIS = "95 % Student t interval over pairs, of logarithms of ratios"
WELCH_BASIS = "95 % Welch t interval over trials without pairs"

Pair = tuple[float, float]


class NoChange(ValueError):  # noqa: N818
    """Why some values have no change of the wanted kind."""


def mean_change(values: Sequence[Pair], *, ratio: bool, seeds: int) -> Found:
    """The mean of second less first, or the geometric mean of second over first.

    Raises:
        NoChange: a value is infinite, or a ratio has one that is not positive.
    """
    _check(values, ratio)
    table = _scaled(np.array(values, dtype=np.float64), ratio)
    changes = table[:, 1] - table[:, 0]
    count = len(changes)
    error = float(changes.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan
    basis = RATIO_BASIS if ratio else MEAN_BASIS
    return _with_t(float(changes.mean()), error, count - 1, ratio, (count, seeds), basis)


def unpaired_change(
    before: Sequence[float], after: Sequence[float], *, ratio: bool, seeds: int
) -> Found:
    """The difference of two means (of logarithms, for a ratio), with the interval of Welch.

    Source: Welch 1947, Biometrika 34, 28.

    Raises:
        NoChange: a value is infinite, or a ratio has one that is not positive.
    """
    _check([before, after], ratio)
    first, second = (_scaled(np.array(one, dtype=np.float64), ratio) for one in (before, after))
    mean, counts = float(second.mean() - first.mean()), (len(first) + len(second), seeds)
    if min(len(first), len(second)) < 2:
        return _with_t(mean, math.nan, 1, ratio, counts, WELCH_BASIS)
    parts = [float(one.var(ddof=1)) / len(one) for one in (first, second)]
    total = sum(parts)
    below = parts[0] ** 2 / (len(first) - 1) + parts[1] ** 2 / (len(second) - 1)
    freedom = total**2 / below if below else counts[0] - 2
    return _with_t(mean, math.sqrt(total), freedom, ratio, counts, WELCH_BASIS)


def median_change(values: Sequence[Pair], *, ratio: bool, seeds: int) -> Found:
    """The median of second less first, or of second over first, with an exact interval.

    Infinite is what never got there; pairs of which neither got there say nothing and are left out.

    Raises:
        NoChange: neither got there in any pair, or a ratio has a value that is not positive.
    """
    told = [(one, other) for one, other in values if math.isfinite(one) or math.isfinite(other)]
    if not told:
        raise NoChange("in no pair did either trial get there")
    _check([[one for one in pair if math.isfinite(one)] for pair in told], ratio)
    changes = [other / one if ratio else other - one for one, other in told]
    middle, ends = median(changes), order_interval(changes)
    low, high = ends or (None, None)
    return Found(
        value=middle,
        low=low,
        high=high,
        here=_told(middle, ratio),
        spread=span(low, high),
        trials=len(changes),
        seeds=seeds,
        basis=MEDIAN_INTERVAL,
        of="pair",
        lacks=f"{counted(len(told), 'pair')} of the {LEAST} that its exact interval needs",
    )


def signed(value: float) -> str:
    """A difference with its sign."""
    if math.isinf(value):
        return "never got there any more" if value > 0 else "got there where it never did"
    return f"+{number(value)}" if value > 0 else number(value)


def _with_t(
    mean: float, error: float, freedom: float, ratio: bool, counts: tuple[int, int], basis: str
) -> Found:
    """A mean change with its Student t interval; `counts` are of what was averaged, and of seeds."""
    back = math.exp if ratio else float
    low = high = None
    if math.isfinite(error):
        half = float(special.stdtrit(freedom, 0.975)) * error
        low, high = back(mean - half), back(mean + half)
    return Found(
        value=back(mean),
        low=low,
        high=high,
        here=_told(back(mean), ratio),
        spread=span(low, high),
        trials=counts[0],
        seeds=counts[1],
        basis=basis,
        lacks="one trial on a side gives no interval",
        of="trial" if basis == WELCH_BASIS else "pair",
    )


def _check(values: Sequence[Sequence[float]], ratio: bool) -> None:
    every = [one for several in values for one in several]
    never = sum(math.isinf(one) for one in every)
    if never:
        raise NoChange(f"{counted(never, 'trial')} never got there, so there is no mean")
    if ratio and min(every) <= 0:
        raise NoChange(f"a ratio needs positive values, one trial has {number(min(every))}")


def _scaled(values: Float[np.ndarray, "..."], ratio: bool) -> Float[np.ndarray, "..."]:
    return np.log(values) if ratio else values


def _told(value: float, ratio: bool) -> str:
    if not ratio:
        return signed(value)
    if value == 0:  # a finite number over one beyond all
        return signed(-math.inf)
    return f"{number(value)} times" if math.isfinite(value) else "never got there any more"
