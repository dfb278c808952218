"""Every law of the folder keeps the promises on which the engine stands."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.fit import fit
from analysis.law import FOLDER, Law, all_laws, gradient, predict
from analysis.objective import Targets, curvature, natural, predicted, surface, value
from analysis.runs import Runs
from trainers.schema import InputError

each_law = pytest.mark.parametrize("law", all_laws(), ids=lambda law: law.name)


def _coefficients(law: Law) -> dict[str, float]:
    exponents = {one.name for one in law.exponents}
    return {
        one.name: 0.3 + 0.1 * place if one.name in exponents else 1.5 + place
        for place, one in enumerate(law.coefficients)
    }


def _values(law: Law, count: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {name: 10 ** generator.uniform(0.5, 3, count) for name in law.input_names}


def test_every_file_of_the_folder_is_a_law_of_its_name():
    files = {file.stem for file in FOLDER.glob("*.py")} - {"__init__"}
    assert {law.name for law in all_laws()} == files


@each_law
def test_a_law_says_what_it_is_and_where_it_comes_from(law: Law):
    assert law.formula
    assert "arXiv:" in law.source or "doi:" in law.source
    assert all(one.meaning for one in (*law.inputs, *law.coefficients))
    assert all(one.levels >= 1 for one in law.inputs)


@each_law
def test_the_starts_of_an_exponent_lie_within_its_bounds(law: Law):
    for one in law.exponents:
        assert one.low <= min(one.starts)
        assert max(one.starts) <= one.high


@each_law
def test_a_law_predicts_positive_finite_losses(law: Law):
    losses = predict(law, _coefficients(law), _values(law, 40))
    assert losses.shape == (40,)
    assert np.isfinite(losses).all()
    assert (losses > 0).all()


@each_law
def test_the_gradient_equals_finite_differences(law: Law):
    coefficients, values = _coefficients(law), _values(law, 12)
    exact = gradient(law, coefficients, values)
    for column, one in enumerate(law.coefficients):
        step = 1e-6 * coefficients[one.name]
        up, down = (
            predict(law, {**coefficients, one.name: coefficients[one.name] + sign * step}, values)
            for sign in (1, -1)
        )
        np.testing.assert_allclose(exact[:, column], (up - down) / (2 * step), rtol=1e-6, atol=1e-9)


@each_law
@pytest.mark.parametrize("delta", [1e-3, 0.1, 10.0])
def test_the_derivatives_of_the_objective_equal_finite_differences(law: Law, delta: float):
    values = _values(law, 30)
    logs = np.log(np.stack([values[name] for name in law.input_names]))
    losses = predict(law, _coefficients(law), values)
    noise = np.random.default_rng(1).normal(0, 0.2, 30)
    here = surface(law, logs, np.log(losses) + noise)
    targets = Targets((np.log(losses) + noise - here.log_scale)[None], np.ones((1, 30)))
    exponents = {one.name for one in law.exponents}
    point = np.array([[0.4 if one.name in exponents else 0.5 for one in law.coefficients]])
    exact = curvature(here, targets, point, delta)
    assert exact.value == pytest.approx(value(here, targets, point, delta))
    size, step = len(law.coefficients), 1e-6
    for column in range(size):
        moved = [point + sign * step * np.eye(size)[column] for sign in (1, -1)]
        up, down = (value(here, targets, one, delta)[0] for one in moved)
        slope = (up - down) / (2 * step)
        assert exact.gradient[0, column] == pytest.approx(slope, rel=1e-4, abs=1e-8)
        bent = [curvature(here, targets, one, delta).gradient[0] for one in moved]
        numeric = (bent[0] - bent[1]) / (2 * step)
        np.testing.assert_allclose(exact.hessian[0, column], numeric, rtol=1e-3, atol=1e-6)


@each_law
def test_every_law_refuses_fewer_rows_than_coefficients(law: Law):
    count = len(law.coefficients) - 1
    table = pd.DataFrame(_values(law, count))
    table["loss"] = np.linspace(2, 3, count)
    inputs = {name: name for name in law.input_names}
    with pytest.raises(InputError, match=f"expected at least {count + 1} rows"):
        fit(law, Runs(table), inputs, "loss", bootstrap=0)


@each_law
def test_every_law_refuses_too_few_levels_of_an_input(law: Law):
    for one in law.inputs:
        if one.levels < 2:
            continue
        values = _values(law, 30)
        values[one.name] = np.tile(np.arange(1.0, one.levels), 30)[:30]
        table = pd.DataFrame({**values, "loss": np.linspace(2, 3, 30)})
        inputs = {name: name for name in law.input_names}
        with pytest.raises(InputError, match=f"levels of {one.name}"):
            fit(law, Runs(table), inputs, "loss", bootstrap=0)


@each_law
def test_centred_coefficients_turn_back_into_those_of_the_formula(law: Law):
    values = _values(law, 20)
    logs = np.log(np.stack([values[name] for name in law.input_names]))
    here = surface(law, logs, np.full(20, math.log(7.0)))
    point = np.full((1, len(law.coefficients)), 0.5)
    named = dict(zip([one.name for one in law.coefficients], natural(here, point)[0], strict=True))
    np.testing.assert_allclose(
        predict(law, named, values), 7.0 * predicted(here, point)[0], rtol=1e-12
    )
