"""Queues of trials: whole, long enough, alike in length, and none that leaves a worker idle."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.planning.pace.packing import queues


@dataclass(frozen=True)
class Trial:
    """A trial that takes so long."""

    number: int
    seconds: float
    is_begun: bool = False


def trials(*seconds: float) -> list[Trial]:
    return [Trial(number, each) for number, each in enumerate(seconds)]


@given(
    given_trials=st.lists(st.tuples(st.floats(0.0, 100.0), st.booleans()), min_size=1, max_size=60),
    width=st.integers(1, 16),
    workers=st.integers(1, 9),
    preparation_s=st.sampled_from([0.0, 20.0]),
    others_s=st.floats(0.0, 1e5),
)
def test_every_trial_is_in_one_queue_those_that_are_begun_and_the_longest_first(
    given_trials, width, workers, preparation_s, others_s
):
    some = [Trial(number, *each) for number, each in enumerate(given_trials)]
    found = queues(
        some,
        width,
        preparation_s=preparation_s,
        sweep_s=sum(each.seconds for each in some) + others_s,
        workers=workers,
    )
    every = [each for queue in found for each in queue]
    assert sorted(each.number for each in every) == list(range(len(some)))
    order = [(not each.is_begun, -each.seconds) for each in every]
    assert order == sorted(order)
    assert all(len(queue) >= min(width, len(some)) for queue in found)


def lengths(*seconds: float, width: int, workers: int, **given: float) -> list[int]:
    some = trials(*seconds)
    fields = {"preparation_s": 0.0, "sweep_s": sum(seconds), **given}
    return [len(queue) for queue in queues(some, width, workers=workers, **fields)]  # pyright: ignore[reportArgumentType]


def test_queues_last_about_twenty_seconds():
    assert lengths(*[1.0] * 200, width=4, workers=2) == [20] * 10
    assert lengths(*[100.0] * 16, width=4, workers=2) == [4] * 4  # at least as many as its rows
    assert lengths(*[0.1] * 200, width=4, workers=1, sweep_s=1e4) == [200]


def test_what_is_left_is_shared_by_all_workers():
    assert lengths(*[1.0] * 12, width=4, workers=2) == [6, 6]  # and not 4, 4, 4
    assert lengths(*[1.0] * 16, width=1, workers=4) == [2] * 8
    assert lengths(*[1.0] * 5, width=1, workers=8) == [1] * 5


def test_unequal_trials_make_queues_of_equal_time():
    some = trials(*(0.02 * n for n in range(1, 401)))
    found = queues(some, 2, preparation_s=0.0, sweep_s=1604.0, workers=2)
    times = [sum(each.seconds for each in queue) for queue in found if len(queue) > 2]
    assert max(times) < 1.5 * min(times)


def test_a_pack_that_is_prepared_is_made_once_a_worker_or_lasts_long():
    assert lengths(*[1.0] * 200, width=4, workers=2, preparation_s=20.0) == [100, 100]
    assert lengths(*[10.0] * 200, width=4, workers=2, preparation_s=20.0) == [20] * 10


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_trials_that_take_no_time_are_queued_as_well(workers):
    assert sum(lengths(*[0.0] * 9, width=2, workers=workers)) == 9
