"""Checks of tuning: whether every size had a learning rate, and a batch, that suits it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from analysis.checks.columns import BATCH, MUP, RATE, Design, listed, numbered, short, split, spread
from analysis.identify.findings import Finding

# The best rate falls as N^-0.713 in the Step Law (arXiv:2503.04715), so it moves by a factor of two
# over this range of sizes: as much as the step of a usual grid.
RANGE_OF_SIZES = 4.0
# The best batch rises as D^0.571 there, and losses are flatter in it: five-fold over this range.
RANGE_OF_LENGTHS = 16.0
COARSE = 2.5  # steps of a grid up to here put its best value within 1.6 of the optimum


@dataclass(frozen=True)
class Searched:
    """The grid of one knob in one group of equal runs: its values, the target of each, the best."""

    size: float
    values: Float[np.ndarray, " value"]
    targets: Float[np.ndarray, " value"]
    best: int
    noise: float | None  # standard error of one target, if there are replicates

    @property
    def on_edge(self) -> bool:
        """Whether the best value is the first or the last, by more than noise explains."""
        if len(self.values) < 2 or self.best not in (0, len(self.values) - 1):
            return False
        beside = self.targets[1 if self.best == 0 else -2]
        return abs(float(beside - self.targets[self.best])) > 2 * (self.noise or 0.0)


def rate_untuned(design: Design) -> Iterator[Finding]:
    """Sizes that all trained at one learning rate, or of which only some had a choice.

    Source: Porian et al. 2024, arXiv:2406.19146: tuning by scale is one of three causes of a wrong
    exponent. Under muP one rate is meant for all widths.
    """
    yield from _untuned(
        design, RATE, design.size(), RANGE_OF_SIZES, "rate_untuned", "learning rate"
    )


def batch_untuned(design: Design) -> Iterator[Finding]:
    """Lengths that all trained at one batch size."""
    yield from _untuned(
        design, BATCH, design.length(), RANGE_OF_LENGTHS, "batch_untuned", "batch size"
    )


def rate_on_edge(design: Design) -> Iterator[Finding]:
    """The best learning rate of some size lies on the edge of those that were tried."""
    yield from _on_edge(design, RATE, design.size(), "rate_on_edge", "learning rate")


def batch_on_edge(design: Design) -> Iterator[Finding]:
    """The best batch size of some length lies on the edge of those that were tried."""
    yield from _on_edge(design, BATCH, design.length(), "batch_on_edge", "batch size")


def rate_grid_coarse(design: Design) -> Iterator[Finding]:
    """The best learning rate moves with size over a grid whose steps are too large to follow it."""
    knob, along = design.first(RATE), design.size()
    if knob is None or along is None:
        return
    found = [one for one in searched(design, knob, along) if len(one.values) >= 3]
    if len({float(one.values[one.best]) for one in found}) < 2:
        return
    step = max(float((one.values[1:] / one.values[:-1]).max()) for one in found)
    if step > COARSE:
        yield Finding(
            "rate_grid_coarse",
            f"the best {knob} moves with {along}, over a grid with steps of {short(step)}: each "
            "size is off its optimum by another factor, which shows as scatter or as an exponent; "
            "add the rates halfway between, or take the vertex of a parabola in the log of the rate",
        )


def searched(design: Design, knob: str, along: str) -> list[Searched]:
    """For every group of runs that differ in the knob and the seed alone, what was tried.

    Groups with one value are kept; runs without a target are left out.
    """
    rows = design.measured() & (design.numbers(knob) > 0) & (design.numbers(along) > 0)
    groups = _groups(design, knob, along)[rows]
    signed = design.target_at(rows) * (-1.0 if larger_is_better(design) else 1.0)
    parts = [split(groups, one) for one in (design.numbers(knob)[rows], signed)]
    sizes = split(groups, design.numbers(along)[rows])
    result = []
    for values, inner, size in zip(*parts, sizes, strict=True):
        tried, which = np.unique(values, return_inverse=True)
        targets = np.array([np.median(one) for one in split(which.astype(np.int64), inner)])
        best = int(np.argmin(targets))
        noise = _noise(inner, which.astype(np.int64))
        result.append(Searched(float(size[0]), tried, targets, best, noise))
    return sorted(result, key=lambda one: one.size)


def larger_is_better(design: Design) -> bool:
    """Whether the target is one of which more is wanted."""
    if design.sweep is not None and design.sweep.objective.metric == design.target:
        return design.sweep.objective.mode == "max"
    return any(word in design.target.lower() for word in ("accuracy", "acc_", "learned", "correct"))


def _untuned(
    design: Design, names: Sequence[str], along: str | None, far: float, code: str, words: str
) -> Iterator[Finding]:
    knob = design.first(names)
    if knob is None or along is None or knob == along or design.uses(knob):
        return
    rows = design.measured() & ~_transfers(design)
    values, sizes = design.numbers(knob)[rows], design.numbers(along)[rows]
    known = (values > 0) & (sizes > 0)
    values, sizes = values[known], sizes[known]
    if not len(values) or spread(sizes) < far:
        return
    if spread(values) <= 1 + 1e-9:
        yield Finding(
            code,
            f"all runs from {along} {short(float(sizes.min()))} to {short(float(sizes.max()))} have "
            f"one {words}, {short(float(values[0]))}; its best value moves with scale, and nothing "
            f"here shows where it lies; try {short(float(values[0]) / 2)}, "
            f"{short(float(values[0]))} and {short(2 * float(values[0]))} at the smallest and at "
            "the largest scale first",
        )
        return
    tried = {size: len(np.unique(values[sizes == size])) for size in np.unique(sizes).tolist()}
    alone = [size for size, count in tried.items() if count == 1]
    # One value a size, each its own, was chosen by somebody; a grid at some sizes was not finished.
    if alone and max(tried.values()) >= 3:
        yield Finding(
            code,
            f"the {words} was searched at {len(tried) - len(alone)} of {len(tried)} values of "
            f"{along}, and has one value only at {listed([short(size) for size in alone])}; try at "
            "least three there",
        )


def _on_edge(
    design: Design, names: Sequence[str], along: str | None, code: str, words: str
) -> Iterator[Finding]:
    knob = design.first(names)
    if knob is None or along is None or knob == along or design.uses(knob):
        return
    found = [one for one in searched(design, knob, along) if len(one.values) >= 2]
    edge = [one for one in found if one.on_edge]
    if edge:
        places = listed(
            list(
                dict.fromkeys(
                    f"{along} {short(one.size)} (best {short(float(one.values[one.best]))} of "
                    f"{short(float(one.values[0]))} to {short(float(one.values[-1]))})"
                    for one in edge
                )
            ),
            3,
        )
        beyond = sorted({_beyond(one) for one in edge})
        yield Finding(
            code,
            f"the best {words} lies on the edge of those tried in {len(edge)} of {len(found)} "
            f"groups: {places}; the true best is not known there; also try "
            f"{listed([short(value) for value in beyond], 4)}",
        )


def _beyond(one: Searched) -> float:
    """The next value outside of the grid, a step of the grid further."""
    low = one.best == 0
    first, second = (one.values[0], one.values[1]) if low else (one.values[-1], one.values[-2])
    return float(first * first / second)


def _noise(targets: Float[np.ndarray, " run"], which: Int[np.ndarray, " run"]) -> float | None:
    """Standard error of the median target of one value, from the spread of its replicates."""
    counts = np.bincount(which)
    spare = len(which) - len(counts)
    if spare < 1:
        return None
    means = np.bincount(which, targets) / counts
    variance = float(((targets - means[which]) ** 2).sum()) / spare
    return float(np.sqrt(variance / counts.min()))


def _transfers(design: Design) -> Bool[np.ndarray, " run"]:
    """Whether a run is parametrised so that one rate suits all widths."""
    column = design.first(MUP)
    if column is None:
        return np.zeros(len(design), dtype=np.bool_)
    meant = {"mup", "depth_mup", "mu-p", "true", "1"}
    return np.array([one.lower() in meant for one in design.texts(column)], dtype=np.bool_)


def _groups(design: Design, knob: str, along: str) -> Int[np.ndarray, " run"]:
    """Runs that differ in the knob alone, as far as inputs and axes tell."""
    fields = [along, *design.inputs.values()]
    if design.sweep is not None:
        for axis in design.sweep.single_axes():
            own = axis.may_set()
            if knob not in own:  # what changes together with the knob is part of it
                fields += own
    chosen = dict.fromkeys(one for one in fields if design.has(one) and one != knob)
    return numbered([design.runs.table[one] for one in chosen])
