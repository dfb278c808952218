"""The published five-coefficient fit of 240 Chinchilla runs, and its published bootstrap."""

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from analysis.engine.objective import Objective
from analysis.fit import Fit, as_document, fit
from analysis.law import find_law
from analysis.runs import Runs, read_table
from analysis.where import parse_where

TABLE = Path(__file__).parents[1] / "data" / "chinchilla_epoch_245.csv"
COLUMNS = {"params": "params", "tokens": "tokens", "loss": "loss"}
INPUTS = {"params": "params", "tokens": "tokens"}


@pytest.fixture(scope="module")
def runs() -> Runs:
    return read_table(TABLE, COLUMNS, parse_where("loss < 3.44"))


@pytest.fixture(scope="module")
def fitted(runs: Runs) -> Fit:
    return fit(find_law("chinchilla"), runs, INPUTS, "loss", bootstrap=4_000, seed=42)


def test_the_five_largest_losses_are_left_out_and_listed(runs: Runs):
    assert (len(runs), len(runs.omitted)) == (240, 5)
    assert {one.reason for one in runs.omitted} == {"left out by --where loss < 3.44"}


def test_the_objective_is_that_of_the_best_known_optimum(fitted: Fit):
    assert fitted.objective <= 0.001018274018
    assert fitted.status == "converged"


def test_the_coefficients_are_those_of_independent_programs(fitted: Fit):
    expected = {"A": 477.8259, "B": 2143.417, "E": 1.817218, "alpha": 0.347310, "beta": 0.367172}
    for name, value in expected.items():
        assert fitted.coefficient(name).value == pytest.approx(value, rel=2e-6)


def test_the_standard_errors_are_the_published_ones_to_three_percent(fitted: Fit):
    published = {"A": 124.52, "B": 1293.28, "E": 0.02566, "alpha": 0.01540, "beta": 0.02060}
    for name, value in published.items():
        assert fitted.coefficient(name).standard_error == pytest.approx(value, rel=0.03)


def test_the_intervals_are_those_of_independent_refits(fitted: Fit):
    expected = {"E": (1.769, 1.871), "alpha": (0.317, 0.373), "beta": (0.331, 0.415)}
    for name, ends in expected.items():
        one = fitted.coefficient(name)
        assert (one.low, one.high) == pytest.approx(ends, abs=6e-4)


def test_no_resample_can_be_improved_by_another_optimizer(runs: Runs, fitted: Fit):
    sizes, tokens, losses = (np.log(runs.numbers(name)) for name in ("params", "tokens", "loss"))
    generator = np.random.RandomState(42)
    for draw in fitted.draws[:5]:
        rows = generator.choice(240, 240)

        def objective(z: np.ndarray, rows: np.ndarray = rows) -> float:
            floor, size, data, alpha, beta = z
            terms = [floor + 0 * sizes, size - alpha * sizes, data - beta * tokens]
            residual = np.abs(np.logaddexp.reduce(terms) - losses)[rows]
            return float(
                np.where(residual <= 1e-3, residual**2 / 2, 1e-3 * (residual - 5e-4)).sum()
            )

        ours = np.concatenate([np.log(draw[:3]), draw[3:]])
        found = minimize(objective, ours, method="Nelder-Mead", options={"maxfev": 2_000})
        assert objective(ours) <= found.fun * (1 + 1e-7)


def test_all_245_rows_give_the_other_known_optimum():
    runs = read_table(TABLE, COLUMNS)
    found = fit(find_law("chinchilla"), runs, INPUTS, "loss", bootstrap=0)
    assert found.objective == pytest.approx(0.00182601052, rel=1e-8)
    assert found.coefficient("beta").value == pytest.approx(0.453049, rel=1e-5)


def test_the_234_rows_of_another_release_give_their_known_optimum():
    table = read_table(TABLE, COLUMNS).table
    fewer = Runs(table[table["params"] < table["tokens"]])
    found = fit(find_law("chinchilla"), fewer, INPUTS, "loss", bootstrap=0)
    assert found.rows == 234
    assert found.objective == pytest.approx(0.000840092055, rel=1e-9)
    expected = {"A": 442.16, "B": 1271.79, "E": 1.783893, "alpha": 0.342626, "beta": 0.342001}
    for name, value in expected.items():
        assert found.coefficient(name).value == pytest.approx(value, rel=1e-5)


def test_a_laplace_likelihood_gives_the_published_point(runs: Runs):
    laplace = Objective(kind="laplace")
    found = fit(find_law("chinchilla"), runs, INPUTS, "loss", objective=laplace, bootstrap=0)
    published = {"A": 482.01, "B": 2085.43, "E": 1.81686, "alpha": 0.34781, "beta": 0.36585}
    for name, value in published.items():
        assert found.coefficient(name).value == pytest.approx(value, rel=2e-4)


def test_the_same_seed_gives_the_same_document(runs: Runs):
    law = find_law("chinchilla")
    first, second = (
        as_document(fit(law, runs, INPUTS, "loss", bootstrap=50, seed=7)) for _ in range(2)
    )
    assert first == second
