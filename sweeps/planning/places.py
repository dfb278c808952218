"""The places of a sweep: every combination of points of its axes, less what is left out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from typing_extensions import override

from sweeps.axis import Aim, Axis, Point, TrialSoFar
from sweeps.condition import holds
from sweeps.spec import SpecError, Sweep
from trainers.schema import InputError, shown
from trainers.variants import Variants


@dataclass(frozen=True)
class Place:
    """One combination of points: the point of every axis, and all that they set together."""

    points: tuple[Point, ...]
    sets: dict[str, Any]
    aim: Aim | None


@dataclass
class Left:
    """What was met on the way through the places."""

    excluded: int = 0
    asked: set[str] = field(default_factory=set[str])  # fields that a condition or an axis names
    found: set[str] = field(default_factory=set[str])  # those that some trial has


def places(sweep: Sweep, variants: Variants, left: Left) -> Iterator[Place]:
    """Every place that is not excluded; the last axis varies fastest.

    Raises:
        SpecError: two axes set one field, or an axis has no points for a trial.
    """
    return _Walk(sweep, variants, left).below((), {}, None)


class _Walk:
    """One way through all places; points of an axis that asks nothing of the trial are made once."""

    def __init__(self, sweep: Sweep, variants: Variants, left: Left) -> None:
        self._sweep = sweep
        self._variants = variants
        self._left = left
        self._same: dict[int, tuple[Point, ...]] = {}

    def below(
        self, points: tuple[Point, ...], sets: dict[str, Any], aim: Aim | None
    ) -> Iterator[Place]:
        """The places that begin with these points."""
        number = len(points)
        if number == len(self._sweep.axes):
            if self._is_excluded(sets):
                self._left.excluded += 1
            else:
                yield Place(points, sets, aim)
            return
        try:
            found = self._points(number, sets)
        except InputError as error:
            if self._is_excluded(sets):
                self._left.excluded += 1
                return
            there = ", ".join(f"{name} = {shown(value)}" for name, value in sets.items())
            at = f", at {there}" if sets else ""
            raise SpecError(f"axes[{number}]: {error}{at}", place=("axes", number)) from error
        for point in found:
            twice = sets.keys() & point.sets.keys()
            if twice:
                raise SpecError(
                    f"axes[{number}]: expected each field on one axis, got {min(twice)} on two",
                    place=("axes", number),
                )
            yield from self.below(
                (*points, point),
                {**sets, **point.sets},
                point.aim or aim,
            )

    def _points(self, number: int, sets: dict[str, Any]) -> tuple[Point, ...]:
        if number not in self._same:
            trial = SoFar(self._variants, sets, self._left)
            points = _checked(self._sweep.axes[number], trial)
            if trial.was_asked:
                return points
            self._same[number] = points
        return self._same[number]

    def _is_excluded(self, sets: Mapping[str, Any]) -> bool:
        if not self._sweep.exclude:
            return False
        trial = SoFar(self._variants, sets, self._left)
        return any(holds(condition, trial.value) for condition in self._sweep.exclude)


def _checked(axis: Axis, trial: "SoFar") -> tuple[Point, ...]:
    points = axis.points(trial)
    if not points:
        raise InputError("expected an axis with points, got none")
    return points


class SoFar(TrialSoFar):
    """The trial of the sweep file with the fields of a place set."""

    def __init__(self, variants: Variants, sets: Mapping[str, Any], left: Left) -> None:
        self._variants = variants
        self._sets = sets
        self._left = left
        self.was_asked = False  # whether an axis wanted to know anything of it

    @override
    def value(self, field: str) -> Any:
        self.was_asked = True
        self._left.asked.add(field)
        value = self._sets[field] if field in self._sets else self._inside(field)
        self._left.found.add(field)
        return value

    @override
    def flops(self, changes: dict[str, Any]) -> int:
        self.was_asked = True
        return self._variants.with_fields({**self._sets, **changes}).flops

    @override
    def with_fields(self, sets: dict[str, Any]) -> "SoFar":
        self.was_asked = True
        return SoFar(self._variants, {**self._sets, **sets}, self._left)

    def _inside(self, field: str) -> Any:
        name, *path = field.split(".")
        value = self._variants.part(name, self._sets)
        for part in path:
            value = _field(value, part)
        return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _field(value: Any, name: str) -> Any:
    if isinstance(value, BaseModel) and name in type(value).model_fields:
        return getattr(value, name)
    if isinstance(value, Mapping):
        return value[name]
    raise KeyError(name)
