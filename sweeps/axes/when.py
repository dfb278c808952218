"""Axes that exist only for some trials."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field
from typing_extensions import override

from sweeps.axis import Axis, FieldPath, Point, TrialSoFar
from sweeps.condition import Condition, holds

if TYPE_CHECKING:
    AnyAxis = Axis


class When(Axis):
    """Axes that exist only where the trial so far is as `where` says; elsewhere there is one place.

    Fields of `where` are set in the trial or on an earlier axis.
    """

    kind: Literal["when"] = "when"
    where: Condition
    axes: "tuple[AnyAxis, ...]" = Field(min_length=1)

    @override
    def points(self, trial: TrialSoFar) -> tuple[Point, ...]:
        if not holds(self.where, trial.value):
            return (Point({}),)
        found = [Point({})]
        for axis in self.axes:
            found = [
                Point({**one.sets, **more.sets}, more.aim or one.aim)
                for one in found
                for more in axis.points(trial.with_fields(one.sets))
            ]
        return tuple(found)

    @override
    def may_set(self) -> tuple[FieldPath, ...]:
        return tuple(dict.fromkeys(field for axis in self.axes for field in axis.may_set()))

    @override
    def listed(self, field: str) -> tuple[Any, ...]:
        return tuple(value for axis in self.axes for value in axis.listed(field))


def every_axis(axes: Iterable[Axis]) -> Iterator[Axis]:
    """The axes in the order of the file, with those that a condition holds in its place."""
    for axis in axes:
        if isinstance(axis, When):
            yield from every_axis(axis.axes)
        else:
            yield axis
