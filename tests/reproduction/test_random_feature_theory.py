"""Surfaces of random-feature theory, whose exponents are known exactly, fitted by our laws.

The model is linear regression on modes k = 1, 2, ... of variance lambda_k = k^-b, for a target with
the power k^-a in mode k, and with endlessly many modes. Its losses are sums that are computed here
to rounding: over the first modes one by one, beyond them by Hurwitz' zeta function. Mellin's
transform gives the same losses as series in powers, hence the exponents and how fast they are
reached: from these, and from nothing that was fitted, come the ranges and tolerances below.

Source: Bordelon, Atanasov and Pehlevan 2024, arXiv:2402.01092, for the model; Bordelon, Canatar and
Pehlevan 2020, arXiv:2002.02561, for the loss of data.
"""

from collections.abc import Callable
from typing import cast

import numpy as np
import pandas as pd
import pytest
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import gamma, zeta

from analysis.engine.objective import Objective
from analysis.fit import Fit, fit
from analysis.judgement.rolling import Rolling, rolling
from analysis.law import find_law
from analysis.points import Pool
from analysis.runs import Runs

Numbers = Float[np.ndarray, " run"]
SQUARES = Objective(kind="squares")
TERMS = 14  # of a series in powers of 1/20 or less: beyond rounding
FLOOR = 0.1  # irreducible loss: the variance of noise on the target


def over_modes(
    of: Callable[[Numbers], Numbers], last: float, terms: Callable[[int], tuple[float, float]]
) -> float:
    """Sum over all modes; beyond `last` it is the sum over j of c k^-p, with (c, p) = terms(j)."""
    count = int(np.ceil(last)) + 10
    rest = sum(c * zeta(p, count + 1) for c, p in map(terms, range(TERMS)))
    return float(of(np.arange(1, count + 1.0)).sum() + rest)


def time_loss(t: float, a: float, b: float) -> float:
    """Loss of gradient flow after time t with endless data and width: sum k^-a exp(-2 t k^-b)."""
    return over_modes(
        lambda k: k**-a * np.exp(-2 * t * k**-b),
        (40 * t) ** (1 / b),
        lambda j: ((-2 * t) ** j / gamma(j + 1), a + j * b),
    )


def seen(kappa: float, b: float, power: int) -> float:
    """Sum over modes of (lambda / (lambda + kappa))^power, for a power of 1 or 2."""
    return over_modes(
        lambda k: (1 + kappa * k**b) ** -power,
        (20 / kappa) ** (1 / b),
        lambda j: ((-1) ** j * (j + 1) ** (power - 1) * kappa ** -(j + power), (j + power) * b),
    )


def unseen(kappa: float, a: float, b: float, power: int) -> float:
    """Sum over modes of k^-a (kappa / (lambda + kappa))^power, for a power of 1 or 2."""
    return over_modes(
        lambda k: k**-a * (kappa * k**b / (1 + kappa * k**b)) ** power,
        (20 / kappa) ** (1 / b),
        lambda j: ((-1) ** j * (j + 1) ** (power - 1) * kappa**-j, a + j * b),
    )


def resolution(count: float, b: float) -> float:
    """The kappa at which `count` modes are seen, which rank or data of that number give."""
    guess = b * np.log(np.pi / b / np.sin(np.pi / b) / (count + 0.5))
    return float(
        np.exp(root(lambda at: seen(float(np.exp(at)), b, 1) - count, guess - 1, guess + 1))
    )


def root(of: Callable[[float], float], low: float, high: float) -> float:
    """Where a function is 0."""
    return cast(float, brentq(of, low, high, xtol=1e-14))


def width_loss(width: float, a: float, b: float) -> float:
    """Typical loss of the best readout of `width` random features, with endless data and time."""
    return unseen(resolution(width, b), a, b, 1)


def data_loss(examples: float, a: float, b: float) -> float:
    """Typical loss of the smallest weights that fit `examples` examples."""
    kappa = resolution(examples, b)
    return unseen(kappa, a, b, 2) / (1 - seen(kappa, b, 2) / examples)


def truncated_loss(width: float, t: float, a: float, b: float) -> float:
    """Loss of gradient flow on the first `width` modes alone."""
    k = np.arange(1, width + 1)
    return float((k**-a * np.exp(-2 * t * k**-b)).sum() + zeta(a, width + 1))


def width_terms(a: float, b: float) -> tuple[tuple[float, float], ...]:
    """The loss of width as a sum of c kappa^p, by Mellin's transform: (p, c) of three terms."""
    s = (a - 1) / b
    regular = ((1.0, zeta_below(a - b)), (2.0, -zeta_below(a - 2 * b)))
    return ((s, np.pi / b / np.sin(np.pi * s)), *regular)


def width_series(kappa: Numbers, a: float, b: float) -> tuple[Numbers, Numbers]:
    """The width at which kappa is resolved, likewise, and its loss."""
    width = kappa ** (-1 / b) * np.pi / b / np.sin(np.pi / b) - 0.5 - kappa * zeta_below(-b)
    return width, np.sum([c * kappa**p for p, c in width_terms(a, b)], axis=0)


def zeta_below(s: float) -> float:
    """Riemann's zeta function also below 1, by its functional equation, or the eta series."""
    if s > 1:
        return float(zeta(s))
    if s < 0:
        factor = 2**s * np.pi ** (s - 1) * np.sin(np.pi * s / 2) * gamma(1 - s)
        return float(factor * zeta(1 - s))
    signs = np.resize([1.0, -1.0], 60)
    parts = np.cumsum(signs * np.arange(1, 61.0) ** -s)
    for _ in range(40):  # means of partial sums of an alternating series converge quickly
        parts = (parts[1:] + parts[:-1]) / 2
    return float(parts[-1] / (1 - 2 ** (1 - s)))


def steepness(width: float, a: float, b: float) -> float:
    """Minus the local exponent of the loss over width, from the series."""
    kappa = resolution(width, b) * np.array([0.999, 1.001])
    widths, losses = width_series(kappa, a, b)
    return float(-np.diff(np.log(losses))[0] / np.diff(np.log(widths))[0])


def curve(x: Numbers, loss: Numbers) -> Runs:
    return Runs(pd.DataFrame({"x": x, "loss": loss}))


def fitted(law: str, runs: Runs, pool: Pool = "none", bootstrap: int = 0) -> Fit:
    inputs = {name: name for name in find_law(law).input_names}
    return fit(
        find_law(law), runs, inputs, "loss", objective=SQUARES, pool=pool, bootstrap=bootstrap
    )


def rolled(law: str, runs: Runs, pool: Pool = "none") -> Rolling:
    return rolling(find_law(law), runs, {"x": "x"}, "loss", pool=pool, objective=SQUARES)


def replicated(x: Numbers, loss: Numbers, scatter: float, seed: int = 0) -> Runs:
    """Five runs at every x, which scatter by that share of the loss."""
    noise = np.random.default_rng(seed).normal(0, scatter, 5 * len(x))
    return curve(np.repeat(x, 5), np.repeat(loss, 5) * np.exp(noise))


def codes(found: Fit | Rolling) -> set[str]:
    return {one.code for one in found.warnings}


@pytest.mark.parametrize(("a", "b"), [(1.5, 1.25), (2.0, 1.5), (2.5, 2.0), (3.0, 1.25)])
def test_the_loss_over_time_is_a_power_law_with_the_exponent_and_amplitude_of_theory(
    a: float, b: float
):
    # The sum is its integral, a pure power, but for Poisson's terms, exp(-steepest descent) of it.
    def descent(t: float) -> float:
        angle = np.sin(np.pi / 2 / (1 + b))
        return 2 * np.pi * (1 + 1 / b) * (t * b / np.pi) ** (1 / (1 + b)) * angle

    first = root(lambda t: descent(t) - 30, 1e-3, 1e6)  # corrections below 1e-13
    t = np.geomspace(first, 1e4 * first, 16)
    found = fitted("power_floor", curve(t, FLOOR + np.array([time_loss(one, a, b) for one in t])))
    c = (a - 1) / b
    assert found.coefficient("c").value == pytest.approx(c, rel=1e-8)
    assert found.coefficient("E").value == pytest.approx(FLOOR, rel=1e-8)
    assert found.coefficient("b").value == pytest.approx(gamma(c) / b * 2**-c, rel=1e-7)


@pytest.mark.parametrize("a", [1.5, 2.0, 2.5])
def test_the_loss_over_width_has_the_exponent_of_theory_and_half_a_feature_more(a: float):
    # N + 1/2 is a pure power of kappa but for kappa^4, and the loss a pure power but for kappa^1
    # against kappa^((a - 1) / b): a share `off` of it, that falls as N^-(b - a + 1).
    b, widths = 3.0, np.geomspace(256, 16384, 13).round()
    kappa = resolution(float(widths[0]), b)
    first, second = (abs(c * kappa**p) for p, c in width_terms(a, b)[:2])
    off = second / first
    losses = np.array([width_loss(float(one), a, b) for one in widths])
    found = fitted("shifted", curve(widths, FLOOR + losses))
    # Amid four coefficients a correction of one row counts for some ten times as much.
    assert found.coefficient("c").value == pytest.approx(a - 1, abs=10 * off)
    assert found.coefficient("s").value == pytest.approx(0.5, abs=10 * off * widths[0])
    assert found.coefficient("E").value == pytest.approx(FLOOR, abs=10 * off * losses[-1])
    assert off < 1e-4


@pytest.mark.parametrize(("a", "b"), [(2.0, 1.25), (2.5, 2.0), (3.5, 1.75), (4.5, 1.25)])
def test_the_series_are_the_sums(a: float, b: float):
    kappa = np.array([resolution(one, b) for one in (300.0, 3000.0)])
    width, loss = width_series(kappa, a, b)
    assert width == pytest.approx([300, 3000], rel=1e-5)
    assert loss == pytest.approx([unseen(one, a, b, 1) for one in kappa], rel=1e-4)


@pytest.mark.parametrize(("a", "b"), [(1.5, 3.0), (2.5, 3.0), (3.5, 1.75), (4.5, 1.25)])
def test_the_exponent_over_width_is_the_smaller_of_two(a: float, b: float):
    # A fitted slope is a mean of local ones, which the series give at both ends of the range.
    widths = np.geomspace(256, 16384, 9).round()
    found = fitted("power", curve(widths, np.array([width_loss(x, a, b) for x in widths.tolist()])))
    ends = sorted(steepness(x, a, b) for x in (256.0, 16384.0))
    assert ends[0] <= found.coefficient("c").value <= ends[1]
    # They differ from the limit by half a feature, and by the other powers of kappa = N^-b.
    kappa, limit = resolution(256.0, b), min(a - 1, b)
    sizes = {p * b: abs(c * kappa**p) for p, c in width_terms(a, b)}
    others = sum((p - limit) * size for p, size in sizes.items()) / sizes[limit]
    assert max(abs(one - limit) for one in ends) < 1.1 * (limit / 512 + others)
    assert others < 0.02


@pytest.mark.parametrize(("a", "b"), [(1.5, 1.25), (2.0, 1.5), (2.5, 2.0), (3.0, 1.75)])
def test_the_exponent_over_data_is_that_of_theory_but_for_a_share_of_one_example(
    a: float, b: float
):
    # L is P (P + 1/2)^-a, of local exponent a - 1 - a / (2 P + 1), where a - 1 is well below 2 b.
    examples = np.geomspace(256, 8192, 9).round()
    losses = np.array([data_loss(one, a, b) for one in examples.tolist()])
    c = fitted("power", curve(examples, losses)).coefficient("c").value
    assert a - 1 - a / 513 <= c <= a - 1 - a / 16385


@pytest.mark.parametrize(("a", "b"), [(2.0, 1.5), (2.0, 1.25), (2.0, 1.1), (1.5, 1.25)])
def test_corrections_to_scaling_bias_an_exponent_and_findings_say_so(a: float, b: float):
    # Small widths, and a second power that is near to the first: N^-b beside N^-(a - 1).
    widths = np.geomspace(8, 512, 13).round()
    losses = np.array([width_loss(x, a, b) for x in widths.tolist()])
    runs = replicated(widths, losses, scatter=0.003)
    found = fitted("power", runs, pool="mean", bootstrap=400)
    c = found.coefficient("c")
    assert steepness(8.0, a, b) < c.value < steepness(512.0, a, b) < a - 1
    assert c.high is not None
    assert c.high < a - 1  # so narrow an interval, and the truth is not in it
    assert "lack_of_fit" in codes(found)
    later = rolled("power", runs, pool="mean")
    assert "biased" in codes(later)
    assert later.bias is not None
    assert later.bias > 3 * 0.003  # every forecast is too high: the true curve gets steeper
    assert "too high" in " ".join(one.text for one in later.warnings)


def test_where_corrections_have_died_out_nothing_is_said_and_the_interval_holds_the_exponent():
    a, b, widths = 1.5, 3.0, np.geomspace(128, 8192, 13).round()
    losses = np.array([width_loss(x, a, b) for x in widths.tolist()])
    # Half a feature of 128 is a share of 0.2 %, seen by no means of five that scatter by 1 %.
    runs = replicated(widths, losses, scatter=0.01)
    found = fitted("power", runs, pool="mean", bootstrap=400)
    c = found.coefficient("c")
    assert c.low is not None
    assert c.high is not None
    assert c.low < a - 1 < c.high
    assert "lack_of_fit" not in codes(found)
    assert not rolled("power", runs, pool="mean").warnings


@pytest.mark.parametrize(("a", "b"), [(1.5, 1.25), (1.6, 1.2), (2.0, 1.5)])
def test_an_additive_law_is_biased_where_one_limit_hides_the_other(a: float, b: float):
    # The loss is N^-(a - 1) f(t / N^b), and f is no sum of two powers: what a model is too small
    # for costs nothing while there is no time to learn it. Both laws have the right limits.
    widths, times = np.meshgrid(2.0 ** np.arange(4, 11), 30 * 4.0 ** np.arange(8))
    width, t = widths.ravel(), times.ravel()
    losses = [truncated_loss(*one, a, b) for one in zip(width.tolist(), t.tolist(), strict=True)]
    noise = np.random.default_rng(0).normal(0, 0.01, 5 * len(t))
    exact = pd.DataFrame({"params": width, "tokens": t, "loss": FLOOR + np.array(losses)})
    rows = exact.loc[exact.index.repeat(5)].reset_index(drop=True)
    runs = Runs(rows.assign(loss=rows["loss"] * np.exp(noise)))
    additive, coupled = (fitted(law, runs, "mean", 200) for law in ("chinchilla", "skaling"))

    def off(found: Fit, k: float) -> Numbers:
        inner = [found.coefficient(name).value for name in ("alpha", "beta")]
        return np.abs(k * np.array(inner) - [a - 1, (a - 1) / b])

    assert "lack_of_fit" in codes(additive)
    assert off(additive, 1.0).max() > 0.1
    assert off(coupled, coupled.coefficient("k").value).max() < off(additive, 1.0).max() / 4
    assert coupled.objective < additive.objective / 4
