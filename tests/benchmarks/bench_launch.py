"""What a sweep costs beside its training: against plain Ray Tune, and for ten thousand trivial trials.

Run `python -m tests.benchmarks.bench_launch`, with `--many 10000` for the second part. All sides of the
first part are commands of their own on one running Ray cluster of two processors, by turns, so all of them
pay the same imports and the same connection; lawsweep also plans, keeps its ledger and publishes to MLflow.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.benchmarks import plain_tune
from tests.integration.ray_cluster import RayCluster
from tests.integration.sweeping import command

TRIALS = 32
SWEEP = """\
name: short
trial:
  task: {kind: modular, modulus: 97, operation: add, largest: 96}
  encoding: {kind: digits, base: 97}
  model: {kind: transformer, width: 32, heads: 2}
  optimizer: {kind: adam, lr: 1.0e-3}
  batch_size: 32
  budget: {steps: 200}
  evaluation: {points: 10, examples: 100}
replicates: 32
objective: {metric: accuracy, mode: max}
"""
TRIVIAL = """\
name: trivial
trial:
  task: {{kind: gcd, largest: 100, top_class: 10}}
  encoding: {{kind: digits, base: 10}}
  model: {{kind: transformer, width: 8, heads: 1}}
  optimizer: {{kind: adam, lr: 1.0e-3}}
  batch_size: 4
  budget: {{steps: 2}}
  evaluation: {{points: 2, examples: 4, class_examples: 1}}
replicates: {count}
objective: {{metric: accuracy, mode: max}}
"""


def main() -> None:
    """Print both parts."""
    parser = argparse.ArgumentParser(description="What a sweep costs beside its training.")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--many", type=int, default=0, help="trivial trials of the second part")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lawsweep-bench-"))
    cluster = RayCluster([{"num_cpus": 2}])
    try:
        short_trials(cluster, folder, given.turns)
        if given.many:
            many_trials(cluster, folder, given.many)
    finally:
        cluster.stop()


def short_trials(cluster: RayCluster, folder: Path, turns: int) -> None:
    """Whole commands, and the part of them in which trials train."""
    sweep = folder / "short.yaml"
    sweep.write_text(SWEEP)
    planned = subprocess.run(
        command("plan", sweep, "--json"), capture_output=True, check=True, env=cluster.environment()
    )
    configs = folder / "configs.json"
    configs.write_text(
        json.dumps([each["config"] for each in json.loads(planned.stdout)["trials"]])
    )
    whole: dict[str, list[float]] = {}
    fits: dict[str, list[float]] = {}
    for turn in range(turns):
        for kind in ("lawsweep", "function", "class"):
            began = time.monotonic()
            if kind == "lawsweep":
                storage = folder / f"storage-{turn}"
                launch(cluster, sweep, storage)
                fit_s = training_s(storage)
            else:
                words = [plain_tune.__file__, cluster.address, kind, str(configs)]
                ran = subprocess.run(
                    [sys.executable, *words],
                    capture_output=True,
                    text=True,
                    check=True,
                    env={**cluster.environment(), "PYTHONPATH": str(Path.cwd())},
                )
                fit_s = float(ran.stdout.split()[-1])
            whole.setdefault(kind, []).append(time.monotonic() - began)
            fits.setdefault(kind, []).append(fit_s)
    print(f"{TRIALS} trials, width 32, 1 layer, 200 steps of 32; medians of {turns} turns")
    for kind in whole:
        ratio = median(whole[kind]) / median(whole["lawsweep"])
        of_fit = median(fits[kind]) / median(fits["lawsweep"])
        print(
            f"  {kind:<10} whole command {median(whole[kind]):6.1f} s ({ratio:.2f} x),"
            f" from the first start to the last end {median(fits[kind]):6.1f} s ({of_fit:.2f} x)"
        )


def many_trials(cluster: RayCluster, folder: Path, count: int) -> None:
    """Overhead of a trial, and what the driver's memory grows by, over trivial trials."""
    sweep = folder / "trivial.yaml"
    sweep.write_text(TRIVIAL.format(count=count))
    storage = folder / "storage-many"
    began = time.monotonic()
    driver = subprocess.Popen(
        launch_command(cluster, sweep, storage),
        stdout=subprocess.DEVNULL,
        env=cluster.environment(),
    )
    grown: list[tuple[int, int]] = []  # trials that ended, and the driver's memory in bytes
    while driver.poll() is None:
        time.sleep(2)
        ended = sum(1 for _ in storage.glob("trials/*/*/outcome.json"))
        status = Path(f"/proc/{driver.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        sizes = [int(line.split()[1]) for line in lines if line.startswith("VmRSS")]
        if ended and sizes:
            grown.append((ended, 1024 * sizes[0]))
    wall_s = time.monotonic() - began
    assert driver.returncode == 0, driver.returncode
    tenth = next(pair for pair in grown if pair[0] >= count / 10)
    per_trial = (grown[-1][1] - tenth[1]) / (grown[-1][0] - tenth[0])
    training = training_s(storage)
    print(
        f"{count} trivial trials: {wall_s:.0f} s in all, {1000 * training / count:.0f} ms a trial"
        f" from the first start to the last end; the driver grows by {per_trial / 1000:.1f} kB a"
        f" trial, to {grown[-1][1] / 1e6:.0f} MB"
    )


def launch(cluster: RayCluster, sweep: Path, storage: Path) -> None:
    """The whole command, with its ledger and its tracker."""
    subprocess.run(
        launch_command(cluster, sweep, storage),
        check=True,
        stdout=subprocess.DEVNULL,
        env=cluster.environment(),
    )


def launch_command(cluster: RayCluster, sweep: Path, storage: Path) -> list[str]:
    """On the cluster that runs already."""
    words = ("launch", sweep, "--storage", storage, "--address", cluster.address, "--yes")
    return command(*words)


def training_s(storage: Path) -> float:
    """Seconds from the first start of a trial to the last outcome."""
    starts = [json.loads(f.read_text()) for f in storage.glob("trials/*/*/attempt-*/start.json")]
    ends = [json.loads(f.read_text()) for f in storage.glob("trials/*/*/outcome.json")]
    first, last = min(each["time_ms"] for each in starts), max(each["time_ms"] for each in ends)
    return (last - first) / 1000


if __name__ == "__main__":
    main()
