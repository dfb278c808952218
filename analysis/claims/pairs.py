"""Pairs of trials that differ in the fields of a change, and in nothing else that an axis sets."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.claims.values import Row
from analysis.runs import is_number
from sweeps.claim import ChangeClaim
from sweeps.spec import Sweep


@dataclass(frozen=True)
class Pairs:
    """Trials before and after a change; `alone` have no partner.

    `several` says why there are no pairs although trials match: more than one on a side.
    """

    both: tuple[tuple[Row, Row], ...]
    alone: int
    several: str = ""


def pairs_of(
    claim: ChangeClaim, sweep: Sweep, before: Sequence[Row], after: Sequence[Row]
) -> Pairs:
    """Pair trials of the same replicate that are equal in every field of another axis.

    Fields that share an axis with those of the change go with it, so they need not be equal.
    """
    changed = {*claim.from_, *claim.to}
    axes = sweep.single_axes()
    together = {field for axis in axes if changed & {*axis.may_set()} for field in axis.may_set()}
    free = {field for axis in axes for field in axis.may_set()} - together - changed
    equal = (*sorted(free), "seed")
    groups: dict[tuple[Any, ...], tuple[list[Row], list[Row]]] = defaultdict(lambda: ([], []))
    for side, rows in enumerate((before, after)):
        for row in rows:
            groups[tuple(_key(row.get(field)) for field in equal)][side].append(row)
    for rows in groups.values():
        for side, name in zip(rows, ("from", "to"), strict=True):
            if len(side) > 1 and all(rows):
                words = f"{len(side)} trials of {name} are equal in all else; where or {name} must"
                return Pairs((), 0, f"{words} say which of them is meant")
    both = tuple((one[0], other[0]) for one, other in groups.values() if one and other)
    return Pairs(both, len(before) + len(after) - 2 * len(both))


def _key(value: Any) -> Any:
    """A value that can be looked up: 64 is 64.0, but 1 is not true."""
    if isinstance(value, list | tuple):
        return tuple(map(_key, value))
    if isinstance(value, dict):
        return tuple(sorted((name, _key(one)) for name, one in value.items()))
    return float(value) if is_number(value) else (type(value).__name__, value)
