"""Which fields of a trial take which values: the interface of an axis."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from trainers.schema import Frozen

FieldPath = Annotated[
    str, Field(pattern=r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*$", max_length=200)
]


@dataclass(frozen=True)
class Aim:
    """Training FLOPs for which a trial was solved, and the share of them by which it may be off."""

    flops: float
    tolerance: float


@dataclass(frozen=True)
class Point:
    """One place on an axis: the fields that it sets, by their dotted path in the trial."""

    sets: dict[str, Any]
    aim: Aim | None = None


class TrialSoFar(ABC):
    """A trial with the fields set that stand in the sweep file or on an earlier axis."""

    @abstractmethod
    def value(self, field: str) -> Any:
        """What a field is, also by default.

        Raises:
            KeyError: there is no such field.
        """

    @abstractmethod
    def flops(self, changes: dict[str, Any]) -> int:
        """FLOPs of the whole training, with some fields changed.

        Raises:
            InputError: that is no trial.
        """

    @abstractmethod
    def with_fields(self, sets: dict[str, Any]) -> "TrialSoFar":
        """The trial with some more fields set."""


class Axis(Frozen, ABC):
    """A sequence of points; a sweep is the product of its axes, the last one varying fastest."""

    @abstractmethod
    def points(self, trial: TrialSoFar) -> tuple[Point, ...]:
        """Every point, in the order in which it was written; an axis may ask what the trial is so far.

        Raises:
            InputError: the axis has no points for this trial.
        """

    @abstractmethod
    def may_set(self) -> tuple[FieldPath, ...]:
        """Every field that some point may set."""

    @abstractmethod
    def listed(self, field: str) -> tuple[Any, ...]:
        """The values of one of its fields in the order of the file; none where they depend on the trial."""
