"""Influence: fits without single rows, whole runs and groups, against closed forms."""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.engine.objective import Objective
from analysis.fit import Fit, fit
from analysis.judgement.influence import as_document, influence
from analysis.law import find_law
from analysis.points import Columns
from analysis.runs import Runs
from trainers.schema import InputError

TABLE = Path(__file__).parents[1] / "data" / "chinchilla_epoch_245.csv"
POWER, FLOOR = find_law("power"), find_law("power_floor")
SQUARES = Objective(kind="squares")


def _fit(x: np.ndarray, loss: np.ndarray, **others: np.ndarray) -> Fit:
    runs = Runs(pd.DataFrame({"x": x, "loss": loss, **others}))
    columns = Columns(cluster="run") if "run" in others else Columns()
    return fit(
        POWER, runs, {"x": "x"}, "loss", objective=SQUARES, bootstrap=0, columns=columns
    )  # fmt: skip


def _line(seed: int, count: int = 20) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = np.exp(generator.uniform(0, 6, count))
    return x, 3 * x**-0.5 * np.exp(generator.normal(0, 0.1, count))


def _slope(x: np.ndarray, loss: np.ndarray, kept: np.ndarray) -> float:
    return -float(np.polyfit(np.log(x[kept]), np.log(loss[kept]), 1)[0])


def test_without_each_row_the_exponent_is_that_of_least_squares_without_it():
    x, loss = _line(1)
    found = influence(_fit(x, loss))
    assert [one.rows for one in found.cases] == [(row,) for row in range(20)]
    for one in found.cases:
        expected = _slope(x, loss, np.arange(20) != one.rows[0])
        assert dict(one.coefficients)["c"] == pytest.approx(expected, abs=1e-9)


def test_distances_are_those_of_cook():
    # r^2 h / (p s^2 (1 - h)^2) for a straight line.
    x, loss = _line(2)
    found = influence(_fit(x, loss))
    design = np.stack([np.ones(20), np.log(x)], axis=1)
    hat = design @ np.linalg.inv(design.T @ design) @ design.T
    left = np.log(loss) - hat @ np.log(loss)
    lever = np.diag(hat)
    variance = (left**2).sum() / 18
    expected = left**2 * lever / (2 * variance * (1 - lever) ** 2)
    np.testing.assert_allclose([one.distance for one in found.cases], expected, rtol=1e-6)


def test_changes_are_in_standard_errors_of_the_jackknife():
    x, loss = _line(3)
    found = influence(_fit(x, loss))
    slopes = np.array([_slope(x, loss, np.arange(20) != row) for row in range(20)])
    error = np.sqrt(19 / 20 * ((slopes - slopes.mean()) ** 2).sum())
    assert dict(found.standard_errors)["c"] == pytest.approx(error, rel=1e-6)
    whole = _slope(x, loss, np.ones(20, dtype=bool))
    for one, slope in zip(found.cases, slopes, strict=True):
        assert dict(one.change)["c"] == pytest.approx((slope - whole) / error, abs=1e-6)


def test_the_prediction_changes_at_the_largest_scale():
    x, loss = _line(4)
    found = influence(_fit(x, loss))
    for one in found.cases[:3]:
        kept = np.arange(20) != one.rows[0]
        ends = [
            np.polyval(np.polyfit(np.log(x[rows]), np.log(loss[rows]), 1), np.log(x.max()))
            for rows in (kept, np.ones(20, dtype=bool))
        ]
        assert one.prediction == pytest.approx(ends[0] - ends[1], abs=1e-9)


def test_whole_runs_are_left_out_together():
    x, loss = _line(5)
    run = np.repeat(np.arange(5), 4)
    found = influence(_fit(x, loss, run=run))
    assert [one.rows for one in found.cases] == [tuple(range(at, at + 4)) for at in range(0, 20, 4)]
    for number, one in enumerate(found.cases):
        expected = _slope(x, loss, run != number)
        assert dict(one.coefficients)["c"] == pytest.approx(expected, abs=1e-9)


def test_the_five_rows_of_high_loss_that_bend_the_published_table_are_found_as_a_group():
    table = pd.read_csv(TABLE)
    inputs = {"params": "params", "tokens": "tokens"}
    fitted = fit(find_law("chinchilla"), Runs(table), inputs, "loss", bootstrap=0)
    assert fitted.coefficient("beta").value == pytest.approx(0.453049, abs=1e-6)
    found = influence(fitted, names=[f"row {row + 2}" for row in range(245)])
    largest = tuple(sorted(np.argsort(-table.loss.to_numpy())[:5]))
    group = next(one for one in found.groups if one.rows == largest)
    assert group.why == "with the largest loss"
    assert dict(group.coefficients)["beta"] == pytest.approx(0.367172, abs=1e-6)
    assert dict(group.coefficients)["alpha"] == pytest.approx(0.347310, abs=1e-6)
    warning = next(one for one in found.warnings if one.code == "outlying_group")
    assert "without the 5 rows with the largest loss" in warning.text
    assert "beta is 0.367 instead of 0.453" in warning.text
    # no single row does half of that
    assert max(abs(0.453049 - dict(one.coefficients)["beta"]) for one in found.cases) < 0.043


def test_outliers_that_hide_each_other_are_found_together():
    x = np.tile(2.0 ** np.arange(10), 4)
    loss = 3 * x**-0.5 * np.exp(np.random.default_rng(6).normal(0, 0.01, 40))
    planted = np.flatnonzero(x == x.max())
    loss[planted] *= 2.0
    runs = Runs(pd.DataFrame({"x": x, "loss": loss}))
    fitted = fit(POWER, runs, {"x": "x"}, "loss", bootstrap=0)
    found = influence(fitted)
    group = next(one for one in found.groups if one.rows == tuple(planted))
    assert "with the largest x" in group.why
    assert dict(group.coefficients)["c"] == pytest.approx(0.5, abs=0.01)


def test_the_set_that_moves_an_exponent_most_is_that_of_a_search_over_all_pairs():
    for seed in range(8):
        x, loss = _line(seed)
        found = influence(_fit(x, loss))
        group = next(one for one in found.groups if one.why == "chosen to move c most")
        whole = _slope(x, loss, np.ones(20, dtype=bool))
        moves = {
            pair: abs(_slope(x, loss, ~np.isin(np.arange(20), pair)) - whole)
            for pair in itertools.combinations(range(20), 2)
        }
        assert group.rows == max(moves, key=lambda pair: moves[pair])


def test_a_row_without_which_nothing_is_determined_is_named():
    x = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 4.0])
    loss = (1 + 1 / x) * np.exp(np.random.default_rng(7).normal(0, 0.01, 7))
    runs = Runs(pd.DataFrame({"x": x, "loss": loss}))
    found = influence(fit(FLOOR, runs, {"x": "x"}, "loss", bootstrap=0))
    assert [one.rows for one in found.cases] == [(row,) for row in range(6)]
    (warning,) = (one for one in found.warnings if one.code == "irreplaceable")
    assert "x 4, loss" in warning.text


def test_clean_runs_have_no_outliers_and_no_warnings():
    x = np.tile(2.0 ** np.arange(10), 6)
    loss = 3 * x**-0.5 * np.exp(np.random.default_rng(8).normal(0, 0.05, 60))
    found = influence(_fit(x, loss))
    assert not found.warnings
    assert [one.why for one in found.groups] == ["chosen to move c most"]


def test_runs_without_noise_are_moved_by_nothing():
    x = 2.0 ** np.arange(10)
    found = influence(_fit(x, 3 * x**-0.5))
    assert not found.warnings
    assert all(abs(dict(one.coefficients)["c"] - 0.5) < 1e-9 for one in found.cases)


def test_the_movers_are_in_order():
    found = influence(_fit(*_line(9)))
    moves = [abs(dict(one.change)["c"]) for one in found.movers("c", 20)]
    assert moves == sorted(moves, reverse=True)
    assert found.movers("c", 1)[0].rows == found.movers("c", 20)[0].rows


def test_what_cannot_be_studied_is_refused():
    fitted = _fit(np.array([1.0, 2.0]), np.array([2.0, 1.0]))
    with pytest.raises(InputError, match="expected more than 2 rows for 2 coefficients, got 2"):
        influence(fitted)
    with pytest.raises(InputError, match="names: expected one for each of 20 rows, got 1"):
        influence(_fit(*_line(1)), names=["one"])


def test_an_influence_study_is_plain_data():
    document = as_document(influence(_fit(*_line(1))))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
