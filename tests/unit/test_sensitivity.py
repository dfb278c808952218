"""Sensitivity to the objective and to rows, against published and closed-form answers."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.engine.objective import Objective
from analysis.fit import Fit, fit
from analysis.judgement.sensitivity import Sensitivity, as_document, digits_in_common, sensitivity
from analysis.law import find_law
from analysis.points import Columns
from analysis.runs import Runs

TABLE = Path(__file__).parents[1] / "data" / "chinchilla_epoch_245.csv"
POWER = find_law("power")


def _published() -> Fit:
    table = pd.read_csv(TABLE)
    kept = table.loc[table.loss.rank(ascending=False) > 5]
    inputs = {"params": "params", "tokens": "tokens"}
    return fit(find_law("chinchilla"), Runs(kept), inputs, "loss", bootstrap=0)


def _power(loss: np.ndarray, x: np.ndarray, **others: Objective) -> Fit:
    runs = Runs(pd.DataFrame({"x": x, "loss": loss}))
    return fit(POWER, runs, {"x": "x"}, "loss", bootstrap=0, **others)


def _noise(count: int) -> np.ndarray:
    return np.random.default_rng(2).normal(0, 0.1, count)


def _value(found: Sensitivity, what: str, name: str) -> float:
    return next(dict(one.coefficients)[name] for one in found.variants if one.what == what)


def test_the_published_table_moves_with_the_objective():
    found = sensitivity(_published())
    assert found.variants[0].rows == 240
    assert _value(found, "as fitted", "beta") == pytest.approx(0.367172, abs=1e-6)
    # Besiroglu et al. 2024, arXiv:2404.10102: a fitted scale, in effect a Laplace likelihood.
    assert _value(found, "Laplace", "alpha") == pytest.approx(0.3478, abs=5e-5)
    assert _value(found, "Laplace", "beta") == pytest.approx(0.3658, abs=5e-5)
    assert _value(found, "Huber, delta 0.01", "beta") == pytest.approx(0.382, abs=5e-4)
    assert _value(found, "least squares", "beta") == pytest.approx(0.406, abs=5e-4)
    beta = next(one for one in found.ranges if one.name == "beta")
    assert beta.digits < 3
    assert "do not quote three digits" in beta.text
    assert "choices_matter" in [one.code for one in found.warnings]


def test_least_squares_and_left_out_scales_are_those_of_straight_lines():
    generator = np.random.default_rng(1)
    x = np.repeat(2.0 ** np.arange(8), 3)
    loss = 3 * x**-0.5 * np.exp(generator.normal(0, 0.1, 24))
    found = sensitivity(_power(loss, x, objective=Objective(kind="squares")))
    logs, target = np.log(x), np.log(loss)
    for what, kept in (
        ("as fitted", x > 0),
        ("without the 3 rows of the smallest scale", x > 1),
        ("without the 3 rows of the largest scale", x < 128),
        ("without the 1 row of the largest loss", loss < loss.max()),
    ):
        slope = np.polyfit(logs[kept], target[kept], 1)[0]
        assert _value(found, what, "c") == pytest.approx(-slope, abs=1e-8)


def test_a_law_without_noise_is_the_same_whatever_was_chosen():
    x = 2.0 ** np.arange(12)
    found = sensitivity(_power(3 * x**-0.5, x))
    (only,) = found.ranges
    assert only.digits >= 3
    assert only.text == "c is 0.5 whatever was chosen"
    assert not [one for one in found.warnings if one.code == "choices_matter"]


@pytest.mark.parametrize(
    ("low", "high", "digits"),
    [
        (0.342, 0.348, 2),
        (0.342, 0.453, 0),
        (0.34, 0.44, 1),
        (0.3421, 0.3425, 3),
        (-0.1, 0.1, 0),
        (120.0, 121.0, 3),
        (-0.348, -0.342, 2),
    ],
)
def test_digits_in_common_are_counted_from_the_first(low: float, high: float, digits: int):
    assert digits_in_common(low, high) == digits


def test_censored_and_counted_rows_keep_their_objective():
    x = np.repeat(2.0 ** np.arange(1, 9), 2)
    table = pd.DataFrame({"x": x, "loss": 2 / x * np.exp(_noise(16)), "ended": 0})
    table.loc[0, "ended"] = 1
    fitted = fit(
        POWER,
        Runs(table),
        {"x": "x"},
        "loss",
        objective=Objective(kind="normal"),
        columns=Columns(censored="ended"),
        bootstrap=0,
    )
    assert all("without" in one.what for one in sensitivity(fitted).variants[1:])


def test_a_sensitivity_study_is_plain_data():
    x = np.repeat(2.0 ** np.arange(8), 2)
    loss = 3 * x**-0.5 * np.exp(_noise(16))
    document = as_document(sensitivity(_power(loss, x)))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
