"""Every node of a cluster is looked at before the first trial: its storage folder, its software."""

import hashlib
import importlib.metadata
import os
import platform
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweeps.running.cluster import (
    Node,
    can_train,
    cluster,
    nodes,
    worker_count,
)
from sweeps.storage import durable
from sweeps.workers import Workers
from trainers.schema import InputError

_ANSWER_S = 60.0  # a worker process starts in seconds; a network folder that hangs never answers
_NEEDED_BYTES = 1_000_000_000
_PACKAGES = ("trainers", "sweeps")  # beside each other, wherever they are installed
_DRIVER = "driver"


@dataclass(frozen=True)
class Seen:
    """What a node says of itself and of the storage folder."""

    versions: dict[str, str]
    read: str  # what lies in the driver's file, as seen from there
    written: str  # what went wrong when a file of its own was written; "" when nothing did
    user: int  # who writes there
    owner: int  # of the driver's file, as seen from there; -1 where there is none
    free_bytes: int


def checked(address: str, storage: Path, wanted: Workers) -> int:
    """Look at every node that may train, and return how many workers there will be.

    A task on each reads a file of this process in the storage folder and writes one that is read back
    here; its Python, torch, Ray and code must be those of this machine. The tracker is no concern of a
    node: only this process publishes, and workers never talk to MLflow.

    Raises:
        InputError: a node does not see the storage folder as this machine does, may not write there,
            has other software, or does not answer; nothing is left behind in the folder.
    """
    with cluster(address, workers=0):
        count = worker_count(wanted)
        with _canary(storage) as (folder, word):
            training = [node for node in nodes() if can_train(node)]
            problems = _problems(training, folder, word)
    if problems:
        others = f"; {len(problems) - 1} more nodes have problems too" if problems[1:] else ""
        raise InputError(f"--address {address}: {problems[0]}{others}")
    return count


def findings(address: str, storage: Path) -> list[tuple[str, str, str]]:
    """For `doctor`: what each kind of node has to train on, and what is wrong with a node.

    Raises:
        InputError: nothing answers at the address, or the storage folder cannot be written.
    """
    with cluster(address, workers=0), _canary(storage) as (folder, word):
        found = nodes()
        problems = _problems([node for node in found if can_train(node)], folder, word)
    kinds = Counter((node.cpus, node.gpus, node.kind) for node in found)
    lines = [("nodes", f"{number} with {_what(*kind)}", "") for kind, number in kinds.most_common()]
    return [*lines, *(("nodes", "", problem) for problem in problems)]


def _what(cpus: float, gpus: float, kind: str | None) -> str:
    processors = f"{cpus:g} processors" if cpus else "no processors: it drives"
    return processors if not gpus else f"{gpus:g} GPUs of the kind {kind} and {processors}"


def look(folder: str, name: str) -> Seen:
    """What this node sees of the canary's folder; writes a file `name` into it."""
    driver = Path(folder) / _DRIVER
    read, owner = "", -1
    try:
        read, owner = driver.read_text(), driver.stat().st_uid
    except OSError as error:
        read = error.strerror or str(error)
    written, free = "", 0
    try:
        free = shutil.disk_usage(folder).free
        (Path(folder) / name).write_text(name)
    except OSError as error:
        written = error.strerror or str(error)
    return Seen(versions(), read, written, os.getuid(), owner, free)


def versions() -> dict[str, str]:
    """The software that decides what a trial gives and whether a worker can be spoken to."""
    found = {"python": platform.python_version(), "code": _code()}
    for package in ("torch", "ray"):
        found[package] = importlib.metadata.version(package)
    return found


def _problems(training: list[Node], folder: Path, word: str) -> list[str]:
    task = ray.remote(num_cpus=0, max_retries=0)(look)
    asked = {
        task.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.number, soft=False)
        ).remote(str(folder), node.number): node
        for node in training
    }
    here = versions()
    problems: list[str] = []
    ray.wait(list(asked), num_returns=len(asked), timeout=_ANSWER_S)
    for answer, node in asked.items():
        try:
            seen: Seen = ray.get(answer, timeout=0.1)  # pyright: ignore[reportArgumentType]
        except GetTimeoutError:
            problem = f"no answer within {_ANSWER_S:g} s; the storage folder may hang there"
        except RayError as error:
            words = str(error).strip().splitlines() or [type(error).__name__]
            problem = f"expected lawsweep to be installed there as it is here: {words[-1][:200]}"
        else:
            problem = _problem(seen, here, folder, node.number, word)
        if problem:
            problems.append(f"node {node.name}: {problem}")
    return problems


def _problem(seen: Seen, here: dict[str, str], folder: Path, name: str, word: str) -> str:
    """What is wrong with a node, in words; "" when nothing is."""
    storage = folder.parent
    if seen.read != word:
        return (
            f"expected to see the storage folder {storage} of this machine, got"
            f" {seen.read[:100]!r}; --storage must be a folder that every node sees"
        )
    if seen.written:
        return f"expected to write into {storage}, got: {seen.written}"
    if not (folder / name).exists():
        return f"expected its file in {storage} to be seen here; it has another folder of that name"
    if seen.user != seen.owner:
        return (
            f"expected the user who owns the files of {storage}, number {seen.owner} there,"
            f" got number {seen.user}"
        )
    if seen.free_bytes < _NEEDED_BYTES:
        return f"expected 1 GB free in {storage}, got {seen.free_bytes / 1e9:.1f}"
    for part, version in here.items():
        if seen.versions.get(part) != version:
            return f"expected {part} {version} as here, got {seen.versions.get(part, 'none')}"
    return ""


@contextmanager
def _canary(storage: Path) -> Iterator[tuple[Path, str]]:
    """A folder in the storage folder with a word in it, for as long as the block runs."""
    root = storage.resolve()
    missing = [each for each in (root, *root.parents) if not each.exists()]
    word = uuid4().hex
    folder = root / f".canary-{word}"
    try:
        durable.make_folder(folder)
    except OSError as error:
        raise InputError(
            f"--storage {storage}: expected a folder that you may write into: {error.strerror}"
        ) from error
    try:
        durable.write_new(folder / _DRIVER, word.encode())
        yield folder, word
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for each in missing:  # deepest first; a launch makes them again
            with suppress(OSError):  # somebody has put something there meanwhile
                each.rmdir()


def _code() -> str:
    """A short hash of the code of this installation."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for file in sorted(file for each in _PACKAGES for file in (root / each).rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]
