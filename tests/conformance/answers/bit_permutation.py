"""The same bits one place further, both scaled to length one."""

from typing import Any

VARIANTS: list[dict[str, Any]] = [{"bits": 30}, {"bits": 2}, {"bits": 11, "confidence": 0.5}]


def accepts(task: Any, asked: list[float], answered: list[float]) -> bool:
    ones = sum(value > 0 for value in asked)
    moved = [answered[(place + 1) % task.bits] for place in range(task.bits)]
    scaled = all(value == 0 or abs(value - ones**-0.5) < 1e-12 for value in asked)
    return len(asked) == task.bits and ones > 0 and scaled and moved == asked
