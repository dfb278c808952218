"""How fast a sweep gets into MLflow, against what a user would write, over one server on this machine.

Run `python -m tests.benchmarks.bench_publish`, with `--json` for one JSON document. All sides take
turns, so that a busy machine slows all of them; a ratio above 1 means that ours is faster. A value is
one number of one metric at one step that the server has confirmed.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric

from sweeps.publishing.publisher import Publisher
from sweeps.storage.ledger import Ledger
from tests.integration.trackers import Server, over_sqlite
from tests.small_sweep import START_MS, curve_of, outcome_of, records_of, store, sweep_of

METRICS = 3  # of each point, see `curve_of`
ROUNDS = 3


@dataclass(frozen=True)
class Line:
    """One way to log: the median over the rounds, and of neighbouring turns the ratio to ours."""

    name: str
    values_per_s: float
    values_per_server_s: float  # by processor time of the server, which a busy machine changes less
    ratio: float


@dataclass(frozen=True)
class Sides:
    """A sweep as the publisher sent it."""

    trials: int
    points: int  # of each trial, in the ledger
    sent_per_s: float  # values that MLflow has confirmed
    kept_per_s: float  # values of the ledger that are in MLflow now, most of them in `curve.csv`
    sent_per_server_s: float  # the same by processor time of the server
    trials_per_s: float
    client_cpu_share: float  # of the wall time
    server_cpu_share: float


def trained(folder: Path, name: str, trials: int, points: int) -> tuple[Ledger, list[dict]]:
    """A storage folder with trials that have all ended."""
    ledger, sweep = Ledger(folder), sweep_of(name, bases=tuple(range(2, 2 + trials // 8)))
    records = records_of(sweep, points=points)
    for record in records:
        attempt = ledger.trial(record["key"]).begin(record["config"])
        attempt.append(curve_of(record), START_MS)
        attempt.finish(outcome_of(record))
    store(ledger, sweep, records)
    return ledger, records


def publish(server: Server, folder: Path, name: str, trials: int, points: int) -> Sides:
    """A whole sweep from the first connection to the last answer."""
    ledger, records = trained(folder / name, name, trials, points)
    sweep = sweep_of(name, bases=tuple(range(2, 2 + trials // 8)))
    publisher = Publisher(server.uri, ledger, sweep, records)
    own_cpu_s, server_cpu_s = time.process_time(), cpu_s(server)
    started = time.perf_counter()
    done = publisher.publish()
    wall_s = time.perf_counter() - started
    own_cpu_s, server_cpu_s = time.process_time() - own_cpu_s, cpu_s(server) - server_cpu_s
    assert done.error is None, done.error
    return Sides(
        len(records),
        points,
        done.points_sent * METRICS / wall_s,
        len(records) * points * METRICS / wall_s,
        done.points_sent * METRICS / server_cpu_s,
        len(records) / wall_s,
        own_cpu_s / wall_s,
        server_cpu_s / wall_s,
    )


def cpu_s(server: Server) -> float:
    """Processor time of the server's process group so far."""
    assert server.process is not None
    ticks = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            if int(fields[2]) == server.process.pid:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def fluent(calls: int) -> Callable[[], int]:
    """`mlflow.log_metric`, one value a call."""

    def log() -> int:
        with mlflow.start_run():
            for step in range(calls):
                mlflow.log_metric("loss", 1.0 / (1 + step), step=step)
        return calls

    return log


def by_step(steps: int) -> Callable[[], int]:
    """`mlflow.log_metrics`, one step a call."""

    def log() -> int:
        with mlflow.start_run():
            for step in range(steps):
                loss = 1.0 / (1 + step)
                mlflow.log_metrics({"loss": loss, "test_loss": loss, "accuracy": loss}, step=step)
        return METRICS * steps

    return log


def full_batches(uri: str, batches: int) -> Callable[[], int]:
    """`MlflowClient.log_batch` with as many values as a call may have: what the server can take."""
    client = MlflowClient(uri)
    experiment = client.create_experiment("full batches")

    def log() -> int:
        run_id = client.create_run(experiment).info.run_id
        for batch in range(batches):
            rows = [
                Metric("loss", 1.0 / (1 + n), START_MS, 1_000 * batch + n) for n in range(1_000)
            ]
            client.log_batch(run_id, rows)
        return 1_000 * batches

    return log


def rates(server: Server, log: Callable[[], int]) -> tuple[float, float]:
    """Values a second of one turn, by the clock and by the server's processor time."""
    before_s, started = cpu_s(server), time.perf_counter()
    values = log()
    return values / (time.perf_counter() - started), values / (cpu_s(server) - before_s)


def measure(server: Server, folder: Path, trials: int) -> tuple[list[Line], list[Sides]]:
    """Every side in turn, several times; and ours with trials that report little."""
    mlflow.set_tracking_uri(server.uri)
    others = {
        "mlflow.log_metric for each value": fluent(100),
        "mlflow.log_metrics for each step": by_step(100),
        "MlflowClient.log_batch of 1,000, nothing else": full_batches(server.uri, 5),
    }
    publish(server, folder, "warm-up", 8, 1_000)
    long: list[Sides] = []
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in others}
    for number in range(ROUNDS):
        long.append(publish(server, folder, f"long-{number}", trials, 1_000))
        for name, log in others.items():
            found[name].append(rates(server, log))
    lines = [
        Line(
            name,
            statistics.median(by_clock for by_clock, _ in turns),
            statistics.median(by_cpu for _, by_cpu in turns),
            statistics.median(
                ours.sent_per_s / by_clock for ours, (by_clock, _) in zip(long, turns, strict=True)
            ),
        )
        for name, turns in found.items()
    ]
    short = publish(server, folder, "short", 2 * trials, 20)
    typical = sorted(long, key=lambda each: each.sent_per_s)[ROUNDS // 2]
    return lines, [typical, short]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--trials", type=int, default=24, help="of one turn; a multiple of 8")
    parser.add_argument("--workers", type=int, default=2, help="processes of the server")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        over_sqlite(Path(name) / "server", arguments.workers) as server,
    ):
        lines, sides = measure(server, Path(name), arguments.trials)
    if arguments.json:
        print(json.dumps([*map(asdict, sides), *map(asdict, lines)], indent=1))
        return
    for each in sides:
        print(
            f"ours, {each.trials} trials of {each.points} points: {each.sent_per_s:,.0f} values/s"
            f" sent ({each.sent_per_server_s:,.0f} per processor second of the server),"
            f" {each.kept_per_s:,.0f} values/s of the ledger kept,"
            f" {each.trials_per_s:.1f} trials/s; processor time: ours {each.client_cpu_share:.0%},"
            f" server {each.server_cpu_share:.0%} of the wall time"
        )
    for line in lines:
        print(
            f"{line.name:46} {line.values_per_s:8,.0f} values/s, {line.values_per_server_s:8,.0f} per"
            f" processor second of the server; ours {line.ratio:6.1f} x"
        )


if __name__ == "__main__":
    main()
