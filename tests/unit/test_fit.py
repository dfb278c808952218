"""Fits: what they refuse, what they warn of, and where their intervals come from."""

import numpy as np
import pandas as pd
import pytest

from analysis.engine.objective import Objective
from analysis.fit import as_document, band, fit, predict_fit
from analysis.law import find_law
from analysis.points import Columns, points
from analysis.runs import Runs
from trainers.schema import InputError

POWER, FLOOR, CHINCHILLA = (find_law(name) for name in ("power", "power_floor", "chinchilla"))
X = {"x": "x"}


def _runs(**columns: np.ndarray) -> Runs:
    return Runs(pd.DataFrame(columns))


def _replicated(scale: float = 0.3, seeds: int = 20) -> Runs:
    generator = np.random.default_rng(3)
    x = np.repeat(2.0 ** np.arange(2, 9), seeds)
    return _runs(x=x, loss=5 * x**-1.5 * np.exp(generator.normal(0, scale, len(x))))


def _codes(found: object) -> set[str]:
    return {one.code for one in found.warnings}  # type: ignore[attr-defined]


def test_a_pooled_fit_is_of_the_median_of_each_cell():
    x = np.repeat([2.0, 4.0, 8.0, 16.0], 5)
    loss = np.repeat([8.0, 4.0, 2.0, 1.0], 5)
    loss[::5] = 1e6  # one wild seed in each cell
    found = fit(POWER, _runs(x=x, loss=loss), X, "loss", pool="median", bootstrap=0)
    assert found.rows == 4
    assert found.coefficient("c").value == pytest.approx(1.0, abs=1e-9)
    assert found.coefficient("b").value == pytest.approx(16.0, rel=1e-9)


def test_replicates_are_drawn_within_their_cells():
    found = fit(POWER, _replicated(), X, "loss", pool="median", bootstrap=400)
    assert found.drawn == "the replicates within each cell"
    one = found.coefficient("c")
    assert one.low is not None
    assert one.high is not None
    assert one.low < 1.5 < one.high
    # The median of n normals has a standard error of about 1.25 sd / sqrt(n); see David 1970.
    logs = np.log(2.0 ** np.arange(2, 9))
    expected = 1.25 * 0.3 / np.sqrt(20) / np.sqrt(((logs - logs.mean()) ** 2).sum())
    assert 0.5 * expected < (one.standard_error or 0) < 2 * expected


def test_clusters_are_drawn_whole():
    generator = np.random.default_rng(0)
    x = np.tile(2.0 ** np.arange(1, 9), 12)
    cluster = np.repeat(np.arange(12), 8)
    shared = generator.normal(0, 0.3, 12)[cluster]
    runs = _runs(x=x, loss=3 * x**-0.5 * np.exp(shared), run=cluster)
    rows = fit(POWER, runs, X, "loss", bootstrap=300)
    whole = fit(POWER, runs, X, "loss", bootstrap=300, columns=Columns(cluster="run"))
    assert whole.drawn == "whole clusters"
    # Points of a run share their error, so drawing rows claims to know the level too well.
    assert (whole.coefficient("b").standard_error or 0) > 1.5 * (
        rows.coefficient("b").standard_error or 0
    )


def test_a_floor_that_the_data_push_below_zero_sits_on_its_bound():
    x = 2.0 ** np.arange(1, 12)
    found = fit(
        FLOOR,
        _runs(x=x, loss=5 * x**-0.5 - 0.02),
        X,
        "loss",
        objective=Objective(delta=0.1),
        bootstrap=0,
    )
    assert found.status == "at a bound"
    assert found.coefficient("E").value == 0.0
    assert "at_bound" in _codes(found)


def test_inputs_that_rise_together_are_not_identified():
    params = 10.0 ** np.linspace(6, 9, 20)
    runs = _runs(params=params, tokens=20 * params, loss=1.7 + 400 * params**-0.34)
    found = fit(CHINCHILLA, runs, {"params": "params", "tokens": "tokens"}, "loss", bootstrap=0)
    assert found.status == "not identified"
    assert "collinear" in _codes(found)


def test_an_exponent_that_noise_hides_is_not_identified():
    generator = np.random.default_rng(5)
    x = np.linspace(100, 130, 12)
    runs = _runs(x=x, loss=2 + generator.normal(0, 0.05, 12))
    found = fit(FLOOR, runs, X, "loss", bootstrap=200)
    assert found.status in ("not identified", "at a bound")
    assert "short_range" in _codes(found)


def test_a_fit_through_every_point_says_that_nothing_tests_it():
    found = fit(POWER, _runs(x=np.array([2.0, 40.0]), loss=np.array([3.0, 1.0])), X, "loss")
    assert {"no_spare_rows", "few_levels", "no_interval"} <= _codes(found)
    assert found.coefficient("c").low is None
    assert as_document(found)["coefficients"]["c"]["standard_error"] is None


def test_cells_with_one_replicate_are_resampled_as_cells():
    x = 2.0 ** np.arange(1, 13)
    noise = np.random.default_rng(0).normal(0, 0.1, 12)
    found = fit(POWER, _runs(x=x, loss=3 / x * np.exp(noise)), X, "loss", pool="median")
    assert found.drawn == "cells"
    assert "few_replicates" in _codes(found)


def test_the_band_holds_the_fitted_curve():
    found = fit(POWER, _replicated(), X, "loss", pool="median", bootstrap=200)
    grid = {"x": np.geomspace(4, 256, 9)}
    spread = band(found, grid)
    assert spread is not None
    assert (spread[0] < predict_fit(found, grid)).all()
    assert (predict_fit(found, grid) < spread[1]).all()


def test_levels_that_differ_by_rounding_are_one_cell():
    runs = _runs(x=np.array([0.1 + 0.2, 0.3, 0.6]), loss=np.array([1.0, 3.0, 2.0]))
    assert len(points(POWER, runs, X, "loss", "median")) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"objective": Objective(delta=0.0)}, "delta"),
        ({"objective": Objective(delta=float("nan"))}, "delta"),
        ({"bootstrap": -1}, "bootstrap"),
        ({"bootstrap": 1}, "bootstrap"),
        ({"columns": Columns(cluster="none")}, "column of clusters"),
        ({"columns": Columns(censored="x")}, "expected 0 or 1"),
        ({"objective": Objective(kind="binomial")}, "counts"),
        ({"pool": "mean", "columns": Columns(noise="x")}, "not pooled"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(options: dict[str, object], words: str):
    with pytest.raises(InputError, match=words):
        fit(POWER, _replicated(), X, "loss", **options)  # type: ignore[arg-type]


def test_inputs_of_another_law_are_refused():
    with pytest.raises(InputError, match="expected the inputs params, tokens, got x"):
        fit(CHINCHILLA, _replicated(), X, "loss")


def test_scaling_the_units_scales_the_amplitudes_and_nothing_else():
    runs = _replicated()
    scaled = _runs(x=runs.numbers("x") * 1e6, loss=runs.numbers("loss") * 1e-3)
    first = fit(FLOOR, runs, X, "loss", bootstrap=0)
    second = fit(FLOOR, scaled, X, "loss", bootstrap=0)
    assert second.objective == pytest.approx(first.objective, rel=1e-9)
    assert second.coefficient("c").value == pytest.approx(first.coefficient("c").value, rel=1e-6)


def test_a_law_of_the_wrong_form_is_told_from_noise_by_the_replicates():
    generator = np.random.default_rng(4)
    x = np.repeat(2.0 ** np.arange(2, 9), 20)
    noise = np.exp(generator.normal(0, 0.05, len(x)))
    bent = _runs(x=x, loss=(0.2 + 5 / x) * noise)
    straight = _runs(x=x, loss=5 / x * noise)
    options = {"pool": "median", "bootstrap": 200}
    assert "lack_of_fit" in _codes(fit(POWER, bent, X, "loss", **options))  # type: ignore[arg-type]
    assert "lack_of_fit" not in _codes(fit(POWER, straight, X, "loss", **options))  # type: ignore[arg-type]
