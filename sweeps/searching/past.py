"""What the ledger says of the trials that a search has suggested: all that a searcher may know."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sweeps.storage.ledger import Ledger
from trainers.result import Outcome

State = Literal["open", "finished", "diverged", "stopped", "failed"]


@dataclass(frozen=True)
class Past:
    """One suggestion and what came of it."""

    point: Mapping[str, Any]  # the fields of the space
    state: State  # open: begun, or waiting to begin
    value: float | None = None  # the objective of a trial that finished
    values: tuple[float, ...] = ()  # the objective at each report of one that was stopped


class Reader:
    """Reads how suggested trials stand; those that ended are read once."""

    def __init__(self, ledger: Ledger, metric: str) -> None:
        self._ledger = ledger
        self._metric = metric
        self._ended: dict[str, Past] = {}

    def past(self, trials: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[Past, ...]:
        """Keys and points of trials, with what came of them, in the same order.

        Raises:
            LedgerError: the files of a trial are damaged.
        """
        return tuple(self._one(key, point) for key, point in trials)

    def _one(self, key: str, point: Mapping[str, Any]) -> Past:
        if key not in self._ended:
            outcome = self._ledger.trial(key).outcome()
            if outcome is None:
                return Past(point, "open")
            self._ended[key] = self._of(key, point, outcome)
        return self._ended[key]

    def _of(self, key: str, point: Mapping[str, Any], outcome: Outcome) -> Past:
        metric = self._metric
        if outcome.name == "finished":
            value = outcome.metrics.get(metric, math.nan)
            return Past(point, "finished", value if math.isfinite(value) else None)
        if outcome.name == "stopped":
            points = self._ledger.trial(key).points()
            found = [each.values.get(metric, math.nan) for each in points]
            return Past(
                point, "stopped", values=tuple(each for each in found if math.isfinite(each))
            )
        return Past(point, outcome.name)
