"""Points of a space: at random, at its corners, and as trials."""

import json
import random
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from sweeps.ranges import Range

Space = Mapping[str, Range]
Point = dict[str, Any]
"""A value for each field of a space, by the field's dotted path in the trial."""

_CORNERS = 64  # of a larger product only some are looked at
_DRAWS = 64


def drawn(space: Space, words: str) -> Point:
    """A point at random; the same words give the same point, whatever was drawn before."""
    return {
        field: one.at(random.Random(f"{words} {field}").random()) for field, one in space.items()
    }


def looked_at(space: Space) -> tuple[Point, ...]:
    """Points that stand for the space: its corners, every end of every range, and some inside."""
    ends = {field: one.ends() for field, one in space.items()}
    first = {field: values[0] for field, values in ends.items()}
    corners = 1
    for values in ends.values():
        corners *= len(values)
    rows: list[Point] = []
    if corners <= _CORNERS:
        rows += [dict(zip(ends, row, strict=True)) for row in product(*ends.values())]
    else:
        rows += [{**first, field: value} for field, values in ends.items() for value in values]
        rows.append({field: values[-1] for field, values in ends.items()})
    rows += [drawn(space, f"look {number}") for number in range(_DRAWS)]
    return tuple({written(row): row for row in rows}.values())


def lies_in(point: Mapping[str, Any], space: Space) -> bool:
    """Whether a point has a value inside every range."""
    return all(field in point and one.holds(point[field]) for field, one in space.items())


def written(point: Mapping[str, Any]) -> str:
    """A point as a text that tells it from all others."""
    return json.dumps(point, sort_keys=True)


def axes_through(points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The points as one axis of a sweep file: the fields change together."""
    fields = list(points[0])
    if len(fields) == 1:
        values = [point[fields[0]] for point in points]
        return [{"kind": "values", "field": fields[0], "values": values}]
    return [
        {"kind": "zip", "fields": {field: [point[field] for point in points] for field in fields}}
    ]
