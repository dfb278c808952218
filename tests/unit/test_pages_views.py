"""Saved views: short enough for a tag, without charts that drop runs, in logarithms where it matters."""

import json
from typing import Any

import pytest

from sweeps.publishing import views
from sweeps.publishing.published import LONGEST_TAG, log_fields, params
from sweeps.spec import Objective, Sweep
from tests.small_sweep import sweep_of


def records(*points: dict[str, Any], sizes: tuple[int, ...] = (100,)) -> list[dict[str, Any]]:
    return [
        {"key": f"{number:020x}", "point": point, "params": size, "config": {"seed": 0}}
        for number, point in enumerate(points)
        for size in [sizes[number % len(sizes)]]
    ]


def sweep(metric: str = "test_loss") -> Sweep:
    return sweep_of("views", bases=(10,)).model_copy(
        update={"objective": Objective(metric=metric, mode="min")}
    )


def state(which: str, found: list[dict[str, Any]], metric: str = "test_loss") -> dict[str, Any]:
    return json.loads(json.loads(views.saved_views(sweep(metric), found)[which])["state"])


def charts(
    kind: str, found: list[dict[str, Any]], metric: str = "test_loss"
) -> list[dict[str, Any]]:
    every = state(views.CHARTS, found, metric)["compareRunCharts"]
    return [chart for chart in every if chart["type"] == kind]


def test_losses_and_sizes_are_drawn_in_logarithms():
    found = records({"model.width": 8}, {"model.width": 256}, sizes=(100, 10_000))
    axes = [(chart["xaxis"]["key"], chart["yaxis"]["key"]) for chart in charts("SCATTER", found)]
    assert axes == [
        ("log10_params", "log10_test_loss"),
        ("log10_model.width", "log10_test_loss"),
    ]
    assert params(found[1], log_fields(found))["log10_model.width"] == "2.40824"


def test_a_share_of_right_answers_over_like_sizes_is_drawn_as_it_is():
    found = records({"encoding.base": 10}, {"encoding.base": 30})
    axes = [
        (chart["xaxis"]["key"], chart["yaxis"]["key"])
        for chart in charts("SCATTER", found, "accuracy")
    ]
    assert axes == [("encoding.base", "accuracy")]


@pytest.mark.parametrize(
    ("values", "is_drawn"),
    [
        ([1, 2, 3], True),
        (["rope", "alibi"], True),
        ([True, False], True),
        ([None, 4_000], False),  # MLflow would drop the runs with null
        (["none", 2], False),
        ([f"name{number}" for number in range(31)], False),  # and those of a 31st text
    ],
)
def test_parallel_coordinates_have_the_axes_on_which_no_run_is_dropped(values, is_drawn):
    found = records(*({"a": value, "b": number} for number, value in enumerate(values)))
    (parallel,) = charts("PARALLEL", found)
    assert ("a" in parallel["selectedParams"]) == is_drawn
    assert any(name.endswith("b") for name in parallel["selectedParams"])


@pytest.mark.parametrize("count", [1, 6, 40, 400])
def test_a_view_of_any_number_of_axes_fits_a_tag(count):
    point = {f"model.a_rather_long_name_of_a_field_{number}": number for number in range(count)}
    found = views.saved_views(sweep(), records(point, dict.fromkeys(point, 2.0)))
    assert set(found) == {views.TABLE, views.CHARTS}
    assert all(len(text) <= LONGEST_TAG for text in found.values())


def test_the_axes_stand_before_the_objective_and_the_table_is_sorted_by_it():
    table = state(views.TABLE, records({"encoding.base": 10}, {"encoding.base": 30}))
    shown = table["selectedColumns"]
    assert shown[:3] == ["params.`encoding.base`", "params.`seed`", "metrics.`test_loss`"]
    assert table["orderByKey"] == "metrics.`test_loss`"
    assert table["orderByAsc"]
    assert set(shown) <= set(table["columnOrder"]) == set(table["columnWidths"])
