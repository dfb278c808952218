"""Thresholds: smallest sufficient values that are planted, and the laws fitted to them."""

import json
import math
from itertools import product
from typing import Any

import pytest

from analysis.runs import Runs
from analysis.study import Study, study
from analysis.thresholds import as_runs, cautions, threshold
from analysis.trials import as_runs as trials_as_runs
from sweeps.spec import Sweep
from tests.sweep_trials import MadeTrial

COUNTS = [1, 2, 5, 10, 20, 50, 100, 200]
SIZES = [100, 1_000, 10_000, 100_000, 1_000_000]
LEAST = {
    "name": "least",
    "field": "data.prime.count",
    "metric": "long/accuracy",
    "at_least": 0.5,
    "by": ["data.distinct"],
}


def sweep_of(**report: Any) -> Sweep:
    return Sweep.model_validate_json(
        json.dumps(
            {
                "name": "priming",
                "trial": {},
                "axes": [
                    {"kind": "values", "field": "data.distinct", "values": SIZES},
                    {"kind": "values", "field": "data.prime.count", "values": COUNTS},
                ],
                "replicates": 2,
                "objective": {"metric": "long/accuracy", "mode": "max"},
                "report": {"thresholds": [LEAST], **report},
            }
        )
    )


def trials(needed: dict[int, float]) -> Runs:
    """Two seeds of every setting; they generalise where the count is at least what is needed."""
    return trials_as_runs(
        [
            MadeTrial(
                f"{size}-{count}-{seed}",
                {"data.distinct": size, "data.prime.count": count, "seed": seed},
                {"long/accuracy": (0.9 if count >= least else 0.1) + 0.02 * seed},
            )
            for (size, least), count, seed in product(needed.items(), COUNTS, (0, 1))
        ]
    )


def rows(needed: dict[int, float], **changes: Any) -> list[tuple[Any, float | None, float | None]]:
    sweep = sweep_of(thresholds=[{**LEAST, **changes}])
    found = threshold(sweep, sweep.report.thresholds[0], trials(needed))
    return [(dict(row.group).get("data.distinct"), row.smallest, row.below) for row in found.rows]


def test_the_smallest_count_that_is_enough_is_found_for_each_group():
    assert rows({100: 2, 1_000: 20, 10_000: 100}) == [
        (100, 2.0, 1.0),
        (1_000, 20.0, 10.0),
        (10_000, 100.0, 50.0),
    ]


def test_a_group_that_never_gets_there_and_one_that_always_was_are_told():
    sweep = sweep_of()
    found = threshold(sweep, sweep.report.thresholds[0], trials({100: 0, 1_000: 999}))
    assert [(row.smallest, row.below) for row in found.rows] == [(1.0, None), (None, None)]
    codes = {one.code: one.text for one in cautions(found)}
    assert "1 of 2 rows no data.prime.count" in codes["threshold_never_reached"]
    assert "1 of 1 rows the smallest" in codes["threshold_at_the_edge"]


def test_the_mean_over_seeds_counts_and_not_the_best_seed():
    assert rows({100: 5}, at_least=0.905)[0][1] == 5.0  # the mean there is 0.91
    assert rows({100: 5}, at_least=0.915)[0][1] is None  # one seed has 0.92


def test_a_fall_below_the_level_at_a_larger_value_is_said():
    made = trials({100: 5})
    spoilt = made.table.copy()
    spoilt.loc[["100-50-0", "100-50-1"], "long/accuracy"] = 0.2
    sweep = sweep_of()
    found = threshold(sweep, sweep.report.thresholds[0], Runs(spoilt))
    assert found.rows[0].smallest == 5.0
    assert found.rows[0].lapses == (50.0,)
    assert "threshold_not_kept" in {one.code for one in cautions(found)}


def test_a_level_from_above_is_a_level_too():
    assert rows({100: 5}, at_least=None, at_most=0.2)[0][1] == 1.0


def test_without_groups_there_is_one_row():
    assert rows({100: 5, 1_000: 10}, by=[]) == [(None, 5.0, 2.0)]  # half of 0.91 and 0.11 is 0.51


def test_the_rows_are_runs_with_their_fields_and_what_is_missing_is_omitted():
    sweep = sweep_of()
    made = as_runs(threshold(sweep, sweep.report.thresholds[0], trials({100: 2, 1_000: 999})))
    assert made.table.to_dict("records") == [{"data.distinct": 100, "least": 2.0}]
    assert [dict(one.fields) for one in made.omitted] == [{"data.distinct": 1_000}]


@pytest.fixture(scope="module")
def logarithmic() -> Study:
    """Counts that grow with the size of the training set."""
    fit = {"name": "priming", "of": "least", "law": "power", "inputs": {"x": "data.distinct"}}
    sweep = sweep_of(fits=[fit])
    return study(sweep, trials({size: 2 * 10 ** (0.35 * n) for n, size in enumerate(SIZES)}))


def test_a_law_is_fitted_to_the_rows_of_a_threshold(logarithmic: Study):
    (one,) = logarithmic.fits
    assert one.fit is not None
    assert one.fit.points.measured.tolist() == [2.0, 5.0, 20.0, 50.0, 100.0]
    assert one.fit.points.values["x"].tolist() == SIZES


def test_a_fit_of_few_rows_says_how_few(logarithmic: Study):
    (one,) = logarithmic.fits
    assert (
        "there are 5 rows of least"
        in {note.code: note.text for note in one.notes}["few_thresholds"]
    )


# Milestones in tables and fits --------------------------------------------------------------------


def with_milestone(never: int) -> Study:
    """Widths 8 to 128, whose trials reach the level after 8,000 / width examples, some never."""
    sweep = Sweep.model_validate_json(
        json.dumps(
            {
                "name": "reaching",
                "trial": {},
                "axes": [
                    {"kind": "values", "field": "model.width", "values": [8, 16, 32, 64, 128]}
                ],
                "replicates": 3,
                "objective": {"metric": "accuracy", "mode": "max"},
                "report": {
                    "milestones": [{"name": "to_99", "metric": "accuracy", "at_least": 0.99}],
                    "tables": [{"title": "t", "rows": ["model.width"], "metrics": ["to_99"]}],
                    "fits": [
                        {
                            "name": "f",
                            "law": "power",
                            "metric": "to_99",
                            "inputs": {"x": "model.width"},
                        }
                    ],
                },
            }
        )
    )
    made = [
        MadeTrial(
            f"{width}-{seed}",
            {"model.width": width, "seed": seed},
            {"accuracy": 1.0, "to_99": math.inf if width == 8 and seed < never else 8_000 / width},
        )
        for width in (8, 16, 32, 64, 128)
        for seed in range(3)
    ]
    return study(sweep, trials_as_runs(made), resamples=50)


def test_a_table_has_the_median_of_a_milestone_and_counts_who_never_got_there():
    summaries = [row.metrics[0] for row in with_milestone(never=1).tables[0].rows]
    assert [(one.mean, one.never) for one in summaries if one] == [
        (1_000.0, 1),
        (500.0, 0),
        (250.0, 0),
        (125.0, 0),
        (62.5, 0),
    ]
    most = with_milestone(never=2).tables[0].rows[0].metrics[0]
    assert most is not None
    assert most.mean == math.inf


def test_a_fit_of_a_milestone_recovers_its_law_and_names_the_trials_without_it():
    found = with_milestone(never=1)
    (one,) = found.fits
    assert one.fit is not None
    exponent = {each.name: each.value for each in one.fit.coefficients}["c"]
    assert exponent == pytest.approx(1.0, abs=1e-6)
    assert [each.reason for each in found.omitted] == ["to_99 was never reached"]
    assert "milestone_never_reached" in {note.code for note in one.notes}
    assert (found.milestones[0].reached, found.milestones[0].trials) == (14, 15)
