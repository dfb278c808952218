"""Halted: the sweep cannot go on, on any worker, until a person has seen to it."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sweeps.storage.records import LedgerError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class Halted(Exception):  # noqa: N818 - it reads as what has happened
    """One line that says why; what is written is whole, and the same command goes on."""


@contextmanager
def writing(path: Path, size_bytes: int) -> Iterator[None]:
    """Say which file could not be written, and how much room it needs, when the disk is full.

    Raises:
        Halted: there is no room for `size_bytes` in the folder of `path`, or nothing may be written.
    """
    try:
        yield
    except LedgerError:
        raise
    except OSError as error:
        free = shutil.disk_usage(path.parent).free
        if error.errno not in _FULL and free >= size_bytes:
            raise
        why = error.strerror or "no space left"
        raise Halted(
            f"{path}: could not write {size_bytes:,} bytes: {why.lower()}, {free:,} bytes are free;"
            " what is written is whole: make room, and the same command goes on"
        ) from error
