"""Comparisons of laws."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest

from analysis.engine.objective import Objective
from analysis.judgement.compare import Candidate, Comparison, as_document, as_documents, compare
from analysis.judgement.contest import criteria, lead, stacked
from analysis.law import find_law
from analysis.points import Columns
from analysis.runs import Runs
from trainers.schema import InputError

POWER, FLOOR, LINE = (find_law(name) for name in ("power", "power_floor", "logarithmic"))
X = {"x": "x"}
SIZES = 2.0 ** np.arange(1, 11)
SQUARES = Objective(kind="squares")


def _runs(loss: np.ndarray, x: np.ndarray = SIZES, **columns: np.ndarray) -> Runs:
    return Runs(pd.DataFrame({"x": x, "loss": loss, **columns}))


def _noise(count: int, scale: float, seed: int = 0) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(0, scale, count))


def _named(found: Comparison) -> dict[str, Candidate]:
    return {one.law.name: one for one in found.candidates}


def test_laws_are_ranked_by_what_they_predict():
    found = compare([POWER, FLOOR], _runs(1 + 3 * SIZES**-0.7), X, "loss")
    assert [one.law.name for one in found.candidates] == ["power_floor", "power"]
    documents = as_documents(found)
    assert documents[0]["held_out_error"] < documents[1]["held_out_error"]


def test_the_held_out_error_is_that_of_straight_lines_through_the_smaller_scales():
    x = SIZES[:8]
    loss = 2 * x**-0.4 * _noise(8, 0.05)
    found = compare([POWER, LINE], _runs(loss, x), X, "loss", objective=SQUARES)
    logs, target = np.log(x), np.log(loss)
    errors = []
    for start in (4, 5, 6, 7):
        slope, level = np.polyfit(logs[:start], target[:start], 1)
        errors.append(abs(level + slope * logs[start] - target[start]))
    assert found.tested == 4
    assert _named(found)["power"].error == pytest.approx(np.mean(errors), rel=1e-6)


def test_criteria_are_what_their_definitions_say():
    loss = 2 * SIZES**-0.4 * _noise(10, 0.05)
    found = _named(compare([POWER, FLOOR], _runs(loss), X, "loss", objective=SQUARES))["power"]
    slope, level = np.polyfit(np.log(SIZES), np.log(loss), 1)
    squares = ((level + slope * np.log(SIZES) - np.log(loss)) ** 2).sum()
    assert found.aicc == pytest.approx(10 * np.log(squares / 10) + 6 + 24 / 6, rel=1e-9)
    assert found.bic == pytest.approx(10 * np.log(squares / 10) + 3 * np.log(10), rel=1e-9)


def test_criteria_of_too_few_points_or_a_perfect_law_are_none():
    assert criteria(np.ones(4), 2) == (None, None)
    assert criteria(np.zeros(20), 2) == (None, None)


def test_aicc_prefers_the_law_with_fewer_coefficients_when_both_fit():
    found = _named(
        compare(
            [POWER, FLOOR],
            _runs(2 / SIZES * _noise(10, 0.02)),
            X,
            "loss",
            objective=Objective(delta=1.0),
        )
    )
    power, floor = found["power"].aicc, found["power_floor"].aicc
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
    first, second = ({point.row for point in one.backtests[2].points} for one in found.candidates)
    assert first == second
    assert found.candidates[0].law.name == "chinchilla"
    assert found.lead is not None
    assert found.lead.sure


def test_the_best_mix_is_that_of_a_search_over_all_mixes():
    residuals = np.random.default_rng(4).normal(0, 1, (30, 3)) + np.array([0.4, -0.6, 1.0])
    steps = np.linspace(0, 1, 101)
    best = min(
        (float(((residuals @ mix) ** 2).sum()), mix)
        for mix in (
            np.array([one, other, 1 - one - other])
            for one, other in itertools.product(steps, steps)
            if one + other <= 1
        )
    )[1]
    found = stacked(residuals)
    np.testing.assert_allclose(found, best, atol=0.011)
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()


def test_a_law_that_is_always_worse_has_no_weight_in_the_mix():
    good = np.random.default_rng(5).normal(0, 0.1, 40)
    good -= good.mean()  # nothing that a constant could mend
    np.testing.assert_allclose(stacked(np.stack([good, good + 5], axis=1)), [1, 0], atol=1e-6)
    np.testing.assert_allclose(stacked(np.stack([good, good * np.inf], axis=1)), [1, 0])


def test_a_law_that_is_closer_everywhere_leads_for_sure():
    small = np.random.default_rng(6).normal(0, 0.1, 20)
    found = lead(("a", "b"), small, 2 * small, None, seed=1)
    assert (found.probability, found.sure) == (1.0, True)
    assert found.difference == pytest.approx(np.abs(small).mean())


def test_a_lead_by_chance_is_not_sure_and_its_interval_is_that_of_the_mean():
    generator = np.random.default_rng(7)
    one, other = generator.normal(0, 1, (2, 400))
    found = lead(("a", "b"), one, other, None, seed=1)
    gain = np.abs(other) - np.abs(one)
    error = gain.std(ddof=1) / 20
    assert found.low == pytest.approx(gain.mean() - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(gain.mean() + 1.96 * error, abs=0.2 * error)
    assert not found.sure
    assert "chance" in found.text


def test_rows_of_one_run_count_as_one_in_a_lead():
    gain = np.repeat(np.random.default_rng(8).normal(0.5, 1, 10), 50)
    run = np.repeat(np.arange(10), 50)
    alone = lead(("a", "b"), np.zeros(500), gain, None, seed=1)
    whole = lead(("a", "b"), np.zeros(500), gain, run, seed=1)
    assert whole.high - whole.low > 4 * (alone.high - alone.low)


def test_laws_that_predict_the_same_are_said_to():
    same = np.ones(9)
    assert lead(("a", "b"), same, same, None, seed=1).text == "a and b predict the same"
    assert lead(("a", "b"), same, same, None, seed=1).probability == 0.5


def test_a_law_that_cannot_be_fitted_is_listed_last_with_its_reason():
    laws = [find_law("chinchilla"), find_law("transfer"), POWER]
    found = compare(laws, _runs(2 / SIZES), X, "loss")
    assert found.candidates[0].law.name == "power"
    assert all("expected the inputs" in one.refused for one in found.candidates[1:])
    assert found.candidates[1].fit is None


def test_a_comparison_in_which_nothing_can_be_fitted_is_refused():
    with pytest.raises(InputError, match="law chinchilla: expected the inputs"):
        compare([find_law("chinchilla")], _runs(2 / SIZES), X, "loss")
    with pytest.raises(InputError, match="expected at least one, got none"):
        compare([], _runs(2 / SIZES), X, "loss")
    with pytest.raises(InputError, match="expected different ones, got power, power"):
        compare([POWER, POWER], _runs(2 / SIZES), X, "loss")


def test_pooled_cells_are_left_out_as_one():
    x = np.repeat(SIZES, 5)
    loss = np.repeat(2 * SIZES**-0.4, 5)
    loss[::5] *= 100  # one wild seed in each cell
    found = compare([POWER, FLOOR], _runs(loss, x), X, "loss", pool="median")
    assert found.rows == 10
    assert found.candidates[0].error == pytest.approx(0, abs=1e-6)


def test_a_broken_law_is_said_not_to_foresee_breaks():
    runs = _runs(2 * SIZES**-0.4 * _noise(10, 0.01))
    known = find_law("broken").fixed({"d1": 30.0, "f1": 0.5, "c1": 0.0, "E": 0.0})
    found = compare([known, POWER], runs, X, "loss")
    assert "cannot_foresee_breaks" in [one.code for one in found.warnings]


def test_laws_of_different_residuals_are_compared_in_plain_ones():
    loss = 5 - 0.3 * np.log(SIZES) + 0.01 * np.log(_noise(10, 1.0))
    found = compare([POWER, LINE], _runs(loss), X, "loss")
    assert found.unit == "plain"
    line = _named(found)["logarithmic"]
    assert found.candidates[0] is line
    assert "mixed_residuals" in [one.code for one in found.warnings]
    last = line.backtests[0].points[0]
    slope, level = np.polyfit(np.log(SIZES[:9]), loss[:9], 1)
    assert last.residual == pytest.approx(level + slope * np.log(SIZES[9]) - loss[9], abs=1e-8)


def test_a_score_in_plain_units_is_that_in_logarithms_over_the_measured():
    loss = 2 * SIZES**-0.4 * _noise(10, 0.05)
    logs = _named(compare([POWER], _runs(loss), X, "loss"))["power"]
    found = compare([POWER, LINE], _runs(loss), X, "loss")
    plain = _named(found)["power"]
    left = loss[len(loss) - found.tested :]
    assert logs.score is not None
    assert plain.score == pytest.approx(logs.score - np.log(left).mean(), rel=1e-9)


def test_few_left_out_points_are_said():
    found = compare([POWER, FLOOR], _runs(1 / SIZES[:5], SIZES[:5]), X, "loss")
    assert "few_left_out" in [one.code for one in found.warnings]


def test_whole_runs_are_left_out_and_counted_as_one():
    steps = np.tile([1.0, 10.0, 100.0], 8)
    run = np.repeat(np.arange(8), 3)
    x = steps * 4.0**run
    loss = 1 + 5 * x**-0.3 * _noise(8, 0.02)[run]
    found = compare([POWER, FLOOR], _runs(loss, x, run=run), X, "loss",
                    columns=Columns(cluster="run"))  # fmt: skip
    for test in found.candidates[0].backtests:
        left = {run[point.row] for point in test.points}
        assert test.fitted <= 3 * (8 - len(left))


def test_a_comparison_is_plain_data():
    runs = _runs(2 * SIZES**-0.4 * _noise(10, 0.05))
    document = as_document(compare([POWER, FLOOR, find_law("chinchilla")], runs, X, "loss"))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert [one["law"] for one in document["laws"]][2] == "chinchilla"
