"""Backtests and comparisons."""

import numpy as np
import pandas as pd
import pytest

from analysis.compare import as_documents, compare
from analysis.holdout import backtests, hold_out
from analysis.law import find_law
from analysis.objective import Objective
from analysis.runs import Runs
from trainers.schema import InputError

POWER, FLOOR = find_law("power"), find_law("power_floor")
X = {"x": "x"}
SIZES = 2.0 ** np.arange(1, 11)


def _runs(loss: np.ndarray, x: np.ndarray = SIZES) -> Runs:
    return Runs(pd.DataFrame({"x": x, "loss": loss}))


def test_a_true_law_predicts_what_it_did_not_see():
    test = hold_out(FLOOR, _runs(1 + 3 * SIZES**-0.7), X, "loss", largest=2)
    assert test.fitted == 8
    assert test.error == pytest.approx(0, abs=1e-6)
    assert test.reach == pytest.approx(4.0)
    assert [dict(one.inputs)["x"] for one in test.points] == [512.0, 1024.0]


def test_a_false_law_is_caught_by_the_largest_scale():
    test = hold_out(POWER, _runs(1 + 3 * SIZES**-0.7), X, "loss", largest=1)
    assert test.error is not None
    assert test.error > 0.02


def test_all_rows_of_a_scale_are_held_out_together():
    runs = _runs(np.tile(1 / SIZES, 3), np.tile(SIZES, 3))
    assert hold_out(POWER, runs, X, "loss", largest=1).fitted == 27


def test_more_scales_than_there_are_cannot_be_held_out():
    with pytest.raises(InputError, match="expected 1 to 9 of the 10 scales, got 10"):
        hold_out(POWER, _runs(1 / SIZES), X, "loss", largest=10)


def test_a_rest_that_is_too_small_is_refused_in_words():
    tests = backtests(FLOOR, _runs(1 / SIZES[:5], SIZES[:5]), X, "loss")
    assert [one.largest for one in tests] == [1, 2, 4]
    assert tests[1].error is not None
    assert tests[2].error is None
    assert "expected at least 3 rows" in tests[2].refused


def test_laws_are_ranked_by_what_they_predict():
    ranked = compare([POWER, FLOOR], _runs(1 + 3 * SIZES**-0.7), X, "loss")
    assert [one.law.name for one in ranked] == ["power_floor", "power"]
    documents = as_documents(ranked)
    assert documents[0]["held_out_error"] < documents[1]["held_out_error"]


def test_aicc_prefers_the_law_with_fewer_coefficients_when_both_fit():
    noise = np.exp(np.random.default_rng(0).normal(0, 0.02, len(SIZES)))
    by_name = {
        one.law.name: one
        for one in compare([POWER, FLOOR], _runs(2 / SIZES * noise), X, "loss", objective=Objective(delta=1.0))
    }
    power, floor = by_name["power"].aicc, by_name["power_floor"].aicc
    assert power is not None
    assert floor is not None
    assert power < floor


def test_laws_of_different_inputs_are_tested_on_the_same_rows():
    generator = np.random.default_rng(2)
    params, tokens = 10 ** generator.uniform(6, 9, 40), 10 ** generator.uniform(8, 11, 40)
    losses = 1.7 + 400 * params**-0.34 + 1500 * tokens**-0.36
    table = pd.DataFrame({"x": params, "params": params, "tokens": tokens, "loss": losses})
    names = {"x": "x", "params": "params", "tokens": "tokens"}
    found = compare([POWER, find_law("chinchilla")], Runs(table), names, "loss")
    first, second = ({point.measured for point in one.backtests[0].points} for one in found)
    assert first == second
