"""Which trials a sweep file means: conditions, exclusions, levels of FLOPs, and keys that stay."""

import hashlib
import json
from typing import Any

import pytest

from sweeps.document import Document
from sweeps.planning.plan import plan
from sweeps.spec import SpecError, load, validated
from tests.trials import gcd_fields, square_fields
from tests.unit.test_plan import TRIAL, sweep
from trainers.config import trial_config

GCD: dict[str, Any] = {
    "task": {"kind": "gcd", "largest": 999},
    "encoding": {"kind": "digits", "base": 10},
    "model": {"kind": "transformer", "width": 16, "heads": 2},
    "budget": {"steps": 30},
}
SQUARE: dict[str, Any] = {
    "task": {"kind": "square"},
    "model": {"kind": "mlp", "width": 4},
    "budget": {"examples": 4000},
}
PRIME = {"count": 8, "task": {"largest": 99}}
SMALL = {"small": {"task": {"largest": 50}}}
HOT = {"size": 50, "share": 0.25}
KEYS = [  # computed with the first release of numerics 3; a stored trial has one of them
    (GCD, "4054b70abc3d5d2a43a0"),
    (SQUARE, "7c4451420f81fc5ba12b"),
    ({**GCD, "seed": 7, "optimizer": {"kind": "sgd", "lr": 0.1}}, "8fbe55003e0013ef8ed2"),
    ({**GCD, "data": {"distinct": 100, "prime": PRIME}, "batch_size": 16}, "59c8a2ceaee9349c6ea0"),
    (
        {**GCD, "evaluate": SMALL, "evaluation": {"points": 3, "by_place": True}},
        "41a367de7ae5020d3aae",
    ),
    ({**SQUARE, "data": {"hot": HOT, "corrupt": 0.0}}, "c411d9b568c6fc49ef5c"),
]


def values(field: str, *given: Any) -> dict[str, Any]:
    return {"kind": "values", "field": field, "values": list(given)}


WIDTHS = values("model.width", 16, 32, 64)


@pytest.mark.parametrize(("fields", "key"), KEYS)
def test_keys_are_what_they_always_were(fields, key):
    asked = {"metric": "loss", "mode": "min"}
    (trial,) = plan(sweep(trial=fields, axes=[], replicates=1, objective=asked)).trials
    assert trial_config(fields).key() == trial.key == key


@pytest.mark.parametrize(
    ("name", "count", "digest"),
    [("quickstart", 60, "9bc9a3a0cc8dfcb6"), ("square-width", 360, "1d5d8f7295d730e7")],
)
def test_the_catalogue_plans_the_trials_it_always_did(name, count, digest):
    keys = [trial.key for trial in plan(load(name)).trials]
    assert len(keys) == count
    assert hashlib.sha256(json.dumps(keys).encode()).hexdigest().startswith(digest)


def test_axes_under_a_condition_exist_for_the_trials_that_it_names():
    axes = [
        values("optimizer.kind", "adam", "sgd"),
        {"kind": "when", "where": {"optimizer.kind": "adam"}, "axes": [values("optimizer.lr", 1e-3, 1e-2)]},
    ]  # fmt: skip
    trial = {**TRIAL, "optimizer": {"kind": "adam", "lr": 0.1}}
    planned = plan(sweep(trial=trial, axes=axes, replicates=1)).trials
    assert [(t.config.optimizer.kind, t.config.optimizer.lr) for t in planned] == [
        ("adam", 1e-3), ("adam", 1e-2), ("sgd", 0.1)
    ]  # fmt: skip
    assert planned[2].point == {"optimizer.kind": "sgd"}


def test_a_condition_may_name_a_field_that_has_its_default():
    axes = [{"kind": "when", "where": {"data.distinct": None}, "axes": [WIDTHS]}]
    assert len(plan(sweep(axes=axes, replicates=1)).trials) == 3


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"exclude": [{"model.widht": 16}]}, "exclude[0]"),
        ({"axes": [{"kind": "when", "where": {"model.widht": 1}, "axes": [WIDTHS]}]}, "axes[0].where"),
    ],
)  # fmt: skip
def test_a_condition_on_what_no_trial_has_is_refused(changes, place):
    with pytest.raises(SpecError) as found:
        plan(sweep(**changes))
    assert str(found.value) == f"{place}: expected a field of the trials, got model.widht"


def test_two_axes_may_not_set_one_field_in_the_same_trial():
    twice = {"kind": "when", "where": {"encoding.base": 6}, "axes": [values("model.width", 48)]}
    axes = [values("encoding.base", 6, 10), twice, values("model.width", 16, 32)]
    with pytest.raises(SpecError, match=r"axes\[2\]: .* each field on one axis, got model.width"):
        plan(sweep(axes=axes))
    other = {**twice, "where": {"encoding.base": 10}}
    assert len(plan(sweep(axes=[axes[0], twice, other], replicates=1)).trials) == 2


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ([{"encoding.base": 6, "model.width": 16}], 5),
        ([{"model.width": [16, 64]}], 2),
        ([{"model.width": {"at_least": 32}}], 2),
        ([{"model.width": {"at_least": 17, "at_most": 63}, "encoding.base": 10}], 5),
        ([{"encoding.base": 6}, {"model.width": 16}], 2),
    ],
)
def test_excluded_places_are_left_out_and_counted(exclude, left):
    planned = plan(sweep(exclude=exclude, replicates=1))
    assert (len(planned.trials), planned.excluded) == (left, 6 - left)


def test_a_place_that_is_excluded_need_not_be_a_trial():
    axes = [values("model.width", 15, 16)]
    with pytest.raises(SpecError, match=r"model\.width = 15"):
        plan(sweep(axes=axes))
    assert len(plan(sweep(axes=axes, exclude=[{"model.width": 15}], replicates=1)).trials) == 1


def test_a_sweep_that_excludes_everything_is_refused():
    with pytest.raises(SpecError, match="exclude: expected some place to be left, all 6 are"):
        plan(sweep(exclude=[{"encoding.base": [6, 10]}]))


@pytest.mark.parametrize(
    ("fields", "solve"),
    [
        (gcd_fields(), "model.width"),
        (gcd_fields(), "budget.steps"),
        (gcd_fields(budget={}), "budget.examples"),
        (gcd_fields(), "model.decoder_layers"),
        (square_fields(budget={"steps": 2_000}), "model.width"),
    ],
)
def test_trials_come_to_the_flops_for_which_they_are_solved(fields, solve):
    levels = [2e8, 5e8, 1e9]
    axis = {"kind": "isoflop", "solve": solve, "levels": levels, "tolerance": 0.25}
    objective = {"metric": "loss", "mode": "min"}
    planned = plan(sweep(trial=fields, axes=[axis], replicates=1, objective=objective)).trials
    assert [trial.aim.flops for trial in planned if trial.aim] == levels
    for trial, level in zip(planned, levels, strict=True):
        cost = trial.config.cost()
        assert trial.flops == cost.flops * trial.config.examples
        assert abs(trial.flops / level - 1) <= 0.25
        (number,) = trial.point.values()
        grain = {"model.width": 2 if "encoding" in fields else 1, "budget.examples": 8}.get(
            solve, 1
        )
        for other in (number - grain, number + grain):
            neighbour = plan(sweep(trial=fields, axes=[values(solve, other)], objective=objective))
            assert abs(neighbour.trials[0].flops / level - 1) >= abs(trial.flops / level - 1) * 0.9


def test_the_length_that_comes_to_a_level_follows_the_width_of_the_trial():
    axes = [WIDTHS, {"kind": "isoflop", "solve": "budget.steps", "levels": [1e12]}]
    planned = plan(sweep(axes=axes, replicates=1)).trials
    steps = [trial.config.steps for trial in planned]
    assert steps == sorted(steps, reverse=True)
    assert len(set(steps)) == 3
    assert all(abs(trial.flops / 1e12 - 1) < 0.01 for trial in planned)


def test_an_axis_that_changes_flops_stands_before_the_one_that_solves_for_them():
    axes = [{"kind": "isoflop", "solve": "budget.steps", "levels": [1e10]}, WIDTHS]
    with pytest.raises(SpecError, match=r"axes\[0\]: 1e\+10 FLOPs: expected it after all axes"):
        plan(sweep(axes=axes))


def test_a_level_that_no_trial_comes_near_is_refused_at_its_axis():
    solving = {"kind": "isoflop", "solve": "model.width", "levels": [1e3]}
    axes = [values("encoding.base", 6, 10), solving]
    with pytest.raises(SpecError, match=r"axes\[1\]: 1000 FLOPs: the nearest is") as found:
        plan(sweep(axes=axes))
    assert found.value.place == ("axes", 1)
    kept = [{**axes[1], "levels": [1e12]}]
    assert len(plan(sweep(axes=[axes[0], *kept], exclude=[{"encoding.base": 6}])).trials) == 2


def test_random_draws_are_planned_alike_every_time():
    lr = {"kind": "log_uniform", "low": 1e-4, "high": 1e-1}
    axes = [WIDTHS, {"kind": "random", "draws": 20, "seed": 3, "fields": {"optimizer.lr": lr}}]
    first, again = (plan(sweep(axes=axes, replicates=1)).trials for _ in range(2))
    assert [t.key for t in first] == [t.key for t in again]
    rates = [t.config.optimizer.lr for t in first]
    assert rates[:20] == rates[20:40] == rates[40:]
    assert len(set(rates)) == 20


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        ({"kind": "when", "where": {}, "axes": [WIDTHS]}, "axes[0].where: expected at least 1"),
        ({"kind": "when", "where": {"seed": 0}, "axes": []}, "axes[0].axes: expected at least 1"),
        (
            {"kind": "when", "where": {"seed": 0}, "axes": [{"kind": "values", "field": "a"}]},
            "axes[0].axes[0].values: expected this field",
        ),
        (
            {"kind": "when", "where": {"a": {"at_least": 2, "at_most": 1}}, "axes": [WIDTHS]},
            "axes[0].where.a: expected at_least <= at_most, got 2 > 1",
        ),
        ({"kind": "isoflop", "solve": "a", "levels": []}, "axes[0].levels: expected at least 1"),
        (
            {"kind": "isoflop", "solve": "a", "levels": {"low": 2, "high": 1, "count": 2}},
            "axes[0].levels: expected high above low, got low 2 and high 1",
        ),
        (
            {"kind": "isoflop", "solve": "a", "levels": [1, -1]},
            "axes[0].levels[1]: expected greater than 0, got -1",
        ),
        ({"kind": "random", "draws": 0, "fields": {}}, "axes[0].draws: expected greater"),
        (
            {"kind": "random", "draws": 1, "fields": {"a": {"kind": "uniform", "low": 1}}},
            "axes[0].fields.a.high: expected this field",
        ),
        (
            {"kind": "random", "draws": 1, "fields": {"seed": {"kind": "choice", "values": [1]}}},
            "sweep: expected replicates instead of an axis over seed",
        ),
        ({"kind": "grid"}, "axes[0].kind: expected one of isoflop, log_range, random, values,"),
    ],
)
def test_a_mistake_in_an_axis_is_named_at_its_place(axis, words):
    fields = {**sweep().model_dump(mode="json"), "axes": [axis]}
    with pytest.raises(SpecError) as found:
        validated(fields, Document("any.yaml", fields, {}))
    assert str(found.value).startswith(f"any.yaml:1: {words}")
