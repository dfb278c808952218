"""One field takes each of the listed values."""

from typing import Any, Literal

from pydantic import Field
from typing_extensions import override

from sweeps.axis import Axis, FieldPath, Point, TrialSoFar


class Values(Axis):
    """One field takes each of the listed values."""

    kind: Literal["values"] = "values"
    field: FieldPath
    values: tuple[Any, ...] = Field(min_length=1, max_length=10_000)

    @override
    def points(self, trial: TrialSoFar) -> tuple[Point, ...]:
        return tuple(Point({self.field: value}) for value in self.values)

    @override
    def may_set(self) -> tuple[FieldPath, ...]:
        return (self.field,)

    @override
    def listed(self, field: str) -> tuple[Any, ...]:
        return self.values if field == self.field else ()
