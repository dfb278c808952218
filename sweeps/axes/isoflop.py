"""One field is solved for, so that trials come to given training FLOPs."""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator
from typing_extensions import override

from sweeps.axes.log_range import log_spaced
from sweeps.axis import Aim, Axis, FieldPath, Point, TrialSoFar
from trainers.schema import Frozen, InputError

_MOST = 10**15
_NEIGHBOURS = 128  # on either side: a width is a multiple of its heads, and few have more of them


class LevelRange(Frozen):
    """`count` levels at equal ratios from `low` to `high`, both included."""

    low: float = Field(gt=0)
    high: float = Field(gt=0)
    count: int = Field(ge=2, le=1_000)

    @model_validator(mode="after")
    def _rises(self) -> "LevelRange":
        if self.high <= self.low:
            raise ValueError(
                f"expected high above low, got low {self.low:g} and high {self.high:g}"
            )
        return self


Level = Annotated[float, Field(gt=0)]
Levels = Annotated[tuple[Level, ...], Field(min_length=1, max_length=1_000)]


def _how_given(levels: Any) -> str:
    return "<range>" if isinstance(levels, dict | LevelRange) else "<list>"


AnyLevels = Annotated[
    Annotated[Levels, Tag("<list>")] | Annotated[LevelRange, Tag("<range>")],
    Discriminator(_how_given),
]


class IsoFlop(Axis):
    """One whole-numbered field is chosen so that training takes as nearly as possible so many FLOPs.

    `solve` is a width, a number of layers, or `budget.steps` or `budget.examples`; only numbers that
    make a trial are tried (a width that its heads divide). Where the nearest one is further off than
    the share `tolerance` of the level, the sweep is refused. It sees the axes that stand before it.

    Source: Hoffmann et al. 2022, arXiv:2203.15556, approach 2.
    """

    kind: Literal["isoflop"] = "isoflop"
    solve: FieldPath
    levels: AnyLevels
    tolerance: float = Field(default=0.1, gt=0, lt=1)
    multiple_of: int = Field(default=1, ge=1, le=10**9)

    @override
    def points(self, trial: TrialSoFar) -> tuple[Point, ...]:
        grain = self._grain(trial)
        tried: dict[int, int | None] = {}

        def flops(number: int) -> int | None:
            """FLOPs with this many grains; None: that is no trial."""
            if number not in tried:
                tried[number] = _flops(trial, {self.solve: number * grain})
            return tried[number]

        return tuple(self._at(level, grain, flops, trial) for level in self._levels())

    @override
    def may_set(self) -> tuple[FieldPath, ...]:
        return (self.solve,)

    @override
    def listed(self, field: str) -> tuple[Any, ...]:
        return ()

    def _levels(self) -> tuple[float, ...]:
        if isinstance(self.levels, LevelRange):
            return tuple(log_spaced(self.levels.low, self.levels.high, self.levels.count))
        return self.levels

    def _grain(self, trial: TrialSoFar) -> int:
        """What the number is a multiple of: examples fill whole batches."""
        if self.solve != "budget.examples":
            return self.multiple_of
        return math.lcm(self.multiple_of, trial.value("batch_size"))

    def _at(
        self, level: float, grain: int, flops: Callable[[int], int | None], trial: TrialSoFar
    ) -> Point:
        near = [number for number in _around(level, flops) if number is not None]
        if not near:
            trial.flops({self.solve: grain})  # says what is wrong with it
            raise InputError(f"{level:g} FLOPs: expected some {self.solve} to make a trial")
        best = min(near, key=lambda number: abs(math.log((flops(number) or 1) / level)))
        came = flops(best) or 0
        if abs(came / level - 1) > self.tolerance:
            raise InputError(
                f"{level:g} FLOPs: the nearest is {self.solve} = {best * grain} with {came:.4g},"
                f" {came / level - 1:+.0%}, beyond the tolerance of {self.tolerance:.0%}"
            )
        return Point({self.solve: best * grain}, Aim(level, self.tolerance))


def _flops(trial: TrialSoFar, changes: dict[str, Any]) -> int | None:
    try:
        return trial.flops(changes)
    except InputError:
        return None


def _around(level: float, flops: Callable[[int], int | None]) -> tuple[int | None, int | None]:
    """The largest number that stays below a level, and the smallest that reaches it; FLOPs only rise."""
    below = reached = None
    number = 1
    while number <= _MOST and reached is None:
        found = _nearest(number, number, 2 * number, flops)
        if found is None and below is not None:
            break  # beyond what the field may be
        if found is not None and (flops(found) or 0) >= level:
            reached = found
        elif found is not None:
            below = found
        number = 2 * number if found is None else 2 * found
    low, high = 1 if below is None else below + 1, number if reached is None else reached
    turn = 0
    while low < high:
        turn += 1
        middle = (low + high) // 2
        if turn % 3 and below is not None and reached is not None:  # FLOPs are nearly a power of it
            middle = min(high - 1, max(low, _between(below, reached, level, flops)))
        found = _nearest(middle, low, high, flops)
        if found is None and below is None:
            low = middle + 1  # too few steps for the reports, say
        elif found is None:
            high = middle
        elif (flops(found) or 0) >= level:
            reached, high = found, found if found <= middle else 2 * middle - found
        else:
            below, low = found, max(found + 1, 2 * middle - found)
    return below, reached


def _between(below: int, reached: int, level: float, flops: Callable[[int], int | None]) -> int:
    """Where a power of the number that goes through both ends comes to the level."""
    first, last = flops(below) or 1, flops(reached) or 1
    share = math.log(level / first) / math.log(last / first)
    return round(below * (reached / below) ** share)


def _nearest(number: int, low: int, high: int, flops: Callable[[int], int | None]) -> int | None:
    """The number that makes a trial and is next to this one, from `low` to below `high`."""
    for distance in range(_NEIGHBOURS):
        for other in (number - distance, number + distance):
            if low <= other < high and flops(other) is not None:
                return other
    return None
