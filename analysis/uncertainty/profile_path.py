"""Refits along one coefficient: it is held at many values, and all others are fitted for each."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from analysis.engine.compiled import Vectors
from analysis.engine.refit import Setup, refit_each
from analysis.engine.surface import natural
from analysis.uncertainty.covariance import Covariance

STEPS = 0.05 * 1.5 ** np.arange(24.0)  # standard errors away from the optimum: 0.05 to 560
SKEWED = 0.2  # relative standard error beyond which a positive coefficient is stepped by ratios
FARTHEST = 230.0  # ln of the largest ratio: e^230 is 10^100
SWEEPS = 12  # times that every value is tried again from its neighbours, while it helps
HELPED = 1e-9  # relative descent that counts
MATTERS = 9.0  # times the largest rise asked for: answers beyond it are not tried again
SECANTS = 10  # steps towards a crossing
CLOSE = 1e-4  # a crossing is found when the root of the rise is as close, relatively


@dataclass(frozen=True)
class Path:
    """The best answer for every value of one coefficient, in the order of the values."""

    place: int
    values: Float[np.ndarray, " point"]
    objective: Float[np.ndarray, " point"]
    vectors: Float[np.ndarray, "point coefficient"]
    converged: Bool[np.ndarray, " point"]


@dataclass(frozen=True)
class Crossing:
    """Where a path has risen by so much; `reached` is false where it ends before that."""

    value: float
    reached: bool


def outwards(of: Setup, place: int, optima: Vectors, spread: Covariance, rise: float) -> Path:
    """The path from an optimum outwards, in steps that grow, as far as the bounds.

    The others start where the curvature at the optimum expects them, and where they are at each of the
    optima (the best comes first); then at the answers of their neighbours on both sides, as far as
    those matter to a path that is followed to a rise of `rise`.
    """
    best = float(optima[0, place])
    error = float(spread.standard_errors[place])
    if not (np.isfinite(error) and error > 0):
        error = 0.1 * abs(best) or 1.0
    low, high = bounds(of, place)
    if best > 0 and low >= 0 and error > SKEWED * best:
        ratio = np.exp(np.minimum(STEPS * error / best, FARTHEST))
        values = np.concatenate([best / ratio, [best], best * ratio])
        moved = best * np.log(np.unique(np.clip(values, low, high)) / best)
    else:
        values = np.concatenate([best - STEPS * error, [best], best + STEPS * error])
        moved = np.unique(np.clip(values, low, high)) - best
    values = np.unique(np.clip(values, low, high))
    starts = [np.repeat(one[None], len(values), axis=0) for one in optima]
    variance = float(spread.matrix[place, place])
    if np.isfinite(variance) and variance > 0:
        slope = spread.across[:, place] / variance
        inside = of.surface.compiled.internal(optima[:1], of.surface.centre)
        starts.insert(0, _natural(of, inside + moved[:, None] * slope))
    return warmed(of, _solved(of, place, values, starts), rise)


def spaced(of: Setup, along: Path, low: float, high: float, count: int, rise: float) -> Path:
    """The path on evenly spaced values, from the nearest answers that are known.

    They are spaced by ratios where the known ones are: from a positive value to one 4 times as large.
    """
    space = np.geomspace if low > 0 and high > 4 * low else np.linspace
    values = np.asarray(space(low, high, count))
    values = np.clip(values, low, high)
    after = np.clip(np.searchsorted(along.values, values), 1, len(along.values) - 1)
    starts = [along.vectors[after - 1], along.vectors[after]]
    return warmed(of, _solved(of, along.place, values, starts), rise)


def joined(one: Path, other: Path) -> Path:
    """Both paths; of a value that is on both, the better answer."""
    order = np.lexsort(
        (np.append(one.objective, other.objective), np.append(one.values, other.values))
    )
    values = np.append(one.values, other.values)[order]
    first = np.append(True, np.diff(values) > 0)
    kept = order[first]
    return Path(
        one.place,
        values[first],
        np.append(one.objective, other.objective)[kept],
        np.concatenate([one.vectors, other.vectors])[kept],
        np.append(one.converged, other.converged)[kept],
    )


def warmed(of: Setup, along: Path, rise: float) -> Path:
    """Every value again from the answers of its neighbours, for as long as these are new."""
    count = len(along.values)
    before = np.maximum(np.arange(count) - 1, 0)
    after = np.minimum(np.arange(count) + 1, count - 1)
    new = np.full(count, count > 1)
    for _ in range(SWEEPS):
        # Far out the refits are the hardest, and nobody asks for them.
        near = along.objective <= along.objective.min() + MATTERS * rise
        worth = (new[before] & (near | near[before])) | (new[after] & (near | near[after]))
        again = np.flatnonzero(worth)
        if not len(again):
            break
        starts = [along.vectors[before[again]], along.vectors[after[again]]]
        some = _solved(of, along.place, along.values[again], starts)
        tried = _copy(along)
        tried.objective[again], tried.vectors[again] = some.objective, some.vectors
        tried.converged[again] = some.converged
        new = tried.objective + HELPED * np.abs(tried.objective) < along.objective
        along = _better(along, tried)
    return along


def crossings(
    of: Setup, along: Path, rises: Float[np.ndarray, " rise"], side: int
) -> list[Crossing]:
    """Where the path has risen by each of `rises` above its lowest, to the left (-1) or right (1).

    A path may rise and fall again; what counts is where it rises for the last time. The root of a rise
    is nearly straight, so it is followed by secants, all crossings at once.
    """
    lowest = int(np.argmin(along.objective))
    base = float(along.objective[lowest])
    order = np.arange(lowest, -1, -1) if side < 0 else np.arange(lowest, len(along.values))
    climbed = along.objective[order] - base
    inside = [int(np.flatnonzero(climbed < rise)[-1]) for rise in rises]
    inner = [order[place] for place in inside]
    outer = [order[min(place + 1, len(order) - 1)] for place in inside]
    reached = np.array([place + 1 < len(order) for place in inside])
    one, other = np.array(inner), np.array(outer)
    goal = np.sqrt(rises)
    below, above = (
        np.sqrt(np.maximum(along.objective[at] - base, 0)) - goal for at in (one, other)
    )
    left, right = along.values[one], along.values[other]
    near, far = along.vectors[one], along.vectors[other]
    for _ in range(SECANTS):
        open_ = reached & (np.abs(below) > CLOSE * goal) & (np.abs(above) > CLOSE * goal)
        if not open_.any():
            break
        with np.errstate(over="ignore"):  # where both ends are as high: the clip below has it
            share = np.where(np.isfinite(above), -below / np.maximum(above - below, 1e-300), 0.5)
        values = left + np.clip(share, 0.02, 0.98) * (right - left)
        made = _solved(of, along.place, values, [near, far])
        height = np.sqrt(np.maximum(made.objective - base, 0)) - goal
        within = open_ & (height < 0)
        outside = open_ & ~within
        left, right = np.where(within, values, left), np.where(outside, values, right)
        # The end that stays counts half, so that it cannot stay for ever.
        above = np.where(outside, height, np.where(within & np.isfinite(above), above / 2, above))
        below = np.where(within, height, np.where(outside, below / 2, below))
        near = np.where(within[:, None], made.vectors, near)
        far = np.where(outside[:, None], made.vectors, far)
    closer = np.where(np.abs(below) < np.abs(above), left, right)
    return [
        Crossing(float(value), bool(found)) for value, found in zip(closer, reached, strict=True)
    ]


def bounds(of: Setup, place: int) -> tuple[float, float]:
    """The bounds of a coefficient in the units of the law."""
    one = of.law.coefficients[place]
    if not one.of:
        return one.low, one.high
    unit = float(np.exp(of.surface.centre[of.law.input_names.index(one.of), 0]))
    return one.low * unit, one.high * unit


def _solved(
    of: Setup, place: int, values: Float[np.ndarray, " point"], starts: list[Vectors]
) -> Path:
    """Refit at every value, from each of several starts for each."""
    best: Path | None = None
    name = of.law.coefficients[place].name
    for start in starts:
        new = refit_each(of, _moved(of, start, place, values), hold={name: values})
        objective = np.where(np.isfinite(new.value), new.value, np.inf)
        made = Path(place, values, objective, new.vectors, new.converged)
        best = made if best is None else _better(best, made)
    if best is None:
        raise ValueError("expected at least one start")
    return best


def _moved(of: Setup, vectors: Vectors, place: int, values: Float[np.ndarray, " point"]) -> Vectors:
    """The vectors with another value in one place, and the others as they are for the engine.

    For another exponent an amplitude is another number, but its term at the centre of the data is not.
    """
    held = vectors.copy()
    held[:, place] = values
    on = of.surface
    with np.errstate(all="ignore"):
        inside = on.compiled.internal(vectors, on.centre)
        inside[:, place] = on.compiled.internal(held, on.centre)[:, place]
    result = _natural(of, np.where(np.isfinite(inside), inside, 0.0))
    result[:, place] = values
    return result


def _natural(of: Setup, inside: Vectors) -> Vectors:
    on, size = of.surface, len(of.law.coefficients)
    with np.errstate(all="ignore"):
        made = natural(on, np.clip(inside, on.low[:size], on.high[:size]))
    return np.nan_to_num(made, nan=0.0, posinf=1e300, neginf=-1e300)


def _copy(one: Path) -> Path:
    return Path(
        one.place, one.values, one.objective.copy(), one.vectors.copy(), one.converged.copy()
    )


def _better(one: Path, other: Path) -> Path:
    better = other.objective < one.objective
    return Path(
        one.place,
        one.values,
        np.where(better, other.objective, one.objective),
        np.where(better[:, None], other.vectors, one.vectors),
        np.where(better, other.converged, one.converged),
    )
