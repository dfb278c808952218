"""Who drives a sweep, told by a counter that moves: for file systems whose locks end at a machine.

Each lease is a file of its own with a number in its name, `lease-000001`, created exclusively. Its
holder moves the counter in it every few seconds. Who wants the sweep watches the counter by its own
clock, and only if it stood still for long enough creates the next number: of several one succeeds.
No clock of one machine is ever compared with that of another.
"""

import errno
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import getnode, uuid4

from sweeps.storage import durable

MOVES_EVERY_S = 3.0
DEAD_AFTER_S = 30.0  # without a move of the counter
UNSURE_AFTER_S = 20.0  # a holder that cannot move its counter so long must take it for lost

_NAME = re.compile(r"lease-(\d{6,})")
_DIGITS = 12
_RELEASED = "released".ljust(_DIGITS)


@dataclass(frozen=True)
class Clock:
    """Time that only ever moves forward, and how to wait."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Held:
    """A lease as it is written in its file."""

    number: int
    owner: str  # user@host:pid since ...
    kernel: str  # on the same one, a file lock decides at once
    token: str
    since_ms: int  # unix time of the holder
    counter: str

    @property
    def is_released(self) -> bool:
        """Whether its holder has given it back."""
        return self.counter == _RELEASED


class Lease:
    """The right to drive a sweep, held by this process; `lost` is set when another has taken it."""

    def __init__(self, file: Path, token: str, clock: Clock) -> None:
        self.lost = threading.Event()
        self.reason = ""  # why it was lost
        self._file = file
        self._token = token
        self._clock = clock
        self._moves = 0
        self._moved_at = clock.now()

    def move(self) -> None:
        """Move the counter, unless the lease is lost; to be called every `MOVES_EVERY_S`."""
        if self.lost.is_set():
            return
        try:
            newest = newest_lease(self._file.parent)
            if newest is None or newest.token != self._token:
                self._lose(f"{newest.owner if newest else 'nobody'} has taken it over")
                return
            self._moves += 1
            _write_counter(self._file, f"{self._moves:0{_DIGITS}d}")
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ESTALE}:
                self._lose("its file is gone")
                return
            silent_s = self._clock.now() - self._moved_at
            if silent_s > UNSURE_AFTER_S:
                self._lose(f"the storage could not be written for {silent_s:.0f} s: {error}")
            return
        self._moved_at = self._clock.now()

    def release(self) -> None:
        """Give the lease back; the next one need not wait."""
        if not self.lost.is_set():
            with suppress(FileNotFoundError):  # another has it, or the whole storage was removed
                _write_counter(self._file, _RELEASED)

    def _lose(self, reason: str) -> None:
        self.reason = reason
        self.lost.set()


@contextmanager
def moving(lease: Lease) -> Iterator[None]:
    """Move the counter of a lease from a thread while the block runs."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(MOVES_EVERY_S):
            lease.move()

    thread = threading.Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def take_lease(
    folder: Path, owner: str, *, dead: str, say: Callable[[str], None], clock: Clock | None = None
) -> Lease | Held:
    """The lease of a sweep, or who holds it.

    The caller has the lock of its machine, so a lease of the kernel `dead` has no holder any more. One
    of another machine that is not released is watched for up to `DEAD_AFTER_S`, which is said.
    """
    clock = clock or Clock()
    seen = newest_lease(folder)
    if seen is not None and not seen.is_released and seen.kernel != dead:
        say(f"{seen.owner} held it last; waiting up to {DEAD_AFTER_S:.0f} s for a sign of life")
        until = clock.now() + DEAD_AFTER_S
        while clock.now() < until:
            clock.sleep(1.0)
            now = newest_lease(folder)
            if now is None or now.is_released:
                seen = now or seen
                break
            if (now.token, now.counter) != (seen.token, seen.counter):
                return now
    number = 1 if seen is None else seen.number + 1
    token = uuid4().hex
    file = folder / f"lease-{number:06d}"
    record = {"owner": owner, "kernel": kernel(), "token": token, "since_ms": _now_ms()}
    content = json.dumps(record).encode() + b"\n" + b"0" * _DIGITS + b"\n"
    created = durable.write_new(file, content)
    newest = newest_lease(folder)
    if not created or newest is None or newest.token != token:  # another was faster
        return newest if newest is not None else Held(number, "another process", "", "", 0, "")
    for old in folder.glob("lease-*"):
        match = _NAME.fullmatch(old.name)
        if match is not None and int(match[1]) < number:
            old.unlink(missing_ok=True)
    return Lease(file, token, clock)


def newest_lease(folder: Path) -> Held | None:
    """The lease with the highest number, or None when the sweep was never driven."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return None
    numbers = [int(match[1]) for match in map(_NAME.fullmatch, names) if match is not None]
    for number in sorted(numbers, reverse=True):
        held = _read(folder / f"lease-{number:06d}", number)
        if held is not None:
            return held
    return None


def kernel() -> str:
    """A name of the running kernel: among its processes a file lock decides at once."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"{os.uname().nodename} {getnode():x}"


def _read(file: Path, number: int) -> Held | None:
    try:
        content = file.read_text(errors="replace")
    except FileNotFoundError:  # its successor has removed it
        return None
    text, _, counter = content.partition("\n")
    try:
        record = json.loads(text)
        return Held(
            number,
            str(record["owner"]),
            str(record["kernel"]),
            str(record["token"]),
            int(record["since_ms"]),
            counter.removesuffix("\n"),
        )
    except (ValueError, KeyError, TypeError):  # damaged: held by nobody whom we could name
        return Held(number, "another process", "", content, 0, counter)


def _write_counter(file: Path, counter: str) -> None:
    handle = os.open(file, os.O_RDWR)
    try:
        size = os.fstat(handle).st_size
        os.pwrite(handle, counter.encode(), size - _DIGITS - 1)
        os.fsync(handle)
    finally:
        os.close(handle)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
