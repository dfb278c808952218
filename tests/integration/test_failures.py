"""Each cause of failure gets what it deserves: another attempt, a smaller pack, an end with a reason."""

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.storage.ledger import Ledger
from tests.integration import sweeping
from tests.integration.planted import sitecustomize as planted
from trainers.checkpoint import find_checkpoint
from trainers.config import trial_config

# a Ray cluster is started here: one at a time is enough for a machine of two cores
pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]

PLANTED = Path(__file__).parent / "planted"

FAULTS = """\
name: small
trial:
  task: {kind: gcd, largest: 1000, top_class: 4}
  encoding: {kind: digits, base: 10}
  model: {kind: transformer, width: 16, heads: 2}
  optimizer: {kind: adam}
  batch_size: 16
  budget: {steps: 20}
  evaluation: {points: 2, examples: 20, class_examples: 2}
axes:
  - {kind: values, field: task.largest, values: [1000, 2001, 2002, 2003]}
replicates: 2
objective: {metric: accuracy, mode: max}
"""


def test_every_cause_of_failure_is_treated_by_itself_and_said_in_one_line(tmp_path):
    storage, deaths, file = tmp_path / "storage", tmp_path / "deaths", tmp_path / "small.yaml"
    deaths.mkdir()
    file.write_text(FAULTS)
    ran = subprocess.run(
        sweeping.command("launch", file, "--storage", storage),
        capture_output=True,
        text=True,
        timeout=300,
        env={
            **sweeping.environment(),
            "PYTHONPATH": str(PLANTED),
            "PLANTED_DEATHS": str(deaths),
        },
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "4 finished, 4 failed" in ran.stdout
    assert "2 failed: ZeroDivisionError: no such pair" in ran.stdout
    assert "2 failed: out of memory, it needs about 0.0 GB beside torch itself" in ran.stdout
    assert ran.stdout.count("traceback: ") == 2
    tried = Counter[int]()
    for key in sweeping.keys(storage):
        folder = Ledger(storage).trial(key)
        outcome = folder.outcome()
        assert outcome is not None
        largest = trial_config(folder.config() or {}).task.model_dump()["largest"]
        is_whole = largest in {1000, planted.DIES_TWICE}
        assert outcome.name == ("finished" if is_whole else "failed")
        tried[largest] += len(folder.attempts())
    assert len(list(deaths.iterdir())) > 2
    assert tried[1000] == 2
    assert tried[planted.DIES_TWICE] > 2


def test_a_worker_that_wakes_up_after_its_trial_was_given_to_another_ends_nothing(
    tmp_path, small_alone
):
    """It is stopped like a machine that hangs, and goes on when all has been trained elsewhere."""
    storage = tmp_path / "storage"
    launch = ["launch", sweeping.write_sweep(tmp_path), "--storage", storage, "--inline"]
    zombie = sweeping.start(*launch)
    sweeping.wait_until_training(storage, zombie)
    zombie.send_signal(signal.SIGSTOP)
    try:
        shutil.rmtree(storage / "sweeps")  # another machine does not see who locked it on this one
        finished = sweeping.run_here(*launch)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        expected, points = sweeping.curves(small_alone), sweeping.points_written(storage)
        assert sweeping.curves(storage) == expected
        outcomes = {file: file.read_bytes() for file in storage.glob("trials/*/*/outcome.json")}
    finally:
        zombie.send_signal(signal.SIGCONT)
    zombie.wait(timeout=60)
    assert sweeping.curves(storage) == expected
    rows = 4  # of its pack: a point of each was about to be written
    assert sweeping.points_written(storage) <= points + rows
    assert {file: file.read_bytes() for file in outcomes} == outcomes
    assert len(list(storage.glob("trials/*/*/outcome.json"))) == sweeping.TRIALS


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of three megabytes."""
    if os.geteuid() != 0:
        pytest.skip("a small disk is mounted by root alone: sudo make test")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], check=False
    )
    if mounted.returncode:
        pytest.skip("no disk can be mounted here: run the container with --cap-add SYS_ADMIN")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize(
    "where",
    [
        pytest.param(["--inline"], id="inline"),
        pytest.param([], id="on Ray", marks=pytest.mark.slow),  # a minute
    ],
)
def test_a_full_disk_is_one_line_and_the_sweep_goes_on_once_there_is_room(
    tmp_path, small_disk, where
):
    file, storage = sweeping.write_sweep(tmp_path), small_disk / "storage"
    launch = [
        *["launch", file, "--storage", storage, "--save-every", "0.1"],
        *["--tracking", f"sqlite:///{tmp_path}/tracker.db", "--set", "budget.steps=40"],
        *[
            "--set",
            "model.width=64",
            "--set",
            "evaluation.points=4",
            "--set",
            "replicates=1",
            *where,
        ],
    ]
    filled = sweeping.run(*launch)
    assert filled.returncode == 1, filled.stdout + filled.stderr
    (line,) = [line for line in filled.stdout.splitlines() if "could not write" in line]
    assert re.search(r"stopped: \S+: could not write [\d,]+ bytes: no space left on device", line)
    assert "Traceback" not in filled.stdout + filled.stderr
    begun = len(sweeping.attempts(storage))
    assert begun <= sweeping.TRIALS  # none was tried again and again
    damaged = [
        found.damaged
        for key in sweeping.keys(storage)
        if (found := find_checkpoint(Ledger(storage).trial(key).attempts(), key)).damaged
    ]
    assert damaged == []
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    finished = sweeping.run(*launch)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    undisturbed = tmp_path / "undisturbed"
    launch[3] = undisturbed
    assert sweeping.run(*launch, "--inline").returncode == 0
    assert sweeping.curves(storage) == sweeping.curves(undisturbed)
