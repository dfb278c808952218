"""Each cause of failure gets what it deserves: another attempt, a smaller pack, an end with a reason."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.storage.ledger import Ledger
from sweeps.storage.left import read_left
from tests.integration import sweeping
from tests.integration.planted import sitecustomize as planted
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


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The storage of the small sweep trained in one go, in one process, without Ray."""
    folder = tmp_path_factory.mktemp("undisturbed")
    storage = folder / "storage"
    ran = sweeping.run("launch", sweeping.write_sweep(folder), "--storage", storage, "--inline")
    assert ran.returncode == 0, ran.stderr
    return storage


def attempts(storage: Path) -> Iterator[Path]:
    return storage.glob("trials/*/*/attempt-*")


def training_pids(storage: Path) -> set[int]:
    """The processes that train something that has reported, and has not ended."""
    found = set[int]()
    for attempt in attempts(storage):
        if (attempt / "metrics.jsonl").exists() and not (attempt / "outcome.json").exists():
            found.add(json.loads((attempt / "start.json").read_text())["pid"])
    return {pid for pid in found if Path(f"/proc/{pid}").exists()}


def wait_until_training(storage: Path, driver: subprocess.Popen[bytes]) -> set[int]:
    until = time.monotonic() + 120
    while not (pids := training_pids(storage)):
        assert driver.poll() is None, "the sweep ended before it could be disturbed"
        assert time.monotonic() < until, "nothing was trained"
        time.sleep(0.05)
    return pids


def test_a_worker_whose_machine_is_taken_away_saves_and_no_step_is_trained_twice(
    tmp_path, undisturbed
):
    storage = tmp_path / "storage"
    driver = sweeping.start("launch", sweeping.write_sweep(tmp_path), "--storage", storage)
    told: set[int] = set()
    for _ in range(2):
        pids = wait_until_training(storage, driver) - told
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        told |= pids
        until = time.monotonic() + 30
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            assert time.monotonic() < until, "a worker did not leave"
            time.sleep(0.05)
    assert driver.wait(timeout=400) == 0
    left = [found.cause for attempt in attempts(storage) if (found := read_left(attempt))]
    assert left
    assert set(left) == {"terminated"}
    assert sweeping.curves(storage) == sweeping.curves(undisturbed)
    assert sweeping.points_written(storage) == sweeping.TRIALS * sweeping.POINTS  # none twice


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
