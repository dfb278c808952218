"""Tail probabilities and statistics of ranks, against scipy.stats."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.checks.noise import below_mean
from analysis.uncertainty.distributions import (
    as_uneven,
    at_most,
    chi2_above,
    f_above,
    normal_above,
    t_above,
    t_log_density,
)
from analysis.uncertainty.ranks import by_chance, middle_slope, ranks

VALUES = st.floats(-30, 30)
DEGREES = st.integers(1, 200)


@given(value=VALUES, degrees=DEGREES, below=DEGREES)
def test_tail_probabilities_are_those_of_scipy(value: float, degrees: int, below: int):
    size = abs(value)
    assert normal_above(value) == pytest.approx(float(stats.norm.sf(value)), rel=1e-9)
    assert t_above(value, degrees) == pytest.approx(float(stats.t.sf(value, degrees)), rel=1e-9)
    assert chi2_above(size, degrees) == pytest.approx(float(stats.chi2.sf(size, degrees)), rel=1e-9)
    expected = float(stats.f.sf(size, degrees, below))
    assert f_above(size, degrees, below) == pytest.approx(expected, rel=1e-9)


@given(value=VALUES, degrees=DEGREES, scale=st.floats(1e-6, 1e6))
def test_the_density_of_student_t_is_that_of_scipy(value: float, degrees: int, scale: float):
    found = t_log_density(np.array([value]), degrees, np.array([scale]))
    expected = stats.t.logpdf(value, degrees, scale=scale)
    assert found[0] == pytest.approx(float(expected), rel=1e-9, abs=1e-9)


@given(trials=st.integers(1, 300), share=st.floats(0, 1))
def test_chances_of_counts_are_those_of_scipy(trials: int, share: float):
    some = round(share * trials)
    expected = stats.binomtest(some, trials, 0.95, alternative="less").pvalue
    assert at_most(some, trials, 0.95) == pytest.approx(expected, rel=1e-9)
    most = max(some, trials - some)
    assert as_uneven(most, trials) == pytest.approx(stats.binomtest(most, trials).pvalue, rel=1e-9)


@given(
    left=st.lists(st.integers(-5, 5), min_size=4, max_size=40),
    seed=st.integers(0, 1_000),
)
def test_statistics_of_ranks_are_those_of_scipy(left: list[int], seed: int):
    one = np.array(left, dtype=np.float64)
    other = np.random.RandomState(seed).randint(0, 8, len(one)).astype(np.float64)
    assert ranks(one).tolist() == stats.rankdata(one).tolist()
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        assert by_chance(one, other) == 1.0
        return
    order: Any = stats.spearmanr(one, other)
    assert by_chance(one, other) == pytest.approx(order.pvalue, rel=1e-6, abs=1e-12)
    line: Any = stats.theilslopes(other, one)
    assert middle_slope(other, one) == pytest.approx(line.slope)


def test_the_middle_slope_of_many_points_is_near_that_of_all_pairs():
    source = np.random.RandomState(5)
    x = source.normal(size=10_001)
    assert middle_slope(3 * x + source.normal(size=len(x)), x) == pytest.approx(3, abs=0.05)
    assert middle_slope(x, np.ones(len(x))) == 0.0


def test_the_least_of_two_normal_draws_lies_as_far_below_as_integration_says():
    assert below_mean(2) == pytest.approx(1 / np.sqrt(np.pi), rel=1e-12)
    for count in (3, 10, 1_000):
        assert below_mean(count) == pytest.approx(_expected_largest(count), rel=1e-8)


def _expected_largest(count: int) -> float:
    """The mean of the largest of normal draws, from its distribution by the trapezium rule."""
    x = np.linspace(0, 12, 400_001)
    above, below = 1 - stats.norm.cdf(x) ** count, stats.norm.cdf(-x) ** count
    return float(np.trapezoid(above - below, x))
