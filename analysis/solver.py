"""One solver for every law: search the exponents on a grid, then refine by damped Newton.

The linear part is projected out on the grid; the refinement minimises the exact robust objective
with full curvature, bounds handled inside the step, first with a wide delta and then with narrower
ones (a narrow delta has many small local minima). All problems of a call run together in numpy, in
blocks that fit the processor's cache, and the outcome is a function of the arguments alone.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from analysis.objective import Curvature, Surface, Targets, Vectors, bases, curvature, held, value

BLOCK = 64  # problems refined together: 64 x 240 runs of float64 is 120 kB
TOLERANCE = 1e-12  # a fit has converged when a step promises less than this share of the objective
ROUNDING = 1e-26  # squared log residuals below this are rounding
STAGES = (0.1, 0.03, 0.01, 0.003)  # wider deltas, before the one that was asked for
SEEDS, FINALISTS = 24, 8
BASINS, SAME_BASIN = 3, 0.02  # optima whose exponents differ by less than 0.02 count as one


@dataclass(frozen=True)
class Solution:
    """The best point found for every problem, in centred units."""

    vectors: Vectors
    value: Float[np.ndarray, " problem"]
    converged: Bool[np.ndarray, " problem"]


def solve(on: Surface, targets: Targets, delta: float) -> Solution:
    """The optima of one problem that lie in basins of their own, the best first."""
    starts = seeds(on, targets, max(delta, 0.01))
    for stage in (stage for stage in STAGES if stage > delta):
        starts = refine(on, targets, starts, stage, steps=8).vectors
    scores = value(on, targets, starts, delta)
    kept = np.argsort(scores, kind="stable")[:FINALISTS]
    finals = refine(on, targets, starts[kept], delta)
    order = np.argsort(finals.value, kind="stable")
    columns = [on.law.place[one.name] for one in on.law.exponents]
    basins: list[int] = []
    for place in order:
        apart = np.abs(finals.vectors[basins] - finals.vectors[place])[:, columns]
        if not basins or (apart.max(axis=1, initial=0.0) > SAME_BASIN).all():
            basins.append(int(place))
    return Solution(finals.vectors[basins], finals.value[basins], finals.converged[basins])


def resolve(on: Surface, targets: Targets, found: Solution, delta: float) -> Solution:
    """Refit many problems (resamples) from the optima of one; the best that is reached."""
    best: Solution | None = None
    for start in found.vectors[:BASINS]:
        new = refine(on, targets, np.repeat(start[None], _count(targets), axis=0), delta)
        if best is None:
            best = new
            continue
        better = new.value < best.value
        best = Solution(
            np.where(better[:, None], new.vectors, best.vectors),
            np.where(better, new.value, best.value),
            np.where(better, new.converged, best.converged),
        )
    if best is None:
        raise ValueError("expected at least one optimum to start from")
    return best


def _count(targets: Targets) -> int:
    return max(len(targets.log_loss), len(targets.weight))


def seeds(on: Surface, targets: Targets, delta: float) -> Vectors:
    """The grid points from which to refine, with their best linear coefficients."""
    names = [one.name for one in on.law.exponents]
    axes = [np.array(one.starts) for one in on.law.exponents]
    grid = np.stack(
        [axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")] or [np.zeros(1)], 1
    )
    vectors = np.zeros((len(grid), len(on.law.coefficients)))
    for column, name in enumerate(names):
        vectors[:, on.law.place[name]] = grid[:, column]
    scores = np.zeros(len(grid))
    for start in range(0, len(grid), BLOCK):
        block = slice(start, start + BLOCK)
        vectors[block] = project(on, targets, vectors[block])
        scores[block] = value(on, targets, vectors[block], delta)
    shape = tuple(len(axis) for axis in axes)
    lowest = _lowest_nearby(scores.reshape(shape)).ravel()
    order = np.lexsort((scores, ~lowest))  # local minima first, each kind from its best
    return vectors[order[:SEEDS]]


def project(on: Surface, targets: Targets, vectors: Vectors) -> Vectors:
    """The vectors with linear coefficients from least squares of the relative residuals.

    Bounded least squares is solved exactly, by trying every subset of the terms.
    """
    places = [on.law.place[term.coefficient] for term in on.law.terms]
    shape = (len(vectors), on.logs.shape[1])
    columns = (
        np.stack(
            [np.broadcast_to(np.exp(basis.value), shape) for basis in bases(on, vectors)], axis=1
        )
        * np.exp(-targets.log_loss)[:, None]
    )
    weighted = columns * targets.weight[:, None]
    normal, right = weighted @ columns.transpose(0, 2, 1), weighted.sum(axis=2)
    best, lowest = np.zeros_like(right), np.zeros(len(vectors))
    for size in range(1, len(places) + 1):
        for subset in itertools.combinations(range(len(places)), size):
            chosen = np.array(subset)
            inner = normal[:, chosen[:, None], chosen]
            ridge = 1e-13 * np.einsum("pii->pi", inner).max(axis=1)[:, None, None] * np.eye(size)
            answer = np.linalg.solve(inner + ridge, right[:, chosen, None])[:, :, 0]
            bounds = np.array(places)[chosen]
            inside = ((answer >= on.low[bounds]) & (answer <= on.high[bounds])).all(axis=1)
            cost = np.where(inside, -(right[:, chosen] * answer).sum(axis=1), np.inf)
            better = cost < lowest
            lowest = np.where(better, cost, lowest)
            full = np.zeros_like(right)
            full[:, chosen] = answer
            best = np.where(better[:, None], full, best)
    result = vectors.copy()
    result[:, places] = np.clip(best, on.low[places], on.high[places])
    return result


def refine(
    on: Surface, targets: Targets, starts: Vectors, delta: float, steps: int = 200
) -> Solution:
    """Damped Newton from every start; start p minimises problem p (or the only one there is)."""
    vectors, values = starts.copy(), np.empty(len(starts))
    converged = np.zeros(len(starts), dtype=bool)
    for start in range(0, len(starts), BLOCK):
        block = slice(start, start + BLOCK)
        found = _refine_block(on, targets.of(block), starts[block], delta, steps)
        vectors[block], values[block], converged[block] = (
            found.vectors,
            found.value,
            found.converged,
        )
    return Solution(vectors, values, converged)


def _refine_block(
    on: Surface, targets: Targets, starts: Vectors, delta: float, steps: int
) -> Solution:
    vectors = np.clip(starts, on.low, on.high)
    now = curvature(on, targets, vectors, delta)
    damping = np.full(len(vectors), 1e-2)
    done = ~np.isfinite(now.value)
    result = Solution(vectors.copy(), now.value.copy(), np.zeros(len(vectors), dtype=bool))
    place = np.flatnonzero(~done)
    vectors, damping, targets = vectors[place], damping[place], targets.of(place)
    now = _chosen(now, place)
    for _ in range(steps):
        if not len(place):
            break
        step, promise, damping = _step(on, vectors, now, damping)
        small = TOLERANCE * now.value + ROUNDING * targets.weight.sum(axis=1)
        finished = promise * (1 + damping) <= small
        tried = vectors + step
        new = curvature(on, targets, tried, delta)
        better = new.value <= now.value - np.where(finished, 0.0, 1e-4 * promise)
        vectors = np.where(better[:, None], tried, vectors)
        now = _merged(better, new, now)
        damping = np.where(better, np.maximum(damping / 10, 1e-9), np.maximum(damping * 8, 1e-3))
        # A damping beyond any use means that rounding hides every further descent.
        finished |= ~better & (damping > 1e12)
        result.vectors[place], result.value[place] = vectors, now.value
        result.converged[place] = finished
        left = np.flatnonzero(~finished)
        if len(left) < len(place):
            place, vectors, damping = place[left], vectors[left], damping[left]
            now, targets = _chosen(now, left), targets.of(left)
    return result


def _step(
    on: Surface,
    vectors: Vectors,
    now: Curvature,
    damping: Float[np.ndarray, " problem"],
) -> tuple[Vectors, Float[np.ndarray, " problem"], Float[np.ndarray, " problem"]]:
    """The step within the bounds, the decrease it promises, and the damping that made it safe."""
    damping = damping.copy()
    tiny = 1e-12 * np.einsum("pii->pi", now.majorant)
    majorant = now.majorant + tiny[:, :, None] * np.eye(vectors.shape[1])
    stuck = held(on, vectors, now.gradient)
    step, sound = _bounded_step(on, vectors, now, majorant, damping, stuck)
    while not sound.all():
        damping = np.where(sound, damping, np.maximum(damping * 10, 1e-3))
        wrong = np.flatnonzero(~sound)
        again, sound_now = _bounded_step(
            on, vectors[wrong], _chosen(now, wrong), majorant[wrong], damping[wrong], stuck[wrong]
        )
        step[wrong] = again
        sound[wrong] = sound_now | (damping[wrong] > 1e15)
    promise = -(now.gradient * step).sum(axis=1)
    return step, np.maximum(promise, 0.0), damping


def _bounded_step(
    on: Surface,
    vectors: Vectors,
    now: Curvature,
    majorant: Float[np.ndarray, "problem coefficient coefficient"],
    damping: Float[np.ndarray, " problem"],
    stuck: Bool[np.ndarray, "problem coefficient"],
) -> tuple[Vectors, Bool[np.ndarray, " problem"]]:
    """Minimise the damped quadratic model; a coefficient that would cross a bound stops on it."""
    matrix = now.hessian + damping[:, None, None] * majorant
    room_low, room_high = on.low - vectors, on.high - vectors
    frozen, fixed = stuck.copy(), np.zeros_like(vectors)
    sound = np.ones(len(vectors), dtype=bool)
    step = fixed
    for _ in range(vectors.shape[1] + 1):
        step, sound = _solve_free(matrix, -now.gradient, frozen, fixed)
        over = ~frozen & ((step < room_low) | (step > room_high)) & sound[:, None]
        if not over.any():
            break
        fixed = np.where(over, np.clip(step, room_low, room_high), fixed)
        frozen |= over
    sound &= (now.gradient * step).sum(axis=1) <= 0
    return np.clip(step, room_low, room_high), sound


def _solve_free(
    matrix: Float[np.ndarray, "problem coefficient coefficient"],
    right: Vectors,
    frozen: Bool[np.ndarray, "problem coefficient"],
    fixed: Vectors,
) -> tuple[Vectors, Bool[np.ndarray, " problem"]]:
    """Solve for the free coordinates, the frozen ones given; says where it was well posed.

    A Cholesky factorisation over all problems at once: numpy's own raises when a single matrix of
    the batch is indefinite.
    """
    size = right.shape[1]
    right = right - (matrix @ fixed[:, :, None])[:, :, 0]
    free = ~frozen
    both = free[:, :, None] & free[:, None, :]
    a = np.ascontiguousarray(np.where(both, matrix, np.eye(size)).transpose(1, 2, 0))
    b = np.where(frozen, 0.0, right).T.copy()
    floor = 1e-13 * np.abs(np.einsum("iip->ip", a))
    sound = np.ones(len(right), dtype=bool)
    for column in range(size):
        pivot = a[column, column] - (a[column, :column] ** 2).sum(axis=0)
        sound &= pivot > floor[column]
        a[column, column] = np.sqrt(np.where(pivot > 0, pivot, 1.0))
        for row in range(column + 1, size):
            a[row, column] -= (a[row, :column] * a[column, :column]).sum(axis=0)
            a[row, column] /= a[column, column]
        b[column] = (b[column] - (a[column, :column] * b[:column]).sum(axis=0)) / a[column, column]
    for column in reversed(range(size)):
        below = (a[column + 1 :, column] * b[column + 1 :]).sum(axis=0)
        b[column] = (b[column] - below) / a[column, column]
    return np.where(frozen, fixed, b.T), sound


def _chosen(of: Curvature, places: np.ndarray) -> Curvature:
    return Curvature(of.value[places], of.gradient[places], of.hessian[places], of.majorant[places])


def _merged(where: Bool[np.ndarray, " problem"], new: Curvature, old: Curvature) -> Curvature:
    column, square = where[:, None], where[:, None, None]
    return Curvature(
        np.where(where, new.value, old.value),
        np.where(column, new.gradient, old.gradient),
        np.where(square, new.hessian, old.hessian),
        np.where(square, new.majorant, old.majorant),
    )


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
