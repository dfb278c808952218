"""Certified nonlinear least squares problems of NIST, given to the engine as formulas.

Source: NIST StRD, nonlinear regression (tests/data/README.md). The search of a coefficient spans
from half the smaller to twice the larger of NIST's two starting values; nothing certified enters.
Not expressible are ENSO (cosines) and Roszman1 (an arc tangent).
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float

from analysis.engine.objective import Objective
from analysis.engine.refit import Optimum, optimum, setup
from analysis.law import Coefficient, Input, Law
from analysis.points import Points

FOLDER = Path(__file__).parent.parent / "data" / "nist"

GAUSS = "y = b1*exp(-b2*x) + b3*exp(-(x - b4)^2 / b5^2) + b6*exp(-(x - b7)^2 / b8^2)"
LANCZOS = "y = b1*exp(-b2*x) + b3*exp(-b4*x) + b5*exp(-b6*x)"
CUBIC = "y = (b1 + b2*x + b3*x^2 + b4*x^3) / (1 + b5*x + b6*x^2 + b7*x^3)"
FORMULAS = {
    "Bennett5": "y = b1 * (b2 + x)^(-1 / b3)",
    "BoxBOD": "y = b1 * (1 - exp(-b2*x))",
    "Chwirut1": "y = exp(-b1*x) / (b2 + b3*x)",
    "Chwirut2": "y = exp(-b1*x) / (b2 + b3*x)",
    "DanWood": "y = b1 * x^b2",
    "Eckerle4": "y = (b1 / b2) * exp(-0.5 * ((x - b3) / b2)^2)",
    "Gauss1": GAUSS,
    "Gauss2": GAUSS,
    "Gauss3": GAUSS,
    "Hahn1": CUBIC,
    "Kirby2": "y = (b1 + b2*x + b3*x^2) / (1 + b4*x + b5*x^2)",
    "Lanczos1": LANCZOS,
    "Lanczos2": LANCZOS,
    "Lanczos3": LANCZOS,
    "MGH09": "y = b1 * (x^2 + x*b2) / (x^2 + x*b3 + b4)",
    "MGH10": "y = b1 * exp(b2 / (x + b3))",
    "MGH17": "y = b1 + b2*exp(-x*b4) + b3*exp(-x*b5)",
    "Misra1a": "y = b1 * (1 - exp(-b2*x))",
    "Misra1b": "y = b1 * (1 - (1 + b2*x/2)^(-2))",
    "Misra1c": "y = b1 * (1 - (1 + 2*b2*x)^(-0.5))",
    "Misra1d": "y = b1*b2*x / (1 + b2*x)",
    "Nelson": "log(y) = b1 - b2*x1 * exp(-b3*x2)",
    "Rat42": "y = b1 / (1 + exp(b2 - b3*x))",
    "Rat43": "y = b1 / (1 + exp(b2 - b3*x))^(1 / b4)",
    "Thurber": CUBIC,
}
LINEAR = {
    "Bennett5": "b1", "BoxBOD": "b1", "Chwirut1": "", "Chwirut2": "", "DanWood": "b1",
    "Eckerle4": "b1", "Gauss1": "b1 b3 b6", "Gauss2": "b1 b3 b6", "Gauss3": "b1 b3 b6",
    "Hahn1": "b1 b2 b3 b4", "Kirby2": "b1 b2 b3", "Lanczos1": "b1 b3 b5", "Lanczos2": "b1 b3 b5",
    "Lanczos3": "b1 b3 b5", "MGH09": "b1", "MGH10": "b1", "MGH17": "b1 b2 b3", "Misra1a": "b1",
    "Misra1b": "b1", "Misra1c": "b1", "Misra1d": "b1", "Nelson": "b1 b2", "Rat42": "b1",
    "Rat43": "b1", "Thurber": "b1 b2 b3 b4",
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """A problem as its file states it."""

    starts: dict[str, tuple[float, float]]
    certified: dict[str, float]
    residual: float
    table: Float[np.ndarray, "run column"]


def read(name: str) -> Problem:
    text = (FOLDER / f"{name}.dat").read_text()
    number = r"([-+.\dE]+)"
    lines = re.findall(rf"^ +(b\d) = +{number} +{number} +{number} +{number}", text, re.MULTILINE)
    span = re.search(r"Data +\(lines (\d+) to +(\d+)\)", text)
    squares = re.search(rf"Residual Sum of Squares: +{number}", text)
    assert span
    assert squares
    rows = text.splitlines()[int(span[1]) - 1 : int(span[2])]
    return Problem(
        {key: (float(one), float(two)) for key, one, two, _, _ in lines},
        {key: float(value) for key, _, _, value, _ in lines},
        float(squares[1]),
        np.array([[float(part) for part in row.split()] for row in rows]),
    )


def law_of(name: str, problem: Problem) -> Law:
    def interval(one: float, two: float) -> tuple[float, float]:
        low, high = sorted([abs(one), abs(two)])
        return (low / 2, high * 2) if one > 0 else (-high * 2, -low / 2)

    return Law(
        name=name,
        formula=FORMULAS[name],
        source="NIST StRD",
        inputs=tuple(
            Input(key, "predictor", positive=False)
            for key in (["x1", "x2"] if name == "Nelson" else ["x"])
        ),
        coefficients=tuple(
            Coefficient(key, "", starts=None if key in LINEAR[name].split() else interval(*starts))
            for key, starts in problem.starts.items()
        ),
    )


def solved(name: str) -> tuple[Problem, Law, Optimum]:
    problem = read(name)
    law = law_of(name, problem)
    y, *columns = problem.table.T.copy()
    values = {one.name: column for one, column in zip(law.inputs, columns, strict=True)}
    residual = "log" if name == "Nelson" else "plain"
    on = Points(values, y, tuple(y[:, None]))
    return problem, law, optimum(setup(law, on, Objective(kind="squares", residual=residual)))


TWO_PEAKS, THREE_DECAYS = ("b3 b4 b5", "b6 b7 b8"), ("b1 b2", "b3 b4", "b5 b6")
ALIKE = {
    "Gauss1": TWO_PEAKS,
    "Gauss2": TWO_PEAKS,
    "Gauss3": TWO_PEAKS,
    "Lanczos1": THREE_DECAYS,
    "Lanczos2": THREE_DECAYS,
    "Lanczos3": THREE_DECAYS,
    "MGH17": ("b2 b4", "b3 b5"),
}
"""Terms of the same form, which the data cannot tell apart by name."""
SLOW = {"Bennett5", "MGH10", "MGH17", "Gauss1", "Gauss2", "Gauss3", "Hahn1", "Lanczos1", "Lanczos2"}


def renamed(name: str, found: dict[str, float]) -> Iterator[dict[str, float]]:
    """The coefficients under every exchange of terms that are alike."""
    terms = [one.split() for one in ALIKE.get(name, ())]
    for order in itertools.permutations(terms):
        pairs = zip(itertools.chain(*terms), itertools.chain(*order), strict=True)
        yield found | {new: found[old] for new, old in pairs}


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=[pytest.mark.slow] if one in SLOW else []) for one in FORMULAS],
)
def test_a_problem_of_nist_gives_its_certified_coefficients_and_residual(name):
    problem, law, found = solved(name)
    values = dict(zip(law.place, map(float, found.vectors[0]), strict=True))
    errors = [
        max(abs(one[key] / value - 1) for key, value in problem.certified.items())
        for one in renamed(name, values)
    ]
    assert found.converged
    assert min(errors) < 1e-7
    if name != "Lanczos1":  # its certified residual, 1e-25, is below rounding
        assert 2 * found.value == pytest.approx(problem.residual, rel=1e-9)
