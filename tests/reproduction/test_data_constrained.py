"""The published fit of 182 runs on repeated data, which is not at the optimum of its own objective."""

from math import exp
from pathlib import Path

import numpy as np
import pytest

from analysis.engine.compiled import predict
from analysis.engine.refit import misfit
from analysis.fit import Fit, fit
from analysis.law import Law, find_law
from analysis.runs import Runs, read_table

TABLE = Path(__file__).parents[1] / "data" / "data_constrained_182.csv"
COLUMNS = {name: name for name in ("params", "tokens", "unique_tokens", "loss")}
INPUTS = {name: name for name in ("params", "tokens", "unique_tokens")}
# From the authors' fit of single-epoch runs, with alpha = beta.
KNOWN = {"E": exp(0.6254804), "A": exp(6.255414), "B": exp(7.3049974)}
KNOWN |= {"alpha": 0.3526596, "beta": 0.3526596}
PUBLISHED = {"RD": 15.387756, "RN": 5.309743}


@pytest.fixture(scope="module")
def runs() -> Runs:
    return read_table(TABLE, COLUMNS)


@pytest.fixture(scope="module")
def law() -> Law:
    return find_law("data_constrained").fixed(KNOWN)


@pytest.fixture(scope="module")
def fitted(law: Law, runs: Runs) -> Fit:
    return fit(law, runs, INPUTS, "loss", bootstrap=0)


def test_the_published_point_gives_the_published_numbers(law: Law, runs: Runs):
    values = {name: runs.numbers(name) for name in INPUTS}
    loss, foreseen = runs.numbers("loss"), predict(law, PUBLISHED, values)
    residual = np.abs(np.log(foreseen) - np.log(loss))
    huber = np.where(residual <= 1e-3, residual**2 / 2, 1e-3 * (residual - 5e-4)).sum()
    assert huber == pytest.approx(0.0158259366, rel=1e-6)  # theirs is in single precision
    unexplained = ((loss - foreseen) ** 2).sum() / ((loss - loss.mean()) ** 2).sum()
    assert 1 - unexplained == pytest.approx(0.7722046, abs=5e-8)


def test_the_objective_falls_below_the_published_one_to_the_best_known(fitted: Fit):
    assert fitted.rows == 182
    assert fitted.objective <= 0.01580467


def test_the_repeats_after_which_data_are_used_up_are_said_to_be_weakly_identified(fitted: Fit):
    assert any(one.code == "weak" and one.text.startswith("RD ") for one in fitted.warnings)


def test_the_published_point_is_nearly_as_good_as_the_optimum(fitted: Fit):
    there = np.array([[PUBLISHED[one.name] for one in fitted.law.coefficients]])
    residual = np.abs(misfit(fitted.setup, there)[0])
    huber = np.where(residual <= 1e-3, residual**2 / 2, 1e-3 * (residual - 5e-4)).sum()
    assert 1 < huber / fitted.objective < 1.002
