"""Where the trials of a plan stand in the storage: new, resumable, ended, or listed by other sweeps too."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from sweeps.storage.ledger import Ledger, Look, TrialFolder
from sweeps.storage.records import LedgerDamaged
from trainers.checkpoint import newest_fingerprint
from trainers.engine.execution import Execution, execution_of
from trainers.schema import InputError

State = Literal["new", "resumable", "finished", "diverged", "stopped", "failed"]

OPEN: frozenset[State] = frozenset({"new", "resumable", "failed", "stopped"})
"""What is left to train; a failed trial is tried again, and one that a search has stopped goes on."""


@dataclass(frozen=True)
class Standing:
    """How far a trial is."""

    state: State
    steps_done: int


def standing(look: Look | None) -> Standing:
    """What a look into the ledger says; None for a trial that was never begun."""
    if look is None:
        return Standing("new", 0)
    if look.ending is None:
        return Standing("resumable" if look.checkpoint_step else "new", look.checkpoint_step)
    outcome = look.ending.outcome
    if outcome.name == "failed":
        return Standing("failed", look.checkpoint_step)
    return Standing(outcome.name, outcome.step)


def begun_in(folder: TrialFolder) -> Execution | None:
    """The execution in which a trial began that would go on, or whose points would come again.

    None before it has written any.

    Raises:
        LedgerDamaged: the start of an attempt has changed since it was written.
    """
    attempts = folder.attempts()
    if not attempts:
        return None
    saved, written = newest_fingerprint(attempts, folder.path.name), folder.last_written()
    then = saved or (None if written is None else written.fingerprint)
    if then is None:
        return None
    try:
        return execution_of(then.get("execution", Execution().words))
    except ValueError as error:
        raise LedgerDamaged(f"{folder.path}: {error}") from error


def shared_with(ledger: Ledger, sweep: str, keys: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """The names of other sweeps in the storage that list a trial too; trials of one sweep are left out.

    A sweep whose list cannot be read is passed over: it says so itself when it is planned.
    """
    wanted = frozenset(keys)
    found: dict[str, tuple[str, ...]] = {}
    for name in ledger.sweeps():
        if name == sweep:
            continue
        for key in wanted & _listed(ledger, name):
            found[key] = (*found.get(key, ()), name)
    return found


def _listed(ledger: Ledger, name: str) -> frozenset[str]:
    try:
        return frozenset(trial["key"] for trial in ledger.sweep(name).trials())
    except InputError:  # a folder that no launch has filled
        return frozenset()
