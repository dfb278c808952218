"""The published fits of 223 routed language models of Clark et al."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.fit import Fit, fit
from analysis.law import find_law
from analysis.runs import Runs

TABLE = Path(__file__).parents[1] / "data" / "routed_moe_final_losses.csv"
INPUTS = {"params": "dense_parameter_count", "experts": "num_experts"}
# By ordinary least squares of log10 loss; the saturating law by an independent program.
PLANES = {
    "S-Base": (58, [-0.0801, -0.0881, 0.0074, 1.0790]),
    "RL-R": (59, [-0.0804, -0.1028, 0.0094, 1.0817]),
    "Hash": (56, [-0.0809, -0.0949, 0.0086, 1.0890]),
}
SATURATING = {
    "S-Base": [-0.0830, -0.1180, 0.0099, 1.1136, 2.08, 239],
    "RL-R": [-0.0827, -0.1234, 0.0112, 1.1070, 1.72, 470],
    "Hash": [-0.0874, -0.1384, 0.0126, 1.1595, 4.27, 427],
}


def runs(router: str) -> Runs:
    table = pd.read_csv(TABLE)
    plain = (table["routing_frequency"] == 0.5) & (table["k"] == 1) & (table["seed"] == 42)
    return Runs(table[plain & table["router_type"].isin(["Dense", router])])


def fitted(law: str, router: str) -> Fit:
    return fit(find_law(law), runs(router), INPUTS, "loss_validation", bootstrap=0)


@pytest.mark.parametrize("router", PLANES)
def test_the_bilinear_law_is_ordinary_least_squares_to_four_decimals(router: str):
    rows, coefficients = PLANES[router]
    found = fitted("moe_bilinear", router)
    assert found.rows == rows
    assert found.vector[0] == pytest.approx(coefficients, abs=5.1e-5)
    table = runs(router).table
    sizes, experts = (np.log10(table[column]) for column in INPUTS.values())
    design = np.stack([sizes, experts, sizes * experts, np.ones(rows)], axis=1)
    plane = np.linalg.lstsq(design, np.log10(table["loss_validation"]))[0]
    assert found.vector[0] == pytest.approx(plane, rel=1e-8)


@pytest.mark.parametrize("router", SATURATING)
def test_the_saturating_law_is_that_of_an_independent_program(router: str):
    found = fitted("moe_saturating", router)
    assert found.agreed
    *plane, start, limit = found.vector[0]
    assert plane == pytest.approx(SATURATING[router][:4], abs=5.1e-5)
    assert [start, limit] == pytest.approx(SATURATING[router][4:], rel=3e-3)


# The released S-Base runs give b = -0.118, the paper -0.108: farther off than that.
@pytest.mark.parametrize(
    ("router", "published"),
    [("RL-R", [-0.083, -0.126, 1.111]), ("Hash", [-0.087, -0.136, 1.157])],
)
def test_the_saturating_law_is_the_published_one_to_two_percent_and_rounding(
    router: str, published: list[float]
):
    a, b, _, d, *_ = fitted("moe_saturating", router).vector[0]
    distance = np.abs(np.array([a, b, d]) - published)
    # they print three decimals
    assert (distance <= 0.02 * np.abs(published) + 0.0005).all()
