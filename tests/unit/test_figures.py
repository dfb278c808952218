"""Figures: tips lie on their points, ticks are round, and the drawing can run nothing."""

import math
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.fit import Fit, fit, predict_fit
from analysis.judgement.holdout import Backtest, backtests
from analysis.law import find_law
from analysis.reporting.figures.canvas import TIPS, canvas, log_ticks, picture, spelled_tick, styled
from analysis.reporting.figures.coefficients import profile_picture, tradeoff_picture
from analysis.reporting.figures.curve import default_forecast, forecast_picture
from analysis.reporting.figures.held_out import backtest_picture, ranking_picture
from analysis.reporting.figures.residuals import residual_picture
from analysis.reporting.figures.slices import few_levels, slices_picture
from analysis.reporting.figures.surface import compute_optimal, surface_picture
from analysis.reporting.sections import Picture
from analysis.reporting.svg import inlined
from analysis.runs import Runs

TRUE = {"E": 1.8, "A": 400.0, "B": 2000.0, "alpha": 0.35, "beta": 0.37}


@cache
def surface() -> tuple[Fit, tuple[Backtest, ...]]:
    """A surface of size and data on a grid of five by five, with noise of 0.5 %."""
    generator = np.random.default_rng(5)
    params, tokens = (
        one.ravel() for one in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5))
    )
    loss = TRUE["E"] + TRUE["A"] / params ** TRUE["alpha"] + TRUE["B"] / tokens ** TRUE["beta"]
    loss *= np.exp(generator.normal(0, 0.005, 25))
    runs = Runs(pd.DataFrame({"params": params, "tokens": tokens, "loss": loss}))
    law, inputs = find_law("chinchilla"), {"params": "params", "tokens": "tokens"}
    return (
        fit(law, runs, inputs, "loss", bootstrap=40),
        backtests(law, runs, inputs, "loss"),
    )


@cache
def line() -> Fit:
    """A power law of one input."""
    x = 2.0 ** np.arange(3, 12)
    loss = 3 * x**-0.4 * np.exp(np.random.default_rng(1).normal(0, 0.02, len(x)))
    runs = Runs(pd.DataFrame({"x": x, "loss": loss}))
    return fit(find_law("power"), runs, {"x": "x"}, "loss", bootstrap=40)


def _places(shown: Picture) -> set[tuple[float, float]]:
    """Where the SVG puts markers, as shares of its size."""
    text = shown.svg.decode()
    frame = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    assert frame is not None
    width, height = map(float, frame.groups())
    uses = re.findall(r'<use xlink:href="#m\w+" x="([\d.]+)" y="([\d.]+)"', text)
    return {(float(x) / width, float(y) / height) for x, y in uses}


@pytest.mark.parametrize("kind", ["residuals", "slices", "surface", "curve", "backtests"])
def test_every_tip_lies_on_a_marker_of_the_drawing(kind):
    fitted, tests = surface()
    shown = {
        "residuals": lambda: residual_picture("a", fitted),
        "slices": lambda: slices_picture("a", fitted),
        "surface": lambda: surface_picture("a", fitted),
        "curve": lambda: forecast_picture("a", line(), default_forecast(line())),
        "backtests": lambda: backtest_picture("a", "loss", tests),
    }[kind]()
    assert shown is not None
    places = np.array(sorted(_places(shown)))
    assert len(shown.tips) >= 7
    for tip in shown.tips:
        assert np.abs(places - (tip.left, tip.top)).sum(axis=1).min() < 2e-4


def test_a_tip_names_the_run_what_was_measured_and_what_the_law_gives():
    fitted, _ = surface()
    names = [f"run-{number}" for number in range(fitted.rows)]
    law = predict_fit(fitted, fitted.points.values)
    worst = int(np.abs(fitted.points.measured / law - 1).argmax())
    first = residual_picture("a", fitted, names).tips[0].text
    assert first.startswith(f"run-{worst}: params ")
    assert f"({100 * (fitted.points.measured[worst] / law[worst] - 1):+.2f} %)" in first


def test_many_points_keep_the_tips_of_the_worst():
    with styled():
        drawn = canvas()
        drawn.axes.set(xlim=(0, 1), ylim=(0, 1))
        x = np.linspace(0.1, 0.9, 1000)
        drawn.tips(x, x, x, lambda at: str(at))
        shown = picture("many", "", drawn)
    assert len(shown.tips) == TIPS
    assert shown.tips[0].text == "999"


def test_thecompute_optimal_line_follows_the_closed_form():
    # d/dN of A N^-alpha + B (6 N / C)^beta is zero where alpha A N^-alpha = beta B D^-beta
    fitted, _ = surface()
    found = compute_optimal(fitted)
    assert found is not None
    value = {one.name: one.value for one in fitted.coefficients}
    left = value["alpha"] * value["A"] * found.x ** -value["alpha"]
    right = value["beta"] * value["B"] * found.y ** -value["beta"]
    # a step of the grid of sizes is 1.5 %, and both sides move with it
    assert np.abs(np.log(left / right)).max() < 0.02


@given(st.floats(-12, 12), st.floats(0.1, 14))
def test_ticks_of_a_logarithmic_axis_are_few_and_inside(start, width):
    low, high = 10**start, 10 ** (start + width)
    ticks = log_ticks(low, high)
    assert all(low <= tick <= high for tick in ticks)
    assert 2 <= len(ticks) <= 9
    assert ticks == sorted(ticks)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.02, "0.02"), (3000.0, "3,000"), (1e9, "$10^{9}$"), (2e9, r"$2\times 10^{9}$"), (0.0, "0")],
)
def test_a_tick_is_spelled_as_people_write_it(value, words):
    assert spelled_tick(value) == words


def test_few_levels_are_those_that_occur_and_every_run_gets_its_own():
    levels = few_levels(np.array([4.0, 1.0, 4.0, 2.0]))
    assert levels.exact
    assert levels.values.tolist() == [1.0, 2.0, 4.0]
    assert levels.values[levels.nearest].tolist() == [4.0, 1.0, 4.0, 2.0]


@given(st.lists(st.floats(1e-3, 1e3), min_size=8, max_size=40, unique=True))
def test_many_levels_become_at_most_four_and_runs_go_to_the_nearest(values):
    column = np.array(values)
    levels = few_levels(column)
    assert len(levels.values) <= 4
    apart = np.abs(np.log(column[:, None] / levels.values))
    assert np.array_equal(apart[np.arange(len(column)), levels.nearest], apart.min(axis=1))


def test_figures_of_coefficients_and_of_several_laws_are_the_same_bytes_again():
    fitted, tests = surface()
    values = np.linspace(0.2, 0.5, 31)

    def drawn() -> list[Picture | None]:
        held = next(one.points for one in tests if one.points)
        return [
            profile_picture("p", "alpha", values, (values - 0.35) ** 2, 0.35, threshold=0.01),
            tradeoff_picture("t", "E", "alpha", fitted.draws[:, [0, 3]], (1.8, 0.35)),
            ranking_picture("r", [("chinchilla", held), ("power", held)], "loss"),
        ]

    assert drawn() == drawn()
    assert None not in drawn()


def test_a_profile_that_never_passes_the_threshold_says_that_it_is_open():
    values = np.linspace(0.2, 0.5, 31)
    closed = profile_picture("p", "c", values, 100 * (values - 0.35) ** 2, 0.35, threshold=0.1)
    opened = profile_picture("p", "c", values, 0.1 * (values - 0.35) ** 2, 0.35, threshold=0.1)
    assert "open" not in closed.caption
    assert "the interval is open there" in opened.caption


def test_two_drawings_on_one_page_share_no_id():
    first, second = residual_picture("one", line()), residual_picture("two", line())
    ids = [set(re.findall(r'\bid="([^"]+)"', inlined(each))) for each in (first, second)]
    assert ids[0]
    assert ids[1]
    assert not ids[0] & ids[1]
    for text, own in zip((inlined(first), inlined(second)), ids, strict=True):
        used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
        assert used <= own


@pytest.mark.parametrize(
    "markup",
    ["<script>x</script>", '<g onload="x"/>', '<image href="http://a/b.png"/>', "<a>x</a>"],
)
def test_a_drawing_that_could_run_or_load_is_refused(markup):
    shown = residual_picture("one", line())
    bad = replace(shown, svg=shown.svg.replace(b"</svg>", markup.encode() + b"</svg>"))
    with pytest.raises(ValueError, match="shapes only"):
        inlined(bad)


def test_the_forecast_goes_beyond_the_data_and_meets_the_law():
    ahead = default_forecast(line())
    assert math.isclose(ahead.x.max(), 4 * line().points.values["x"].max())
    assert ahead.low is not None
    assert ahead.high is not None
    assert (ahead.low <= ahead.high).all()
    assert np.allclose(ahead.predicted, predict_fit(line(), {"x": ahead.x}))
