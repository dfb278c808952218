"""Next runs: against simulated purchases, against every possible choice, and where nothing is told."""

import itertools
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.allocation.cost_models import SIX_ND, custom_cost, gpu_hours
from analysis.engine.compiled import predict, predict_many
from analysis.engine.objective import Objective
from analysis.engine.refit import refit, setup
from analysis.fit import Fit, fit
from analysis.law import find_law
from analysis.next_runs.candidates import grid_of, priced
from analysis.next_runs.decision import (
    Decision,
    best_size_of,
    coefficient_of,
    crossing_of,
    prediction_of,
)
from analysis.next_runs.plan import NextRuns, as_document, next_runs
from analysis.next_runs.purchase import TELLING, Spread, choose
from analysis.points import Points
from analysis.reporting.decision_sections import next_runs_section
from analysis.runs import Runs
from trainers.schema import InputError

CHINCHILLA, FLOOR, POWER = (find_law(name) for name in ("chinchilla", "power_floor", "power"))
TRUE = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
SQUARES = Objective(kind="squares")
NOISE = 0.001  # so small that a law is a straight line over it, which is what is tested
SIMULATED = 3_000


def _surface(seed: int = 0, noise: float = NOISE, count: int = 48, **kwargs: object) -> Fit:
    generator = np.random.default_rng(seed)
    params = np.exp(generator.uniform(np.log(1e7), np.log(3e9), count))
    tokens = np.exp(generator.uniform(np.log(1e9), np.log(1e11), count))
    loss = predict(CHINCHILLA, TRUE, {"params": params, "tokens": tokens})
    loss = loss * np.exp(generator.normal(0, noise, count))
    table = pd.DataFrame({"params": params, "tokens": tokens, "loss": loss})
    inputs = {"params": "params", "tokens": "tokens"}
    chosen = {"objective": SQUARES, "bootstrap": 200, **kwargs}
    return fit(CHINCHILLA, Runs(table), inputs, "loss", **chosen)  # type: ignore[arg-type]


def _curve(seed: int = 0, noise: float = NOISE, repeats: int = 3, **kwargs: object) -> Fit:
    generator = np.random.default_rng(seed)
    x = np.repeat(2.0 ** np.arange(4, 14), repeats)
    loss = (1.7 + 8 / x**0.4) * np.exp(generator.normal(0, noise, len(x)))
    chosen = {"objective": SQUARES, "bootstrap": 200, **kwargs}
    runs = Runs(pd.DataFrame({"x": x, "loss": loss}))
    return fit(FLOOR, runs, {"x": "x"}, "loss", **chosen)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def surface() -> Fit:
    return _surface()


@pytest.fixture(scope="module")
def curve() -> Fit:
    return _curve()


def _decision(name: str, surface: Fit, curve: Fit) -> Decision:
    return {
        "exponent": lambda: coefficient_of(surface, "alpha"),
        "amplitude": lambda: coefficient_of(surface, "B"),
        "far loss": lambda: prediction_of(surface, {"params": 3e10, "tokens": 1e12}),
        "best size": lambda: best_size_of(surface, 1e22),
        "exponent of one input": lambda: coefficient_of(curve, "c"),
        "floor": lambda: coefficient_of(curve, "E"),
        "loss of one input": lambda: prediction_of(curve, {"x": 1e6}),
    }[name]()


def _simulated(decision: Decision, bought: NextRuns) -> tuple[float, float]:
    """The share of the variance left by refits to runs that are drawn again, and its sampling error.

    Every refit is of all old runs, or of all old and new ones, with noise of their own.
    """
    fitted = decision.sources[0].fitted
    names = fitted.law.input_names
    rows = [one for one in bought.batch for _ in range(one.count)]
    old = fitted.points.values
    new = {name: np.array([dict(one.place)[name] for one in rows]) for name in names}
    both = {name: np.concatenate([old[name], new[name]]) for name in names}
    height = predict_many(fitted.law, fitted.vector, both)[0]
    generator = np.random.default_rng(1)
    measured = height * np.exp(generator.normal(0, NOISE, (SIMULATED, len(height))))

    def drawn(values: dict[str, np.ndarray], losses: np.ndarray) -> np.ndarray:
        on = Points(values, losses[0], tuple(losses[0][:, None]))
        found = refit(setup(fitted.law, on, fitted.objective_used), fitted.vector, measured=losses)
        assert found.converged.all()
        return decision.at([found.vectors])

    before = drawn(old, measured[:, : fitted.rows])
    after = drawn(both, measured)
    # The sampling error of a ratio of variances of the same draws, from twenty independent parts.
    parts = [
        np.log(one.var(ddof=1) / other.var(ddof=1))
        for one, other in zip(np.split(after, 20), np.split(before, 20), strict=True)
    ]
    error = float(np.std(parts, ddof=1) / math.sqrt(len(parts)))
    return float(np.log(after.var(ddof=1) / before.var(ddof=1))), error


@pytest.mark.parametrize(
    "name",
    [
        "exponent",
        "amplitude",
        "far loss",
        "best size",
        "exponent of one input",
        "floor",
        "loss of one input",
    ],
)
def test_the_variance_that_a_purchase_leaves_is_that_of_simulated_purchases(
    name: str, surface: Fit, curve: Fit
):
    decision = _decision(name, surface, curve)
    bought = next_runs(decision)
    assert bought.batch
    share, error = _simulated(decision, bought)
    assert error < 0.05
    assert 2 * math.log(bought.left) == pytest.approx(share, abs=4 * error)


def test_a_single_run_leaves_what_simulation_says_it_leaves(surface: Fit):
    decision = coefficient_of(surface, "alpha")
    place = {"params": [2e7], "tokens": [3e11]}
    bought = next_runs(decision, candidates=[priced(surface, place)], most=1, budget=1e30)
    (one,) = bought.batch
    assert one.count == 1
    assert one.alone == pytest.approx(one.left)
    share, error = _simulated(decision, bought)
    assert 2 * math.log(one.left) == pytest.approx(share, abs=4 * error)


def _random(seed: int, directions: int, places: int) -> tuple[Spread, np.ndarray]:
    generator = np.random.default_rng(seed)
    of = Spread(
        generator.normal(size=directions),
        generator.normal(size=(directions, places)) * generator.uniform(0.2, 2, places),
        generator.uniform(0.2, 2.0, places),
    )
    return of, np.exp(generator.normal(0, 0.7, places))


def _left(of: Spread, chosen: tuple[int, ...]) -> float:
    """The variance left by some runs, by the inverse of the information of prior and runs."""
    information = np.eye(len(of.decision))
    for place in chosen:
        information += np.outer(of.places[:, place], of.places[:, place]) / of.noise[place]
    return float(of.decision @ np.linalg.solve(information, of.decision))


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), runs=st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_runs_one_after_another_leave_what_they_leave_together(seed: int, runs: list[int]):
    of, _ = _random(seed, 4, 6)
    after = of
    for place in runs:
        alone = after.left()[place]
        after = after.after(place)
        assert after.variance == pytest.approx(alone, rel=1e-9)
    assert after.variance == pytest.approx(_left(of, tuple(runs)), rel=1e-9)


def _exhaustive(of: Spread, costs: np.ndarray, budget: float, most: int, repeats: int) -> float:
    """The least variance that any choice leaves."""
    best = of.variance
    for size in range(1, most + 1):
        for chosen in itertools.combinations_with_replacement(range(len(costs)), size):
            if max(map(chosen.count, chosen)) > repeats or costs[list(chosen)].sum() > budget:
                continue
            best = min(best, _left(of, chosen))
    return best


def test_the_choice_is_close_to_the_best_of_all_choices():
    gaps: list[float] = []
    for seed in range(60):
        of, costs = _random(seed, 4, 7)
        budget = float(np.sort(costs)[:4].sum())
        chosen = tuple(choose(of, costs, budget, most=4, repeats=2))
        assert costs[list(chosen)].sum() <= budget * (1 + 1e-9)
        best = _exhaustive(of, costs, budget, 4, 2)
        gaps.append(math.log(_left(of, chosen) / best))
    assert min(gaps) >= -1e-9
    assert np.median(gaps) < 1e-9  # mostly it is the best
    assert np.quantile(gaps, 0.95) < 0.05
    assert max(gaps) < 0.15


def test_where_runs_tell_of_one_direction_only_equal_costs_make_greedy_the_best():
    for seed in range(30):
        of, _ = _random(seed, 1, 7)
        costs = np.ones(7)
        best = _exhaustive(of, costs, 3.0, 3, 2)
        chosen = tuple(choose(of, costs, 3.0, most=3, repeats=2))
        # A run that takes less than its worth of the interval is left unbought.
        assert _left(of, chosen) <= best / (1 - TELLING) ** 4


def test_a_run_that_cannot_tell_anything_is_not_bought(surface: Fit):
    of, costs = _random(3, 4, 5)
    places = of.places.copy()
    places[:, 2] = 0.0
    blind = Spread(of.decision, places, of.noise)
    free = np.where(np.arange(5) == 2, 1e-9, costs)
    assert 2 not in choose(blind, free, 1e9, most=20, repeats=4)
    # Runs that tell of the size term alone say nothing of the data term where it is known.
    silent = Spread(np.array([1.0, 0.0]), np.array([[0.0], [5.0]]), np.ones(1))
    assert choose(silent, np.ones(1), 10.0, most=3, repeats=3) == []
    known = surface.law.fixed({"A": 480.0, "alpha": 0.35, "E": 1.8})
    made = fit(known, _runs(surface), dict(surface.inputs), "loss", objective=SQUARES, bootstrap=50)
    far = priced(made, {"params": [1e8], "tokens": [1e30]})
    bought = next_runs(coefficient_of(made, "beta"), candidates=[far], budget=1e60)
    assert bought.batch == ()
    assert bought.left == 1.0
    assert "no run for up to" in bought.text


def _runs(fitted: Fit) -> Runs:
    return Runs(pd.DataFrame({**fitted.points.values, "loss": fitted.points.measured}))


@pytest.mark.parametrize("budget", [1e19, 3e20, 1e22])
def test_costs_are_respected_and_more_money_never_leaves_more(surface: Fit, budget: float):
    decision = coefficient_of(surface, "alpha")
    found = next_runs(decision, budget=budget, most=6, repeats=2)
    assert found.budget == budget
    assert found.spent <= budget * (1 + 1e-9)
    assert sum(one.count for one in found.batch) <= 6
    assert all(one.count <= 2 for one in found.batch)
    for one in (*found.batch, *found.ranked):
        place = dict(one.place)
        assert one.cost == pytest.approx(6 * place["params"] * place["tokens"])
        assert one.cost <= budget * (1 + 1e-9)
    richer = next_runs(decision, budget=10 * budget, most=6, repeats=2)
    assert (
        richer.left <= found.left + 5e-4
    )  # ways that leave as much to a part in a thousand are equal


def test_single_runs_are_ranked_by_what_they_take_away_for_their_cost(surface: Fit):
    found = next_runs(best_size_of(surface, 1e22))
    gains = [-math.log(one.alone) / one.cost for one in found.ranked]
    assert gains == sorted(gains, reverse=True)
    (offer,) = found.offers
    telling = offer.alone <= 1 - TELLING
    assert gains[0] == pytest.approx(
        float((-np.log(offer.alone) / offer.candidates.cost)[telling].max())
    )


def test_the_interval_after_a_purchase_is_the_one_before_drawn_together(curve: Fit):
    found = next_runs(coefficient_of(curve, "c"))
    now, after = found.now, found.after
    known = curve.coefficient("c")
    assert now.value == after.value == pytest.approx(known.value)
    assert (now.low, now.high) == pytest.approx((known.low, known.high))
    for end, was in ((after.low, now.low), (after.high, now.high)):
        assert end is not None
        assert was is not None
        assert end - now.value == pytest.approx(found.left * (was - now.value))


def test_a_speed_that_grows_with_size_moves_the_purchase_to_larger_models(surface: Fit):
    decision = coefficient_of(surface, "beta")
    slow = next_runs(decision, cost=gpu_hours(SIX_ND, 1e14), budget=1e4)
    same = next_runs(decision, cost=SIX_ND, budget=1e4 * 3600 * 1e14)
    assert slow.unit == "GPU hours"
    assert [one.place for one in slow.batch] == [one.place for one in same.batch]
    assert slow.spent == pytest.approx(same.spent / 3600e14)
    fast = next_runs(decision, cost=gpu_hours(SIX_ND, {1e7: 1e12, 1e10: 4e14}), budget=1e4)
    usual = [math.log(dict(one.place)["params"]) for one in slow.ranked]
    moved = [math.log(dict(one.place)["params"]) for one in fast.ranked]
    assert np.mean(moved) > np.mean(usual)


def test_candidates_lie_where_a_law_can_be_trusted_and_can_be_paid(surface: Fit):
    grid = grid_of(surface, most=1e21)
    rows = surface.points.values
    ratio, here = rows["tokens"] / rows["params"], grid.values["tokens"] / grid.values["params"]
    assert (grid.cost <= 1e21 * (1 + 1e-9)).all()
    assert here.min() >= ratio.min() / 2
    assert here.max() <= ratio.max() * 2
    for name in ("params", "tokens"):
        assert grid.values[name].max() <= 8 * rows[name].max() * (1 + 1e-9)
        assert grid.values[name].min() >= rows[name].min() * (1 - 1e-9)


def test_a_crossing_of_two_laws_asks_for_runs_of_the_law_that_is_less_sure():
    x = np.repeat(2.0 ** np.arange(4, 12), 3)

    def made(scale: float, power: float, noise: float, seed: int) -> Fit:
        loss = scale * x**-power * np.exp(np.random.default_rng(seed).normal(0, noise, len(x)))
        runs = Runs(pd.DataFrame({"x": x, "loss": loss}))
        return fit(POWER, runs, {"x": "x"}, "loss", objective=SQUARES, bootstrap=100)

    sure, unsure = made(10.0, 0.30, 0.001, 0), made(14.0, 0.34, 0.03, 1)
    found = next_runs(crossing_of(sure, unsure, names=("plain", "rope")))
    assert {one.source for one in found.batch} == {"rope"}
    assert found.left < 0.9
    assert len(found.offers) == 2


def test_little_to_gain_is_said(curve: Fit):
    found = next_runs(coefficient_of(curve, "c"), budget=40.0, most=1)
    assert "little_to_gain" in {one.code for one in found.warnings}


@pytest.mark.parametrize("pool", ["none", "mean"])
def test_the_error_of_one_run_is_that_of_the_runs_also_where_rows_are_means_of_four(pool: str):
    made = [_curve(seed, noise=0.01, repeats=4, pool=pool, bootstrap=20) for seed in range(30)]
    noise = [next_runs(coefficient_of(one, "c"), most=1).noise[0] for one in made]
    variance = np.mean(np.square(noise))
    spare = sum(one.rows - 3 for one in made)
    assert variance / 0.01**2 == pytest.approx(1, abs=4 * math.sqrt(2 / spare))


def test_documents_and_sections_are_complete_and_the_same_again(surface: Fit):
    one, two = (next_runs(coefficient_of(surface, "alpha")) for _ in range(2))
    assert json.dumps(as_document(one), allow_nan=False) == json.dumps(as_document(two))
    first, second = next_runs_section("a", one), next_runs_section("a", two)
    assert first[0].picture is not None
    assert first[0].picture == second[0].picture  # type: ignore[union-attr]
    assert first[0].table is not None
    assert len(first[0].table.rows) == len(one.batch)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda on: coefficient_of(on, "gamma"), "expected a coefficient of E, A, B, alpha, beta"),
        (lambda on: prediction_of(on, {"params": 1e9}), "tokens: expected a positive number"),
        (lambda on: best_size_of(on, -1.0), "budget: expected a positive number"),
        (
            lambda on: next_runs(coefficient_of(on, "alpha"), budget=0.0),
            "budget: expected a positive",
        ),
        (
            lambda on: next_runs(coefficient_of(on, "alpha"), budget=1.0),
            "spend: expected what pays for a run, at least",
        ),
        (
            lambda on: next_runs(coefficient_of(on, "alpha"), candidates=[]),
            "candidates: expected 1 sets",
        ),
        (
            lambda on: next_runs(coefficient_of(on, "alpha"), cost=custom_cost("params * hours")),
            "cost: expected inputs of",
        ),
        (lambda on: priced(on, {"params": [1e9], "tokens": [-1.0]}), "expected positive numbers"),
        (lambda on: grid_of(on, reach=0.5), "reach: expected a number of at least 1"),
    ],
)
def test_mistakes_are_said_in_one_line(surface: Fit, call, words: str):
    with pytest.raises(InputError, match=words):
        call(surface)


def test_a_fit_without_resamples_has_no_interval_to_narrow():
    with pytest.raises(InputError, match="expected a fit with resamples"):
        coefficient_of(_curve(bootstrap=0), "c")
