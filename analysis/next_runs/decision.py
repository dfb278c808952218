"""Decisions: what a fit is to tell - an exponent, a loss, a best size, a crossing - as a function of it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analysis.allocation.best_size import Path, best_sizes
from analysis.allocation.budgets import around
from analysis.allocation.cost_models import SIX_ND, CostModel
from analysis.allocation.ranged import brief
from analysis.allocation.reach import reach, scales
from analysis.allocation.size_and_data import size_and_data
from analysis.engine.compiled import Vectors, predict_many
from analysis.fit import Fit
from analysis.judgement.crossover import Path as Along
from analysis.judgement.crossover import along, crossover
from analysis.uncertainty.paired import same_rows
from trainers.schema import InputError

STEP = 0.02  # natural-log units, by which the slope of two laws at their crossing is taken


class UndecidedError(InputError):
    """What was asked is in order, but these runs do not allow it: an outcome, not a mistake."""


@dataclass(frozen=True)
class Source:
    """A fit whose runs tell something about a decision."""

    name: str
    fitted: Fit


@dataclass(frozen=True)
class Decision:
    """A number that follows from the coefficients of one fit or two; `words` say what it is.

    `at` gives it for as many vectors of each fit, as a natural log where `log` is true.
    """

    words: str
    log: bool
    sources: tuple[Source, ...]
    at: Callable[[Sequence[Vectors]], Float[np.ndarray, " draw"]]

    @property
    def value(self) -> float:
        """That of the fits themselves."""
        return float(self.at([one.fitted.vector for one in self.sources])[0])

    @property
    def draws(self) -> Float[np.ndarray, " draw"]:
        """Those of the resamples; NaN where one has none."""
        least = min(len(one.fitted.draws) for one in self.sources)
        return self.at([one.fitted.draws[:least] for one in self.sources])


def coefficient_of(fitted: Fit, name: str) -> Decision:
    """One coefficient of a law, such as an exponent.

    Raises:
        InputError: there is no such coefficient, or the fit has no resamples.
    """
    if name not in fitted.law.place:
        known = ", ".join(fitted.law.place)
        raise InputError(f"decision: expected a coefficient of {known}, got {name!r}")
    place, one = fitted.law.place[name], fitted.law.coefficient(name)

    def at(vectors: Sequence[Vectors]) -> Float[np.ndarray, " draw"]:
        return np.log(vectors[0][:, place]) if one.log else vectors[0][:, place]

    return _of_one(f"{name} ({one.meaning})", fitted, at, log=one.log)


def prediction_of(fitted: Fit, place: Mapping[str, float]) -> Decision:
    """The prediction at a place.

    Raises:
        InputError: an input is missing or not a number, or the fit has no resamples.
    """
    for one in fitted.law.inputs:
        value = place.get(one.name)
        if value is None or not math.isfinite(value) or (one.positive and value <= 0):
            kind = "positive" if one.positive else "finite"
            raise InputError(f"{one.name}: expected a {kind} number, got {value}")
    values = {name: np.array([float(place[name])]) for name in fitted.law.input_names}
    where = ", ".join(f"{name} {brief(place[name])}" for name in fitted.law.input_names)
    log = fitted.objective_used.residual == "log"

    def at(vectors: Sequence[Vectors]) -> Float[np.ndarray, " draw"]:
        height = predict_many(fitted.law, vectors[0], values)[:, 0]
        with np.errstate(all="ignore"):
            return np.log(height) if log else height

    return _of_one(f"the {fitted.target} at {where}", fitted, at, log=log)


def best_size_of(
    fitted: Fit,
    budget: float,
    *,
    cost: CostModel = SIX_ND,
    held: Mapping[str, float] | None = None,
) -> Decision:
    """The best size for a budget, in the unit of the cost.

    Raises:
        InputError: the law has no size and data.
        UndecidedError: the law has no optimum, or the fit has no resamples.
    """
    if not (math.isfinite(budget) and budget > 0):
        raise InputError(f"budget: expected a positive number, got {budget}")
    on = Path(size_and_data(fitted.law, held), cost)
    budgets = np.array([float(budget)])
    near = around(fitted, on, budgets)

    def at(vectors: Sequence[Vectors]) -> Float[np.ndarray, " draw"]:
        found = best_sizes(on, vectors[0], budgets, near).part(0)
        return np.where(found.inner, found.log_params, np.nan)

    words = f"the best size at {brief(budget)} {cost.unit}"
    made = _of_one(words, fitted, at, log=True)
    if not math.isfinite(made.value):
        raise UndecidedError(f"by this fit the law has no {words.removeprefix('the ')}")
    return made


def scale_of(fitted: Fit, target: float) -> Decision:
    """The scale at which a law of one input comes to a target.

    Raises:
        InputError: the law has more inputs.
        UndecidedError: the law never comes to the target, or the fit has no resamples.
    """
    found = reach(fitted, target)
    words = f"the {found.input} at which {fitted.target} comes to {brief(target)}"
    if found.scale is None:
        raise UndecidedError(f"there is no {words.removeprefix('the ')}: {found.text}")

    def at(vectors: Sequence[Vectors]) -> Float[np.ndarray, " draw"]:
        logs, reached, _ = scales(fitted, vectors[0], target)
        return np.where(reached, logs, np.nan)

    return _of_one(words, fitted, at, log=True)


def crossing_of(
    first: Fit,
    second: Fit,
    *,
    paths: tuple[Along, Along] | None = None,
    inside: tuple[float, float] | None = None,
    within: tuple[float, float] | None = None,
    names: tuple[str, str] = ("the first", "the second"),
) -> Decision:
    """The scale at which two laws of different runs meet, to first order at the crossing of the fits.

    The arguments are those of `crossover`.

    Raises:
        InputError: the laws do not meet, are of the same runs, or a fit has no resamples.
    """
    if same_rows(first, second):
        raise InputError("decision: expected two laws of different runs, got the same rows twice")
    met = crossover(
        first, second, paths=paths, inside=inside, within=within, names=names, bootstrap=0
    )
    if met.scale is None:
        raise InputError(f"decision: expected laws that meet; {met.text}")
    middle = met.scale
    own = along(first.law.input_names[0]), along(second.law.input_names[0])
    taken = own if paths is None else paths
    scale = middle * np.exp([0.0, -STEP, STEP])

    def gap(vectors: Sequence[Vectors]) -> Float[np.ndarray, "draw 3"]:
        one, other = (
            predict_many(fit.law, each, path(scale))
            for fit, each, path in zip((first, second), vectors, taken, strict=True)
        )
        return one - other

    here = gap([first.vector, second.vector])[0]
    slope = (here[2] - here[1]) / (2 * STEP)

    def at(vectors: Sequence[Vectors]) -> Float[np.ndarray, " draw"]:
        return math.log(middle) - (gap(vectors)[:, 0] - here[0]) / slope

    words = f"the scale at which {names[0]} and {names[1]} meet"
    return _checked(Decision(words, True, (Source(names[0], first), Source(names[1], second)), at))


def _of_one(
    words: str,
    fitted: Fit,
    at: Callable[[Sequence[Vectors]], Float[np.ndarray, " draw"]],
    *,
    log: bool,
) -> Decision:
    return _checked(Decision(words, log, (Source("", fitted),), at))


def _checked(made: Decision) -> Decision:
    for one in made.sources:
        if len(one.fitted.draws) < 2:
            raise UndecidedError("decision: expected a fit with resamples, got one without")
    return made
