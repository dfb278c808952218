"""Best learning rates and batches: planted bowls, coarse grids, edges, drift, transfer."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.runs import Runs
from analysis.tuning import drift as drifts
from analysis.tuning import transfer as transfers
from analysis.tuning.drift import drift
from analysis.tuning.settings import Tuning, as_document, as_table, curve_value, tuning
from analysis.tuning.transfer import transfer
from analysis.tuning.trend import expected
from trainers.schema import InputError

WIDTHS = (64, 128, 256, 512, 1024)
SLOPE = -0.5
BEST = 0.01  # at width 256


def even(away: np.ndarray) -> np.ndarray:
    return 0.02 * away**2


def uneven(away: np.ndarray) -> np.ndarray:
    """Curvature 0.04 at the minimum; one e-fold above it costs 1.7 times what one below does."""
    low, high = 0.3, 1.0
    return (
        0.04
        / (low * high * (low + high))
        * (high * np.expm1(-low * away) + low * np.expm1(high * away))
    )


def best_rate(width: float, slope: float = SLOPE) -> float:
    return BEST * (width / 256) ** slope


def sweep(
    *,
    step: float = 2.0,
    reach: int = 4,
    noise: float = 0.0,
    seeds: int = 1,
    shape=even,
    slope: float = SLOPE,
    widths: Sequence[int] = WIDTHS,
    seed: int = 0,
    shift: float = 1.0,
) -> Runs:
    """Every width at the same rates, BEST x shift x step^k; losses are 3 (64/width)^0.1 e^excess."""
    generator = np.random.default_rng(seed)
    rates = BEST * shift * step ** np.arange(-reach, reach + 1.0)
    rows = []
    for width in widths:
        excess = shape(np.log(rates / best_rate(width, slope)))
        for number in range(seeds):
            loss = (
                3
                * (64 / width) ** 0.1
                * np.exp(excess + noise * generator.standard_normal(len(rates)))
            )
            rows.append(pd.DataFrame({"width": width, "lr": rates, "seed": number, "loss": loss}))
    return Runs(pd.concat(rows, ignore_index=True))


def tuned(runs: Runs, **more) -> Tuning:
    return tuning(runs, settings=["lr"], fields=["width"], **more)


def codes(found) -> set[str]:
    return {one.code for one in found.warnings}


def off(found: Tuning) -> list[float]:
    """ln(best / true best) of every usable cell."""
    result = []
    for one in found.found:
        assert one.best is not None
        result.append(float(np.log(one.best[0] / best_rate(dict(one.cell.fields)["width"]))))
    return result


@settings(max_examples=20)
@given(shift=st.floats(0.6, 1.7), slope=st.floats(-0.4, 0.4), step=st.sampled_from([2.0, 3.0, 4.0]))
def test_planted_quadratic_bowls_are_found_exactly_without_noise(shift, slope, step):
    found = tuned(sweep(step=step, reach=3, slope=slope, shift=shift))
    law = drift(found, "lr", ["width"]).trend
    assert law.slope("width").value == pytest.approx(slope, abs=1e-5)
    assert expected(law, {"width": 256.0}).value == pytest.approx(BEST, rel=1e-5)


def test_on_a_grid_of_factor_four_the_best_tried_is_far_off_and_the_vertex_is_not():
    runs = sweep(step=4.0, reach=2, shift=1.9, noise=0.001, seeds=3)
    found = tuned(runs)
    tried = [
        np.log(one.argmin[0] / best_rate(dict(one.cell.fields)["width"])) for one in found.optima
    ]
    assert max(map(abs, tried)) > 0.4
    assert max(map(abs, off(found))) < 0.1
    # A law of the best tried values is a staircase.
    raw = np.polyfit(np.log(WIDTHS), np.log([one.argmin[0] for one in found.optima]), 1)[0]
    slope = drift(found, "lr", ["width"]).trend.slope("width")
    assert abs(raw - SLOPE) > 5 * abs(slope.value - SLOPE)


def test_a_loss_that_rises_more_steeply_above_does_not_move_the_vertex():
    found = tuned(sweep(reach=5, shape=uneven, noise=0.002, seeds=3))
    assert max(map(abs, off(found))) < 0.06
    # The quadratic of the same points is off by more than that at every width.
    for one in found.found:
        x, y = one.cell.x[one.used, 0], one.cell.y[one.used]
        bend, line, _ = np.polyfit(x, y, 2)
        quadratic = -line / (2 * bend)
        assert quadratic - np.log(best_rate(dict(one.cell.fields)["width"])) < -0.15


def test_a_cliff_above_the_best_rate_is_left_out():
    def cliff(away):
        return np.where(away > 1.2, 1.0 + away, even(away))

    found = tuned(sweep(reach=5, shape=cliff, noise=0.001, seeds=3))
    assert len(found.found) == 5
    assert max(map(abs, off(found))) < 0.1
    for one in found.found:
        beyond = one.cell.x[:, 0] > np.log(best_rate(dict(one.cell.fields)["width"])) + 1.2
        assert not (one.used & beyond).any()


def test_a_plateau_below_the_best_rate_does_not_move_the_vertex_much():
    def plateau(away):
        return np.where(away < -2.0, even(np.array(-2.0)), even(away))

    found = tuned(sweep(reach=6, shape=plateau, noise=0.001, seeds=3))
    assert max(map(abs, off(found))) < 0.15


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "step", "reach", "seeds"),
    [(even, 2.0, 4, 1), (even, 4.0, 2, 3), (uneven, 2.0, 5, 1), (uneven, 2.0, 5, 3)],
)
def test_intervals_of_slopes_and_of_best_rates_cover(shape, step, reach, seeds):
    inside, cells = [], []
    for seed in range(150):
        runs = sweep(step=step, reach=reach, seeds=seeds, shape=shape, noise=0.004, seed=seed)
        found = tuned(runs)
        slope = drift(found, "lr", ["width"]).trend.slope("width")
        inside.append(slope.low <= SLOPE <= slope.high)
        cells += [
            one.low[0] <= best_rate(dict(one.cell.fields)["width"]) <= one.high[0]
            for one in found.found
        ]
    # 95 % of 150 is 142.5 with a standard deviation of 2.7.
    assert sum(inside) >= 134
    assert 0.9 < np.mean(cells) < 0.99


def test_the_interval_of_the_slope_covers_in_a_few_sweeps():
    inside = 0
    for seed in range(25):
        slope = drift(tuned(sweep(noise=0.004, seeds=2, seed=seed)), "lr", ["width"]).trend.slopes[
            0
        ]
        assert slope.low is not None
        assert slope.high is not None
        inside += slope.low <= SLOPE <= slope.high
    # Fewer than 20 of 25 at 95 % has a chance of 0.002.
    assert inside >= 20


def test_the_noise_is_that_of_replicates_or_of_the_misfit():
    replicated = tuned(sweep(noise=0.005, seeds=4, seed=2)).noise
    assert replicated.variance == pytest.approx(0.005**2, rel=0.3)
    assert "replicates" in replicated.source
    alone = tuned(sweep(noise=0.005, reach=5, seed=2)).noise
    assert alone.variance == pytest.approx(0.005**2, rel=0.5)
    assert "misfit" in alone.source
    runs = sweep(noise=0.005, reach=5, seed=2)
    told = tuned(Runs(runs.table.assign(error=0.005 * runs.table["loss"])), noise="error")
    assert told.noise.source == "the errors that were given"
    assert told.found[0].errors[0] == pytest.approx(tuned(runs).found[0].errors[0], rel=0.5)


@pytest.mark.parametrize(
    ("shift", "side", "words"), [(64.0, "below", "smaller"), (1 / 64, "above", "larger")]
)
def test_a_best_rate_beyond_those_tried_is_flagged_and_left_out(shift, side, words):
    found = tuned(sweep(reach=2, shift=shift, noise=0.001))
    assert {one.edge for one in found.optima} == {(side,)}
    assert not found.found
    text = next(one.text for one in found.warnings if one.code == "edge")
    assert f"try {words} values there" in text
    with pytest.raises(InputError, match="expected at least 2 optima"):
        drift(found, "lr", ["width"])


def test_an_outermost_best_tried_rate_is_noted():
    found = tuned(sweep(widths=(64, 256, 1024), reach=2, step=2.0))
    assert [one.border for one in found.optima] == [(False,), (False,), (False,)]
    shifted = tuned(sweep(widths=(64, 256, 1024), reach=2, step=2.0, shift=3.0))
    assert shifted.optima[2].border == (True,)
    assert "border" in codes(shifted) or "edge" in codes(shifted)


def test_diverged_runs_are_listed_and_a_best_rate_at_the_edge_of_stability_is_said():
    runs = sweep(reach=4, widths=(64, 128, 256))
    table = runs.table.copy()
    table.loc[table["lr"] > 0.004, "loss"] = np.nan
    found = tuned(Runs(table))
    assert len(found.omitted) == int((table["lr"] > 0.004).sum())
    assert all("diverged" in one.reason for one in found.omitted)
    text = next(one.text for one in found.warnings if one.code == "edge")
    assert "what stability allows" in text


def test_a_loss_that_bends_downwards_has_no_vertex():
    found = tuned(sweep(shape=lambda away: 0.1 - even(away), noise=0.0005, widths=(256,)))
    assert not found.found


def test_a_flat_loss_has_no_vertex():
    flat = sum(
        len(tuned(sweep(shape=lambda away: 0 * away, noise=0.004, seeds=2, seed=seed)).found)
        for seed in range(10)
    )
    # A curvature of two standard errors or more by chance, in 50 cells.
    assert flat <= 10


def test_two_levels_are_too_few():
    runs = Runs(
        pd.DataFrame({"width": 1, "lr": [0.1, 0.2, 0.1, 0.2], "loss": [1.0, 1.1, 1.2, 1.0]})
    )
    found = tuned(runs)
    assert "4 settings" not in found.optima[0].refused
    assert "2 settings with 2 levels" in found.optima[0].refused


def step_law(noise: float, seed: int = 0) -> Runs:
    """Li et al. 2025, arXiv:2503.04715: lr* = 1.79 N^-0.713 D^0.307 and batch* = 0.58 D^0.571 tokens,
    at the bottom of a bowl that is quadratic in both logs, on a grid of powers of two.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for params in (6e7, 1.2e8, 2.4e8, 5e8):
        for tokens in (2e9, 8e9, 3.2e10):
            best = np.log([1.79 * params**-0.713 * tokens**0.307, 0.58 * tokens**0.571])
            grid = np.log(2) * np.round(best / np.log(2))
            for place in np.ndindex(7, 7):
                x = grid + np.log(2) * (np.array(place) - 3)
                u, v = x - best
                excess = 0.008 * u * u + 0.006 * v * v - 0.006 * u * v
                loss = np.exp(1 + excess + noise * generator.standard_normal())
                rows.append((params, tokens, *np.exp(x), loss))
    return Runs(pd.DataFrame(rows, columns=["params", "tokens", "lr", "batch", "loss"]))


def test_the_published_step_law_is_read_off_its_own_bowls():
    found = tuning(step_law(0.0), settings=["lr", "batch"], fields=["params", "tokens"])
    rate = drift(found, "lr", ["params", "tokens"]).trend
    batch = drift(found, "batch", ["tokens"]).trend
    assert np.exp(rate.intercept.value) == pytest.approx(1.79, rel=1e-6)
    assert rate.slope("params").value == pytest.approx(-0.713, abs=1e-8)
    assert rate.slope("tokens").value == pytest.approx(0.307, abs=1e-8)
    assert np.exp(batch.intercept.value) == pytest.approx(0.58, rel=1e-6)
    assert batch.slope("tokens").value == pytest.approx(0.571, abs=1e-8)


def test_with_noise_the_published_exponents_lie_in_their_intervals():
    """And batch* does not depend on N, as that paper says."""
    found = tuning(step_law(0.002), settings=["lr", "batch"], fields=["params", "tokens"])
    rate = drift(found, "lr", ["params", "tokens"])
    batch = drift(found, "batch", ["params", "tokens"])
    for law, name, truth in (
        (rate, "params", -0.713),
        (rate, "tokens", 0.307),
        (batch, "params", 0.0),
        (batch, "tokens", 0.571),
    ):
        slope = law.trend.slope(name)
        assert slope.low is not None
        assert slope.high is not None
        assert slope.low <= truth <= slope.high
        assert slope.high - slope.low < 0.1
    assert batch.still("params") is True
    assert batch.still("tokens") is False
    assert {"still", "moves"} <= codes(batch)


@pytest.mark.parametrize(("slope", "still"), [(0.0, True), (-0.5, False)])
def test_transfer_is_told_from_a_moving_optimum(slope, still):
    found = tuned(sweep(slope=slope, noise=0.002, seeds=3))
    law = drift(found, "lr", ["width"])
    assert law.still("width") is still
    assert ("still" if still else "moves") in codes(law)


def test_the_regret_of_a_carried_rate_is_the_rise_of_the_bowl():
    found = transfer(tuned(sweep(noise=0.0)), "width")
    assert len(found.regrets) == 4
    for one in found.regrets:
        ratio = dict(one.target.cell.fields)["width"] / 64
        assert one.regret == pytest.approx(np.expm1(0.02 * (0.5 * np.log(ratio)) ** 2), rel=1e-3)
        assert one.measured == pytest.approx(one.regret, abs=0.003)


@pytest.mark.parametrize("shape", [even, uneven])
def test_the_interval_of_the_regret_covers_and_reaches_zero_when_nothing_is_lost(shape):
    lost, nothing = [], []
    for seed in range(12):
        moving = transfer(tuned(sweep(noise=0.003, seeds=2, shape=shape, seed=seed)), "width")
        one = moving.regrets[-1]
        assert one.low is not None
        assert one.high is not None
        truth = np.expm1(shape(np.log(best_rate(64) / best_rate(1024))))
        lost.append(one.low <= truth <= one.high)
        still = transfer(
            tuned(sweep(noise=0.003, seeds=2, shape=shape, slope=0.0, seed=seed)), "width"
        )
        nothing.append(still.regrets[-1].low == 0.0)
    # Fewer than 9 of 12 at 95 % has a chance of 0.002.
    assert sum(lost) >= 9
    assert sum(nothing) >= 9


def test_cells_are_compared_where_their_other_fields_are_equal():
    tables = [sweep(widths=(64, 256)).table.assign(depth=depth) for depth in (2, 4)]
    found = tuning(
        Runs(pd.concat(tables, ignore_index=True)), settings=["lr"], fields=["width", "depth"]
    )
    pairs = [(dict(one.source.cell.fields), dict(one.target.cell.fields))
             for one in transfer(found, "width").regrets]  # fmt: skip
    assert pairs == [
        ({"width": 64, "depth": depth}, {"width": 256, "depth": depth}) for depth in (2, 4)
    ]


def test_the_curve_of_a_cell_has_its_minimum_at_the_best_rate():
    found = tuned(sweep(reach=5, shape=uneven, noise=0.002, seeds=3))
    one = found.optima[1]
    assert one.best is not None
    rates = one.best[0] * np.exp(np.linspace(-0.5, 0.5, 101))[:, None]
    assert curve_value(found, 1, rates).argmin() == 50


def test_documents_are_json_tables_are_full_and_both_the_same_again():
    def everything() -> str:
        found = tuned(sweep(noise=0.004, seeds=2))
        moved, carried = drift(found, "lr", ["width"]), transfer(found, "width")
        for headers, rows in (
            as_table(found),
            drifts.as_table(moved),
            transfers.as_table(carried),
        ):
            assert rows
            assert {len(row) for row in rows} == {len(headers)}
        documents = (
            as_document(found),
            drifts.as_document(moved),
            transfers.as_document(carried),
        )
        return json.dumps(documents, allow_nan=False)

    assert everything() == everything()


def test_a_sweep_without_noise_or_replicates_on_three_levels_has_no_interval():
    found = tuned(sweep(reach=1, step=4.0, widths=(128, 256)))
    assert "no_noise" in codes(found)
    assert json.dumps(as_document(found), allow_nan=False)
    assert as_table(found)[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"settings": []}, "settings: expected one or two columns, got none"),
        ({"settings": ["lr", "seed", "width"]}, "settings: expected one or two columns"),
        ({"settings": ["rate"]}, "rate: expected a column"),
        ({"settings": ["seed"]}, "seed: expected a positive finite number"),
        ({"settings": ["lr"], "fields": ["lr"]}, "fields: expected other columns"),
        ({"settings": ["lr"], "fields": ["depth"]}, "depth: expected a column"),
        ({"settings": ["lr"], "target": "val"}, "val: expected a column"),
    ],
)
def test_mistakes_are_said_in_one_line(arguments, words):
    with pytest.raises(InputError, match=words):
        tuning(sweep(), **{"fields": ["width"], **arguments})


def test_mistakes_about_fields_are_said_in_one_line():
    found = tuned(sweep())
    with pytest.raises(InputError, match="setting: expected one of lr"):
        drift(found, "batch", ["width"])
    with pytest.raises(InputError, match="over: expected fields of the cells"):
        drift(found, "lr", ["depth"])
    with pytest.raises(InputError, match="along: expected one of width"):
        transfer(found, "depth")
    lost = sweep().table.assign(loss=np.nan)
    with pytest.raises(InputError, match="at least one run with a usable value"):
        tuned(Runs(lost))
