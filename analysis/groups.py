"""Groups: the combinations of some fields that occur among the trials of a sweep, in axis order."""

import itertools
from collections.abc import Sequence
from typing import Any

from analysis.runs import Runs, matches, rows_of
from sweeps.spec import Sweep

Group = tuple[tuple[str, Any], ...]


def axis_fields(sweep: Sweep) -> tuple[str, ...]:
    """Every field that some axis sets, in the order of the file."""
    return tuple(dict.fromkeys(field for axis in sweep.axes for field in axis.may_set()))


def groups(sweep: Sweep, fields: Sequence[str], runs: Runs) -> tuple[Group, ...]:
    """The combinations of some fields that occur, also among omitted trials, in axis order."""
    orders: list[list[Any]] = []
    seen = [*rows_of(runs.table), *(one.fields for one in runs.omitted)]
    for field in fields:
        order: list[Any] = []
        listed = [value for axis in sweep.axes for value in axis.listed(field)]
        for value in [*listed, *(row[field] for row in seen if field in row)]:
            if not any(matches({field: one}, {field: value}) for one in order):
                order.append(value)
        orders.append(order)
    possible = [tuple(zip(fields, values, strict=True)) for values in itertools.product(*orders)]
    return tuple(group for group in possible if any(matches(row, dict(group)) for row in seen))
