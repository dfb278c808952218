"""Plots: their numbers are those of the trials, and what is drawn stands where it should."""

import json
import re
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.curves import Curve
from analysis.plots import Plot, plot
from analysis.reporting.figures.places import places
from analysis.reporting.figures.plot import plot_picture
from analysis.reporting.figures.plot_axes import heights
from analysis.reporting.figures.plot_words import small_print
from analysis.reporting.plot_sections import first_plot
from analysis.reporting.report import write_report
from analysis.runs import Runs
from analysis.study import study
from analysis.trials import as_runs
from sweeps.spec import Sweep
from tests.sweep_trials import MadeTrial

SIZES = [100, 10_000, None, 1_000]
KINDS = ["rope", "alibi"]
OVER_SIZE = {"title": "Accuracy by size", "x": "data.distinct", "y": ["accuracy"], "log": ["x"]}


def sweep_of(*plots: dict[str, Any], **report: Any) -> Sweep:
    axes = {"data.distinct": SIZES, "model.position.kind": KINDS}
    return Sweep.model_validate_json(
        json.dumps(
            {
                "name": "drawn",
                "trial": {},
                "axes": [{"kind": "values", "field": f, "values": v} for f, v in axes.items()],
                "replicates": 3,
                "objective": {"metric": "accuracy", "mode": "max"},
                "report": {"plots": plots, **report},
            }
        )
    )


def accuracy(size: int | None, kind: str, seed: int) -> float:
    return (0.9 if size is None else 0.1 * np.log10(size)) + 0.02 * seed + 0.05 * (kind == "rope")


def trials() -> Runs:
    return as_runs(
        [
            MadeTrial(
                f"{size}-{kind}-{seed}",
                {"data.distinct": size, "model.position.kind": kind, "seed": seed},
                {"accuracy": accuracy(size, kind, seed), "theory": 0.25},
            )
            for size, kind, seed in product(SIZES, KINDS, range(3))
        ]
    )


def made(spec: dict[str, Any], runs: Runs | None = None, **report: Any) -> Plot:
    sweep = sweep_of(spec, **report)
    return plot(sweep, sweep.report.plots[0], trials() if runs is None else runs)


def test_each_point_is_the_mean_of_its_trials_with_the_interval_that_scipy_gives():
    shown = made({**OVER_SIZE, "by": ["model.position.kind"]})
    for line in shown.lines:
        kind = dict(line.group)["model.position.kind"]
        assert [dot.x for dot in line.dots] == [100, 1_000, 10_000, None]
        for dot in line.dots:
            values = [accuracy(dot.x, kind, seed) for seed in range(3)]
            low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
            assert dot.pooled.mean == pytest.approx(np.mean(values))
            assert (dot.pooled.low, dot.pooled.high) == pytest.approx((low, high))


def test_groups_stand_in_the_order_of_their_axis():
    shown = made({**OVER_SIZE, "by": ["model.position.kind"]})
    assert [dict(line.group)["model.position.kind"] for line in shown.lines] == KINDS


def test_a_median_is_drawn_where_it_is_asked_for():
    shown = made({**OVER_SIZE, "pool": "median", "by": ["model.position.kind"]})
    assert shown.lines[0].dots[0].pooled.mean == pytest.approx(accuracy(100, "rope", 1))


def test_a_training_curve_is_the_mean_of_its_seeds_between_the_lowest_and_the_highest():
    steps = np.array([10.0, 20.0, 30.0])
    curves = {
        f"{size}-{kind}-{seed}": {"accuracy": Curve(steps, (1 + seed) * steps / 100, 32)}
        for size, kind, seed in product(SIZES, KINDS, range(3))
    }
    runs = Runs(trials().table, (), curves)
    shown = made({"title": "t", "x": "examples", "y": ["accuracy"]}, runs)
    found = shown.lines[0].training
    assert found is not None
    assert found.x.tolist() == [320.0, 640.0, 960.0]
    assert found.middle == pytest.approx([0.2, 0.4, 0.6])
    assert (found.low.tolist(), found.high.tolist()) == ([0.1, 0.2, 0.3], [0.3, 0.6, 0.9])


def test_curves_that_were_tested_at_other_steps_are_pooled_along_straight_lines():
    key, other = "100-rope-0", "100-rope-1"
    curves = {
        key: {"accuracy": Curve(np.array([10.0, 30.0]), np.array([0.0, 0.4]), 1)},
        other: {"accuracy": Curve(np.array([10.0, 20.0, 30.0]), np.array([0.2, 0.4, 0.6]), 1)},
    }
    shown = made({"title": "t", "x": "steps", "y": ["accuracy"]}, Runs(trials().table, (), curves))
    found = shown.lines[0].training
    assert found is not None
    assert found.middle == pytest.approx([0.1, 0.3, 0.5])


def test_a_plot_of_a_metric_without_a_curve_says_so_and_draws_nothing():
    shown = made({"title": "t", "x": "steps", "y": ["accuracy"]})
    assert shown.missing == "no finished trial has a curve of accuracy"
    assert plot_picture("plot", shown) is None


# Where things stand -------------------------------------------------------------------------------


def test_numbers_lie_to_scale_in_decades_and_none_beyond_them_at_the_end():
    along = places([100, 1_000, 10_000, None], log=True, none="fresh")
    assert [along.of(value) for value in (100, 1_000, 10_000)] == pytest.approx([1e2, 1e3, 1e4])
    assert 1e4 < along.of(None) < along.high
    assert [name for _, name in along.ticks] == ["100", "1,000", "10,000", "fresh"]
    assert not along.joined(None)
    assert 1e4 < along.breaks[0] < along.of(None)


def test_nothing_stands_before_the_numbers_of_a_logarithmic_axis():
    along = places([0, 1, 10], log=True)
    assert along.low < along.of(0) < along.of(1) == 1.0
    assert not along.joined(0)
    assert places([0, 1, 10], log=False).joined(0)


def test_texts_and_numbers_too_near_each_other_stand_in_a_row():
    assert places(["rope", "alibi", None], log=False).at == (0.0, 1.0, 2.0)
    assert places([30, 2, 1_000], log=False, row=True).at == (0.0, 1.0, 2.0)
    along = places([10, 30, 31], log=False)
    assert along.at == (0.0, 1.0, 2.0)
    assert not along.joined(30)


def test_an_interval_is_cut_where_it_leaves_what_a_share_can_be():
    tall = heights(made({**OVER_SIZE, "by": ["model.position.kind"]}))
    assert tall.high <= 1.06
    assert tall.cut(7.0) == tall.high


def test_the_axis_has_room_for_every_level():
    tall = heights(made({**OVER_SIZE, "levels": [{"at": 0.01, "say": "chance"}]}))
    assert tall.low < 0.01 < 0.99 < tall.high


def test_a_level_is_drawn_at_its_height():
    shown = made({**OVER_SIZE, "levels": [{"at": 0.5, "say": "half"}]})
    drawn = plot_picture("plot", shown)
    assert drawn is not None
    text = drawn.svg.decode()
    height = float(re.findall(r'viewBox="0 0 [\d.]+ ([\d.]+)"', text)[0])
    lines = re.findall(r'd="M ([\d.]+) ([\d.]+) \nL ([\d.]+) ([\d.]+) \n"[^>]*dasharray', text)
    flat = [float(top) for _, top, _, end in lines if top == end]
    tall = heights(shown)
    # A dot's tip stands at its mean, so two of them give the scale.
    means = [dot.pooled.mean for dot in shown.lines[0].dots]
    tops = [tip.top * height for tip in drawn.tips]
    slope = (tops[-1] - tops[0]) / (means[-1] - means[0])
    assert tops[0] + slope * (0.5 - means[0]) == pytest.approx(flat[0], abs=0.05)
    assert tall.share(0.5) == pytest.approx((0.5 - tall.low) / (tall.high - tall.low))


def test_a_milestone_never_reached_stands_above_all_numbers():
    runs = trials()
    runs.table["to_half"] = [float("inf") if "alibi" in key else 50.0 for key in runs.table.index]
    milestone = {"name": "to_half", "metric": "accuracy", "at_least": 0.5}
    shown = made({**OVER_SIZE, "y": ["to_half"]}, runs, milestones=[milestone])
    assert (shown.pool, shown.unit) == ("median", "examples")
    tall = heights(shown)
    assert tall.never is not None
    assert 50.0 < tall.never <= tall.high
    assert plot_picture("plot", shown) is not None


def test_the_small_print_counts_trials_and_seeds():
    words = small_print(made({**OVER_SIZE, "where": {"model.position.kind": "rope"}}), pale=False)
    assert words == (
        "The mean of 3 trials (3 seeds) and its 95 % interval. Only model.position.kind rope."
    )


@pytest.mark.parametrize("pool", ["mean", "median", "each"])
@pytest.mark.parametrize("log", [[], ["x"], ["x", "y"]])
def test_every_kind_of_plot_is_drawn_with_its_theory(pool: str, log: list[str]):
    spec = {**OVER_SIZE, "pool": pool, "log": log, "beside": "theory", "y": ["accuracy", "theory"]}
    drawn = plot_picture("plot", made({**spec, "by": ["model.position.kind"]}))
    assert drawn is not None
    assert drawn.svg.startswith(b"<?xml")


# In a report --------------------------------------------------------------------------------------


def test_a_report_has_its_plots_and_the_first_stands_for_the_sweep(tmp_path):
    second = {**OVER_SIZE, "title": "By hand $5", "pool": "each"}
    found = study(sweep_of(OVER_SIZE, second), trials(), resamples=2)
    page = write_report(found, tmp_path)
    first = first_plot(found)
    assert first is not None
    assert (tmp_path / "figures" / "plot-1.svg").read_bytes() == first.svg
    assert "By hand $5" in page.read_text()
    assert "figures/plot-2.png" in (tmp_path / "report.md").read_text()
    data = json.loads((tmp_path / "study.json").read_text())
    assert [one["title"] for one in data["plots"]] == ["Accuracy by size", "By hand $5"]
    assert [point["x"] for point in data["plots"][0]["lines"][0]["points"]][-1] is None


def test_a_sweep_without_plots_has_no_figure_that_stands_for_it():
    assert first_plot(study(sweep_of(), trials(), resamples=2)) is None
