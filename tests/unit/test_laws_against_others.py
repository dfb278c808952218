"""Laws of one variable against values that papers print, and against other programs."""

import numpy as np
import pandas as pd
import pytest
from jaxtyping import Float
from scipy import stats
from scipy.optimize import curve_fit, minimize

from analysis.engine.compiled import predict
from analysis.engine.refit import optimum, setup
from analysis.fit import fit
from analysis.law import find_law
from analysis.points import Points
from analysis.runs import Runs
from tests.curves import PLAIN, SQUARES, Numbers, at, found_in


def test_three_breaks_follow_the_segments_of_the_published_figure():
    # the coefficients and segments of figure 1, from the code release of Caballero et al.
    mine = {"E": 1e-3, "b": 4.66e3, "c0": 0.05, "c1": 0.49, "c2": -0.811, "c3": 2.1}
    mine |= {"d1": 3e6, "r2": 1e14 / 3e6, "r3": 2e20 / 1e14, "f1": 1.1, "f2": 1.425, "f3": 0.05}
    corner = 4.66e3 * 3e6**-0.05
    second = corner * (1e14 / 3e6) ** -0.54
    inside = np.array([1e-1, 1e11, 1e17, 1e22])
    segments = [
        4.66e3 * inside[0] ** -0.05,
        corner * (inside[1] / 3e6) ** -0.54,
        second * (inside[2] / 1e14) ** 0.271,
        second * (2e20 / 1e14) ** 0.271 * (inside[3] / 2e20) ** -1.829,
    ]
    # the figure draws the segments without the floor
    assert at("broken:3", mine, inside) - 1e-3 == pytest.approx(segments, rel=0.02)


@pytest.mark.parametrize(
    ("a", "b", "stated"),
    [
        (-1.74, -0.21, {1: 0.159, 250: 0.56}),  # SWE-bench Lite, DeepSeek-Coder-V2
        (-1.33, -0.43, {100: 0.829, 10_000: 0.9844}),  # MATH, Llama-3-8B-Instruct
        (-8.54, -0.14, {1: 0.0002, 10_000: 0.071}),  # CodeContests, Gemma-2B
    ],
)
def test_published_coverage_fits_come_near_the_coverage_that_was_measured(
    a: float, b: float, stated: dict[int, float]
):
    k = np.array(list(stated), dtype=np.float64)
    ours = at("coverage_power", {"a": -a, "c": -b}, k)
    assert ours == pytest.approx(list(stated.values()), abs=0.03)


def test_error_is_predicted_from_loss_as_published_for_over_trained_models():
    # mlfoundations/scaling, data set rpj, MIT licence: loss_c4_val and err_avg_17; the text law is
    # fitted to the first five, the error law to all six, and two larger models are predicted.
    params = np.array([10569312.0, 78914048, 153677376, 411616256, 10569312])
    tokens = params * [20, 20, 20, 20, 320]
    loss = np.array([
        5.38702091510821, 3.899942990231468, 3.531147408490181, 3.149769456671634,
        4.572292613487238, 2.768756661738063,
    ])  # fmt: skip
    error = np.array([
        0.8134857367566677, 0.7250451834543663, 0.6710080283365267, 0.6365529066499542,
        0.7671019083970938, 0.5473253052024281,
    ])  # fmt: skip
    text = find_law("chinchilla").tied({"beta": "alpha"})
    on = Points({"params": params, "tokens": tokens}, loss[:5], tuple(loss[:5, None]))
    best = optimum(setup(text, on, PLAIN)).vectors[0]
    size = np.array([6889410560.0, 1439795200.0])
    larger = {"params": size, "tokens": size * [20, 640]}
    predicted = predict(text, dict(zip(text.place, map(float, best), strict=True)), larger)
    found, _ = found_in("error_of_loss", loss, error)
    ours = at("error_of_loss", found, predicted)
    truth = np.array([0.47163718062288623, 0.47521523167105284])
    assert 100 * np.abs(ours / truth - 1) == pytest.approx([0.0464, 3.6365], abs=5e-5)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("power", (5.0, 0.4)),
        ("power_floor", (1.0, 5.0, 0.4)),
        ("rectified", (1.0, 5.0, 0.5, 0.4)),
        ("exponential", (1.0, 2.0, 3.0, 0.7)),
    ],
)
def test_least_squares_of_logarithms_ends_where_scipy_ends(name: str, start: tuple[float, ...]):
    law = find_law(name)
    x = np.geomspace(0.1, 100, 40)
    truth = dict(zip(law.place, start, strict=True))
    y = at(name, truth, x) * np.exp(0.01 * np.random.default_rng(3).standard_normal(40))

    def curve(at_x: Numbers, *values: float) -> Numbers:
        return np.log(at(name, dict(zip(law.place, values, strict=True)), at_x))

    theirs, _ = curve_fit(curve, x, np.log(y), p0=start, xtol=1e-14, ftol=1e-14, gtol=1e-14)
    ours, best = found_in(name, x, y, SQUARES)
    assert best.agreed
    assert list(ours.values()) == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("sigmoid", (0.25, 0.8, 6.0, 2.5)),
        ("error_of_loss", (0.85, 2.0, 1.5)),
        ("coverage", (0.5, 4.0)),
        ("coverage_power", (2.0, 0.3)),
        ("logarithmic", (1.0, -0.2)),
    ],
)
def test_least_squares_of_plain_values_ends_where_scipy_ends(name: str, start: tuple[float, ...]):
    law = find_law(name)
    x = np.geomspace(1, 1e3, 40) if name.startswith("cov") else np.linspace(1.2, 4.5, 40)
    y = at(name, dict(zip(law.place, start, strict=True)), x)
    y = y + 0.01 * np.random.default_rng(3).standard_normal(40)

    def curve(at_x: Numbers, *values: float) -> Numbers:
        return at(name, dict(zip(law.place, values, strict=True)), at_x)

    theirs, _ = curve_fit(curve, x, y, p0=start, xtol=1e-14, ftol=1e-14, gtol=1e-14)
    ours, best = found_in(name, x, y, PLAIN)
    assert best.agreed
    assert list(ours.values()) == pytest.approx(theirs, rel=1e-5)


def test_the_pass_rate_is_the_maximum_of_the_binomial_likelihood_also_with_models_that_never_pass():
    size = np.geomspace(1e7, 1e10, 8)
    drawn = np.full(8, 400.0)
    rate = np.exp(-900.0 / size**0.3)
    passed = np.random.default_rng(1).binomial(400, rate)
    assert passed.min() == 0

    def against(z: Float[np.ndarray, "2"]) -> float:
        share = np.exp(-np.exp(z[0]) / size ** z[1])
        return -float(stats.binom.logpmf(passed, 400, share).sum())

    options = {"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4_000}
    theirs = minimize(against, [np.log(900.0), 0.3], method="Nelder-Mead", options=options).x
    table = pd.DataFrame({"size": size, "share": passed / drawn})
    on = Points(
        {"x": size},
        table["share"].to_numpy(),
        tuple(passed[:, None].astype(np.float64)),
        counts=drawn,
    )
    best = optimum(setup(find_law("pass_rate"), on))
    assert best.vectors[0] == pytest.approx([np.exp(theirs[0]), theirs[1]], rel=1e-5)


def test_runs_that_never_generalised_move_the_least_data_up_as_a_censored_likelihood_says():
    share = np.linspace(0.2, 0.9, 15)
    reach = share / 0.3 - 1
    steps = 800.0 * np.where(reach > 1e-9, reach, 1e-9) ** -1.2
    steps = steps * np.exp(0.1 * np.random.default_rng(2).standard_normal(15))
    censored = steps > 2e4
    steps = np.minimum(steps, 2e4)
    assert 0 < censored.sum() < 6

    def against(z: Float[np.ndarray, "4"]) -> float:
        a, g, x0, scale = z[0], z[1], np.exp(z[2]), np.exp(z[3])
        mean = a - g * np.log(np.maximum(share / x0 - 1, 1e-6))
        gap = (np.log(steps) - mean) / scale
        return -float(
            np.where(censored, stats.norm.logsf(gap), stats.norm.logpdf(gap) - z[3]).sum()
        )

    start = [np.log(800.0), 1.2, np.log(0.3), np.log(0.1)]
    options = {"xatol": 1e-11, "fatol": 1e-13, "maxiter": 20_000, "maxfev": 20_000}
    theirs = minimize(against, start, method="Nelder-Mead", options=options).x
    on = Points({"x": share}, steps, tuple(steps[:, None]), censored=censored)
    best = optimum(setup(find_law("grokking_delay"), on))
    assert best.vectors[0] == pytest.approx([theirs[0], theirs[1], np.exp(theirs[2])], rel=1e-5)
    assert best.scale == pytest.approx(np.exp(theirs[3]), rel=1e-5)


def test_a_bare_table_with_other_names_and_units_gets_a_fit():
    accuracy = at(
        "sigmoid", {"lo": 25.0, "hi": 90.0, "k": 8.0, "L0": 0.9}, np.linspace(0.6, 1.3, 20)
    )
    table = pd.DataFrame({"bits_per_byte": np.linspace(0.6, 1.3, 20), "percent": accuracy})
    found = fit(find_law("sigmoid"), Runs(table), {"loss": "bits_per_byte"}, "percent", bootstrap=0)
    assert found.status == "converged"
    assert found.coefficient("L0").value == pytest.approx(0.9, rel=1e-6)
    assert found.coefficient("hi").value == pytest.approx(90.0, rel=1e-6)


def test_priming_that_grows_as_a_logarithm_is_told_from_a_power_by_its_residuals():
    size = np.geomspace(1e3, 1e7, 9)
    count = at("priming_log", {"a": -20.0, "b": 5.0}, size)
    count = count * np.exp(0.03 * np.random.default_rng(4).standard_normal(9))
    logarithm, power = (found_in(one, size, count)[1] for one in ("priming_log", "priming_power"))
    assert logarithm.value < power.value
