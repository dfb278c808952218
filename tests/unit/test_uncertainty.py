"""Bootstraps, sandwich covariances and intervals, against closed forms of linear regression."""

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from analysis.engine.objective import Objective
from analysis.engine.refit import Setup, optimum, refit, setup
from analysis.fit import as_document, band, fit
from analysis.law import Coefficient, Input, Law, find_law
from analysis.points import Columns, Points
from analysis.runs import Runs
from analysis.uncertainty.bootstrap import bootstrap
from analysis.uncertainty.covariance import covariance, normal_draws, normal_interval
from analysis.uncertainty.intervals import PLAIN, Reading, ends
from analysis.uncertainty.resamples import resamples
from trainers.schema import InputError

LINE = Law(
    name="line",
    formula="y = a + b * x",
    source="",
    inputs=(Input("x", "", positive=False),),
    coefficients=(Coefficient("a", ""), Coefficient("b", "")),
    objective=Objective("squares", residual="plain"),
)
POWER = find_law("power")
DRAWS = 4_000


def _line(rows: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = np.linspace(-1, 2, rows) ** 3
    return x, 1 + 2 * x + generator.normal(0, 0.1, rows) * (1 + np.abs(x))


def _setup(x: np.ndarray, y: np.ndarray, law: Law = LINE, **known: np.ndarray) -> Setup:
    return setup(law, Points({"x": x}, y, tuple(y[:, None]), **known))  # type: ignore[arg-type]


def _ols(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Design, inverse of X'X, residuals and leverages of ordinary least squares."""
    design = np.column_stack([np.ones_like(x), x])
    inverse = np.linalg.inv(design.T @ design)
    residual = y - design @ (inverse @ design.T @ y)
    return design, inverse, residual, np.einsum("ij,jk,ik->i", design, inverse, design)


def _sandwich(design: np.ndarray, inverse: np.ndarray, scores: np.ndarray) -> np.ndarray:
    pulled = design * scores[:, None]
    return inverse @ pulled.T @ pulled @ inverse


def _runs(**columns: np.ndarray) -> Runs:
    return Runs(pd.DataFrame(columns))


def test_the_sandwich_of_least_squares_is_the_jackknife_like_one_of_linear_regression():
    x, y = _line()
    design, inverse, residual, leverage = _ols(x, y)
    of = _setup(x, y)
    found = covariance(of, optimum(of).vectors[:1])
    # HC3: MacKinnon and White 1985, doi:10.1016/0304-4076(85)90158-7
    expected = _sandwich(design, inverse, residual / (1 - leverage))
    np.testing.assert_allclose(found.matrix, expected, rtol=1e-6)
    assert found.degrees == 10


def test_the_sandwich_over_clusters_is_that_of_linear_regression():
    x, y = _line(20)
    cluster = np.repeat(np.arange(5), 4)
    design, inverse, residual, _ = _ols(x, y)
    of = _setup(x, y, cluster=cluster)
    found = covariance(of, optimum(of).vectors[:1])
    summed = np.stack(
        [(design * residual[:, None])[cluster == one].sum(axis=0) for one in range(5)]
    )
    expected = inverse @ summed.T @ summed @ inverse * 5 / 4 * 19 / 18
    np.testing.assert_allclose(found.matrix, expected, rtol=1e-6)
    assert found.degrees == 4


def test_known_noise_weighs_the_rows_as_weighted_least_squares_does():
    x, y = _line(30)
    noise = 0.1 * (1 + np.abs(x))
    of = _setup(x, y, noise=noise)
    best = optimum(of).vectors[0]
    np.testing.assert_allclose(best[::-1], np.polyfit(x, y, 1, w=1 / noise), rtol=1e-7)


def test_the_sandwich_in_the_units_of_the_law_is_the_spread_of_repeated_fits():
    law = find_law("power_floor")
    true = np.array([[{"E": 1.5, "b": 4.0, "c": 0.4}[one.name] for one in law.coefficients]])
    x = np.geomspace(1, 1e4, 60)
    generator = np.random.default_rng(1)
    measured = (1.5 + 4 * x**-0.4) * np.exp(generator.normal(0, 0.005, (400, 60)))
    vectors = refit(_setup(x, measured[0], law), true, measured=measured).vectors
    errors = [
        covariance(_setup(x, one, law), vector[None]).standard_errors
        for one, vector in zip(measured[:60], vectors[:60], strict=True)
    ]
    ratio = np.median(errors, axis=0) / vectors.std(axis=0, ddof=1)
    # The sharp objective's curvature is measured, so that the sandwich is a little off.
    assert (ratio > 0.8).all()
    assert (ratio < 1.25).all()


def test_draws_from_a_covariance_have_it_and_keep_within_bounds():
    x, y = _line(40)
    of = _setup(x, y)
    best = optimum(of).vectors[:1]
    spread = covariance(of, best)
    draws = normal_draws(of, best, spread, 20_000, 1)
    np.testing.assert_allclose(np.cov(draws.T), spread.matrix, rtol=0.04)
    floor = find_law("power_floor")
    flat = np.geomspace(1, 100, 12)
    near = _setup(flat, 5 * flat**-0.5 * np.exp(0.02 * np.cos(flat)), floor)
    found = optimum(near).vectors[:1]
    made = normal_draws(near, found, covariance(near, found), 500, 1)
    assert (made[:, floor.place["E"]] >= 0).all()


def test_intervals_of_positive_amplitudes_are_intervals_of_their_logarithms():
    x = np.geomspace(1, 1e4, 20)
    y = 3 * x**-0.3 * np.exp(np.random.default_rng(2).normal(0, 0.3, 20))
    of = _setup(x, y, POWER)
    best = optimum(of).vectors[:1]
    low, high = normal_interval(of, best, covariance(of, best), 0.99)
    place = POWER.place["b"]
    assert 0 < low[place] < best[0, place] < high[place]
    assert low[place] * high[place] == pytest.approx(best[0, place] ** 2)


def test_drawn_residuals_vary_a_line_as_equal_noise_would():
    x, y = _line(14, seed=3)
    _, inverse, residual, leverage = _ols(x, y)
    of = _setup(x, y)
    made = bootstrap(of, optimum(of), "none", "residual", DRAWS, 1)
    assert made.drawn == "residuals"
    assert made.converged == 1.0
    variance = np.var(residual / np.sqrt(1 - leverage))
    np.testing.assert_allclose(np.cov(made.draws.T), variance * inverse, rtol=0.08)


def test_random_signs_vary_a_line_as_the_noise_of_each_row_does():
    x, y = _line(14, seed=3)
    design, inverse, residual, leverage = _ols(x, y)
    of = _setup(x, y)
    made = bootstrap(of, optimum(of), "none", "wild", DRAWS, 1)
    assert made.drawn == "signs of residuals"
    expected = _sandwich(design, inverse, residual / np.sqrt(1 - leverage))
    np.testing.assert_allclose(np.cov(made.draws.T), expected, rtol=0.08)


def test_random_signs_of_clusters_vary_a_line_as_the_clusters_do():
    x, y = _line(24, seed=3)
    cluster = np.tile(np.arange(8), 3)
    design, inverse, residual, leverage = _ols(x, y)
    of = _setup(x, y, cluster=cluster)
    made = bootstrap(of, optimum(of), "none", "wild", DRAWS, 1)
    assert made.drawn == "signs of residuals, one for a cluster"
    pulled = design * (residual / np.sqrt(1 - leverage))[:, None]
    summed = np.stack([pulled[cluster == one].sum(axis=0) for one in range(8)])
    expected = inverse @ summed.T @ summed @ inverse
    np.testing.assert_allclose(np.diag(np.cov(made.draws.T)), np.diag(expected), rtol=0.08)


def test_drawn_rows_vary_a_line_as_the_noise_of_each_row_does():
    x, y = _line(400, seed=4)
    of = _setup(x, y)
    found = optimum(of)
    made = bootstrap(of, found, "none", "rows", 2_000, 1)
    errors = covariance(of, found.vectors[:1]).standard_errors
    np.testing.assert_allclose(made.draws.std(axis=0, ddof=1), errors, rtol=0.1)


def test_drawn_counts_vary_a_rate_as_the_binomial_distribution_does():
    law = Law(
        name="decay",
        formula="rate = exp(-c * x)",
        source="",
        inputs=(Input("x", ""),),
        coefficients=(Coefficient("c", "", 1e-3, 10.0, (0.01, 5.0), log=True),),
        objective=Objective("binomial"),
    )
    x = np.linspace(0.2, 2, 6)
    counts = np.full(6, 50.0)
    share = np.random.default_rng(5).binomial(50, np.exp(-0.7 * x)) / 50
    of = _setup(x, share, law, counts=counts)
    found = optimum(of)
    made = bootstrap(of, found, "none", "counts", DRAWS, 1)
    c = found.vectors[0, 0]
    rate = np.exp(-c * x)
    # Fisher's information of c: the sum of counts (d rate / d c)^2 / (rate (1 - rate))
    information = (counts * (x * rate) ** 2 / (rate * (1 - rate))).sum()
    assert made.drawn == "counts, from their fitted rates"
    assert made.converged == 1.0
    assert made.draws[:, 0].std(ddof=1) == pytest.approx(information**-0.5, rel=0.06)
    assert bootstrap(of, found, "none", "auto", 10, 1).drawn == made.drawn
    scattered = _setup(x, np.array([0.9, 0.2, 0.9, 0.1, 0.6, 0.1]), law, counts=counts)
    assert bootstrap(scattered, optimum(scattered), "none", "auto", 10, 1).drawn == "rows"
    sandwich = covariance(of, found.vectors[:1]).standard_errors[0]
    assert sandwich == pytest.approx(information**-0.5, rel=0.5)


def test_a_fit_with_a_fitted_scale_is_resampled_too():
    x = np.geomspace(1, 1e3, 24)
    y = 2 * x**-0.5 * np.exp(np.random.default_rng(0).standard_t(3, 24) * 0.05)
    for kind in ("rows", "residual", "wild"):
        found = fit(POWER, _runs(x=x, y=y), {"x": "x"}, "y", objective=Objective("student"),
                    bootstrap=300, resample=kind)  # type: ignore[arg-type]  # fmt: skip
        assert found.refitted == 1.0
        one = found.coefficient("c")
        assert one.low is not None
        assert one.high is not None
        assert one.low < 0.5 < one.high


def test_censored_rows_keep_their_flags_in_every_resample():
    generator = np.random.default_rng(6)
    x = np.geomspace(1, 1e3, 40)
    y = 2 * x**0.5 * np.exp(generator.normal(0, 0.1, 40))
    limit = 40.0
    runs = _runs(x=x, y=np.minimum(y, limit), late=(y > limit).astype(int))
    power = find_law("power")
    found = fit(power, runs, {"x": "x"}, "y", objective=Objective("normal"),
                columns=Columns(censored="late"), bootstrap=300)  # fmt: skip
    ignored = fit(power, runs, {"x": "x"}, "y", objective=Objective("normal"), bootstrap=300)
    place = power.place["c"]
    assert found.drawn == "rows"
    # Taken for measurements, rows that stopped at the limit would flatten the law.
    assert abs(np.median(found.draws[:, place]) + 0.5) < 0.03
    assert abs(np.median(ignored.draws[:, place]) + 0.5) > 0.03


def test_what_is_drawn_by_itself_is_what_varied():
    x, y = _line(20)
    assert bootstrap(_setup(x, y), optimum(_setup(x, y)), "none", "auto", 50, 1).drawn == "rows"
    of = _setup(x, y, cluster=np.repeat(np.arange(10), 2))
    assert bootstrap(of, optimum(of), "none", "auto", 50, 1).drawn == "whole clusters"
    few = _setup(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.1, 3.9]))
    assert bootstrap(few, optimum(few), "none", "auto", 50, 1).drawn == "rows"
    power = _setup(np.array([1.0, 1.0, 5.0, 5.0]), np.array([3.0, 3.1, 1.0, 1.1]), POWER)
    assert bootstrap(power, optimum(power), "none", "auto", 50, 1).drawn == "rows"


def test_where_rows_cannot_be_drawn_residuals_are():
    params = np.array([1e7, 1e7, 1e8, 1e8, 1e9, 1e9])
    tokens = np.array([1e9, 1e10, 1e9, 1e11, 1e10, 1e11])
    law = find_law("chinchilla")
    loss = 1.8 + 480 * params**-0.35 + 2100 * tokens**-0.37 + 0.01 * np.array([1, -1, 1, -1, 1, -1])
    of = setup(law, Points({"params": params, "tokens": tokens}, loss, tuple(loss[:, None])))
    made = bootstrap(of, optimum(of), "none", "auto", 100, 1)
    assert made.drawn == "residuals"
    assert len(made.draws) == 100
    rows = bootstrap(of, optimum(of), "none", "rows", 100, 1)
    assert (rows.drawn, len(rows.draws)) == ("rows", 0)


def test_very_many_rows_are_not_drawn_and_a_fit_says_so():
    generator = np.random.default_rng(0)
    x = np.exp(generator.uniform(0, 9, 30_000))
    y = 3 * x**-0.3 * np.exp(generator.normal(0, 0.05, len(x)))
    of = _setup(x, y, POWER)
    found = optimum(of)
    made = bootstrap(of, found, "none", "auto", 1_000, 1)
    assert made.drawn == "coefficients from their covariance (sandwich)"
    assert made.draws.shape == (1_000, 2)
    place = POWER.place["c"]
    # Of medians: sd sqrt(pi / 2) / (sd of ln x) / sqrt(n)
    expected = 0.05 * np.sqrt(np.pi / 2) / np.log(x).std() / np.sqrt(len(x))
    assert made.draws[:, place].std(ddof=1) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("clusters", "column of clusters"),
        ("replicates", "pooled cells"),
        ("counts", "column of counts"),
    ],
)
def test_what_cannot_be_drawn_is_refused(kind: str, words: str):
    x, y = _line()
    with pytest.raises(InputError, match=words):
        fit(LINE, _runs(x=x, y=y), {"x": "x"}, "y", resample=kind)  # type: ignore[arg-type]


def test_residuals_of_censored_rows_are_refused():
    x, y = _line()
    of = setup(
        LINE,
        Points({"x": x}, y, tuple(y[:, None]), censored=np.arange(12) > 9),
        Objective("normal", residual="plain"),
    )
    with pytest.raises(InputError, match="censored"):
        bootstrap(of, optimum(of), "none", "residual", 10, 1)


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5])
def test_a_level_that_is_no_share_is_refused(level: float):
    x, y = _line()
    with pytest.raises(InputError, match="level"):
        fit(LINE, _runs(x=x, y=y), {"x": "x"}, "y", level=level)


def test_a_lower_level_gives_a_narrower_interval_and_is_named():
    x, y = _line(30)
    wide, narrow = (
        fit(LINE, _runs(x=x, y=y), {"x": "x"}, "y", level=level) for level in (0.95, 0.5)
    )
    first, second = wide.coefficient("b"), narrow.coefficient("b")
    assert first.low < second.low < second.high < first.high  # type: ignore[operator]
    assert as_document(narrow)["level"] == 0.5
    assert as_document(narrow)["interval_kind"] == "widened bias-corrected percentile"
    spread, inner = band(wide, {"x": x}), band(wide, {"x": x}, 0.5)
    assert spread is not None
    assert inner is not None
    assert ((inner[1] - inner[0]) < (spread[1] - spread[0])).all()


def test_plain_percentiles_are_percentiles():
    draws = np.random.default_rng(0).normal(size=(999, 3))
    low, high = ends(draws, np.zeros(3), 0.8)
    np.testing.assert_allclose(low, np.quantile(draws, 0.1, axis=0))
    np.testing.assert_allclose(high, np.quantile(draws, 0.9, axis=0))


def test_bias_correction_recovers_the_interval_of_a_shifted_normal():
    # Draws that are b standard errors too low, as they are around a biased estimate: the interval is
    # then as much higher than the estimate as percentiles alone would be lower.
    draws = special.ndtri((np.arange(20_000) + 0.5) / 20_000)[:, None] - 0.3
    low, high = ends(draws, np.zeros(1), 0.9, Reading(corrected=True))
    assert low[0] == pytest.approx(-1.645 + 0.3, abs=2e-3)
    assert high[0] == pytest.approx(1.645 + 0.3, abs=2e-3)


def test_an_estimate_beyond_all_draws_still_gets_an_interval_from_them():
    draws = np.random.default_rng(0).normal(size=(500, 1))
    low, high = ends(draws, np.array([100.0]), 0.9, Reading(corrected=True))
    assert draws.min() <= low[0] < high[0] <= draws.max()


def test_the_interval_of_a_mean_of_few_residuals_is_that_of_student():
    generator = np.random.default_rng(7)
    x = np.array([-1.0, -1.0, -1.0, 1.0, 1.0, 1.0])
    y = 2 + x + generator.normal(0, 1, 6)
    found = fit(
        LINE, _runs(x=x, y=y), {"x": "x"}, "y", resample="residual", bootstrap=DRAWS, level=0.9
    )
    _, inverse, residual, _ = _ols(x, y)
    error = np.sqrt(residual @ residual / 4 * inverse[0, 0])
    one = found.coefficient("a")
    half = (one.high - one.low) / 2  # type: ignore[operator]
    assert found.interval_kind == "widened percentile"
    # Resampled residuals are short-tailed, so a little less than t is reached.
    assert half == pytest.approx(stats.t.ppf(0.95, 4) * error, rel=0.15)


def test_the_same_seed_draws_the_same_resamples():
    x, y = _line()
    on = _setup(x, y).points
    first, second = (resamples(on, "none", "rows", 5, 3) for _ in range(2))
    assert first.weight is not None
    np.testing.assert_array_equal(first.weight, second.weight)
    assert (first.weight.sum(axis=1) == len(on)).all()


def test_many_rows_of_a_coefficient_are_read_as_plain_percentiles():
    x, y = _line(100)
    of = _setup(x, y)
    assert bootstrap(of, optimum(of), "none", "rows", 50, 1).reading == PLAIN
