"""Fits without their words: one optimum, or many refits in one batch, in the units of the law."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from analysis.engine.compiled import Vectors, compiled
from analysis.engine.objective import Objective
from analysis.engine.solver import Solution, refine, resolve, solve
from analysis.engine.surface import (
    Curvature,
    Problems,
    Surface,
    curvature,
    held,
    natural,
    one_problem,
    residuals,
    surface,
)
from analysis.law import Law
from analysis.points import Points


@dataclass(frozen=True)
class Setup:
    """A fit that can be made again with other weights, targets or held coefficients."""

    law: Law
    points: Points
    objective: Objective
    surface: Surface


@dataclass(frozen=True)
class Optimum:
    """The optima of one fit in basins of their own, the best first; `scale` as in `Refitted`."""

    vectors: Vectors
    value: float
    scale: float | None
    converged: bool
    agreed: bool
    solution: Solution


@dataclass(frozen=True)
class Refitted:
    """Coefficients of many refits; `scale` is the fitted spread of the residuals, if it is fitted."""

    vectors: Vectors
    value: Float[np.ndarray, " problem"]
    scale: Float[np.ndarray, " problem"] | None
    converged: Bool[np.ndarray, " problem"]


def setup(law: Law, points: Points, objective: Objective | None = None) -> Setup:
    """Prepare a fit of some points; without an objective, by that of the law.

    Raises:
        InputError: the objective cannot be used with these points.
    """
    objective = law.objective if objective is None else objective
    return Setup(law, points, objective, surface(law, points, objective))


def optimum(of: Setup, *, certify: bool = True) -> Optimum:
    """The best coefficients, and whether a second search agrees that they are."""
    found = solve(of.surface, one_problem(of.surface), certify=certify)
    return Optimum(
        natural(of.surface, found.vectors),
        float(found.value[0]),
        _scale(of.surface, found.vectors[:1]),
        bool(found.converged[0]),
        found.agreed,
        found,
    )


def refit(
    of: Setup,
    start: Float[np.ndarray, "start coefficient"],
    *,
    weight: Float[np.ndarray, "problem run"] | None = None,
    measured: Float[np.ndarray, "problem run"] | None = None,
) -> Refitted:
    """Fit again, each problem with its own weights or measurements, from each of some starts.

    The starts are coefficients in the units of the law; the lowest that one of them leads to counts.
    """
    on = of.surface
    problems = _problems(on, weight, measured)
    return _refitted(on, resolve(on, problems, _inside(on, start)))


def refit_each(
    of: Setup,
    start: Float[np.ndarray, "problem coefficient"],
    *,
    weight: Float[np.ndarray, "problem run"] | None = None,
    hold: Mapping[str, Float[np.ndarray, " problem"]] | None = None,
) -> Refitted:
    """Fit again, each problem from a start of its own, with its own weights or held coefficients."""
    if not hold:
        on = of.surface
        return _refitted(on, refine(on, _problems(on, weight, None), _inside(on, start)))
    on = _holding(of, frozenset(hold))
    moved = start.copy()
    for name, values in hold.items():
        moved[:, of.law.place[name]] = values
    inside, problems = _inside(on, moved), _problems(on, weight, None)
    low, high = (np.repeat(one, len(start), axis=0) for one in (problems.low, problems.high))
    for name in hold:
        place = of.law.place[name]
        low[:, place] = high[:, place] = inside[:, place]
    return _refitted(on, refine(on, replace(problems, low=low, high=high), inside))


def curvature_at(of: Setup, vectors: Vectors, scale: float | None = None) -> Curvature:
    """Value and derivatives of the objective in the engine's variables, at natural coefficients."""
    inside = _inside(of.surface, vectors)
    if scale is not None and of.surface.objective.fits_scale:
        inside[:, -1] = np.log(scale)
    return curvature(of.surface, one_problem(of.surface), inside)


def on_bounds(of: Setup, found: Solution) -> Bool[np.ndarray, " coefficient"]:
    """Which coefficients of the best optimum stand on a bound that the objective pushes against."""
    best, problems = found.vectors[:1], one_problem(of.surface)
    bends = curvature(of.surface, problems, best)
    return held(problems, best, bends.gradient)[0, : len(of.law.coefficients)]


def misfit(of: Setup, vectors: Vectors) -> Float[np.ndarray, "problem run"]:
    """Predicted less measured for every run: of logarithms, or plain, as the objective says."""
    return residuals(of.surface, of.surface.target[None], _inside(of.surface, vectors))


def _problems(
    on: Surface,
    weight: Float[np.ndarray, "problem run"] | None,
    measured: Float[np.ndarray, "problem run"] | None,
) -> Problems:
    base = one_problem(on)
    return Problems(
        base.target if measured is None else _targets(on, measured),
        base.weight if weight is None else weight,
        base.low,
        base.high,
    )


def _refitted(on: Surface, found: Solution) -> Refitted:
    scale = np.exp(found.vectors[:, -1]) if on.objective.fits_scale else None
    return Refitted(natural(on, found.vectors), found.value, scale, found.converged)


def _inside(on: Surface, vectors: Vectors) -> Float[np.ndarray, "problem variable"]:
    """Natural coefficients in the engine's variables, with a first scale where one is fitted."""
    size = len(on.law.coefficients)
    with np.errstate(all="ignore"):
        inside = on.compiled.internal(vectors, on.centre)
    inside = np.clip(np.nan_to_num(inside, nan=0.0), on.low[:size], on.high[:size])
    if on.objective.fits_scale:
        spread = residuals(on, on.target[None], inside)
        usual = np.abs(np.where(np.isfinite(spread), spread, 0.0)).mean(axis=1, keepdims=True)
        inside = np.concatenate([inside, np.log(np.maximum(usual, np.exp(on.low[-1])))], axis=1)
    return inside


def _holding(of: Setup, names: frozenset[str]) -> Surface:
    """The surface in variables where some coefficients are as the law has them."""
    plain = compiled(of.law, of.objective.residual, names)
    return replace(of.surface, compiled=plain)


def _targets(
    on: Surface, measured: Float[np.ndarray, "problem run"]
) -> Float[np.ndarray, "problem run"]:
    return np.log(measured) if on.objective.residual == "log" else measured


def _scale(on: Surface, vectors: Float[np.ndarray, "problem variable"]) -> float | None:
    return float(np.exp(vectors[0, -1])) if on.objective.fits_scale else None
