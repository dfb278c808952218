"""Several fields change together."""

from typing import Any, Literal

from pydantic import Field, model_validator
from typing_extensions import override

from sweeps.axis import Axis, FieldPath, Point, TrialSoFar


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
    def points(self, trial: TrialSoFar) -> tuple[Point, ...]:
        rows = zip(*self.fields.values(), strict=True)
        return tuple(Point(dict(zip(self.fields, row, strict=True))) for row in rows)

    @override
    def may_set(self) -> tuple[FieldPath, ...]:
        return tuple(self.fields)

    @override
    def listed(self, field: str) -> tuple[Any, ...]:
        return self.fields.get(field, ())
