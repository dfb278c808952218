"""Drift: code, torch, machine or execution have changed since a trial was left, so its bits would, too."""

from collections import Counter
from collections.abc import Iterable, Mapping

from sweeps.planning.standing import begun_in
from sweeps.storage.ledger import Ledger, TrialFolder
from sweeps.storage.start import Drift
from trainers.checkpoint import PORTABLE, Found, difference, fingerprint, newest_fingerprint
from trainers.engine.execution import Execution, Mode
from trainers.machine import prepare
from trainers.schema import InputError

_MOST_REASONS = 2


class Drifted(InputError):  # noqa: N818 - it reads as what has happened
    """Open trials would go on under other code, torch or machine than that which began them."""


def drift_of(folder: TrialFolder, found: Found, execution: Execution) -> Drift | None:
    """What has changed since the state from which the trial would go on; None when nothing has."""
    then = found.fingerprint if found.saved is not None else None
    words = _words(folder, then, fingerprint(execution))
    step = 0 if found.saved is None else found.saved.step
    return Drift(words, step) if words else None


def refuse_drift(
    ledger: Ledger,
    keys: Iterable[str],
    *,
    trains_here: bool,
    mode: Mode | None = None,
) -> None:
    """Look at those of these trials that are open, before anything is written.

    Where other machines train, each of them looks at its own processor and threads. Each goes on in
    the execution in which it began, unless another `mode` is asked for.

    Raises:
        Drifted: one line with what has changed, and for how many trials.
        LedgerError: the files of a trial are damaged.
    """
    prepare()
    now = fingerprint()
    if not trains_here:
        now = {name: now[name] for name in now if name in PORTABLE}
    left = [
        key
        for key, look in ledger.look(keys).items()
        if look.ending is None or look.ending.outcome.name == "failed"
    ]
    found = Counter(_left_under(ledger.trial(key), key, now, mode) for key in left)
    del found[""]
    if not found:
        return
    reasons = "; ".join(words for words, _ in found.most_common(_MOST_REASONS))
    raise Drifted(
        f"expected to go on as {found.total():,} of the open trials began, got a change of {reasons}:"
        " with --allow-drift they go on all the same, and it is recorded"
    )


def _left_under(folder: TrialFolder, key: str, now: Mapping[str, str], mode: Mode | None) -> str:
    begun = begun_in(folder) or Execution()
    execution = begun if mode in (None, begun.mode) else Execution(mode)
    then = newest_fingerprint(folder.attempts(), key)
    return _words(folder, then, {**now, "execution": execution.words})


def _words(folder: TrialFolder, saved: Mapping[str, str] | None, now: Mapping[str, str]) -> str:
    """The difference to the newest checkpoint, and to whom wrote last, who may have gone on from it."""
    written = folder.last_written()
    then = [saved, None if written is None else written.fingerprint]
    words = [difference(each, now) for each in then if each]
    return next(filter(None, words), "")
