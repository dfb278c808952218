"""Every law of the folder keeps the promises on which the engine stands."""

import importlib
import inspect
import re
from dataclasses import replace

import numpy as np
import pytest

from analysis.engine.compiled import gradient, predict, predict_many
from analysis.engine.objective import KINDS, Objective
from analysis.engine.refit import optimum, setup
from analysis.engine.surface import curvature, natural, one_problem, residuals, surface, value
from analysis.fit import fit
from analysis.law import FOLDER, Law, all_laws, find_law
from analysis.points import points
from analysis.runs import Runs
from tests.conformance.planted import planted
from trainers.schema import InputError

each_law = pytest.mark.parametrize("law", all_laws(), ids=lambda law: law.name)


def test_every_file_of_the_folder_is_a_law_of_its_name():
    files = {file.stem for file in FOLDER.glob("*.py")} - {"__init__"}
    assert {law.name for law in all_laws()} == files


@each_law
def test_a_law_is_found_by_its_name(law: Law):
    assert find_law(law.name) == law


@each_law
def test_a_law_says_what_it_is_and_where_it_comes_from(law: Law):
    named = re.search(r"arXiv:\d{4}\.\d{4,5}\b|doi:10\.\d{4,}/\S", law.source)
    assert named or "textbook" in law.source
    assert re.search(r"\b(19|20)\d\d\b", law.source), "the year"
    assert all(one.meaning for one in (*law.inputs, *law.coefficients))
    assert all(one.levels >= 1 for one in law.inputs)


@each_law
def test_the_file_of_a_law_has_a_few_sentences_that_speak_of_every_coefficient(law: Law):
    words = inspect.getdoc(importlib.import_module(f"analysis.laws.{law.name}")) or ""
    first, _, rest = words.partition("\n\n")
    assert first.endswith(".")
    assert "\n" not in first
    assert len(re.findall(r"[.:]\s", rest + " ")) >= 2
    for one in law.coefficients:
        stem = re.sub(r"_[0-9]$", "_i", one.name)  # one of many: c_2, c_3, ...
        named = rf"(?<!\w)({re.escape(one.name)}|{re.escape(stem)})(?!\w)"
        assert re.search(named, rest), one.name


@each_law
def test_a_law_predicts_finite_values(law: Law):
    made = planted(law)
    target = made.runs.table[law.target].to_numpy(dtype=float)
    assert np.isfinite(target).all()
    assert np.ptp(target) > 0


@each_law
def test_the_gradient_equals_finite_differences(law: Law):
    made = planted(law, 12)
    exact = gradient(law, made.coefficients, made.values)
    for column, one in enumerate(law.coefficients):
        step = 1e-6 * max(abs(made.coefficients[one.name]), 1e-6)
        up, down = (
            predict(
                law,
                {**made.coefficients, one.name: made.coefficients[one.name] + sign * step},
                made.values,
            )
            for sign in (1, -1)
        )
        scale = np.abs(exact[:, column]).max()
        np.testing.assert_allclose(
            exact[:, column], (up - down) / (2 * step), rtol=1e-5, atol=1e-5 * scale
        )


def _objectives(law: Law) -> list[Objective]:
    if law.objective.kind == "binomial":
        return [law.objective]
    return [
        replace(law.objective, kind=kind, delta=delta)
        for kind in KINDS
        if kind != "binomial"
        for delta in ((1e-3, 0.1) if kind == "huber" else (0.1,))
    ]


@each_law
def test_the_derivatives_of_every_objective_equal_finite_differences(law: Law):
    made = planted(law, 30)
    signed = law.objective.residual == "plain" or law.objective.kind == "binomial"
    noise = np.exp(np.random.default_rng(1).normal(0, 0.1, 30))
    table = made.runs.table.assign(**{law.target: made.runs.table[law.target] * noise})
    if law.objective.kind == "binomial":
        table[law.target] = table[law.target].clip(upper=0.999)
    on = points(law, Runs(table), made.inputs, law.target, "none", made.columns, signed)
    for objective in _objectives(law):
        # A kink has no derivative: with rounded corners alone do differences tell something.
        here = surface(law, on, objective).under(objective)
        problem, size = one_problem(here), len(here.low)
        vector = np.array([[made.coefficients[one.name] for one in law.coefficients]])
        point = here.compiled.internal(vector, here.centre)
        if objective.fits_scale:
            point = np.append(point, [[np.log(0.3 * np.abs(here.target).std())]], axis=1)
        exact = curvature(here, problem, point)
        assert exact.value == pytest.approx(value(here, problem, point), rel=1e-12)
        for column in range(size):
            step = 1e-6 * max(1.0, abs(point[0, column]))
            moved = [point + sign * step * np.eye(size)[column] for sign in (1, -1)]
            up, down = (value(here, problem, one)[0] for one in moved)
            slope = (up - down) / (2 * step)
            close = 1e-4 * np.abs(exact.gradient).max() + 1e-8
            assert exact.gradient[0, column] == pytest.approx(slope, rel=1e-3, abs=close)
            bent = [curvature(here, problem, one).gradient[0] for one in moved]
            numeric = (bent[0] - bent[1]) / (2 * step)
            close = 1e-3 * np.abs(exact.hessian[0]).max() + 1e-6
            np.testing.assert_allclose(exact.hessian[0, column], numeric, rtol=1e-2, atol=close)


@each_law
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_every_law_is_recovered_from_its_own_runs(law: Law, seed: int):
    made = planted(law, 60, seed)
    found = fit(law, made.runs, made.inputs, law.target, columns=made.columns, bootstrap=0)
    target = made.runs.table[law.target].to_numpy(dtype=float)
    fitted = predict_many(law, found.vector, made.values)[0]
    np.testing.assert_allclose(fitted, target, rtol=1e-9, atol=1e-9 * np.abs(target).max())
    for one in law.coefficients:
        assert found.coefficient(one.name).value == pytest.approx(
            made.coefficients[one.name], rel=1e-8, abs=1e-10
        ), one.name


@each_law
def test_every_law_refuses_fewer_rows_than_coefficients(law: Law):
    count = len(law.coefficients) - 1
    if count == 0:
        return
    made = planted(law, count)
    with pytest.raises(InputError, match=f"expected at least {count + 1} rows"):
        fit(law, made.runs, made.inputs, law.target, columns=made.columns, bootstrap=0)


@each_law
def test_every_law_refuses_too_few_levels_of_an_input(law: Law):
    for one in law.inputs:
        if one.levels < 2:
            continue
        made = planted(law, 30)
        few = np.tile(np.linspace(0.1, 0.9, one.levels - 1), 30)[:30]
        runs = Runs(made.runs.table.assign(**{one.name: few}))
        with pytest.raises(InputError, match=f"levels of {one.name}"):
            fit(law, runs, made.inputs, law.target, columns=made.columns, bootstrap=0)


@each_law
def test_the_engines_variables_turn_back_into_the_coefficients_of_the_formula(law: Law):
    made = planted(law, 20)
    signed = law.objective.residual == "plain" or law.objective.kind == "binomial"
    on = points(law, made.runs, made.inputs, law.target, "none", made.columns, signed)
    here = setup(law, on).surface
    vector = np.array([[made.coefficients[one.name] for one in law.coefficients]])
    inside = here.compiled.internal(vector, here.centre)
    np.testing.assert_allclose(natural(here, inside), vector, rtol=1e-9)
    if law.objective.kind != "binomial":
        off = residuals(here, here.target[None], inside)[0]
        np.testing.assert_allclose(off, 0, atol=1e-9 * max(1.0, np.abs(here.target).max()))


@each_law
def test_two_searches_of_a_law_agree_on_its_own_noisy_runs(law: Law):
    if law.objective.kind == "binomial":
        return
    made = planted(law, 60, seed=5, noise=0.01)
    signed = law.objective.residual == "plain"
    on = points(law, made.runs, made.inputs, law.target, "none", made.columns, signed)
    assert optimum(setup(law, on)).agreed


def test_a_formula_that_cannot_be_read_is_refused_in_one_line():
    from analysis.engine.formula import parse

    for text, words in (
        ("E + b / x", "expected `target = expression`"),
        ("loss = __import__('os')", "expected names, numbers"),
        ("loss = E + b / x.y", "expected names, numbers"),
        ("loss = open(1)", "expected names, numbers"),
        ("loss = exp(1, 2)", "argument"),
        ("loss = " + "(" * 300 + "x" + ")" * 300, "expected"),
        ("2 = x", "on the left"),
        ("loss = loss + 1", "left side only"),
        ("loss = 1e999 * x", "finite"),
    ):
        with pytest.raises(InputError, match=words) as refused:
            parse(text)
        assert "\n" not in str(refused.value)


def test_a_tower_of_powers_does_not_fill_the_memory():
    law = find_law("power")
    for power in ("9^9^9^9", "(-8)^0.5", "0^(-1)"):
        tower = replace(law, formula=f"loss = b * ({power}) / x^c")
        with pytest.raises(InputError, match="expected finite numbers"):
            predict(tower, {"b": 1.0, "c": 1.0}, {"x": np.array([2.0])})


def test_a_tied_and_a_fixed_law_have_fewer_coefficients():
    law = find_law("chinchilla")
    tied = law.tied({"beta": "alpha"})
    assert [one.name for one in tied.coefficients] == ["E", "A", "B", "alpha"]
    fixed = tied.fixed({"E": 1.5})
    values = {"params": np.array([1e6, 1e7]), "tokens": np.array([1e8, 1e9])}
    small = predict(fixed, {"A": 100.0, "B": 200.0, "alpha": 0.3}, values)
    whole = {"E": 1.5, "A": 100.0, "B": 200.0, "alpha": 0.3, "beta": 0.3}
    np.testing.assert_allclose(small, predict(law, whole, values), rtol=1e-14)
    with pytest.raises(InputError, match="expected a coefficient"):
        law.fixed({"gamma": 1.0})
    with pytest.raises(InputError, match="cannot tie"):
        law.tied({"beta": "beta"})
