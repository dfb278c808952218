"""Random Chinchilla surfaces: the engine against scipy, and what is said of degenerate ones.

Whether a surface is degenerate follows from how it was made and from scipy's optimum, never from
our findings.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from analysis.fit import fit
from analysis.law import find_law
from analysis.runs import Runs

LAW = find_law("chinchilla")
INPUTS = {"params": "params", "tokens": "tokens"}
COUNT, FEW, STARTS = 200, 10, 40
TROUBLES = ("line", "levels", "no floor", "logarithm", "steep", "lever")
HIGHEST = 20.0  # of the box that both sides search, for the three amplitudes


@dataclass(frozen=True)
class Case:
    """A surface, the trouble that it was given, if any, and how it was made."""

    trouble: str
    table: pd.DataFrame
    noise: float


@dataclass(frozen=True)
class Outcome:
    """What both sides found: the relative excess of ours, whether degenerate, and our codes."""

    number: int
    degenerate: str
    noise: float
    excess: float
    codes: frozenset[str]
    status: str


def make(number: int) -> Case:
    """A surface of 15 to 99 rows; three in ten have a trouble."""
    generator = np.random.default_rng([2024, number])
    rows = int(generator.integers(15, 100))
    noise = float(generator.choice([0.001, 0.005, 0.02]))
    trouble = TROUBLES[number // 10 * 3 % 6 + number % 10] if number % 10 < 3 else ""
    params = 10 ** generator.uniform(7, 10, rows)
    tokens = 10 ** generator.uniform(9, 11.5, rows)
    floor, alpha, beta = (generator.uniform(*one) for one in ((1, 2.5), (0.2, 0.6), (0.2, 0.6)))
    size, data = generator.uniform(0.2, 0.8, 2)
    match trouble:
        case "line":
            tokens = 20 * params
        case "levels":
            # Three levels are the least that the law takes; two of these are nearly one.
            params = generator.choice([1e8, 1.02e8, 1e9], rows)
        case "no floor":
            floor = 0.0
        case "logarithm":
            alpha = generator.uniform(0.001, 0.02)
        case "steep":
            alpha = generator.uniform(2.1, 3.0)
        case "lever":
            params = 10 ** generator.uniform(8, 8.1, rows)
    model = (
        floor
        + size * (params / np.exp(np.log(params).mean())) ** -alpha
        + data * (tokens / np.exp(np.log(tokens).mean())) ** -beta
    )
    loss = model * np.exp(generator.normal(0, noise, rows))
    return Case(trouble, pd.DataFrame({"params": params, "tokens": tokens, "loss": loss}), noise)


class Theirs:
    """Tight bounded quasi-Newton from 40 random starts, with the exact gradient."""

    def __init__(self, case: Case, number: int) -> None:
        self.sizes, self.data = (
            np.log(case.table[name].to_numpy()) for name in ("params", "tokens")
        )
        self.sizes, self.data = self.sizes - self.sizes.mean(), self.data - self.data.mean()
        self.target = np.log(case.table["loss"].to_numpy())
        generator = np.random.default_rng([7, number])
        low, high = np.array([0, 0.05, 0.05, 0.05, 0.05]), np.array([3, 2, 2, 1.5, 1.5])
        bounds = [(0, HIGHEST)] * 3 + [(0.01, 2.0)] * 2
        options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 3_000, "maxfun": 6_000}
        found = [
            minimize(self.both, one, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
            for one in generator.uniform(low, high, (STARTS, 5))
        ]
        best = min(found, key=lambda one: one.fun)
        self.value, self.vector = float(best.fun) / 1e3, best.x

    def both(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        first, second = np.exp(-z[3] * self.sizes), np.exp(-z[4] * self.data)
        model = np.maximum(z[0] + z[1] * first + z[2] * second, 1e-12)
        residual = np.log(model) - self.target
        clipped = np.clip(residual, -1e-3, 1e-3)
        pull = clipped / model
        gradient = [
            pull.sum(),
            (pull * first).sum(),
            (pull * second).sum(),
            -(pull * z[1] * first * self.sizes).sum(),
            -(pull * z[2] * second * self.data).sum(),
        ]
        return 1e3 * float((clipped * (residual - clipped / 2)).sum()), 1e3 * np.array(gradient)

    @property
    def on_bound(self) -> bool:
        """Whether the optimum sits on the box: a term gone, or an exponent at its limit."""
        z = self.vector
        return bool((z[:3] <= 1e-9).any() or (z[:3] >= HIGHEST * (1 - 1e-9)).any()
                    or (z[3:] <= 0.01 * (1 + 1e-9)).any() or (z[3:] >= 2 * (1 - 1e-9)).any())  # fmt: skip


def outcome(number: int) -> Outcome:
    case = make(number)
    mine = fit(LAW, Runs(case.table), INPUTS, "loss", bootstrap=0)
    other = Theirs(case, number)
    degenerate = case.trouble or ("bound" if other.on_bound else "")
    codes = frozenset(one.code for one in mine.warnings)
    excess = mine.objective / other.value - 1
    return Outcome(number, degenerate, case.noise, excess, codes, mine.status)


@pytest.mark.parametrize(
    "count", [pytest.param(FEW, id="few"), pytest.param(COUNT, id="all", marks=pytest.mark.slow)]
)
def test_random_surfaces_are_fitted_as_well_as_by_scipy_and_degenerate_ones_are_named(count: int):
    found = [outcome(number) for number in range(count)]
    sound = [one for one in found if not one.degenerate]
    degenerate = [one for one in found if one.degenerate]
    assert [one for one in sound if one.excess > 1e-6] == []
    assert sum(bool(one.codes) for one in degenerate) >= 0.95 * len(degenerate)
    # A sound surface may be noisy: then some coefficients are weak, but the fit can be used.
    assert sum(one.status == "converged" for one in sound) >= 0.95 * len(sound)
    quiet = [not one.codes for one in sound if one.noise < 0.01]
    assert sum(quiet) >= 0.95 * len(quiet)
