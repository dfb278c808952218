"""Trials that wait for the rows of others: begun when they join, the same to the bit, lost by no stop."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from sweeps.running import rows
from sweeps.running.breaker import Breaker
from sweeps.running.history import history
from sweeps.running.pack import train_pack
from sweeps.running.watchdog import HANG_FILE, Watchdog
from sweeps.storage.attempt import Attempt
from sweeps.storage.ledger import Ledger
from sweeps.storage.left import Left, read_left, write_left
from tests.unit.test_pack import configs, curve
from trainers import loop
from trainers.checkpoint import fingerprint
from trainers.config import TrialConfig
from trainers.engine.execution import Execution
from trainers.result import Ended, Reported, Saved

EAGER = Execution()
STEPS = (12, 4, 8, 4, 16, 8, 4)


def queue() -> list[TrialConfig]:
    """Trials of one shape that last unequally long."""
    first = configs()[0]
    evaluation = first.evaluation.model_copy(update={"points": 4, "class_examples": 1})
    return [
        first.model_copy(
            update={
                "seed": seed,
                "budget": first.budget.model_copy(update={"steps": steps}),
                "evaluation": evaluation,
            }
        )
        for seed, steps in enumerate(STEPS)
    ]


def trained(
    ledger: Ledger,
    some: Sequence[TrialConfig],
    width: int,
    stop_after: int | None = None,
    execution: Execution = EAGER,
    watchdog: Watchdog | None = None,
    breaker: Breaker | None = None,
) -> list[int]:
    """Train a queue; how many attempts were there at once, event by event."""
    events = 0
    at_once: list[int] = []

    def stop() -> bool:
        return stop_after is not None and events >= stop_after

    training = train_pack(
        ledger,
        some,
        width=width,
        execution=execution,
        device="cpu",
        save_every_s=60.0,
        should_stop=stop,
        watchdog=watchdog,
        breaker=breaker,
    )
    for _ in training:
        events += 1
        at_once.append(len(open_attempts(ledger, some)))
    return at_once


def open_attempts(ledger: Ledger, some: Sequence[TrialConfig]) -> list[Path]:
    folders = [ledger.trial(config.key()) for config in some]
    return [each.attempts()[-1] for each in folders if each.attempts() and each.outcome() is None]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """The same trials, each by itself."""
    ledger = Ledger(tmp_path_factory.mktemp("alone"))
    for config in queue():
        trained(ledger, [config], 1)
    return ledger


def assert_same(one: Ledger, other: Ledger) -> None:
    for config in queue():
        first, second = one.trial(config.key()), other.trial(config.key())
        assert curve(one, config) == curve(other, config)
        assert first.outcome() == second.outcome() is not None


@pytest.mark.parametrize("width", [2, 3, 16])
def test_a_trial_that_joins_late_gives_the_same_bits_and_begins_when_its_row_is_free(
    tmp_path, alone, width
):
    ledger = Ledger(tmp_path)
    at_once = trained(ledger, queue(), width)
    assert max(at_once) == min(width, len(STEPS))
    assert_same(ledger, alone)
    for config in queue():
        (attempt,) = ledger.trial(config.key()).attempts()
        begun = Attempt(attempt).begun()
        assert begun is not None
        assert begun.rows == min(width, len(STEPS))
        assert begun.fingerprint["execution"] == "eager"


def test_a_row_that_is_free_is_taken_at_once(tmp_path):
    """Two at once: 12 beside 4, whose row 8 takes, and so on: no row is empty while others wait."""
    ledger = Ledger(tmp_path)
    some = queue()
    training = train_pack(ledger, some, width=2, device="cpu", save_every_s=60.0, should_stop=bool)
    ended = [event.key for event in training if isinstance(event, Ended)]
    assert ended == [some[number].key() for number in (1, 0, 2, 3, 5, 6, 4)]


@pytest.mark.parametrize("stop_after", [3, 12, 24])
def test_a_stop_saves_what_trains_and_begins_nothing_else(tmp_path, alone, stop_after):
    ledger = Ledger(tmp_path)
    trained(ledger, queue(), 2, stop_after)
    begun = [config for config in queue() if ledger.trial(config.key()).attempts()]
    left = open_attempts(ledger, queue())
    assert 0 < len(left) <= 2
    assert len(begun) < len(STEPS)
    for attempt in left:
        found = read_left(attempt)
        assert found is not None
        assert found.cause == "stopped"
        assert list(attempt.glob("checkpoint-*.json"))
    trained(ledger, queue()[::-1], 3)  # what was stopped shares its pack with what never began
    assert_same(ledger, alone)


def test_a_trial_that_hurts_its_pack_costs_the_queue_nothing(tmp_path, alone, monkeypatch):
    ledger, some = Ledger(tmp_path), queue()
    guilty = some[3]
    working = loop.training_batch

    def broken(these: list[TrialConfig], *others: object) -> object:
        if guilty in these:
            raise ZeroDivisionError("no such pair")
        return working(these, *others)  # pyright: ignore[reportCallIssue, reportArgumentType]

    monkeypatch.setattr(loop, "training_batch", broken)
    trained(ledger, some, 2)
    for config in some:
        outcome = ledger.trial(config.key()).outcome()
        assert outcome is not None
        if config == guilty:
            assert outcome.reason == "ZeroDivisionError: no such pair"
        else:
            assert outcome == alone.trial(config.key()).outcome()
            assert curve(ledger, config) == curve(alone, config)


def test_without_memory_the_queue_goes_on_in_half_the_width(tmp_path, alone, monkeypatch):
    ledger = Ledger(tmp_path)
    working = loop.training_batch
    sizes: list[int] = []

    def small(these: list[TrialConfig], *others: object) -> object:
        sizes.append(len(these))
        if len(these) > 2:
            raise MemoryError
        return working(these, *others)  # pyright: ignore[reportCallIssue, reportArgumentType]

    monkeypatch.setattr(loop, "training_batch", small)
    trained(ledger, queue(), 4)
    assert sizes[0] == 4
    assert max(sizes[1:]) == 2
    assert_same(ledger, alone)


def test_one_whose_worker_died_often_leaves_the_others_their_width(tmp_path, alone):
    """Twice means half the pack, and four times alone; it is tried before the others."""
    ledger, some = Ledger(tmp_path), queue()
    for number, crashes in ((2, 4), (5, 2)):
        for _ in range(crashes):
            ledger.trial(some[number].key()).begin(
                some[number].model_dump(), fingerprint=fingerprint()
            )
    assert history(ledger.trial(some[2].key())).largest_pack(4) == 1
    at_once = trained(ledger, some, 4)
    assert max(at_once) == 4 + 1  # what waits in a part of its own is open, and does not train
    rows_of = {
        number: begun.rows
        for number in (0, 2, 5)
        if (begun := Attempt(ledger.trial(some[number].key()).attempts()[-1]).begun()) is not None
    }
    assert rows_of == {0: 4, 2: 1, 5: 1}
    assert_same(ledger, alone)


def test_a_ledger_that_cannot_be_read_while_one_joins_is_not_the_fault_of_those_that_train(
    tmp_path, alone, monkeypatch
):
    ledger, some = Ledger(tmp_path), queue()
    working = rows.find_checkpoint
    late = some[2].key()

    def broken(folders: object, key: str) -> object:
        if key == late:
            raise OSError(5, "Input/output error")
        return working(folders, key)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(rows, "find_checkpoint", broken)
    with pytest.raises(OSError, match="Input/output"):
        trained(ledger, some, 2)
    assert list(open_attempts(ledger, some))
    monkeypatch.setattr(rows, "find_checkpoint", working)
    trained(ledger, some, 2)
    assert_same(ledger, alone)


def test_nothing_joins_that_is_like_what_failed_again_and_again(tmp_path, monkeypatch):
    ledger, some = Ledger(tmp_path), queue()

    def broken(*given: object) -> object:
        raise IndexError("no such example")

    monkeypatch.setattr(loop, "training_batch", broken)
    same_point = [some[0].model_copy(update={"seed": seed}) for seed in range(9)]
    breaker = Breaker(ledger.sweep("small"))
    trained(ledger, same_point, 1, breaker=breaker)
    ended = [ledger.trial(config.key()).outcome() is not None for config in same_point]
    assert ended == [True] * 3 + [False] * 6


def test_a_trial_goes_on_in_the_execution_in_which_it_began(tmp_path):
    """Whatever the plan says: it would drift; with leave to drift it goes on as the plan says."""
    ledger, (config, *_) = Ledger(tmp_path), queue()
    trained(ledger, [config], 1, stop_after=1, execution=Execution(parts=2))
    trained(ledger, [config], 1, stop_after=1)
    training = train_pack(
        ledger,
        [config],
        device="cpu",
        save_every_s=0.0,
        should_stop=bool,
        allow_drift=True,
    )
    assert any(isinstance(event, Saved | Reported) for event in training)
    begun = [Attempt(each).begun() for each in ledger.trial(config.key()).attempts()]
    words = [each.fingerprint["execution"] for each in begun if each is not None]
    assert words == ["eager in 2 parts", "eager in 2 parts", "eager"]
    drifts = [each.drift.words for each in begun if each is not None and each.drift is not None]
    assert drifts == ["execution eager in 2 parts -> eager"]


def test_a_watchdog_watches_over_those_that_have_joined_and_forgets_those_that_have_left(tmp_path):
    first, second, third = (tmp_path / name for name in "abc")
    for folder in (first, second, third):
        folder.mkdir()
    watchdog = Watchdog(least_s=60.0)
    watchdog.guard([first], weight=1.0)
    watchdog.join(second, weight=3.0)
    watchdog.leave(first)
    assert not (first / HANG_FILE).exists()
    assert (second / HANG_FILE).exists()
    watchdog.leave(second)
    watchdog.join(third, weight=1.0)  # nobody is left whose file it could share
    assert (third / HANG_FILE).exists()
    watchdog.release()
    assert not list(tmp_path.rglob(HANG_FILE))


def test_a_queue_under_a_watchdog_leaves_no_file_of_it_behind(tmp_path, alone):
    ledger = Ledger(tmp_path)
    trained(ledger, queue(), 2, watchdog=Watchdog(60.0))
    assert not list(tmp_path.rglob(HANG_FILE))
    assert_same(ledger, alone)


def test_how_an_attempt_was_left_names_those_that_trained_with_it(tmp_path):
    ledger, some = Ledger(tmp_path), queue()
    trained(ledger, some, 3, stop_after=8)
    for attempt in open_attempts(ledger, some):
        left = read_left(attempt)
        assert left is not None
        assert left.pack == 3
        write_left(attempt, Left("stopped", left.step, 3))
