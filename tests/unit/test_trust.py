"""Trust: planted laws are trusted, and each way in which a fit can mislead is named."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from analysis.finding import Finding
from analysis.fit import Fit, fit
from analysis.judgement.holdout import Backtest, backtests
from analysis.judgement.trust import brief, headlines, rounded, trust
from analysis.law import find_law
from analysis.runs import Runs


@cache
def fitted(
    noise: float = 0.01, bend: float = 0.0, extra: float = 0.0
) -> tuple[Fit, tuple[Backtest, ...]]:
    """A power law of 0.5 over ten scales, three runs each; `bend` makes it flatten at the end."""
    generator = np.random.default_rng(3)
    x = np.repeat(2.0 ** np.arange(4, 14), 3)
    loss = 8 * x**-0.5 * np.exp(generator.normal(0, noise, len(x)))
    loss += bend * np.maximum(0, np.log2(x) - 9)
    loss *= np.exp(generator.normal(0, extra, len(x)))
    runs = Runs(pd.DataFrame({"x": x, "loss": loss}, index=[f"row {n}" for n in range(len(x))]))
    law = find_law("power")
    return (
        fit(law, runs, {"x": "x"}, "loss", bootstrap=100),
        backtests(law, runs, {"x": "x"}, "loss"),
    )


def test_a_planted_law_with_little_noise_is_trusted():
    judged = trust(*fitted())
    assert judged.verdict == "trust"
    found = judged.headlines[0]
    low, high = map(float, found.interval.split(" to "))
    assert low < 0.5 < high
    assert (
        f"c = {found.value} ({found.interval}): trust, because two independent searches agree"
        in judged.line
    )


def test_a_law_that_bends_beyond_the_fitted_scales_asks_for_care():
    judged = trust(*fitted(bend=0.02))
    assert judged.verdict == "with care"
    assert "12 of 12 lie outside of their 95 % prediction interval" in judged.line


def test_a_law_whose_forecasts_are_no_better_than_a_neighbour_is_not_to_be_used():
    judged = trust(*fitted(bend=0.2))
    assert judged.verdict == "do not use"
    assert "no better than taking the nearest run" in judged.line


def test_a_law_that_explains_next_to_nothing_says_so():
    judged = trust(*fitted(extra=4.0))
    assert judged.verdict != "trust"
    assert any("something else matters" in reason for reason in judged.reasons)


def test_without_backtests_or_intervals_care_is_asked_for():
    found, tests = fitted()
    assert "untested" in trust(found).line
    bare = replace(
        found,
        coefficients=tuple(
            replace(one, standard_error=None, low=None, high=None) for one in found.coefficients
        ),
    )
    assert trust(bare, tests).verdict == "with care"
    assert "no interval" in trust(bare, tests).line


@pytest.mark.parametrize("status", ["not identified", "not converged"])
def test_a_fit_that_is_not_determined_is_not_to_be_used(status):
    found, tests = fitted()
    warning = Finding("flat", "b and c can change together: more runs would tell", status)
    judged = trust(replace(found, status=status, warnings=(warning,)), tests)
    assert judged.verdict == "do not use"
    assert judged.reasons[0] == "b and c can change together"


def test_searches_that_disagree_forbid_the_use():
    found, tests = fitted()
    assert trust(replace(found, agreed=False), tests).verdict == "do not use"
    said = Finding("searches_disagree", "two independent searches ended in different optima; more")
    judged = trust(replace(found, agreed=False, warnings=(said,)), tests)
    assert judged.verdict == "do not use"
    assert judged.reasons == ("two independent searches ended in different optima",)


def test_coefficients_that_move_together_are_no_reason_to_doubt_a_single_interval():
    found, tests = fitted()
    warning = Finding("correlated", "b and c (0.99) move together: quote both")
    assert trust(replace(found, warnings=(warning,)), tests).verdict == "trust"
    other = Finding("short_range", "x spans a factor of 3 only: run more")
    assert trust(replace(found, warnings=(warning, other)), tests).verdict == "with care"


def test_an_exponent_on_its_bound_is_not_to_be_used_but_an_amplitude_asks_for_care():
    found, tests = fitted()
    warning = Finding("at_bound", "it sits on its bound: why", "at a bound")
    stuck = replace(found, status="at a bound", warnings=(warning,))
    assert trust(stuck, tests).verdict == "with care"
    bound = found.law.coefficient("c").high
    edge = tuple(
        replace(one, value=bound, low=bound * 0.9, high=bound) if one.name == "c" else one
        for one in found.coefficients
    )
    assert trust(replace(stuck, coefficients=edge), tests).verdict == "do not use"


def test_a_use_further_away_than_any_backtest_asks_for_care():
    found, tests = fitted()
    tried = max(one.reach for one in tests)
    assert trust(found, tests, reach=tried).verdict == "trust"
    judged = trust(found, tests, reach=100 * tried)
    assert judged.verdict == "with care"
    assert f"tried {tried:.3g} times only" in judged.line


def test_the_gravest_reason_comes_first():
    found, tests = fitted()
    mild = Finding("short_range", "x spans little")
    grave = Finding("flat", "nothing is determined", "not identified")
    judged = trust(replace(found, status="not identified", warnings=(mild, grave)), tests)
    assert judged.reasons[:2] == ("nothing is determined", "x spans little")


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0.9012, 0.742, 1.0031), ("0.90", "0.74 to 1.00")),
        ((0.34731, 0.317, 0.373), ("0.347", "0.317 to 0.373")),
        ((477.8, 285.09, 743.6), ("478", "285 to 744")),
        ((2e9, 1e9, 3e9), ("2,000,000,000", "1,000,000,000 to 3,000,000,000")),
        ((0.5, None, None), ("0.5000", "")),
        ((0.5, 0.5, 0.5), ("0.5000", "0.5000 to 0.5000")),
        ((-0.08, -0.09, -0.07), ("-0.080", "-0.090 to -0.070")),
    ],
)
def test_a_value_has_the_digits_that_its_interval_allows(numbers, words):
    assert rounded(*numbers) == words


def test_the_headline_of_a_law_with_exponents_is_its_exponents():
    found, _ = fitted()
    assert [one.name for one in headlines(found)] == ["c"]


def test_a_reason_is_the_first_clause_of_a_warning():
    assert brief("A and b move together: quote both; or more runs") == "A and b move together"
    assert brief("x is 1e+05 (so far 2.5). Then more.") == "x is 1e+05 (so far 2.5)"
    assert brief("c is 1.4: above 1 a term dies; more") == "c is 1.4: above 1 a term dies"
    assert brief("short.") == "short"


def test_a_forecast_that_is_not_finite_is_not_to_be_used():
    found, tests = fitted()
    broken = tuple(
        replace(
            one,
            error=math.inf,
            points=tuple(replace(point, residual=math.inf, error=math.inf) for point in one.points),
        )
        for one in tests
    )
    assert trust(found, broken).verdict == "do not use"
