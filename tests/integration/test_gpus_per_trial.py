"""A trial on several GPUs of one node, through Ray: a node says it has some, and torch uses processors."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweeps.storage.ledger import Ledger
from tests.integration import sweeping
from tests.integration.ray_cluster import RayCluster

# a Ray cluster is started here: one at a time is enough for a machine of two cores
pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]

SWEEP = """\
name: large
trial:
  task: {kind: gcd, largest: 999, top_class: 5}
  encoding: {kind: digits, base: 10}
  model: {kind: transformer, width: 16, heads: 2}
  optimizer: {kind: adam, lr: 1.0e-3}
  batch_size: 33
  budget: {steps: 60}
  evaluation: {points: 6, examples: 50, class_examples: 2}
axes:
  - {kind: values, field: optimizer.lr, values: [1.0e-3, 3.0e-3]}
workers: {gpus_per_trial: 2}
objective: {metric: accuracy, mode: max}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """A node with two GPUs, as far as Ray knows."""
    running = RayCluster([{"num_cpus": 2, "num_gpus": 2}])
    yield running
    running.stop()


def written(folder: Path) -> Path:
    file = folder / "large.yaml"
    file.write_text(SWEEP)
    return file


def launch(cluster: RayCluster, folder: Path, *more: str | Path) -> list[str]:
    where = ["--storage", folder / "storage", "--address", cluster.address]
    return sweeping.command("launch", written(folder), *where, *more)


def ran(command: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=400, check=False
    )


def losses(storage: Path) -> dict[str, dict[int, float]]:
    keys = [trial["key"] for trial in Ledger(storage).sweep("large").trials()]
    return {
        key: {p.step: p.values["loss"] for p in Ledger(storage).trial(key).points()} for key in keys
    }


def starts(storage: Path) -> list[dict[str, Any]]:
    return [
        json.loads(file.read_text())
        for file in sorted(storage.glob("trials/*/*/attempt-*/start.json"))
    ]


def test_two_ranks_give_what_one_process_gives(cluster, tmp_path):
    alone, storage = tmp_path / "alone", tmp_path / "storage"
    one = ["--storage", alone, "--inline", "--set", "workers.gpus_per_trial=1"]
    assert sweeping.run_here("launch", written(tmp_path), *one).returncode == 0

    done = ran(launch(cluster, tmp_path), cluster.environment())
    assert done.returncode == 0, done.stdout + done.stderr
    expected, found = losses(alone), losses(storage)
    assert len(found) == 2
    for key, curve in expected.items():
        assert found[key] == pytest.approx(curve, rel=1e-3)
    fingerprints = [start["fingerprint"] for start in starts(storage)]
    assert [each["execution"] for each in fingerprints] == ["eager on 2 ranks"] * 2


def test_a_cluster_without_a_node_of_so_many_gpus_refuses(cluster, tmp_path):
    done = ran([*launch(cluster, tmp_path), "--gpus-per-trial", "3"], cluster.environment())
    assert done.returncode == 2
    assert "gpus_per_trial: expected a node with 3 GPUs, got at most 2" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "storage").exists()


@pytest.mark.slow  # two minutes
def test_a_rank_that_dies_costs_an_attempt_and_a_machine_that_is_taken_away_none(cluster, tmp_path):
    storage = tmp_path / "storage"
    driver = subprocess.Popen(
        launch(cluster, tmp_path, "--set", "trial.budget.steps=3_000", "--save-every", "0.1"),
        env=cluster.environment(),
        stdout=subprocess.DEVNULL,
    )
    leader, other = ranks_of_attempt(1, cluster, storage, driver)
    os.kill(other, signal.SIGKILL)

    again, other = ranks_of_attempt(2, cluster, storage, driver)
    assert again != leader
    os.kill(other, signal.SIGTERM)  # waits for the first rank, which saves
    time.sleep(1)
    assert other in cluster.worker_pids(1)
    os.kill(again, signal.SIGTERM)
    assert driver.wait(timeout=300) == 0
    left = sorted(storage.glob("trials/*/*/attempt-*/left.json"))
    assert [json.loads(file.read_text())["cause"] for file in left] == ["terminated"]
    for key in losses(storage):
        outcome = Ledger(storage).trial(key).outcome()
        assert outcome is not None
        assert outcome.name == "finished"


def ranks_of_attempt(
    number: int, cluster: RayCluster, storage: Path, driver: "subprocess.Popen[bytes]"
) -> tuple[int, int]:
    """The first rank and the other one, once this attempt of a trial has saved something."""
    until = time.monotonic() + 200
    while not (saved := [*storage.glob(f"trials/*/*/attempt-{number:04d}/checkpoint-*.json")]):
        assert driver.poll() is None
        assert time.monotonic() < until, "no checkpoint came"
        time.sleep(0.05)
    leader = json.loads((saved[0].parent / "start.json").read_text())["pid"]
    (other,) = set(cluster.worker_pids(1)) - {leader}
    return leader, other


def test_a_machine_without_so_many_gpus_refuses_at_once(tmp_path):
    storage = tmp_path / "storage"
    for more, words in (
        ([], "gpus_per_trial: expected a machine with 2 GPUs, this one has none"),
        (["--inline"], "--inline: expected gpus_per_trial 1 beside it, got 2"),
        (["--packs-per-gpu", "2"], "expected 1 where 2 packs share a GPU, got 2"),
    ):
        done = sweeping.run_here("launch", written(tmp_path), "--storage", storage, *more)
        assert done.returncode == 2, done.stdout
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
        assert not storage.exists()
