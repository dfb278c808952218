"""What `lawsweep gc` frees, and what it never touches."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from analysis.cli import main
from sweeps.storage.ledger import Ledger
from tests.small_sweep import records_of, store, sweep_of
from trainers.checkpoint import newest_checkpoint, write_checkpoint
from trainers.result import Outcome, Saved

SWEEP = sweep_of("bases", (2, 3))
RECORDS = records_of(SWEEP)[:6]
FINISHED, BETTER, DIVERGED, STOPPED, FAILED, OPEN = (record["key"] for record in RECORDS)
ENDS = ("finished", "finished", "diverged", "stopped", "failed", None)


def saved(key: str, step: int) -> Saved:
    return Saved(key, step, {"weights": torch.full((1000,), float(step))}, {})


@pytest.fixture
def ledger(tmp_path: Path, written: Path) -> Ledger:
    """A copy of what was written, to free."""
    shutil.copytree(written, tmp_path / "storage")
    return Ledger(tmp_path / "storage")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One trial of each state; each has two attempts of two checkpoints and something half written."""
    found = Ledger(tmp_path_factory.mktemp("written") / "storage")
    store(found, SWEEP, RECORDS)
    for number, (record, end) in enumerate(zip(RECORDS, ENDS, strict=True)):
        trial = found.trial(record["key"])
        for start in (10, 30):
            attempt = trial.begin(record["config"])
            for step in (start, start + 10):
                write_checkpoint(attempt.path, saved(record["key"], step))
            (attempt.path / ".checkpoint-00000050.pt.tmp").write_bytes(b"half")
        if end is not None:
            assert attempt.finish(Outcome(end, 40, {"accuracy": 0.1 * number}))
    return found.root


def steps(ledger: Ledger, key: str) -> list[int]:
    """The checkpoints that a trial has."""
    return sorted(
        int(path.stem[11:]) for path in ledger.trial(key).path.glob("*/checkpoint-*.json")
    )


def files(ledger: Ledger) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in ledger.root.rglob("*") if path.is_file()}


def test_by_default_every_trial_that_can_be_asked_keeps_its_newest_checkpoint(ledger, capsys):
    before = files(ledger)
    assert main(["gc", "--storage", str(ledger.root)]) == 0
    assert [steps(ledger, key) for key in (FINISHED, BETTER, STOPPED)] == [[40]] * 3
    assert steps(ledger, DIVERGED) == []
    for key in (FINISHED, BETTER, STOPPED):
        found, damaged = newest_checkpoint(ledger.trial(key).attempts(), key)
        assert found is not None
        assert (found.step, damaged) == (40, ())
    gone = sum(len(content) for path, content in before.items() if not path.exists())
    said = capsys.readouterr().out
    assert f"bases: freed {gone / 1000:.1f} kB (13 checkpoints, 8 leftovers)" in said
    assert "3 checkpoints stay" in said
    assert "can no longer ask 1 ended trials" in said


def test_open_and_failed_trials_stay_as_they_are_to_the_byte(ledger):
    before = {
        path: content
        for path, content in files(ledger).items()
        if {OPEN, FAILED} & {part.name for part in path.parents}
    }
    assert len(before) == 30
    assert main(["gc", "--storage", str(ledger.root), "--keep", "none"]) == 0
    after = files(ledger)
    assert {path: after.get(path) for path in before} == before


def test_metrics_and_outcomes_stay(ledger):
    outcomes = {record["key"]: ledger.trial(record["key"]).outcome() for record in RECORDS}
    assert main(["gc", "bases", "--storage", str(ledger.root), "--keep", "none"]) == 0
    assert {key: ledger.trial(key).outcome() for key in outcomes} == outcomes
    assert [steps(ledger, key) for key in (FINISHED, BETTER, DIVERGED, STOPPED)] == [[]] * 4


def test_the_best_of_a_sweep_keep_theirs(ledger):
    assert main(["gc", "--storage", str(ledger.root), "--keep", "best:1"]) == 0
    assert (steps(ledger, FINISHED), steps(ledger, BETTER)) == ([], [40])


def test_a_dry_run_says_the_same_and_changes_nothing(ledger, capsys):
    before = files(ledger)
    arguments = ["gc", "--storage", str(ledger.root), "--json"]
    assert main([*arguments, "--dry-run"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert files(ledger) == before
    assert main(arguments) == 0
    done = json.loads(capsys.readouterr().out)
    assert planned.pop("dry_run")
    assert not done.pop("dry_run")
    assert planned == done
    gone = sum(len(content) for path, content in before.items() if not path.exists())
    assert done["freed_bytes"] == gone


def test_a_second_run_has_nothing_to_free(ledger, capsys):
    for _ in range(2):
        assert main(["gc", "--storage", str(ledger.root), "--json"]) == 0
        last = json.loads(capsys.readouterr().out)
    assert last["freed_bytes"] == 0
    assert last["sweeps"][0]["kept"] == 3


def test_a_damaged_newest_checkpoint_is_not_the_one_that_stays(ledger):
    file = next(ledger.trial(FINISHED).path.glob("*/checkpoint-00000040.pt"))
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    assert main(["gc", "--storage", str(ledger.root)]) == 0
    assert steps(ledger, FINISHED) == [30]


def test_a_sweep_that_runs_is_left_alone(ledger, capsys):
    before = files(ledger)
    with ledger.sweep("bases").lock():
        assert main(["gc", "bases", "--storage", str(ledger.root)]) == 3
        assert capsys.readouterr().err.startswith("sweep bases is run by ")
        assert main(["gc", "--storage", str(ledger.root), "--keep", "none"]) == 0
        assert "left alone: sweep bases is run by " in capsys.readouterr().out
    assert all(path.exists() for path in before)


def test_a_trial_of_a_running_sweep_is_not_touched_through_another_that_has_it_too(ledger):
    store(ledger, sweep_of("other", (2, 3)), RECORDS)
    with ledger.sweep("other").lock():
        assert main(["gc", "bases", "--storage", str(ledger.root), "--keep", "none"]) == 0
        assert steps(ledger, FINISHED) == [10, 20, 30, 40]


def test_a_trial_that_is_among_the_best_of_another_sweep_stays(ledger):
    store(ledger, sweep_of("other", (2, 3)), RECORDS[:1])
    assert main(["gc", "bases", "--storage", str(ledger.root), "--keep", "best:1"]) == 0
    assert (steps(ledger, FINISHED), steps(ledger, BETTER)) == ([40], [40])


def test_trials_of_no_sweep_are_freed_too(ledger, capsys):
    for path in sorted(ledger.sweep("bases").path.iterdir()):
        path.unlink()
    ledger.sweep("bases").path.rmdir()
    assert main(["gc", "--storage", str(ledger.root)]) == 0
    assert steps(ledger, FINISHED) == [40]
    assert steps(ledger, OPEN) == [10, 20, 30, 40]
    assert "trials of no sweep: freed" in capsys.readouterr().out


def test_nothing_outside_the_storage_is_removed(ledger, tmp_path):
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "data").write_text("x")
    attempt = ledger.trial(FINISHED).attempts()[0]
    (attempt / ".link.tmp").symlink_to(outside)
    (ledger.sweep("bases").path / "ray-1").symlink_to(outside)
    assert main(["gc", "--storage", str(ledger.root)]) == 0
    assert (outside / "data").read_text() == "x"
    assert not (attempt / ".link.tmp").is_symlink()


@pytest.mark.parametrize("keep", ["", "best", "best:0", "best:-1", "best:x", "all", "last "])
def test_what_is_to_be_kept_is_checked(tmp_path, keep, capsys):
    assert main(["gc", "--storage", str(tmp_path), "--keep", keep]) == 2
    assert "--keep: expected last, none or best:K" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_or_a_storage_that_is_not_there_is_named(ledger, tmp_path, capsys):
    assert main(["gc", "other", "--storage", str(ledger.root)]) == 2
    assert "got other" in capsys.readouterr().err
    assert main(["gc", "--storage", str(tmp_path / "nowhere")]) == 2
    assert not (tmp_path / "nowhere").exists()
