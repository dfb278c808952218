"""Laws of several variables: each is found again in its own runs, and is another in its limits."""

import itertools

import numpy as np
import pytest

from analysis.engine.compiled import predict
from analysis.engine.refit import optimum, setup
from analysis.law import find_law
from analysis.points import Points
from trainers.schema import InputError

Values = dict[str, np.ndarray]


def crossed(**levels: list[float]) -> Values:
    """Every combination of some levels."""
    rows = np.array(list(itertools.product(*levels.values())))
    return dict(zip(levels, rows.T, strict=True))


def mixtures(domains: int) -> Values:
    """Sizes and tokens crossed with each domain alone and with random shares."""
    shares = np.random.default_rng(0).dirichlet(np.ones(domains), 12)
    shares = np.concatenate([shares, np.eye(domains)])
    rows = [(n, d, *one) for n in SIZES[::2] for d in DATA[::2] for one in shares.tolist()]
    names = ["params", "tokens", *(f"share_{number}" for number in range(1, domains + 1))]
    return dict(zip(names, np.array(rows).T, strict=True))


def shaped() -> Values:
    """Widths and depths of models with narrow and wide layers, crossed with tokens."""
    values = crossed(width=WIDTHS, depth=DEPTHS, wide=[1, 4], tokens=DATA)
    wide = values.pop("wide")
    return {**values, "params": 12 * values["width"] ** 2 * values["depth"] * wide}


SIZES = [1e7, 4e7, 1.6e8, 6.4e8, 2.5e9]
DATA = [2e8, 1e9, 5e9, 2.5e10, 1e11]
WIDTHS, DEPTHS = [256.0, 512.0, 1024.0, 2048.0], [3.0, 6.0, 12.0, 24.0]
EXPERTS = [1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 512.0]
UNIQUE = [1e8, 1e9, 1e10]
SURFACE = crossed(params=SIZES, tokens=DATA)
REPEATED = crossed(params=SIZES, tokens=DATA, unique_tokens=UNIQUE)
CHINCHILLA = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
KAPLAN = {"Nc": 6.4e13, "Dc": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103}
BOUNDED = {"E": 1.5, "L0": 10.8, "N0": 2e5, "alpha": 0.35, "beta": 0.4}
WEIGHTS = {"c_2": 1.6, "c_3": 2.9, "g_1": 0.5, "g_2": 0.7, "g_3": 0.9}
PULLS = {"A_2": 1.3, "A_3": 1.8, "B_2": 1.7, "B_3": 1.3, "p_A": -1.7, "p_B": 2.0}
MIXTURE = {**CHINCHILLA, "E": 1.2, "K": 0.8}


def only(domains: int, coefficients: dict[str, float]) -> dict[str, float]:
    """The coefficients of the first domains."""
    return {
        name: value
        for name, value in coefficients.items()
        if not name[-1].isdigit() or int(name[-1]) <= domains
    }


PLANTED: dict[str, tuple[dict[str, float], Values]] = {
    "chinchilla": (CHINCHILLA, SURFACE),
    "chinchilla_tied": ({"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.36}, SURFACE),
    "kaplan": (KAPLAN, SURFACE),
    "kaplan_steps": (
        {"A": 11.6, "S": 335.0, "alpha_N": 0.077, "alpha_S": 0.76, "critical": 5e5},
        crossed(params=SIZES, steps=[3e3, 1e4, 3e4, 1e5], batch=[6e4, 2.5e5, 1e6, 4e6]),
    ),
    "over_training": (
        {"E": 1.84, "a": 140.0, "b": 260.0, "eta": 0.136},
        crossed(flops=[1e17, 1e18, 1e19, 1e20, 1e21], ratio=[5, 20, 80, 320]),
    ),
    "data_constrained": (
        {"E": 1.87, "A": 521.0, "B": 1488.0, "alpha": 0.353, "beta": 0.36, "RD": 15.4, "RN": 5.3},
        REPEATED,
    ),
    "bounded": ({**BOUNDED, "T0": 1e6, "c": 1e-3, "gamma": 0.5, "delta": 0.4}, REPEATED),
    "bounded_rational": ({**BOUNDED, "D0": 1e7}, SURFACE),
    "skaling": (
        {"E": 1.6, "N0": 1e8, "D0": 3e9, "alpha": 0.5, "beta": 0.6, "k": 0.6},
        SURFACE,
    ),
    "width_depth": (
        {"E": 1.6, "A": 30.0, "B": 1.0, "C": 1500.0, "alpha": 0.7, "beta": 1.1, "gamma": 0.36},
        crossed(width=WIDTHS, depth=DEPTHS, tokens=DATA),
    ),
    "width_depth_params": (
        {"E": 1.6, "A": 30.0, "B": 1.0, "C": 300.0, "F": 1500.0}
        | {"alpha": 0.7, "beta": 1.1, "gamma": 0.36, "delta": 0.37},
        shaped(),
    ),
    "transfer": (
        {"k": 1.9e4, "alpha": 0.18, "beta": 0.38},
        crossed(examples=[1e5, 1e6, 1e7], params=SIZES),
    ),
    "moe_bilinear": (
        {"a": -0.082, "b": -0.108, "c": 0.009, "d": 1.1},
        crossed(params=SIZES, experts=EXPERTS),
    ),
    "moe_saturating": (
        {"a": -0.083, "b": -0.126, "c": 0.012, "d": 1.11, "start": 1.88, "limit": 470.0},
        crossed(params=SIZES, experts=EXPERTS),
    ),
    "precision": (
        {**CHINCHILLA, "gamma_weight": 2.67},
        crossed(params=SIZES, tokens=DATA, weight_bits=[3, 4, 6, 8, 16]),
    ),
    "precision:2": (
        {**CHINCHILLA, "gamma_weight": 2.67, "gamma_activation": 2.21},
        crossed(
            params=SIZES[::2], tokens=DATA[::2], weight_bits=[3, 6, 16], activation_bits=[3, 6, 16]
        ),
    ),
    "precision_after": (
        {**CHINCHILLA, "C": 0.06, "gamma_D": 0.5, "gamma_N": 0.34, "gamma": 0.6},
        crossed(params=SIZES, tokens=DATA, bits=[3, 4, 5, 6, 8]),
    ),
    "step_law_lr": ({"c": 1.79, "alpha": 0.713, "beta": 0.307}, SURFACE),
    "step_law_batch": ({"c": 0.58, "beta": 0.571}, crossed(tokens=DATA)),
    "timescale": ({"c": 1.1, "m": -0.527}, SURFACE),
    "critical_batch": (
        {"steps": 4000.0, "critical": 3e5},
        crossed(batch=[1e4, 3e4, 1e5, 3e5, 1e6]),
    ),
    "critical_batch_scale": (
        {"S": 1e7, "F": 2e15, "p": -5.0, "q": -4.8},
        crossed(batch=[1e4, 3e4, 1e5, 3e5, 1e6], scale=[2.5, 3, 3.5, 4.5]),
    ),
    "vocabulary": (
        {"E": 5.5, "A": 1.9, "V": 20.0, "B": 1500.0, "alpha": 0.45, "gamma": 0.67, "beta": 0.36},
        crossed(params=SIZES, vocabulary_params=[1e6, 4e6, 1.6e7, 6.4e7], tokens=DATA),
    ),
    "fine_grained_moe": (
        {"c": 0.47, "g": 2.1, "a": 18.1, "b": 30.8, "alpha": 0.115, "beta": 0.147, "gamma": 0.58},
        crossed(params=SIZES, tokens=DATA, granularity=[1, 2, 4, 8, 16]),
    ),
    "mixture": (only(2, {**MIXTURE, **WEIGHTS}), mixtures(2)),
    "mixture:3": ({**MIXTURE, **WEIGHTS}, mixtures(3)),
    "mixture_joint": (only(2, {**MIXTURE, **WEIGHTS, **PULLS}), mixtures(2)),
    "mixture_joint:3": ({**MIXTURE, **WEIGHTS, **PULLS}, mixtures(3)),
}
SLOW = {"mixture_joint:3": pytest.mark.slow}  # five seconds, most of them for its derivatives
UNITS = {"params": 1e-6, "tokens": 1e-9, "unique_tokens": 1e-9, "batch": 1e-6, "flops": 1e-18}


def fitted(name: str, values: Values, measured: np.ndarray) -> tuple[dict[str, float], float]:
    """The coefficients of a law fitted to some runs, and the objective."""
    law = find_law(name)
    found = optimum(setup(law, Points(values, measured, tuple(measured[:, None]))))
    return dict(zip(law.place, found.vectors[0].tolist(), strict=True)), found.value


def surface(values: Values, **changed: float) -> np.ndarray:
    """The losses of the law `chinchilla`."""
    return predict(find_law("chinchilla"), {**CHINCHILLA, **changed}, values)


@pytest.mark.parametrize("name", [pytest.param(one, marks=SLOW.get(one, ())) for one in PLANTED])
def test_a_law_finds_its_coefficients_again_in_runs_without_noise(name: str):
    truth, values = PLANTED[name]
    found, _ = fitted(name, values, predict(find_law(name), truth, values))
    assert found == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize("name", [name for name in PLANTED if not name.startswith("mixture")])
def test_a_table_in_millions_and_billions_is_fitted_as_well(name: str):
    truth, values = PLANTED[name]
    measured = predict(find_law(name), truth, values)
    scaled = {one: column * UNITS.get(one, 1.0) for one, column in values.items()}
    found, _ = fitted(name, scaled, measured)
    assert predict(find_law(name), found, scaled) == pytest.approx(measured, rel=1e-9)


@pytest.mark.parametrize("name", ["chinchilla", "kaplan", "skaling", "bounded", "data_constrained"])
@pytest.mark.parametrize("unit", [1e-2, 1e3])
def test_a_loss_in_another_unit_is_fitted_as_well(name: str, unit: float):
    truth, values = PLANTED[name]
    measured = unit * predict(find_law(name), truth, values)
    found, _ = fitted(name, values, measured)
    assert predict(find_law(name), found, values) == pytest.approx(measured, rel=1e-9)


def test_the_tied_law_is_chinchilla_with_equal_exponents():
    truth = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.36}
    tied = find_law("chinchilla").tied({"beta": "alpha"})
    expected = surface(SURFACE, alpha=0.36, beta=0.36)
    assert predict(tied, truth, SURFACE) == pytest.approx(expected, rel=1e-14)
    assert predict(find_law("chinchilla_tied"), truth, SURFACE) == pytest.approx(
        expected, rel=1e-14
    )


def test_skaling_with_an_outer_exponent_of_one_is_chinchilla():
    n0, d0 = 480 ** (1 / 0.35), 2100 ** (1 / 0.37)
    truth = {"E": 1.8, "N0": n0, "D0": d0, "alpha": 0.35, "beta": 0.37, "k": 1.0}
    assert predict(find_law("skaling"), truth, SURFACE) == pytest.approx(
        surface(SURFACE), rel=1e-12
    )


def test_skaling_without_a_floor_and_with_a_data_exponent_of_one_is_kaplan():
    ratio = KAPLAN["alpha_N"] / KAPLAN["alpha_D"]
    truth = {"E": 0.0, "N0": 6.4e13, "D0": 1.8e13, "alpha": ratio, "beta": 1.0, "k": 0.103}
    expected = predict(find_law("kaplan"), KAPLAN, SURFACE)
    assert predict(find_law("skaling"), truth, SURFACE) == pytest.approx(expected, rel=1e-12)


def test_the_joint_law_of_kaplan_ends_in_a_power_law_of_size_and_one_of_data():
    sizes, data = np.array([1e6, 1e9]), np.array([1e8, 1e11])
    law, endless = find_law("kaplan"), np.full(2, 1e60)
    by_size = predict(law, KAPLAN, {"params": sizes, "tokens": endless})
    by_data = predict(law, KAPLAN, {"params": endless, "tokens": data})
    assert by_size == pytest.approx((6.4e13 / sizes) ** 0.076, rel=1e-9)
    assert by_data == pytest.approx((1.8e13 / data) ** 0.103, rel=1e-9)


def test_at_the_critical_batch_a_run_needs_twice_the_steps_of_an_endless_batch():
    law, (truth, _) = find_law("kaplan_steps"), PLANTED["kaplan_steps"]
    params, steps = np.full(3, 1e8), np.array([1e3, 1e4, 1e5])
    endless = {"params": params, "steps": steps, "batch": np.full(3, 1e30)}
    critical = {"params": params, "steps": 2 * steps, "batch": np.full(3, truth["critical"])}
    assert predict(law, truth, critical) == pytest.approx(predict(law, truth, endless), rel=1e-12)


def test_over_training_is_chinchilla_with_both_exponents_twice_its_own():
    truth = {"E": 1.84, "a": 140.0, "b": 260.0, "eta": 0.136}
    params, tokens = SURFACE["params"], SURFACE["tokens"]
    values = {"flops": 6 * params * tokens, "ratio": tokens / params}
    size, data = (truth[name] * 6**-0.136 for name in ("a", "b"))
    expected = surface(SURFACE, E=1.84, A=size, B=data, alpha=0.272, beta=0.272)
    assert predict(find_law("over_training"), truth, values) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("unique", [1.0, 50.0])
def test_data_without_repeats_are_chinchilla_up_to_the_optimal_size(unique: float):
    law, tokens = find_law("data_constrained"), np.array([1e9, 1e10, 1e11])
    balance = CHINCHILLA["alpha"] * CHINCHILLA["A"] / (CHINCHILLA["beta"] * CHINCHILLA["B"])
    optimal = (balance * tokens ** CHINCHILLA["beta"]) ** (1 / CHINCHILLA["alpha"])
    truth = {**CHINCHILLA, "RD": 15.0, "RN": 5.0}
    for share, same in ((0.01, True), (0.999, True), (10.0, False)):
        values = {"params": share * optimal, "tokens": tokens, "unique_tokens": unique * tokens}
        loss, plain = predict(law, truth, values), surface(values)
        assert (np.abs(loss - plain) < 1e-9 * plain).all() == same
        assert (loss >= plain * (1 - 1e-12)).all()


def test_repeats_that_never_wear_out_are_fresh_data():
    truth = {**CHINCHILLA, "RD": 1e7, "RN": 1e7}
    loss = predict(find_law("data_constrained"), truth, REPEATED)
    assert loss == pytest.approx(surface(REPEATED), rel=1e-3)


def test_endless_repeats_are_worth_a_fixed_number_of_unique_tokens():
    truth = {**CHINCHILLA, "RD": 15.0, "RN": 5.0}
    sizes, unique = np.full(2, 1e6), np.array([1e9, 1e10])
    values = {"params": sizes, "tokens": 1e6 * unique, "unique_tokens": unique}
    expected = surface({"params": sizes, "tokens": 16 * unique})
    loss = predict(find_law("data_constrained"), truth, values)
    assert loss == pytest.approx(expected, rel=1e-12)


def test_the_bounded_laws_lie_between_their_floor_and_the_untrained_loss():
    truth = {**BOUNDED, "D0": 1e7}
    far = {"params": np.array([1e-60, 1e90]), "tokens": np.array([1e-60, 1e90])}
    assert predict(find_law("bounded_rational"), truth, far) == pytest.approx([10.8, 1.5], rel=1e-9)
    half = {"params": np.array([2e5, 1e90]), "tokens": np.array([1e90, 1e7])}
    assert predict(find_law("bounded_rational"), truth, half) == pytest.approx(6.15, rel=1e-9)


def test_the_bounded_law_without_over_fitting_is_the_rational_one():
    more = {**BOUNDED, "T0": 1e7, "c": 1e-30, "gamma": 0.0, "delta": 0.0}
    expected = predict(find_law("bounded_rational"), {**BOUNDED, "D0": 1e7}, SURFACE)
    assert predict(find_law("bounded"), more, REPEATED)[::3] == pytest.approx(expected, rel=1e-12)


def test_many_bits_are_full_precision():
    bits = np.full(len(SURFACE["params"]), 1e4)
    before = predict(
        find_law("precision"),
        {**CHINCHILLA, "gamma_weight": 2.67},
        {**SURFACE, "weight_bits": bits},
    )
    rounding = {"C": 0.06, "gamma_D": 0.5, "gamma_N": 0.34, "gamma": 0.6}
    after = predict(
        find_law("precision_after"), {**CHINCHILLA, **rounding}, {**SURFACE, "bits": bits}
    )
    assert before == pytest.approx(surface(SURFACE), rel=1e-12)
    assert after == pytest.approx(surface(SURFACE), rel=1e-12)


def test_few_bits_of_a_weight_cost_as_much_as_fewer_weights():
    values = {**SURFACE, "weight_bits": np.full(len(SURFACE["params"]), 2.67 * np.log(2))}
    loss = predict(find_law("precision"), {**CHINCHILLA, "gamma_weight": 2.67}, values)
    halved = surface({**SURFACE, "params": SURFACE["params"] / 2})
    assert loss == pytest.approx(halved, rel=1e-12)


def test_one_expert_counts_as_the_first_and_endless_ones_as_the_last():
    truth, _ = PLANTED["moe_saturating"]
    values = {"params": np.array([1e8, 1e8]), "experts": np.array([1.0, 1e15])}
    plane = {name: truth[name] for name in "abcd"}
    counted = {"params": values["params"], "experts": np.array([1.88, 470.0])}
    expected = predict(find_law("moe_bilinear"), plane, counted)
    assert predict(find_law("moe_saturating"), truth, values) == pytest.approx(expected, rel=1e-9)


def test_granularity_that_does_not_matter_leaves_chinchilla():
    truth = {"c": 1.8, "g": 0.0, "a": 480.0, "b": 2100.0, "gamma": 0.58}
    truth |= {"alpha": 0.35, "beta": 0.37}
    values = {**SURFACE, "granularity": np.full(len(SURFACE["params"]), 4.0)}
    loss = predict(find_law("fine_grained_moe"), truth, values)
    assert loss == pytest.approx(surface(SURFACE), rel=1e-14)


def test_steps_and_examples_to_a_loss_lie_on_a_hyperbola():
    batch = np.array([1e3, 1e4, 3e5, 1e6, 1e8])
    steps = predict(
        find_law("critical_batch"), {"steps": 4000.0, "critical": 3e5}, {"batch": batch}
    )
    fewest_steps, fewest_examples = 4000.0, 4000.0 * 3e5
    product = (steps / fewest_steps - 1) * (steps * batch / fewest_examples - 1)
    assert product == pytest.approx(1.0, rel=1e-9)


def test_the_critical_batch_over_scale_is_the_one_of_each_scale():
    truth, values = PLANTED["critical_batch_scale"]
    needed = predict(find_law("critical_batch_scale"), truth, values)
    for scale in np.unique(values["scale"]):
        here = values["scale"] == scale
        found, _ = fitted("critical_batch", {"batch": values["batch"][here]}, needed[here])
        assert found["critical"] == pytest.approx(2e8 * scale**-4.8, rel=1e-6)
        assert found["steps"] == pytest.approx(1e7 * scale**-5.0, rel=1e-6)


def test_the_mixture_laws_are_their_authors_sums():
    values = mixtures(3)
    shares = [values[f"share_{number}"] for number in (1, 2, 3)]
    size, data = values["params"] ** -0.35, values["tokens"] ** -0.37
    sums = [1.25, 1.25 * 1.6, 1.25 * 2.9]  # C_1 = 1 / K
    exponents = [0.5, 0.7, 0.9]
    bias = sum(c * h**g for c, h, g in zip(sums, shares, exponents, strict=True))
    additive = predict(find_law("mixture:3"), {**MIXTURE, **WEIGHTS}, values)
    assert additive == pytest.approx(1.2 + 1 / bias + 480 * size + 2100 * data, rel=1e-12)
    on_size = sum(a**-1.7 * h for a, h in zip([480, 480 * 1.3, 480 * 1.8], shares, strict=True))
    on_data = sum(b**2 * h for b, h in zip([2100, 2100 * 1.7, 2100 * 1.3], shares, strict=True))
    expected = 1.2 + 1 / bias + on_size ** (-1 / 1.7) * size + on_data**0.5 * data
    joint = predict(find_law("mixture_joint:3"), {**MIXTURE, **WEIGHTS, **PULLS}, values)
    assert joint == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "most"), [("mixture", 12), ("mixture_joint", 12), ("precision", 3)]
)
def test_a_law_says_which_sizes_it_has(name: str, most: int):
    for size in (0, most + 1):
        with pytest.raises(InputError, match=rf"expected a size of \d to {most}, got {size}"):
            find_law(f"{name}:{size}")
