"""What trials have cost by the ledger, processor minutes and GPU hours; and with which code they ran."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Spent:
    """Seconds that one worker spent on a trial, and on what."""

    seconds: float
    on_gpu: bool
    machine: str  # the processor or the GPU, as it calls itself


@dataclass(frozen=True)
class Cost:
    """What trials took of their machines."""

    core_minutes: float = 0.0
    gpu_hours: float = 0.0

    @property
    def words(self) -> str:
        """As a person reads it; nothing where nothing was spent."""
        parts = [f"{self.core_minutes:,.1f} core-minutes"] if self.core_minutes else []
        parts += [f"{self.gpu_hours:,.2f} GPU-hours"] if self.gpu_hours else []
        return " and ".join(parts)


def spent(storage: Path, keys: Iterable[str]) -> dict[str, Spent]:
    """For each of these trials that was begun, what its attempts took; of a pack, its own part.

    Raises:
        LedgerError: the files of a trial are damaged.
    """
    from sweeps.storage.attempt import Attempt
    from sweeps.storage.ledger import Ledger

    ledger = Ledger(storage)
    found: dict[str, Spent] = {}
    for key in ledger.look(keys):
        folder = ledger.trial(key)
        attempts = folder.attempts()
        begun = Attempt(attempts[-1]).begun() if attempts else None
        if begun is None:
            continue
        gpu = begun.fingerprint.get("gpu", "")
        seconds = folder.wall_s() / max(1, begun.rows)
        found[key] = Spent(seconds, bool(gpu), gpu or begun.processor)
    return found


def cost(several: Mapping[str, Spent]) -> Cost:
    """The sum over trials, each of which is there once."""
    cpu = sum(one.seconds for one in several.values() if not one.on_gpu)
    gpu = sum(one.seconds for one in several.values() if one.on_gpu)
    return Cost(cpu / 60, gpu / 3600)


@dataclass(frozen=True)
class Code:
    """The code that ran, and what it rests on."""

    commit: str  # empty outside a git checkout
    dirty: bool
    versions: Mapping[str, str]


def code_now() -> Code:
    """The code of this process."""
    from sweeps.publishing.provenance import code_and_versions

    return _code(code_and_versions())


def code_of(storage: Path, sweep: str) -> Code:
    """The code that launched a sweep last; of one that was never launched, nothing."""
    from sweeps.publishing.provenance import read_provenance
    from sweeps.storage.ledger import Ledger

    return _code(read_provenance(Ledger(storage).sweep(sweep).path))


def _code(tags: Mapping[str, str]) -> Code:
    from sweeps.publishing.provenance import COMMIT, DIRTY

    prefix = "version."
    versions = {
        name.removeprefix(prefix): number
        for name, number in tags.items()
        if name.startswith(prefix)
    }
    return Code(tags.get(COMMIT, ""), tags.get(DIRTY) == "true", versions)
