import json

import pytest

from sweeps.planning.plan import flattened, plan
from sweeps.spec import SpecError, Sweep, from_resolved, load, resolved_text

TRIAL = {
    "task": {"kind": "gcd", "largest": 1000},
    "encoding": {"kind": "digits", "base": 10},
    "model": {"kind": "transformer", "width": 16, "heads": 2},
    "optimizer": {"kind": "adam"},
    "budget": {"steps": 20},
}


def sweep(**changes: object) -> Sweep:
    fields = {
        "name": "test",
        "trial": TRIAL,
        "axes": [
            {"kind": "values", "field": "encoding.base", "values": [6, 10]},
            {"kind": "values", "field": "model.width", "values": [16, 32, 64]},
        ],
        "replicates": 2,
        "objective": {"metric": "accuracy", "mode": "max"},
    }
    return Sweep.model_validate_json(json.dumps({**fields, **changes}))


def test_a_sweep_is_the_product_of_its_axes_and_replicates_in_the_written_order():
    planned = plan(sweep())
    places = [
        (t.point["encoding.base"], t.point["model.width"], t.config.seed) for t in planned.trials
    ]
    assert places == [(b, w, s) for b in (6, 10) for w in (16, 32, 64) for s in (0, 1)]


def test_every_key_is_the_key_of_its_config():
    planned = plan(sweep())
    assert [t.key for t in planned.trials] == [t.config.key() for t in planned.trials]
    assert len({t.key for t in planned.trials}) == 12


def test_a_trial_that_the_space_names_twice_is_planned_once():
    axes = [{"kind": "values", "field": "optimizer.lr", "values": [1, 1.0, 1e-3, 0.001]}]
    planned = plan(sweep(axes=axes))
    assert (len(planned.trials), planned.duplicates) == (4, 4)


def test_flops_are_those_of_an_example_times_the_examples_shown():
    for trial in plan(sweep()).trials:
        assert trial.flops == trial.config.cost().flops * 20 * trial.config.batch_size


def test_a_value_that_a_trial_rejects_is_blamed_on_its_axis():
    axes = [{"kind": "values", "field": "model.width", "values": [16, 15]}]
    with pytest.raises(SpecError, match=r"axes\[0\]: model.width = 15: expected a width") as found:
        plan(sweep(axes=axes))
    assert found.value.place == ("axes", 0)


def test_a_resolved_sweep_plans_the_same_trials():
    first = sweep()
    again = from_resolved(resolved_text(first))
    assert again == first
    assert [t.key for t in plan(again).trials] == [t.key for t in plan(first).trials]


def test_a_change_on_the_command_line_reaches_the_trial_or_the_sweep():
    changed = load("quickstart", ["budget.examples=640", "replicates=1"])
    assert changed.trial["budget"] == {"examples": 640}
    assert changed.replicates == 1
    assert changed.trial["task"] == load("quickstart").trial["task"]


def test_flattening_spells_every_leaf_by_its_path():
    assert flattened({"a": {"b": 1, "c": {"d": None}}, "e": [1]}) == {
        "a.b": 1,
        "a.c.d": None,
        "e": [1],
    }
