"""Which way trials train: nearly the fastest, no larger than pays, and prepared where that is worth it."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.planning.pace.choice import WORTH, Case, choose
from sweeps.planning.pace.way import ALONE, Way

LADDER = {ALONE: 1.0, Way(4): 0.5, Way(8): 0.4, Way(16): 0.39}


def case(known: dict[Way, float] | None = None, **changes: Any) -> Case:
    """A hundred trials of 1,000 steps on two workers."""
    fields: dict[str, Any] = {"count": 100, "steps": 100_000.0, "longest": 1_000.0, "workers": 2}
    return Case(known or LADDER, **{**fields, **changes})


@given(
    seconds=st.lists(st.floats(1e-5, 10.0), min_size=1, max_size=6),
    count=st.integers(16, 1_000),
)
def test_the_way_that_is_chosen_is_at_most_a_little_slower_than_the_fastest(seconds, count):
    widths = (1, 2, 4, 8, 12, 16)
    known = dict(zip(map(Way, widths), seconds, strict=False))
    found = choose(case(known, count=count))
    assert known[found.way] == found.seconds
    assert found.seconds <= min(known.values()) / WORTH
    assert found.seconds <= known[ALONE]
    assert not any(known[way] <= found.seconds for way in known if way.width < found.way.width)


def test_a_larger_pack_must_gain_five_percent():
    assert choose(case()).way == Way(8)
    assert choose(case({ALONE: 1.0, Way(4): 0.96})).way == ALONE
    assert choose(case({ALONE: 1.0, Way(4): 0.96, Way(8): 0.94})).way == Way(8)


@pytest.mark.parametrize(("count", "width"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (8, 8)])
def test_few_trials_train_together_also_where_no_width_of_the_ladder_fits(count, width):
    found = choose(case(count=count))
    assert found.way == Way(width)
    if count == 3:  # a pack of three takes as long as a line between one and four says
        assert found.seconds == pytest.approx((1 + 2 / 3 * (4 * 0.5 - 1)) / 3)


def test_on_a_gpu_a_pack_has_a_width_of_the_ladder():
    assert choose(case(count=3, off_ladder=False)).way == ALONE
    assert choose(case(count=7, off_ladder=False)).way == Way(4)


def test_what_was_not_worth_trying_is_not_chosen_and_said():
    found = choose(case({ALONE: 1.0, Way(4): math.inf}))
    assert found.way == ALONE
    assert found.line == "alone: its steps fill the device"
    assert choose(case(count=1)).line == "alone: the only one of its shape"
    assert choose(case({ALONE: 1.0, Way(4): 1.1})).line == "alone: more at once gain less than 5%"
    assert choose(case()).line == "8 at once: 2.5 x as fast as alone"


def test_memory_and_idle_workers_bound_a_pack_and_are_named():
    found = choose(case(fits=5))
    assert (found.way, found.line) == (
        Way(4),
        "4 at once: 2.0 x as fast as alone, more do not fit into memory",
    )
    # a pack of 8 takes 3,200 s, while the other worker has nothing to do
    found = choose(case(steps=8_000.0, count=8, others_s=0.0))
    assert (found.way, found.line) == (
        Way(4),
        "4 at once: 2.0 x as fast as alone, more would leave workers idle",
    )


@pytest.mark.parametrize(
    ("count", "workers", "width"), [(4, 2, 2), (6, 2, 3), (8, 2, 4), (12, 8, 2), (4, 4, 1)]
)
def test_few_trials_are_shared_by_all_workers(count, workers, width):
    """Unless less work for all makes up for a worker that idles; others may fill its time, too."""
    whole = {**LADDER, Way(2): 0.8}
    few = case(whole, count=count, workers=workers, steps=1_000.0 * count, others_s=0.0)
    assert choose(few).way == Way(width)
    assert choose(replace(few, others_s=1e6)).way == Way(min(count, 8))


def test_a_pack_that_takes_no_longer_than_one_alone_idles_nobody():
    flat = {Way(width): 1.0 / width for width in (1, 4, 8, 16)}  # bound by launches
    few = case(flat, count=16, workers=4, steps=16_000.0, others_s=0.0)
    assert choose(few).way == Way(16)


GRAPHED = {**LADDER, Way(1, "graphed"): 0.3, Way(4, "graphed"): 0.1}


def test_a_graph_is_a_way_like_any_other():
    assert choose(case(GRAPHED)).way == Way(4, "graphed")
    assert choose(case(GRAPHED, mode="eager")).way == Way(8)
    assert choose(case(GRAPHED, mode="graphed", count=2, off_ladder=False)).way == Way(1, "graphed")
    assert "as asked" in choose(case(GRAPHED, mode="eager")).line


COMPILED = {**LADDER, Way(8, "compiled"): 0.3}


@pytest.mark.parametrize(
    ("steps", "preparation_s", "compiled"),
    [(1_000.0, 20.0, True), (1_000.0, 40.0, False), (100.0, 1.0, True), (10.0, 1.0, False)],
)
def test_compiled_steps_are_chosen_where_they_save_clearly_more_than_they_take_to_prepare(
    steps, preparation_s, compiled
):
    """Each of two workers saves a tenth of a second in half of the steps."""
    way = Way(8, "compiled")
    found = choose(case(COMPILED, steps=steps, prepared={way: preparation_s}))
    assert found.way == (way if compiled else Way(8))
    if compiled:
        assert found.preparation_s == preparation_s
        assert found.line.startswith("8 at once, compiled: saves")


def test_compiled_steps_that_are_no_faster_are_not_chosen():
    slow = {**LADDER, Way(8, "compiled"): 0.41}
    assert choose(case(slow, steps=1e9)).way == Way(8)


def test_compiled_steps_nobody_has_measured_are_worth_a_try_where_much_is_left():
    assert choose(case(steps=1e6)).untried is None  # no compiler
    found = choose(case(steps=1e6, may_compile=True))
    assert (found.way, found.untried) == (Way(8), Way(8, "compiled"))
    assert found.saves_s == pytest.approx(0.4 * (1 - 1 / 1.2) * 1e6 / 2)
    assert choose(case(COMPILED, steps=1.0, may_compile=True)).untried is None  # measured
    few = choose(case(count=7, may_compile=True))  # a program of seven rows has eight
    assert (few.way, few.untried) == (Way(7), Way(4, "compiled"))


def test_what_is_asked_for_is_done():
    found = choose(case(mode="compiled"))
    assert (found.way, found.execution.words) == (Way(8, "compiled"), "compiled")
    assert found.preparation_s > 0
    assert choose(case(width=3)).way == Way(3)
    assert choose(case(width=32)).way == Way(32)  # beyond what was measured
    assert choose(case(width=4, count=2)).way == Way(2)
