"""IsoFLOP: published errors of the parabola, its own quadrature, corrected vertices, warnings."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from analysis.fit import fit
from analysis.isoflop.compute_levels import sort_by_compute
from analysis.isoflop.levels import parabola
from analysis.isoflop.profiles import IsoFlop, as_document, as_table, isoflop
from analysis.law import find_law
from analysis.runs import Runs
from trainers.schema import InputError

# E, A, B, alpha, beta
SYMMETRIC = (1.69, 400.0, 400.0, 0.31, 0.31)
CHINCHILLA = (1.69, 406.4, 410.7, 0.34, 0.28)
ASYMMETRIC = (1.69, 406.4, 410.7, 0.465, 0.155)
BUDGETS = np.logspace(17, 21, 5)

Surface = tuple[float, float, float, float, float]


def best_size(surface: Surface, flops: np.ndarray) -> np.ndarray:
    """Hoffmann et al. 2022: N* = G (C/6)^(beta/(alpha+beta)), G = (alpha A/(beta B))^(1/(alpha+beta))."""
    _, a, b, alpha, beta = surface
    scale = (alpha * a / (beta * b)) ** (1 / (alpha + beta))
    return scale * (flops / 6) ** (beta / (alpha + beta))


def table(
    surface: Surface,
    *,
    reach: float,
    sizes: int = 15,
    off: float = 1.0,
    noise: float = 0.0,
    seed: int = 0,
    budgets: np.ndarray = BUDGETS,
) -> Runs:
    """Sizes from best/reach to best x reach (moved by `off`) at every budget."""
    e, a, b, alpha, beta = surface
    generator = np.random.default_rng(seed)
    flops = np.repeat(budgets, sizes)
    params = np.concatenate(
        [one * off * np.geomspace(1 / reach, reach, sizes) for one in best_size(surface, budgets)]
    )
    tokens = flops / (6 * params)
    loss = e + a * params**-alpha + b * tokens**-beta
    loss = loss * np.exp(noise * generator.standard_normal(len(loss)))
    return Runs(pd.DataFrame({"params": params, "tokens": tokens, "loss": loss}))


def codes(found: IsoFlop) -> set[str]:
    return {one.code for one in found.warnings}


# The companion data of arXiv:2603.22339 (Open-Athena/scaling-law-analysis, results/article/figures,
# extrapolation_error_data.csv and off_center_constant_bias_data.csv): tokens at 1e24 FLOPs from
# parabolas of the loss at 15 sizes and 5 budgets.
@pytest.mark.parametrize(
    ("surface", "reach", "off", "right", "published"),
    [
        (SYMMETRIC, 2, 1, 4.082482904638630e11, 4.082482904638630e11),
        (SYMMETRIC, 16, 1, 4.082482904638630e11, 4.082482904638630e11),
        (CHINCHILLA, 2, 1, 4.035834749563681e12, 4.022640080071175e12),
        (CHINCHILLA, 4, 1, 4.035834749563681e12, 3.983323492914587e12),
        (CHINCHILLA, 8, 1, 4.035834749563681e12, 3.918678311395280e12),
        (CHINCHILLA, 16, 1, 4.035834749563681e12, 3.829997307632958e12),
        (ASYMMETRIC, 2, 1, 4.510334355952566e16, 4.434797634319416e16),
        (ASYMMETRIC, 8, 1, 4.510334355952566e16, 3.882927967488314e16),
        (ASYMMETRIC, 16, 1, 4.510334355952566e16, 3.467711572211202e16),
        (SYMMETRIC, 4, 1 / 3, 4.082482904638630e11, 4.224219276128955e11),
        (SYMMETRIC, 8, 1 / 3, 4.082482904638630e11, 4.190471331132362e11),
        (SYMMETRIC, 16, 1 / 3, 4.082482904638630e11, 4.144119915542275e11),
    ],
)
def test_the_published_error_of_the_parabola_is_reproduced_and_corrected(
    surface: Surface, reach: float, off: float, right: float, published: float
):
    found = isoflop(table(surface, reach=reach, off=off), scale="plain", there=1e24, bootstrap=0)
    plain, corrected = found.route("parabola"), found.route("corrected")
    assert plain is not None
    assert corrected is not None
    assert plain.tokens_there is not None
    assert corrected.tokens_there is not None
    assert plain.tokens_there.value == pytest.approx(published, rel=1e-10)
    assert corrected.tokens_there.value == pytest.approx(right, rel=1e-8)


def test_the_size_of_the_error_is_said_in_words():
    found = isoflop(table(CHINCHILLA, reach=16), scale="plain", there=1e24, bootstrap=0)
    text = next(one.text for one in found.warnings if one.code == "parabola_bias")
    assert "at 1.000e24 FLOPs the parabolas ask for 3.830e12 tokens" in text
    assert "for 4.036e12, so the parabolas ask for 5.1% fewer" in text
    even = isoflop(table(SYMMETRIC, reach=16), scale="plain", there=1e24, bootstrap=0)
    assert "parabola_bias" not in codes(even)


@pytest.mark.parametrize("scale", ["log", "plain"])
@pytest.mark.parametrize("off", [1.0, 2.5])
def test_the_error_of_a_parabola_is_that_of_its_projection_on_three_legendre_polynomials(
    scale, off
):
    reach, budget = 6.0, np.array([1e19])
    e, a, b, alpha, beta = ASYMMETRIC
    best = float(best_size(ASYMMETRIC, budget)[0])
    half = np.log(reach)

    def loss(u: float) -> float:
        params = best * off * np.exp(u * half)
        plain = e + a * params**-alpha + b * (1e19 / 6 / params) ** -beta
        return float(np.log(plain)) if scale == "log" else float(plain)

    legendre = (lambda u: u, lambda u: (3 * u * u - 1) / 2)
    first, second = (
        (2 * order + 1) / 2 * integrate.quad(lambda u, p=p: loss(u) * p(u), -1, 1, epsabs=1e-13)[0]
        for order, p in zip((1, 2), legendre, strict=True)
    )
    expected = np.log(off) - half * first / (3 * second)
    # The more sizes, the nearer is the sum to the integral.
    runs = table(ASYMMETRIC, reach=reach, off=off, sizes=4001, budgets=budget)
    found = isoflop(runs, scale=scale, bootstrap=0)
    plain = found.route("parabola")
    assert plain is not None
    assert plain.best[0] is not None
    assert np.log(plain.best[0].params / best) == pytest.approx(expected, abs=2e-4)
    assert found.profile is not None
    assert found.profile.bias[0] == pytest.approx(expected, abs=2e-4)
    assert abs(expected) > 0.005


@settings(max_examples=25)
@given(
    alpha=st.floats(0.15, 0.8),
    beta=st.floats(0.15, 0.8),
    off=st.floats(0.4, 2.5),
    reach=st.floats(3, 30),
    scale=st.sampled_from(["log", "plain"]),
)
def test_corrected_vertices_are_exact_without_noise(alpha, beta, off, reach, scale):
    surface = (1.8, 300.0, 500.0, alpha, beta)
    found = isoflop(table(surface, reach=reach, off=off, sizes=9), scale=scale, bootstrap=0)
    corrected = found.route("corrected")
    assert corrected is not None
    sizes = [one.params for one in corrected.best if one is not None]
    assert len(sizes) == 5
    np.testing.assert_allclose(sizes, best_size(surface, BUDGETS), rtol=1e-5)


def test_with_noise_the_corrected_tokens_are_right_on_average_and_the_parabolas_are_not():
    right = np.log(1e24 / 6 / best_size(ASYMMETRIC, np.array([1e24]))[0])
    plain, corrected, inside = [], [], []
    for seed in range(60):
        runs = table(ASYMMETRIC, reach=8, sizes=9, noise=0.002, seed=seed)
        found = isoflop(runs, scale="log", there=1e24, bootstrap=0)
        for route, errors in (
            (found.route("parabola"), plain),
            (found.route("corrected"), corrected),
        ):
            assert route is not None
            assert route.tokens_there is not None
            errors.append(np.log(route.tokens_there.value) - right)
        there = found.routes[1].tokens_there
        assert there is not None
        assert there.low is not None
        assert there.high is not None
        inside.append(np.log(there.low) < right < np.log(there.high))
    error = np.std(corrected) / np.sqrt(60)
    assert abs(np.mean(corrected)) < 3 * error
    assert np.mean(plain) < -10 * error
    # 95 % of 60 is 57; fewer than 51 or more than 60 has a chance below one in a hundred.
    assert sum(inside) >= 51


def test_the_error_of_a_vertex_is_what_repeated_experiments_show():
    logs, errors, spread = [], [], []
    for seed in range(100):
        runs = table(SYMMETRIC, reach=5, sizes=9, noise=0.003, seed=seed)
        found = isoflop(runs, bootstrap=200 if seed < 15 else 0)
        best = found.routes[0].best[2]
        assert best is not None
        logs.append(np.log(best.params))
        errors.append(best.error)
        if seed < 15:
            spread.append(found.resampled[2])
    assert np.median(errors) == pytest.approx(np.std(logs), rel=0.2)
    # A resample of nine runs often lacks one at an end, where they tell most, so it is wider.
    assert 1.0 < np.median(spread) / np.std(logs) < 1.6


@pytest.mark.slow
def test_the_interval_of_the_exponent_covers():
    inside = []
    for seed in range(150):
        runs = table(SYMMETRIC, reach=8, sizes=7, noise=0.004, seed=seed)
        law = isoflop(runs, bootstrap=0).routes[0].params
        assert law is not None
        slope = law.slope("flops")
        assert slope.low is not None
        assert slope.high is not None
        inside.append(slope.low <= 0.5 <= slope.high)
    # 95 % of 150 is 142.5 with a standard deviation of 2.7.
    assert sum(inside) >= 134


def test_resampled_laws_scatter_like_repeated_experiments():
    slopes = []
    for seed in range(40):
        law = (
            isoflop(table(SYMMETRIC, reach=8, noise=0.003, seed=seed), bootstrap=0).routes[0].params
        )
        assert law is not None
        slopes.append(law.slope("flops").value)
    found = isoflop(table(SYMMETRIC, reach=8, noise=0.003, seed=1), bootstrap=500)
    assert found.draws[:, 1].std() == pytest.approx(np.std(slopes), rel=0.4)


@pytest.mark.parametrize(("off", "edge"), [(30.0, "smaller"), (1 / 30, "larger")])
def test_a_vertex_outside_the_sizes_is_flagged_and_says_what_to_train(off, edge):
    found = isoflop(table(SYMMETRIC, reach=3, off=off), bootstrap=0)
    assert {one.edge for one in found.levels} == {edge}
    assert not found.routes
    texts = [one.text for one in found.warnings if one.code == "edge"]
    assert len(texts) == 5
    assert all(f"train {edge} sizes there" in text for text in texts)
    assert any(one.status == "not identified" for one in found.warnings)


def test_sizes_to_one_side_and_a_drifting_side_are_flagged():
    assert "off_centre" in codes(isoflop(table(CHINCHILLA, reach=8, off=3.0), bootstrap=0))
    tables = [
        table(CHINCHILLA, reach=8, off=off, budgets=np.array([budget])).table
        for off, budget in zip((1.0, 1.3, 1.7, 2.3, 3.0), BUDGETS, strict=True)
    ]
    found = isoflop(Runs(pd.concat(tables, ignore_index=True)), bootstrap=0)
    assert "drifting_centre" in codes(found)
    centred = codes(isoflop(table(CHINCHILLA, reach=8), bootstrap=0))
    assert not centred & {"off_centre", "drifting_centre"}


def test_levels_are_found_among_runs_in_between():
    generator = np.random.default_rng(0)
    flops = np.concatenate([np.repeat([1e18, 1e19], 8) * generator.uniform(0.98, 1.02, 16),
                            np.geomspace(2e18, 6e18, 5)])  # fmt: skip
    params = np.concatenate([np.geomspace(1e7, 1e9, 8), np.geomspace(3e7, 3e9, 8), np.full(5, 1e8)])
    found = sort_by_compute(flops, params, None, 1.1)
    assert found.level.tolist() == [0] * 8 + [1] * 8 + [-1] * 5
    given = sort_by_compute(flops, params, [1e19], 1.1)
    assert given.level.tolist() == [-1] * 8 + [0] * 8 + [-1] * 5
    assert given.flops[0] == pytest.approx(1e19, rel=0.01)


def test_uneven_compute_within_a_level_is_moved_to_the_level():
    e, a, b, alpha, beta = SYMMETRIC
    generator = np.random.default_rng(1)
    runs = table(SYMMETRIC, reach=6)
    params = runs.table["params"].to_numpy()
    tokens = runs.table["tokens"].to_numpy() * generator.uniform(0.96, 1.04, len(params))
    loss = e + a * params**-alpha + b * tokens**-beta
    uneven = Runs(pd.DataFrame({"params": params, "tokens": tokens, "loss": loss}))
    found = isoflop(uneven, bootstrap=0)
    assert "uneven_compute" in codes(found)
    sizes = [one.params for one in found.routes[0].best if one is not None]
    # 4 % more compute alone changes the loss by more than a size 1.5 times too large does.
    np.testing.assert_allclose(sizes, best_size(SYMMETRIC, BUDGETS), rtol=0.08)


def test_a_fitted_surface_gives_its_own_vertex_with_an_interval():
    runs = table(CHINCHILLA, reach=8, sizes=7, noise=0.002)
    fitted = fit(find_law("chinchilla"), runs, {"params": "params", "tokens": "tokens"}, "loss",
                 bootstrap=200)  # fmt: skip
    found = isoflop(runs, surface=fitted, there=1e24, bootstrap=0)
    route = found.route("surface")
    assert route is not None
    e, a, b, alpha, beta = (
        fitted.coefficient(one).value for one in ("E", "A", "B", "alpha", "beta")
    )
    exact = best_size((e, a, b, alpha, beta), BUDGETS)
    sizes = [one.params for one in route.best if one is not None]
    np.testing.assert_allclose(sizes, exact, rtol=1e-5)
    assert route.params is not None
    slope = route.params.slope("flops")
    assert slope.value == pytest.approx(beta / (alpha + beta), abs=1e-5)
    names = [one.name for one in fitted.law.coefficients]
    drawn = fitted.draws[:, names.index("beta")] / (
        fitted.draws[:, names.index("alpha")] + fitted.draws[:, names.index("beta")]
    )
    assert slope.standard_error == pytest.approx(drawn.std(ddof=1), rel=1e-3)


def test_known_errors_are_the_errors_of_the_vertex():
    runs = table(SYMMETRIC, reach=8, noise=0.001)
    once, twice = (
        isoflop(
            Runs(runs.table.assign(error=scale * 1e-3 * runs.table["loss"])),
            noise="error",
            bootstrap=0,
        )
        .routes[0]
        .best[0]
        for scale in (1, 2)
    )
    assert once is not None
    assert twice is not None
    assert twice.params == pytest.approx(once.params, rel=1e-12)
    assert twice.error == pytest.approx(2 * once.error, rel=1e-9)


def test_a_wild_level_does_not_blur_the_others():
    runs = table(SYMMETRIC, reach=8, noise=0.001)
    calm = isoflop(runs, bootstrap=0)
    wild = runs.table.copy()
    wild.loc[2, "loss"] *= 1.3
    found = isoflop(Runs(wild), bootstrap=0)
    assert "uneven_noise" in codes(found)
    for place in range(1, 5):
        before, after = calm.routes[0].best[place], found.routes[0].best[place]
        assert before is not None
        assert after is not None
        assert after.error < 1.5 * before.error


def test_the_curve_of_a_level_passes_its_vertex_with_the_lowest_loss():
    found = isoflop(table(CHINCHILLA, reach=8), bootstrap=0)
    best = found.routes[0].best[0]
    assert best is not None
    sizes = best.params * np.array([0.9, 1.0, 1.1])
    left, middle, right = parabola(found.levels[0], "log", sizes)
    assert middle < min(left, right)


def test_the_document_is_json_and_the_same_again():
    runs = table(CHINCHILLA, reach=8, noise=0.002)
    first, second = (
        json.dumps(as_document(isoflop(runs, bootstrap=50, seed=3)), allow_nan=False)
        for _ in range(2)
    )
    assert first == second
    headers, rows = as_table(isoflop(runs, bootstrap=0))
    assert len(rows) == 6
    assert {len(row) for row in rows} == {len(headers)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"params": "size"}, "size: expected a column"),
        ({"there": -1.0}, "there: expected a positive number of FLOPs, got -1.0"),
        ({"bootstrap": -1}, "bootstrap: expected 0 or more"),
        ({"levels": []}, "levels: expected positive numbers"),
        ({"width": 1.0}, "width: expected a factor above 1"),
        ({"levels": [1e30]}, "expected levels of at least 4 sizes"),
    ],
)
def test_mistakes_are_said_in_one_line(arguments, words):
    with pytest.raises(InputError, match=words) as caught:
        isoflop(table(SYMMETRIC, reach=4), **arguments)
    assert "\n" not in str(caught.value)


def test_a_table_without_levels_is_refused():
    size = np.geomspace(1e7, 1e9, 12)
    runs = Runs(pd.DataFrame({"params": size, "tokens": 20 * size, "loss": size**-0.1}))
    with pytest.raises(InputError, match="got none in 12 runs"):
        isoflop(runs)
