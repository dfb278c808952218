"""Prediction intervals against the closed form of linear regression, and known noise against chi-square."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.engine.objective import Objective
from analysis.fit import Fit, as_document, fit
from analysis.law import Coefficient, Input, Law, find_law
from analysis.points import Columns
from analysis.runs import Runs
from analysis.uncertainty.known_noise import chi_square
from analysis.uncertainty.prediction import errors_of, predict_interval, predict_run
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
GADRE = Path(__file__).parents[1] / "data" / "overtraining_gadre_104.csv"
BEYOND = {"x": np.array([0.0, 4.0, 8.0])}


def _runs(**columns: np.ndarray) -> Runs:
    return Runs(pd.DataFrame(columns))


def _line(rows: int = 40, **options: object) -> tuple[Fit, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    x = np.linspace(-1, 4, rows)
    y = 30 + 2 * x + generator.normal(0, 0.3, rows)
    made = fit(LINE, _runs(x=x, y=y), {"x": "x"}, "y", bootstrap=3_000, **options)  # type: ignore[arg-type]
    return made, x, y


def _textbook(x: np.ndarray, y: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Half widths of the intervals of the line and of a new run."""
    design = np.column_stack([np.ones_like(x), x])
    inverse = np.linalg.inv(design.T @ design)
    residual = y - design @ (inverse @ design.T @ y)
    spread = np.sqrt(residual @ residual / (len(x) - 2))
    at = np.column_stack([np.ones(3), BEYOND["x"]])
    leverage = np.einsum("ij,jk,ik->i", at, inverse, at)
    t = stats.t.ppf((1 + level) / 2, len(x) - 2)
    return t * spread * np.sqrt(leverage), t * spread * np.sqrt(1 + leverage)


def test_the_intervals_of_a_line_and_of_a_new_run_are_those_of_the_textbook():
    found, x, y = _line(resample="residual")
    law, run = _textbook(x, y, 0.9)
    one, other = predict_interval(found, BEYOND), predict_run(found, BEYOND)
    np.testing.assert_allclose((one.high - one.low) / 2, law, rtol=0.1)
    np.testing.assert_allclose((other.high - other.low) / 2, run, rtol=0.1)
    assert (one.what, other.what) == ("the law", "a new run")
    assert other.noise == "the residuals of the rows"


def test_the_mean_of_many_runs_is_as_sure_as_the_law_where_all_errors_are_noise():
    found, _, _ = _line(resample="residual")
    law, one, many = (
        predict_interval(found, BEYOND),
        predict_run(found, BEYOND, replicates=4),
        predict_run(found, BEYOND, replicates=400),
    )
    assert ((many.high - many.low) < (one.high - one.low)).all()
    np.testing.assert_allclose(many.high - many.low, law.high - law.low, rtol=0.1)


def test_what_replicates_share_is_not_averaged_away():
    generator = np.random.default_rng(1)
    x = np.repeat(np.linspace(-1, 4, 10), 6)
    misfit = np.repeat(generator.normal(0, 0.5, 10), 6)
    y = 30 + 2 * x + misfit + generator.normal(0, 0.05, 60)
    found = fit(LINE, _runs(x=x, y=y), {"x": "x"}, "y", resample="residual")
    run = predict_run(found, BEYOND, replicates=100)
    assert run.noise == "the residuals of the rows, by cells"
    half = (run.high - run.low) / 2
    assert (half > 1.2 * 0.4).all()
    pooled = fit(LINE, _runs(x=x, y=y), {"x": "x"}, "y", pool="mean")
    cells = predict_run(pooled, BEYOND, replicates=100)
    assert cells.noise == "the replicates of every cell"
    assert ((cells.high - cells.low) / 2 > 1.2 * 0.4).all()


def test_single_runs_of_pooled_cells_scatter_as_the_replicates_do():
    generator = np.random.default_rng(2)
    x = np.repeat(2.0 ** np.arange(0, 8), 12)
    y = 5 * x**-0.5 * np.exp(generator.normal(0, 0.2, len(x)))
    found = fit(POWER, _runs(x=x, y=y), {"x": "x"}, "y", pool="median")
    run = predict_run(found, {"x": np.array([16.0])}, 0.9)
    half = np.log(run.high / run.low)[0] / 2
    assert half == pytest.approx(1.645 * 0.2, rel=0.2)


def test_noise_that_grows_with_the_prediction_is_noticed_and_followed():
    generator = np.random.default_rng(3)
    x = np.geomspace(1, 1e4, 120)
    exact = 5 * x**-0.3
    y = exact * np.exp(generator.normal(0, 0.02 * exact))
    found = fit(POWER, _runs(x=x, y=y), {"x": "x"}, "y", objective=Objective("squares"))
    assert errors_of(found).slope == pytest.approx(1.0, abs=0.3)
    ends = {"x": np.array([1.0, 1e4])}
    law, run = predict_interval(found, ends, 0.9), predict_run(found, ends, 0.9)
    halves = [np.log(one.high / one.low) / 2 for one in (law, run)]
    expected = np.hypot(halves[0], 1.645 * 0.02 * exact[[0, -1]])
    np.testing.assert_allclose(halves[1], expected, rtol=0.25)
    even = fit(POWER, _runs(x=x, y=exact * np.exp(generator.normal(0, 0.02, 120))), {"x": "x"}, "y")
    assert errors_of(even).slope == 0.0


def test_known_noise_of_a_new_run_widens_its_interval_in_proportion():
    generator = np.random.default_rng(4)
    x = np.linspace(-1, 4, 60)
    noise = np.where(np.arange(60) % 2, 0.1, 0.4)
    y = 30 + 2 * x + generator.normal(0, noise)
    found = fit(LINE, _runs(x=x, y=y, s=noise), {"x": "x"}, "y", columns=Columns(noise="s"))
    at = {"x": np.array([1.5, 1.5])}
    run = predict_run(found, at, 0.9, noise=np.array([0.1, 0.4]))
    np.testing.assert_allclose((run.high - run.low) / 2, 1.645 * np.array([0.1, 0.4]), rtol=0.25)
    assert "known noise" in run.noise


def test_an_interval_at_a_higher_level_is_wider():
    found, _, _ = _line()
    for of in (predict_interval, predict_run):
        narrow, wide = of(found, BEYOND, 0.5), of(found, BEYOND, 0.95)
        assert (wide.low < narrow.low).all()
        assert (narrow.high < wide.high).all()


def test_a_fit_without_resamples_predicts_no_interval():
    found, _, _ = _line()
    bare = fit(LINE, _runs(x=np.arange(5.0), y=np.arange(5.0) ** 1.1), {"x": "x"}, "y", bootstrap=0)
    for of in (predict_interval, predict_run):
        with pytest.raises(InputError, match="resamples"):
            of(bare, BEYOND)
        with pytest.raises(InputError, match="level"):
            of(found, BEYOND, 1.0)
    with pytest.raises(InputError, match="replicates"):
        predict_run(found, BEYOND, replicates=0)
    with pytest.raises(InputError, match="column of noise"):
        predict_run(found, BEYOND, noise=np.ones(3))


def test_residuals_of_the_size_of_known_noise_have_a_chi_square_of_one_per_degree():
    generator = np.random.default_rng(5)
    x = np.linspace(-1, 4, 400)
    noise = generator.uniform(0.1, 0.5, 400)
    y = 30 + 2 * x + generator.normal(0, noise)
    found = fit(
        LINE, _runs(x=x, y=y, s=noise), {"x": "x"}, "y", bootstrap=0, columns=Columns(noise="s")
    )
    made = chi_square(found.setup, found.vector)
    assert made is not None
    assert made.degrees == 398
    assert made.per_degree == pytest.approx(1.0, abs=4 * np.sqrt(2 / 398))
    assert made.chance > 1e-3
    assert as_document(found)["noise"]["per_degree"] == made.per_degree
    bare = fit(LINE, _runs(x=x, y=y), {"x": "x"}, "y", bootstrap=0)
    assert chi_square(bare.setup, bare.vector) is None
    assert as_document(bare)["noise"] is None


def test_losses_of_language_models_scatter_more_than_their_evaluation_explains():
    table = pd.read_csv(GADRE)
    table = table[table["dataset"] == "rpj"]
    # A 95 % interval of normal errors is 3.92 standard errors wide.
    table["noise"] = (table["loss_hi95_c4_val"] - table["loss_lo95_c4_val"]) / 3.92
    inputs = {"flops": "flops", "ratio": "token_multiplier"}
    law = find_law("over_training")
    weighted, plain = (
        fit(law, Runs(table), inputs, "loss_c4_val", bootstrap=0, columns=Columns(noise=noise))
        for noise in ("noise", None)
    )
    made = chi_square(weighted.setup, weighted.vector)
    assert made is not None
    residual = table["loss_c4_val"] - _predicted(plain, table)
    degrees = len(table) - 4
    unweighted = float(((residual / table["noise"]) ** 2).sum()) / degrees
    assert made.degrees == degrees
    assert 1 < made.per_degree < unweighted


def _predicted(found: Fit, table: pd.DataFrame) -> np.ndarray:
    one = {each.name: each.value for each in found.coefficients}
    flops, ratio = table["flops"].to_numpy(), table["token_multiplier"].to_numpy()
    term = one["a"] * ratio ** one["eta"] + one["b"] * ratio ** -one["eta"]
    return one["E"] + term * flops ** -one["eta"]
