"""The ladder of rows: how many a pack has whose steps are compiled or captured, which takes seconds."""

from trainers.engine.execution import Mode

_WORTH = 1.5  # times what it takes: an estimate may err, and the time is certain to be spent


def rung(trials: int, mode: Mode) -> int:
    """The number of rows for so many trials: the next power of two.

    Compiled steps have two rows at least: with a single one the compiler makes other products and sums, and
    bits would depend on the pack. (Summing the losses outside of the program is not enough.)
    """
    return max(2 if mode == "compiled" else 1, 1 << (trials - 1).bit_length())


def pays(rows: int, fewer: int, *, steps_left: int, step_s: float, preparation_s: float) -> bool:
    """Whether going on with fewer rows saves more time than the new program takes to make.

    Where rows are worth dropping at all, a step takes about as long as it has rows.
    """
    saved_s = steps_left * step_s * (1 - fewer / rows)
    return saved_s > _WORTH * preparation_s
