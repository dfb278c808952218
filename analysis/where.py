"""`--where` expressions: `column op value and column op value ...`, read without running them."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
_PART = re.compile(
    r"\s*([^\s<>=!]+)\s*(==|!=|<=|>=|=|<|>)\s*(?:'([^']*)'|\"([^\"]*)\"|([^\s'\"<>=!]+))\s*"
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
        return f"{self.column} {self.compare} {self.value}"


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
        column, compare, single, double, bare = part.groups()
        value = _value(bare) if bare is not None else (single if single is not None else double)
        conditions.append(Condition(column, compare, value))
        at = part.end()
        if at == len(text):
            return tuple(conditions)
        joint = _AND.match(text, at)
        if joint is None:
            raise InputError(f"--where: expected `and` or the end, got {shown(text[at:])}")
        at = joint.end()


def holds(condition: Condition, row: Mapping[str, Any]) -> bool:
    """Whether a row of a table meets a condition; numbers are compared as numbers.

    Raises:
        InputError: the row has no such column, or a text where a number is compared.
    """
    if condition.column not in row:
        known = ", ".join(row)
        raise InputError(f"--where {condition}: expected one of the columns {known}")
    compare, wanted, got = _COMPARE[condition.compare], condition.value, row[condition.column]
    if isinstance(wanted, str):
        return compare(str(got), wanted)
    number = _value(str(got))
    if not isinstance(number, str):
        return compare(number, wanted)
    if compare in (operator.eq, operator.ne):
        return compare(number, wanted)
    raise InputError(
        f"--where {condition}: expected numbers in {condition.column}, got {shown(got)}"
    )


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
