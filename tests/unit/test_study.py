"""Studies: tables, contrasts and fits of a sweep with known truths."""

import math

import pytest

from analysis.reporting.answer import answer
from analysis.study import Study, study
from analysis.trials import as_runs
from sweeps.spec import FitSpec, ReportSpec
from tests.sweep_trials import (
    LEARNED,
    MadeTrial,
    gcd_sweep,
    gcd_trials,
    width_sweep,
    width_trials,
)


@pytest.fixture(scope="module")
def gcd() -> Study:
    return study(gcd_sweep(), as_runs(gcd_trials()))


@pytest.fixture(scope="module")
def width() -> Study:
    return study(width_sweep(), as_runs(width_trials()), resamples=200)


def test_a_table_has_a_row_for_each_value_in_the_order_of_the_axis(gcd: Study):
    rows = gcd.tables[0].rows
    assert [dict(row.group)["encoding.base"] for row in rows] == [6, 10, 12, 31]
    assert [row.trials for row in rows] == [12, 12, 12, 12]
    assert [list(row.lists[0]) for row in rows] == list(LEARNED.values())


def test_the_reference_stands_beside_each_row(gcd: Study):
    base_31 = gcd.tables[0].rows[3]
    assert base_31.beside is not None
    assert base_31.beside.mean == pytest.approx(6 / math.pi**2)


def test_a_contrast_recovers_the_difference_that_made_the_trials(gcd: Study):
    rows = gcd.contrasts[0].rows
    assert [dict(row.group)["encoding.base"] for row in rows] == [6, 10, 12, 31]
    for row in rows:
        assert row.difference is not None
        assert row.difference.count == 6
        assert row.difference.mean == pytest.approx(0.02, abs=0.004)
        assert row.difference.low is not None
        assert row.difference.low > 0


def test_a_trial_without_a_partner_makes_no_pair():
    runs = as_runs(gcd_trials()[1:])
    first = study(gcd_sweep(), runs).contrasts[0].rows[0]
    assert first.difference is not None
    assert (first.difference.count, first.unpaired) == (5, 1)


def test_replicates_are_paired_with_their_own_seed_only():
    def trial(distinct: int | None, seed: int, accuracy: float) -> MadeTrial:
        fields = {"encoding.base": 6, "model.width": 16, "data.distinct": distinct, "seed": seed}
        return MadeTrial(f"{distinct}{seed}", fields, {"accuracy": accuracy})

    trials = [trial(None, 0, 0.1), trial(2000, 0, 0.2), trial(None, 1, 0.8), trial(2000, 1, 0.9)]
    (row,) = study(gcd_sweep(), as_runs(trials)).contrasts[0].rows
    assert row.difference is not None
    assert (row.difference.count, row.difference.mean) == (2, pytest.approx(0.1))
    assert row.difference.low == pytest.approx(0.1)


def test_each_part_of_a_split_has_its_own_fit(width: Study):
    assert [one.group for one in width.fits] == [
        (("budget.steps", 1000),),
        (("budget.steps", 4000),),
    ]
    for one, exponent in zip(width.fits, (0.6, 1.0), strict=True):
        assert one.fit is not None
        assert one.fit.rows == 7
        estimate = one.fit.coefficient("c")
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low < exponent < estimate.high
        assert [test.largest for test in one.backtests] == [1, 2, 4]


def test_diverged_trials_are_listed_with_their_reason_and_counted_in_their_row(width: Study):
    assert len(width.omitted) == 6
    assert {one.outcome for one in width.omitted} == {"diverged"}
    assert {one.reason for one in width.omitted} == {"the loss was not finite at step 120"}
    assert [row.omitted for row in width.tables[0].rows] == [0] * 6 + [3] + [0] * 6 + [3]


def test_a_finished_trial_with_a_loss_of_zero_is_listed_and_not_fitted():
    trials = width_trials()
    spoilt = MadeTrial(trials[0].key, trials[0].fields, {"test_loss": 0.0})
    found = study(width_sweep(), as_runs([spoilt, *trials[1:]]), resamples=2)
    assert [one.reason for one in found.omitted if one.key == spoilt.key] == [
        "test_loss is 0; a law needs a positive finite number"
    ]


def test_pooling_over_an_axis_that_the_law_does_not_know_is_said():
    fit = FitSpec(
        name="width", law="power", inputs={"x": "model.width"}, metric="test_loss", pool="median"
    )
    sweep = width_sweep(report={"fits": [fit.model_dump(mode="json")]}, claims=[])
    assert sweep.report == ReportSpec(fits=(fit,))
    found = study(sweep, as_runs(width_trials()), resamples=2)
    assert [note.code for note in found.fits[0].notes] == ["mixed_cells"]


def test_a_sweep_without_finished_trials_has_a_report_all_the_same():
    running = [
        MadeTrial(one.key, one.fields, {}, {}, "running", "") for one in width_trials(diverged=0)
    ]
    found = study(width_sweep(), as_runs(running))
    assert found.best is None
    assert found.fits[0].fit is None
    assert {one.verdict for one in found.verdicts} == {"not comparable"}
    assert {one.reason for one in found.omitted} == {"not finished yet"}


def test_the_best_trial_is_the_one_of_the_objective(gcd: Study):
    assert gcd.best is not None
    accuracies = {one.key: one.metrics["accuracy"] for one in gcd_trials()}
    assert gcd.best.key == max(accuracies, key=lambda key: accuracies[key])


def test_the_answer_names_every_claim_that_was_not_reproduced(gcd: Study):
    text = " ".join(answer(gcd))
    assert "1 is not reproduced: base 6 passes 99 %" in text


def test_the_same_trials_in_another_order_give_the_same_study(gcd: Study):
    assert study(gcd_sweep(), as_runs(gcd_trials()[::-1])).tables == gcd.tables
