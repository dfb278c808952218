"""A fault campaign: one sweep on a real cluster of three nodes, killed again and again, and then checked.

    python -m tests.chaos.campaign --kills 100 --trials 64 --seed 1

The undisturbed run is made first, in this machine's own process. The campaign then starts a Ray cluster,
an MLflow server and the driver `lawsweep launch`, and lets a seeded nemesis kill, freeze and damage until
every trial has ended. `checker` compares what lies on the disk and in MLflow; it shares no code with
the package. Exit code 0 when nothing was lost, doubled or changed. With `--folder` a campaign that was
itself ended goes on there with the same command; times are then those of the last one.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.checker import Verdict, check
from tests.chaos.nemesis import Nemesis
from tests.chaos.stall import longest_stall_s
from tests.integration.ray_cluster import RayCluster
from tests.integration.sweeping import command, environment
from tests.integration.trackers import Server, over_sqlite

NAME = "chaos"
POINTS = 50
SAVE_EVERY_S = 0.3
_LOOK_EVERY_S = 0.2
_LOOKING = 0.1  # of the time at the most: in the end there are thousands of files to look at
_NO_PROGRESS_S = 240.0
_TRIES = 3
_STRUCK_SHARE = 0.7  # of the points; the rest stays quiet, so that the last kills are survived too

SWEEP = """\
name: chaos
trial:
  task: {{kind: gcd, largest: 10_000, top_class: 10}}
  encoding: {{kind: digits, base: 10}}
  model: {{kind: transformer, width: 16, heads: 2}}
  optimizer: {{kind: adam, lr: 3.0e-3, schedule: cosine, clip: 1.0}}
  batch_size: 32
  budget: {{steps: 800}}
  evaluation: {{points: {points}, examples: 50, class_examples: 2}}
axes:
  - {{kind: values, field: encoding.base, values: [10, 30]}}
  - {{kind: values, field: optimizer.lr, values: [1.0e-3, 3.0e-3]}}
replicates: {replicates}
objective: {{metric: accuracy, mode: max}}
"""


@dataclass
class Field:
    """What the nemesis may strike: the cluster, the tracker, the driver and the storage."""

    storage: Path
    sweep: Path
    log: Path
    server: Server
    cluster: RayCluster
    driver: subprocess.Popen[bytes] | None = None
    starts: int = 0
    exits: list[int] = field(default_factory=list[int])
    _read: dict[Path, tuple[int, set[bytes]]] = field(
        default_factory=dict[Path, tuple[int, set[bytes]]]
    )  # the size of each curve and its steps: of thousands, few grow between two looks

    def start_driver(self) -> None:
        """The same command again: that is all that resuming is."""
        with self.log.open("ab") as log:
            self.driver = subprocess.Popen(
                command(
                    *("launch", self.sweep, "--storage", self.storage, "--yes"),
                    *("--tracking", self.server.uri, "--address", self.cluster.address),
                    *("--save-every", str(SAVE_EVERY_S)),
                ),
                stdout=log,
                stderr=log,
                env=self.cluster.environment(),
            )
        self.starts += 1

    def end(self) -> None:
        """The driver and the cluster are gone, whatever they were doing."""
        if self.driver is not None:
            self.driver.kill()
            self.driver.wait()
        self.cluster.stop()

    def new_cluster(self) -> None:
        """The whole cluster dies, head and all; another one takes its place."""
        self.cluster.stop()
        self.cluster = RayCluster()

    def points(self) -> int:
        """Different points on the disk, those that were trained twice counted once."""
        return sum(len(steps) for steps in self._steps().values())

    def ended(self) -> int:
        """Trials with an outcome."""
        return len(list(self.storage.glob("trials/*/*/outcome.json")))

    def _steps(self) -> Mapping[Path, set[bytes]]:
        found: dict[Path, set[bytes]] = {}
        for file in self.storage.glob("trials/*/*/attempt-*/metrics.jsonl"):
            size = file.stat().st_size
            if file not in self._read or self._read[file][0] != size:
                # `{"step":123,` stands at the same place of each line: no need to parse all of it
                lines = file.read_bytes().splitlines()[:-1]
                self._read[file] = size, {line[9 : line.find(b",")] for line in lines}
            found.setdefault(file.parent.parent, set()).update(self._read[file][1])
        return found


def main() -> None:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(
        description="Kill one sweep again and again, and check what is left."
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--trials", type=int, default=64, help="a multiple of four")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where the figures go as JSON")
    parser.add_argument("--folder", type=Path, help="where all of it lies, and goes on")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="lawsweep-chaos-"))
    folder.mkdir(exist_ok=True)
    console = Console()
    verdict, figures = campaign(folder, given.kills, given.trials, given.seed, console)
    console.print(_table(figures))
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    if not verdict.is_clean:
        console.print(f"what was found stays in {folder}", *verdict.problems[:20], sep="\n  ")
        sys.exit(1)
    if given.folder is None:
        shutil.rmtree(folder)


def campaign(
    folder: Path, kills: int, trials: int, seed: int, console: Console
) -> tuple[Verdict, dict[str, Any]]:
    """One campaign: what the checker found, and the figures of the table."""
    began = time.monotonic()
    sweep = folder / "chaos.yaml"
    sweep.write_text(SWEEP.format(points=POINTS, replicates=trials // 4))
    console.print(f"the undisturbed run of {trials} trials")
    quiet = folder / "quiet"
    subprocess.run(
        command("launch", sweep, "--inline", "--yes", "--storage", quiet),
        check=True,
        stdout=subprocess.DEVNULL,
        env=environment(),
    )
    undisturbed_s = time.monotonic() - began
    with ExitStack() as stack:
        server = stack.enter_context(over_sqlite(folder / "tracker"))
        struck = Field(folder / "storage", sweep, folder / "driver.log", server, RayCluster())
        stack.callback(struck.end)
        nemesis = Nemesis(struck, seed, folder / "nemesis.json")
        struck_s = _until_all_ended(struck, nemesis, kills, trials, console)
        nemesis.heal()
        stall_s = longest_stall_s(struck.cluster, server, folder)
        subprocess.run(
            command("sync", NAME, "--storage", struck.storage, "--tracking", server.uri),
            check=True,
            stdout=subprocess.DEVNULL,
            env=environment(),
        )
        verdict = check(struck.storage, quiet, server.uri, NAME, POINTS)
    figures: dict[str, Any] = {
        "seed": seed,
        "trials": trials,
        "kills": dict(nemesis.kills),
        "kills in all": sum(nemesis.kills.values()),
        "damages": dict(nemesis.damages),
        "starts of the driver": struck.starts,
        **verdict.figures,
        "longest gap of training with a dead tracker, s": round(stall_s, 2),
        "undisturbed run, s": round(undisturbed_s),
        "run under fire, s": round(struck_s),
        "whole campaign, s": round(time.monotonic() - began),
    }
    return verdict, figures


def _until_all_ended(
    struck: Field, nemesis: Nemesis, kills: int, trials: int, console: Console
) -> float:
    """Strike each time a further share of the work is done; the work itself sets the pace."""
    began = moved = time.monotonic()
    most, said, looked_s = 0, -1, 0.0
    struck.start_driver()
    while True:
        time.sleep(max(_LOOK_EVERY_S, looked_s / _LOOKING))
        assert struck.driver is not None
        code = struck.driver.poll()
        if code is not None:
            struck.exits.append(code)
            if code == 0 and struck.ended() == trials:
                return time.monotonic() - began
            struck.start_driver()
        looking = time.monotonic()
        done = struck.points()
        looked_s = time.monotonic() - looking
        if done > most:
            most, moved = done, time.monotonic()
        if time.monotonic() - moved > _NO_PROGRESS_S:
            raise TimeoutError(f"no new point for {_NO_PROGRESS_S:g} s, see {struck.log}")
        due = min(kills, round(kills * done / (_STRUCK_SHARE * trials * POINTS)))
        for _ in range(_TRIES):  # some faults kill nobody, or find nobody to kill
            if sum(nemesis.kills.values()) < due:
                nemesis.strike()
        struck_so_far = sum(nemesis.kills.values())
        nemesis.mend()
        if struck_so_far // 10 > said:
            said = struck_so_far // 10
            console.print(
                f"{struck_so_far:>5} kills, {done:>6,} of {trials * POINTS:,} points,"
                f" {struck.ended():>4} of {trials} trials ended,"
                f" {time.monotonic() - began:.0f} s",
                highlight=False,
            )


def _table(figures: Mapping[str, Any]) -> Table:
    table = Table("fault campaign", "", box=None, pad_edge=False)
    for name, value in figures.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{count} {kind}" for kind, count in value.items())
        table.add_row(name, str(value))
    return table


if __name__ == "__main__":
    main()
