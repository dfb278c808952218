"""How an attempt was left before its trial had ended: stopped, out of memory, hung and the like."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from sweeps.storage import durable
from sweeps.storage.records import LedgerDamaged, read_sealed, sealed
from trainers.schema import shown

LEFT_FILE = "left.json"

Cause = Literal["stopped", "terminated", "superseded", "memory", "error", "hung"]
"""`stopped`: the sweep was asked to end. `terminated`: this process was (SIGTERM: a preempted
machine). `superseded`: a newer attempt had begun. `error`: code of a trial raised in a pack of several.
An attempt that names no cause, and whose trial has no outcome, was cut off: its process was killed."""


@dataclass(frozen=True)
class Left:
    """Why an attempt ended without an outcome."""

    cause: Cause
    step: int  # how far training had come
    pack: int = 1  # trials that trained together
    words: str = ""


def write_left(attempt: Path, left: Left) -> None:
    """Write down why an attempt is over, over what was written before."""
    durable.write_over(attempt / LEFT_FILE, sealed(asdict(left)))


def read_left(attempt: Path) -> Left | None:
    """Why an attempt ended, or None when it did not say so.

    Raises:
        LedgerDamaged: the file has changed since it was written.
    """
    file = attempt / LEFT_FILE
    record = read_sealed(file)
    if record is None:
        return None
    try:
        left = Left(**record)
    except TypeError as error:
        raise LedgerDamaged(f"{file}: expected why an attempt was left, got {error}") from error
    if left.cause not in get_args(Cause):
        known = ", ".join(get_args(Cause))
        raise LedgerDamaged(f"{file}: expected one of {known}, got {shown(left.cause)}")
    return left
