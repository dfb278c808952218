"""`--where` expressions: `column op value and column op value ...`, read without running them."""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool
from typing_extensions import override

from trainers.schema import InputError, shown

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_QUOTED = r"'([^']*)'|\"([^\"]*)\""
_PART = re.compile(
    rf"\s*(?:{_QUOTED}|([^\s<>=!'\"]+))\s*(==|!=|<=|>=|=|<|>)\s*(?:{_QUOTED}|([^\s'\"<>=!]+))\s*"
)
_AND = re.compile(r"and\s", re.IGNORECASE)


@dataclass(frozen=True)
class Condition:
    """One comparison of a column with a number or a text."""

    column: str
    compare: str
    value: float | str

    @override
    def __str__(self) -> str:
        value = self.value if isinstance(self.value, str) else f"{self.value:.15g}"
        return f"{self.column} {self.compare} {value}"


def parse_where(text: str) -> tuple[Condition, ...]:
    """The conditions of an expression, all of which must hold.

    Raises:
        InputError: the expression is not `column op value [and ...]`.
    """
    conditions: list[Condition] = []
    at = 0
    while True:
        part = _PART.match(text, at)
        if part is None:
            raise InputError(
                f"--where: expected `column op value [and ...]` with op one of < <= > >= == !=, "
                f"got {shown(text[at:] or text)}"
            )
        one, two, plain, compare, single, double, bare = part.groups()
        column = next(text for text in (one, two, plain) if text is not None)
        value = _value(bare) if bare is not None else (single if single is not None else double)
        conditions.append(Condition(column, compare, value))
        at = part.end()
        if at == len(text):
            return tuple(conditions)
        joint = _AND.match(text, at)
        if joint is None:
            raise InputError(f"--where: expected `and` or the end, got {shown(text[at:])}")
        at = joint.end()


def holds(condition: Condition, cells: Sequence[str]) -> Bool[np.ndarray, " run"]:
    """Which cells of its column meet a condition; numbers are compared as numbers.

    An empty cell is neither smaller nor larger than any number.

    Raises:
        InputError: a cell is a text where a number is compared.
    """
    compare, wanted = _COMPARE[condition.compare], condition.value
    if isinstance(wanted, str):
        return np.array([compare(text, wanted) for text in cells], dtype=bool)
    try:
        values = np.fromiter(map(float, cells), dtype=np.float64, count=len(cells))
        return np.asarray(compare(values, wanted), dtype=bool)
    except ValueError:
        return np.array([_meets(condition, text, wanted) for text in cells], dtype=bool)


def _meets(condition: Condition, text: str, wanted: float) -> bool:
    compare, number = _COMPARE[condition.compare], _value(text)
    if not isinstance(number, str) or compare in (operator.eq, operator.ne):
        return compare(number, wanted)
    if not text:
        return False
    raise InputError(
        f"--where {condition}: expected numbers in {condition.column}, got {shown(text)}"
    )


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
