"""A circuit breaker: what fails alike again and again is not started any more.

SWEEP/failures/<key>.json       a trial of this launch that failed, with its reason
SWEEP/failures/sound-<group>    some trial of the group ended otherwise
SWEEP/failures/broken-<group>   no other trial of the group is started; the line that says so

A group is a cell (the replicates of one point), a shape, or the whole sweep. The files lie in the
sweep's folder, so that workers on every node see them; a launch begins with none.
"""

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sweeps.storage import durable
from sweeps.storage.records import read_object
from sweeps.storage.sweep_folder import SweepFolder
from trainers.config import TrialConfig

MOST_OF_A_CELL = 3
"""Replicates of a point that fail alike, none having ended otherwise; as many points of a shape."""
MOST_OF_A_SWEEP = 10
"""Trials that fail alike before any has ended otherwise."""

Kind = Literal["cell", "shape", "sweep"]

_NUMBER = re.compile(r"0x[0-9a-f]+|\d[\d.,_]*(e[+-]?\d+)?", re.IGNORECASE)


def alike(reason: str) -> str:
    """A reason without its numbers: `index 17 is out of range` is the same mistake as `index 18 ...`."""
    return _NUMBER.sub("#", reason)


@dataclass
class Breaker:
    """Told how every trial ended; says which trials are not to be started."""

    folder: SweepFolder
    _known_sound: set[str] = field(default_factory=set[str])

    def reset(self) -> None:
        """Forget all; a launch begins so."""
        shutil.rmtree(self._failures, ignore_errors=True)

    def refuses(self, config: TrialConfig) -> bool:
        """Whether a trial is not to be started."""
        if not self._failures.exists():
            return False
        return any((self._failures / f"broken-{name}").exists() for _, name in _groups(config))

    def sound(self, config: TrialConfig) -> None:
        """A trial ended, and did not fail."""
        for _, name in _groups(config):
            if name not in self._known_sound:
                durable.make_folder(self._failures)
                (self._failures / f"sound-{name}").touch()  # advice, so it need not be durable
                self._known_sound.add(name)

    def failed(self, config: TrialConfig, reason: str) -> None:
        """A trial failed; when it is one too many, nothing like it is started any more."""
        groups = _groups(config)
        durable.make_folder(self._failures)
        record = {"reason": reason, **dict(groups)}
        durable.write_over(self._failures / f"{config.key()}.json", json.dumps(record).encode())
        for kind, name in groups:
            if (self._failures / f"sound-{name}").exists():
                continue
            count = self._alike(kind, name, alike(reason))
            if count >= (MOST_OF_A_SWEEP if kind == "sweep" else MOST_OF_A_CELL):
                self._break(kind, name, count, reason)

    def lines(self, open_trials: Iterable[TrialConfig]) -> tuple[str, ...]:
        """What was not started of these trials, a line for each cause; the most general first."""
        broken = {path.name: read_object(path) or {} for path in self._failures.glob("broken-*")}
        if not broken:
            return ()
        waiting = Counter(f"broken-{name}" for config in open_trials for _, name in _groups(config))
        order = {"sweep": 0, "shape": 1, "cell": 2}
        found = [(order[record["kind"]], record["line"], name) for name, record in broken.items()]
        return tuple(
            f"{waiting[name]:,} trials were not started: {line}"
            for _, line, name in sorted(found)
            if waiting[name]
        )

    @property
    def _failures(self) -> Path:
        return self.folder.path / "failures"

    def _alike(self, kind: Kind, name: str, reason: str) -> int:
        """How many have failed so; of a shape its points are counted, since one point has replicates."""
        found = [
            record
            for record in self._records()
            if record.get(kind) == name and alike(record["reason"]) == reason
        ]
        if kind == "shape":
            return len(Counter(record["cell"] for record in found))
        return len(found)

    def _records(self) -> Iterator[dict[str, str]]:
        for path in self._failures.glob("*.json"):
            record = read_object(path)
            if record is not None:
                yield record

    def _break(self, kind: Kind, name: str, count: int, reason: str) -> None:
        what = {
            "cell": f"{count} replicates of their point",
            "shape": f"{count} points of their shape",
            "sweep": f"the first {count} trials of the sweep",
        }[kind]
        line = f"{what} all failed with {reason}"
        record = json.dumps({"kind": kind, "line": line}).encode()
        durable.write_new(self._failures / f"broken-{name}", record)
        if kind == "sweep":
            self.folder.request_stop()


def _groups(config: TrialConfig) -> list[tuple[Kind, str]]:
    cell = config.model_copy(update={"seed": 0}).key()
    shape = hashlib.sha256(config.stacks_with().encode()).hexdigest()[:20]
    return [("cell", cell), ("shape", shape), ("sweep", "sweep")]
