"""Backtests: what a law predicts of scales that it did not see."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.custom import any_law
from analysis.engine.objective import Objective
from analysis.fit import fit
from analysis.judgement.backtested import backtested
from analysis.judgement.holdout import as_document as backtest_document
from analysis.judgement.holdout import backtests, hold_out
from analysis.judgement.rolling import as_document as rolling_document
from analysis.judgement.rolling import rolling
from analysis.law import find_law
from analysis.points import Columns
from analysis.runs import Runs
from trainers.schema import InputError

POWER, FLOOR = find_law("power"), find_law("power_floor")
X = {"x": "x"}
SIZES = 2.0 ** np.arange(1, 11)
SQUARES = Objective(kind="squares")


def _runs(loss: np.ndarray, x: np.ndarray = SIZES) -> Runs:
    return Runs(pd.DataFrame({"x": x, "loss": loss}))


def _noise(count: int, scale: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, count)


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


def test_a_left_out_point_is_predicted_as_by_least_squares_of_the_others():
    loss = 3 * SIZES**-0.5 * np.exp(_noise(10, 0.05))
    test = hold_out(POWER, _runs(loss), X, "loss", largest=2, objective=SQUARES)
    slope, level = np.polyfit(np.log(SIZES[:8]), np.log(loss[:8]), 1)
    expected = np.exp(level + slope * np.log(SIZES[8:]))
    np.testing.assert_allclose([one.predicted for one in test.points], expected, rtol=1e-8)
    residuals = np.log(expected / loss[8:])
    np.testing.assert_allclose([one.residual for one in test.points], residuals, atol=1e-8)
    assert test.bias == pytest.approx(residuals.mean(), abs=1e-8)


def test_the_prediction_interval_is_that_of_a_straight_line():
    # Draper and Smith 1998, section 3.1: t s sqrt(1 + 1 / n + (x - mean)^2 / Sxx).
    logs, noise = np.log(SIZES), _noise(10, 0.05)
    test = hold_out(
        POWER, _runs(3 * SIZES**-0.5 * np.exp(noise)), X, "loss", largest=2, objective=SQUARES
    )
    line = stats.linregress(logs[:8], -0.5 * logs[:8] + noise[:8])
    left = -0.5 * logs[:8] + noise[:8] - line.intercept - line.slope * logs[:8]
    spread = np.sqrt((left**2).sum() / 6)
    apart = (logs[8:] - logs[:8].mean()) ** 2 / ((logs[:8] - logs[:8].mean()) ** 2).sum()
    expected = stats.t.ppf(0.975, 6) * spread * np.sqrt(1 + 1 / 8 + apart)
    np.testing.assert_allclose([one.width for one in test.points], expected, rtol=1e-7)


def test_prediction_intervals_cover_what_they_promise():
    covered = []
    for seed in range(40):
        runs = _runs(3 * SIZES**-0.5 * np.exp(_noise(10, 0.1, seed)))
        covered.append(hold_out(POWER, runs, X, "loss", largest=1, objective=SQUARES).coverage)
    # 95 % of 40, within three standard errors
    assert 0.84 < np.mean(covered) <= 1.0


def test_a_run_with_a_row_that_is_left_out_is_not_fitted_at_all():
    steps = np.tile([1.0, 10.0, 100.0], 6)
    run = np.repeat(np.arange(6), 3)
    loss = 5 * (steps * 2.0**run) ** -0.3
    loss[run == 5] *= 3.0  # a broken run would spoil the fit, were its first rows used
    table = pd.DataFrame({"x": steps * 2.0**run, "run": run, "loss": loss})
    together = hold_out(POWER, Runs(table), X, "loss", largest=1, columns=Columns(cluster="run"))
    assert together.fitted == 15
    assert together.points[0].predicted == pytest.approx(5 * (100 * 2.0**5) ** -0.3, rel=1e-6)
    assert hold_out(POWER, Runs(table), X, "loss", largest=1).fitted == 17
    assert not together.warnings


def test_runs_that_all_reach_the_largest_scale_are_split_with_a_warning():
    table = pd.DataFrame({"x": np.tile(SIZES, 3), "run": np.repeat([0, 1, 2], 10)})
    table["loss"] = 2 / table.x
    test = hold_out(POWER, Runs(table), X, "loss", largest=1, columns=Columns(cluster="run"))
    assert [one.code for one in test.warnings] == ["runs_span_scales"]
    assert test.fitted == 27


def test_negative_targets_are_left_out_without_a_relative_error():
    y = 1 - 0.5 * np.log(SIZES) + _noise(10, 0.01)
    test = hold_out(find_law("logarithmic"), _runs(y), X, "loss", largest=2)
    slope, level = np.polyfit(np.log(SIZES[:8]), y[:8], 1)
    left = level + slope * np.log(SIZES[8:]) - y[8:]
    np.testing.assert_allclose([one.residual for one in test.points], left, atol=1e-9)
    assert test.error is None
    assert "positive" in test.refused


def test_scales_that_differ_by_rounding_are_one():
    x = np.repeat(SIZES, 2) * np.tile([1.0, 1.0002], 10)
    assert hold_out(POWER, _runs(1 / x, x), X, "loss", largest=1).fitted == 18


def test_every_step_of_a_rolling_backtest_sees_only_smaller_scales():
    loss = 3 * SIZES**-0.5 * np.exp(_noise(10, 0.05))
    found = rolling(POWER, _runs(loss), X, "loss", objective=SQUARES)
    assert sorted(one.row for one in found.points) == list(range(found.steps[0].fitted, len(SIZES)))
    for step in found.steps:
        inner = slice(0, step.fitted)
        slope, level = np.polyfit(np.log(SIZES[inner]), np.log(loss[inner]), 1)
        for one in step.points:
            assert one.row >= step.fitted
            expected = np.exp(level + slope * np.log(SIZES[one.row]))
            assert one.predicted == pytest.approx(expected, rel=1e-7)
    assert found.reach == max(step.reach for step in found.steps)


def test_many_scales_are_rolled_in_groups():
    x = 10 ** np.random.default_rng(1).uniform(2, 6, 100)
    found = rolling(POWER, _runs(2 * x**-0.3 * np.exp(_noise(100, 0.02)), x), X, "loss")
    assert len(found.steps) == 7
    assert {len(step.points) for step in found.steps} <= {12, 13}


def test_a_law_that_bends_the_wrong_way_is_called_biased():
    found = rolling(POWER, _runs(1 + 3 * SIZES**-0.7), X, "loss")
    assert found.too_high == 0
    assert [one.code for one in found.warnings if one.code == "biased"]
    true = rolling(FLOOR, _runs((1 + 3 * SIZES**-0.7) * np.exp(_noise(10, 0.01))), X, "loss")
    assert not [one.code for one in true.warnings if one.code == "biased"]


def test_both_backtests_of_a_fit_are_those_made_one_by_one():
    runs = _runs((1 + 3 * SIZES**-0.7) * np.exp(_noise(10, 0.02)))
    found = backtested(fit(FLOOR, runs, X, "loss", bootstrap=0))
    one_by_one = backtests(FLOOR, runs, X, "loss")
    assert [one.largest for one in found.largest] == [1, 2, 4]
    for one, other in zip(found.largest, one_by_one, strict=True):
        assert one.fitted == other.fitted
        assert one.error == pytest.approx(other.error, rel=1e-6)
    assert found.rolling.error == pytest.approx(rolling(FLOOR, runs, X, "loss").error, rel=1e-6)
    assert found.rolling.skipped == 0


def test_a_law_of_many_coefficients_is_rolled_from_half_of_the_points_on():
    x = np.geomspace(1, 100, 16)
    law = any_law("loss = a + b / x + c / x^2 + d / x^3 + e / x^4 + f / x^5", ("x", "loss"))
    runs = _runs((2 + 1 / x) * np.exp(_noise(16, 0.01)), x)
    found = backtested(fit(law, runs, X, "loss", bootstrap=0))
    # Groups of two: 8 of them, of which the first cut that leaves 7 points lies below the fifth.
    assert [step.fitted for step in found.rolling.steps] == [8, 10, 12, 14]
    assert found.rolling.skipped == 0
    longer = _runs(np.tile(2 + 1 / x, 3) * np.exp(_noise(48, 0.01)), np.tile(x, 3))
    found = backtested(fit(law, longer, X, "loss", bootstrap=0))
    assert found.rolling.skipped > 0
    assert min(step.fitted for step in found.rolling.steps) == 24


def test_steps_that_lean_both_ways_are_not_called_biased_however_many_points_they_have():
    # Six scales of forty points: each step shares one error, of which the signs alternate.
    x = np.repeat(SIZES[:6], 40)
    shift = np.repeat([0.0, 0.0, 0.1, 0.4, 1.0, -1.0], 40)
    found = rolling(POWER, _runs(x**-0.5 * np.exp(shift + _noise(240, 0.001)), x), X, "loss")
    steps = [[one.residual > 0 for one in step.points] for step in found.steps if step.points]
    assert {sum(one) / len(one) for one in steps} == {0.0, 1.0}
    # As many coins would hardly ever come up so unevenly.
    assert stats.binomtest(found.too_high, len(found.points)).pvalue < 0.01
    assert "biased" not in [one.code for one in found.warnings]


def test_too_few_scales_for_any_backtest_are_said():
    found = rolling(POWER, _runs(1 / SIZES[:2], SIZES[:2]), X, "loss")
    assert [one.code for one in found.warnings] == ["no_backtest"]
    assert found.error is None


def test_backtests_are_plain_data():
    runs = _runs(3 * SIZES**-0.5 * np.exp(_noise(10, 0.05)))
    documents = [
        rolling_document(rolling(POWER, runs, X, "loss")),
        *map(backtest_document, backtests(FLOOR, runs, X, "loss")),
    ]
    assert json.loads(json.dumps(documents, allow_nan=False)) == documents
