"""Verdicts on shares, changes, medians and laws: hand-computed, and they flip where a bound is crossed."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from scipy import stats

from analysis.claims.judge import verdict
from analysis.claims.verdict import Verdict
from analysis.runs import Runs
from analysis.study import study
from analysis.sweep_fits import SweepFit
from analysis.trials import as_runs
from sweeps.claim import Claim
from sweeps.spec import Sweep
from tests.sweep_trials import MadeTrial, width_sweep

CLAIM: TypeAdapter[Claim] = TypeAdapter(Claim)
MILESTONE = {"name": "examples_to_99", "metric": "accuracy", "at_least": 0.99}


def _sweep() -> Sweep:
    return Sweep.model_validate_json(
        json.dumps(
            {
                "name": "arms",
                "trial": {"task": {"kind": "gcd"}},
                "axes": [
                    {"kind": "values", "field": "data.distinct", "values": [None, 5000]},
                    {"kind": "values", "field": "model.width", "values": [16, 32]},
                ],
                "replicates": 8,
                "objective": {"metric": "accuracy", "mode": "max"},
                "report": {"milestones": [MILESTONE]},
            }
        )
    )


def _trials(metric: str, **arms: list[Any]) -> list[MadeTrial]:
    """One trial for each value, `fresh` and `repeated` by seed."""
    made = []
    for name, values in arms.items():
        for seed, value in enumerate(values):
            fields = {
                "data.distinct": None if name == "fresh" else 5000,
                "model.width": 16,
                "seed": seed,
                "budget.examples": 1000,
            }
            metrics, details = (
                ({}, {metric: value}) if isinstance(value, str) else ({metric: value}, {})
            )
            made.append(MadeTrial(f"{name}-{seed:03d}", fields, metrics, details))
    return made


def _check(trials: list[MadeTrial], **claim: Any) -> Verdict:
    given_ = CLAIM.validate_json(json.dumps({"say": "it is so", **claim}))
    return verdict(given_, _sweep(), as_runs(trials), ())


SHARE = {"share": "accuracy", "above": 0.43}
CHANGE = {"change": "accuracy", "from": {"data.distinct": None}, "to": {"data.distinct": 5000}}


def test_a_share_has_the_exact_interval_of_its_trials():
    found = _check(_trials("accuracy", fresh=[0.2] * 4 + [0.6] * 4), **SHARE, at_least=0.1)
    theirs = stats.binomtest(4, 8).proportion_ci(method="exact")
    assert found.found.value == 0.5
    assert (found.found.low, found.found.high) == pytest.approx((theirs.low, theirs.high))
    assert (found.verdict, found.sure) == ("reproduced", True)
    assert found.found.here == "0.5000 (4 of 8)"
    assert "few" not in found.reason


def test_a_share_at_its_level_has_not_passed_it():
    found = _check(_trials("accuracy", fresh=[0.43] * 8), **SHARE, at_most=0.5)
    assert found.found.value == 0.0


def test_a_share_of_few_seeds_is_said_to_be_few():
    found = _check(_trials("accuracy", fresh=[0.6] * 7), **SHARE, at_least=0.25)
    assert "7 seeds, which is few for a share" in found.reason


def test_a_share_may_count_what_a_trial_says_of_itself():
    trials = _trials("phase", fresh=["full inversion"] * 6 + ["coexistence"] * 2)
    found = _check(trials, share="phase", **{"is": "full inversion"}, at_least=0.3)
    assert (found.found.value, found.verdict) == (0.75, "reproduced")


@given(passed=st.integers(0, 20), bound=st.floats(0.0, 1.0))
def test_the_verdict_on_a_share_flips_where_its_bound_is_crossed(passed: int, bound: float):
    trials = _trials("accuracy", fresh=[0.9] * passed + [0.1] * (20 - passed))
    found = _check(trials, **SHARE, at_least=bound)
    assert (found.verdict == "reproduced") == (passed / 20 >= bound)
    ends = stats.binomtest(passed, 20).proportion_ci(method="exact")
    if abs(bound - ends.low) > 1e-9 and abs(bound - ends.high) > 1e-9:
        assert found.sure == (not ends.low < bound <= ends.high)


def test_a_change_is_the_mean_over_pairs_with_the_interval_of_a_paired_t_test():
    fresh, repeated = [0.2, 0.25, 0.22, 0.3], [0.3, 0.37, 0.31, 0.42]
    found = _check(_trials("accuracy", fresh=fresh, repeated=repeated), **CHANGE, at_least=0.05)
    theirs = stats.ttest_rel(repeated, fresh).confidence_interval()
    assert (found.found.low, found.found.high) == pytest.approx((theirs.low, theirs.high))
    assert (found.verdict, found.sure, found.found.trials) == ("reproduced", True, 4)


def test_a_ratio_is_a_geometric_mean_and_positive():
    found = _check(
        _trials("accuracy", fresh=[0.1, 0.2, 0.4], repeated=[0.2, 0.8, 0.4]),
        **CHANGE, **{"as": "ratio"}, at_least=1.5,
    )  # fmt: skip
    assert found.found.value == pytest.approx(2.0)  # of 2, 4 and 1
    nothing = _check(
        _trials("accuracy", fresh=[0.0, 0.2], repeated=[0.2, 0.8]),
        **CHANGE, **{"as": "ratio"}, at_least=1.5,
    )  # fmt: skip
    assert (nothing.verdict, nothing.found.value) == ("not comparable", None)
    assert "positive" in nothing.reason


def test_trials_without_a_partner_are_left_out_and_counted():
    found = _check(
        _trials("accuracy", fresh=[0.2, 0.25, 0.22, 0.9], repeated=[0.3, 0.37, 0.31]),
        **CHANGE, at_least=0.05,
    )  # fmt: skip
    assert (found.found.trials, found.verdict) == (3, "reproduced")
    assert "1 trial without a partner" in found.reason


def test_arms_without_pairs_are_compared_as_welch_does():
    fresh, repeated = [0.2, 0.25, 0.22], [0.5, 0.37, 0.31, 0.42]
    trials = [
        MadeTrial(one.key, {**one.fields, "seed": one.fields["seed"] + shift}, one.metrics)
        for shift, arm in ((0, {"fresh": fresh}), (100, {"repeated": repeated}))
        for one in _trials("accuracy", **arm)
    ]
    found = _check(trials, **CHANGE, at_least=0.05)
    theirs = stats.ttest_ind(repeated, fresh, equal_var=False).confidence_interval()
    assert (found.found.low, found.found.high) == pytest.approx((theirs.low, theirs.high))


def test_trials_that_differ_in_another_axis_are_no_pair():
    trials = _trials("accuracy", fresh=[0.2, 0.3], repeated=[0.5, 0.7])
    wide = [
        MadeTrial(f"wide-{one.key}", {**one.fields, "model.width": 32}, {"accuracy": 0.9})
        for one in trials
    ]
    found = _check([*trials, *wide], **CHANGE, at_least=0.1)
    # differences of 0.3, 0.4 and twice 0
    assert (found.found.trials, found.found.value) == (4, pytest.approx(0.175))


def test_shares_are_compared_over_pairs():
    found = _check(
        _trials("accuracy", fresh=[0.2] * 8, repeated=[0.6] * 6 + [0.2] * 2),
        **CHANGE, above=0.43, at_least=0.1,
    )  # fmt: skip
    assert found.found.value == 0.75
    assert found.found.here == "+0.7500 (0 of 8 to 6 of 8)"
    # the score intervals of 6/8 and 0/8, 0.4093 to 0.9285 and 0 to 0.3244, and no correlation
    assert found.found.low == pytest.approx(0.75 - math.hypot(0.75 - 0.40928, 0.32441), abs=1e-4)
    assert (found.verdict, found.sure) == ("reproduced", True)


@given(change=st.floats(-0.3, 0.3), bound=st.floats(-0.3, 0.3), seed=st.integers(0, 1_000))
def test_the_verdict_on_a_change_flips_where_its_bound_is_crossed(
    change: float, bound: float, seed: int
):
    fresh = np.random.default_rng(seed).normal(0.5, 0.05, 6)
    repeated = fresh + change + np.random.default_rng(seed + 1).normal(0, 0.02, 6)
    trials = _trials("accuracy", fresh=fresh.tolist(), repeated=repeated.tolist())
    found = _check(trials, **CHANGE, at_most=bound)
    mean = float((repeated - fresh).mean())
    if abs(mean - bound) > 1e-12:
        assert (found.verdict == "reproduced") == (mean <= bound)


def test_a_milestone_is_pooled_by_its_median_and_never_is_larger_than_every_number():
    reached = [100.0, 200.0, 300.0, 400.0, math.inf, math.inf, math.inf]
    found = _check(_trials("examples_to_99", fresh=reached), metric="examples_to_99", at_most=500)
    assert (found.found.value, found.found.low, found.found.high) == (400.0, 100.0, math.inf)
    assert (found.verdict, found.sure) == ("reproduced", False)
    assert "3 never got there" in found.reason
    assert found.found.spread == "100 to never"


def test_a_milestone_that_some_never_reached_has_no_mean():
    found = _check(
        _trials("examples_to_99", fresh=[1.0, math.inf]),
        metric="examples_to_99", pool="mean", at_most=500,
    )  # fmt: skip
    assert (found.verdict, found.found.value) == ("not comparable", None)


def test_the_median_ratio_of_a_milestone_leaves_out_pairs_in_which_neither_got_there():
    inf = math.inf
    found = _check(
        _trials("examples_to_99", fresh=[100.0, 100.0, inf, inf], repeated=[50.0, inf, 10.0, inf]),
        **{**CHANGE, "change": "examples_to_99"}, **{"as": "ratio"}, at_most=1,
    )  # fmt: skip
    assert (found.found.value, found.found.trials) == (0.5, 3)  # of 0.5, never, and 0
    assert not found.sure


def test_an_infinite_loss_is_no_milestone():
    found = _check(_trials("test_loss", fresh=[1.0, math.inf, 3.0]), metric="test_loss", at_most=2)
    assert (found.found.trials, found.found.value) == (2, 2.0)


def test_the_most_likely_reason_is_told_only_where_something_was_not_reproduced():
    trials = _trials("accuracy", fresh=[0.5, 0.5])
    given_ = {"metric": "accuracy", "likely": "too few examples", "threshold_from": "result"}
    yes, no = _check(trials, **given_, at_least=0.1), _check(trials, **given_, at_least=0.9)
    assert (yes.likely, no.likely) == ("", "too few examples")
    assert no.expected_from == "at least 0.9 (chosen after seeing these results)"


def test_needs_hold_for_shares_and_changes_too():
    trials = _trials("accuracy", fresh=[0.2] * 3, repeated=[0.6] * 3)
    needs = {"needs": {"budget.examples": 5_000}, "at_least": 0.1}
    for claim in (SHARE, CHANGE):
        found = _check(trials, **claim, **needs)
        assert found.verdict == "not comparable"
        assert found.reason.endswith("these trials saw 1,000")


def _fitted(curved: bool) -> tuple[Sweep, Runs, tuple[SweepFit, ...]]:
    """Losses that fall as a power of the width, or with its logarithm, and both laws fitted."""
    generator = np.random.default_rng(3)
    trials = []
    for width in (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256):
        truth = 3 - 0.3 * math.log(width) if curved else 2 * width**-0.7
        for seed in range(4):
            loss = truth * math.exp(generator.normal(0, 0.01))
            fields = {"model.width": width, "budget.steps": 4000, "seed": seed}
            trials.append(MadeTrial(f"{width}-{seed}", fields, {"test_loss": loss}))
    fit = {
        "name": "width", "law": "power", "rivals": ["logarithmic"], "inputs": {"x": "model.width"},
        "metric": "test_loss",
    }  # fmt: skip
    sweep, runs = width_sweep(report={"fits": [fit]}, claims=[]), as_runs(trials)
    return sweep, runs, study(sweep, runs, resamples=60).fits


@pytest.fixture(scope="module")
def power() -> tuple[Sweep, Runs, tuple[SweepFit, ...]]:
    return _fitted(curved=False)


@pytest.fixture(scope="module")
def logarithmic() -> tuple[Sweep, Runs, tuple[SweepFit, ...]]:
    return _fitted(curved=True)


def _about(made: tuple[Sweep, Runs, tuple[SweepFit, ...]], **claim: Any) -> Verdict:
    text = json.dumps({"say": "a law", "fit": "width", **claim})
    return verdict(CLAIM.validate_json(text), *made)


@pytest.mark.parametrize(("name", "truth"), [("logarithmic", "logarithmic"), ("power", "power")])
def test_the_law_that_made_the_losses_foresees_them_better(
    name: str, truth: str, request: pytest.FixtureRequest
):
    made = request.getfixturevalue(name)
    other = "power" if truth == "logarithmic" else "logarithmic"
    yes, no = _about(made, better=truth, than=other), _about(made, better=other, than=truth)
    assert (yes.verdict, yes.sure) == ("reproduced", True)
    assert (no.verdict, no.sure) == ("not reproduced", True)
    assert yes.found.trials == 52


def test_a_law_of_another_form_is_not_better_by_chance(power: Any):
    sweep, runs, fits = power
    few = runs.table[[row in (4, 8, 16, 32) for row in runs.table["model.width"]]]
    fewer = study(sweep, Runs(few), resamples=60).fits
    found = _about((sweep, Runs(few), fewer), better="logarithmic", than="power")
    assert not found.sure or found.verdict == "not comparable"
    assert fits[0].ranking is not None


@pytest.mark.parametrize(
    ("published", "within", "decision"),
    [(0.75, 0.1, "reproduced"), (0.75, 0.01, "not reproduced"), (1.0, 0.2, "not reproduced")],
)
def test_an_estimate_must_lie_as_near_as_the_claim_says(
    power: Any, published: float, within: float, decision: str
):
    found = _about(power, coefficient="c", published=published, within=within)
    assert (found.verdict, found.sure) == (decision, True)
    assert f"{published:g} ± {within:g}" in found.expected


def test_needs_hold_for_fits_too(power: Any):
    needs = {"budget.steps": 100_000}
    for claim in (
        {"better": "power", "than": "logarithmic"},
        {"coefficient": "c", "published": 0.7},
    ):
        found = _about(power, **claim, needs=needs)
        assert (found.verdict, found.reason) == (
            "not comparable",
            "the published figure took at least 100,000 steps; these trials saw 4,000",
        )
