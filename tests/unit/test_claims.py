"""Verdicts: a yes needs its interval, a no is said, and what cannot be compared is not compared."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.claims.judge import verdict
from analysis.claims.verdict import Verdict
from analysis.engine.objective import Objective
from analysis.fit import fit
from analysis.law import find_law
from analysis.runs import Runs
from analysis.study import study
from analysis.sweep_fits import SweepFit
from analysis.trials import as_runs
from sweeps.claim import CoefficientClaim, MetricClaim
from sweeps.spec import FitSpec
from tests.sweep_trials import MadeTrial, gcd_sweep, width_sweep, width_trials


def _check(values: list[float], examples: int | None = 1_000, **claim: Any) -> Verdict:
    trials = [
        MadeTrial(
            key=f"{at}",
            fields={"encoding.base": 30, "budget.examples": examples, "seed": at},
            metrics={"accuracy": value, "examples": 640.0},
        )
        for at, value in enumerate(values)
    ]
    return verdict(
        MetricClaim(say="it works", metric="accuracy", **claim), gcd_sweep(), as_runs(trials), ()
    )


def test_a_mean_whose_interval_meets_the_claim_is_reproduced():
    found = _check([0.95, 0.951, 0.949], at_least=0.9, published=0.947)
    assert (found.verdict, found.sure, found.found.trials) == ("reproduced", True, 3)
    assert "Student t" in found.found.basis
    # mean 0.95, sd 0.001, t(2) = 4.3027: 0.95 +- 4.3027 * 0.001 / sqrt(3)
    assert found.found.low == pytest.approx(0.9475159, abs=1e-6)
    assert found.found.high == pytest.approx(0.9524841, abs=1e-6)


def test_a_mean_whose_interval_misses_the_claim_is_not_reproduced():
    found = _check([0.80, 0.801, 0.799], at_least=0.9)
    assert (found.verdict, found.sure) == ("not reproduced", True)
    assert "0.8000, is not at least 0.9" in found.reason


@pytest.mark.parametrize(("middle", "decision"), [(0.91, "reproduced"), (0.89, "not reproduced")])
def test_an_interval_across_the_threshold_leaves_the_verdict_uncertain(
    middle: float, decision: str
):
    found = _check([middle - 0.05, middle, middle + 0.05], at_least=0.9)
    assert (found.verdict, found.sure) == (decision, False)
    assert "uncertain" in found.reason


def test_a_narrow_band_inside_a_wide_interval_is_uncertain():
    found = _check([0.5, 0.6, 0.95], at_least=0.6, at_most=0.62)
    assert (found.verdict, found.sure) == ("not reproduced", False)


def test_one_trial_has_no_interval_and_says_so():
    found = _check([0.95], at_least=0.9)
    assert (found.verdict, found.found.low, found.sure) == ("reproduced", None, False)
    assert "one trial gives no interval" in found.reason


def test_a_budget_below_that_of_the_published_figure_is_not_compared():
    found = _check([0.8, 0.81], at_least=0.9, needs={"budget.examples": 600_000})
    assert found.verdict == "not comparable"
    assert found.reason == (
        "the published figure took at least 600,000 examples; these trials saw 1,000"
    )


def test_a_budget_in_steps_is_compared_by_the_examples_that_were_seen():
    found = _check([0.8, 0.81], None, at_least=0.9, needs={"budget.examples": 5_000})
    assert found.reason.endswith("these trials saw 640")
    assert _check([0.8, 0.81], None, at_least=0.5, needs={"budget.examples": 600}).verdict == (
        "reproduced"
    )


def test_a_need_that_no_trial_states_is_not_compared():
    found = _check([0.8], at_least=0.9, needs={"model.layers": 4})
    assert found.verdict == "not comparable"
    assert "not known" in found.reason


def test_no_matching_trial_is_not_compared():
    found = _check([0.8], at_least=0.9, where={"encoding.base": 31})
    assert (found.verdict, found.found.trials, found.found.value) == ("not comparable", 0, None)
    assert "encoding.base 31" in found.reason


def test_values_that_are_no_numbers_are_not_averaged():
    found = _check([0.95, float("nan"), 0.95], at_least=0.9)
    assert (found.found.trials, found.found.value) == (2, pytest.approx(0.95))


def test_trials_that_did_not_finish_are_counted_in_the_reason():
    trials = [
        MadeTrial("a", {"seed": 0}, {"accuracy": 0.95}),
        MadeTrial("b", {"seed": 1}, {"accuracy": 0.95}),
        MadeTrial("c", {"seed": 2}, {}, {}, "diverged", "loss is NaN"),
    ]
    claim = MetricClaim(say="it works", metric="accuracy", at_least=0.9)
    assert verdict(claim, gcd_sweep(), as_runs(trials), ()).reason.endswith("1 more did not finish")


@pytest.fixture(scope="module")
def fits() -> tuple[SweepFit, ...]:
    """Exponents of 1.0 after 4,000 steps and of 0.6 after 1,000."""
    return study(width_sweep(), as_runs(width_trials()), resamples=200).fits


def _coefficient(fits: tuple[SweepFit, ...], **claim: Any) -> Verdict:
    given = {"say": "an exponent", "fit": "width", "coefficient": "c", **claim}
    return verdict(CoefficientClaim(**given), width_sweep(), as_runs(width_trials()), fits)


def test_an_interval_with_the_published_value_and_without_the_rival_is_reproduced(fits: Any):
    found = _coefficient(fits, published=1, against=4, where={"budget.steps": 4000})
    assert found.verdict == "reproduced"
    assert found.found.low is not None
    assert found.found.high is not None
    assert found.found.low <= 1 <= found.found.high


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"level": 0.9}, "90 % bias-corrected percentile interval over 40 resamples of rows"),
        (
            {"objective": Objective("squares"), "resample": "wild"},
            "95 % widened percentile interval over 40 resamples of signs of residuals",
        ),
        (
            {"resample": "covariance"},
            "interval over 40 draws of coefficients from their covariance",
        ),
        ({"bootstrap": 0}, "no interval"),
    ],
)
def test_the_interval_of_a_claim_is_called_what_it_is(
    fits: Any, options: dict[str, Any], words: str
):
    x = np.geomspace(1, 100, 20)
    table = pd.DataFrame(
        {"x": x, "loss": 2 / x * np.exp(np.random.default_rng(0).normal(0, 0.1, 20))}
    )
    told = {"bootstrap": 40, **options}
    fitted = fit(find_law("power"), Runs(table), {"x": "x"}, "loss", **told)
    one = replace(fits[0], group=(), fit=fitted)
    assert words in _coefficient((one,), published=1).found.basis


def test_an_interval_without_the_published_value_is_not_reproduced(fits: Any):
    found = _coefficient(fits, published=4, against=1, where={"budget.steps": 4000})
    assert found.verdict == "not reproduced"
    assert "contains the rival 1" in found.reason


def test_an_interval_with_both_values_cannot_tell_them_apart(fits: Any):
    found = _coefficient(fits, published=1, against=1.001, where={"budget.steps": 4000})
    assert found.verdict == "not comparable"
    assert "cannot tell apart" in found.reason


def test_a_claim_that_meets_several_fits_is_not_compared(fits: Any):
    found = _coefficient(fits, published=1)
    assert found.verdict == "not comparable"
    assert "2 of the 2 fits" in found.reason


def test_a_coefficient_that_the_law_lacks_is_not_compared(fits: Any):
    found = _coefficient(fits, coefficient="E", published=1, where={"budget.steps": 4000})
    assert "has no coefficient E" in found.reason


def test_a_refused_fit_is_not_compared():
    spec = FitSpec(name="width", law="power", inputs={"x": "model.width"}, metric="test_loss")
    refused = SweepFit("width", spec, (), None, "no finished trials", (), ())
    found = _coefficient((refused,), published=1)
    assert (found.verdict, found.reason) == (
        "not comparable",
        "the fit was refused: no finished trials",
    )


@pytest.mark.parametrize("published", [1.0, 4.0])
def test_a_verdict_from_a_law_that_does_not_fit_is_uncertain(published: float):
    generator = np.random.default_rng(0)
    trials = [
        MadeTrial(
            f"{width}-{seed}",
            {"model.width": width, "budget.steps": 4000, "seed": seed},
            {"test_loss": (0.4 / width + 1 / width**2) * float(np.exp(generator.normal(0, 0.01)))},
        )
        for width in (4, 8, 16, 32, 64, 128, 256)
        for seed in range(10)
    ]
    spec = FitSpec(name="width", law="power", inputs={"x": "model.width"}, metric="test_loss")
    sweep = width_sweep(report={"fits": [spec.model_dump(mode="json")]}, claims=[])
    fitted = study(sweep, as_runs(trials), resamples=100).fits
    assert fitted[0].fit is not None
    middle = fitted[0].fit.coefficient("c").value
    found = _coefficient(fitted, published=middle if published == 1.0 else published)
    assert found.verdict == ("reproduced" if published == 1.0 else "not reproduced")
    assert not found.sure
    assert "does not fit the cells" in found.reason
