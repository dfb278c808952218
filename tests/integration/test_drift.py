"""Code, torch or machine that changed between start and resume: refused, or allowed and recorded."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sweeps.planning.plan import plan
from sweeps.running.drift import Drifted, refuse_drift
from sweeps.running.pack import train_pack
from sweeps.spec import load
from sweeps.storage.ledger import Ledger, TrialFolder
from sweeps.storage.records import read_sealed, sealed
from sweeps.storage.start import START_FILE, Drift
from tests.integration import sweeping
from trainers.checkpoint import BESIDE_TRAINING, _sealed, code_hash, difference, fingerprint
from trainers.config import TrialConfig
from trainers.machine import prepare
from trainers.result import Event, Reported

ROOT = Path(__file__).parents[2]
SWEEP = """\
name: tiny
trial:
  task: {kind: gcd, largest: 100, top_class: 4}
  encoding: {kind: digits, base: 10}
  model: {kind: transformer, width: 16, heads: 2}
  optimizer: {kind: adam, lr: 3.0e-3}
  batch_size: 8
  budget: {steps: 60}
  evaluation: {points: 12, examples: 8, class_examples: 2}
axes:
  - {kind: values, field: optimizer.lr, values: [3.0e-3]}
replicates: 1
objective: {metric: accuracy, mode: max}
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.yaml"
    file.write_text(SWEEP)
    return file


def left_midway(storage: Path, sweep: Path) -> TrialFolder:
    """The trial after a while: it has reported beyond its checkpoint."""
    config = only_trial(sweep)
    prepare()
    for event in training(storage, config):
        if isinstance(event, Reported) and event.point.step >= 40:
            break
    folder = Ledger(storage).trial(config.key())
    for marker in sorted(folder.path.glob("*/checkpoint-*.json"))[1:]:
        marker.unlink()
    return folder


def training(storage: Path, config: TrialConfig, *, allow_drift: bool = False) -> Iterator[Event]:
    """The trial as a worker trains it, saved at each report."""
    return train_pack(
        Ledger(storage),
        [config],
        device="cpu",
        save_every_s=0.0,
        should_stop=lambda: False,
        allow_drift=allow_drift,
    )


def with_threads(folder: TrialFolder, threads: str) -> None:
    """Let the records say that the trial was trained so; two threads on a busy machine take minutes."""
    (attempt,) = folder.attempts()
    for marker in attempt.glob("checkpoint-*.json"):
        record = json.loads(marker.read_bytes())
        del record["seal"]
        record["fingerprint"]["threads"] = threads
        marker.write_bytes(_sealed(record))
    start = read_sealed(attempt / START_FILE) or {}
    start["fingerprint"]["threads"] = threads
    (attempt / START_FILE).write_bytes(sealed(start))


def only_trial(sweep: Path) -> TrialConfig:
    (trial,) = plan(load(str(sweep))).trials
    return trial.config


def checkpoint_step(folder: TrialFolder) -> int:
    (marker,) = folder.path.glob("*/checkpoint-*.json")
    return int(marker.stem.removeprefix("checkpoint-"))


def launch(
    sweep: Path, storage: Path, *options: str, code: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The command, run here, or from the sources below `code`."""
    arguments = ["launch", str(sweep), "--storage", str(storage), "--inline", *options]
    if code is None:
        return sweeping.run_here(*arguments)
    return subprocess.run(
        [sys.executable, "-m", "analysis.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=250,
        env={**sweeping.environment(), "PYTHONPATH": str(code)},
        cwd=sweep.parent,
    )


def files(folder: Path) -> dict[Path, tuple[bytes, int]]:
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def changed_code(folder: Path, file: str, before: str, after: str) -> Path:
    """A copy of the program in which one thing is written differently."""
    for package in ("trainers", "sweeps", "analysis"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pyc*"))
    text = (folder / file).read_text()
    assert before in text
    (folder / file).write_text(text.replace(before, after, 1))
    return folder


def test_nothing_has_changed_so_the_trial_goes_on_as_if_never_left(tmp_path, sweep):
    storage = tmp_path / "storage"
    folder = left_midway(storage, sweep)
    for _ in training(storage, only_trial(sweep)):
        pass
    assert len(folder.attempts()) == 2
    assert folder.drifts() == ()
    assert len(folder.points()) == 12
    assert folder.left_open() is None


def test_another_number_of_threads_is_refused_with_the_difference_and_nothing_is_written(
    tmp_path, sweep
):
    storage = tmp_path / "storage"
    folder = left_midway(storage, sweep)
    with_threads(folder, "2")
    before = files(storage)
    ran = launch(sweep, storage)
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert "a change of threads 2 -> 1: with --allow-drift" in ran.stderr
    assert files(storage) == before

    step = checkpoint_step(folder)
    allowed = launch(sweep, storage, "--allow-drift")
    assert allowed.returncode == 0, allowed.stderr
    assert folder.drifts() == (Drift("threads 2 -> 1", step),)
    assert len(folder.points()) == 12


def test_one_changed_byte_of_the_sources_is_refused(tmp_path, sweep):
    storage = tmp_path / "storage"
    left_midway(storage, sweep)
    before = files(storage)
    code = changed_code(tmp_path / "code", "trainers/optim.py", "\n", "\n# \n")
    ran = launch(sweep, storage, code=code)
    assert ran.returncode == 2
    assert f"a change of code {code_hash()} -> " in ran.stderr
    assert files(storage) == before


def test_points_that_differ_after_an_allowed_change_replace_those_of_before(tmp_path, sweep):
    storage = tmp_path / "storage"
    folder = left_midway(storage, sweep)
    step = checkpoint_step(folder)
    before = {point.step: point.values for point in folder.points()}
    assert max(before) > step
    code = changed_code(tmp_path / "code", "trainers/losses.py", "def training_loss", "def _before")
    with (code / "trainers/losses.py").open("a") as file:
        file.write("\n\ndef training_loss(*given):\n    return _before(*given) * 1.5\n")
    ran = launch(sweep, storage, "--allow-drift", code=code)
    assert ran.returncode == 0, ran.stderr
    after = {point.step: point.values for point in folder.points()}
    assert len(after) == 12
    for each in before:
        assert (after[each] == before[each]) == (each <= step)
    late = folder.attempts()[0] / "metrics.jsonl"  # a zombie's last lines are superseded, too
    late.write_bytes(late.read_bytes() * 2)
    assert {point.step: point.values for point in folder.points()} == after


def test_a_worker_whose_machine_differs_leaves_the_trial_open_and_says_why(tmp_path, sweep):
    storage = tmp_path / "storage"
    folder = left_midway(storage, sweep)
    with_threads(folder, "2")
    assert list(training(storage, only_trial(sweep))) == []
    assert folder.outcome() is None
    assert len(folder.attempts()) == 1
    assert "threads 2 -> 1" in (folder.left_open() or "")
    for _ in training(storage, only_trial(sweep), allow_drift=True):
        pass
    assert folder.left_open() is None
    outcome = folder.outcome()
    assert outcome is not None
    assert outcome.name == "finished"


def test_points_without_a_checkpoint_drift_as_well(tmp_path, sweep):
    storage = tmp_path / "storage"
    folder = left_midway(storage, sweep)
    with_threads(folder, "2")
    for path in folder.path.glob("*/checkpoint-*"):
        path.unlink()
    with pytest.raises(Drifted, match="1 of the open trials began, got a change of threads 2 -> 1"):
        refuse_drift(Ledger(storage), [only_trial(sweep).key()], trains_here=True)
    refuse_drift(Ledger(storage), [only_trial(sweep).key()], trains_here=False)
    for _ in training(storage, only_trial(sweep), allow_drift=True):
        pass
    assert folder.drifts() == (Drift("threads 2 -> 1", 0),)
    assert len(folder.points()) == 12


def test_a_difference_is_told_in_words():
    now = fingerprint()
    assert difference(now, now) == ""
    assert difference({**now, "torch": "2.13.0"}, {**now, "torch": "2.14.0"}) == (
        "torch 2.13.0 -> 2.14.0"
    )
    assert difference({**now, "gpu": "A100"}, {**now, "gpu": ""}) == "gpu A100 -> none"
    before = {name: value for name, value in now.items() if name != "code"}
    assert difference(before, now) == f"code unknown -> {now['code']}"


def test_what_training_imports_is_in_the_hash_of_the_code():
    program = "import trainers.loop, sys; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    imported = {name.replace(".", "/") + ".py" for name in ran.stdout.split()}
    assert not {f"trainers/{name}" for name in BESIDE_TRAINING} & imported
    assert all((ROOT / "trainers" / name).exists() for name in BESIDE_TRAINING)


def test_threads_belong_to_the_fingerprint():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        assert fingerprint()["threads"] == str(before + 1)
    finally:
        torch.set_num_threads(before)
    assert os.environ["MKL_CBWR"] == fingerprint()["mkl"]
