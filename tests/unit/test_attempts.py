"""Attempts at one trial: who may end it, which lines count, and where its folder may lead."""

import os
import stat
import threading
from pathlib import Path

import pytest

from sweeps.storage.attempt import Attempt, TrialEnded
from sweeps.storage.curve import CurveReader, LedgerDamaged
from sweeps.storage.ledger import Ledger, Look, TrialFolder
from sweeps.storage.records import LedgerError
from sweeps.storage.start import Drift
from trainers.checkpoint import find_checkpoint, newest_fingerprint, write_checkpoint
from trainers.result import Outcome, Point, Saved

KEY = "0123456789abcdef0123"
CONFIG = {"model": {"width": 64}, "seed": 1}
DONE = Outcome("finished", 10, {"loss": 0.5})


@pytest.fixture
def trial(tmp_path: Path) -> TrialFolder:
    return Ledger(tmp_path / "storage").trial(KEY)


def begin(trial: TrialFolder, code: str, from_step: int | None = None) -> Attempt:
    drift = None if from_step is None else Drift("code a -> b", from_step)
    return trial.begin(CONFIG, fingerprint={"code": code}, drift=drift)


def report(attempt: Attempt, loss: float, *steps: int) -> None:
    attempt.append([Point(step, {"loss": loss}) for step in steps], now_ms=1)


def losses(trial: TrialFolder) -> dict[int, float]:
    return {point.step: point.values["loss"] for point in trial.points()}


def test_an_overtaken_attempt_may_not_end_the_trial_and_notes_why(trial):
    old, new = trial.begin(CONFIG), trial.begin(CONFIG)
    assert old.is_fenced()
    assert not new.is_fenced()
    assert not old.finish(DONE)
    assert trial.outcome() is None
    assert "attempt-0002 has begun" in (old.path / "notes.txt").read_text()
    assert new.finish(DONE)
    assert trial.outcome() == DONE


def test_the_folder_of_a_newer_attempt_alone_forbids_the_older_one_to_end(trial):
    """Its process was killed before it wrote anything."""
    old = trial.begin(CONFIG)
    (trial.path / "attempt-0002").mkdir()
    assert not old.finish(DONE)
    assert trial.outcome() is None


def test_an_outcome_that_was_written_while_a_newer_attempt_began_stands(trial):
    """The older one was killed between the two names that its outcome gets."""
    old = trial.begin(CONFIG)
    assert old.finish(DONE)
    (trial.path / "outcome.json").unlink()
    with pytest.raises(TrialEnded):
        trial.begin(CONFIG)
    assert trial.outcome() == DONE


def test_an_ended_trial_is_not_begun_again_unless_it_is_reopened(trial):
    failed = Outcome("failed", 3, reason="no luck")
    assert trial.begin(CONFIG).finish(failed)
    with pytest.raises(TrialEnded):
        trial.begin(CONFIG)
    trial.reopen()
    assert trial.outcome() is None
    assert trial.begin(CONFIG).finish(DONE)
    assert trial.outcome() == DONE


def test_of_an_end_and_a_beginning_at_once_exactly_one_succeeds(tmp_path):
    ended = begun = 0
    for number in range(60):
        trial = Ledger(tmp_path / str(number)).trial(KEY)
        old, ready = trial.begin(CONFIG), threading.Barrier(2)
        found: dict[str, bool] = {}

        def end(old=old, ready=ready, found=found) -> None:
            ready.wait()
            found["ended"] = old.finish(DONE)

        def overtake(trial=trial, ready=ready, found=found) -> None:
            ready.wait()
            try:
                found["begun"] = bool(trial.begin(CONFIG))
            except TrialEnded:
                found["begun"] = False

        threads = [threading.Thread(target=end), threading.Thread(target=overtake)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not (found["ended"] and found["begun"])
        assert (trial.outcome() is None) == (not found["ended"])
        ended += found["ended"]
        begun += found["begun"]
    assert ended + begun > 0


def test_after_a_drift_the_newest_attempt_alone_counts_and_before_it_all_do(trial):
    old = begin(trial, "a")
    report(old, 1.0, 10, 20, 30, 40)
    reader = CurveReader(trial.path)
    assert len(reader.read()) == 4
    new = begin(trial, "b", from_step=20)
    report(new, 2.0, 30)
    report(old, 1.0, 50)  # a zombie
    assert losses(trial) == {10: 1.0, 20: 1.0, 30: 2.0}
    assert [point.step for point in reader.read()] == [10, 20, 30]
    assert trial.drifts() == (Drift("code a -> b", 20),)


def test_without_a_drift_a_revived_worker_under_other_code_writes_in_vain(trial):
    """It had written nothing when the newer one began, which so saw no difference."""
    zombie = begin(trial, "a")
    reader = CurveReader(trial.path)
    new = begin(trial, "b")
    report(zombie, 1.0, 10, 20)
    assert len(reader.read()) == 0
    report(new, 2.0, 10)
    assert losses(trial) == {10: 2.0}
    assert [point.values["loss"] for point in reader.read()] == [2.0]


def test_who_wrote_last_is_known_by_its_start(trial):
    assert trial.last_written() is None
    report(begin(trial, "a"), 1.0, 10)
    begin(trial, "b")
    written = trial.last_written()
    assert written is not None
    assert written.fingerprint == {"code": "a"}


def test_how_an_attempt_began_is_not_believed_after_any_changed_byte(trial):
    attempt = begin(trial, "a", from_step=7)
    file = attempt.path / "start.json"
    content = file.read_bytes()
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(LedgerDamaged):
            attempt.begun()
    for size in range(len(content)):
        file.write_bytes(content[:size])
        with pytest.raises(LedgerDamaged):
            attempt.begun()


def test_an_outcome_is_not_believed_after_any_changed_byte_or_at_any_other_length(trial):
    trial.begin(CONFIG).finish(DONE)
    file = trial.path / "outcome.json"
    content = file.read_bytes()
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(LedgerDamaged):
            trial.outcome()
    for size in range(len(content)):
        file.write_bytes(content[:size])
        with pytest.raises(LedgerDamaged):
            trial.outcome()


def test_a_torn_line_is_cut_off_before_the_next_one(trial):
    attempt = trial.begin(CONFIG)
    report(attempt, 1.0, 1)
    with (attempt.path / "metrics.jsonl").open("ab") as file:
        file.write(b'1234abcd {"step":2,' * 9_000)  # longer than what is read at once
    report(attempt, 1.0, 2)
    assert losses(trial) == {1: 1.0, 2: 1.0}
    (attempt.path / "metrics.jsonl").write_bytes(b"torn")
    report(attempt, 1.0, 3)
    assert losses(trial) == {3: 1.0}


def test_one_look_tells_what_looking_at_each_trial_tells(tmp_path):
    ledger = Ledger(tmp_path / "storage")
    keys = [f"{number:020x}" for number in range(0, 1 << 24, 1 << 21)]
    for number, key in enumerate(keys[:6]):
        attempt = ledger.trial(key).begin(CONFIG)
        if number % 2:
            write_checkpoint(attempt.path, Saved(key, 10 * number, {}, {}))
        if number in {2, 3}:
            attempt.finish(DONE)
        if number == 5:
            attempt.finish(Outcome("failed", 3))
    looks = ledger.look(keys)
    assert set(looks) == set(keys[:6])
    assert {key: look.ending for key, look in looks.items()} == {
        key: ledger.trial(key).ended() for key in keys[:6]
    }
    assert [looks[key].checkpoint_step for key in keys[:6]] == [0, 10, 0, 0, 0, 50]
    assert looks[keys[0]] == Look(None, 0) == ledger.trial(keys[0]).look()


@pytest.mark.parametrize("link", ["trials", "trials/01", f"trials/01/{KEY}"])
def test_a_trial_that_leads_out_of_the_storage_is_refused(tmp_path, link):
    outside = tmp_path / "outside"
    ledger = Ledger(outside)
    ledger.trial(KEY).begin(CONFIG)
    place = tmp_path / "storage" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(outside / link)
    trial = Ledger(tmp_path / "storage").trial(KEY)
    before = sorted(outside.rglob("*"))
    with pytest.raises(LedgerError, match="got a link out of it"):
        trial.begin(CONFIG)
    with pytest.raises(LedgerError, match="got a link out of it"):
        trial.attempts()
    assert sorted(outside.rglob("*")) == before


def test_a_storage_that_is_itself_a_link_is_fine(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "storage").symlink_to(tmp_path / "disk")
    assert Ledger(tmp_path / "storage").trial(KEY).begin(CONFIG).finish(DONE)


def test_an_attempt_that_is_a_link_is_refused(tmp_path, trial):
    other = Ledger(tmp_path / "other").trial(KEY).begin(CONFIG)
    trial.begin(CONFIG)
    (trial.path / "attempt-0002").symlink_to(other.path)
    with pytest.raises(LedgerError, match="got a symbolic link"):
        trial.attempts()


@pytest.mark.parametrize("suffix", [".pt", ".json"])
def test_a_checkpoint_that_is_a_link_is_passed_over(tmp_path, trial, suffix):
    attempt = trial.begin(CONFIG)
    write_checkpoint(attempt.path, Saved(KEY, 1, {}, {}))
    file = write_checkpoint(attempt.path, Saved(KEY, 2, {}, {})).with_suffix(suffix)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    found = find_checkpoint(trial.attempts(), KEY)
    assert found.saved is not None
    assert found.saved.step == 1
    assert "got a symbolic link" in found.damaged[0].reason
    fingerprint = newest_fingerprint(trial.attempts(), KEY)
    assert fingerprint == found.fingerprint


def test_checkpoints_are_readable_by_their_owner_alone(trial):
    attempt = trial.begin(CONFIG)
    before = os.umask(0)
    try:
        write_checkpoint(attempt.path, Saved(KEY, 1, {}, {}))
    finally:
        os.umask(before)
    for path in attempt.path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_storage_that_others_can_change_is_doubted(tmp_path):
    ledger = Ledger(tmp_path / "storage")
    assert ledger.doubt() is None
    assert not ledger.root.exists()
    ledger.trial(KEY).begin(CONFIG)
    assert ledger.doubt() is None
    ledger.root.chmod(0o770)
    assert "can be written by others" in (ledger.doubt() or "")
    ledger.root.chmod(0o750)
    assert ledger.doubt() is None
    if os.geteuid() == 0:
        os.chown(ledger.root, 12345, -1)
        assert "belongs to user 12345" in (ledger.doubt() or "")
