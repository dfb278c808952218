"""Fits of runs that a law has made, with and without noise."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from analysis.engine.compiled import predict
from analysis.fit import fit
from analysis.law import Law, find_law
from analysis.runs import Runs

POWER, FLOOR, CHINCHILLA = (find_law(name) for name in ("power", "power_floor", "chinchilla"))
few = settings(max_examples=25)


def _fitted(law: Law, coefficients: dict[str, float], values: dict[str, np.ndarray]):
    table = pd.DataFrame({**values, "loss": predict(law, coefficients, values)})
    inputs = {name: name for name in law.input_names}
    return fit(law, Runs(table), inputs, "loss", bootstrap=0)


@few
@given(
    c=st.floats(-3, 6, allow_subnormal=False), b=st.floats(1e-6, 1e6), scale=st.floats(1e-3, 1e9)
)
def test_a_power_law_is_recovered_from_noiseless_runs(c: float, b: float, scale: float):
    x = scale * 2.0 ** np.arange(7)
    found = _fitted(POWER, {"b": b * scale**c, "c": c}, {"x": x})
    assert found.coefficient("c").value == pytest.approx(c, abs=1e-6)


@few
@given(c=st.floats(0.2, 3), b=st.floats(0.5, 20), floor=st.floats(0.2, 3))
def test_a_floor_is_recovered_from_noiseless_runs(c: float, b: float, floor: float):
    x = 2.0 ** np.arange(10)
    found = _fitted(FLOOR, {"E": floor, "b": b, "c": c}, {"x": x})
    assert found.coefficient("c").value == pytest.approx(c, rel=1e-4)
    assert found.coefficient("E").value == pytest.approx(floor, rel=1e-4)


@few
@given(alpha=st.floats(0.2, 0.6), beta=st.floats(0.2, 0.6), floor=st.floats(0.5, 3.0))
def test_a_surface_is_recovered_from_noiseless_runs(alpha: float, beta: float, floor: float):
    params, tokens = (
        one.ravel() for one in np.meshgrid(10.0 ** np.arange(7, 11), 10.0 ** np.arange(8, 12))
    )
    given_ = {"E": floor, "A": 1e8**alpha, "B": 1e9**beta, "alpha": alpha, "beta": beta}
    found = _fitted(CHINCHILLA, given_, {"params": params, "tokens": tokens})
    for name, value in given_.items():
        assert found.coefficient(name).value == pytest.approx(value, rel=1e-3)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), noise=st.sampled_from([0.001, 0.005, 0.02]))
def test_no_start_of_a_bounded_quasi_newton_ends_lower(seed: int, noise: float):
    generator = np.random.default_rng(seed)
    count = int(generator.integers(20, 60))
    params, tokens = 10 ** generator.uniform(7, 10, count), 10 ** generator.uniform(9, 11.5, count)
    truth = {"E": 1.7, "A": 400.0, "B": 1500.0, "alpha": 0.34, "beta": 0.36}
    losses = predict(CHINCHILLA, truth, {"params": params, "tokens": tokens})
    losses = losses * np.exp(generator.normal(0, noise, count))
    table = pd.DataFrame({"params": params, "tokens": tokens, "loss": losses})
    inputs = {"params": "params", "tokens": "tokens"}
    ours = fit(CHINCHILLA, Runs(table), inputs, "loss", bootstrap=0).objective
    sizes, data = (np.log(one) - np.log(one).mean() for one in (params, tokens))

    def objective(z: np.ndarray) -> float:
        floor, size, amount, alpha, beta = z
        model = floor + size * np.exp(-alpha * sizes) + amount * np.exp(-beta * data)
        residual = np.abs(np.log(np.maximum(model, 1e-12)) - np.log(losses))
        huber = np.where(residual <= 1e-3, residual**2 / 2, 1e-3 * (residual - 5e-4))
        return 1e3 * float(huber.sum())

    bounds = [(0, 20)] * 3 + [(0.01, 2)] * 2
    starts = generator.uniform([0.5, 0.1, 0.1, 0.1, 0.1], [2.5, 1, 1, 0.8, 0.8], (6, 5))
    options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 2_000}
    theirs = [minimize(objective, one, bounds=bounds, options=options).fun / 1e3 for one in starts]
    assert ours <= min(theirs) * (1 + 1e-6)


def test_ninety_five_percent_intervals_cover_about_that_often():
    generator = np.random.default_rng(0)
    x = np.repeat(2.0 ** np.arange(2, 9), 12)
    covered = 0
    for _ in range(60):
        loss = 3 * x**-0.8 * np.exp(generator.normal(0, 0.2, len(x)))
        runs = Runs(pd.DataFrame({"x": x, "loss": loss}))
        one = fit(POWER, runs, {"x": "x"}, "loss", pool="mean", bootstrap=200).coefficient("c")
        assert one.low is not None
        assert one.high is not None
        covered += one.low <= 0.8 <= one.high
    assert 50 <= covered <= 60  # a binomial of 60 draws at 0.95 is below 50 once in 10,000
