"""What of a sweep the tracker does not know yet, and how the sweep stands."""

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from sweeps.publishing.published import Update, thinned
from sweeps.spec import Objective
from sweeps.storage.curve import CurveReader, LedgerError, TimedPoint
from sweeps.storage.ledger import Attempt, Ending, Ledger


@dataclass(frozen=True)
class Standing:
    """How many trials of a sweep are where, and the best of those that finished."""

    total: int
    running: int  # begun and not ended
    finished: int
    diverged: int
    stopped: int
    failed: int
    trial_hours: float  # of the trials that ended, summed
    best: tuple[tuple[str, float], ...]  # keys and objectives, the best first

    @property
    def waiting(self) -> int:
        """Trials that nobody has begun."""
        return self.total - self.running - self.ended

    @property
    def ended(self) -> int:
        """Trials with an outcome, whatever it is."""
        return self.finished + self.diverged + self.stopped + self.failed


class Backlog:
    """Follows the trials of one sweep in the ledger; each byte of a curve is read once."""

    def __init__(
        self, ledger: Ledger, sweep: str, records: Sequence[Mapping[str, Any]], target: str
    ) -> None:
        self._ledger = ledger
        self._folder = ledger.sweep(sweep)
        self._target = target
        self._records = {record["key"]: record for record in records}
        self._sent = {
            key: step for key, step in self._folder.offsets(target).items() if key in self._records
        }
        self._saved = dict(self._sent)
        self._curves: dict[str, CurveReader] = {}
        self._finals: dict[str, _Final] = {}
        self._begun: frozenset[str] = frozenset()
        self._closed: set[str] = set()
        self.problems: dict[str, str] = {}  # trials whose files cannot be read, by key

    def updates(self) -> list[Update]:
        """Everything new, one update for each trial that has something."""
        self._begun = self._ledger.keys() & self._records.keys()
        self.problems = {}
        found: list[Update] = []
        for key in self._records:
            if key in self._begun and key not in self._closed:
                try:
                    found.append(self._update(key))
                except LedgerError as error:
                    self.problems[key] = str(error)
        return found

    def left(self) -> int:
        """How many points the tracker does not have."""
        return sum(len(update.points) for update in self.updates())

    def sent(self, key: str, step: int) -> None:
        """The tracker has confirmed all points of a trial up to this step."""
        self._sent[key] = max(step, self._sent.get(key, step))

    def closed(self, key: str) -> None:
        """The tracker has confirmed the outcome of a trial too; it is not looked at again."""
        self._closed.add(key)
        self._curves.pop(key, None)

    def outcome(self, key: str) -> str | None:
        """The name of a trial's outcome, if it has one."""
        final = self._final(key)
        return None if final is None else final.ending.outcome.name

    def confirm(self, key: str, latest: Mapping[str, float]) -> None:
        """Keep the offset of a trial only if the tracker's last values are those of that step.

        A tracker may have been emptied or set back; what it has already is dropped when it comes
        again, so all points are sent once more.
        """
        sent = self._sent.get(key)
        points = {point.step: point for point in self._curve(key).read()}
        if sent is not None and not (sent in points and _agrees(points[sent], latest)):
            del self._sent[key]

    def forget(self, keys: AbstractSet[str]) -> None:
        """The tracker has no runs of these trials: everything is sent from the start."""
        for key in keys:
            self._sent.pop(key, None)

    def save(self) -> None:
        """Store how far each trial has been published."""
        if self._sent != self._saved:
            self._folder.save_offsets(self._target, self._sent)
            self._saved = dict(self._sent)

    def standing(self, objective: Objective) -> Standing:
        """The sweep as the last look into the ledger saw it."""
        finals: dict[str, _Final] = {}
        for key in self._begun - self.problems.keys():
            try:
                final = self._final(key)
            except LedgerError as error:
                self.problems[key] = str(error)
                continue
            if final is not None:
                finals[key] = final
        names = [final.ending.outcome.name for final in finals.values()]
        return Standing(
            total=len(self._records),
            running=len(self._begun) - len(finals),
            finished=names.count("finished"),
            diverged=names.count("diverged"),
            stopped=names.count("stopped"),
            failed=names.count("failed"),
            trial_hours=sum(final.wall_s for final in finals.values()) / 3600,
            best=_ranked(finals, objective),
        )

    def _final(self, key: str) -> "_Final | None":
        """How a trial ended, read once."""
        if key not in self._finals:
            folder = self._ledger.trial(key)
            ending = folder.ended()
            if ending is None:
                return None
            self._finals[key] = _Final(ending, folder.last_metrics(), folder.wall_s())
        return self._finals[key]

    def _curve(self, key: str) -> CurveReader:
        return self._curves.setdefault(key, CurveReader(self._ledger.trial(key).path))

    def _update(self, key: str) -> Update:
        record, folder = self._records[key], self._ledger.trial(key)
        final = self._final(key)  # before the curve, so that the curve has all that came before
        curve = self._curve(key).read()
        kept = thinned(curve, record, ended=final is not None)
        attempts = folder.attempts()
        started_ms = Attempt(attempts[0]).started_ms() if attempts else None
        return Update(
            record=record,
            points=tuple(point for point in kept if point.step > self._sent.get(key, -1)),
            curve=curve,
            started_ms=started_ms or (curve[0].time_ms if curve else 0),
            ending=None if final is None else final.ending,
            wall_s=0.0 if final is None else final.wall_s,
        )


@dataclass(frozen=True)
class _Final:
    """What stays true of a trial that has ended."""

    ending: Ending
    metrics: dict[str, float]
    wall_s: float


def _agrees(point: TimedPoint, latest: Mapping[str, float]) -> bool:
    finite = {name: value for name, value in point.values.items() if math.isfinite(value)}
    return bool(finite) and all(latest.get(name) == value for name, value in finite.items())


def _ranked(finals: Mapping[str, _Final], objective: Objective) -> tuple[tuple[str, float], ...]:
    found = [
        (key, final.metrics[objective.metric])
        for key, final in finals.items()
        if final.ending.outcome.name == "finished"
        and math.isfinite(final.metrics.get(objective.metric, math.nan))
    ]
    sign = 1 if objective.mode == "min" else -1
    return tuple(sorted(found, key=lambda pair: (sign * pair[1], pair[0])))
