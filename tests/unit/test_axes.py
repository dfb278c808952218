import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sweeps.axis import LogRange, Values, Zip


def test_values_keep_their_order_and_their_types():
    axis = Values(field="data.distinct", values=(None, 4000, 2.5, "x", True))
    assert [point["data.distinct"] for point in axis.points()] == [None, 4000, 2.5, "x", True]


@given(
    low=st.floats(1e-6, 1e3), factor=st.floats(1.5, 1e6), count=st.integers(2, 60)
)  # fmt: skip
def test_a_log_range_has_its_ends_exactly_and_equal_ratios_between(low, factor, count):
    high = low * factor
    values = [p["lr"] for p in LogRange(field="lr", low=low, high=high, count=count).points()]
    assert (values[0], values[-1], len(values)) == (low, high, count)
    steps = [math.log(b / a) for a, b in pairwise(values)]
    assert steps == pytest.approx([math.log(high / low) / (count - 1)] * (count - 1), rel=1e-6)


def test_a_whole_log_range_takes_a_number_once():
    axis = LogRange(field="model.width", low=1, high=4, count=10, whole=True)
    assert [point["model.width"] for point in axis.points()] == [1, 2, 3, 4]


def test_zipped_fields_change_together():
    axis = Zip(fields={"budget.steps": (10, 20), "optimizer.lr": (0.1, 0.2)})
    assert axis.points() == (
        {"budget.steps": 10, "optimizer.lr": 0.1},
        {"budget.steps": 20, "optimizer.lr": 0.2},
    )


@pytest.mark.parametrize("values", [((1, 2), (1,)), ((), ())])
def test_zipped_fields_of_unequal_length_are_refused(values):
    with pytest.raises(ValidationError, match="equally many values"):
        Zip(fields={"a": values[0], "b": values[1]})
