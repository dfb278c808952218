"""The folder of one sweep: its plan, who runs it, and what of it has been published."""

import errno
import fcntl
import getpass
import hashlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from sweeps.spec import Name, SpecError, Sweep, from_resolved
from sweeps.storage import durable, growing
from sweeps.storage.lease import Held, Lease, kernel, moving, newest_lease, take_lease
from sweeps.storage.records import LedgerDamaged, read_object
from trainers.schema import InputError, shown

# `status` holds the lock for an instant to see whether it is free; a launch waits that long.
_LOCK_TRIES = 5
_LOCK_PAUSE_S = 0.05

_NAME = TypeAdapter(Name)


class SweepLocked(Exception):  # noqa: N818 - it reads as what has happened
    """Another process runs this sweep; the text says which, and since when."""


@dataclass(frozen=True)
class SweepFolder:
    """One sweep by name; nothing is created before something is written."""

    path: Path

    @classmethod
    def named(cls, folder: Path, name: str) -> "SweepFolder":
        """The folder of the sweep `name` inside `folder`.

        Raises:
            InputError: the name is not one that a sweep may have.
        """
        try:
            _NAME.validate_python(name)
        except ValidationError as error:
            raise InputError(
                "expected a sweep name of at most 64 letters, digits, dots, dashes and underlines"
                f" that starts with a letter or digit, got {shown(name)}"
            ) from error
        return cls(folder / name)

    @property
    def report(self) -> Path:
        """Where the report is written."""
        return self.path / "report"

    def write_plan(self, resolved_sweep: str, trials: Sequence[Mapping[str, Any]]) -> None:
        """Store the resolved sweep and its trials, over those of an earlier launch."""
        durable.make_folder(self.path)
        growing.write_trials(self.path, trials)
        durable.write_over(self.path / "sweep.json", resolved_sweep.encode())

    def add_trial(self, record: Mapping[str, Any]) -> None:
        """Add a trial that a search has suggested; it is on the disk when this returns."""
        growing.add_trial(self.path, record)

    def resolved(self) -> str:
        """The resolved sweep, as JSON text.

        Raises:
            InputError: no such sweep was ever launched here.
        """
        return self._read("sweep.json")

    def sweep(self) -> Sweep:
        """The sweep as it was resolved by its last launch.

        Raises:
            InputError: no such sweep was ever launched here.
            LedgerDamaged: the file holds no sweep.
        """
        try:
            return from_resolved(self.resolved())
        except SpecError as error:
            raise LedgerDamaged(f"{self.path / 'sweep.json'}: {error}") from error

    def trials(self) -> list[dict[str, Any]]:
        """The trials of the sweep: key, config, point, replicate, and what else the plan says.

        Raises:
            InputError: no such sweep was ever launched here.
        """
        try:
            return growing.read_trials(self.path)
        except FileNotFoundError as error:
            raise self._never_launched() from error

    @contextmanager
    def lock(self, say: Callable[[str], None] = lambda text: None) -> Iterator[Lease]:
        """Be the only driver of the sweep; the lock ends with the process, however that ends.

        Among the processes of this machine it is decided at once. When a driver on another machine
        was there last, and has not said that it ended, up to 30 s pass to see whether it lives; `say`
        is told so. The lease says when another driver has taken over since: its holder must stop then,
        and may ask nobody else to.

        Raises:
            SweepLocked: another process runs the sweep.
        """
        durable.make_folder(self.path)
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, durable.PRIVATE_FILE)
        try:
            locked = _locked(handle, fcntl.LOCK_EX)
            if locked is False:
                raise SweepLocked(f"sweep {self.path.name} is run by {_owner_in(handle)}")
            owner = _this_process()
            os.ftruncate(handle, 0)
            os.pwrite(handle, owner.encode(), 0)
            # where there are no locks, nothing is known of a holder on this machine either
            taken = take_lease(self.path, owner, dead=kernel() if locked else "", say=say)
            if isinstance(taken, Held):
                os.ftruncate(handle, 0)
                raise SweepLocked(f"sweep {self.path.name} is run by {taken.owner}")
            try:
                with moving(taken):
                    yield taken
            finally:
                taken.release()
                os.ftruncate(handle, 0)
        finally:
            os.close(handle)  # which gives the lock back

    def owner(self) -> str | None:
        """Who runs the sweep now, as `user@host:pid since ...`; None when nobody does.

        Of a driver on another machine it is only known that it has not said that it ended.
        """
        running = self._running()
        return None if running is None else running[0]

    def since_ms(self) -> int | None:
        """Since when the sweep is run by whom `owner` names, in unix time; None when by nobody."""
        running = self._running()
        return None if running is None else running[1]

    def _running(self) -> tuple[str, int] | None:
        """Who runs the sweep, and since when."""
        file = self.path / "lock"
        try:
            handle = os.open(file, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            free = _flock(handle, fcntl.LOCK_SH)
            if free is False:  # the file was written when it was locked
                return _owner_in(handle), os.fstat(handle).st_mtime_ns // 1_000_000
        finally:
            os.close(handle)
        held = newest_lease(self.path)
        if held is None or held.is_released or (free and held.kernel == kernel()):
            return None
        return held.owner, held.since_ms

    def request_stop(self) -> None:
        """Ask the workers of the sweep, on any node, to save what they have and end."""
        durable.make_folder(self.path)
        durable.write_over(self.path / "stop", _this_process().encode())

    def clear_stop(self) -> None:
        """Take back a request to stop."""
        (self.path / "stop").unlink(missing_ok=True)

    def stop_requested(self) -> bool:
        """Whether the workers shall end."""
        return (self.path / "stop").exists()

    def offsets(self, target: str) -> dict[str, int]:
        """How far each run has been published to the tracker at `target`.

        Nothing where that is not known, or damaged: the tracker is asked what it has.
        """
        try:
            found = read_object(self._offsets_file(target)) or {}
        except LedgerDamaged:
            return {}
        return {key: step for key, step in found.items() if type(step) is int}

    def save_offsets(self, target: str, offsets: Mapping[str, int]) -> None:
        """Store how far each run has been published; of `target` only a hash is kept."""
        file = self._offsets_file(target)
        durable.make_folder(file.parent)
        durable.write_over(file, json.dumps(dict(offsets), indent=0).encode())

    def _offsets_file(self, target: str) -> Path:
        parts = urlsplit(target)
        # Without user and password: a new password does not make it another tracker.
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return self.path / "offsets" / f"{hashlib.sha256(bare.encode()).hexdigest()[:16]}.json"

    def _read(self, file: str) -> str:
        try:
            return (self.path / file).read_bytes().decode()
        except FileNotFoundError as error:
            raise self._never_launched() from error
        except UnicodeDecodeError as error:
            raise LedgerDamaged(f"{self.path / file}: expected UTF-8, got other bytes") from error

    def _never_launched(self) -> InputError:
        return InputError(
            f"expected a sweep that was launched into {self.path.parent.parent}, got {self.path.name}"
        )


def _locked(handle: int, kind: int) -> bool | None:
    """Whether the lock was free, and is now ours; None where the file system has no locks."""
    for number in range(_LOCK_TRIES):
        if number:
            time.sleep(_LOCK_PAUSE_S)
        free = _flock(handle, kind)
        if free is not False:
            return free
    return False


def _flock(handle: int, kind: int) -> bool | None:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}:
            return None
        raise
    return True


def _owner_in(handle: int) -> str:
    """Who has locked the file; its owner writes that a moment after the locking."""
    for _ in range(_LOCK_TRIES):
        text = os.pread(handle, 1_000, 0).decode(errors="replace").strip()
        if text:
            return text
        time.sleep(_LOCK_PAUSE_S / 10)
    return "another process"


def _this_process() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container without an entry for this user
        user = str(os.getuid())
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{user}@{socket.gethostname()}:{os.getpid()} since {since}"
