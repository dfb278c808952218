"""Who kills, freezes and damages: which fault comes next follows from a seed."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.chaos.campaign import Field

_SERVER_AWAY_S = 5.0
_NEAR_THE_END = 640  # of the 800 steps of a trial
_WEIGHTS = {
    "worker": 50,
    "worker, SIGTERM": 12,
    "node": 8,
    "raylet alone": 4,
    "driver": 9,
    "driver, SIGTERM": 3,
    "cluster": 1,
    "tracker": 7,
    "tracker, SIGSTOP": 4,
    "damage": 12,
}


class Nemesis:
    """Strikes one fault at a time; `mend` brings back what has been away long enough."""

    def __init__(self, struck: Field, seed: int, memory: Path) -> None:
        known = json.loads(memory.read_text()) if memory.exists() else {"kills": {}, "damages": {}}
        self.kills: Counter[str] = Counter(known["kills"])
        self.damages: Counter[str] = Counter(known["damages"])
        self._struck = struck
        self._memory = memory
        # a campaign that goes on does not strike in the same order again
        self._random = random.Random(seed + sum(self.kills.values()))
        self._server_back: tuple[float, Callable[[], None]] | None = None

    def strike(self) -> None:
        """The next fault; one that finds nothing to strike is passed over."""
        self._strike()
        text = json.dumps({"kills": self.kills, "damages": self.damages})
        beside = self._memory.with_suffix(".new")
        beside.write_text(text)
        beside.replace(self._memory)

    def _strike(self) -> None:
        (kind,) = self._random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        match kind:
            case "damage":
                self._damage()
            case "worker" | "worker, SIGTERM":
                self._worker(kind)
            case "node" | "raylet alone":
                self._node(kind)
            case "driver" | "driver, SIGTERM":
                self._driver(kind)
            case "cluster":
                self._driver("driver")
                self._struck.new_cluster()
                self.kills["cluster"] += 1
                self._tear()
            case _:
                self._tracker(kind)

    def mend(self) -> None:
        """Start again what was away for its time."""
        if self._server_back is not None and time.monotonic() > self._server_back[0]:
            self.heal()

    def heal(self) -> None:
        """Start again whatever is away."""
        if self._server_back is not None:
            self._server_back[1]()
            self._server_back = None

    def _worker(self, kind: str) -> None:
        pids = self._struck.cluster.worker_pids()
        if not pids:
            return
        number = signal.SIGKILL if kind == "worker" else signal.SIGTERM
        # Sometimes all at once, as when the memory of a machine is used up.
        chosen = pids if self._random.random() < 0.15 else [self._random.choice(pids)]
        for pid in chosen:
            if _sent(pid, number):
                self.kills[kind] += 1

    def _node(self, kind: str) -> None:
        cluster = self._struck.cluster
        number = self._random.choice(cluster.nodes())
        (cluster.kill_node if kind == "node" else cluster.kill_raylet)(number)
        self.kills[kind] += 1
        cluster.add_node()

    def _driver(self, kind: str) -> None:
        driver = self._struck.driver
        if driver is None or driver.poll() is not None:
            return
        driver.send_signal(signal.SIGKILL if kind == "driver" else signal.SIGTERM)
        driver.wait()
        self.kills[kind] += 1
        if kind == "driver":
            self._tear()

    def _tracker(self, kind: str) -> None:
        server = self._struck.server
        if self._server_back is not None:
            return
        back = time.monotonic() + _SERVER_AWAY_S
        if kind == "tracker":
            server.kill()
            self._server_back = back, server.launch
        else:
            server.freeze()
            self._server_back = back, server.thaw
        self.kills[kind] += 1

    def _damage(self) -> None:
        """Flip a bit of the newest checkpoint of an open trial, or cut it off."""
        newest = [
            max(found, key=lambda file: file.name)
            for trial in sorted(self._struck.storage.glob("trials/*/*"))
            if (found := list(trial.glob("attempt-*/checkpoint-*.pt")))
        ]
        # A trial that is about to end would not look at it again, but the checker does.
        files = [file for file in newest if int(file.stem[len("checkpoint-") :]) < _NEAR_THE_END]
        if not files:
            return
        file = self._random.choice(files)
        place = self._random.random()
        cut = self._random.random() < 0.3
        try:
            _damage_file(file, place, cut=cut)
        except FileNotFoundError:  # a newer one has replaced it meanwhile
            return
        self.damages["checkpoints cut off" if cut else "checkpoints with a flipped bit"] += 1

    def _tear(self) -> None:
        """Half a line at the end of some curves, as a killed writer leaves it behind."""
        files = sorted(
            max(trial.glob("attempt-*"), key=lambda path: path.name) / "metrics.jsonl"
            for trial in self._struck.storage.glob("trials/*/*")
            if not (trial / "outcome.json").exists() and list(trial.glob("attempt-*"))
        )
        _wait_for_workers(self._struck)
        for file in self._random.sample(files, min(2, len(files))):
            whole = file.read_bytes().splitlines(keepends=True) if file.exists() else []
            if whole:
                with file.open("ab") as stream:
                    stream.write(whole[-1][: len(whole[-1]) // 2])
                self.damages["torn lines"] += 1


def _wait_for_workers(struck: Field) -> None:
    """The workers of a dead driver end some seconds after it; a curve has one writer at a time."""
    until = time.monotonic() + 30
    while struck.cluster.worker_pids() and time.monotonic() < until:
        time.sleep(0.1)


def _damage_file(file: Path, place: float, *, cut: bool) -> None:
    size = file.stat().st_size
    if cut:
        os.truncate(file, int(place * size))
        return
    with file.open("r+b") as stream:
        stream.seek(int(place * size))
        (byte,) = stream.read(1)
        stream.seek(int(place * size))
        stream.write(bytes([byte ^ 4]))


def _sent(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
