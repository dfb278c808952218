"""Axes: which fields of a trial take which values."""

import math
from abc import ABC, abstractmethod
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from typing_extensions import override

from trainers.schema import Frozen

FieldPath = Annotated[
    str, Field(pattern=r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*$", max_length=200)
]
Point = dict[str, Any]
"""One place on an axis: the fields that it sets, by their dotted path in the trial."""


class Axis(Frozen, ABC):
    """A sequence of points; a sweep is the product of its axes, the last one varying fastest."""

    @abstractmethod
    def points(self) -> tuple[Point, ...]:
        """Every point, in the order in which it was written."""


class Values(Axis):
    """One field takes each of the listed values."""

    kind: Literal["values"] = "values"
    field: FieldPath
    values: tuple[Any, ...] = Field(min_length=1, max_length=10_000)

    @override
    def points(self) -> tuple[Point, ...]:
        return tuple({self.field: value} for value in self.values)


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
    def points(self) -> tuple[Point, ...]:
        ratio = math.log(self.high / self.low)
        inner = [
            self.low * math.exp(ratio * step / (self.count - 1))
            for step in range(1, self.count - 1)
        ]
        exact = [self.low, *inner, self.high]  # the ends to the bit, whatever exp and log round to
        values = list(dict.fromkeys(round(value) for value in exact)) if self.whole else exact
        return tuple({self.field: value} for value in values)


class Zip(Axis):
    """Several fields change together: the first values of all, then the second values, and so on."""

    kind: Literal["zip"] = "zip"
    fields: dict[FieldPath, tuple[Any, ...]] = Field(min_length=2)

    @model_validator(mode="after")
    def _same_length(self) -> "Zip":
        lengths = {field: len(values) for field, values in self.fields.items()}
        if len(set(lengths.values())) != 1 or 0 in lengths.values():
            raise ValueError(f"expected equally many values for each field, got {lengths}")
        return self

    @override
    def points(self) -> tuple[Point, ...]:
        columns = self.fields.values()
        return tuple(dict(zip(self.fields, row, strict=True)) for row in zip(*columns, strict=True))


AnyAxis = Annotated[Values | LogRange | Zip, Field(discriminator="kind")]
