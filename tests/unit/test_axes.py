import json
import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from typing_extensions import override

from sweeps import axes as folder
from sweeps.axes.isoflop import IsoFlop
from sweeps.axes.log_range import LogRange
from sweeps.axes.values import Values
from sweeps.axes.when import When
from sweeps.axes.zip import Zip
from sweeps.axis import Axis, Point, TrialSoFar
from sweeps.spec import Sweep
from trainers.plugins import kinds
from trainers.schema import InputError


class Given(TrialSoFar):
    """A trial of these fields, whose FLOPs are `per_unit` times the product of its numbers."""

    def __init__(self, fields: dict[str, Any], *, multiple_of: int = 1, most: int = 10**9) -> None:
        self.fields = fields
        self.multiple_of = multiple_of
        self.most = most

    @override
    def value(self, field: str) -> Any:
        return self.fields[field]

    @override
    def flops(self, changes: dict[str, Any]) -> int:
        total = 1
        for field, number in {**self.fields, **changes}.items():
            if field == "model.width" and (number % self.multiple_of or number > self.most):
                raise InputError(f"model.width: expected another number, got {number}")
            total *= number
        return total

    @override
    def with_fields(self, sets: dict[str, Any]) -> "Given":
        return Given({**self.fields, **sets})


NOTHING = Given({})
EXAMPLES: dict[str, dict[str, Any]] = {
    "values": {"field": "model.width", "values": [16, 32]},
    "log_range": {"field": "optimizer.lr", "low": 1e-3, "high": 1e-1, "count": 3},
    "zip": {"fields": {"model.width": [16, 32], "optimizer.lr": [0.1, 0.2]}},
    "when": {"where": {"a": 1}, "axes": [{"kind": "values", "field": "b", "values": [1, 2]}]},
    "isoflop": {"solve": "model.width", "levels": [1e3, 1e6]},
    "random": {"draws": 3, "fields": {"lr": {"kind": "uniform", "low": 0.0, "high": 1.0}}},
}


_ANNOTATION: Any = Sweep.model_fields["axes"].annotation
_AXES: TypeAdapter[tuple[Axis, ...]] = TypeAdapter(_ANNOTATION)


def read(kind: str, **fields: Any) -> Axis:
    """The axis as a sweep file gives it."""
    (axis,) = _AXES.validate_json(json.dumps([{"kind": kind, **fields}]))
    return axis


def sets(points: tuple[Point, ...], field: str) -> list[Any]:
    return [point.sets[field] for point in points]


@pytest.mark.parametrize("kind", kinds(folder, Axis))
def test_every_axis_sets_no_field_but_those_that_it_names_and_lists_them_in_their_order(kind):
    axis = read(kind, **EXAMPLES[kind])
    assert type(axis) is kinds(folder, Axis)[kind]
    points = axis.points(Given({"a": 1}))
    assert len(points) >= 2
    for field in axis.may_set():
        listed = axis.listed(field)
        assert list(listed) in ([], sets(points, field))
    assert {field for point in points for field in point.sets} == set(axis.may_set())
    assert axis.listed("no.such.field") == ()
    assert (type(axis).__doc__ or "").strip()


def test_values_keep_their_order_and_their_types():
    axis = Values(field="data.distinct", values=(None, 4000, 2.5, "x", True))
    assert sets(axis.points(NOTHING), "data.distinct") == [None, 4000, 2.5, "x", True]


@given(
    low=st.floats(1e-6, 1e3), factor=st.floats(1.5, 1e6), count=st.integers(2, 60)
)  # fmt: skip
def test_a_log_range_has_its_ends_exactly_and_equal_ratios_between(low, factor, count):
    high = low * factor
    values = LogRange(field="lr", low=low, high=high, count=count).listed("lr")
    assert (values[0], values[-1], len(values)) == (low, high, count)
    steps = [math.log(b / a) for a, b in pairwise(values)]
    assert steps == pytest.approx([math.log(high / low) / (count - 1)] * (count - 1), rel=1e-6)


def test_a_whole_log_range_takes_a_number_once():
    axis = LogRange(field="model.width", low=1, high=4, count=10, whole=True)
    assert sets(axis.points(NOTHING), "model.width") == [1, 2, 3, 4]


def test_zipped_fields_change_together():
    axis = Zip(fields={"budget.steps": (10, 20), "optimizer.lr": (0.1, 0.2)})
    assert [point.sets for point in axis.points(NOTHING)] == [
        {"budget.steps": 10, "optimizer.lr": 0.1},
        {"budget.steps": 20, "optimizer.lr": 0.2},
    ]


@pytest.mark.parametrize("values", [((1, 2), (1,)), ((), ())])
def test_zipped_fields_of_unequal_length_are_refused(values):
    with pytest.raises(ValidationError, match="equally many values"):
        Zip(fields={"a": values[0], "b": values[1]})


def test_axes_under_a_condition_exist_where_it_holds_and_are_one_empty_place_elsewhere():
    inner = (Values(field="b", values=(1, 2)), Values(field="c", values=(3, 4)))
    axis = When(where={"a": [1, 2]}, axes=inner)
    assert [point.sets for point in axis.points(Given({"a": 2}))] == [
        {"b": 1, "c": 3}, {"b": 1, "c": 4}, {"b": 2, "c": 3}, {"b": 2, "c": 4}
    ]  # fmt: skip
    assert axis.points(Given({"a": 3})) == (Point({}),)


def test_an_axis_under_a_condition_sees_the_one_before_it():
    inner = (Values(field="n", values=(2, 5)), IsoFlop(solve="model.width", levels=(1000.0,)))
    found = When(where={"a": 1}, axes=inner).points(Given({"a": 1}))
    assert sets(found, "model.width") == [500, 200]


@given(
    seed=st.integers(0, 2**32 - 1),
    draws=st.integers(1, 50),
    low=st.floats(1e-9, 1e3),
    factor=st.floats(1.001, 1e9),
)
def test_random_draws_lie_in_their_range_and_do_not_depend_on_what_else_is_drawn(
    seed, draws, low, factor
):
    lr = {"kind": "log_uniform", "low": low, "high": low * factor}
    width = {"kind": "whole", "low": 16, "high": 64, "step": 16}
    both = read("random", draws=draws, seed=seed, fields={"lr": lr, "width": width})
    one = read("random", draws=draws + 5, seed=seed, fields={"lr": lr})
    rates = sets(both.points(NOTHING), "lr")
    assert rates == sets(one.points(Given({"width": 1})), "lr")[:draws]
    assert all(low <= rate <= low * factor for rate in rates)
    assert set(sets(both.points(NOTHING), "width")) <= {16, 32, 48, 64}


def test_random_draws_fill_their_range_evenly():
    fields = {"x": {"kind": "uniform", "low": -1.0, "high": 1.0}}
    values = sorted(read("random", draws=4000, fields=fields).listed("x"))
    furthest = max(abs((1 + v) / 2 - n / 4000) for n, v in enumerate(values))
    assert furthest < 1.95 / math.sqrt(4000)  # Kolmogorov and Smirnov, at 0.1 %
    assert len(set(values)) > 3900


@given(
    level=st.floats(1e2, 1e12), divisor=st.integers(1, 64), rate=st.integers(1, 100)
)  # fmt: skip
def test_the_solved_number_is_the_nearest_of_those_that_make_a_trial(level, divisor, rate):
    trial = Given({"n": rate}, multiple_of=divisor, most=10**15)
    axis = IsoFlop(solve="model.width", levels=(level,), tolerance=0.99)
    unit = rate * divisor  # FLOPs between one number and the next
    best = max(1, math.floor(level / unit))
    best = min((best, best + 1), key=lambda n: abs(math.log(n * unit / level)))
    if abs(best * unit / level - 1) > 0.99:
        with pytest.raises(InputError, match="beyond the tolerance of 99%"):
            axis.points(trial)
        return
    (point,) = axis.points(trial)
    off = abs(math.log(rate * point.sets["model.width"] / level))
    assert off == pytest.approx(abs(math.log(best * unit / level)), abs=1e-12)
    assert point.aim is not None
    assert point.aim.flops == level


def test_levels_may_be_a_range_at_equal_ratios():
    levels = {"low": 100, "high": 10_000, "count": 3}
    axis = read("isoflop", solve="model.width", levels=levels)
    assert sets(axis.points(NOTHING), "model.width") == [100, 1000, 10_000]


def test_a_level_that_cannot_be_met_is_refused_with_the_nearest_and_how_far_off_it_is():
    axis = IsoFlop(solve="model.width", levels=(1e6,))
    trial = Given({"n": 1}, multiple_of=8, most=1000)
    with pytest.raises(InputError, match=r"1e\+06 FLOPs.*model.width = 1000 with 1000, -100%"):
        axis.points(trial)


def test_a_field_that_makes_no_trial_at_all_is_refused_in_the_words_of_the_trial():
    axis = IsoFlop(solve="model.width", levels=(1e6,))
    with pytest.raises(InputError, match=r"model\.width: expected another number"):
        axis.points(Given({"n": 1}, most=0))
