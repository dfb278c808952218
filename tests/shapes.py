"""The checker of annotations in tests: each function the first times that a test calls it.

A test that trains or fits calls some functions a hundred thousand times, always alike, and a check takes
longer than the call. An int will do for a float, as it does everywhere in Python.
"""

import sys
from collections import Counter
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any

from beartype import BeartypeConf, beartype

_typed = beartype(conf=BeartypeConf(is_pep484_tower=True))
_ENOUGH = 4  # checks of a function in one test, of its arguments and of what it gives
_checks: Counter[tuple[str, str]] = Counter()
_left_alone: list[FunctionType] = []


def checked(stub: Callable[..., Any]) -> Callable[..., Any]:
    """What jaxtyping calls with the arguments of a function, and again with its result."""
    typed, name = _typed(stub), (stub.__module__, stub.__qualname__)

    @wraps(stub)
    def counted(*args: object, **kwargs: object) -> Any:
        _checks[name] += 1
        if _checks[name] == _ENOUGH:
            _leave_alone(*name)
        return typed(*args, **kwargs)

    return counted


def check_again() -> None:
    """A new test begins."""
    _checks.clear()
    while _left_alone:
        del _left_alone.pop().__no_type_check__


def _leave_alone(module: str, name: str) -> None:
    """Tell jaxtyping, for the rest of the test, to call a function as it is."""
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = vars(found).get(part)
        if found is None:  # made inside another function
            return
    for inner in ("__func__", "fget", "func"):  # of a class method, a property, a cached one
        found = getattr(found, inner, found)
    if isinstance(found, FunctionType):
        found.__no_type_check__ = True
        _left_alone.append(found)
