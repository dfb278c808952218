"""Terms: the positive building blocks of a law, each a coefficient times a basis of the inputs.

Bases are kept as logarithms, so that the engine can measure every input in units of its own centre
(which removes the ridge between an amplitude and its exponent) without knowing the formula.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

LogInputs = Float[np.ndarray, "input run"]
Exponents = Float[np.ndarray, "exponent problem 1"]
Grid = Float[np.ndarray, "#problem run"]


@dataclass(frozen=True)
class LogBasis:
    """The natural log of a basis function, and its derivatives by the exponents of the term.

    `slopes[i]` is the first derivative by exponent i, `bends[i][j]` the second; a bend that is None
    is zero everywhere. Arrays broadcast to one row per problem and one column per run.
    """

    value: Grid
    slopes: tuple[Grid, ...]
    bends: tuple[tuple[Grid | None, ...], ...]


@dataclass(frozen=True)
class Term:
    """`coefficient * basis(inputs; exponents)`, where the coefficient enters linearly."""

    coefficient: str
    inputs: tuple[str, ...]
    exponents: tuple[str, ...]
    log_basis: Callable[[LogInputs, Exponents], LogBasis]


def constant(coefficient: str) -> Term:
    """A term that does not depend on the inputs: the irreducible loss."""
    return Term(coefficient, (), (), _constant)


def power(coefficient: str, of: str, exponent: str) -> Term:
    """`coefficient * input^-exponent`."""
    return Term(coefficient, (of,), (exponent,), _power)


def _constant(logs: LogInputs, exponents: Exponents) -> LogBasis:
    del exponents
    return LogBasis(np.zeros((1, logs.shape[1])), (), ())


def _power(logs: LogInputs, exponents: Exponents) -> LogBasis:
    return LogBasis(-exponents[0] * logs[0], (-logs,), ((None,),))
