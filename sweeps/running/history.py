"""What earlier attempts of a trial say of the next: how large its pack may be, or that none is left.

| how the worker ended        | what the trial gets                                                    |
|-----------------------------|------------------------------------------------------------------------|
| killed, preempted, node lost | as many attempts as it takes; 20 in a row without a new step: failed   |
| the same, twice in a row     | a pack of half the size, and alone from the fourth time                |
| out of memory                | once more in half the pack, then alone, then in ever smaller parts     |
| hung                         | once more, alone; hung again without a new step: failed                |
| an exception in a pack       | once more, alone, to find out whose it is; alone: failed               |

Read from the storage folder alone, so that it holds whoever drives the sweep, and on any machine.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from sweeps.running.watchdog import read_hang
from sweeps.storage.attempt import OUTCOME_FILE, Attempt
from sweeps.storage.curve import METRICS_FILE
from sweeps.storage.ledger import TrialFolder
from sweeps.storage.left import Left, read_left, write_left
from sweeps.storage.records import read_sealed

MOST_CRASHES = 20  # in a row, none of which has brought a new step

_HALF_AFTER, _ALONE_AFTER = 2, 4  # crashes in a row: memory that runs out may look like this
_TAIL_BYTES = 1 << 16  # a line is some hundred bytes


@dataclass(frozen=True)
class History:
    """The attempts since a trial was begun, or since it last had an outcome."""

    step: int = 0  # the furthest that was reported or saved
    crashes: int = 0  # without a new step between them, as are the hangs
    hangs: int = 0
    silent_s: int = 0  # before the last hang was noticed
    out_of_memory: int = 0
    memory_pack: int = 0  # trials in the last pack that had not enough
    memory_alone: int = 0  # times that it had not enough alone, without a new step between them
    errors: int = 0  # exceptions of a pack, which may be those of another trial

    def largest_pack(self, size: int) -> int:
        """How many trials may train together, of `size` that could."""
        if self.errors or self.hangs or self.crashes >= _ALONE_AFTER or self.out_of_memory > 1:
            return 1
        if self.out_of_memory:
            return max(1, min(size, self.memory_pack // 2))
        return max(1, size // 2) if self.crashes >= _HALF_AFTER else size

    def verdict(self) -> str | None:
        """Why there is no further attempt; None when there is one."""
        if self.hangs > 1:
            return f"hung: no progress for {self.silent_s} s at step {self.step:,} (twice)"
        if self.crashes >= MOST_CRASHES:
            return f"its worker died {self.crashes} times at step {self.step:,}"
        return None


def history(folder: TrialFolder) -> History:
    """Read the attempts of a trial, oldest first.

    Raises:
        LedgerDamaged: a file has changed since it was written.
    """
    found = History()
    for path in folder.attempts():
        if "name" in (read_sealed(path / OUTCOME_FILE) or {}):  # it failed, and was reopened since
            found = History(step=max(found.step, _furthest(path)))
        else:
            found = _with(found, path)
    return found


def _with(before: History, attempt: Path) -> History:
    step = _furthest(attempt)
    found = before
    if step > before.step:
        found = replace(before, step=step, crashes=0, hangs=0, memory_alone=0)
    left = read_left(attempt)
    if left is None and (hang := read_hang(attempt)) is not None:
        Attempt(attempt).note(hang.traceback)
        left = Left("hung", step, words=f"{hang.silent_s}")
        write_left(attempt, left)
    if left is None:
        return found if step > before.step else replace(found, crashes=found.crashes + 1)
    match left.cause:
        case "memory":
            return replace(
                found,
                out_of_memory=found.out_of_memory + 1,
                memory_pack=left.pack,
                memory_alone=found.memory_alone + (left.pack == 1),
            )
        case "hung":
            return replace(found, hangs=found.hangs + 1, silent_s=int(left.words))
        case "error":
            return replace(found, errors=found.errors + 1)
        case "stopped" | "terminated" | "superseded":
            return found


def _furthest(attempt: Path) -> int:
    """The last step that an attempt has reported or saved; 0 when there is none."""
    markers = [path.stem.rpartition("-")[2] for path in attempt.glob("checkpoint-*.json")]
    saved = max((int(marker) for marker in markers if marker.isdecimal()), default=0)
    return max(saved, _last_reported(attempt / METRICS_FILE))


def _last_reported(file: Path) -> int:
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _TAIL_BYTES))
            lines = stream.read().splitlines()
    except FileNotFoundError:
        return 0
    for line in reversed(lines):
        try:
            return int(json.loads(line.partition(b" ")[2])["step"])
        except (ValueError, TypeError, KeyError):  # torn, or damaged: whoever reads it all says so
            continue
    return 0
