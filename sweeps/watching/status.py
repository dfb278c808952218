"""Where sweeps stand, from the ledger alone, as a person reads it and as one JSON document."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from sweeps.spec import from_resolved
from sweeps.storage.ledger import Ledger
from sweeps.watching.progress import show
from sweeps.watching.watch import Watch


def status_document(ledger: Ledger, names: Sequence[str]) -> list[dict[str, Any]]:
    """What `status --json` prints: each sweep, who runs it, and where each trial stands."""
    document: list[dict[str, Any]] = []
    for name in names:
        folder = ledger.sweep(name)
        trials: list[dict[str, Any]] = []
        for trial in folder.trials():
            outcome = ledger.trial(trial["key"]).outcome()
            points = ledger.trial(trial["key"]).points()
            trials.append(
                {
                    "key": trial["key"],
                    "point": trial["point"],
                    "replicate": trial["replicate"],
                    "state": outcome.name if outcome else "open",
                    "reason": outcome.reason if outcome else "",
                    "step": points[-1].step if points else 0,
                    "steps": trial["steps"],
                }
            )
        counts = Counter(trial["state"] for trial in trials)
        document.append(
            {"sweep": name, "run_by": folder.owner(), "counts": dict(counts), "trials": trials}
        )
    return document


def show_status(ledger: Ledger, names: Sequence[str], console: Console) -> None:
    """Every named sweep as one screen, from the ledger alone."""
    if not names:
        console.print(f"no sweep has been launched into {ledger.root}")
    for name in names:
        folder = ledger.sweep(name)
        sweep = from_resolved(folder.resolved())
        console.print(show(Watch(ledger, sweep, folder.trials()).snapshot()))
        owner = folder.owner()
        console.print(f"run by {owner}" if owner else "no driver runs it", style="dim")
