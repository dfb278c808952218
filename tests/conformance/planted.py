"""Runs that a law has made: coefficients in the middle of what is searched, inputs over decades."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.compiled import compiled, predict
from analysis.law import Law
from analysis.points import Columns
from analysis.runs import Runs

COUNTS = 1e9  # of how many a share is taken, where one is: so many that rounding is its only noise


@dataclass(frozen=True)
class Planted:
    """Coefficients, the inputs they were used at, and the runs that came out."""

    coefficients: dict[str, float]
    values: dict[str, np.ndarray]
    runs: Runs
    columns: Columns

    @property
    def inputs(self) -> dict[str, str]:
        """Every input is in the column of its own name."""
        return {name: name for name in self.values}


def planted(law: Law, count: int = 60, seed: int = 0, noise: float = 0.0) -> Planted:
    """Runs of a law; `noise` is the relative standard deviation of the target."""
    generator = np.random.default_rng(seed)
    values = inputs(law, generator, count)
    coefficients = middle(law, values, generator)
    target = predict(law, coefficients, values) * np.exp(generator.normal(0, noise, count))
    table = pd.DataFrame({**values, law.target: target})
    if law.objective.kind == "binomial":
        table["counts"] = COUNTS
        return Planted(coefficients, values, Runs(table), Columns(counts="counts"))
    return Planted(coefficients, values, Runs(table), Columns())


def inputs(law: Law, generator: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Positive inputs over three decades, others between 0 and 1."""
    return {
        one.name: 10 ** generator.uniform(0.5, 3.5, count)
        if one.positive
        else generator.uniform(0, 1, count)
        for one in law.inputs
    }


def middle(
    law: Law, values: dict[str, np.ndarray], generator: np.random.Generator
) -> dict[str, float]:
    """Coefficients in the middle of what is searched, every amplitude near 1 amid the inputs."""
    made = compiled(law, law.objective.residual)
    centre = np.array(
        [
            [np.log(values[one.name]).mean() if one.positive else values[one.name].mean()]
            for one in law.inputs
        ]
    )
    vector = np.zeros((1, len(law.coefficients)))
    for place, one in enumerate(law.coefficients):
        share = generator.uniform(0.35, 0.65)
        if one.starts is None:
            vector[0, place] = 0.5 + share
        elif one.log or (one.low > 0 and one.starts[1] > 4 * one.starts[0]):
            size = one.starts[0] * (one.starts[1] / one.starts[0]) ** share
            vector[0, place] = np.log(size) if one.log else size
        else:
            vector[0, place] = one.starts[0] + share * (one.starts[1] - one.starts[0])
    natural = made.natural(vector, centre)[0]
    return {one.name: float(value) for one, value in zip(law.coefficients, natural, strict=True)}
