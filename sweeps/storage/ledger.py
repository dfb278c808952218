"""The storage folder: what each trial was, where it stands, and who runs a sweep.

STORAGE/trials/<key[:2]>/<key>/     trial.json, attempt-0001/, attempt-0002/, ..., outcome.json
STORAGE/sweeps/<name>/              sweep.json, trials.json, lock, lease-*, stop, offsets/, report/
"""

import os
import re
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.storage import attempt as attempts
from sweeps.storage import durable
from sweeps.storage.attempt import OUTCOME_FILE, Attempt, Ending, TrialEnded, read_ending
from sweeps.storage.curve import (
    CurveReader,
    LedgerConflict,
    TimedPoint,
    attempt_number,
    attempts_in,
)
from sweeps.storage.records import LedgerError, json_bytes, read_object, read_sealed, sealed
from sweeps.storage.start import Begun, Drift, read_start, write_start
from sweeps.storage.sweep_folder import SweepFolder
from trainers.result import Outcome
from trainers.schema import InputError, shown

_KEY = re.compile(r"[0-9a-f]{20}")
_LEFT_OPEN_FILE = "left-open.json"
_MARKER = re.compile(r"checkpoint-(\d{8,})\.json")


@dataclass(frozen=True)
class Ledger:
    """The storage folder as a whole; nothing is created before something is written."""

    root: Path

    def doubt(self) -> str | None:
        """Why what the storage holds may not be what this user has written; None without a doubt."""
        try:
            found = self.root.stat()
        except FileNotFoundError:
            return None
        if found.st_uid != os.geteuid():
            return f"{self.root} belongs to user {found.st_uid}, who can change what is in it"
        if stat.S_IMODE(found.st_mode) & 0o022:
            return f"{self.root} can be written by others: chmod go-w keeps what is in it yours"
        return None

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
        top = os.path.join(self.root, "trials")
        return frozenset(
            name for prefix in _names(top) if len(prefix) == 2 for name in _names(f"{top}/{prefix}")
        )

    def look(self, keys: Iterable[str]) -> "dict[str, Look]":
        """Where these trials stand, at the price of about one file for each that was begun.

        A trial that was never begun costs nothing, and is not in the answer.

        Raises:
            LedgerDamaged: an outcome has changed since it was written.
        """
        begun = self.keys()
        return {key: _look(f"{self.root}/trials/{key[:2]}/{key}") for key in keys if key in begun}

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
class Look:
    """Where one trial stands, as far as planning must know."""

    ending: Ending | None
    checkpoint_step: (
        int  # of the newest checkpoint, unread; 0 when there is none or the trial ended
    )


@dataclass(frozen=True)
class TrialFolder:
    """One trial: its config, its attempts, and its outcome once it has one."""

    path: Path

    def config(self) -> dict[str, Any] | None:
        """The resolved config, or None before the first attempt."""
        return read_object(self.path / "trial.json")

    def begin(
        self,
        config: Mapping[str, Any],
        *,
        fingerprint: Mapping[str, str] | None = None,
        drift: Drift | None = None,
        rows: int = 0,
    ) -> Attempt:
        """Start an attempt in a folder of its own, and forbid all older ones to end the trial.

        `fingerprint` says what beside the config decides the bits here; `drift` says what of that has
        changed since the state from which this attempt goes on, where that is allowed. `rows` is how
        many trials train at once, this one among them.

        Raises:
            LedgerConflict: the folder holds another config than this one.
            LedgerError: the folder leads out of the storage.
            TrialEnded: the trial has an outcome.
        """
        self._check_inside()
        durable.make_folder(self.path)
        for above in list(self.path.parents)[:4]:  # whoever made them may have been killed since
            with suppress(PermissionError):  # the storage may lie in the folder of another user
                durable.sync_folder(above)
        file = self.path / "trial.json"
        new = durable.write_new(file, json_bytes(config))
        stored = None if new else read_object(file)
        if stored is not None and json_bytes(stored) != json_bytes(config):
            raise LedgerConflict(f"{file}: expected the config of this trial, got another one")
        if (self.path / OUTCOME_FILE).exists():
            raise TrialEnded(f"{self.path.name}: expected an open trial, got one that has ended")
        folder = self._new_attempt_folder()
        write_start(folder, fingerprint or {}, drift, rows)
        for older in self.attempts():
            if attempt_number(older) < attempt_number(folder):
                attempts.fence(older, folder)
        (self.path / _LEFT_OPEN_FILE).unlink(missing_ok=True)
        return Attempt(folder)

    def attempts(self) -> tuple[Path, ...]:
        """The folders of the attempts, oldest first.

        Raises:
            LedgerError: the folder or one of them leads out of the storage.
        """
        self._check_inside()
        found = attempts_in(self.path)
        for each in found:
            if each.is_symlink():
                raise LedgerError(f"{each}: expected a folder, got a symbolic link")
        return found

    def last_written(self) -> Begun | None:
        """How the newest attempt began that has reported or saved anything; None without one."""
        for folder in reversed(self.attempts()):
            if any(name.startswith(("metrics", "checkpoint-")) for name in _names(str(folder))):
                return read_start(folder)
        return None

    def drifts(self) -> tuple[Drift, ...]:
        """The changes of code, torch or machine that were allowed in the middle of the trial."""
        found = [read_start(folder) for folder in self.attempts()]
        return tuple(each.drift for each in found if each is not None and each.drift is not None)

    def leave_open(self, reason: str) -> None:
        """Say why a worker did not go on with the trial; the next attempt clears it."""
        durable.make_folder(self.path)
        record = {"reason": reason, "time_ms": attempts.now_ms()}
        durable.write_over(self.path / _LEFT_OPEN_FILE, sealed(record))

    def left_open(self) -> str | None:
        """Why a worker did not go on with the trial, or None when none has said so since."""
        record = read_sealed(self.path / _LEFT_OPEN_FILE)
        return None if record is None else str(record["reason"])

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
        return read_ending(self.path / OUTCOME_FILE)

    def look(self) -> Look:
        """Where the trial stands; a checkpoint is not read, so it may yet turn out damaged."""
        return _look(str(self.path))

    def reopen(self) -> None:
        """Take the outcome back, so that the trial is tried again; the attempt keeps the record."""
        attempts.reopen(self.path)

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
        number = max(map(attempt_number, self.attempts()), default=0)
        while True:
            number += 1  # not by another look: on NFS a folder's names may be some seconds old
            path = self.path / f"attempt-{number:04d}"
            try:
                path.mkdir(mode=durable.PRIVATE_FOLDER)
            except FileExistsError:  # somebody else has just begun this number
                continue
            durable.sync_folder(self.path)
            return path

    def _check_inside(self) -> None:
        """Refuse a trial whose folder is a symbolic link out of the storage."""
        prefix, trials = self.path.parent, self.path.parent.parent
        if any(os.path.islink(each) for each in (trials, prefix, self.path)):
            root = trials.parent.resolve()
            if not self.path.resolve().is_relative_to(root):
                raise LedgerError(f"{self.path}: expected a folder in {root}, got a link out of it")


def _look(trial: str) -> Look:
    ending = read_ending(f"{trial}/{OUTCOME_FILE}")
    if ending is not None and ending.outcome.name != "failed":
        return Look(ending, 0)
    markers = [
        int(match[1])
        for name in _names(trial)
        if name.startswith("attempt-")
        for match in map(_MARKER.fullmatch, _names(f"{trial}/{name}"))
        if match is not None
    ]
    return Look(ending, max(markers, default=0))


def _names(folder: str) -> list[str]:
    """The names in a folder; none when it is not there."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
