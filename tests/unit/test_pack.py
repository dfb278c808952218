import os
from pathlib import Path

import pytest

from sweeps.planning.plan import plan
from sweeps.running.pack import PackFailed, train_pack
from sweeps.storage.ledger import Ledger
from tests.unit.test_plan import sweep
from trainers.config import TrialConfig
from trainers.data.tasks.gcd import Gcd


def configs() -> list[TrialConfig]:
    one = sweep(axes=[], trial={
        "task": {"kind": "gcd", "largest": 1000, "top_class": 4},
        "encoding": {"kind": "digits", "base": 10},
        "model": {"kind": "transformer", "width": 16, "heads": 2},
        "budget": {"steps": 40},
        "evaluation": {"points": 20, "examples": 20, "class_examples": 2},
    })  # fmt: skip
    return [trial.config for trial in plan(one).trials]


def trained(ledger: Ledger, stop_after: int | None = None) -> None:
    """Train the pack, saving at every point, and ask it to stop after so many events."""
    events = 0

    def stop() -> bool:
        return stop_after is not None and events >= stop_after

    for _ in train_pack(ledger, configs(), device="cpu", save_every_s=0.0, should_stop=stop):
        events += 1


def curve(ledger: Ledger, config: TrialConfig) -> dict[int, dict[str, float]]:
    return {point.step: point.values for point in ledger.trial(config.key()).points()}


def test_a_stopped_pack_goes_on_where_it_was(tmp_path):
    whole, halves = Ledger(tmp_path / "whole"), Ledger(tmp_path / "halves")
    trained(whole)
    trained(halves, stop_after=20)
    assert halves.trial(configs()[0].key()).outcome() is None
    trained(halves)
    for config in configs():
        assert len(curve(whole, config)) == 20
        assert curve(halves, config) == curve(whole, config)
        assert halves.trial(config.key()).outcome() == whole.trial(config.key()).outcome()


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
def test_a_damaged_checkpoint_is_passed_over_named_and_made_good(tmp_path, damage):
    whole, hurt = Ledger(tmp_path / "whole"), Ledger(tmp_path / "hurt")
    trained(whole)
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


def test_an_exception_in_a_task_is_an_outcome_with_its_traceback_and_can_be_tried_again(
    tmp_path, monkeypatch
):
    ledger = Ledger(tmp_path)
    working = Gcd.problems

    def broken(self: Gcd, draws: object) -> object:
        raise ZeroDivisionError("no such pair")

    monkeypatch.setattr(Gcd, "problems", broken)
    with pytest.raises(PackFailed, match="no such pair"):
        trained(ledger)
    for config in configs():
        folder = ledger.trial(config.key())
        outcome = folder.outcome()
        assert outcome is not None
        assert (outcome.name, outcome.reason) == ("failed", "ZeroDivisionError: no such pair")
        assert "Traceback" in (folder.attempts()[-1] / "notes.txt").read_text()
    monkeypatch.setattr(Gcd, "problems", working)
    trained(ledger)
    for config in configs():
        outcome = ledger.trial(config.key()).outcome()
        assert outcome is not None
        assert outcome.name == "finished"


def test_a_finished_trial_is_not_touched_again(tmp_path):
    ledger = Ledger(tmp_path)
    trained(ledger)
    before = snapshot(tmp_path)
    trained(ledger)
    assert snapshot(tmp_path) == before


def test_a_disk_that_refuses_leaves_the_old_checkpoint_whole(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path)
    trained(ledger, stop_after=10)
    real, left = os.fsync, [6]

    def full(handle: int) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((OSError, PackFailed)):
        trained(ledger)
    monkeypatch.setattr(os, "fsync", real)
    whole = Ledger(tmp_path / "whole")
    trained(whole)
    trained(ledger)
    for config in configs():
        assert curve(ledger, config) == curve(whole, config)


def snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
