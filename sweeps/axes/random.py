"""Fields take values at random, the same ones whenever the sweep is planned."""

import hashlib
from typing import Any, Literal

from pydantic import Field
from typing_extensions import override

from sweeps.axis import Axis, FieldPath, Point, TrialSoFar
from sweeps.ranges import AnyRange, Seed


class Random(Axis):
    """Each of `draws` points sets every field to a random value of its range.

    A value is a function of the seed, of its field and of its number: a further draw or a further
    field changes no other. Real numbers are rounded to six digits, so that every machine draws alike.
    """

    kind: Literal["random"] = "random"
    draws: int = Field(ge=1, le=100_000)
    seed: Seed = 0
    fields: dict[FieldPath, AnyRange] = Field(min_length=1, max_length=50)

    @override
    def points(self, trial: TrialSoFar) -> tuple[Point, ...]:
        columns = {field: self.listed(field) for field in self.fields}
        rows = zip(*columns.values(), strict=True)
        return tuple(Point(dict(zip(columns, row, strict=True))) for row in rows)

    @override
    def may_set(self) -> tuple[FieldPath, ...]:
        return tuple(self.fields)

    @override
    def listed(self, field: str) -> tuple[Any, ...]:
        if field not in self.fields:
            return ()
        range_, stem = self.fields[field], f"{self.seed}/{field}/"
        values = (range_.at(_share(f"{stem}{number}")) for number in range(self.draws))
        return tuple(_rounded(value, range_) for value in values)


def _share(name: str) -> float:
    """A number from 0 to below 1, as good as random: a function of the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7]) / 2**56


def _rounded(value: Any, range_: AnyRange) -> Any:
    """Six digits are more than a range means; the last bits of a logarithm differ between machines."""
    if not isinstance(value, float) or range_.kind == "choice":
        return value
    low, high = range_.ends()
    return min(high, max(low, float(f"{value:.6g}")))
