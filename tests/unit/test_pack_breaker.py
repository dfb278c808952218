"""What fails alike again and again is not started any more; what fails here and there does no harm."""

from pathlib import Path

import pytest

from sweeps.running.breaker import MOST_OF_A_CELL, MOST_OF_A_SWEEP, Breaker, alike
from sweeps.running.pack import train_pack
from sweeps.storage.ledger import Ledger
from tests.unit.test_pack import configs
from trainers import loop
from trainers.config import TrialConfig


def replicates(count: int, largest: int = 1000) -> list[TrialConfig]:
    """Trials of one point; points of another `largest` have another shape."""
    first = configs()[0]
    task = first.task.model_copy(update={"largest": largest})
    return [first.model_copy(update={"seed": seed, "task": task}) for seed in range(count)]


def points(count: int) -> list[TrialConfig]:
    """Trials of one shape, each at a point of its own."""
    first = configs()[0]
    return [
        first.model_copy(update={"data": first.data.model_copy(update={"distinct": 100 + number})})
        for number in range(count)
    ]


def breaker(folder: Path) -> Breaker:
    return Breaker(Ledger(folder).sweep("small"))


def test_the_other_replicates_of_a_point_that_always_fails_are_not_started(tmp_path, monkeypatch):
    ledger, seen = Ledger(tmp_path), breaker(tmp_path)

    def broken(*given: object) -> object:
        raise IndexError(f"index {len(seen.lines(some))} is out of range")

    some = replicates(8)
    monkeypatch.setattr(loop, "training_batch", broken)
    for config in some:
        training = train_pack(
            ledger, [config], device="cpu", save_every_s=60.0, should_stop=bool, breaker=seen
        )
        assert len(list(training)) <= 1
    ended = [ledger.trial(config.key()).outcome() is not None for config in some]
    assert ended == [True] * MOST_OF_A_CELL + [False] * (8 - MOST_OF_A_CELL)
    (line,) = seen.lines(some[MOST_OF_A_CELL:])
    assert line == (
        "5 trials were not started: 3 replicates of their point all failed with"
        " IndexError: index 0 is out of range"
    )
    assert not seen.refuses(replicates(1, largest=999)[0])
    seen.reset()
    assert not seen.refuses(some[0])


@pytest.mark.parametrize("sound_first", [True, False])
def test_one_sound_replicate_shows_that_the_point_is_not_to_blame(tmp_path, sound_first):
    seen, some = breaker(tmp_path), replicates(9)
    if sound_first:
        seen.sound(some[0])
    for config in some[1:3]:
        seen.failed(config, "IndexError: no")
    if not sound_first:
        breaker(tmp_path).sound(some[0])  # on another node
    for config in some[3:]:
        seen.failed(config, "IndexError: no")
    assert not seen.refuses(some[8])


def test_failures_that_differ_break_nothing(tmp_path):
    seen, some = breaker(tmp_path), replicates(12)
    for config, kind in zip(some, "abcdefghijkl", strict=True):
        seen.failed(config, f"{kind}Error: no")
    assert not seen.refuses(some[0])
    assert not seen.folder.stop_requested()


def test_a_shape_is_not_started_any_more_when_several_of_its_points_fail_alike(tmp_path):
    seen, some = breaker(tmp_path), points(5)
    for config in some[:2]:
        seen.failed(config, "out of memory, it needs about 90.1 GB beside torch itself")
    assert not seen.refuses(some[4])
    seen.failed(some[2], "out of memory, it needs about 90.2 GB beside torch itself")
    assert seen.refuses(some[4])
    assert not seen.refuses(replicates(1, largest=999)[0])


def test_a_sweep_whose_first_trials_all_fail_alike_stops(tmp_path):
    seen = breaker(tmp_path)
    for number in range(MOST_OF_A_SWEEP):
        assert not seen.folder.stop_requested()
        (config,) = replicates(1, largest=100 + number)
        seen.failed(config, "ZeroDivisionError: no such pair")
    assert seen.folder.stop_requested()
    waiting = replicates(3, largest=99)
    assert seen.lines(waiting) == (
        "3 trials were not started: the first 10 trials of the sweep all failed with"
        " ZeroDivisionError: no such pair",
    )


def test_reasons_are_compared_without_their_numbers():
    assert alike("IndexError: index 17 is out of range") == alike(
        "IndexError: index 3 is out of range"
    )
    assert alike("hung: no progress for 60 s at step 1,200 (twice)") == alike(
        "hung: no progress for 61 s at step 80 (twice)"
    )
    assert alike("IndexError: no") != alike("KeyError: no")
