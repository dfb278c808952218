"""One attempt at a trial: its points, its notes, and the outcome that a newer attempt can forbid.

Whether an attempt ended or was overtaken is decided by who creates `outcome.json` in its folder:
the attempt itself, with its outcome, or a newer attempt, with a fence. Creating a file is atomic on
every file system that nodes share, so of two that are there at once exactly one is right.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import index
from pathlib import Path
from typing import Any, get_args

from sweeps.secrets import masked
from sweeps.storage import durable
from sweeps.storage.curve import (
    METRICS_FILE,
    attempt_number,
    attempts_in,
    encoded,
    read_number,
    spelled_number,
    spelled_numbers,
)
from sweeps.storage.records import LedgerDamaged, read_sealed, sealed
from sweeps.storage.start import Begun, read_start
from trainers.result import Outcome, OutcomeName, Point
from trainers.schema import shown

NOTES_FILE = "notes.txt"
OUTCOME_FILE = "outcome.json"

_REOPENED_FILE = "reopened.json"
_NAMES: tuple[OutcomeName, ...] = get_args(OutcomeName)


class TrialEnded(Exception):  # noqa: N818 - it reads as what has happened
    """The trial has an outcome, so no attempt at it can begin."""


@dataclass(frozen=True)
class Ending:
    """A trial's outcome and when it was written."""

    outcome: Outcome
    time_ms: int  # unix time


@dataclass(frozen=True)
class Attempt:
    """One start of a trial; checkpoints lie in its folder too."""

    path: Path

    def append(self, points: Sequence[Point], now_ms: int) -> None:
        """Write points; they are on the disk when this returns."""
        if points:
            durable.append(self.path / METRICS_FILE, encoded(points, now_ms))

    def finish(self, outcome: Outcome) -> bool:
        """Write the outcome of the trial; it is on the disk when this returns True.

        False, with a note in the attempt's folder, when a newer attempt has begun or the trial has
        ended already: then nothing was written, and what this attempt did was in vain.
        """
        record = {**asdict(outcome), "time_ms": now_ms(), "attempt": self.path.name}
        record["reason"] = masked(outcome.reason)
        record["metrics"] = spelled_numbers(outcome.metrics)
        record["details"] = _with_spelled_numbers(outcome.details)
        newer = attempts_in(self.path.parent)[-1:]
        if newer and attempt_number(newer[0]) > attempt_number(self.path):
            return self._too_late(f"{newer[0].name} has begun", outcome)
        if not durable.write_new(self.path / OUTCOME_FILE, sealed(record)):
            fence = read_sealed(self.path / OUTCOME_FILE) or {}
            if "fenced_by" in fence:
                return self._too_late(f"{fence['fenced_by']} has begun", outcome)
            promote(self.path)  # its own: it was interrupted here before
            return self._too_late("it had ended before", outcome)
        if not promote(self.path):
            return self._too_late("the trial had ended before", outcome)
        return True

    def is_fenced(self) -> bool:
        """Whether it would be in vain to go on: a newer attempt has begun, or this one has ended."""
        return (self.path / OUTCOME_FILE).exists()

    def note(self, text: str) -> None:
        """Keep what a person should know of the attempt: a traceback, a damaged checkpoint."""
        durable.append(self.path / NOTES_FILE, masked(text).rstrip().encode() + b"\n")

    def begun(self) -> Begun | None:
        """How the attempt began, or None when that was not recorded."""
        return read_start(self.path)

    def started_ms(self) -> int | None:
        """When the attempt began, or None when that was not recorded."""
        begun = self.begun()
        return None if begun is None else begun.time_ms

    def _too_late(self, why: str, outcome: Outcome) -> bool:
        self.note(f"too late to end as {outcome.name} at step {outcome.step:,}: {why}")
        return False


def fence(older: Path, by: Path) -> None:
    """Forbid an older attempt to end the trial; `by` is the folder of the newer one.

    Raises:
        TrialEnded: the older attempt was faster, and its outcome stands.
    """
    file = older / OUTCOME_FILE
    record = {"fenced_by": by.name, "time_ms": now_ms()}
    try:
        if not file.exists() and durable.write_new(file, sealed(record)):
            return
    except FileNotFoundError:  # its folder was moved away
        return
    found = read_sealed(file)
    if found is None or "fenced_by" in found or (older / _REOPENED_FILE).exists():
        return
    if found.get("name") == "failed":  # to be tried again, which is what happens now
        return
    promote(older)
    raise TrialEnded(f"{older.parent.name}: {older.name} ended while {by.name} began")


def promote(attempt: Path) -> bool:
    """Make the outcome of an attempt that of its trial; False when the trial has another one."""
    file = attempt.parent / OUTCOME_FILE
    try:
        os.link(attempt / OUTCOME_FILE, file)
        created = True
    except FileExistsError:
        created = os.path.samefile(attempt / OUTCOME_FILE, file)
    durable.sync_folder(attempt.parent)
    return created


def reopen(trial: Path) -> None:
    """Take a trial's outcome back, so that it is tried again; its attempt keeps the record."""
    file = trial / OUTCOME_FILE
    name = (read_sealed(file) or {}).get("attempt")
    attempts = attempts_in(trial)
    attempt = next((each for each in attempts if each.name == name), attempts[-1])
    durable.write_new(attempt / _REOPENED_FILE, sealed({"time_ms": now_ms()}))
    file.unlink(missing_ok=True)
    durable.sync_folder(trial)


def read_ending(file: Path | str) -> Ending | None:
    """The outcome in a file, or None when there is no such file.

    Raises:
        LedgerDamaged: the file has changed since it was written.
    """
    record = read_sealed(file)
    if record is None:
        return None
    name: Any = record.get("name")
    if name not in _NAMES:
        known = ", ".join(get_args(OutcomeName))
        raise LedgerDamaged(f"{file}: expected one of {known}, got {shown(name)}")
    try:
        metrics = {metric: read_number(value) for metric, value in record["metrics"].items()}
        step, time_ms = index(record["step"]), index(record["time_ms"])
        outcome = Outcome(name, step, metrics, dict(record["details"]), str(record["reason"]))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise LedgerDamaged(f"{file}: expected how a trial ended, got {error!r}") from error
    return Ending(outcome, time_ms)


def now_ms() -> int:
    """Unix time."""
    return time.time_ns() // 1_000_000


def _with_spelled_numbers(value: Any) -> Any:
    """Details may hold any JSON, and a NaN somewhere in it must not cost a trial its outcome."""
    if isinstance(value, float):
        return spelled_number(value)
    if isinstance(value, Mapping):
        return {str(name): _with_spelled_numbers(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_spelled_numbers(inner) for inner in value]
    return value
