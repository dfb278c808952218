"""Distances of a place from the data."""

import json

import numpy as np
import pytest
from scipy.spatial import distance

from analysis.judgement.extrapolation import as_document, extrapolation, reached
from analysis.judgement.holdout import Backtest
from analysis.law import find_law
from analysis.points import Points
from trainers.schema import InputError

CHINCHILLA, POWER = find_law("chinchilla"), find_law("power")


def _points(**values: np.ndarray) -> Points:
    count = len(next(iter(values.values())))
    return Points(values, np.ones(count), tuple(np.ones((count, 1))))


def _cloud() -> Points:
    generator = np.random.default_rng(1)
    params = 10 ** generator.uniform(6, 9, 50)
    return _points(params=params, tokens=20 * params * 2 ** generator.normal(0, 1, 50))


def test_a_place_beyond_the_data_is_measured_in_log_units_and_in_ranges():
    on = _points(params=np.array([1e6, 1e8]), tokens=np.array([1e9, 1e10]))
    found = extrapolation(CHINCHILLA, on, {"params": 1e9, "tokens": 1e8}, tested=4.0)
    params, tokens = found.inputs
    assert params.distance == pytest.approx(np.log(10))
    assert params.share == pytest.approx(0.5)
    assert tokens.distance == pytest.approx(-np.log(10))
    assert tokens.share == pytest.approx(-1.0)
    assert found.factor == pytest.approx(0.1)
    assert [one.code for one in found.warnings] == ["beyond_range", "beyond_range", "off_the_line"]
    assert not found.inside


def test_compute_beyond_that_of_all_backtests_is_said_in_words():
    on = _cloud()
    top = int(np.argmax(on.values["params"] * on.values["tokens"]))
    place = {name: float(values[top]) for name, values in on.values.items()}
    place["params"] *= 12
    found = extrapolation(CHINCHILLA, on, place, tested=4.0)
    assert found.text == (
        "predicts 12 times beyond the largest params x tokens; backtests reached 4 times"
    )
    assert found.warnings[0].code == "beyond_backtests"
    assert extrapolation(CHINCHILLA, on, place, tested=20.0).warnings[0].code == "beyond_data"


def test_the_distance_is_that_of_mahalanobis():
    on = _cloud()
    logs = np.log(np.stack([on.values["params"], on.values["tokens"]]))
    inverse = np.linalg.inv(np.cov(logs))
    place = {"params": 3e7, "tokens": 4e9}
    found = extrapolation(CHINCHILLA, on, place)
    here = np.log([3e7, 4e9])
    expected = distance.mahalanobis(here, logs.mean(axis=1), inverse)
    assert found.mahalanobis == pytest.approx(expected, rel=1e-9)
    rows = [distance.mahalanobis(row, logs.mean(axis=1), inverse) for row in logs.T]
    assert found.farthest == pytest.approx(max(rows), rel=1e-9)


def test_a_combination_that_no_run_is_near_is_noticed_within_the_ranges():
    on = _cloud()
    place = {
        "params": float(on.values["params"].max()),
        "tokens": float(on.values["tokens"].min()),
    }
    found = extrapolation(CHINCHILLA, on, place)
    assert [one.code for one in found.warnings] == ["unusual_combination"]


def test_a_place_off_a_line_of_data_has_no_distance():
    params = np.array([1e6, 1e7, 1e8])
    on = _points(params=params, tokens=20 * params)
    found = extrapolation(CHINCHILLA, on, {"params": 1e7, "tokens": 3e8})
    assert found.mahalanobis is None
    assert [one.code for one in found.warnings] == ["off_the_line"]
    assert extrapolation(CHINCHILLA, on, {"params": 2e7, "tokens": 4e8}).inside


def test_places_of_the_data_lie_inside():
    on = _cloud()
    for row in range(len(on)):
        place = {name: float(values[row]) for name, values in on.values.items()}
        found = extrapolation(CHINCHILLA, on, place)
        assert found.inside
        assert found.text == "lies within the data"


def test_a_limit_such_as_memory_is_checked():
    on = _points(x=np.array([1e6, 1e9]))
    found = extrapolation(POWER, on, {"x": 8e8}, limits={"x": 5e8})
    assert [one.code for one in found.warnings] == ["above_limit"]
    assert "8e+08 is more than the 5e+08" in found.warnings[0].text


def test_one_input_beyond_the_data_is_said_once():
    on = _points(x=np.array([1.0, 2.0]))
    above = extrapolation(POWER, on, {"x": 8.0})
    assert above.text == (
        "predicts 4 times beyond the largest x; no backtest reached beyond its data"
    )
    assert len(above.warnings) == 1
    below = extrapolation(POWER, on, {"x": 0.5})
    assert "lies 2 times below the smallest value 1 (100% of the range" in below.text


def test_a_single_level_has_no_range():
    on = _points(params=np.array([1e6, 1e6]), tokens=np.array([1e9, 1e10]))
    found = extrapolation(CHINCHILLA, on, {"params": 2e6, "tokens": 1e9})
    assert found.inputs[0].share is None


def test_backtests_that_were_refused_reach_nowhere():
    refused = Backtest(1, 2, (), None, None, None, 50.0, "too few rows")
    assert reached([refused]) is None
    assert reached([]) is None


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_place_must_be_of_positive_numbers(value: float):
    with pytest.raises(InputError, match="x: expected a positive number"):
        extrapolation(POWER, _points(x=np.array([1.0, 2.0])), {"x": value})


def test_missing_inputs_and_unknown_limits_are_refused():
    on = _points(x=np.array([1.0, 2.0]))
    with pytest.raises(InputError, match="x: expected a positive number, got None"):
        extrapolation(POWER, on, {"y": 1.0})
    with pytest.raises(InputError, match="limits: expected inputs of x, got y"):
        extrapolation(POWER, on, {"x": 1.0}, limits={"y": 1.0})


def test_an_extrapolation_is_plain_data():
    document = as_document(extrapolation(CHINCHILLA, _cloud(), {"params": 1e12, "tokens": 1e9}))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
