"""Properties that every plan has, whatever its axes."""

import json
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.condition import holds
from sweeps.planning.plan import plan
from sweeps.spec import Sweep
from tests.trials import gcd_fields
from trainers.config import trial_config

FIELDS: dict[str, list[Any]] = {
    "model.width": [16, 32, 48, 64],
    "encoding.base": [2, 10, 31],
    "optimizer.lr": [1e-3, 1e-2, 0.1],
    "optimizer.kind": ["adam", "sgd"],
    "data.distinct": [None, 100],
    "data": [{}, {"distinct": 7, "corrupt": 0.5}, {"hot": {"size": 5, "share": 0.25}}],
    "batch_size": [8, 16, 128],
    "budget": [{"steps": 12}, {"examples": 400}],
    "seed": [0],
}


def a_sweep(axes: list[Any], **changes: Any) -> Sweep:
    fields = {
        "name": "any",
        "trial": gcd_fields(),
        "axes": axes,
        "objective": {"metric": "loss", "mode": "min"},
        **changes,
    }
    return Sweep.model_validate_json(json.dumps(fields))


@st.composite
def of_values(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Axes of distinct values over some of the fields, in any order."""
    fields = draw(st.lists(st.sampled_from(sorted(FIELDS)[:-1]), unique=True, max_size=4))
    if "data" in fields and "data.distinct" in fields:
        fields.remove("data")
    return [
        {
            "kind": "values",
            "field": field,
            "values": draw(
                st.lists(st.sampled_from(FIELDS[field]), min_size=1, unique_by=json.dumps)
            ),
        }
        for field in fields
    ]


@settings(max_examples=60, deadline=None)
@given(axes=of_values(), replicates=st.integers(1, 3), seed=st.integers(0, 2**62))
def test_a_plan_has_a_trial_for_each_place_named_by_what_it_is(axes, replicates, seed):
    sweep = a_sweep(axes, replicates=replicates, trial=gcd_fields(seed=seed))
    planned = plan(sweep)
    places = math.prod(len(axis["values"]) for axis in axes)
    assert len(planned.trials) + planned.duplicates == places * replicates
    assert [t.key for t in plan(sweep).trials] == [t.key for t in planned.trials]
    for trial in planned.trials:
        fields = gcd_fields(seed=seed + trial.replicate)
        for field, value in trial.point.items():
            name, dot, inner = field.partition(".")
            fields[name] = {**fields.get(name, {}), inner: value} if dot else value
        config = trial_config(fields)  # each by itself, from the beginning
        assert trial.config == config
        assert trial.key == config.key()
        assert trial.flops == config.examples * config.cost().flops
        assert trial.variant.stacks_with == config.stacks_with()
        assert trial.variant.metrics == config.metrics()
        record = trial.record()
        assert json.dumps(record["config"]) == json.dumps(config.model_dump())
        assert record["tokens"] == config.examples * config.tokens_of_example()


@settings(max_examples=60, deadline=None)
@given(data=st.data(), axes=of_values())
def test_no_excluded_place_is_planned_and_no_other_is_left_out(data, axes):
    named = {axis["field"]: axis["values"] for axis in axes if axis["field"] != "budget"}
    if not named:
        return
    field = data.draw(st.sampled_from(sorted(named)))
    wanted = data.draw(st.lists(st.sampled_from(named[field]), min_size=1, unique_by=json.dumps))
    kept = [value for value in named[field] if value not in wanted]
    if not kept:
        return
    excluding = plan(a_sweep(axes, exclude=[{field: wanted}]))
    only = [{**axis, "values": kept} if axis["field"] == field else axis for axis in axes]
    assert [t.key for t in excluding.trials] == [t.key for t in plan(a_sweep(only)).trials]
    assert not any(holds({field: wanted}, t.point.__getitem__) for t in excluding.trials)
    everything = math.prod(len(axis["values"]) for axis in axes)
    assert excluding.excluded == everything * len(wanted) // len(named[field])


@settings(max_examples=40, deadline=None)
@given(
    levels=st.lists(st.floats(1e8, 1e12), min_size=1, max_size=3, unique=True),
    solve=st.sampled_from(["model.width", "budget.steps"]),
    heads=st.sampled_from([1, 2, 3, 8]),
)
def test_levels_are_met_within_their_tolerance_or_refused(levels, solve, heads):
    trial = gcd_fields(model={"kind": "transformer", "heads": heads, "width": 4 * heads})
    axis = {"kind": "isoflop", "solve": solve, "levels": levels, "tolerance": 0.5}
    planned = plan(a_sweep([axis], trial=trial))
    assert len(planned.trials) + planned.duplicates == len(levels)
    for one in planned.trials:
        assert one.aim is not None
        assert abs(one.flops / one.aim.flops - 1) <= 0.5
        assert getattr(one.config.model, "width", 0) % heads == 0
