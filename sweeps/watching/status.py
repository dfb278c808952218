"""Where sweeps stand, from the ledger alone, as a person reads it and as one JSON document."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from sweeps.storage.ledger import Ledger
from sweeps.storage.records import LedgerError
from sweeps.watching.progress import show
from sweeps.watching.watch import Watch


def status_document(ledger: Ledger, names: Sequence[str]) -> list[dict[str, Any]]:
    """What `status --json` prints: each sweep, who runs it, and where each trial stands.

    A trial whose files are damaged has the state `damaged`, and hides no other.
    """
    document: list[dict[str, Any]] = []
    for name in names:
        folder = ledger.sweep(name)
        begun = ledger.keys()
        trials = [_standing(ledger, trial, trial["key"] in begun) for trial in folder.trials()]
        counts = Counter(trial["state"] for trial in trials)
        document.append(
            {"sweep": name, "run_by": folder.owner(), "counts": dict(counts), "trials": trials}
        )
    return document


def _standing(ledger: Ledger, trial: Mapping[str, Any], begun: bool) -> dict[str, Any]:
    state, reason, step = "open", "", 0
    if begun:
        folder = ledger.trial(trial["key"])
        try:
            outcome = folder.outcome()
            if outcome is not None:  # all that is wanted, so the curve is not read
                state, reason, step = outcome.name, outcome.reason, outcome.step
            else:
                step = max((point.step for point in folder.points()), default=0)
        except LedgerError as error:
            state, reason = "damaged", str(error)
    return {
        **{name: trial[name] for name in ("key", "point", "replicate")},
        "state": state,
        "reason": reason,
        "step": step,
        "steps": trial["steps"],
    }


def show_status(ledger: Ledger, names: Sequence[str], console: Console) -> None:
    """Every named sweep as one screen, from the ledger alone."""
    if not names:
        console.print(f"no sweep has been launched into {ledger.root}")
    for name in names:
        folder = ledger.sweep(name)
        sweep = folder.sweep()
        console.print(show(Watch(ledger, sweep, folder.trials()).snapshot()))
        owner = folder.owner()
        console.print(f"run by {owner}" if owner else "no driver runs it", style="dim")
