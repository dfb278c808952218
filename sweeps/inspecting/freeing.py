"""Free the room that checkpoints of ended trials take, and what killed processes left behind."""

import math
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sweeps.storage.ledger import Ledger, Look
from sweeps.storage.records import LedgerError
from sweeps.storage.sweep_folder import SweepFolder, SweepLocked
from trainers.checkpoint import is_whole
from trainers.schema import InputError, shown

_ANSWERS = frozenset({"finished", "stopped"})  # of these, predictions can be asked

_Looks = Mapping[str, Look | None]  # None: the trial's files are damaged


@dataclass(frozen=True)
class Keep:
    """Of which ended trials the newest checkpoint stays: of all, of the best of a sweep, of none."""

    best: int | None  # None: of every trial that finished or was stopped

    @classmethod
    def parsed(cls, text: str) -> "Keep":
        """From `last`, `none` or `best:K`.

        Raises:
            InputError: it is none of them.
        """
        found = re.fullmatch(r"last|none|best:([1-9]\d{0,6})", text)
        if found is None:
            raise InputError(
                f"--keep: expected last, none or best:K with K at least 1, got {shown(text)}"
            )
        return cls(None if text == "last" else int(found[1] or 0))


@dataclass(frozen=True)
class Freed:
    """What was freed of one sweep, or of the trials that are in no sweep any more."""

    sweep: str  # empty: trials of no sweep
    checkpoints: int = 0
    leftovers: int = 0  # files half written, folders of dead drivers
    size_bytes: int = 0
    kept: int = 0  # checkpoints that stay, of ended trials
    forgotten: int = 0  # trials that lost their last checkpoint
    left_alone: str = ""  # why the sweep was not touched


def free(
    ledger: Ledger, name: str | None, keep: Keep, *, dry: bool, say: Callable[[str], None]
) -> tuple[Freed, ...]:
    """Free one sweep, or all of them and trials of none; the trials that are open stay as they are.

    A trial that several sweeps share keeps its checkpoint when one of them keeps it. While a sweep
    runs, none of its trials is touched; each sweep is locked meanwhile. A dry run writes nothing.

    Raises:
        InputError: there is no such sweep.
        SweepLocked: the sweep that was named runs.
    """
    sweeps = {each: ledger.sweep(each) for each in ledger.sweeps()}
    if name is not None:
        ledger.sweep(name).resolved()
    keys = {each: _keys(folder) for each, folder in sweeps.items()}
    looks = _looks(ledger, ledger.keys())
    kept: set[str] = set()
    for each, folder in sweeps.items():
        kept |= _kept(folder, keys[each], looks, keep)
    running = {each: folder.owner() for each, folder in sweeps.items()}
    busy = {key for each in sweeps if running[each] is not None for key in keys[each]}
    done: set[str] = set(busy)
    found: list[Freed] = []
    for each, folder in sweeps.items():
        if name not in {None, each}:
            continue
        try:
            with _locked(folder, running[each], say, dry=dry):
                own = [key for key in keys[each] if key not in done]
                done.update(own)
                found.append(_freed(ledger, each, own, looks, kept, dry=dry))
        except SweepLocked as error:
            if name is not None:
                raise
            found.append(Freed(each, left_alone=str(error)))
    if name is None:
        orphans = sorted(looks.keys() - {key for some in keys.values() for key in some})
        if keep.best is None:
            kept.update(key for key in orphans if _answers(looks[key]))
        found.append(_freed(ledger, "", orphans, looks, kept, dry=dry))
    return tuple(found)


def _keys(folder: SweepFolder) -> list[str]:
    try:
        return [trial["key"] for trial in folder.trials()]
    except LedgerError:  # nothing is freed of trials that a damaged list may name
        raise
    except InputError:  # a driver was killed before it had written the plan
        return []


def _looks(ledger: Ledger, keys: Iterable[str]) -> _Looks:
    looks: dict[str, Look | None] = {}
    for key in keys:
        try:
            looks[key] = ledger.trial(key).look()
        except LedgerError:  # what it says of its end is not to be believed
            looks[key] = None
        except InputError:  # no trial, but somebody's own folder
            continue
    return looks


def _answers(look: Look | None) -> bool:
    return look is not None and look.ending is not None and look.ending.outcome.name in _ANSWERS


def _kept(folder: SweepFolder, keys: Sequence[str], looks: _Looks, keep: Keep) -> set[str]:
    """The trials of a sweep whose newest checkpoint stays."""
    if keep.best is None:
        return {key for key in keys if _answers(looks.get(key))}
    if not keep.best or not keys:
        return set()
    objective = folder.sweep().objective
    sign = 1 if objective.mode == "min" else -1
    ranked: list[tuple[float, str]] = []
    for key in keys:
        look = looks.get(key)
        if look is None or look.ending is None or look.ending.outcome.name != "finished":
            continue
        value = look.ending.outcome.metrics.get(objective.metric)
        if value is not None and not math.isnan(value):
            ranked.append((sign * value, key))
    return {key for _, key in sorted(ranked)[: keep.best]}


@contextmanager
def _locked(
    folder: SweepFolder, owner: str | None, say: Callable[[str], None], *, dry: bool
) -> Iterator[None]:
    if dry:
        if owner is not None:
            raise SweepLocked(f"sweep {folder.path.name} is run by {owner}")
        yield
    else:
        with folder.lock(say):
            yield


def _freed(
    ledger: Ledger, sweep: str, keys: Iterable[str], looks: _Looks, kept: set[str], *, dry: bool
) -> Freed:
    checkpoints: list[Path] = []
    leftovers: list[Path] = []
    stay = forgotten = 0
    for key in keys:
        look = looks.get(key)
        if look is None or look.ending is None or look.ending.outcome.name == "failed":
            continue  # open, or damaged
        folder = ledger.trial(key)
        attempts = folder.attempts()
        markers = [path for each in attempts for path in each.glob("checkpoint-*.json")]
        newest = _newest(markers, key) if key in kept else None
        stay += newest is not None
        forgotten += bool(markers) and newest is None
        for marker in markers:
            if marker != newest:  # the marker first: a `.pt` alone is no checkpoint
                checkpoints += [marker, marker.with_suffix(".pt")]
        for each in (folder.path, *attempts):
            leftovers += each.glob(".*.tmp")
            leftovers += [
                path
                for path in each.glob("checkpoint-*.pt")
                if not path.with_suffix(".json").exists()
            ]
    if sweep:
        home = ledger.sweep(sweep).path
        leftovers += [*home.glob(".*.tmp"), *home.glob("ray-*")]
    size_bytes = sum(map(_size_bytes, (*checkpoints, *leftovers)))
    if not dry:
        for path in (*checkpoints, *leftovers):
            _remove(path)
    return Freed(sweep, len(checkpoints) // 2, len(leftovers), size_bytes, stay, forgotten)


def _newest(markers: Sequence[Path], key: str) -> Path | None:
    """The newest checkpoint that is whole; only where there is a choice is it read to see that."""
    ordered = sorted(markers, key=lambda path: (len(path.name), path.name), reverse=True)
    if len(ordered) < 2:
        return ordered[0] if ordered else None
    return next((marker for marker in ordered if is_whole(marker, key)), ordered[0])


def _size_bytes(path: Path) -> int:
    if path.is_symlink():
        return 0
    if path.is_dir():
        return sum(_size_bytes(each) for each in path.iterdir())
    return path.stat().st_size if path.exists() else 0


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
