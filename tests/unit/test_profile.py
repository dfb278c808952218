"""Profiles: against closed forms, another optimizer, and a published flat one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import minimize

from analysis.engine.objective import Objective
from analysis.fit import Fit, fit
from analysis.law import Coefficient, Input, Law, find_law
from analysis.points import Columns
from analysis.runs import Runs
from analysis.uncertainty.profile import profile
from trainers.schema import InputError

LINE = Law(
    name="line",
    formula="y = a + b * x",
    source="",
    inputs=(Input("x", "", positive=False),),
    coefficients=(Coefficient("a", ""), Coefficient("b", "")),
    objective=Objective("normal", residual="plain"),
)
FLOOR = find_law("power_floor")
DATA = Path(__file__).parents[1] / "data"


def _runs(**columns: np.ndarray) -> Runs:
    return Runs(pd.DataFrame(columns))


def _line(objective: Objective, **columns: str) -> tuple[Fit, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    x = np.linspace(-1, 2, 15) ** 3
    y = 1 + 2 * x + generator.normal(0, 0.3, 15)
    runs = _runs(x=x, y=y, run=np.arange(15) // 3)
    made = fit(
        LINE, runs, {"x": "x"}, "y", objective=objective, bootstrap=0, columns=Columns(**columns)
    )
    return made, x, y


def _floor(objective: Objective, noise: float = 0.01) -> Fit:
    generator = np.random.default_rng(3)
    x = np.geomspace(1, 1e4, 25)
    y = (1.5 + 4 * x**-0.4) * np.exp(generator.normal(0, noise, 25))
    return fit(FLOOR, _runs(x=x, y=y), {"x": "x"}, "y", objective=objective, bootstrap=0)


def test_the_profile_of_a_normal_line_is_the_interval_of_student():
    found, x, y = _line(Objective("normal", residual="plain"))
    line = stats.linregress(x, y)
    one = profile(found, "b", level=0.9)
    half = stats.t.ppf(0.95, 13) * line.stderr
    assert (one.low, one.high) == pytest.approx((line.slope - half, line.slope + half), rel=1e-5)
    assert one.calibration == "F of the normal likelihood"
    assert not one.low_open
    assert not one.high_open


def test_the_profile_of_least_squares_is_its_sandwich_for_a_line():
    found, x, y = _line(Objective("squares", residual="plain"))
    design = np.column_stack([np.ones_like(x), x])
    inverse = np.linalg.inv(design.T @ design)
    residual = y - design @ (inverse @ design.T @ y)
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    pulled = design * (residual / (1 - leverage))[:, None]
    error = np.sqrt((inverse @ pulled.T @ pulled @ inverse)[1, 1])
    slope, half = float((inverse @ design.T @ y)[1]), stats.t.ppf(0.975, 13) * error
    one = profile(found, "b")
    assert (one.low, one.high) == pytest.approx((slope - half, slope + half), rel=1e-5)


def test_clusters_widen_a_profile_to_their_own_sandwich():
    found, x, y = _line(Objective("normal", residual="plain"), cluster="run")
    design = np.column_stack([np.ones_like(x), x])
    inverse = np.linalg.inv(design.T @ design)
    residual = y - design @ (inverse @ design.T @ y)
    summed = np.stack(
        [(design * residual[:, None])[3 * g : 3 * g + 3].sum(axis=0) for g in range(5)]
    )
    error = np.sqrt((inverse @ summed.T @ summed @ inverse * 5 / 4 * 14 / 13)[1, 1])
    half = stats.t.ppf(0.975, 4) * error
    one = profile(found, "b")
    # A likelihood with a fitted scale is not quite a parabola.
    assert one.high - one.low == pytest.approx(2 * half, rel=0.2)


@pytest.mark.parametrize("name", ["E", "b", "c"])
def test_no_value_of_a_profile_can_be_improved_by_another_optimizer(name: str):
    found = _floor(Objective("squares"))
    x, y = found.points.values["x"], found.points.measured
    one = profile(found, name, points=7)
    place = FLOOR.place[name]
    names = [each.name for each in FLOOR.coefficients]

    def objective(free: np.ndarray, value: float) -> float:
        full = dict(zip(names, np.insert(free, place, value), strict=True))
        predicted = full["E"] + full["b"] * x ** -full["c"]
        return float(((np.log(np.maximum(predicted, 1e-9)) - np.log(y)) ** 2).sum() / 2)

    for value, least, vector in zip(one.values, one.objective, one.vectors, strict=True):
        start = np.delete(vector, place)
        assert objective(start, value) == pytest.approx(least, rel=1e-9)
        again = minimize(objective, start, args=(value,), method="Nelder-Mead",
                         options={"xatol": 1e-10, "fatol": 1e-14, "maxiter": 4_000})  # fmt: skip
        assert least <= again.fun * (1 + 1e-7)
    assert one.converged == 1.0


@pytest.mark.parametrize(
    "kind",
    ["huber", "squares", "student", pytest.param("laplace", marks=pytest.mark.slow), "normal"],
)
def test_at_its_ends_a_profile_has_risen_by_what_it_says(kind: str):
    found = _floor(Objective(kind))  # type: ignore[arg-type]
    one = profile(found, "c", points=9)
    assert one.low < found.coefficient("c").value < one.high
    assert one.low < 0.4 < one.high
    for end in (one.low, one.high):
        law = FLOOR.fixed({"c": end})
        held = fit(law, _runs(x=found.points.values["x"], y=found.points.measured), {"x": "x"}, "y",
                   objective=Objective(kind), bootstrap=0)  # type: ignore[arg-type]  # fmt: skip
        assert held.objective - one.lowest == pytest.approx(one.rise, rel=2e-3)


def test_a_profile_ends_at_a_bound_that_the_data_do_not_exclude():
    generator = np.random.default_rng(1)
    x = np.geomspace(1, 100, 15)
    y = 4 * x**-0.4 * np.exp(generator.normal(0, 0.03, 15))
    found = fit(
        FLOOR, _runs(x=x, y=y), {"x": "x"}, "y", objective=Objective("squares"), bootstrap=0
    )
    one = profile(found, "E")
    assert (one.low, one.low_open) == (0.0, True)
    assert not one.high_open


def test_flatness_is_the_range_within_which_the_objective_hardly_rises():
    found = _floor(Objective("squares"))
    one = profile(found, "c", points=41)
    for flat in one.flat:
        inside = (one.values > flat.low) & (one.values < flat.high)
        rises = one.objective / one.lowest - 1
        assert (rises[inside] < flat.rise).all()
        assert (rises[~inside] > flat.rise * 0.999).all()
    assert one.flat[0].low > one.flat[1].low
    assert one.flat[0].high < one.flat[1].high


def test_a_higher_level_gives_a_wider_profile_interval():
    found = _floor(Objective("squares"))
    narrow, wide = profile(found, "c", level=0.5), profile(found, "c", level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_a_coefficient_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="expected a coefficient of"):
        profile(_floor(Objective("squares")), "alpha")


def test_without_a_row_to_spare_there_is_no_profile():
    x = np.array([1.0, 3.0, 9.0])
    found = fit(FLOOR, _runs(x=x, y=1 + 2 / x), {"x": "x"}, "y", bootstrap=0)
    with pytest.raises(InputError, match="more rows"):
        profile(found, "c")


def test_the_published_fit_of_repeated_data_is_as_flat_as_reported():
    # The profile of RD is within 0.2 % of its least at 14 and at 282, and in most of what is between.
    table = pd.read_csv(DATA / "data_constrained_182.csv")
    law = find_law("data_constrained").fixed(
        {"E": np.exp(0.6254804), "A": np.exp(6.255414), "B": np.exp(7.3049974),
         "alpha": 0.3526596, "beta": 0.3526596}
    )  # fmt: skip
    inputs = {name: name for name in law.input_names}
    found = fit(law, Runs(table), inputs, "loss", bootstrap=0)
    one = profile(found, "RD", points=15)
    assert one.lowest == pytest.approx(0.0158046625, rel=1e-7)
    assert 13 < one.flat[0].low <= 14
    assert 282 <= one.flat[0].high < 300
