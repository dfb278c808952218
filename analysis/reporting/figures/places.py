"""Where the values of a field lie on an axis: numbers to scale, all else apart from them at its ends."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.reporting.figures.canvas import log_ticks, spelled_tick
from analysis.runs import is_number, same
from analysis.summary import written

APART = 0.17  # of the axis, between the numbers and a value that is none
FEW = 8  # values that are all named by ticks
ROW = 12  # values that stand in a row where some would lie on each other
NEAR = 0.06  # of the axis, between values that would


@dataclass(frozen=True)
class Places:
    """The places of some values; where `is_scale` they are numbers, else names in a row.

    Places are numbers of the axis, which is logarithmic if `log`.
    """

    values: tuple[Any, ...]
    at: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]
    low: float
    high: float
    log: bool
    is_scale: bool
    gap: float  # between neighbours, in decades where `log`
    breaks: tuple[float, ...] = ()  # where the scale ends, and a value apart from it follows

    def of(self, value: Any, aside: float = 0.0) -> float:
        """Where a value lies, moved by a share of the gap between neighbours."""
        place = next(at for one, at in zip(self.values, self.at, strict=True) if same(one, value))
        return self.moved(place, aside * self.gap)

    def moved(self, place: float, by: float) -> float:
        """A place moved along the axis."""
        return place * 10**by if self.log else place + by

    def joined(self, value: Any) -> bool:
        """Whether a line may lead to a value: it is a number that lies to scale."""
        return self.is_scale and is_number(value) and not (self.log and value <= 0)


def places(values: Sequence[Any], *, log: bool, none: str = "none", row: bool = False) -> Places:
    """Numbers to scale; on a logarithmic axis what is not positive stands before them.

    A value that is None comes last and is called `none`. Where some value is a text or a truth value
    all of them stand in a row, in the order that is given; so do few numbers that would lie on each
    other, and all numbers where a `row` is asked for.
    """
    known = [value for value in values if value is not None]
    absent = [None] if len(known) < len(values) else []
    if not known or row or not all(map(is_number, known)):
        return _row([*known, *absent], none)
    before = sorted(value for value in known if log and value <= 0)
    to_scale = sorted(value for value in known if not (log and value <= 0))
    if not to_scale or (not log and len(to_scale) <= ROW and _near(to_scale)):
        return _row([*sorted(known), *absent], none)

    def forth(value: float) -> float:
        return math.log10(value) if log else float(value)

    def back(place: float) -> float:
        return 10**place if log else place

    inner = [forth(value) for value in to_scale]
    span = (inner[-1] - inner[0]) or (0.6 if log else abs(inner[0]) or 1.0)
    left = [inner[0] - APART * span * (len(before) - number) for number in range(len(before))]
    right = [inner[-1] + APART * span for _ in absent]
    every = [*left, *inner, *right]
    edge = 0.05 * (every[-1] - every[0] or span)
    gaps = [after - one for one, after in itertools.pairwise(every)]
    ticks = [
        *((back(at), written(value)) for at, value in zip(left, before, strict=True)),
        *_number_ticks(to_scale, log),
        *((back(at), none) for at in right),
    ]
    return Places(
        values=(*before, *to_scale, *absent),
        at=tuple(map(back, every)),
        ticks=tuple(ticks),
        low=back(every[0] - edge),
        high=back(every[-1] + edge),
        log=log,
        is_scale=True,
        gap=min(gaps, default=span),
        breaks=tuple(
            back((one + after) / 2)
            for one, after in (
                *([(left[-1], inner[0])] if left else []),
                *([(inner[-1], right[0])] if right else []),
            )
        ),
    )


def _near(numbers: Sequence[float]) -> bool:
    """Whether two of some numbers could not be told apart on an axis to scale."""
    span = numbers[-1] - numbers[0]
    return any(after - one < NEAR * span for one, after in itertools.pairwise(numbers))


def _row(values: Sequence[Any], none: str) -> Places:
    """Names side by side."""
    at = tuple(float(number) for number in range(len(values)))
    names = [none if value is None else written(value) for value in values]
    return Places(
        values=tuple(values),
        at=at,
        ticks=tuple(zip(at, names, strict=True)),
        low=-0.5,
        high=len(values) - 0.5,
        log=False,
        is_scale=False,
        gap=1.0,
    )


def _number_ticks(numbers: Sequence[float], log: bool) -> list[tuple[float, str]]:
    """The numbers themselves where they are few and lie apart; else round numbers among them."""
    forth = [math.log10(one) if log else float(one) for one in numbers]
    span = forth[-1] - forth[0]
    apart = all(after - one > 0.08 * span for one, after in itertools.pairwise(forth))
    if len(numbers) <= FEW and apart:
        chosen = [float(one) for one in numbers]
    elif log:
        chosen = log_ticks(float(numbers[0]), float(numbers[-1]))
    else:
        chosen = round_numbers(float(numbers[0]), float(numbers[-1]))
    return [(one, spelled_tick(one)) for one in chosen]


def round_numbers(low: float, high: float) -> list[float]:
    """At most seven multiples of 1, 2 or 5 times a power of ten, within two numbers."""
    rough = (high - low) / 6
    power = 10 ** math.floor(math.log10(rough))
    step = next(many * power for many in (1, 2, 5, 10) if many * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]
