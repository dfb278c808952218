"""Runs that a law has made: coefficients in the middle of what is searched, inputs over decades."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.engine.compiled import compiled, predict
from analysis.law import Coefficient, Law
from analysis.points import Columns
from analysis.runs import Runs

COUNTS = (
    10**9
)  # of how many a share is taken, where one is: so many that rounding is its only noise

Values = dict[str, np.ndarray]

# Where the middle of the search says nothing: a ceiling must lie above its floor, a break must bend,
# no term may vanish beside another, a loss that no run reaches lies below all losses. Those with `of`
# are multiples of the geometric mean of that input.
RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "bounded": {"E": (0.8, 1.2), "L0": (4.0, 8.0), "c": (0.3, 1.0), "N0": (0.1, 1), "T0": (0.1, 1)},
    "bounded_rational": {"E": (0.8, 1.2), "L0": (4.0, 8.0), "N0": (0.1, 1.0), "D0": (0.1, 1.0)},
    "broken": {
        "c0": (0.2, 0.3),
        "c1": (0.4, 0.8),
        "c2": (-0.6, -0.3),
        "d1": (0.1, 0.2),
        "r2": (8, 12),
    },
    "data_constrained": {
        "A": (3.0, 10.0),
        "B": (3.0, 10.0),
        "alpha": (0.25, 0.4),
        "beta": (0.25, 0.4),
        "RD": (3.0, 15.0),
        "RN": (2.0, 8.0),
    },
    "grokking_delay": {"x0": (0.005, 0.02)},
    "kaplan": {"Nc": (0.5, 2.0), "Dc": (0.5, 2.0)},
    "m4": {"E": (0.3, 0.6), "I": (1.5, 3.0)},
    "mixture_joint": {"p_A": (-2.0, -1.0), "p_B": (1.0, 2.0)},
    "sigmoid": {"lo": (0.2, 0.3), "hi": (0.7, 0.9)},
    "time_to_loss": {"E": (0.005, 0.02)},
}


@dataclass(frozen=True)
class Planted:
    """Coefficients, the inputs they were used at, and the runs that came out."""

    coefficients: dict[str, float]
    values: Values
    runs: Runs
    columns: Columns

    @property
    def inputs(self) -> dict[str, str]:
        """Every input is in the column of its own name."""
        return {name: name for name in self.values}


def planted(law: Law, count: int = 60, seed: int = 0, noise: float = 0.0) -> Planted:
    """Runs of a law; `noise` is the relative standard deviation of the target.

    A share of counts has binomial noise instead, of `noise`^-2 draws.
    """
    generator = np.random.default_rng(seed)
    values = inputs(law, generator, count)
    coefficients = middle(law, values, generator)
    target = predict(law, coefficients, values)
    if law.objective.kind == "binomial":
        counts = round(noise**-2) if noise > 0 else COUNTS
        if noise > 0:
            target = generator.binomial(counts, target) / counts
        table = pd.DataFrame({**values, law.target: target, "counts": counts})
        return Planted(coefficients, values, Runs(table), Columns(counts="counts"))
    target = target * np.exp(generator.normal(0, noise, count))
    return Planted(
        coefficients, values, Runs(pd.DataFrame({**values, law.target: target})), Columns()
    )


def inputs(law: Law, generator: np.random.Generator, count: int) -> Values:
    """Positive inputs over three decades and others between 0 and 1, if they can be chosen freely."""
    domains = sum(name.startswith("share_") for name in law.input_names)
    if domains:
        return shared(generator, count, domains)
    if "unique_tokens" in law.input_names:
        return repeated(generator, count)
    return {
        one.name: 10 ** generator.uniform(0.5, 3.5, count)
        if one.positive
        else generator.uniform(0, 1, count)
        for one in law.inputs
    }


def repeated(generator: np.random.Generator, count: int) -> Values:
    """Different tokens, seen up to 30 times; models on either side of the best size for them."""
    unique = 10 ** generator.uniform(1.5, 3.5, count)
    return {
        "params": unique * 10 ** generator.uniform(-1.5, 1.5, count),
        "tokens": unique * 10 ** generator.uniform(-0.5, 1.5, count),
        "unique_tokens": unique,
    }


def shared(generator: np.random.Generator, count: int, domains: int) -> Values:
    """Shares that add up to 1, a fifth of the runs on one domain alone, at sizes of three decades."""
    share = generator.dirichlet(np.ones(domains), count)
    alone = generator.integers(0, 5, count) == 0
    share[alone] = np.eye(domains)[generator.integers(0, domains, int(alone.sum()))]
    return {
        "params": 10 ** generator.uniform(0.5, 3.5, count),
        "tokens": 10 ** generator.uniform(0.5, 3.5, count),
        **{f"share_{number + 1}": share[:, number] for number in range(domains)},
    }


def middle(law: Law, values: Values, generator: np.random.Generator) -> dict[str, float]:
    """Coefficients in the middle of what is searched, every amplitude near 1 amid the inputs.

    Those in `RANGES` come from there.
    """
    made = compiled(law, law.objective.residual)
    centre = np.array(
        [
            [np.log(values[one.name]).mean() if one.positive else values[one.name].mean()]
            for one in law.inputs
        ]
    )
    ranges = RANGES.get(law.name.split(":")[0], {})
    drawn = [_drawn(one, ranges.get(one.name), generator) for one in law.coefficients]
    natural = made.natural(np.array([drawn]), centre)[0]
    # An amplitude is named in the unit of the law, where the engine would have it amid the inputs.
    return {
        one.name: float(value if one.starts is None and one.name in ranges else whole)
        for one, value, whole in zip(law.coefficients, drawn, natural, strict=True)
    }


def _drawn(
    one: Coefficient, within: tuple[float, float] | None, generator: np.random.Generator
) -> float:
    """A value of the engine's variable for that coefficient: between two values, or the middle."""
    share = generator.uniform(0.35, 0.65)
    if within is not None:
        low, high, share = *within, (share - 0.35) / 0.3
    elif one.starts is not None:
        low, high = one.starts
    else:
        return 0.5 + share
    if one.log or (low > 0 and high > 4 * low):
        size = low * (high / low) ** share
        return float(np.log(size)) if one.log else size
    return low + share * (high - low)
