"""Tables that are computed once and kept, whoever asks first."""

import weakref
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

from torch import Tensor
from torch.utils import _pytree
from torch.utils._python_dispatch import _disable_current_modes

P = ParamSpec("P")
T = TypeVar("T")

_made: list[weakref.ref[Tensor]] = []


def kept(make: Callable[P, T]) -> Callable[P, T]:
    """A function that remembers its tables.

    Memory is counted with tensors without content; a table must have some even when it is asked for
    there first, since it is kept for real ones.
    """

    @lru_cache(maxsize=64)
    @wraps(make)
    def real(*args: P.args, **kwargs: P.kwargs) -> T:
        with _disable_current_modes():
            table = make(*args, **kwargs)
        leaves = _pytree.tree_leaves(table)
        _made.extend(weakref.ref(each) for each in leaves if isinstance(each, Tensor))
        return table

    return real  # pyright: ignore[reportReturnType] (the cache wants arguments that have a hash)


def all_kept() -> list[Tensor]:
    """The tables that there are; whoever holds the list keeps those that would be forgotten."""
    tables = [table for each in _made if (table := each()) is not None]
    _made[:] = map(weakref.ref, tables)
    return tables
