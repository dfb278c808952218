"""How well a sweep of 5,000 trials would use 1 to 512 workers: simulated, with costs measured here.

Run `python -m tests.benchmarks.bench_cluster`. The plan, its price, its packs and the bundles are those of
a launch, priced with packs that were timed on this machine. What the driver pays for a bundle and for a
result is measured with Ray Tune and workers that sleep; what it pays for a look at the sweep and for
publishing a trial is measured on ledgers of made-up trials. Then every worker is played: it waits for the
driver, trains its bundle for a time that differs from the price by a tenth (seeded), and asks again.
"""

import argparse
import heapq
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sweeps.planning.cost import Price, price
from sweeps.planning.plan import plan
from sweeps.publishing.publisher import Publisher
from sweeps.running.bundle import bundles
from sweeps.spec import Sweep
from sweeps.storage.ledger import Ledger
from sweeps.watching.watch import Watch
from tests.integration.ray_cluster import RayCluster
from tests.small_sweep import START_MS, curve_of, outcome_of, records_of, store, sweep_of

WORKERS = (1, 8, 64, 512)
TRIALS = 5_000
_RESULT_EVERY_S = 5.0  # as PackTrainable does
_START_S = 10.0  # of a worker: its process, torch and its first kernels
_SPREAD = 0.1  # of true seconds around those of the price, as a deviation of the logarithm


@dataclass(frozen=True)
class Costs:
    """Processor seconds of the driver's one interpreter, but for what workers write."""

    write_s: float  # wall time of a worker for the ledger of one trial of ten points
    bundle_s: float
    result_s: float
    look_s: float  # at the whole sweep, once a second
    publish_s: float  # of one trial


@dataclass(frozen=True)
class Played:
    """One sweep on so many workers."""

    workers: int
    hours: float
    efficiency: float  # share of the workers' time that trains
    starting: float  # shares of their time that do not
    waiting: float
    writing: float
    idle_at_the_end: float
    driver_busy: float  # share of its time

    @property
    def most_lost(self) -> str:
        """Where most of what is lost goes."""
        lost = {
            "starting workers": self.starting,
            "waiting for the driver": self.waiting,
            "writing the ledger": self.writing,
            "the last bundles": self.idle_at_the_end,
        }
        return max(lost, key=lambda name: lost[name])


def steps_of(minutes: float, storage: Path) -> int:
    """Steps of a trial of the middle length, so that trials take so many minutes in the mean."""
    steps = 60_000
    pace_s = priced(steps, WORKERS[-1], storage).device_hours * 3600 / TRIALS / steps
    return max(100, round(60 * minutes / pace_s))


def priced(steps: int, workers: int, storage: Path) -> Price:
    """5,000 trials of three widths and three lengths, in packs for so many workers."""
    sweep = {
        "name": "many",
        "trial": {
            "task": {"kind": "gcd", "largest": 10_000},
            "encoding": {"kind": "digits", "base": 10},
            "model": {"kind": "transformer", "heads": 4},
            "batch_size": 32,
            "evaluation": {"points": 20},
        },
        "axes": [
            {"kind": "values", "field": "model.width", "values": [16, 32, 64]},
            {
                "kind": "values",
                "field": "budget.steps",
                "values": [steps // 2, steps, 2 * steps],
            },
        ],
        "replicates": -(-TRIALS // 9),
        "objective": {"metric": "accuracy", "mode": "max"},
    }
    planned = plan(Sweep.model_validate_json(json.dumps(sweep)))
    return price(planned, Ledger(storage), device="cpu", workers=workers)


def played(found: Price, workers: int, costs: Costs, seed: int = 0) -> Played:
    """The sweep as workers and driver would run it; the driver does one thing at a time."""
    rng = random.Random(seed)
    left = iter(bundles(found.packs, workers))
    free = [(_START_S, number) for number in range(workers)]  # when each asks for its next bundle
    heapq.heapify(free)
    driver_free = driver_busy = trained = waited = written = 0.0
    ends: list[float] = []
    background = costs.look_s  # of each second
    while free:
        asked, worker = heapq.heappop(free)
        bundle = next(left, None)
        if bundle is None:
            ends.append(asked)
            continue
        seconds = sum(pack.seconds for pack in bundle) * rng.lognormvariate(0, _SPREAD)
        trials = sum(len(pack.trials) for pack in bundle)
        # its results and its trials' pages take the driver's time as well, in between
        others = costs.result_s * seconds / _RESULT_EVERY_S + costs.publish_s * trials
        served = max(asked, driver_free) + costs.bundle_s / (1 - background)
        driver_free = served + others / (1 - background)
        driver_busy += costs.bundle_s + others
        waited += served - asked
        trained += seconds
        writes = costs.write_s * trials
        written += writes
        heapq.heappush(free, (served + seconds + writes, worker))
    end = max(ends)
    total = workers * end
    return Played(
        workers,
        end / 3600,
        trained / total,
        workers * _START_S / total,
        waited / total,
        written / total,
        sum(end - one for one in ends) / total,
        driver_busy / end + background,
    )


def costs_here(folder: Path) -> Costs:
    """What the driver pays, measured on this machine."""
    bundle_s, result_s = sleepers(folder)
    started = time.perf_counter()
    made = made_up(folder / "published", 200, 200, 0)
    write_s = (time.perf_counter() - started) / 200
    return Costs(write_s, bundle_s, result_s, look_s(folder / "watched"), publish_s(*made))


def sleepers(folder: Path) -> tuple[float, float]:
    """Processor seconds of a bundle and of a result, from two launches of workers that sleep."""
    cluster = RayCluster([{"num_cpus": 2}])
    try:
        program = [sys.executable, "-m", "tests.benchmarks.sleepers", cluster.address]

        def of(bundles_: int, results: int) -> float:
            ran = subprocess.run(
                [*program, str(folder), str(bundles_), str(results)],
                env=cluster.environment(),
                capture_output=True,
                text=True,
                check=True,
            )
            return float(ran.stdout.split()[-1])

        few, many, talking = of(50, 1), of(250, 1), of(50, 11)
    finally:
        cluster.stop()
    return (many - few) / 200, max(0.0, (talking - few) / (50 * 10))


def look_s(folder: Path) -> float:
    """Processor seconds of a look at a sweep of which half has ended and 64 trials run."""
    ledger, sweep, records = made_up(folder, TRIALS, TRIALS // 2, 64)
    watch = Watch(ledger, sweep, records)
    watch.snapshot()
    started = time.process_time()
    for _ in range(10):
        watch.snapshot()
    return (time.process_time() - started) / 10


def publish_s(ledger: Ledger, sweep: Sweep, records: list[dict]) -> float:
    """Processor seconds that publishing a trial of ten points to a SQLite file takes."""
    publisher = Publisher(f"sqlite:///{ledger.root}/mlflow.db", ledger, sweep, records[:8])
    publisher.publish()  # makes the database
    publisher.extend(records[8:])
    started = time.process_time()
    done = publisher.publish()
    assert done.error is None, done.error
    return (time.process_time() - started) / len(records[8:])


def made_up(
    folder: Path, trials: int, ended: int, running: int
) -> tuple[Ledger, Sweep, list[dict]]:
    """A ledger as it is in the middle of a sweep."""
    ledger, sweep = Ledger(folder), sweep_of(folder.name, bases=tuple(range(2, 2 + trials // 8)))
    records = records_of(sweep, points=10)
    store(ledger, sweep, records)
    for number, record in enumerate(records[: ended + running]):
        attempt = ledger.trial(record["key"]).begin(record["config"])
        curve = curve_of(record)
        attempt.append(curve if number < ended else curve[:5], START_MS)
        if number < ended:
            attempt.finish(outcome_of(record))
    return ledger, sweep, records


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, nargs="+", default=[10.0, 1.0])
    given = parser.parse_args()
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    folder = Path(tempfile.mkdtemp(prefix="lawsweep-bench-"))
    try:
        costs = costs_here(folder)
        print(
            f"a worker writes {1000 * costs.write_s:.0f} ms for a trial of ten points;"
            f" the driver pays {1000 * costs.bundle_s:.1f} ms of processor time for a bundle,"
            f" {1000 * costs.result_s:.1f} ms for a result, {1000 * costs.look_s:.0f} ms for a look"
            f" at {TRIALS:,} trials, {1000 * costs.publish_s:.0f} ms to publish a trial"
        )
        for minutes in given.minutes:
            steps = steps_of(minutes, folder)
            print(f"{TRIALS:,} trials of {minutes:g} minutes in the mean")
            for workers in WORKERS:
                say(played(priced(steps, workers, folder), workers, costs))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def say(one: Played) -> None:
    """One line."""
    print(
        f"  {one.workers:4} workers: {one.hours:8.2f} h, efficiency {one.efficiency:6.1%};"
        f" the driver is busy {one.driver_busy:5.1%}; most is lost to {one.most_lost}"
        f" (starting {one.starting:.1%}, waiting {one.waiting:.1%}, writing {one.writing:.1%},"
        f" at the end {one.idle_at_the_end:.1%})"
    )


if __name__ == "__main__":
    main()
