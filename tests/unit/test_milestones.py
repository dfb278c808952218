"""Milestones: curves whose crossings are known, and what a sweep file may not ask of them."""

import json
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from analysis.curves import Curve, curve_of
from analysis.milestones import NEVER, asked_curves, reached, with_milestones
from analysis.runs import Runs
from analysis.summary import median_summary
from analysis.trials import as_runs
from sweeps.planning.questions import check_questions
from sweeps.plots import Milestone
from sweeps.spec import ReportSpec, SpecError, Sweep
from tests.sweep_trials import MadeTrial

STEPS = np.arange(10.0, 210.0, 10.0)


def rising(slope: float) -> Curve:
    """A metric that grows by `slope` a step, tested every ten steps of 32 examples."""
    return Curve(STEPS, slope * STEPS, 32)


def runs_of(**curves: Curve) -> Runs:
    trials = [MadeTrial(key, {"seed": number}) for number, key in enumerate(curves)]
    table = as_runs(trials)
    return Runs(table.table, (), {key: {"accuracy": one} for key, one in curves.items()})


@pytest.mark.parametrize(("slope", "step"), [(0.01, 50.0), (0.0049, 110.0), (0.5, 10.0)])
def test_the_first_test_at_or_above_the_level_is_the_milestone(slope: float, step: float):
    asked = Milestone(name="half", metric="accuracy", at_least=0.5, by="steps")
    assert reached(rising(slope), asked) == step


def test_examples_are_steps_times_the_batch():
    asked = Milestone(name="half", metric="accuracy", at_least=0.5)
    assert reached(rising(0.01), asked) == 50 * 32


def test_a_loss_has_to_fall_to_its_level():
    asked = Milestone(name="low", metric="loss", at_most=0.1, by="steps")
    falling = Curve(STEPS, 10.0 / STEPS, 1)
    assert reached(falling, asked) == 100.0


def test_a_curve_that_passed_the_level_once_has_reached_it_although_it_fell_back():
    asked = Milestone(name="half", metric="accuracy", at_least=0.5, by="steps")
    assert reached(curve_of({30: 0.1, 10: 0.2, 20: 0.6}, 1), asked) == 20.0


def test_nan_reaches_nothing():
    asked = Milestone(name="low", metric="loss", at_most=0.1, by="steps")
    assert reached(curve_of({1: np.nan, 2: 0.05}, 1), asked) == 2.0
    assert reached(curve_of({1: np.nan}, 1), asked) == NEVER


def test_a_trial_that_never_gets_there_and_one_without_a_curve_are_told_apart():
    asked = Milestone(name="half", metric="accuracy", at_least=0.5)
    runs = runs_of(a=rising(0.01), b=rising(0.0001))
    lost = Runs(as_runs([MadeTrial("a", {}), MadeTrial("b", {}), MadeTrial("c", {})]).table)
    with_column = with_milestones(Runs(lost.table, (), runs.curves), (asked,))
    assert with_column.table["half"].tolist() == [1_600.0, NEVER, None]


def test_a_milestone_is_a_column_like_any_metric():
    asked = Milestone(name="half", metric="accuracy", at_least=0.5, by="steps")
    runs = with_milestones(runs_of(a=rising(0.01), b=rising(0.02)), (asked,))
    assert runs.numbers("half").tolist() == [50.0, 30.0]


def test_a_report_without_milestones_and_training_curves_reads_no_curves():
    plain = {"title": "t", "x": "model.width", "y": ["accuracy"]}
    over = {"title": "t", "x": "steps", "y": ["accuracy"], "beside": "oracle_accuracy"}
    assert asked_curves(_report(plots=[plain])) == ()
    assert asked_curves(_report(plots=[plain, over])) == ("accuracy", "oracle_accuracy")


# What a sweep file may ask -----------------------------------------------------------------------


def _report(**parts: Any) -> ReportSpec:
    return ReportSpec.model_validate_json(json.dumps(parts))


HALF = {"name": "half", "metric": "accuracy", "at_least": 0.5}
LEAST = {"name": "least", "field": "model.width", "metric": "half", "at_most": 9, "by": ["seed"]}
PLOT = {"title": "t", "x": "model.width", "y": ["half"]}
FIT = {"name": "f", "law": "power", "of": "least", "inputs": {"x": "seed"}}


def checked(**parts: Any) -> Sweep:
    sweep = Sweep.model_validate_json(
        json.dumps(
            {
                "name": "asked",
                "trial": {},
                "objective": {"metric": "accuracy", "mode": "max"},
                "report": parts,
            }
        )
    )
    check_questions(sweep, {"accuracy", "params", "learned"}, {"model.width", "seed"}, {"accuracy"})
    return sweep


def test_what_is_known_may_be_asked_also_of_a_milestone():
    sweep = checked(milestones=[HALF], thresholds=[LEAST], plots=[PLOT], fits=[FIT])
    assert sweep.report.fits[0].metric == "least"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"milestones": [{**HALF, "metric": "loss"}]}, "milestones[0].metric: expected one of"),
        (
            {"milestones": [{**HALF, "metric": "learned"}]},
            "expected one of accuracy, which trials report as they train, got learned",
        ),
        ({"milestones": [{**HALF, "name": "params"}]}, "milestones[0].name: expected a name that"),
        ({"milestones": [HALF, HALF]}, "milestones[1].name: expected a name that no metric"),
        (
            {"thresholds": [LEAST]},
            "thresholds[0].metric: expected one of accuracy, learned, params",
        ),
        (
            {"milestones": [HALF], "thresholds": [{**LEAST, "field": "model.depth"}]},
            "thresholds[0].field: expected a field of the trials, got model.depth",
        ),
        (
            {"milestones": [HALF], "thresholds": [{**LEAST, "by": ["model.depth"]}]},
            "thresholds[0].by: expected a field of the trials, got model.depth",
        ),
        ({"plots": [PLOT]}, "plots[0].y: expected one of accuracy, learned, params, got half"),
        (
            {"plots": [{**PLOT, "y": ["accuracy"], "x": "model.depth"}]},
            "plots[0].x: expected a field of the trials, got model.depth",
        ),
        (
            {"milestones": [HALF], "plots": [{**PLOT, "x": "steps"}]},
            "plots[0].y: expected one of accuracy, which trials report as they train, got half",
        ),
        ({"fits": [FIT]}, "fits[0].of: expected the name of a threshold (none, there are no"),
        (
            {"milestones": [HALF], "thresholds": [LEAST], "fits": [{**FIT, "metric": "half"}]},
            "fits[0].metric: expected least, the value of its rows, or nothing, got half",
        ),
        (
            {
                "milestones": [HALF],
                "thresholds": [LEAST],
                "fits": [{**FIT, "inputs": {"x": "model.width"}}],
            },
            "fits[0].inputs: expected one of seed, which least has by, got model.width",
        ),
    ],
)
def test_what_no_trial_can_answer_is_refused_at_its_place(parts: dict[str, Any], words: str):
    with pytest.raises(SpecError) as refused:
        checked(**parts)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("milestones", {"name": "a", "metric": "b"}, "expected either at_least or at_most"),
        ("milestones", {**HALF, "at_most": 1}, "expected either at_least or at_most"),
        ("thresholds", {**LEAST, "by": ["model.width"]}, "not to be among by"),
        ("plots", {**PLOT, "by": ["model.width"]}, "on the axis or among by"),
        ("plots", {**PLOT, "y": ["half", "half"]}, "each metric of y once"),
        ("plots", {**PLOT, "row": True, "log": ["x"]}, "expected no training and no log"),
        ("plots", {**PLOT, "row": True, "x": "steps"}, "expected no training and no log"),
    ],
)
def test_what_contradicts_itself_is_refused_as_it_is_read(
    kind: str, given: dict[str, Any], words: str
):
    with pytest.raises(ValueError, match=words):
        _report(**{kind: [given]})


# Medians ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [6, 8, 9, 20, 101])
def test_the_interval_of_a_median_holds_it_as_often_as_it_says(count: int):
    found = median_summary([float(value) for value in range(1, count + 1)])
    assert found is not None
    assert found.low is not None
    rank = int(found.low)
    coverage = [1 - 2 * binom.cdf(each - 1, count, 0.5) for each in (rank, rank + 1)]
    assert coverage[0] >= 0.95 > coverage[1]
    assert found.high == count + 1 - rank


def test_few_values_give_no_interval_of_a_median():
    found = median_summary([3.0, 1.0, 2.0, 4.0, 5.0])
    assert found is not None
    assert (found.mean, found.low, found.high, found.pool) == (3.0, None, None, "median")


def test_what_was_never_reached_is_larger_than_every_number():
    found = median_summary([1.0, NEVER, 2.0])
    assert found is not None
    assert (found.mean, found.never) == (2.0, 1)
    late = median_summary([1.0, NEVER, NEVER])
    assert late is not None
    assert late.mean == NEVER
