"""The full state of one trial on disk: whole or not at all, and checked before it is believed."""

import hashlib
import io
import json
import os
import pickle
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainers.config import NUMERICS
from trainers.result import Saved

FORMAT = 1
KEPT = 2  # checkpoints of a trial: if the newest is damaged, the one before serves


_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    EOFError,
    RuntimeError,
    pickle.UnpicklingError,
)
"""What reading a file with any content at all can raise."""


@dataclass(frozen=True)
class Damaged:
    """A checkpoint that was passed over, and why."""

    path: Path
    reason: str


def fingerprint() -> dict[str, str]:
    """What beside the config decides the bits of a trial on this machine."""
    return {
        "torch": torch.__version__,
        "numerics": str(NUMERICS),
        "threads": str(torch.get_num_threads()),
        "machine": platform.machine(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "mkl": os.environ.get("MKL_CBWR", ""),
    }


def write_checkpoint(folder: Path, saved: Saved) -> Path:
    """Write one checkpoint and drop all but the newest two; the `.json` commits the `.pt`."""
    buffer = io.BytesIO()
    torch.save({"tensors": saved.tensors, "numbers": saved.numbers}, buffer)
    content = buffer.getvalue()
    path = folder / f"checkpoint-{saved.step:08d}.pt"
    record = {
        "format": FORMAT,
        "key": saved.key,
        "step": saved.step,
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "fingerprint": fingerprint(),
    }
    _replace(path, content)
    _replace(path.with_suffix(".json"), _sealed(record))
    for old in sorted(folder.glob("checkpoint-*.json"), key=_age)[:-KEPT]:
        old.unlink()  # the commit marker first: a `.pt` alone is no checkpoint
    for alone in folder.glob("checkpoint-*.pt"):
        if not alone.with_suffix(".json").exists():
            alone.unlink()
    return path


def newest_checkpoint(
    folders: Iterable[Path], key: str
) -> tuple[Saved | None, tuple[Damaged, ...]]:
    """The valid checkpoint with the most steps in a trial's attempts, and those passed over."""
    markers = [marker for folder in folders for marker in folder.glob("checkpoint-*.json")]
    damaged: list[Damaged] = []
    for marker in sorted(markers, key=_age, reverse=True):
        try:
            return _read(marker, key), tuple(damaged)
        except _UNREADABLE as error:
            damaged.append(Damaged(marker.with_suffix(".pt"), " ".join(str(error).split())[:200]))
    return None, tuple(damaged)


def _read(marker: Path, key: str) -> Saved:
    """Read one checkpoint.

    Raises:
        ValueError: it is not what its record says. Others of `_UNREADABLE`: torch cannot read it.

    """
    written = marker.read_bytes()
    record = json.loads(written)
    found = record["format"], record["key"]
    if found != (FORMAT, key):
        raise ValueError(f"expected format {FORMAT} of trial {key}, got {found[0]} of {found[1]}")
    del record["seal"]
    if written != _sealed(record):
        raise ValueError(f"expected {marker.name} as it was written, got another seal or layout")
    content = marker.with_suffix(".pt").read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != record["sha256"]:
        raise ValueError(f"expected sha256 {record['sha256'][:12]}, got {found[:12]}")
    state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    return Saved(key, int(record["step"]), state["tensors"], state["numbers"])


def _sealed(record: dict[str, Any]) -> bytes:
    """A record as JSON that carries its own checksum: a flipped bit must not change the step."""
    seal = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    return json.dumps({**record, "seal": seal}, indent=2).encode()


def _age(path: Path) -> tuple[int, str, str]:
    """Order by step: a step of nine digits comes after every step of eight."""
    return len(path.name), path.name, str(path)


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole, or the old one is, whenever the power fails."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
