"""The frontier of learning curves: brute force, the theory's exponent, resamples, warnings."""

import json

import numpy as np
import pandas as pd
import pytest

from analysis.isoflop.frontier import Frontier, as_document, as_table, frontier
from analysis.runs import Runs
from trainers.schema import InputError

E, A, B, ALPHA, BETA = 1.69, 406.4, 410.7, 0.34, 0.28
SIZES = np.geomspace(2e7, 1e10, 16)
EXPONENT = BETA / (ALPHA + BETA)


def loss(params: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    return E + A * params**-ALPHA + B * tokens**-BETA


def curves(
    *,
    sizes: np.ndarray = SIZES,
    rows: int = 200,
    noise: float = 0.0,
    seed: int = 0,
    most: float = 600,
) -> Runs:
    """Every size from 1 to `most` tokens a parameter."""
    generator = np.random.default_rng(seed)
    tables = []
    for place, size in enumerate(sizes):
        tokens = size * np.geomspace(1, most, rows)
        values = loss(size, tokens) * np.exp(noise * generator.standard_normal(rows))
        tables.append(
            pd.DataFrame({"run": f"r{place}", "params": size, "tokens": tokens, "loss": values})
        )
    return Runs(pd.concat(tables, ignore_index=True))


def codes(found: Frontier) -> set[str]:
    return {one.code for one in found.warnings}


def test_the_winner_at_every_compute_is_that_of_brute_force():
    found = frontier(curves(rows=400), smooth=0.0, bootstrap=0)
    tokens = found.flops[None] / (6 * SIZES[:, None])
    values = loss(SIZES[:, None], tokens)
    values[(tokens < 0.999 * SIZES[:, None]) | (tokens > 600.1 * SIZES[:, None])] = np.inf
    best = values.argmin(axis=0)
    # Interpolation between rows may decide a tie at a crossing.
    assert (found.winner == best).mean() > 0.99
    np.testing.assert_allclose(found.loss, values.min(axis=0), rtol=1e-4)
    np.testing.assert_allclose(found.tokens * found.params * 6, found.flops, rtol=1e-4)


def test_the_exponents_are_those_of_the_surface():
    found = frontier(curves(), bootstrap=0)
    assert found.params_law is not None
    assert found.tokens_law is not None
    assert found.params_law.slope("flops").value == pytest.approx(EXPONENT, abs=0.01)
    assert found.tokens_law.slope("flops").value == pytest.approx(1 - EXPONENT, abs=0.01)
    assert found.params_law.slope("flops").low is None


def test_only_sizes_between_the_smallest_and_the_largest_enter_the_law():
    found = frontier(curves(), bootstrap=0)
    np.testing.assert_array_equal(
        found.inner, (found.params > SIZES.min()) & (found.params < SIZES.max())
    )
    ends = np.isclose(found.params, SIZES.min()) | np.isclose(found.params, SIZES.max())
    assert ends.any()


def test_the_interval_from_whole_curves_covers_the_exponent():
    inside = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        sizes = np.sort(np.exp(generator.uniform(np.log(2e7), np.log(1e10), 16)))
        found = frontier(
            curves(sizes=sizes, rows=60, noise=0.003, seed=seed), levels=150, bootstrap=200
        )
        assert found.params_law is not None
        slope = found.params_law.slope("flops")
        assert slope.low is not None
        assert slope.high is not None
        inside += slope.low <= EXPONENT <= slope.high
    assert inside >= 16


def test_a_resample_is_the_frontier_of_the_curves_that_were_drawn():
    runs = curves(sizes=SIZES[::2], rows=60)
    found = frontier(runs, levels=80, bootstrap=40, seed=5)
    chosen = np.random.default_rng(5).integers(0, 8, (40, 8))
    slopes = []
    low, high = found.flops.min(), found.flops.max()
    for draw in chosen:
        names = [f"r{place}" for place in np.unique(draw)]
        table = runs.table[runs.table["run"].isin(names)]
        if len(names) < 3:
            continue
        sizes = np.sort(table["params"].unique())
        grid = np.geomspace(low, high, 80)
        tokens = grid[None] / (6 * sizes[:, None])
        values = loss(sizes[:, None], tokens)
        values[(tokens < 0.9999 * sizes[:, None]) | (tokens > 600.06 * sizes[:, None])] = np.inf
        best = sizes[values.argmin(axis=0)]
        inner = np.isfinite(values.min(axis=0)) & (best > sizes[0]) & (best < sizes[-1])
        if inner.sum() >= 3 and len(np.unique(best[inner])) > 1:
            slopes.append(np.polyfit(np.log(grid[inner]), np.log(best[inner]), 1)[0])
    assert len(found.draws) == len(slopes)
    # Smoothing and interpolation move a crossing by a level at most.
    assert np.median(np.abs(np.sort(found.draws[:, 1]) - np.sort(slopes))) < 0.01


def test_smoothing_leaves_a_power_law_of_compute_alone_and_takes_noise_away():
    straight = curves(rows=100)
    table = straight.table.assign(
        loss=(straight.table["params"] * straight.table["tokens"]) ** -0.05
    )
    found = frontier(Runs(table), bootstrap=0, smooth=0.3)
    for one in found.curves:
        np.testing.assert_allclose(one.smooth, one.loss, rtol=1e-9)
    noisy = frontier(curves(rows=400, noise=0.02), bootstrap=0, smooth=0.2)
    for one in noisy.curves:
        truth = loss(np.full(400, one.params), one.tokens)
        assert np.std(np.log(one.smooth / truth)) < 0.4 * np.std(np.log(one.loss / truth))


def test_runs_of_one_size_that_ended_at_different_lengths_are_a_curve():
    runs = curves(rows=30)
    one_row_each = Runs(runs.table.assign(run=[f"own{row}" for row in range(len(runs))]))
    with pytest.raises(InputError, match="curves of at least 3 sizes with 2 rows each, got 0"):
        frontier(one_row_each)
    found = frontier(one_row_each, curve="params", bootstrap=0)
    assert found.params_law is not None
    assert found.params_law.slope("flops").value == pytest.approx(EXPONENT, abs=0.02)


def test_curves_that_end_while_they_are_best_are_flagged():
    assert "cut_short" in codes(frontier(curves(most=15), bootstrap=0))
    assert "cut_short" not in codes(frontier(curves(), bootstrap=0))


def test_matched_schedules_are_asked_for_and_few_sizes_are_said():
    assert "schedules" in codes(frontier(curves(), bootstrap=0))
    few = frontier(curves(sizes=np.array([1e8, 3e8, 1e9])), bootstrap=0)
    assert few.params_law is None
    text = next(one for one in few.warnings if one.code == "few_sizes")
    assert "train sizes in between" in text.text
    assert text.status == "not identified"


def test_the_document_is_json_and_the_same_again():
    runs = curves(noise=0.002)
    first, second = (
        json.dumps(as_document(frontier(runs, bootstrap=50, seed=1)), allow_nan=False)
        for _ in range(2)
    )
    assert first == second
    headers, rows = as_table(frontier(runs, bootstrap=0))
    assert {len(row) for row in rows} == {len(headers)}
    assert len(rows) == len(np.unique(frontier(runs, bootstrap=0).params))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"curve": "name"}, "name: expected a column that names the curves"),
        ({"params": "size"}, "size: expected a column"),
        ({"levels": 3}, "expected at least 10 levels"),
        ({"smooth": -1.0}, "no negative bootstrap or smoothing"),
    ],
)
def test_mistakes_are_said_in_one_line(arguments, words):
    with pytest.raises(InputError, match=words):
        frontier(curves(rows=5), **arguments)


def test_a_curve_of_two_sizes_is_refused():
    runs = curves(rows=5)
    with pytest.raises(InputError, match="params: expected one size in each curve, got several in"):
        frontier(Runs(runs.table.assign(run="one")))
