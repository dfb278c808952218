"""Balanced brackets by removing neighbouring pairs until none is left."""

from itertools import accumulate
from typing import Any

VARIANTS: list[dict[str, Any]] = [
    {"types": 1, "length": (2, 30)},
    {"types": 7, "length": (3, 9), "depth": 2},
    {"depth": 1, "length": (2, 12)},
    {"length": (300, 300), "depth": 5},
    {"ask": "complete"},
    {"ask": "complete", "types": 1, "length": (1, 20)},
    {"ask": "complete", "types": 7, "depth": 3, "length": (1, 60)},
    {"ask": "complete", "depth": 1, "length": (2, 10)},
    {"ask": "complete", "depth": 2, "length": (8, 8)},
]


def accepts(task: Any, asked: list[str], answered: list[str]) -> bool:
    opening = task.alphabet()[: task.types]
    closing = task.alphabet()[task.types : 2 * task.types]
    if task.ask == "recognise":
        return answered == ["yes" if balanced(asked, opening, closing, task.depth) else "no"]
    return balanced([*asked, *answered], opening, closing, task.depth)


def balanced(
    line: list[str], opening: tuple[str, ...], closing: tuple[str, ...], depth: int | None
) -> bool:
    """Whether nothing is left when neighbouring pairs go, and no more than `depth` are open."""
    open_now = accumulate((one in opening) - (one in closing) for one in line)
    if depth is not None and max(open_now, default=0) > depth:
        return False
    pairs = set(zip(opening, closing, strict=True))
    left = list(line)
    while True:
        place = next((i for i in range(len(left) - 1) if (left[i], left[i + 1]) in pairs), None)
        if place is None:
            return not left
        del left[place : place + 2]
