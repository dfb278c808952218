"""Intervals of shares and medians, against published tables, another program and their own promise."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.uncertainty.medians import median, order_interval
from analysis.uncertainty.proportions import (
    PairedCounts,
    exact,
    paired_difference,
    unpaired_difference,
    wilson,
)


@given(trials=st.integers(1, 60), data=st.data())
def test_intervals_of_a_share_are_those_of_scipy(trials: int, data: st.DataObject):
    passed = data.draw(st.integers(0, trials))
    test = stats.binomtest(passed, trials)
    for ours, method in ((exact, "exact"), (wilson, "wilson")):
        theirs = test.proportion_ci(method=method)
        assert ours(passed, trials) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize("counts", [(1, 0), (-1, 3), (0, 0)])
def test_a_share_of_nothing_is_refused(counts: tuple[int, int]):
    with pytest.raises(ValueError, match="expected some trials"):
        exact(*counts)


@pytest.mark.parametrize(
    ("one", "other", "interval"),
    [  # Newcombe 1998, Statistics in Medicine 17, 873, table II, method 10
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((6, 7), (2, 7), (0.0582, 0.8062)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((0, 10), (0, 20), (-0.1611, 0.2775)),
        ((0, 10), (0, 10), (-0.2775, 0.2775)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
        ((10, 10), (0, 10), (0.6075, 1.0)),
    ],
)
def test_a_difference_of_shares_has_the_published_interval(
    one: tuple[int, int], other: tuple[int, int], interval: tuple[float, float]
):
    assert unpaired_difference(other, one) == pytest.approx(interval, abs=5e-5)


def test_pairs_that_tell_nothing_of_each_other_have_the_interval_of_unpaired_shares():
    # 4 4 4 4 has no correlation at all
    counts = PairedCounts(both=4, first=4, second=4, neither=4)
    assert paired_difference(counts) == pytest.approx(unpaired_difference((8, 16), (8, 16)))


def test_pairs_that_agree_have_a_narrower_interval_and_those_that_disagree_a_wider_one():
    widths = [
        np.ptp(paired_difference(counts))
        for counts in (PairedCounts(8, 0, 0, 8), PairedCounts(4, 4, 4, 4), PairedCounts(0, 8, 8, 0))
    ]
    assert widths[0] < widths[1] < widths[2]


def test_the_interval_of_a_paired_difference_covers_as_often_as_it_says():
    pairs = 8
    made = [
        counts for counts in itertools.product(range(pairs + 1), repeat=4) if sum(counts) == pairs
    ]
    ends = np.array([paired_difference(PairedCounts(*counts)) for counts in made])
    covered = []
    for shares in ((0.4, 0.1, 0.1, 0.4), (0.1, 0.1, 0.5, 0.3), (0.25,) * 4, (0.05, 0.05, 0.6, 0.3)):
        chance = stats.multinomial.pmf(np.array(made), pairs, shares)
        truth = shares[2] - shares[1]
        inside = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
        covered.append(float(chance[inside].sum()))
    assert min(covered) > 0.92
    assert np.mean(covered) > 0.945


@pytest.mark.parametrize(
    ("count", "rank"), [(6, 1), (8, 1), (9, 2), (12, 3), (15, 4), (20, 6), (25, 8), (40, 14)]
)
def test_the_interval_of_a_median_lies_between_the_ranks_of_the_binomial_table(
    count: int, rank: int
):
    assert order_interval(list(range(1, count + 1))) == (rank, count + 1 - rank)
    assert 2 * stats.binom.cdf(rank - 1, count, 0.5) <= 0.05 < 2 * stats.binom.cdf(rank, count, 0.5)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_so_few_values_give_no_interval_of_a_median(count: int):
    assert order_interval([1.0] * count) is None


def test_a_median_may_be_beyond_every_number():
    assert median([1.0, 2.0, math.inf]) == 2.0
    assert median([1.0, math.inf]) == math.inf
    assert median([4.0, 1.0, 3.0, 2.0]) == 2.5
    assert order_interval([1.0, 2.0, 3.0, 4.0, math.inf, math.inf]) == (1.0, math.inf)
