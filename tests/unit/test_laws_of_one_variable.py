"""Laws of one variable: planted coefficients are found again, and limits are what they must be."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from analysis.law import find_law
from tests.curves import SQUARES, at, found_in
from trainers.schema import InputError

Span = tuple[float, float]


@dataclass(frozen=True)
class Plausible:
    """Ranges of coefficients for x around 1: free of units, in the unit of x, and amplitudes."""

    free: Mapping[str, Span]
    scales: Mapping[str, Span]
    amplitudes: Mapping[str, Span]
    x: Span = (1e-2, 1e2)
    units: Span = (-6.0, 12.0)


FLOOR, TERM = {"E": (0.3, 3.0)}, {"b": (0.5, 5.0)}
PLAUSIBLE = {
    "power": Plausible({"c": (0.03, 1.0)}, {}, TERM),
    "power_floor": Plausible({**FLOOR, "c": (0.1, 1.0)}, {}, TERM),
    "shifted": Plausible({**FLOOR, "c": (0.2, 1.0)}, {"s": (0.05, 1.0)}, TERM),
    "m3": Plausible({"c": (0.1, 1.0)}, {"m": (0.1, 10.0)}, TERM),
    "m4": Plausible(
        {**FLOOR, "I": (4.0, 10.0), "c": (0.3, 1.0), "a": (0.3, 3.0)}, {"m": (0.03, 0.5)}, {}
    ),
    "broken": Plausible(
        {"E": (0.1, 1.0), "c0": (0.05, 0.4), "c1": (0.3, 1.0), "f1": (0.1, 0.8)},
        {"d1": (0.1, 5.0)},
        TERM,
    ),
    "exponential": Plausible({**FLOOR, "b": (0.5, 5.0), "k": (0.5, 1.4)}, {"s": (0.3, 3.0)}, {}),
    "rectified": Plausible({**FLOOR, "beta": (0.3, 1.0)}, {"s": (0.05, 1.0)}, {"B": (0.5, 5.0)}),
    "logarithmic": Plausible({"b": (-1.0, 1.0)}, {}, {"a": (-3.0, 3.0)}),
    "sigmoid": Plausible(
        {"lo": (0.0, 0.3), "hi": (0.7, 1.0), "k": (3.0, 15.0)},
        {"L0": (0.8, 1.2)},
        {},
        x=(0.5, 1.6),
        units=(-1.0, 1.0),
    ),
    "error_of_loss": Plausible(
        {"eps": (0.7, 0.95), "k": (0.5, 3.0)},
        {"s": (0.5, 2.0)},
        {},
        x=(0.4, 1.4),
        units=(-1.0, 1.0),
    ),
    "pass_rate": Plausible({"c": (0.1, 0.6)}, {}, TERM),
    "coverage": Plausible({"a": (0.1, 2.0), "b": (0.3, 50.0)}, {}, {}, x=(1.0, 1e3), units=(0, 0)),
    "coverage_power": Plausible({"c": (0.1, 0.5)}, {}, {"a": (0.5, 8.0)}, x=(1.0, 1e4)),
    "grokking_delay": Plausible(
        {"a": (4.0, 9.0), "g": (0.3, 2.0)}, {"x0": (0.15, 0.28)}, {}, x=(0.3, 1.0)
    ),
    "time_to_loss": Plausible(
        {"a": (4.0, 9.0), "g": (1.0, 10.0)}, {"E": (0.25, 0.45)}, {}, x=(0.5, 2.0)
    ),
    "priming_log": Plausible(
        {"b": (1.0, 10.0)}, {}, {"a": (0.0, 10.0)}, x=(1e2, 1e7), units=(0, 0)
    ),
    "priming_power": Plausible({"c": (0.05, 1.0)}, {}, TERM, x=(1e2, 1e7)),
}


@pytest.mark.parametrize("name", PLAUSIBLE)
@settings(max_examples=4)
@given(data=st.data())
def test_a_planted_curve_is_found_again_in_any_unit_of_x(name: str, data: st.DataObject):
    plausible, law = PLAUSIBLE[name], find_law(name)
    ranges = {**plausible.free, **plausible.scales, **plausible.amplitudes}
    planted = {key: data.draw(st.floats(*span), label=key) for key, span in ranges.items()}
    unit = 10 ** data.draw(st.floats(*plausible.units), label="decades")
    x = np.geomspace(*plausible.x, 30)
    y = at(name, planted, x)
    # Without noise a fitted scale has no optimum, and a share of counts no scatter.
    kind = None if law.objective.kind in ("huber", "squares") else SQUARES
    found, best = found_in(name, x * unit, y, kind)
    assert best.converged
    for key in plausible.free:
        assert found[key] == pytest.approx(planted[key], rel=1e-6, abs=1e-9)
    for key in plausible.scales:
        assert found[key] == pytest.approx(planted[key] * unit, rel=1e-6)
    beyond = np.geomspace(plausible.x[1], 2 * plausible.x[1], 5)
    assert at(name, found, beyond * unit) == pytest.approx(at(name, planted, beyond), rel=1e-6)


@pytest.mark.slow
@settings(max_examples=6)
@given(
    c1=st.floats(0.3, 0.8),
    c2=st.floats(-0.6, -0.2),
    ratio=st.floats(50, 500),
    f=st.floats(0.1, 0.5),
)
def test_two_breaks_are_found_again(c1: float, c2: float, ratio: float, f: float):
    planted = {"E": 0.3, "b": 2.0, "c0": 0.15, "c1": c1, "d1": 2e7, "f1": f}
    planted |= {"c2": c2, "r2": ratio, "f2": f}
    x = np.geomspace(1e5, 1e13, 40)
    found, _ = found_in("broken:2", x, at("broken:2", planted, x))
    assert found == pytest.approx(planted, rel=1e-4)


@pytest.mark.parametrize(
    "name", ["power_floor", "shifted", "m4", "broken", "exponential", "rectified"]
)
def test_a_loss_falls_to_its_floor_as_x_grows(name: str):
    planted = {
        "E": 1.7, "b": 3.0, "B": 3.0, "c": 0.5, "s": 2.0, "I": 5.0, "m": 2.0, "a": 1.5,
        "c0": 0.3, "c1": 0.2, "d1": 10.0, "f1": 0.5, "k": 0.7, "beta": 0.5,
    }  # fmt: skip
    mine = {key: planted[key] for key in find_law(name).place}
    falling = at(name, mine, np.array([1.0, 10.0, 1e2, 1e40]))
    assert (np.diff(falling[:3]) < 0).all()
    assert falling[-1] == pytest.approx(1.7, rel=1e-12)


def test_m4_solves_the_equation_of_its_source():
    mine = {"E": 0.5, "I": 4.0, "m": 30.0, "c": 0.4, "a": 2.3}
    x = np.geomspace(1, 1e6, 20)
    loss = at("m4", mine, x)
    scale = mine["m"] ** mine["c"] * (mine["I"] - mine["E"]) ** (1 - mine["a"])
    left = (loss - mine["E"]) / (mine["I"] - loss) ** mine["a"]
    assert left == pytest.approx(scale * x ** -mine["c"], rel=1e-9)


def test_m4_with_a_of_1_is_a_logistic_curve_in_ln_x():
    x = np.geomspace(1e-3, 1e6, 30)
    curve = 0.5 + 3.5 * special.expit(0.4 * np.log(30.0 / x))
    assert at("m4", {"E": 0.5, "I": 4.0, "m": 30.0, "c": 0.4, "a": 1.0}, x) == pytest.approx(curve)


def test_m4_is_a_power_law_far_from_guessing_and_guesses_at_first():
    mine = {"E": 0.0, "I": 4.0, "m": 30.0, "c": 0.4, "a": 2.0}
    x = np.array([1e20, 1e22])
    assert at("m4", mine, x) == pytest.approx(4.0 * (30.0 / x) ** 0.4, rel=1e-6)
    assert at("m4", mine, np.array([1e-40])) == pytest.approx(4.0, rel=1e-6)


def test_m3_is_a_power_law_before_its_limit_and_level_after_it():
    mine = {"b": 3.0, "m": 1e6, "c": 0.3}
    assert at("m3", mine, np.array([1.0])) == pytest.approx(3.0, rel=1e-6)
    assert at("m3", mine, np.array([1e15])) == pytest.approx(3.0 * 1e-6**0.3, rel=1e-6)


def test_a_broken_law_without_a_break_is_a_power_law_with_a_floor():
    x = np.geomspace(1, 1e9, 9)
    plain = at("power_floor", {"E": 1.0, "b": 5.0, "c": 0.3}, x)
    assert at("broken:0", {"E": 1.0, "b": 5.0, "c0": 0.3}, x) == pytest.approx(plain)
    unbent = {"E": 1.0, "b": 5.0, "c0": 0.3, "c1": 0.0, "d1": 1e4, "f1": 0.5}
    assert at("broken", unbent, x) == pytest.approx(plain)


def test_a_sharp_break_joins_two_power_laws_at_its_place():
    mine = {"E": 0.0, "b": 5.0, "c0": 0.1, "c1": 0.4, "d1": 1e4, "f1": 0.01}
    before, after = np.array([10.0, 9e3]), np.array([1.2e4, 1e12])
    assert at("broken", mine, before) == pytest.approx(5.0 * before**-0.1, rel=1e-4)
    assert at("broken", mine, after) == pytest.approx(5.0 * after**-0.1 * (after / 1e4) ** -0.4)


@pytest.mark.parametrize("size", ["5", "99"])
def test_more_breaks_than_a_table_could_tell_are_refused(size: str):
    with pytest.raises(InputError, match="0 to 4 breaks"):
        find_law(f"broken:{size}")


def test_a_rectified_law_without_learned_data_is_a_power_law_with_a_floor():
    x = np.geomspace(1, 1e6, 9)
    plain = at("power_floor", {"E": 1.0, "b": 5.0, "c": 0.4}, x)
    mine = {"E": 1.0, "B": 5.0, "s": 1e-30, "beta": 0.4}
    assert at("rectified", mine, x) == pytest.approx(plain)


def test_coverage_is_the_chance_of_a_success_in_k_tries_over_a_beta_distribution():
    k = np.array([1.0, 4.0, 30.0])

    def failed(tries: float) -> float:
        return integrate.quad(lambda p: (1 - p) ** tries * stats.beta.pdf(p, 0.4, 3.0), 0, 1)[0]

    missed = np.array([failed(float(tries)) for tries in k])
    assert at("coverage", {"a": 0.4, "b": 3.0}, k) == pytest.approx(1 - missed, rel=1e-7)


def test_the_unsolved_share_falls_as_a_power_of_the_tries():
    missed = 1 - at("coverage", {"a": 0.4, "b": 3.0}, np.array([1e4, 1e5]))
    assert np.log10(missed[0] / missed[1]) == pytest.approx(0.4, rel=1e-3)


def test_the_time_to_a_loss_is_the_inverse_of_the_loss_over_time():
    mine = {"a": np.log(1e4), "g": 3.0, "E": 1.5}
    loss = np.array([1.6, 2.0, 5.0])
    steps = at("time_to_loss", mine, loss)
    curve = {"E": 1.5, "b": 1.5 * 1e4 ** (1 / 3), "c": 1 / 3}
    assert at("power_floor", curve, steps) == pytest.approx(loss)
