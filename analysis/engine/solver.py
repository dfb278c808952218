"""One solver for every law: damped Newton on the exact objective from many starts at once.

The refinement minimises the robust objective with full curvature, bounds handled inside the step,
first with smoother objectives and then with the one that was asked for (a sharp one has many small
local minima). All problems of a call run together in numpy, in blocks that fit the processor's
cache, and the outcome is a function of the arguments alone.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from analysis.engine.objective import stages
from analysis.engine.search import block_of, grid, second, seeds, thinned
from analysis.engine.surface import Curvature, Problems, Surface, Variables, curvature, held, value

TOLERANCE = 1e-12  # a fit has converged when a step promises less than this share of the objective
SEEDS = 16, 40, 120  # starts for at most two, at most six, and more nonlinear coefficients
SECOND_SEEDS = 6, 16, 40
FINALISTS, LEADERS = 6, 2
STRAIGHT = 15  # steps of all starts, before the best go on
AGAIN = 200  # steps of a resample
BASINS, SAME_BASIN = 3, 0.02  # optima whose exponents differ by less than 0.02 count as one
MARQUARDT = 0.03
AGREED = 1e-8  # relative difference of two objectives that are the same optimum


@dataclass(frozen=True)
class Solution:
    """The best point found for every problem, in the engine's variables.

    `agreed` says that a second search, from starts of its own, came to no other optimum.
    """

    vectors: Variables
    value: Float[np.ndarray, " problem"]
    converged: Bool[np.ndarray, " problem"]
    agreed: bool = True


def solve(on: Surface, problems: Problems, *, certify: bool = False) -> Solution:
    """The optima of one problem that lie in basins of their own, the best first.

    With `certify` a second and independent search is made, and its optimum taken if it is better.
    """
    points, shape = grid(on)
    kind = (len(on.law.nonlinear) > 2) + (len(on.law.nonlinear) > 6)
    found = _from(on, problems, seeds(on, problems, points, shape, SEEDS[kind]))
    agreed = True
    if certify and on.law.nonlinear:
        other = _from(on, problems, seeds(on, problems, second(on), (), SECOND_SEEDS[kind]))
        gap = abs(float(other.value.min()) - float(found.value.min()))
        close = AGREED * abs(float(found.value.min())) + _negligible(on, problems)[0]
        agreed = bool(gap <= close)
        found = _joined(found, other)
    order = np.argsort(found.value, kind="stable")
    columns = [on.law.place[one.name] for one in on.law.nonlinear]
    basins: list[int] = []
    for place in order:
        apart = np.abs(found.vectors[basins] - found.vectors[place])[:, columns]
        if not basins or (apart.max(axis=1, initial=0.0) > SAME_BASIN).all():
            basins.append(int(place))
    return Solution(found.vectors[basins], found.value[basins], found.converged[basins], agreed)


def resolve(
    on: Surface, problems: Problems, starts: Float[np.ndarray, "start variable"]
) -> Solution:
    """Solve many problems (resamples), each from the optima of one; the best that is reached.

    All starts go some steps; of each problem the one that stands lowest then goes on.
    """
    count, steps = len(problems), AGAIN if len(starts) == 1 else STRAIGHT
    best = refine(on, problems, np.repeat(starts[:1], count, axis=0), steps=steps)
    if len(starts) == 1:
        return best
    for start in starts[1:]:
        new = refine(on, problems, np.repeat(start[None], count, axis=0), steps=steps)
        better = new.value < best.value
        best = Solution(
            np.where(better[:, None], new.vectors, best.vectors),
            np.where(better, new.value, best.value),
            np.where(better, new.converged, best.converged),
        )
    left = np.flatnonzero(~best.converged)
    ended = refine(on, problems.of(left), best.vectors[left], steps=AGAIN)
    best.vectors[left], best.value[left] = ended.vectors, ended.value
    best.converged[left] = ended.converged
    return best


def refine(on: Surface, problems: Problems, starts: Variables, steps: int = 1_000) -> Solution:
    """Damped Newton from every start; start p minimises problem p (or the only one there is)."""
    vectors, values = starts.copy(), np.empty(len(starts))
    converged = np.zeros(len(starts), dtype=bool)
    size = block_of(on)
    for start in range(0, len(starts), size):
        block = slice(start, start + size)
        # Steps from far away may overflow; they are not taken.
        with np.errstate(all="ignore"):
            found = _refine_block(on, problems.of(block), starts[block], steps)
        vectors[block], values[block], converged[block] = (
            found.vectors,
            found.value,
            found.converged,
        )
    return Solution(vectors, values, converged)


def _from(on: Surface, problems: Problems, starts: Float[np.ndarray, "start variable"]) -> Solution:
    """Refine some starts: through the smoother objectives, on few rows where there are many."""
    few, part = thinned(on, problems)
    smooth = stages(on.objective)
    kept = starts
    for stage in smooth:
        kept = refine(few.under(stage), part, kept, steps=8).vectors
    if smooth:
        # A smoother objective leads past the many small minima of a sharp one, but one of those
        # may be the lowest: it is met by going there straight.
        kept = np.concatenate([kept, refine(few, part, starts, steps=STRAIGHT).vectors])
    if few is not on:
        kept = refine(few, part, kept, steps=STRAIGHT).vectors
    order = np.argsort(value(on, problems, kept), kind="stable")[:FINALISTS]
    finals = refine(on, problems, kept[order], steps=100)
    # Only the leaders are worth the many steps that a long curved valley takes.
    leaders = np.argsort(finals.value, kind="stable")[:LEADERS]
    ended = refine(on, problems, finals.vectors[leaders])
    finals.vectors[leaders], finals.value[leaders] = ended.vectors, ended.value
    finals.converged[leaders] = ended.converged
    return finals


def _joined(one: Solution, other: Solution) -> Solution:
    return Solution(
        np.concatenate([one.vectors, other.vectors]),
        np.concatenate([one.value, other.value]),
        np.concatenate([one.converged, other.converged]),
    )


def _negligible(on: Surface, problems: Problems) -> Float[np.ndarray, " problem"]:
    """An objective so small that it is rounding; fitted scales make its size arbitrary."""
    total = problems.weight.sum(axis=1)
    return total * (1e-12 if on.objective.fits_scale else on.rounding)


def _refine_block(on: Surface, problems: Problems, starts: Variables, steps: int) -> Solution:
    vectors = np.clip(starts, problems.low, problems.high)
    now = curvature(on, problems, vectors)
    damping = np.full(len(vectors), 1e-2)
    done = ~np.isfinite(now.value)
    result = Solution(vectors.copy(), now.value.copy(), np.zeros(len(vectors), dtype=bool))
    place = np.flatnonzero(~done)
    vectors, damping, problems = vectors[place], damping[place], problems.of(place)
    now = _chosen(now, place)
    for _ in range(steps):
        if not len(place):
            break
        step, promise, damping = _step(problems, vectors, now, damping)
        small = TOLERANCE * np.abs(now.value) + _negligible(on, problems)
        finished = promise * (1 + damping) <= small
        tried = vectors + step
        new = curvature(on, problems, tried)
        better = new.value <= now.value - np.where(finished, 0.0, 1e-4 * promise)
        vectors = np.where(better[:, None], tried, vectors)
        now = _merged(better, new, now)
        # Thrice and a third lead through curved valleys where 8 and a tenth keep jumping out.
        damping = np.where(better, np.maximum(damping / 3, 1e-9), np.maximum(damping * 3, 1e-3))
        # A damping beyond any use means that rounding hides every further descent.
        finished |= ~better & (damping > 1e12)
        result.vectors[place], result.value[place] = vectors, now.value
        result.converged[place] = finished
        left = np.flatnonzero(~finished)
        if len(left) < len(place):
            place, vectors, damping = place[left], vectors[left], damping[left]
            now, problems = _chosen(now, left), problems.of(left)
    return result


def _step(
    problems: Problems,
    vectors: Variables,
    now: Curvature,
    damping: Float[np.ndarray, " problem"],
) -> tuple[Variables, Float[np.ndarray, " problem"], Float[np.ndarray, " problem"]]:
    """The step within the bounds, the decrease it promises, and the damping that made it safe."""
    damping = damping.copy()
    # Marquardt's diagonal beside the majorant: flat directions of it must be damped too.
    tiny = MARQUARDT * np.einsum("pii->pi", now.majorant)
    majorant = now.majorant + tiny[:, :, None] * np.eye(vectors.shape[1])
    # What changes no prediction, as an exponent whose term has vanished, cannot be solved for.
    idle = np.einsum("pii->pi", now.majorant) <= 0
    stuck = held(problems, vectors, now.gradient) | idle
    step, sound = _bounded_step(problems, vectors, now, majorant, damping, stuck)
    while not sound.all():
        damping = np.where(sound, damping, np.maximum(damping * 10, 1e-3))
        wrong = np.flatnonzero(~sound)
        again, sound_now = _bounded_step(
            problems.of(wrong),
            vectors[wrong],
            _chosen(now, wrong),
            majorant[wrong],
            damping[wrong],
            stuck[wrong],
        )
        step[wrong] = again
        sound[wrong] = sound_now | (damping[wrong] > 1e15)
    promise = -(now.gradient * step).sum(axis=1)
    return step, np.maximum(promise, 0.0), damping


def _bounded_step(
    problems: Problems,
    vectors: Variables,
    now: Curvature,
    majorant: Float[np.ndarray, "problem variable variable"],
    damping: Float[np.ndarray, " problem"],
    stuck: Bool[np.ndarray, "problem variable"],
) -> tuple[Variables, Bool[np.ndarray, " problem"]]:
    """Minimise the damped quadratic model; a coefficient that would cross a bound stops on it."""
    matrix = now.hessian + damping[:, None, None] * majorant
    room_low, room_high = problems.low - vectors, problems.high - vectors
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
    matrix: Float[np.ndarray, "problem variable variable"],
    right: Variables,
    frozen: Bool[np.ndarray, "problem variable"],
    fixed: Variables,
) -> tuple[Variables, Bool[np.ndarray, " problem"]]:
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
