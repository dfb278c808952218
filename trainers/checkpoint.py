"""The full state of one trial on disk: whole or not at all, and checked before it is believed."""

import errno
import hashlib
import io
import json
import os
import pickle
import platform
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch

from trainers.config import NUMERICS
from trainers.engine.execution import Execution
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


@dataclass(frozen=True)
class Found:
    """The checkpoint from which a trial goes on, and those that were passed over."""

    saved: Saved | None
    fingerprint: dict[str, str] = field(default_factory=dict[str, str])  # where it was written
    damaged: tuple[Damaged, ...] = ()


def fingerprint(execution: Execution = Execution()) -> dict[str, str]:  # noqa: B008 - frozen
    """What beside the config decides the bits of a trial in this process; `prepare` comes first."""
    on_gpu = torch.cuda.is_available()
    return {
        "execution": execution.words,
        "code": code_hash(),
        "torch": torch.__version__,
        "numerics": str(NUMERICS),
        "threads": str(torch.get_num_threads()),
        "machine": platform.machine(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "mkl": os.environ.get("MKL_CBWR", ""),
        "gpu": torch.cuda.get_device_name() if on_gpu else "",
    }


_UNNAMED = {"execution": Execution().words}
"""What a fingerprint that does not name it had, because there was nothing else then."""

PORTABLE = frozenset({"code", "torch", "numerics", "execution"})
"""What of a fingerprint one machine can say of another on which the same program is installed."""


@cache
def code_hash() -> str:
    """A hash of all sources of this package, but for those that a training loop does not import."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        name = file.relative_to(package).as_posix()
        if name not in BESIDE_TRAINING:
            digest.update(f"{name} {file.stat().st_size} ".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


BESIDE_TRAINING = frozenset({"checkpoint.py", "measure.py", "memory.py", "predict.py"})
"""Sources that decide no number of a trial."""


def difference(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What has changed from one fingerprint to another, in words; empty when nothing has."""
    had = {**_UNNAMED, **then}
    return ", ".join(
        f"{name} {had.get(name) or 'unknown'} -> {now.get(name) or 'none'}"
        for name in now
        if had.get(name, "") != now[name]
    )


def write_checkpoint(
    folder: Path,
    saved: Saved,
    execution: Execution = Execution(),  # noqa: B008 - frozen
) -> Path:
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
        "fingerprint": fingerprint(execution),
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
    found = find_checkpoint(folders, key)
    return found.saved, found.damaged


def find_checkpoint(folders: Iterable[Path], key: str) -> Found:
    """As `newest_checkpoint`, with what decided the bits of what was found."""
    damaged: list[Damaged] = []
    for marker in _newest_first(folders):
        try:
            record = _read_marker(marker, key)
            return Found(_read(marker, record), _named(record["fingerprint"]), tuple(damaged))
        except _UNREADABLE as error:
            damaged.append(Damaged(marker.with_suffix(".pt"), " ".join(str(error).split())[:200]))
    return Found(None, damaged=tuple(damaged))


def newest_fingerprint(folders: Iterable[Path], key: str) -> dict[str, str] | None:
    """What decided the bits of the newest checkpoint, from its record alone; None without one."""
    for marker in _newest_first(folders):
        try:
            return _named(_read_marker(marker, key)["fingerprint"])
        except _UNREADABLE:  # as when it is resumed: the one before serves
            continue
    return None


def is_whole(marker: Path, key: str) -> bool:
    """Whether a checkpoint is what its record says; its numbers are not read."""
    try:
        record = _read_marker(marker, key)
        return hashlib.sha256(_content(marker.with_suffix(".pt"))).hexdigest() == record["sha256"]
    except _UNREADABLE:  # then it is not
        return False


def _newest_first(folders: Iterable[Path]) -> list[Path]:
    markers = [marker for folder in folders for marker in folder.glob("checkpoint-*.json")]
    return sorted(markers, key=_age, reverse=True)


def _read_marker(marker: Path, key: str) -> dict[str, Any]:
    """The record that commits a checkpoint.

    Raises:
        ValueError: it is not as it was written, or of another trial. Others of `_UNREADABLE`.

    """
    written = _content(marker)
    record = json.loads(written)
    found = record["format"], record["key"]
    if found != (FORMAT, key):
        raise ValueError(f"expected format {FORMAT} of trial {key}, got {found[0]} of {found[1]}")
    del record["seal"]
    if written != _sealed(record):
        raise ValueError(f"expected {marker.name} as it was written, got another seal or layout")
    return record


def _read(marker: Path, record: Mapping[str, Any]) -> Saved:
    """The state that a record commits.

    Raises:
        ValueError: it is not what its record says. Others of `_UNREADABLE`: torch cannot read it.

    """
    content = _content(marker.with_suffix(".pt"))
    found = hashlib.sha256(content).hexdigest()
    if found != record["sha256"]:
        raise ValueError(f"expected sha256 {record['sha256'][:12]}, got {found[:12]}")
    with warnings.catch_warnings():  # of what it refuses: who asked is told so in our own words
        warnings.simplefilter("ignore")
        state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    return Saved(record["key"], int(record["step"]), state["tensors"], state["numbers"])


def _content(path: Path) -> bytes:
    """The bytes of a file; a symbolic link is not followed, as it may lead anywhere."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError(f"expected {path.name} to be a file, got a symbolic link") from error
        raise
    with os.fdopen(handle, "rb") as file:
        return file.read()


def _named(fingerprint: Mapping[Any, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in fingerprint.items()}


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
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(handle, left) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        temporary.replace(path)
    except OSError:  # the disk is full, say: what was begun gives its space back
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
