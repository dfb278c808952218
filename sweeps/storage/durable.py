"""Files that survive a kill at any moment: whole or not there, and on the disk when we say so."""

import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600

_TAIL_BYTES = 1 << 16


def make_folder(path: Path) -> None:
    """Create a folder, and the ones above it, readable by its owner alone."""
    if path.is_dir():
        return
    make_folder(path.parent)
    # Another process may have made it in between; a file of that name is still an error below.
    with suppress(FileExistsError):
        path.mkdir(mode=PRIVATE_FOLDER)
        sync_folder(path.parent)
    if not path.is_dir():
        raise NotADirectoryError(f"{path}: expected a folder, got a file")


def write_new(path: Path, data: bytes) -> bool:
    """Create a file whole, or not at all; False when a file of that name was there first."""
    temporary = _written_beside(path, data)
    try:
        os.link(temporary, path)
        created = True
    except FileExistsError:
        # NFS may repeat a link that has succeeded and report the repetition.
        created = os.path.samefile(temporary, path)
    finally:
        temporary.unlink()
    sync_folder(path.parent)
    return created


def write_over(path: Path, data: bytes) -> None:
    """Replace a file, or create it: a reader sees the old content or the new one, never half."""
    temporary = _written_beside(path, data)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink()
        raise
    sync_folder(path.parent)


def append(path: Path, data: bytes) -> None:
    """Add whole lines to the end of a file with one write, and wait until they are on the disk.

    A line of an earlier append that was torn is cut off first; a file has one writer.
    """
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, PRIVATE_FILE)
    try:
        before = _without_torn_tail(handle)
        written = os.write(handle, data)
        if written < len(data):
            # Half a line must not stay in front of the next one: the disk was full, say.
            os.ftruncate(handle, before)
            raise OSError(f"{path}: expected to write {len(data)} bytes, {written} were taken")
        os.fsync(handle)
    finally:
        os.close(handle)
    if before == 0:  # its name may not be on the disk yet
        sync_folder(path.parent)


def _without_torn_tail(handle: int) -> int:
    """The size of a file of lines, after a last line without its end was cut off."""
    size = os.fstat(handle).st_size
    whole = size
    while whole and os.pread(handle, 1, whole - 1) != b"\n":
        start = max(0, whole - _TAIL_BYTES)
        whole = start + os.pread(handle, whole - start, start).rfind(b"\n") + 1
    if whole < size:
        os.ftruncate(handle, whole)
    return whole


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _written_beside(path: Path, data: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(handle, left) :]
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError:
        temporary.unlink()
        raise
    return temporary
