"""How an attempt began: when, where, on which machine, and what had changed since the one before."""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeps.storage import durable
from sweeps.storage.machine import processor
from sweeps.storage.records import CHECK, LedgerDamaged, read_object, read_sealed, sealed

START_FILE = "start.json"


@dataclass(frozen=True)
class Drift:
    """An allowed change of code, torch or machine in the middle of a trial."""

    words: str  # "torch 2.13.0 -> 2.14.0"
    from_step: int  # what earlier attempts wrote of later steps is superseded


@dataclass(frozen=True)
class Begun:
    """What an attempt wrote down when it began."""

    time_ms: int  # unix time
    host: str = ""
    pid: int = 0
    fingerprint: dict[str, str] = field(default_factory=dict[str, str])  # what decides its bits
    drift: Drift | None = None
    processor: str = ""
    rows: int = 0  # trials that trained at once, this one among them; 0 where that was not noted


def write_start(
    attempt: Path, fingerprint: Mapping[str, str], drift: Drift | None, rows: int = 0
) -> None:
    """Write down how an attempt begins, before it writes anything else."""
    record: dict[str, Any] = {
        "time_ms": time.time_ns() // 1_000_000,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "processor": processor(),
        "fingerprint": dict(fingerprint),
        "rows": rows,
    }
    if drift is not None:
        record["drift"] = {"words": drift.words, "from_step": drift.from_step}
    durable.write_new(attempt / START_FILE, sealed(record))


def read_start(attempt: Path) -> Begun | None:
    """How an attempt began, or None when that is not written down (yet).

    Raises:
        LedgerDamaged: the file has changed since it was written.
    """
    file = attempt / START_FILE
    record = read_object(file)
    if record is None:
        return None
    if CHECK in record or "drift" in record:
        record = read_sealed(file) or {}
    try:
        drift = record.get("drift")
        return Begun(
            int(record["time_ms"]),
            str(record.get("host", "")),
            int(record.get("pid", 0)),
            {str(name): str(value) for name, value in record.get("fingerprint", {}).items()},
            None if drift is None else Drift(str(drift["words"]), int(drift["from_step"])),
            str(record.get("processor", "")),
            int(record.get("rows", 0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LedgerDamaged(f"{file}: expected how an attempt began, got {error!r}") from error
