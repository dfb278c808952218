"""Small JSON objects that carry their own checksum, so that no changed byte is believed."""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainers.schema import InputError, shown

CHECK = "crc32"


class LedgerError(InputError):
    """The storage folder holds something that cannot be what was written."""


class LedgerDamaged(LedgerError):  # noqa: N818 - it reads as what has happened
    """A file whose bytes have changed since they were written."""


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """An object as a person can read it; equal objects give equal bytes."""
    return json.dumps(value, allow_nan=False, indent=1, sort_keys=True).encode() + b"\n"


def sealed(record: Mapping[str, Any]) -> bytes:
    """A record with the checksum of its content."""
    return json_bytes({**record, CHECK: _checksum(record)})


def read_object(file: Path) -> dict[str, Any] | None:
    """A JSON object, or None when there is no such file.

    Raises:
        LedgerDamaged: the file is not a JSON object.
    """
    text = read_whole(file)
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LedgerDamaged(f"{file}: expected JSON, got damaged text: {error}") from error
    if not isinstance(value, dict):
        raise LedgerDamaged(f"{file}: expected a JSON object, got {shown(value)}")
    return value


def read_sealed(file: Path) -> dict[str, Any] | None:
    """A record as it was sealed, without its checksum; None when there is no such file.

    Raises:
        LedgerDamaged: the file has changed since it was written.
    """
    record = read_object(file)
    if record is None:
        return None
    check = record.pop(CHECK, None)
    if check != _checksum(record):
        raise LedgerDamaged(f"{file}: expected the content as it was written, got a changed one")
    return record


def read_whole(file: Path) -> bytes | None:
    """The bytes of a small file, or None when there is none; half the price of `read_bytes`."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        parts = [os.read(handle, 1 << 16)]
        while parts[-1]:
            parts.append(os.read(handle, 1 << 20))
    finally:
        os.close(handle)
    return b"".join(parts)


def _checksum(record: Mapping[str, Any]) -> str:
    text = json.dumps(record, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return f"{zlib.crc32(text.encode()):08x}"
