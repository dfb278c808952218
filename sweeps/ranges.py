"""Ranges: the values that a field may take where they are drawn or suggested instead of listed."""

import json
import math
from abc import ABC, abstractmethod
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from typing_extensions import override

from sweeps.wording import written
from trainers.schema import Frozen

_SHOWN = 12
_DIGITS = 5


class Range(Frozen, ABC):
    """The values that one field may take; uniform random numbers in [0, 1) are mapped onto them."""

    kind: Any  # a subclass says Literal[its name]

    @abstractmethod
    def at(self, share: float) -> Any:
        """The value at this share of the range."""

    @abstractmethod
    def neat(self, value: Any) -> Any:
        """A value that was suggested, without the digits that nobody needs to read and to type."""

    @abstractmethod
    def ends(self) -> tuple[Any, ...]:
        """The outermost values; of a choice all of them."""

    @abstractmethod
    def places(self) -> int | None:
        """How many values there are; None: a continuum."""

    @abstractmethod
    def holds(self, value: Any) -> bool:
        """Whether a value lies in the range: one of an earlier suggestion may not, in a changed file."""

    def words(self) -> str:
        """The range as a person reads it: `0.0001 to 0.1, log_uniform`."""
        ends = [written(value) for value in self.ends()]
        if self.places() == len(ends):
            return ", ".join(ends if len(ends) <= _SHOWN else [*ends[:_SHOWN], "..."])
        return f"{ends[0]} to {ends[-1]}, {self.kind}"


class _Between(Range, ABC):
    """A range of real numbers."""

    low: float
    high: float

    @model_validator(mode="after")
    def _rises(self) -> "_Between":
        if self.high <= self.low:
            raise ValueError(
                f"expected high above low, got low {self.low:g} and high {self.high:g}"
            )
        return self

    @override
    def ends(self) -> tuple[Any, ...]:
        return self.low, self.high

    @override
    def places(self) -> int | None:
        return None

    @override
    def holds(self, value: Any) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


class Uniform(_Between):
    """A real number from `low` to `high`, every one alike."""

    kind: Literal["uniform"] = "uniform"

    @override
    def at(self, share: float) -> Any:
        return min(self.high, self.low + share * (self.high - self.low))

    @override
    def neat(self, value: Any) -> Any:
        decimals = _DIGITS - math.floor(math.log10(self.high - self.low))
        return min(self.high, max(self.low, round(value, decimals)))


class LogUniform(_Between):
    """A real number from `low` to `high`, every ratio alike: for a learning rate."""

    kind: Literal["log_uniform"] = "log_uniform"
    low: float = Field(gt=0)

    @override
    def at(self, share: float) -> Any:
        exact = self.low * math.exp(share * math.log(self.high / self.low))
        return min(self.high, max(self.low, exact))

    @override
    def neat(self, value: Any) -> Any:
        decades = math.log10(self.high / self.low)
        digits = _DIGITS + max(0, -math.floor(math.log10(decades)))
        return min(self.high, max(self.low, float(f"{value:.{digits}g}")))


class Whole(Range):
    """A whole number `low`, `low + step`, ... up to `high`, every one alike."""

    kind: Literal["whole"] = "whole"
    low: int
    high: int
    step: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _rises(self) -> "Whole":
        if self.high <= self.low or (self.high - self.low) % self.step:
            raise ValueError(
                f"expected high above low by a multiple of step, got low {self.low},"
                f" high {self.high} and step {self.step}"
            )
        return self

    @override
    def at(self, share: float) -> Any:
        count = (self.high - self.low) // self.step + 1
        return self.low + self.step * min(count - 1, int(share * count))

    @override
    def neat(self, value: Any) -> Any:
        return value

    @override
    def ends(self) -> tuple[Any, ...]:
        return self.low, self.high

    @override
    def places(self) -> int | None:
        return (self.high - self.low) // self.step + 1

    @override
    def holds(self, value: Any) -> bool:
        return isinstance(value, int) and value in range(self.low, self.high + 1, self.step)


class LogWhole(Range):
    """A whole number from `low` to `high`, every ratio alike: for a size."""

    kind: Literal["log_whole"] = "log_whole"
    low: int = Field(ge=1)
    high: int

    @model_validator(mode="after")
    def _rises(self) -> "LogWhole":
        if self.high <= self.low:
            raise ValueError(f"expected high above low, got low {self.low} and high {self.high}")
        return self

    @override
    def at(self, share: float) -> Any:
        low, high = self.low - 0.5, self.high + 0.5  # so that the ends are no rarer than the rest
        exact = low * math.exp(share * math.log(high / low))
        return min(self.high, max(self.low, round(exact)))

    @override
    def neat(self, value: Any) -> Any:
        return value

    @override
    def ends(self) -> tuple[Any, ...]:
        return self.low, self.high

    @override
    def places(self) -> int | None:
        return self.high - self.low + 1

    @override
    def holds(self, value: Any) -> bool:
        return isinstance(value, int) and self.low <= value <= self.high


class Choice(Range):
    """One of the listed values, every one alike and in no order: of any kind a field may have."""

    kind: Literal["choice"] = "choice"
    values: tuple[Any, ...] = Field(min_length=1, max_length=1_000)

    @model_validator(mode="after")
    def _differ(self) -> "Choice":
        if len({json.dumps(value) for value in self.values}) < len(self.values):
            raise ValueError("expected each value once")
        return self

    @override
    def at(self, share: float) -> Any:
        return self.values[min(len(self.values) - 1, int(share * len(self.values)))]

    @override
    def neat(self, value: Any) -> Any:
        return value

    @override
    def ends(self) -> tuple[Any, ...]:
        return self.values

    @override
    def places(self) -> int | None:
        return len(self.values)

    @override
    def holds(self, value: Any) -> bool:
        return json.dumps(value) in {json.dumps(each) for each in self.values}


AnyRange = Annotated[Uniform | LogUniform | Whole | LogWhole | Choice, Field(discriminator="kind")]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
