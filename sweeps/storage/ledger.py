"""The storage folder: what each trial was, where it stands, and who runs a sweep.

STORAGE/trials/<key[:2]>/<key>/     trial.json, attempt-0001/, attempt-0002/, ..., outcome.json
STORAGE/sweeps/<name>/              sweep.json, trials.json, lock, stop, offsets/, report/
"""

import json
import os
import re
import socket
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from sweeps.secrets import masked
from sweeps.storage import durable
from sweeps.storage.curve import (
    METRICS_FILE,
    CurveReader,
    LedgerConflict,
    LedgerDamaged,
    TimedPoint,
    attempts_in,
    encoded,
    read_number,
    spelled_number,
    spelled_numbers,
)
from sweeps.storage.sweep_folder import SweepFolder
from trainers.result import Outcome, OutcomeName, Point
from trainers.schema import InputError, shown

NOTES_FILE = "notes.txt"

_KEY = re.compile(r"[0-9a-f]{20}")


@dataclass(frozen=True)
class Ledger:
    """The storage folder as a whole; nothing is created before something is written."""

    root: Path

    def trial(self, key: str) -> "TrialFolder":
        """The folder of one trial.

        Raises:
            InputError: not a key, so not the name of a folder either.
        """
        if not _KEY.fullmatch(key):
            raise InputError(f"expected a trial key of 20 hexadecimal digits, got {shown(key)}")
        return TrialFolder(self.root / "trials" / key[:2] / key)

    def keys(self) -> frozenset[str]:
        """The keys of the trials that were ever begun; one look, however many are planned."""
        return frozenset(path.name for path in self.root.glob("trials/??/*"))

    def find(self, beginning: str) -> "TrialFolder":
        """The folder of the one trial whose key begins so; four digits are the least.

        Raises:
            InputError: no trial has such a key, or several have.
        """
        if not re.fullmatch(r"[0-9a-f]{4,20}", beginning):
            raise InputError(
                f"expected a trial key of 4 to 20 hexadecimal digits, got {shown(beginning)}"
            )
        keys = sorted(key for key in self.keys() if key.startswith(beginning))
        if len(keys) != 1:
            found = f"{len(keys)} of them" if keys else "none"
            raise InputError(
                f"expected the key of one trial in {self.root}, {beginning} begins {found}"
            )
        return self.trial(keys[0])

    def sweep(self, name: str) -> SweepFolder:
        """The folder of one sweep.

        Raises:
            InputError: not a sweep name, so not the name of a folder either.
        """
        return SweepFolder.named(self.root / "sweeps", name)

    def sweeps(self) -> tuple[str, ...]:
        """The names of the sweeps that have a folder."""
        return tuple(sorted(path.name for path in self.root.glob("sweeps/*") if path.is_dir()))


@dataclass(frozen=True)
class Ending:
    """A trial's outcome and when it was written."""

    outcome: Outcome
    time_ms: int  # unix time


@dataclass(frozen=True)
class TrialFolder:
    """One trial: its config, its attempts, and its outcome once it has one."""

    path: Path

    def config(self) -> dict[str, Any] | None:
        """The resolved config, or None before the first attempt."""
        return _read_object(self.path / "trial.json")

    def begin(self, config: Mapping[str, Any]) -> "Attempt":
        """Start an attempt in a folder of its own, so that a revived zombie disturbs nobody.

        Raises:
            LedgerConflict: the folder holds another config than this one.
        """
        durable.make_folder(self.path)
        file = self.path / "trial.json"
        new = durable.write_new(file, _json_bytes(config))
        stored = None if new else _read_object(file)
        if stored is not None and _json_bytes(stored) != _json_bytes(config):
            raise LedgerConflict(f"{file}: expected the config of this trial, got another one")
        return Attempt(self._new_attempt_folder())

    def attempts(self) -> tuple[Path, ...]:
        """The folders of the attempts, oldest first."""
        return attempts_in(self.path)

    def points(self) -> tuple[TimedPoint, ...]:
        """The points of all attempts, merged by step. To follow a growing curve use `CurveReader`.

        Raises:
            LedgerConflict: two attempts disagree about a step.
            LedgerDamaged: a line has changed since it was written.
        """
        return CurveReader(self.path).read()

    def outcome(self) -> Outcome | None:
        """How the trial ended, or None while it has not.

        Raises:
            LedgerDamaged: the file has changed since it was written.
        """
        ended = self.ended()
        return None if ended is None else ended.outcome

    def ended(self) -> Ending | None:
        """As `outcome`, with the time at which it was written."""
        file = self.path / "outcome.json"
        record = _read_object(file)
        return None if record is None else _ending(record, file)

    def reopen(self) -> None:
        """Lay the outcome of a failed trial into its last attempt, so that it is tried again."""
        file = self.path / "outcome.json"
        file.replace(self.attempts()[-1] / file.name)
        durable.sync_folder(self.path)

    def last_metrics(self) -> dict[str, float]:
        """The last value of each metric: those of the curve, and over them those of the outcome.

        Raises:
            LedgerError: the files of the trial are damaged, or contradict each other.
        """
        last = {name: value for point in self.points() for name, value in point.values.items()}
        outcome = self.outcome()
        return last if outcome is None else {**last, **outcome.metrics}

    def wall_s(self) -> float:
        """Seconds spent on the trial: from the start of each attempt to its last point, summed."""
        reader = CurveReader(self.path)
        reader.read()
        spent_ms = 0
        for file, (first_ms, last_ms) in reader.spans().items():
            started_ms = Attempt(file.parent).started_ms()
            # A clock was set back, or the start file is lost: count what the points span.
            earliest_ms = first_ms if started_ms is None else min(first_ms, started_ms)
            spent_ms += last_ms - earliest_ms
        return spent_ms / 1000

    def _new_attempt_folder(self) -> Path:
        while True:
            attempts = self.attempts()
            number = int(attempts[-1].name.removeprefix("attempt-")) + 1 if attempts else 1
            path = self.path / f"attempt-{number:04d}"
            try:
                path.mkdir(mode=durable.PRIVATE_FOLDER)
            except FileExistsError:  # somebody else has just begun this number
                continue
            durable.sync_folder(self.path)
            start = {"time_ms": _now_ms(), "host": socket.gethostname(), "pid": os.getpid()}
            durable.write_new(path / "start.json", _json_bytes(start))
            return path


@dataclass(frozen=True)
class Attempt:
    """One start of a trial; checkpoints lie in its folder too."""

    path: Path

    def append(self, points: Sequence[Point], now_ms: int) -> None:
        """Write points; they are on the disk when this returns."""
        if points:
            durable.append(self.path / METRICS_FILE, encoded(points, now_ms))

    def finish(self, outcome: Outcome) -> bool:
        """Write the outcome of the trial; False when another attempt had done so before."""
        record = {**asdict(outcome), "reason": masked(outcome.reason), "time_ms": _now_ms()}
        record["metrics"] = spelled_numbers(outcome.metrics)
        record["details"] = _with_spelled_numbers(outcome.details)
        return durable.write_new(
            self.path.parent / "outcome.json", _json_bytes({**record, "crc32": _checksum(record)})
        )

    def note(self, text: str) -> None:
        """Keep what a person should know of the attempt: a traceback, a damaged checkpoint."""
        durable.append(self.path / NOTES_FILE, masked(text).rstrip().encode() + b"\n")

    def started_ms(self) -> int | None:
        """When the attempt began, or None when that was not recorded."""
        record = _read_object(self.path / "start.json")
        return None if record is None else int(record["time_ms"])


def _ending(record: Mapping[str, Any], file: Path) -> Ending:
    rest = {name: value for name, value in record.items() if name != "crc32"}
    if record.get("crc32") != _checksum(rest):
        raise LedgerDamaged(f"{file}: expected the outcome as it was written, got a changed one")
    if rest["name"] not in get_args(OutcomeName):
        known = ", ".join(get_args(OutcomeName))
        raise LedgerDamaged(f"{file}: expected one of {known}, got {shown(rest['name'])}")
    metrics = {name: read_number(value) for name, value in rest["metrics"].items()}
    outcome = Outcome(rest["name"], rest["step"], metrics, rest["details"], rest["reason"])
    return Ending(outcome, rest["time_ms"])


def _checksum(record: Mapping[str, Any]) -> str:
    return f"{zlib.crc32(_json_bytes(record)):08x}"


def _with_spelled_numbers(value: Any) -> Any:
    """Details may hold any JSON, and a NaN somewhere in it must not cost a trial its outcome."""
    if isinstance(value, float):
        return spelled_number(value)
    if isinstance(value, Mapping):
        return {str(name): _with_spelled_numbers(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_spelled_numbers(inner) for inner in value]
    return value


def _read_object(file: Path) -> dict[str, Any] | None:
    """A JSON object, or None when there is no such file.

    Raises:
        LedgerDamaged: the file is not a JSON object.
    """
    try:
        text = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise LedgerDamaged(f"{file}: expected JSON, got damaged text: {error}") from error
    if not isinstance(value, dict):
        raise LedgerDamaged(f"{file}: expected a JSON object, got {shown(value)}")
    return value


def _json_bytes(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, allow_nan=False, indent=1, sort_keys=True).encode() + b"\n"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
