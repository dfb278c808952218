"""What a reader must know before using a frontier of learning curves, and which runs would settle it."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from analysis.identify.findings import Finding
from analysis.summary import number


def frontier_warnings(
    curves: Sequence[tuple[float, float]],
    grid: Float[np.ndarray, " level"],
    winner: Int[np.ndarray, " level"],
    inner: Bool[np.ndarray, " level"],
    kept: int,
    asked: int,
) -> Iterator[Finding]:
    """The warnings; `curves` are size and largest log compute of every curve.

    `kept` of `asked` resamples had a power law.
    """
    yield Finding(
        "schedules",
        "a point in the middle of a run counts as if the run had ended there, which is right only "
        "for a constant learning rate or one that had decayed by then: before the end of a long "
        "decay the loss is too high and the best size comes out too large or too small",
    )
    sizes = np.array([size for size, _ in curves])
    inside = np.unique(sizes[winner[inner]])
    if len(inside) < 2:
        yield Finding(
            "few_sizes",
            f"{len(inside)} sizes between the smallest and the largest one are best at some "
            "compute; a power law needs 2, and 4 to be tested: train sizes in between",
            "not identified",
        )
    elif len(inside) < 4:
        yield Finding(
            "few_sizes",
            f"the power law rests on {len(inside)} sizes between the smallest and the largest one",
        )
    yield from _ends(curves, grid, winner, inner)
    if asked and len(inside) >= 2 and kept < 0.9 * asked:
        yield Finding(
            "weak_resamples",
            f"{asked - kept} of {asked} resamples of whole curves had no power law and were left "
            "out; the interval rests on few curves",
        )


def _ends(
    curves: Sequence[tuple[float, float]],
    grid: Float[np.ndarray, " level"],
    winner: Int[np.ndarray, " level"],
    inner: Bool[np.ndarray, " level"],
) -> Iterator[Finding]:
    """Sizes that hold the frontier until their curve ends: they might have held it for longer."""
    step = grid[1] - grid[0]
    cut = []
    for place in np.unique(winner[inner]):
        last = grid[np.flatnonzero(winner == place)[-1]]
        if last + step > curves[place][1] and last < grid[-1] - step / 2:
            cut.append(number(curves[place][0]))
    if cut:
        yield Finding(
            "cut_short",
            f"the curves of the sizes {', '.join(cut)} end while they are the best: longer runs "
            "would hold the frontier for longer, and the exponent of the size would be smaller",
        )
