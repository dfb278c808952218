"""The numbers behind the checks of a design: counts, noise, best settings, runs that ended early."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.checks.checks import table_checks
from analysis.checks.columns import Design
from analysis.checks.counts import embedding_params, epochs_of
from analysis.checks.ended import censored_runs, ended_trials, lowered
from analysis.checks.noise import CellNoise, below_mean, cell_noise, noise_trend
from analysis.checks.tuning import searched
from analysis.runs import Runs
from sweeps.planning.plan import PlannedTrial, plan
from tests.design_cases import (
    BY_BOTH,
    BY_SIZE,
    RATES,
    WIDTHS,
    Row,
    made,
    mlp,
    of_table,
    repeated,
    replicated,
    some_end,
    surface,
    sweep_of,
    transformer,
    tuned,
)
from trainers.schema import InputError


def test_diverged_and_stopped_trials_are_counted_in_their_cell():
    case = some_end(4)
    design = Design(case.runs, case.inputs, "loss", case.sweep)
    counted = {float(one.cell[0][1]): one for one in ended_trials(design)}
    assert len(counted) == 4
    widest = counted.pop(max(counted))
    assert (widest.finished, widest.diverged, widest.stopped) == (6, 4, 0)
    assert {(one.finished, one.diverged, one.stopped) for one in counted.values()} == {(10, 0, 0)}


def test_trials_that_spent_a_part_of_their_tokens_are_counted_where_they_were_planned():
    case = some_end(4)
    design = Design(case.runs, {"N": "params", "D": "tokens"}, "loss", case.sweep)
    assert sorted(one.diverged for one in ended_trials(design)) == [0, 0, 0, 4]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.5])
def test_the_lucky_ones_lie_as_low_as_draws_of_a_normal_do(share):
    draws = np.sort(np.random.default_rng(0).normal(size=400_000))
    assert lowered(share) == pytest.approx(-draws[: int((1 - share) * len(draws))].mean(), abs=0.01)


@pytest.mark.parametrize(
    ("count", "expected"),
    # E of the largest of n normals: 1/sqrt(pi), 3/(2 sqrt(pi)); 5: Tippett's table
    [(1, 0.0), (2, math.pi**-0.5), (3, 1.5 * math.pi**-0.5), (5, 1.16296)],
)
def test_the_least_of_some_draws_lies_as_low_as_theory_says(count, expected):
    assert below_mean(count) == pytest.approx(expected, abs=1e-5)


def test_noise_by_cell_is_the_standard_deviation_of_the_logs_and_its_inverse_square():
    case = replicated(lambda size: 0.3 * size**-0.25)
    found = cell_noise(Design(case.runs, case.inputs, case.target))
    table = case.runs.table
    for one in found:
        inside = table.loc[table["params"] == float(one.cell[0][1]), "loss"].astype(float)
        assert one.replicates == len(inside) == 8
        assert one.deviation == pytest.approx(stats.tstd(np.log(inside)), rel=1e-12)
        assert one.median == pytest.approx(float(stats.gmean(np.sort(inside)[3:5])), rel=1e-12)
    weights = np.array([one.weight for one in found])
    assert weights.mean() == pytest.approx(1)
    assert np.ptp(weights * np.array([one.deviation for one in found]) ** 2) < 1e-12


def test_a_trend_of_noise_is_found_by_chance_as_seldom_as_it_says_and_a_true_one_is_measured():
    generator = np.random.default_rng(0)

    def cells(power: float) -> list[CellNoise]:
        medians = np.exp(np.linspace(0, -3, 8))
        draws = [generator.normal(0, 0.01 * one**power, 6) for one in medians]
        return [
            CellNoise((), 6, m, float(d.std(ddof=1)), 1.0)
            for m, d in zip(medians, draws, strict=True)
        ]

    by_chance = [noise_trend(cells(0.0))[1] for _ in range(1000)]
    assert np.mean(np.array(by_chance) < 0.05) < 0.06
    assert np.mean(np.array(by_chance) < 1e-3) < 3e-3
    slopes = [noise_trend(cells(0.7))[0] for _ in range(400)]
    assert np.mean(slopes) == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize("seed", range(20))
def test_equal_noise_is_called_uneven_and_fresh_seeds_shared_in_none_of_twenty_tables(seed):
    generator = np.random.default_rng(seed)
    rows = [
        {"params": size, "seed": number, "loss": size**-0.2 * math.exp(generator.normal(0, 0.05))}
        for size in (1e4, 1e5, 1e6, 1e7)
        for number in range(5)
    ]
    assert not {"noise_uneven", "seeds_tie_cells"} & set(of_table(rows, BY_SIZE).codes())


def test_the_least_count_of_embeddings_is_below_the_true_one_and_most_of_it():
    sweep = sweep_of(transformer(), {"encoding.base": [10, 100, 1000], "model.width": [16, 64]})
    runs = made(sweep)
    found = embedding_params(Design(runs, BY_SIZE, "loss", sweep))
    assert found is not None
    least, whole = found
    costs = {trial.key: trial.config.cost().embedding_params for trial in plan(sweep).trials}
    true = np.array([costs[str(key)] for key in runs.table.index])
    assert not whole
    assert (least <= true).all()
    large = np.array([base == 1000 for base in runs.table["encoding.base"]])
    assert (least[large] > 0.9 * true[large]).all()


def test_the_exponent_would_move_by_the_slope_between_the_two_counts():
    # With N_all = N^0.8 exactly, a loss that falls as N_all^-a falls as N^-0.8a.
    rows = surface(
        params=lambda row: row["params"] ** 0.8 * 1e3, params_no_embed=lambda r: r["params"]
    )
    texts = [one.text for one in table_checks(of_table(rows).runs, BY_BOTH, "loss")]
    assert any("to about 0.80 times its value" in text for text in texts)


def test_epochs_are_examples_shown_over_distinct_ones():
    case = repeated([500, None])
    epochs = epochs_of(Design(case.runs, case.inputs, "loss", case.sweep))
    shown = [math.nan if one is None else 8_000 / one for one in case.runs.table["data.distinct"]]
    np.testing.assert_array_equal(epochs, shown)


def test_the_best_rate_of_each_size_is_the_grid_point_nearest_to_the_optimum():
    def best(params: float) -> float:
        return 0.2 * params**-0.6

    case = tuned(best, RATES)
    for one in searched(
        Design(case.runs, case.inputs, "loss", case.sweep), "optimizer.lr", "params"
    ):
        nearest = np.argmin(np.abs(np.log(one.values / best(one.size))))
        assert one.best == nearest


def delayed(outcomes: dict[int, str]) -> Runs:
    """Runs with the number of steps after which something was reached, or not at all."""
    sweep = sweep_of(mlp(), {"model.width": WIDTHS})

    def extra(trial: PlannedTrial) -> Row:
        return {"steps_to_reach": 300.0} if trial.point["model.width"] == 128 else {}

    return made(
        sweep,
        outcome=lambda trial: outcomes.get(trial.point["model.width"], "finished"),
        done=lambda trial: 0.25 if trial.point["model.width"] in outcomes else 1.0,
        extra=extra,
    )


def test_runs_that_never_reached_a_target_are_bounded_by_what_they_spent():
    runs = censored_runs(delayed({16: "stopped", 32: "diverged"}), "steps_to_reach")
    found = {
        row["model.width"]: (row["steps_to_reach"], row["censored"])
        for row in runs.table.to_dict("records")
    }
    assert found == {16: (250, 1), 32: (250, 1), 64: (1000, 1), 128: (300, 0)}
    assert runs.omitted == ()


def test_runs_that_failed_or_diverged_stay_omitted_where_that_is_asked():
    given = delayed({16: "failed", 32: "diverged"})
    runs = censored_runs(given, "steps_to_reach", ended=("stopped",))
    assert {one.outcome for one in runs.omitted} == {"failed", "diverged"}
    assert len(runs) == 2


def test_a_target_can_be_bounded_in_examples_too():
    runs = censored_runs(delayed({16: "stopped"}), "steps_to_reach", "examples")
    bounds = dict(zip(runs.table["model.width"], runs.table["steps_to_reach"], strict=True))
    assert (bounds[16], bounds[64]) == (250 * 8, 1000 * 8)


def test_censoring_refuses_a_target_that_no_run_has():
    with pytest.raises(InputError, match="grokked: expected a metric"):
        censored_runs(delayed({}), "grokked")
    table = Runs(pd.DataFrame({"steps_to_reach": [100.0, None]}))
    with pytest.raises(InputError, match="expected a number, or the steps"):
        censored_runs(table, "steps_to_reach")
