"""Small searches for tests, and trials of theirs as a worker leaves them in the ledger."""

import json
from collections.abc import Sequence
from typing import Any

from sweeps.planning.plan import PlannedTrial
from sweeps.searching.outline import Outline, outline
from sweeps.spec import Sweep
from sweeps.storage.attempt import Attempt
from sweeps.storage.ledger import Ledger
from tests.trials import square_fields
from trainers.result import Outcome, Point

SPACE: dict[str, Any] = {
    "optimizer.lr": {"kind": "log_uniform", "low": 1e-4, "high": 1e-1},
    "model.width": {"kind": "choice", "values": [4, 8]},
}


def searched(
    *, space: dict[str, Any] | None = None, trials: int = 10, name: str = "hunt", **changes: Any
) -> Sweep:
    """A search over the learning rate and the width of a small perceptron; `changes` of the sweep."""
    search = {"trials": trials, "space": SPACE if space is None else space}
    search |= changes.pop("search", {})
    fields = {
        "name": name,
        "trial": square_fields(evaluation={"points": 12, "examples": 40}),
        "search": search,
        "objective": {"metric": "test_loss", "mode": "min"},
        **changes,
    }
    return Sweep.model_validate_json(json.dumps(fields))


def outlined(sweep: Sweep) -> Outline:
    """The outline of a search."""
    assert sweep.search is not None
    return outline(sweep, sweep.search)


def report(ledger: Ledger, trial: PlannedTrial, losses: Sequence[float]) -> Attempt:
    """One attempt that has reported these losses, one after each step."""
    attempt = ledger.trial(trial.key).begin(trial.config.model_dump())
    for step, loss in enumerate(losses, start=1):
        attempt.append([Point(step, {"loss": loss, "test_loss": loss})], 1_000 * step)
    return attempt


def finish(ledger: Ledger, trial: PlannedTrial, losses: Sequence[float]) -> None:
    """A trial that trained to its end."""
    last = {"loss": losses[-1], "test_loss": losses[-1]}
    assert report(ledger, trial, losses).finish(Outcome("finished", len(losses), last))
