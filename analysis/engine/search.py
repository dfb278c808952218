"""Where to start: points of the nonlinear coefficients, with the linear ones projected out.

Up to two nonlinear coefficients are searched on a grid, more by a low-discrepancy sequence: Roberts
2018, "The unreasonable effectiveness of quasirandom sequences".
"""

import itertools

import numpy as np
from jaxtyping import Float

from analysis.engine.compiled import Vectors
from analysis.engine.surface import Problems, Surface, start_scale, value
from analysis.law import Coefficient

Points = Float[np.ndarray, "point coefficient"]

LONE, PAIR, MANY = 48, 28, 3_000  # points of a search: along one, along each of two, over more
SECOND = 240  # points of the independent search
BLOCK = 16_384  # numbers of a batch that fit the processor's cache: 64 problems of 256 rows
ENOUGH = 1_024  # rows that are searched; all of them are refined


def block_of(on: Surface) -> int:
    """How many problems to take at a time."""
    return max(1, BLOCK // on.runs.shape[1])


def thinned(on: Surface, problems: Problems) -> tuple[Surface, Problems]:
    """A search needs no more than some rows, spread evenly over the targets."""
    rows = on.runs.shape[1]
    if rows <= ENOUGH:
        return on, problems
    order = np.argsort(problems.target[0], kind="stable")
    places = np.sort(order[np.linspace(0, rows - 1, ENOUGH).astype(np.int64)])
    return on.only(places), Problems(
        problems.target[:, places], problems.weight[:, places], problems.low, problems.high
    )


def grid(on: Surface) -> tuple[Points, tuple[int, ...]]:
    """Points of the nonlinear variables, and the shape of their grid; `()` if it has none."""
    ones = _searched(on)
    if not ones:
        return np.zeros((1, len(on.law.coefficients))), ()
    if len(ones) > 2:
        return _placed(on, _sequence(MANY, len(ones), 0.5)), ()
    count = LONE if len(ones) == 1 else PAIR
    steps = np.meshgrid(*[np.linspace(0, 1, count)] * len(ones), indexing="ij")
    return _placed(on, np.stack([one.ravel() for one in steps], 1)), (count,) * len(ones)


def second(on: Surface) -> Points:
    """Points of an independent search."""
    size = len(_searched(on))
    return _placed(on, _sequence(SECOND if size < 3 else MANY // 2, size, 0.0))


def seeds(
    on: Surface, problems: Problems, points: Points, shape: tuple[int, ...], count: int
) -> Float[np.ndarray, "start variable"]:
    """The best of some points from which to refine, apart from each other."""
    on, problems = thinned(on, problems)
    scores: Float[np.ndarray, " point"] = np.zeros(len(points))
    vectors: list[Vectors] = []
    step = block_of(on)
    for start in range(0, len(points), step):
        block = start_scale(on, problems, project(on, problems, points[start : start + step]))
        vectors.append(block)
        scores[start : start + step] = value(on, problems, block)
    projected = np.concatenate(vectors)
    if shape:
        lowest = _lowest_nearby(scores.reshape(shape)).ravel()
        order = np.lexsort((scores, ~lowest))  # local minima first, each kind from its best
        return projected[order[:count]]
    return projected[_apart(on, points, scores, count)]


# Far from its optimum a law overflows, or divides by what underflowed: such points are infinitely bad.
@np.errstate(all="ignore")
def project(on: Surface, problems: Problems, vectors: Vectors) -> Vectors:
    """The vectors with linear variables from least squares; log residuals are made relative ones.

    Bounded least squares is solved exactly, by trying every variable free, at 0 or at a bound.
    """
    places = list(on.compiled.linear)
    if not places:
        return vectors
    rest, columns = on.compiled.bases(vectors, on.runs, on.centre)
    target, weight = problems.target, problems.weight
    if on.compiled.logarithmic:
        measured = np.exp(target)
        weight, target = weight / measured**2, measured
    if on.relative is not None:
        weight = weight / on.relative**2
    good = np.asarray(np.isfinite(rest).all(axis=1) & np.isfinite(columns).all(axis=(0, 2)))
    design = np.where(good[:, None, None], np.stack(columns, axis=1), 0.0)
    goal = np.where(good[:, None], target - rest, 0.0)
    weighted = design * weight[:, None]
    normal = weighted @ design.transpose(0, 2, 1)
    right = (weighted @ goal[:, :, None])[:, :, 0]
    # Columns in units of their own size, so that the ridge below means the same to each.
    size = np.sqrt(np.einsum("pii->pi", normal))
    size = np.where(size > 0, size, 1.0)
    low, high = (bound[0, places] * size for bound in (problems.low, problems.high))
    answer = _bounded_least_squares(
        normal / (size[:, :, None] * size[:, None, :]), right / size, low, high
    )
    result = vectors.copy()
    result[:, places] = np.where(good[:, None], answer / size, np.nan)
    return result


def _bounded_least_squares(
    normal: Float[np.ndarray, "problem term term"],
    right: Float[np.ndarray, "problem term"],
    low: Float[np.ndarray, "problem term"],
    high: Float[np.ndarray, "problem term"],
) -> Float[np.ndarray, "problem term"]:
    """The least of x' normal x / 2 - right' x within the bounds."""
    count = right.shape[1]
    states = [
        ["free", *(name for name, bound in (("low", low), ("high", high))
                   if np.isfinite(bound[:, place]).all())]
        for place in range(count)
    ]  # fmt: skip
    best = np.clip(np.zeros_like(right), low, high)
    lowest = np.full(len(right), np.inf)
    left = np.arange(len(right))  # problems in which some bound is felt
    for state in itertools.product(*states):
        free = np.array([place for place, one in enumerate(state) if one == "free"], dtype=int)
        inner, goal, below, above = normal[left], right[left], low, high
        if len(low) > 1:
            below, above = low[left], high[left]
        answer = np.zeros_like(goal)
        for place, one in enumerate(state):
            if one != "free":
                answer[:, place] = (below if one == "low" else above)[:, place]
        if len(free):
            matrix = inner[:, free[:, None], free] + 1e-13 * np.eye(len(free))
            rest = goal - (inner @ answer[:, :, None])[:, :, 0]
            answer[:, free] = np.linalg.solve(matrix, rest[:, free, None])[:, :, 0]
        inside = ((answer >= below) & (answer <= above)).all(axis=1)
        cost = (answer * ((inner @ answer[:, :, None])[:, :, 0] / 2 - goal)).sum(axis=1)
        better = inside & (cost < lowest[left])
        lowest[left[better]] = cost[better]
        best[left[better]] = answer[better]
        if len(free) == len(state):
            left = left[~inside]
            if not len(left):
                break
    return best


def _searched(on: Surface) -> list[tuple[int, Coefficient]]:
    return [(place, one) for place, one in enumerate(on.law.coefficients) if one.starts is not None]


def _placed(on: Surface, shares: Float[np.ndarray, "point searched"]) -> Points:
    """Points of the unit cube as values between the starts of each nonlinear coefficient."""
    vectors = np.zeros((len(shares), len(on.law.coefficients)))
    for column, (place, one) in enumerate(_searched(on)):
        low, high = one.starts or (0.0, 1.0)
        if one.log:
            low, high = float(np.log(low)), float(np.log(high))
        share = shares[:, column]
        if not one.log and low > 0 and high > 4 * low:
            # An exponent matters by its ratio: 0.02 and 0.04 differ more than 1.02 and 1.04.
            vectors[:, place] = low * (high / low) ** share
        else:
            vectors[:, place] = low + (high - low) * share
    return vectors


def _sequence(count: int, size: int, start: float) -> Float[np.ndarray, "point searched"]:
    """The first points of Roberts' sequence in `size` dimensions."""
    if size == 0:
        return np.zeros((1, 0))
    ratio = 2.0
    for _ in range(60):
        ratio = (1 + ratio) ** (1 / (size + 1))
    steps = ratio ** -np.arange(1.0, size + 1)
    return (start + np.arange(1, count + 1)[:, None] * steps) % 1.0


def _apart(
    on: Surface, points: Points, scores: Float[np.ndarray, " point"], count: int
) -> list[int]:
    """The best points of a scattered search, none within a tenth of the range of a better one."""
    columns = [place for place, _ in _searched(on)]
    reach = np.ptp(points[:, columns], axis=0) if columns else np.ones(0)
    spots = points[:, columns] / np.where(reach > 0, reach, 1.0)
    order = [
        int(place) for place in np.argsort(scores, kind="stable") if np.isfinite(scores[place])
    ]
    chosen: list[int] = []
    for place in order:
        if len(chosen) == count:
            return chosen
        if (np.abs(spots[chosen] - spots[place]).max(axis=1, initial=0.0) > 0.1).all():
            chosen.append(place)
    return chosen or list(range(min(count, len(points))))


def _lowest_nearby(scores: np.ndarray) -> np.ndarray:
    """Which grid points are no higher than their neighbours along every axis."""
    lowest = np.isfinite(scores)
    for axis in range(scores.ndim):
        padding = [(1, 1) if one == axis else (0, 0) for one in range(scores.ndim)]
        padded = np.pad(scores, padding, constant_values=np.inf)
        length = scores.shape[axis]
        lowest &= scores <= np.take(padded, range(length), axis)
        lowest &= scores <= np.take(padded, range(2, length + 2), axis)
    return lowest
