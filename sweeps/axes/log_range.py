"""One field takes values that are spaced evenly in logarithm."""

import math
from typing import Any, Literal

from pydantic import Field, model_validator
from typing_extensions import override

from sweeps.axis import Axis, FieldPath, Point, TrialSoFar


def log_spaced(low: float, high: float, count: int) -> list[float]:
    """`count` numbers at equal ratios; the ends to the bit, whatever exp and log round to."""
    ratio = math.log(high / low)
    inner = [low * math.exp(ratio * step / (count - 1)) for step in range(1, count - 1)]
    return [low, *inner, high]


class LogRange(Axis):
    """One field takes `count` values spaced evenly in logarithm from `low` to `high`, both included.

    With `whole: true` values are rounded to integers, and values that round alike are taken once.
    """

    kind: Literal["log_range"] = "log_range"
    field: FieldPath
    low: float = Field(gt=0)
    high: float = Field(gt=0)
    count: int = Field(ge=2, le=10_000)
    whole: bool = False

    @model_validator(mode="after")
    def _rises(self) -> "LogRange":
        if self.high <= self.low:
            raise ValueError(
                f"expected high above low, got low {self.low:g} and high {self.high:g}"
            )
        return self

    @override
    def points(self, trial: TrialSoFar) -> tuple[Point, ...]:
        return tuple(Point({self.field: value}) for value in self.listed(self.field))

    @override
    def may_set(self) -> tuple[FieldPath, ...]:
        return (self.field,)

    @override
    def listed(self, field: str) -> tuple[Any, ...]:
        if field != self.field:
            return ()
        exact = log_spaced(self.low, self.high, self.count)
        return tuple(dict.fromkeys(round(value) for value in exact) if self.whole else exact)
