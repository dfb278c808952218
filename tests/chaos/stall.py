"""How long training stands still because the tracker is dead: a sweep of its own, nothing else broken."""

import json
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from tests.integration.ray_cluster import RayCluster
from tests.integration.sweeping import command
from tests.integration.trackers import Server

SWEEP = """\
name: tracker-away
trial:
  task: {kind: gcd, largest: 10_000, top_class: 10}
  encoding: {kind: digits, base: 10}
  model: {kind: transformer, width: 16, heads: 2}
  optimizer: {kind: adam, lr: 3.0e-3}
  batch_size: 32
  budget: {steps: 3_000}
  evaluation: {points: 100, examples: 20, class_examples: 2}
replicates: 2
objective: {metric: accuracy, mode: max}
"""


def longest_stall_s(cluster: RayCluster, server: Server, folder: Path) -> float:
    """Train two trials while the tracker does not answer; the longest gap between points of one attempt."""
    sweep = folder / "tracker-away.yaml"
    sweep.write_text(SWEEP)
    storage = folder / "away"
    server.freeze()  # takes connections and never answers: worse than one that refuses them
    try:
        with (folder / "stall.log").open("wb") as log:
            driver = subprocess.Popen(
                command(
                    *("launch", sweep, "--storage", storage, "--yes"),
                    *("--tracking", server.uri, "--address", cluster.address),
                ),
                stdout=log,
                stderr=log,
                env=cluster.environment(),
            )
            # The driver may take a minute more to give up on its tracker; training is over by then.
            while driver.poll() is None and len(list(storage.glob("trials/*/*/outcome.json"))) < 2:
                try:
                    driver.wait(0.2)
                except subprocess.TimeoutExpired:
                    continue
    finally:
        server.thaw()
    driver.wait(120)
    return max(_gaps_ms(storage)) / 1000


def _gaps_ms(storage: Path) -> Iterator[int]:
    for file in storage.glob("trials/*/*/attempt-*/metrics.jsonl"):
        times = [
            json.loads(line.partition(b" ")[2])["time_ms"]
            for line in file.read_bytes().splitlines()
        ]
        yield from (later - earlier for earlier, later in pairwise(times))
