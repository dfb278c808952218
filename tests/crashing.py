"""A disk whose user can be killed at any call, and whose power can fail: for what must survive that.

Every call that changes something goes through it. Killed, a process does nothing any more. When the power
fails, what was written and not synced is gone in part: the last names that were made, replaced or removed,
and the ends of files.
"""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

CALLS = ("open", "write", "fsync", "ftruncate", "link", "replace", "mkdir", "unlink", "close")


class Killed(BaseException):
    """The process is no more; nothing can catch it."""


class Disk:
    """Below `root`, the calls of one process at a time."""

    def __init__(self, root: Path, backup: Path) -> None:
        self.calls = 0
        self._root, self._backup = root, backup
        self._real = {name: getattr(os, name) for name in CALLS}
        self._kill_at = 0
        self._done_first = False
        self._dead = False
        self._paths: dict[int, Path] = {}  # of open files
        self._names: list[tuple[Path, Callable[[], None]]] = []  # folder, how to undo; not synced
        self._synced: dict[int, int] = {}  # by inode: bytes that survive; all when not in here
        # of earlier processes: their names and files that are not synced
        self._before: tuple[frozenset[int], frozenset[int]] = (frozenset(), frozenset())

    @contextmanager
    def process(self, kill_at: int = 0, *, done_first: bool = False) -> Iterator[None]:
        """A process that is killed at its call number `kill_at`, before or after the call is done."""
        self._kill_at, self._done_first = kill_at, done_first
        self.calls, self._dead = 0, False
        self._before = frozenset(map(id, self._names)), frozenset(self._synced)
        hooks: dict[str, Any] = {name: getattr(self, f"_{name}") for name in CALLS}
        with patch.multiple(os, **hooks):
            yield

    def fail_power(self, chance: random.Random) -> None:
        """Lose what was not synced: a few of the last names, and the ends of files."""
        found = {
            path.stat().st_ino: path for path in self._root.rglob("*") if path.is_file()
        }  # before names are lost
        for inode, size in self._synced.items():
            if inode in found:
                os.truncate(found[inode], chance.randint(size, found[inode].stat().st_size))
        stays = chance.randint(0, len(self._names))
        for _, undo in reversed(self._names[stays:]):
            undo()
        self._names.clear()
        self._synced.clear()

    def unsynced(self) -> list[Path]:
        """What of the last process is not on the disk, but for removals, whose loss harms nothing."""
        names, files = self._before
        inodes = {path.stat().st_ino: path for path in self._root.rglob("*") if path.is_file()}
        folders = [
            each[0]
            for each in self._names
            if id(each) not in names and each[1].__name__ != "bring_back"
        ]
        return folders + [inodes[inode] for inode in self._synced.keys() - files if inode in inodes]

    def _call(self, work: Callable[[], Any], halfway: Callable[[], Any] | None = None) -> Any:
        if self._dead:
            raise Killed
        self.calls += 1
        if self.calls != self._kill_at:
            return work()
        self._dead = True
        if self._done_first:
            work()
        elif halfway is not None:
            halfway()
        raise Killed

    def _open(self, path: Any, flags: int, *rest: Any, **named: Any) -> int:
        def work() -> int:
            is_new = bool(flags & os.O_CREAT) and not os.path.lexists(path)
            handle = self._real["open"](path, flags, *rest, **named)
            self._paths[handle] = Path(path)
            if is_new:
                self._names.append((Path(path).parent, lambda: self._drop(Path(path))))
            if flags & os.O_TRUNC:
                self._synced[os.fstat(handle).st_ino] = 0
            return handle

        return self._call(work) if flags & (os.O_CREAT | os.O_TRUNC) else work()

    def _write(self, handle: int, data: Any) -> int:
        inode, size = os.fstat(handle).st_ino, os.fstat(handle).st_size
        self._synced.setdefault(inode, size)
        half = len(data) // 2
        return self._call(
            lambda: self._real["write"](handle, data),
            lambda: self._real["write"](handle, bytes(data)[:half]),
        )

    def _fsync(self, handle: int) -> None:
        def work() -> None:
            path = self._paths[handle]
            self._synced.pop(os.fstat(handle).st_ino, None)
            self._names = [each for each in self._names if each[0] != path]

        self._call(work)

    def _ftruncate(self, handle: int, size: int) -> None:
        self._call(lambda: self._real["ftruncate"](handle, size))

    def _link(self, source: Any, target: Any, **named: Any) -> None:
        def work() -> None:
            self._real["link"](source, target, **named)
            self._names.append((Path(target).parent, lambda: self._drop(Path(target))))

        self._call(work)

    def _replace(self, source: Any, target: Any, **named: Any) -> None:
        source, target = Path(source), Path(target)

        def work() -> None:
            old = self._kept(target)
            self._real["replace"](source, target, **named)

            def undo() -> None:
                if target.exists():
                    self._real["replace"](target, source)
                if old is not None and source.parent.exists():
                    self._real["link"](old, target)

            self._names.append((target.parent, undo))

        self._call(work)

    def _mkdir(self, path: Any, *rest: Any, **named: Any) -> None:
        def work() -> None:
            self._real["mkdir"](path, *rest, **named)
            self._names.append((Path(path).parent, lambda: self._drop(Path(path))))

        self._call(work)

    def _unlink(self, path: Any, **named: Any) -> None:
        path = Path(path)

        def work() -> None:
            old = self._kept(path)
            self._real["unlink"](path, **named)

            def bring_back() -> None:
                if old is not None and path.parent.exists() and not path.exists():
                    self._real["link"](old, path)

            self._names.append((path.parent, bring_back))

        self._call(work)

    def _close(self, handle: int) -> None:
        self._paths.pop(handle, None)
        self._real["close"](handle)

    def _kept(self, path: Path) -> Path | None:
        """Another name of a file, so that its content can be brought back."""
        if not path.exists():
            return None
        kept = self._backup / str(len(list(self._backup.iterdir())))
        self._real["link"](path, kept)
        return kept

    def _drop(self, path: Path) -> None:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
