"""What the integration tests share: a small real sweep, launched by the real command."""

import io
import json
import os
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from mlflow import MlflowClient

from analysis.cli import main
from sweeps.storage.ledger import Ledger
from trainers.checkpoint import newest_checkpoint

STEPS, POINTS, TRIALS = 300, 50, 8
SWEEP = f"""\
name: small
trial:
  task: {{kind: gcd, largest: 10_000, top_class: 10}}
  encoding: {{kind: digits, base: 10}}
  model: {{kind: transformer, width: 16, heads: 2}}
  optimizer: {{kind: adam, lr: 3.0e-3, schedule: cosine, clip: 1.0}}
  batch_size: 32
  budget: {{steps: {STEPS}}}
  evaluation: {{points: {POINTS}, examples: 20, class_examples: 2}}
axes:
  - {{kind: values, field: encoding.base, values: [10, 30]}}
  - {{kind: values, field: optimizer.lr, values: [1.0e-3, 3.0e-3]}}
replicates: 2
objective: {{metric: accuracy, mode: max}}
"""


def write_sweep(folder: Path) -> Path:
    """The small sweep as a file."""
    file = folder / "small.yaml"
    file.write_text(SWEEP)
    return file


def command(*arguments: str | Path) -> list[str]:
    """The installed `lawsweep` with these arguments."""
    return [str(Path(sys.executable).with_name("lawsweep")), *map(str, arguments)]


def run(*arguments: str | Path, timeout_s: float = 400) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; one that takes longer fails with all that it said."""
    try:
        return subprocess.run(
            command(*arguments),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=environment(),
        )
    except subprocess.TimeoutExpired as error:
        said = [text.decode() for text in (error.stdout, error.stderr) if isinstance(text, bytes)]
        raise AssertionError(f"not at its end after {timeout_s} s: " + "\n".join(said)) from None


def run_here(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command in this process, which has imported already what takes a new one seconds."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(each) for each in arguments])
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


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


def attempts(storage: Path) -> list[Path]:
    """The folders of all attempts at all trials."""
    return list(storage.glob("trials/*/*/attempt-*"))


def training_pids(storage: Path) -> set[int]:
    """The processes that train something that has reported, and has not ended."""
    found = set[int]()
    for attempt in attempts(storage):
        if (attempt / "metrics.jsonl").exists() and not (attempt / "outcome.json").exists():
            found.add(json.loads((attempt / "start.json").read_text())["pid"])
    return {pid for pid in found if Path(f"/proc/{pid}").exists()}


def wait_until_training(storage: Path, driver: subprocess.Popen[bytes]) -> set[int]:
    """The processes that train, once there are some."""
    until = time.monotonic() + 240
    while not (pids := training_pids(storage)):
        assert driver.poll() is None, "the sweep ended before it could be disturbed"
        assert time.monotonic() < until, "nothing was trained"
        time.sleep(0.05)
    return pids


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
        assert saved.step == STEPS
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
