"""The published over-training and loss-to-error fits of Gadre et al. on RedPajama runs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.fit import Fit, fit, predict_fit
from analysis.law import find_law
from analysis.runs import Runs

TABLE = Path(__file__).parents[1] / "data" / "overtraining_gadre_104.csv"
INPUTS = {"flops": "flops", "ratio": "token_multiplier"}
SMALLEST, LARGE, LARGEST = 10_569_312, 1_439_795_200, 6_889_410_560  # parameters


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    every = pd.read_csv(TABLE)
    return every[every["dataset"] == "rpj"]


@pytest.fixture(scope="module")
def trained_on(table: pd.DataFrame) -> pd.DataFrame:
    """The five runs of the published fit: four small models at M = 20, the smallest also at 320."""
    small = (table["token_multiplier"] == 20) & (table["params"] < LARGE)
    over = (table["token_multiplier"] == 320) & (table["params"] == SMALLEST)
    return table[small | over]


@pytest.fixture(scope="module")
def fitted(trained_on: pd.DataFrame) -> Fit:
    return fit(find_law("over_training"), Runs(trained_on), INPUTS, "loss_c4_val", bootstrap=0)


def one_run(table: pd.DataFrame, params: int, ratio: int) -> pd.DataFrame:
    return table[(table["params"] == params) & (table["token_multiplier"] == ratio)]


def test_five_runs_give_the_published_coefficients(fitted: Fit):
    assert fitted.rows == 5
    assert fitted.status == "converged"
    assert fitted.coefficient("E").value == pytest.approx(1.836648, abs=5e-7)
    # the published exponent is that of the parameters, which is twice that of the compute
    assert 2 * fitted.coefficient("eta").value == pytest.approx(0.272851, abs=5e-7)


@pytest.mark.parametrize(
    ("params", "ratio", "percent"), [(LARGEST, 20, 0.7320), (LARGE, 640, 0.7103)]
)
def test_the_loss_of_large_runs_is_foreseen_to_the_published_error(
    table: pd.DataFrame, fitted: Fit, params: int, ratio: int, percent: float
):
    run = one_run(table, params, ratio)
    values = {name: run[column].to_numpy(np.float64) for name, column in INPUTS.items()}
    measured = run["loss_c4_val"].to_numpy()
    error = np.abs(predict_fit(fitted, values) - measured) / measured
    assert 100 * error == pytest.approx([percent], abs=5e-5)


def test_the_error_of_large_runs_follows_from_their_foreseen_loss_to_the_published_error(
    table: pd.DataFrame, trained_on: pd.DataFrame, fitted: Fit
):
    known = Runs(pd.concat([trained_on, one_run(table, LARGE, 20)]))
    found = fit(
        find_law("error_of_loss"), known, {"loss": "loss_c4_val"}, "err_avg_17", bootstrap=0
    )
    runs = pd.concat([one_run(table, LARGEST, 20), one_run(table, LARGE, 640)])
    values = {name: runs[column].to_numpy(np.float64) for name, column in INPUTS.items()}
    foreseen = predict_fit(found, {"loss": predict_fit(fitted, values)})
    measured = runs["err_avg_17"].to_numpy()
    percent = 100 * np.abs(foreseen - measured) / measured
    assert percent == pytest.approx([0.0464, 3.6365], abs=5e-5)
