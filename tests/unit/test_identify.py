"""What fits say that their data cannot tell: each finding where it is true, and none elsewhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

from analysis.engine.objective import Objective
from analysis.engine.refit import on_bounds, optimum, refit_each, setup
from analysis.fit import Fit, as_document, fit
from analysis.identify.evidence import Evidence, allowance
from analysis.identify.flatness import flatness
from analysis.identify.settling import next_run
from analysis.law import Coefficient, Input, Law, find_law
from analysis.points import Columns, points
from analysis.runs import Runs

POWER, FLOOR, CHINCHILLA = (find_law(name) for name in ("power", "power_floor", "chinchilla"))
DATA = Path(__file__).parent.parent / "data"
PUBLISHED = DATA / "chinchilla_epoch_245.csv"
INPUTS = {"params": "params", "tokens": "tokens"}


def _surface(
    params: np.ndarray,
    tokens: np.ndarray,
    noise: float = 0.003,
    floor: float = 1.7,
    alpha: float = 0.34,
    beta: float = 0.36,
    seed: int = 0,
) -> pd.DataFrame:
    model = floor + 0.4 * (params / 1e8) ** -alpha + 0.4 * (tokens / 1e10) ** -beta
    loss = model * np.exp(np.random.default_rng(seed).normal(0, noise, len(params)))
    return pd.DataFrame({"params": params, "tokens": tokens, "loss": loss})


def _crossed(levels: int = 7) -> tuple[np.ndarray, np.ndarray]:
    both = np.meshgrid(np.geomspace(1e7, 1e10, levels), np.geomspace(1e9, 3e11, levels))
    return both[0].ravel(), both[1].ravel()


def _fit(table: pd.DataFrame, bootstrap: int = 0) -> Fit:
    return fit(CHINCHILLA, Runs(table), INPUTS, "loss", bootstrap=bootstrap)


def _evidence(law: Law, table: pd.DataFrame) -> Evidence:
    on = points(law, Runs(table), {name: name for name in law.input_names}, "loss")
    of = setup(law, on)
    found = optimum(of)
    nothing = np.empty((0, len(law.coefficients)))
    return Evidence(of, found, on_bounds(of, found.solution), nothing, "nothing", 0, "none")


def _codes(found: Fit) -> set[str]:
    return {one.code for one in found.warnings}


def _text(found: Fit, code: str) -> str:
    return " / ".join(one.text for one in found.warnings if one.code == code)


def test_the_published_table_without_its_outliers_raises_no_alarm():
    table = pd.read_csv(PUBLISHED).sort_values("loss").iloc[:240]
    found = _fit(table, bootstrap=400)
    assert found.status == "converged"
    # A and alpha do move together there: the published standard error of A is 26 % of A.
    assert _codes(found) == {"correlated"}


@pytest.mark.parametrize("seed", range(6))
def test_a_crossed_design_raises_no_alarm(seed: int):
    found = _fit(_surface(*_crossed(), seed=seed), bootstrap=200)
    assert _codes(found) <= {"correlated"}


def test_five_rows_of_small_data_carry_the_published_table():
    # Besiroglu et al. 2024 leave these five rows out; beta falls from 0.453 to 0.367 without them.
    found = _fit(pd.read_csv(PUBLISHED), bootstrap=400)
    words = _text(found, "few_rows_carry")
    assert words.startswith("5 of 245 rows carry the fit")
    assert "beta goes from 0.453 to 0.3672" in words
    assert "the largest loss" in words
    assert "tokens/params (0.0361 to 0.404" in words


def test_wild_rows_that_are_spread_evenly_do_not_carry_a_fit():
    generator = np.random.default_rng(1)
    table = _surface(10 ** generator.uniform(7, 10, 300), 10 ** generator.uniform(9, 11.5, 300))
    table.loc[::30, "loss"] *= 1.5
    assert "few_rows_carry" not in _codes(_fit(table, bootstrap=200))


def test_proportional_inputs_leave_a_law_of_compute_alone():
    params = np.geomspace(1e7, 1e10, 25)
    found = _fit(_surface(params, 20 * params, noise=0.001, alpha=0.3, beta=0.3))
    assert found.status == "not identified"
    words = _text(found, "collinear")
    assert "tokens is 20 x params^1 in every row" in words
    # With alpha = beta the law along the line is exactly E + K / C^(alpha / 2).
    exponent = float(words.split("/ C^")[1].split(",")[0])
    assert exponent == pytest.approx(0.15, abs=0.01)


def test_a_law_of_the_product_is_identified_by_proportional_inputs():
    law = Law(
        "compute",
        "loss = E + K / (params * tokens)^g",
        "",
        (Input("params", "N"), Input("tokens", "D")),
        (
            Coefficient("E", "floor", low=0.0),
            Coefficient("K", "amplitude", low=0.0),
            Coefficient("g", "exponent of compute", low=0.01, high=2.0, starts=(0.02, 1.9)),
        ),
    )
    params = np.geomspace(1e7, 1e10, 25)
    table = _surface(params, 20 * params, alpha=0.3, beta=0.3)
    found = fit(law, Runs(table), INPUTS, "loss", bootstrap=0)
    assert found.status == "converged"
    assert "collinear" not in _codes(found)


def test_three_inputs_on_a_plane_are_collinear_although_no_two_are():
    law = Law(
        "three",
        "loss = E + A / width^a + B / depth^b + C / size^c",
        "",
        tuple(Input(name, name) for name in ("width", "depth", "size")),
        (
            *(Coefficient(name, "amplitude", low=0.0) for name in "ABC"),
            Coefficient("E", "floor", low=0.0),
            *(Coefficient(name, "exponent", 0.01, 2.0, (0.05, 1.5)) for name in "abc"),
        ),
    )
    generator = np.random.default_rng(0)
    width, depth = 10 ** generator.uniform(1, 3, (2, 60))
    size = 12 * width**2 * depth  # the parameters of a transformer
    loss = 1 + width**-0.3 + depth**-0.4 + 30 / size**0.3
    loss *= np.exp(generator.normal(0, 0.002, 60))
    table = pd.DataFrame({"width": width, "depth": depth, "size": size, "loss": loss})
    found = fit(law, Runs(table), {name: name for name in law.input_names}, "loss", bootstrap=0)
    assert found.status == "not identified"
    assert "size is 12 x width^2 x depth^1 in every row" in _text(found, "collinear")


def test_the_ends_of_a_flat_valley_are_where_the_profile_passes_what_noise_allows():
    on = _evidence(FLOOR, _one_input(noise=0.02))
    flat = next(one for one in flatness(on) if on.names[one.place] == "c")
    limit = on.found.value + allowance(on)

    def excess(exponent: float) -> float:
        held = refit_each(on.of, on.found.vectors[:1], hold={"c": np.array([exponent])})
        return float(held.value[0]) - limit

    for end, outward in ((flat.low, 0.9), (flat.high, 1.1)):
        assert flat.low < flat.value < flat.high
        # Interpolated between two values that were tried, so near the crossing and not on it.
        assert excess(end) < 0.5 * allowance(on)
        assert excess(end * outward**4) > 0


def _one_input(noise: float, count: int = 30) -> pd.DataFrame:
    x = np.geomspace(1, 1e4, count)
    loss = (1.5 + 2 * x**-0.4) * np.exp(np.random.default_rng(2).normal(0, noise, count))
    return pd.DataFrame({"x": x, "loss": loss})


def test_a_profile_that_hardly_rises_makes_a_coefficient_weak():
    found = _fit(_surface(*_crossed(3), noise=0.02))
    assert "is weakly identified: it may be anything from" in _text(found, "weak")


def test_the_decay_of_repeated_data_is_weakly_identified():
    # Published as 15.39 (Muennighoff et al. 2023); from 14 to 282 the objective rises by 0.2 %.
    known = {"E": 1.8691437, "A": 520.82495, "B": 1487.7161, "alpha": 0.3526596, "beta": 0.3526596}
    law = find_law("data_constrained").fixed(known)
    table = pd.read_csv(DATA / "data_constrained_182.csv")
    inputs = {name: name for name in law.input_names}
    found = fit(law, Runs(table), inputs, "loss", bootstrap=0)
    assert found.status == "not identified"
    words = _text(found, "weak")
    assert "RD is weakly identified: it may be anything from" in words
    low, high = words.split("RD is weakly identified: it may be anything from ")[1].split(" to ")[
        :2
    ]
    assert float(low) < 14
    assert float(high.split(" ")[0]) > 282


def test_a_short_lever_arm_is_named_with_runs_that_lengthen_it():
    params, tokens = _crossed()
    found = _fit(_surface(1e8 * (params / 1e8) ** 0.03, tokens, noise=0.005))
    assert found.status != "converged"
    assert "params spans a factor of 1.23 only" in _text(found, "short_range")


def test_an_exponent_near_0_is_called_a_logarithm():
    found = _fit(_surface(*_crossed(), noise=0.003, alpha=0.02))
    assert found.status == "not identified"
    assert "near 0 its term is a logarithm" in _text(found, "weak")


def test_an_exponent_above_1_names_how_few_rows_hold_its_term():
    found = _fit(_surface(*_crossed(), noise=0.001, alpha=1.3))
    assert "alpha is 1.3" in _text(found, "steep")
    # The 7 rows of the smallest params hold 1 - 10^-0.65 = 78 % of the term, so 5 of them half.
    assert "5 of 49 rows make half of it" in _text(found, "steep")


def test_a_term_that_is_not_there_is_said_to_have_vanished():
    params, tokens = _crossed()
    loss = (1.7 + 0.4 * (params / 1e8) ** -0.34) * np.exp(
        np.random.default_rng(3).normal(0, 0.005, len(params))
    )
    found = _fit(pd.DataFrame({"params": params, "tokens": tokens, "loss": loss}))
    assert found.status == "not identified"
    assert "the data do not show the term of B, nor its beta" in _text(found, "vanished")


def test_a_floor_of_0_is_said_not_to_be_shown():
    found = _fit(_surface(*_crossed(), noise=0.005, floor=0.0, seed=1))
    assert "the data do not show an irreducible loss" in _text(found, "floor_uncertain")


def test_a_bound_given_as_a_multiple_of_an_input_is_named_in_the_unit_of_the_input():
    law = Law(
        "shift",
        "loss = E + b / (x + s)^c",
        "",
        (Input("x", "scale"),),
        (
            Coefficient("E", "floor", low=0.0),
            Coefficient("b", "amplitude", low=0.0),
            Coefficient("c", "exponent", 0.01, 3.0, (0.1, 2.0)),
            Coefficient("s", "shift", 1e-3, 1e-2, (2e-3, 9e-3), log=True, of="x"),
        ),
    )
    x = np.geomspace(1, 1e4, 40)
    table = pd.DataFrame({"x": x, "loss": 1 + 30 * (x + 30) ** -0.8})
    found = fit(law, Runs(table), {"x": "x"}, "loss", bootstrap=0)
    # The geometric mean of x is 100, and the shift of 30 lies above 0.01 of it.
    assert "s (shift) sits on its upper bound 1" in _text(found, "at_bound")
    assert found.status == "at a bound"


def test_noiseless_runs_are_called_computed():
    params, tokens = _crossed()
    assert "perfect" in _codes(_fit(_surface(params, tokens, noise=0.0)))


def test_copies_of_rows_are_counted():
    table = _surface(*_crossed())
    found = _fit(pd.concat([table, table.iloc[:6]], ignore_index=True))
    assert "6 of 55 rows repeat another row" in _text(found, "duplicates")
    rounded = table.assign(loss=table["loss"].round(1))
    twice = pd.concat([rounded, rounded.iloc[:6]], ignore_index=True)
    assert "duplicates" not in _codes(_fit(twice))  # values of two digits agree by chance


def test_two_optima_that_fit_equally_well_are_both_named():
    # Both inputs lie on one line, so the exponents 0.25 and 0.8 may change places.
    params = np.geomspace(1e6, 1e11, 60)
    found = _fit(_surface(params, 20 * params, noise=0.0005, alpha=0.25, beta=0.8))
    alpha, beta = (found.coefficient(name).value for name in ("alpha", "beta"))
    words = _text(found, "several_optima")
    assert f"fits as well as alpha {alpha:.3g}, beta {beta:.3g}" in words
    assert f"alpha {beta:.3g}, beta {alpha:.3g}" in words


def test_repeated_runs_at_the_proposed_place_settle_what_was_weak():
    params, tokens = _crossed()
    narrow = _surface(1e8 * (params / 1e8) ** 0.15, tokens, noise=0.005)
    on = _evidence(CHINCHILLA, narrow)
    before = next(one for one in flatness(on) if on.names[one.place] == "alpha")
    proposal = next_run(on, before.place)
    assert before.factor > 2
    assert proposal is not None
    assert proposal.count <= 64
    extra = {name: np.full(2 * proposal.count, value) for name, value in proposal.values.items()}
    new = _surface(extra["params"], extra["tokens"], noise=0.005, seed=9)
    after = _evidence(CHINCHILLA, pd.concat([narrow, new], ignore_index=True))
    flat = next(one for one in flatness(after) if after.names[one.place] == "alpha")
    assert flat.factor < before.factor


def test_combinations_are_narrow_where_coefficients_are_not():
    table = pd.read_csv(PUBLISHED).sort_values("loss").iloc[:240]
    found = _fit(table, bootstrap=400)
    combined = {one.name: one for one in found.combinations}
    amplitude, term = found.coefficient("A"), combined["term of A"]
    assert (amplitude.high or 0) / (amplitude.low or 1) > 2
    assert (term.high or 0) / (term.low or 1) < 1.3
    # Besiroglu et al. 2024 and a converged bootstrap: a is 0.48 to 0.556.
    allocation = combined["a"]
    assert allocation.low == pytest.approx(0.480, abs=0.01)
    assert allocation.high == pytest.approx(0.556, abs=0.01)
    assert as_document(found)["combinations"]["a"]["value"] == allocation.value


@pytest.mark.parametrize(
    ("stated", "code"),
    [(1.0, None), (1.1, None), (0.5, "noise_exceeded"), (2.0, "noise_overstated")],
)
def test_noise_that_the_rows_state_is_held_against_the_residuals(stated: float, code: str | None):
    x = np.geomspace(1, 100, 200)
    noise = 0.02 * x**-0.5
    y = 3 * x**-0.5 + np.random.default_rng(3).normal(0, noise)
    table = pd.DataFrame({"x": x, "loss": y, "s": stated * noise})
    found = fit(POWER, Runs(table), {"x": "x"}, "loss", bootstrap=0, columns=Columns(noise="s"))
    said = [one for one in found.warnings if one.code.startswith("noise_")]
    assert [one.code for one in said] == ([code] if code else [])
    if said:
        # the residuals are those of 198 normal numbers: their size is known to 5 %
        size = float(said[0].text.split(" times")[0].rpartition(" ")[2])
        assert size == pytest.approx(1 / stated, rel=0.15)


def test_the_slope_of_a_power_law_is_its_exponent():
    x = np.geomspace(1, 100, 12)
    loss = 3 * x**-0.7 * np.exp(np.random.default_rng(0).normal(0, 0.01, 12))
    found = fit(POWER, Runs(pd.DataFrame({"x": x, "loss": loss})), {"x": "x"}, "loss", bootstrap=0)
    slope = next(one for one in found.combinations if one.name == "slope of x")
    assert slope.value == pytest.approx(-found.coefficient("c").value, rel=1e-6)
    assert slope.low is None


def test_the_allowance_of_least_squares_is_that_of_the_t_distribution_at_many_rows():
    x = np.geomspace(1, 100, 2_000)
    loss = np.exp(np.random.default_rng(0).normal(0, 0.1, 2_000))
    law = Law(
        "mean", "log(loss) = m + 0 * log(x)", "", (Input("x", "x", 1),), (Coefficient("m", "m"),)
    )
    table = pd.DataFrame({"x": x, "loss": loss})
    found = _evidence(replace(law, objective=Objective("squares")), table)
    logs = np.log(loss)
    rise = allowance(found)
    half = np.sqrt(2 * rise / len(logs))  # n (m - mean)^2 / 2 is the rise of the objective
    assert half == pytest.approx(1.96 * logs.std(ddof=1) / np.sqrt(len(logs)), rel=1e-3)
    assert minimize_scalar(lambda m: ((logs - m) ** 2).sum()).x == pytest.approx(
        found.found.vectors[0, 0]
    )
