"""Of all processes only one at a time publishes a sweep to one tracker."""

import fcntl
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from sweeps.storage import durable


class TurnTaken(Exception):  # noqa: N818 - it reads as what has happened
    """Another process publishes the sweep to this tracker; the text says which."""


@contextmanager
def turn(sweep: Path, target: str) -> Iterator[None]:
    """Be the only one that publishes the sweep in this folder to `target`; ends with the process.

    Raises:
        TurnTaken: another publisher is at it.
    """
    durable.make_folder(sweep / "offsets")
    bare = urlsplit(target)._replace(netloc=urlsplit(target).netloc.rpartition("@")[2]).geturl()
    name = f"{hashlib.sha256(bare.encode()).hexdigest()[:16]}.lock"
    handle = os.open(sweep / "offsets" / name, os.O_RDWR | os.O_CREAT, durable.PRIVATE_FILE)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(handle, 1_000, 0).decode(errors="replace").strip()
            raise TurnTaken(
                f"{sweep.name} is being published there by {owner or 'another process'}"
            ) from error
        os.ftruncate(handle, 0)
        since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        owner = f"process {os.getpid()} on {socket.gethostname()} since {since}"
        os.pwrite(handle, owner.encode(), 0)
        yield
    finally:
        os.close(handle)  # which gives the lock back
