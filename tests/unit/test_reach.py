"""Reach: against inverses of laws in closed form, and shares of resamples against their own limits."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from analysis.allocation.reach import BACK, as_document, reach
from analysis.engine.compiled import predict, predict_many
from analysis.engine.objective import Objective
from analysis.fit import Fit, fit
from analysis.law import find_law
from analysis.reporting.decision_sections import reach_section
from analysis.runs import Runs
from tests.curves import at
from trainers.schema import InputError

FLOOR, POWER = find_law("power_floor"), find_law("power")
X = np.repeat(2.0 ** np.arange(4, 14), 3)


def _fitted(name: str, x: np.ndarray, measured: np.ndarray, bootstrap: int = 0) -> Fit:
    table = pd.DataFrame({"x": x, "loss": measured})
    squares = Objective(kind="squares")
    return fit(
        find_law(name), Runs(table), {"x": "x"}, "loss", objective=squares, bootstrap=bootstrap
    )


def _curve(floor: float = 1.7, noise: float = 0.01, seed: int = 0, bootstrap: int = 400) -> Fit:
    generator = np.random.default_rng(seed)
    loss = (floor + 8 / X**0.4) * np.exp(generator.normal(0, noise, len(X)))
    return _fitted("power_floor", X, loss, bootstrap)


@settings(max_examples=15)
@given(b=st.floats(0.5, 50), c=st.floats(0.15, 1.2), far=st.floats(1.5, 1e6))
def test_a_power_law_reaches_a_loss_where_its_inverse_says(b: float, c: float, far: float):
    target = b * (far * X.max()) ** -c
    found = reach(_fitted("power", X, b * X**-c), target)
    assert found.scale is not None
    assert found.scale.value == pytest.approx((b / target) ** (1 / c), rel=1e-6)
    assert found.limit == 0.0  # a power law without a floor comes to nothing at all


def test_the_scale_of_a_target_is_the_inverse_of_the_law_and_its_interval_that_of_the_draws():
    fitted = _curve()
    plain = replace(fitted, reading=replace(fitted.reading, corrected=False, degrees=None))
    floor, b, c = (fitted.coefficient(name).value for name in ("E", "b", "c"))
    found = reach(plain, 1.85)
    assert found.scale is not None
    assert found.scale.value == pytest.approx((b / (1.85 - floor)) ** (1 / c), rel=1e-9)
    assert found.limit == pytest.approx(floor, rel=1e-12)
    floors, bs, cs = (fitted.draws[:, FLOOR.place[name]] for name in ("E", "b", "c"))
    logs = np.log(bs / (1.85 - floors)) / cs
    expected = np.exp(np.percentile(logs, [2.5, 97.5]))
    assert (found.scale.low, found.scale.high) == pytest.approx(tuple(expected), rel=1e-9)
    json.dumps(as_document(found), allow_nan=False)
    assert reach_section("r", fitted, found).picture is not None


@pytest.mark.parametrize(
    ("name", "coefficients", "target"),
    [
        ("shifted", {"E": 1.2, "b": 12.0, "s": 40.0, "c": 0.5}, 1.21),
        ("logarithmic", {"a": 5.0, "b": -0.3}, 1.0),
        ("broken:1", {"E": 0.9, "b": 9.0, "c0": 0.2, "c1": 0.5, "d1": 300.0, "f1": 0.3}, 0.95),
    ],
)
def test_laws_without_an_inverse_in_closed_form_are_met_where_scipy_finds_their_root(
    name: str, coefficients: dict[str, float], target: float
):
    law = find_law(name)
    assert set(coefficients) == set(law.place)
    fitted = _fitted(name, X, at(name, coefficients, X))
    values = {one.name: one.value for one in fitted.coefficients}

    def short(log: float) -> float:
        return float(predict(law, values, {"x": np.exp([log])})[0]) - target

    root = optimize.brentq(short, 0.0, math.log(X.max() * 1e9), xtol=1e-13)
    found = reach(fitted, target)
    assert found.scale is not None
    assert math.log(found.scale.value) == pytest.approx(root, abs=1e-9)


def test_a_target_below_the_floor_is_unreachable_in_as_many_draws_as_have_a_higher_floor():
    fitted = _curve(noise=0.02)
    floors = fitted.draws[:, FLOOR.place["E"]]
    for share in (70, 40):
        target = float(np.percentile(floors, share))
        found = reach(fitted, target)
        assert found.unreachable is not None
        assert found.unreachable == float((floors >= target).mean())
        assert found.not_within is not None
        assert found.not_within >= found.unreachable
        assert f"never reached in {found.unreachable:.0%} of the resamples" in found.text
        if found.scale is not None:
            assert found.scale.high is None  # a resample that never comes there is beyond every end
            assert "target_may_be_unreachable" in {one.code for one in found.warnings}


def test_a_target_that_no_scale_reaches_is_refused_in_words():
    found = reach(_curve(noise=0.02), 1.0)
    assert found.scale is None
    assert found.unreachable == 1.0
    assert "target_beyond_limit" in {one.code for one in found.warnings}
    assert "not reached" in found.text
    assert reach_section("r", _curve(noise=0.02), found).picture is None


def test_a_target_that_the_smallest_run_has_met_is_said_to_be_met():
    fitted = _curve()
    found = reach(fitted, 3.0)  # the smallest runs have a loss of 4.3, the largest of 1.9
    assert not {one.code for one in found.warnings} & {"target_met", "beyond_backtests"}
    high = reach(fitted, 9.5)
    assert high.scale is not None
    assert high.scale.value < X.min()
    assert "target_met" in {one.code for one in high.warnings}
    always = reach(fitted, 1e9)
    assert always.scale is not None
    assert always.scale.value == pytest.approx(X.min() / BACK)
    assert always.scale.low is None
    assert always.text.startswith("loss 1.0e9 is met at every x of the runs")


@pytest.mark.slow  # half a minute
def test_the_interval_of_the_scale_covers_the_truth():
    truth, inside = (8 / 0.15) ** (1 / 0.4), 0
    for seed in range(100):
        found = reach(_curve(seed=seed, noise=0.003, bootstrap=200), 1.85)
        assert found.scale is not None
        low, high = found.scale.low, found.scale.high
        inside += (low or 0.0) < truth < (math.inf if high is None else high)
    # 95 % of 100: below 89 or above 99 would happen in 1 of 100 such tests.
    assert 89 <= inside <= 99


def test_a_law_that_rises_is_reached_from_below():
    x = np.geomspace(10, 1e5, 30)
    law = find_law("exponential")
    generator = np.random.default_rng(0)
    accuracy = 0.9 - 0.7 * np.exp(-((x / 500) ** 0.5)) + generator.normal(0, 1e-4, 30)
    wide = (replace(one, low=-10.0) if one.starts is None else one for one in law.coefficients)
    free = replace(law, coefficients=tuple(wide))
    table = pd.DataFrame({"x": x, "accuracy": accuracy})
    found = fit(free, Runs(table), {"x": "x"}, "accuracy", bootstrap=50)
    made = reach(found, 0.8)
    assert made.scale is not None
    assert float(predict_many(free, found.vector, {"x": np.array([made.scale.value])})[0, 0]) == (
        pytest.approx(0.8, rel=1e-9)
    )


def test_a_law_of_two_inputs_or_a_target_that_is_no_number_is_refused():
    generator = np.random.default_rng(0)
    params, tokens = np.exp(generator.uniform(16, 22, (2, 40)))
    loss = 1.8 + 400 / params**0.35 + 900 / tokens**0.35
    table = pd.DataFrame({"params": params, "tokens": tokens, "loss": loss})
    inputs = {"params": "params", "tokens": "tokens"}
    surface = fit(find_law("chinchilla"), Runs(table), inputs, "loss", bootstrap=0)
    with pytest.raises(InputError, match="expected a law of one positive input"):
        reach(surface, 2.0)
    with pytest.raises(InputError, match="target: expected a number"):
        reach(_curve(bootstrap=0), math.nan)


def test_without_resamples_there_is_a_scale_and_no_interval():
    found = reach(_curve(bootstrap=0), 1.85)
    assert found.scale is not None
    assert (found.scale.low, found.scale.high, found.unreachable) == (None, None, None)
    assert "no_interval" in {one.code for one in found.warnings}
