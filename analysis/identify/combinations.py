"""What a fit does determine where single coefficients trade off: predictions, terms and ratios."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analysis.engine.compiled import Vectors, predict_many
from analysis.engine.refit import Setup
from analysis.uncertainty.intervals import PLAIN, Reading, ends


@dataclass(frozen=True)
class Combination:
    """A number made of several coefficients; `low` and `high` are None without resamples."""

    name: str
    meaning: str
    value: float
    low: float | None
    high: float | None


def combinations(
    of: Setup,
    best: Float[np.ndarray, "1 coefficient"],
    draws: Float[np.ndarray, "draw coefficient"],
    level: float = 0.95,
    reading: Reading = PLAIN,
) -> tuple[Combination, ...]:
    """The combinations of a fit, to be quoted where its coefficients move together.

    They are the law at the middle of the inputs and its slopes there, the size of each term there,
    and for a law of params and tokens the exponent of the compute-optimal size, beta / (alpha +
    beta). Source of the last: Hoffmann et al. 2022, arXiv:2203.15556. Intervals are to cover `level`;
    the draws are read as those of the coefficients are.
    """
    rows = np.concatenate([best, draws])
    found = [*_at_middle(of, rows), *_terms(of, rows), *_allocation(of, rows)]
    return tuple(_made(name, meaning, column, level, reading) for name, meaning, column in found)


_Column = tuple[str, str, Float[np.ndarray, " row"]]


def _made(
    name: str, meaning: str, column: Float[np.ndarray, " row"], level: float, reading: Reading
) -> Combination:
    value, drawn = float(column[0]), column[1:]
    if not len(drawn):
        return Combination(name, meaning, value, None, None)
    low, high = ends(drawn, np.array(value), level, reading)
    return Combination(name, meaning, value, float(low), float(high))


def _at_middle(of: Setup, rows: Vectors) -> list[_Column]:
    """The law at the middle, and by how many percent it changes for one percent of each input."""
    law, target = of.law, of.law.target
    level = predict_many(law, rows, _middle(of))[:, 0]
    found: list[_Column] = [(target, f"the law at {_where(of)}", level)]
    for one in law.inputs:
        if not one.positive or (level <= 0).any():
            continue
        step = 1e-4
        up, down = (
            predict_many(law, rows, _middle(of, one.name, by))[:, 0]
            for by in (np.exp(step), np.exp(-step))
        )
        slope = (np.log(up) - np.log(down)) / (2 * step)
        found.append(
            (f"slope of {one.name}", f"d ln {target} / d ln {one.name} at {_where(of)}", slope)
        )
    return found


def _terms(of: Setup, rows: Vectors) -> list[_Column]:
    """The size at the middle of each term whose amplitude moves with its exponent."""
    made = of.surface.compiled
    with np.errstate(all="ignore"):
        inside = made.internal(rows, of.surface.centre)
    return [
        (f"term of {one.name}", f"the term of {one.name} at {_where(of)}", inside[:, place])
        for place, one in enumerate(of.law.coefficients)
        if place in made.linear and not np.array_equal(inside[:, place], rows[:, place])
    ]


def _allocation(of: Setup, rows: Vectors) -> list[_Column]:
    place, inputs = of.law.place, set(of.law.input_names)
    if not {"alpha", "beta"} <= place.keys() or inputs != {"params", "tokens"}:
        return []
    alpha, beta = rows[:, place["alpha"]], rows[:, place["beta"]]
    share = beta / (alpha + beta)
    return [("a", "the compute-optimal params grow as compute^a, a = beta / (alpha + beta)", share)]


def _middle(of: Setup, moved: str = "", factor: float = 1.0) -> dict[str, np.ndarray]:
    values: dict[str, np.ndarray] = {}
    for one, centre in zip(of.law.inputs, of.surface.centre[:, 0], strict=True):
        at = float(np.exp(centre) if one.positive else centre)
        values[one.name] = np.array([at * factor if one.name == moved else at])
    return values


def _where(of: Setup) -> str:
    return ", ".join(f"{name} {value[0]:.3g}" for name, value in _middle(of).items())
