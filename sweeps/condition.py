"""Fields of a trial and what each must be: a value, one of several, or a number between bounds."""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from sweeps.axis import FieldPath

_BOUNDS = frozenset({"at_least", "at_most"})


def _checked(wanted: Any) -> Any:
    if isinstance(wanted, list) and not wanted:
        raise ValueError("expected a value or several, got an empty list")
    bounds = _bounds(wanted) or {}
    for name, bound in bounds.items():
        if not _is_number(bound):
            raise ValueError(f"expected {name} to be a number, got {bound!r}")
    low, high = bounds.get("at_least"), bounds.get("at_most")
    if low is not None and high is not None and low > high:
        raise ValueError(f"expected at_least <= at_most, got {low} > {high}")
    return wanted


Condition = Annotated[
    dict[FieldPath, Annotated[Any, AfterValidator(_checked)]], Field(min_length=1, max_length=50)
]
"""Holds where every field is as wanted: `16`, `[16, 32]` or `{at_least: 16, at_most: 64}`."""


def holds(condition: Mapping[str, Any], value: Callable[[str], Any]) -> bool:
    """Whether a trial is meant, whose fields `value` gives; a field that it lacks is not as wanted.

    `value` raises KeyError for a field that there is not.
    """
    return all(_is_as_wanted(field, wanted, value) for field, wanted in condition.items())


def _is_as_wanted(field: str, wanted: Any, value: Callable[[str], Any]) -> bool:
    try:
        given = value(field)
    except KeyError:
        return False
    bounds = _bounds(wanted)
    if bounds is not None:
        low, high = bounds.get("at_least", -math.inf), bounds.get("at_most", math.inf)
        return _is_number(given) and low <= given <= high
    if isinstance(wanted, list) and any(_same(given, one) for one in wanted):
        return True
    return _same(given, wanted)


def _same(one: Any, other: Any) -> bool:
    """Equal as a sweep file means it: 1 is 1.0, but neither is true."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _bounds(wanted: Any) -> dict[str, Any] | None:
    """The bounds, if that is what is wanted."""
    is_bounded = isinstance(wanted, dict) and wanted and wanted.keys() <= _BOUNDS
    return wanted if is_bounded else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
