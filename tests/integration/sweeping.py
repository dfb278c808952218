"""What the integration tests share: a small real sweep, launched by the real command."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from mlflow import MlflowClient

from sweeps.storage.ledger import Ledger
from trainers.checkpoint import newest_checkpoint

SWEEP = """\
name: small
trial:
  task: {kind: gcd, largest: 10_000, top_class: 10}
  encoding: {kind: digits, base: 10}
  model: {kind: transformer, width: 16, heads: 2}
  optimizer: {kind: adam, lr: 3.0e-3, schedule: cosine, clip: 1.0}
  batch_size: 32
  budget: {steps: 300}
  evaluation: {points: 50, examples: 50, class_examples: 2}
axes:
  - {kind: values, field: encoding.base, values: [10, 30]}
  - {kind: values, field: optimizer.lr, values: [1.0e-3, 3.0e-3]}
replicates: 2
objective: {metric: accuracy, mode: max}
"""
TRIALS, POINTS = 8, 50


def write_sweep(folder: Path) -> Path:
    """The small sweep as a file."""
    file = folder / "small.yaml"
    file.write_text(SWEEP)
    return file


def command(*arguments: str | Path) -> list[str]:
    """The installed `lawsweep` with these arguments."""
    return [str(Path(sys.executable).with_name("lawsweep")), *map(str, arguments)]


def run(*arguments: str | Path, timeout_s: float = 200) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=timeout_s, env=environment()
    )


def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
    """Start the command in the background."""
    return subprocess.Popen(
        command(*arguments),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )


def environment() -> dict[str, str]:
    """One thread and no colours, and nothing of this process's Ray."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**inherited, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}


def keys(storage: Path) -> list[str]:
    """The trials of the sweep."""
    return [trial["key"] for trial in Ledger(storage).sweep("small").trials()]


def points_written(storage: Path) -> int:
    """Lines of all curves so far, replayed ones counted again."""
    return sum(
        file.read_bytes().count(b"\n")
        for file in storage.glob("trials/*/*/attempt-*/metrics.jsonl")
    )


def curves(storage: Path) -> dict[str, dict[int, dict[str, str]]]:
    """Every value of every trial by step, to the bit; reading refuses attempts that disagree."""
    ledger = Ledger(storage)
    return {
        key: {
            point.step: {name: value.hex() for name, value in point.values.items()}
            for point in ledger.trial(key).points()
        }
        for key in keys(storage)
    }


def weights(storage: Path) -> dict[str, torch.Tensor]:
    """The final weights of every trial."""
    found = {}
    for key in keys(storage):
        saved, damaged = newest_checkpoint(Ledger(storage).trial(key).attempts(), key)
        assert saved is not None
        assert damaged == ()
        assert saved.step == 300
        found[key] = saved.tensors["weights"]
    return found


def runs_by_key(uri: str) -> dict[str, list[Any]]:
    """The MLflow runs of every trial; the parent run has no key."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    found: dict[str, list[Any]] = {}
    for run_found in client.search_runs([experiment.experiment_id], max_results=1000):
        key = run_found.data.tags.get("trial.key")
        if key is not None:
            found.setdefault(key, []).append(run_found)
    return found


def published(uri: str) -> dict[str, dict[int, dict[str, str]]]:
    """What MLflow holds of every trial's curve; a step that is there twice fails."""
    client = MlflowClient(uri)
    found: dict[str, dict[int, dict[str, str]]] = {}
    for key, runs in runs_by_key(uri).items():
        assert len(runs) == 1, f"{key} has {len(runs)} runs"
        steps: dict[int, dict[str, str]] = {}
        for name in ("loss", "test_loss", "accuracy"):
            for metric in client.get_metric_history(runs[0].info.run_id, name):
                assert name not in steps.setdefault(metric.step, {}), f"{key} {name} {metric.step}"
                steps[metric.step][name] = metric.value.hex()
        found[key] = steps
    return found
