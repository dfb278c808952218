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
    """A record, never empty, that begins with the checksum of all that follows."""
    rest = b'",\n' + json_bytes(record)[len(b"{\n") :]
    return _begin(rest) + rest


def read_object(file: Path | str) -> dict[str, Any] | None:
    """A JSON object, or None when there is no such file.

    Raises:
        LedgerDamaged: the file is not a JSON object.
    """
    text = read_whole(file)
    return None if text is None else _object(text, file)


def read_json(file: Path | str) -> Any:
    """What a JSON file holds, or None when there is no such file.

    Raises:
        LedgerDamaged: the file is not JSON.
    """
    text = read_whole(file)
    return None if text is None else json_value(text, file)


def json_value(text: bytes, file: Path | str) -> Any:
    """What some JSON of a file says.

    Raises:
        LedgerDamaged: it is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LedgerDamaged(f"{file}: expected JSON, got damaged text: {error}") from error


def read_sealed(file: Path | str) -> dict[str, Any] | None:
    """A record as it was sealed, without its checksum; None when there is no such file.

    Raises:
        LedgerDamaged: the file has changed since it was written.
    """
    text = read_whole(file)
    if text is None:
        return None
    begin, rest = text[:_CHECKED_FROM], text[_CHECKED_FROM:]
    if begin != _begin(rest):
        raise LedgerDamaged(f"{file}: expected the content as it was written, got a changed one")
    record = _object(text, file)
    del record[CHECK]
    return record


def _object(text: bytes, file: Path | str) -> dict[str, Any]:
    value = json_value(text, file)
    if not isinstance(value, dict):
        raise LedgerDamaged(f"{file}: expected a JSON object, got {shown(value)}")
    return value


def read_whole(file: Path | str) -> bytes | None:
    """The bytes of a small file, or None when there is none; half the price of `read_bytes`."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        parts = [os.read(handle, _AT_ONCE)]
        while len(parts[-1]) == _AT_ONCE:
            parts.append(os.read(handle, _AT_ONCE))
    finally:
        os.close(handle)
    return b"".join(parts)


def _begin(rest: bytes) -> bytes:
    """How a sealed record begins, of which `rest` follows."""
    return f'{{\n "{CHECK}": "{zlib.crc32(rest):08x}'.encode()


_CHECKED_FROM = len(_begin(b""))
_AT_ONCE = 1 << 16
