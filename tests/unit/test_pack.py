import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from sweeps.planning.plan import plan
from sweeps.running import rows
from sweeps.running.halted import Halted
from sweeps.running.history import MOST_CRASHES, History, history
from sweeps.running.pack import train_pack
from sweeps.storage.ledger import Ledger
from sweeps.storage.left import Cause, Left, write_left
from tests.unit.test_plan import sweep
from trainers import loop
from trainers.checkpoint import fingerprint
from trainers.config import TrialConfig
from trainers.data.tasks.gcd import Gcd
from trainers.engine.execution import Execution
from trainers.loop import train
from trainers.memory import training_bytes
from trainers.result import Ended, Event, Outcome, Point


def configs() -> list[TrialConfig]:
    one = sweep(axes=[], trial={
        "task": {"kind": "gcd", "largest": 1000, "top_class": 4},
        "encoding": {"kind": "digits", "base": 10},
        "model": {"kind": "transformer", "width": 16, "heads": 2},
        "budget": {"steps": 20},
        "evaluation": {"points": 10, "examples": 20, "class_examples": 2},
    })  # fmt: skip
    return [trial.config for trial in plan(one).trials]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """What the pack comes to when nothing disturbs it."""
    ledger = Ledger(tmp_path_factory.mktemp("whole"))
    trained(ledger)
    return ledger


def trained(ledger: Ledger, stop_after: int | None = None) -> None:
    """Train the pack, saving at every point, and ask it to stop after so many events."""
    events = 0

    def stop() -> bool:
        return stop_after is not None and events >= stop_after

    for _ in train_pack(ledger, configs(), device="cpu", save_every_s=0.0, should_stop=stop):
        events += 1


def training(
    ledger: Ledger, some: list[TrialConfig], *, allow_drift: bool = False
) -> Iterator[Event]:
    return train_pack(
        ledger, some, device="cpu", save_every_s=0.0, should_stop=bool, allow_drift=allow_drift
    )


def curve(ledger: Ledger, config: TrialConfig) -> dict[int, dict[str, float]]:
    return {point.step: point.values for point in ledger.trial(config.key()).points()}


def test_a_stopped_pack_goes_on_where_it_was(tmp_path, whole):
    halves = Ledger(tmp_path)
    trained(halves, stop_after=20)
    assert halves.trial(configs()[0].key()).outcome() is None
    trained(halves)
    for config in configs():
        assert len(curve(whole, config)) == 10
        assert curve(halves, config) == curve(whole, config)
        assert halves.trial(config.key()).outcome() == whole.trial(config.key()).outcome()


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_a_damaged_checkpoint_is_passed_over_named_and_made_good(tmp_path, whole, damage):
    hurt = Ledger(tmp_path)
    trained(hurt, stop_after=30)
    key = configs()[0].key()
    newest = sorted(hurt.trial(key).path.glob("attempt-*/checkpoint-*.pt"))[-1]
    content = newest.read_bytes()
    if damage == "gone":
        newest.unlink()
    else:
        changed = {"flip": _flipped(content), "cut": content[:-9], "empty": b""}[damage]
        newest.write_bytes(changed)
    trained(hurt)
    notes = (hurt.trial(key).attempts()[-1] / "notes.txt").read_text()
    assert newest.name in notes
    for config in configs():
        assert curve(hurt, config) == curve(whole, config)


def outcomes(ledger: Ledger) -> list[Outcome | None]:
    return [ledger.trial(config.key()).outcome() for config in configs()]


def notes(ledger: Ledger, config: TrialConfig) -> list[str]:
    """What a person can read of each attempt."""
    return [
        (attempt / "notes.txt").read_text() if (attempt / "notes.txt").exists() else ""
        for attempt in ledger.trial(config.key()).attempts()
    ]


def test_an_exception_in_a_task_is_an_outcome_with_its_traceback_and_can_be_tried_again(
    tmp_path, monkeypatch
):
    ledger = Ledger(tmp_path)
    working = Gcd.problems

    def broken(self: Gcd, draws: object) -> object:
        raise ZeroDivisionError("no such pair")

    monkeypatch.setattr(Gcd, "problems", broken)
    trained(ledger)
    for config, outcome in zip(configs(), outcomes(ledger), strict=True):
        assert outcome is not None
        assert (outcome.name, outcome.reason) == ("failed", "ZeroDivisionError: no such pair")
        # once in the pack, whose fault it could have been, and once alone
        assert ["Traceback" in text for text in notes(ledger, config)] == [True, True]
    trained(ledger)  # within a launch it is not tried again
    assert all(len(ledger.trial(config.key()).attempts()) == 2 for config in configs())
    monkeypatch.setattr(Gcd, "problems", working)
    for config in configs():
        ledger.trial(config.key()).reopen()
    trained(ledger)
    assert {outcome.name for outcome in outcomes(ledger) if outcome is not None} == {"finished"}


def test_an_exception_of_one_trial_costs_the_others_of_its_pack_nothing(
    tmp_path, whole, monkeypatch
):
    hurt = Ledger(tmp_path)
    guilty, *innocent = configs()
    working = loop.training_batch

    def broken(some: list[TrialConfig], *others: Any) -> object:
        if guilty in some:
            raise ZeroDivisionError("no such pair")
        return working(some, *others)

    monkeypatch.setattr(loop, "training_batch", broken)
    trained(hurt)
    assert [outcome.name for outcome in outcomes(hurt) if outcome is not None] == [
        "failed",
        "finished",
    ]
    for config in innocent:
        assert curve(hurt, config) == curve(whole, config)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate"),
    ],
)
def test_what_python_a_gpu_and_a_processor_say_is_out_of_memory(error):
    assert rows.problem_of(error).is_memory
    assert not rows.problem_of(RuntimeError("no such kernel")).is_memory


def test_a_pack_without_memory_is_tried_in_half_then_alone_in_less_and_then_its_trials_fail(
    tmp_path, monkeypatch
):
    ledger = Ledger(tmp_path)
    sizes: list[int] = []

    def full(some: list[TrialConfig], *others: Any) -> object:
        sizes.append(len(some))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")

    monkeypatch.setattr(loop, "training_batch", full)
    (first, *_) = configs()  # few examples: each half of a batch is one more way to save memory
    four = [first.model_copy(update={"seed": seed, "batch_size": 2}) for seed in range(4)]
    assert len(list(training(ledger, four))) == 4
    assert sizes[:2] == [4, 2]
    assert set(sizes[2:]) == {1}  # the two behind have as little, and are not tried together
    assert len(sizes) % 4 == 2  # each as often as the others, in ever less memory
    for config in four:
        outcome = ledger.trial(config.key()).outcome()
        assert outcome is not None
        assert outcome.name == "failed"
        assert re.fullmatch(
            r"out of memory, it needs about \d+\.\d GB beside torch itself", outcome.reason
        )


def test_a_trial_that_does_not_fit_alone_trains_in_parts_or_with_layers_made_again(
    tmp_path, monkeypatch
):
    ledger = Ledger(tmp_path)
    (first, *_) = configs()
    model = first.model.model_copy(update={"width": 192})
    wide = first.model_copy(update={"batch_size": 256, "model": model})
    tried: list[Execution] = []

    def small(*starts: Any, execution: Execution, **others: Any) -> Iterator[Event]:
        tried.append(execution)
        if len(tried) < 3:
            raise MemoryError
        yield from train(*starts, execution=execution, **others)

    monkeypatch.setattr(rows, "train", small)
    list(training(ledger, [wide]))
    outcome = ledger.trial(wide.key()).outcome()
    assert outcome is not None
    assert (outcome.name, len(tried)) == ("finished", 3), tried
    needed = [training_bytes([wide], "cpu", each) for each in tried]
    assert all(after <= 0.8 * before for before, after in itertools.pairwise(needed))


def test_a_pack_that_fits_in_half_trains_in_half(tmp_path, whole, monkeypatch):
    halves = Ledger(tmp_path)
    working = loop.training_batch

    def small(some: list[TrialConfig], *others: Any) -> object:
        if len(some) > 1:
            raise MemoryError
        return working(some, *others)

    monkeypatch.setattr(loop, "training_batch", small)
    trained(halves)
    for config in configs():
        assert curve(halves, config) == curve(whole, config)
        assert halves.trial(config.key()).outcome() == whole.trial(config.key()).outcome()


def begun(ledger: Ledger, config: TrialConfig, steps: int, cause: Cause | None = None) -> None:
    """An attempt that reported up to a step, and whose worker then died or left."""
    attempt = ledger.trial(config.key()).begin(config.model_dump(), fingerprint=fingerprint())
    attempt.append([Point(steps, {"loss": 1.0})] if steps else [], 0)
    if cause is not None:
        write_left(attempt.path, Left(cause, steps))


def test_a_trial_whose_worker_dies_again_and_again_without_a_new_step_fails(tmp_path):
    ledger, config = Ledger(tmp_path), configs()[0]
    folder = ledger.trial(config.key())
    for number in range(1 + MOST_CRASHES):  # the first brings a new step, and so does not count
        assert history(folder).crashes == max(0, number - 1)
        assert history(folder).verdict() is None
        begun(ledger, config, 2)
    (event,) = training(ledger, [config])
    assert isinstance(event, Ended)
    assert event.outcome.name == "failed"
    assert event.outcome.reason.startswith("its worker died 20 times at step 2, it needs about ")
    assert folder.outcome() == event.outcome


def test_a_trial_that_gets_on_may_lose_its_worker_as_often_as_it_likes(tmp_path):
    ledger, config = Ledger(tmp_path), configs()[0]
    for step in range(1, 3 * MOST_CRASHES):
        begun(ledger, config, step)
    assert history(ledger.trial(config.key())).verdict() is None


@pytest.mark.parametrize("cause", ["stopped", "terminated", "superseded"])
def test_a_worker_that_was_asked_to_leave_did_not_crash(tmp_path, cause):
    ledger, config = Ledger(tmp_path), configs()[0]
    for _ in range(2 * MOST_CRASHES):
        begun(ledger, config, 0, cause)
    assert history(ledger.trial(config.key())) == History()


def test_a_failed_trial_that_is_reopened_has_all_its_attempts_again(tmp_path):
    ledger, config = Ledger(tmp_path), configs()[0]
    for _ in range(MOST_CRASHES):
        begun(ledger, config, 0)
    assert list(training(ledger, [config]))
    ledger.trial(config.key()).reopen()
    assert history(ledger.trial(config.key())).verdict() is None


def test_packs_get_smaller_as_their_workers_die():
    sizes = [History(crashes=crashes).largest_pack(16) for crashes in range(6)]
    assert sizes == [16, 16, 8, 8, 1, 1]


def test_an_attempt_that_a_newer_one_has_overtaken_stops_and_ends_nothing(tmp_path, whole):
    ledger = Ledger(tmp_path)
    taken = configs()[0]
    zombie = training(ledger, configs())
    for _ in range(12):
        next(zombie)
    successor = training(ledger, [taken])
    next(successor)
    assert [event.key for event in zombie if isinstance(event, Ended)] == [
        config.key() for config in configs()[1:]
    ]
    assert ledger.trial(taken.key()).outcome() is None
    for _ in successor:
        pass
    for config in configs():
        assert curve(ledger, config) == curve(whole, config)
        assert ledger.trial(config.key()).outcome() == whole.trial(config.key()).outcome()


def test_a_trial_whose_code_has_changed_stays_open_and_says_so_unless_that_is_allowed(
    tmp_path, monkeypatch
):
    ledger, config = Ledger(tmp_path), configs()[0]
    trained(ledger, stop_after=20)
    monkeypatch.setattr(torch, "__version__", "9.9")
    assert list(training(ledger, [config])) == []
    assert "-> 9.9" in (ledger.trial(config.key()).left_open() or "")
    assert list(training(ledger, [config], allow_drift=True))
    (drift,) = ledger.trial(config.key()).drifts()
    assert "-> 9.9" in drift.words


def test_a_finished_trial_is_not_touched_again(tmp_path):
    ledger = Ledger(tmp_path)
    trained(ledger)
    before = snapshot(tmp_path)
    trained(ledger)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("number", [1, 5, 9, 16, 23])
def test_a_full_disk_is_one_line_and_leaves_the_old_checkpoint_whole(
    tmp_path, whole, monkeypatch, number
):
    ledger = Ledger(tmp_path)
    trained(ledger, stop_after=10)
    real, left = os.fsync, [number]

    def full(handle: int) -> None:
        left[0] -= 1
        if left[0] <= 0:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Halted) as caught:
        trained(ledger)
    assert re.match(
        rf"{tmp_path}/\S+: could not write [\d,]+ bytes: no space left on device, [\d,]+ bytes are free",
        str(caught.value),
    )
    monkeypatch.setattr(os, "fsync", real)
    trained(ledger)
    for config in configs():
        assert curve(ledger, config) == curve(whole, config)
        assert ledger.trial(config.key()).outcome() == whole.trial(config.key()).outcome()


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
