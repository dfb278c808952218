"""Trends and bowls against other programs: least squares, differences, simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from analysis.tuning.bowl import (
    convex,
    curvature,
    fit_bowl,
    lowest,
    value,
    vertex,
    vertex_covariance,
    vertices,
)
from analysis.tuning.trend import drawn_trend, expected, trend
from trainers.schema import InputError


def test_with_equal_errors_a_trend_is_ordinary_least_squares_with_its_student_interval():
    generator = np.random.default_rng(0)
    x = np.exp(np.linspace(0, 3, 7))
    y = 1.0 + 0.3 * np.log(x) + generator.normal(0, 0.2, 7)
    plain = stats.linregress(np.log(x), y)
    for error in (1e-6, 0.1, 10.0):
        found = trend("y", {"x": x}, y, np.eye(7) * error**2)
        slope = found.slope("x")
        assert slope.value == pytest.approx(plain.slope, rel=1e-9)
        assert slope.standard_error == pytest.approx(plain.stderr, rel=1e-6)
        half = stats.t.ppf(0.975, 5) * plain.stderr
        assert slope.high == pytest.approx(plain.slope + half, rel=1e-6)
        assert found.intercept.value == pytest.approx(plain.intercept, rel=1e-9)
        assert found.intercept.standard_error == pytest.approx(plain.intercept_stderr, rel=1e-6)


def test_the_errors_of_the_points_alone_give_the_textbook_error():
    x = np.exp(np.arange(5.0))
    errors = np.array([0.1, 0.2, 0.1, 0.3, 0.1])
    found = trend("y", {"x": x}, np.zeros(5), np.diag(errors**2))
    fit, covariance = np.polyfit(np.arange(5.0), np.zeros(5), 1, w=1 / errors, cov="unscaled")
    assert fit[0] == 0
    assert found.slope("x").noise_error == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-9)


@pytest.mark.parametrize(("ratio", "scatter"), [(1.0, 0.0), (1.0, 0.1), (3.0, 0.0), (3.0, 0.1)])
def test_the_interval_of_a_slope_covers_with_and_without_scatter(ratio: float, scatter: float):
    generator = np.random.default_rng(1)
    x = np.exp(np.linspace(0, 4, 6))
    errors = 0.1 * np.geomspace(1 / np.sqrt(ratio), np.sqrt(ratio), 6)
    inside = 0
    for _ in range(600):
        y = -0.5 * np.log(x) + generator.normal(0, errors) + generator.normal(0, scatter, 6)
        seen = errors**2 * generator.chisquare(8) / 8
        slope = trend("y", {"x": x}, y, np.diag(seen)).slope("x")
        assert slope.low is not None
        assert slope.high is not None
        inside += slope.low <= -0.5 <= slope.high
    # 95 % of 600 is 570 with a standard deviation of 5.3.
    assert 554 <= inside <= 588


def test_a_common_error_moves_the_intercept_and_not_the_slope():
    x = np.exp(np.arange(6.0))
    y = 2 + 0.4 * np.arange(6.0) + 0.05 * np.array([1, -1, 1, -1, 1, -1])
    own = np.eye(6) * 0.05**2
    alone, shared = trend("y", {"x": x}, y, own), trend("y", {"x": x}, y, own + 0.3**2)
    assert shared.slope("x").value == pytest.approx(alone.slope("x").value, abs=1e-6)
    assert shared.slope("x").noise_error == pytest.approx(alone.slope("x").noise_error, rel=1e-6)
    assert shared.intercept.noise_error > 0.29


def test_as_many_points_as_coefficients_give_a_line_without_interval():
    found = trend("y", {"x": np.array([1.0, 2.0])}, np.array([0.0, 1.0]), np.eye(2) * 0.01)
    assert found.spare == 0
    assert found.slope("x").low is None
    assert found.slope("x").noise_error == pytest.approx(np.sqrt(0.02) / np.log(2), rel=1e-6)
    there = expected(found, {"x": 4.0})
    assert there.value == pytest.approx(np.exp(2.0))
    assert there.low is None


def test_inputs_that_move_together_are_refused():
    x = np.exp(np.arange(4.0))
    with pytest.raises(InputError, match="expected a, b to vary, and not together"):
        trend("y", {"a": x, "b": x**2}, np.arange(4.0), np.eye(4))
    with pytest.raises(InputError, match="expected at least 2 optima"):
        trend("y", {"a": x[:1]}, np.zeros(1), np.eye(1))


def test_a_drawn_trend_has_the_scatter_of_its_draws():
    generator = np.random.default_rng(0)
    x = np.exp(np.arange(4.0))
    lines = generator.normal(1, 0.2, (4000, 1)) + generator.normal(0.5, 0.1, (4000, 1)) * np.log(x)
    found = drawn_trend("y", {"x": x}, 1 + 0.5 * np.log(x), lines)
    assert found.slope("x").standard_error == pytest.approx(0.1, rel=0.05)
    assert found.slope("x").low == pytest.approx(0.5 - 1.96 * 0.1, abs=0.01)


@given(seed=st.integers(0, 1000), axes=st.integers(1, 2))
def test_a_bowl_returns_the_quadratic_that_made_its_points(seed: int, axes: int):
    generator = np.random.default_rng(seed)
    at = generator.normal(0, 3, axes)
    root = generator.normal(0, 1, (axes, axes)) + 2 * np.eye(axes)
    bends = root @ root.T
    x = at + generator.normal(0, 1, (12, axes))
    away = x - at
    y = 0.7 + 0.5 * np.einsum("pi,ij,pj->p", away, bends, away)
    found = fit_bowl(x, y, np.ones(12))
    assert found is not None
    assert convex(found)
    np.testing.assert_allclose(vertex(found), at, atol=1e-7)
    np.testing.assert_allclose(curvature(found), bends, rtol=1e-6, atol=1e-7)
    assert lowest(found) == pytest.approx(0.7, abs=1e-9)
    np.testing.assert_allclose(value(found, x), y, atol=1e-9)


@pytest.mark.parametrize("axes", [1, 2])
def test_the_covariance_of_a_vertex_is_that_of_simulated_ones(axes: int):
    generator = np.random.default_rng(2)
    grid = np.stack(np.meshgrid(*[np.linspace(-1.0, 1.5, 6)] * axes, indexing="ij"), axis=-1)
    x = grid.reshape(-1, axes)
    truth = 0.5 * (x**2).sum(axis=1) + (0.3 * x[:, 0] * x[:, -1] if axes == 2 else 0.0)
    noise = 0.05
    found = []
    for _ in range(1500):
        bowl = fit_bowl(x, truth + generator.normal(0, noise, len(x)), np.ones(len(x)))
        assert bowl is not None
        found.append(vertex(bowl))
    exact = fit_bowl(x, truth, np.ones(len(x)))
    assert exact is not None
    np.testing.assert_allclose(
        vertex_covariance(exact, noise**2), np.cov(np.array(found).T).reshape(axes, axes),
        rtol=0.15, atol=2e-5,
    )  # fmt: skip


def test_many_vertices_at_once_are_those_of_single_fits():
    generator = np.random.default_rng(3)
    x = generator.normal(0, 1, (9, 1))
    y = x[:, 0] ** 2 + generator.normal(0, 0.1, 9)
    weights = generator.integers(0, 4, (50, 9)).astype(np.float64)
    found, good = vertices(x, y, weights)
    for one, at, fine in zip(weights, found, good, strict=True):
        kept = one > 0
        single = fit_bowl(x[kept], y[kept], one[kept])
        if not fine:
            assert single is None or not convex(single)
            continue
        fit = np.polyfit(x[kept, 0], y[kept], 2, w=np.sqrt(one[kept]))
        assert at[0] == pytest.approx(-fit[1] / (2 * fit[0]), rel=1e-6, abs=1e-9)


def test_points_on_a_line_make_no_bowl_of_two_settings():
    x = np.stack([np.arange(8.0), 2 * np.arange(8.0)], axis=1)
    assert fit_bowl(x, np.arange(8.0) ** 2, np.ones(8)) is None


def test_the_scatter_is_the_root_of_the_weighted_misfit():
    """Paule and Mandel's definition, solved by another routine."""
    generator = np.random.default_rng(5)
    x = np.exp(np.linspace(0, 2, 8))
    errors = np.linspace(0.05, 0.2, 8)
    y = np.log(x) + generator.normal(0, 0.3, 8)
    found = trend("y", {"x": x}, y, np.diag(errors**2))

    def excess(scatter: float) -> float:
        weight = 1 / np.sqrt(errors**2 + scatter**2)
        line = np.polyfit(np.log(x), y, 1, w=weight)
        return float((((y - np.polyval(line, np.log(x))) * weight) ** 2).sum()) - 6

    assert found.scatter == pytest.approx(optimize.brentq(excess, 0.0, 5.0), rel=1e-6)
