"""One trial as the ledger shows it at one look; of an ended trial only the outcome is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweeps.storage.attempt import Attempt, Ending
from sweeps.storage.curve import CurveReader, TimedPoint
from sweeps.storage.ledger import TrialFolder
from sweeps.storage.left import read_left

_WITHOUT_VALUE = {
    "diverged",
    "failed",
}  # their objective is shown nowhere, so nothing is read for it


@dataclass(frozen=True)
class Seen:
    """One trial at the last look."""

    record: Mapping[str, Any]  # as `trials.json` has it
    step: int
    objective: float | None
    ending: Ending | None
    started_ms: int  # of its last attempt; 0 where that was not read
    last_ms: int  # when it last reported, or ended; 0 when it has not
    worker: tuple[str, int] | None  # host and process, while an attempt has not said that it ended

    @property
    def trained(self) -> float:
        """The share of its steps that are done."""
        return min(1.0, self.step / self.record["steps"])


def look_at(
    folder: TrialFolder,
    record: Mapping[str, Any],
    metric: str,
    curve: CurveReader,
    since_ms: int | None,
) -> Seen:
    """The trial now; `curve` goes on reading where it was.

    Raises:
        LedgerError: a file of the trial is damaged, or two attempts contradict each other.
    """
    ending = folder.ended()  # before the curve, so that the curve has all that came before
    if ending is not None:
        outcome = ending.outcome
        objective = outcome.metrics.get(metric)
        if objective is None and outcome.name not in _WITHOUT_VALUE:
            objective = _last(curve.read(), metric)
        attempts = folder.attempts() if since_ms is not None and ending.time_ms >= since_ms else ()
        started_ms = Attempt(attempts[-1]).started_ms() if attempts else None
        return Seen(record, outcome.step, objective, ending, started_ms or 0, ending.time_ms, None)
    points, attempts = curve.read(), folder.attempts()
    begun = Attempt(attempts[-1]).begun() if attempts else None
    open_now = begun is not None and read_left(attempts[-1]) is None
    return Seen(
        record,
        points[-1].step if points else 0,
        _last(points, metric),
        None,
        0 if begun is None else begun.time_ms,
        points[-1].time_ms if points else 0,
        (begun.host, begun.pid) if begun is not None and open_now else None,
    )


def _last(points: tuple[TimedPoint, ...], metric: str) -> float | None:
    found = (point.values[metric] for point in reversed(points) if metric in point.values)
    return next(found, None)
