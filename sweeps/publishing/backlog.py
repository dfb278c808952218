"""What of a sweep the tracker does not know yet, and how the sweep stands."""

import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.publishing.published import LONGEST_TAG, Update, thinned
from sweeps.spec import Objective
from sweeps.storage.attempt import Attempt, Ending
from sweeps.storage.curve import CurveReader, TimedPoint
from sweeps.storage.ledger import Ledger
from sweeps.storage.records import LedgerError


@dataclass(frozen=True)
class Standing:
    """How many trials of a sweep are where, and the best of those that finished."""

    total: int
    running: int  # begun and not ended
    finished: int
    diverged: int
    stopped: int
    failed: int
    device_hours: float  # in which a worker trained; a pack of many trials takes its time once
    best: tuple[tuple[str, float], ...]  # keys and objectives, the best first

    @property
    def waiting(self) -> int:
        """Trials that nobody has begun."""
        return self.total - self.running - self.ended

    @property
    def ended(self) -> int:
        """Trials with an outcome, whatever it is."""
        return self.finished + self.diverged + self.stopped + self.failed


@dataclass(frozen=True)
class _Final:
    """What stays true of a trial that has ended: little, because there may be many."""

    name: str
    time_ms: int
    objective: float
    wall_s: float
    worker: str  # whose time it took


class Backlog:
    """Follows the trials of one sweep in the ledger; each byte of a growing curve is read once.

    Of a trial that has ended only a few numbers are kept, however long the tracker is away. Different
    trials may be asked for by several threads at once.
    """

    def __init__(
        self,
        ledger: Ledger,
        sweep: str,
        objective: Objective,
        records: Iterable[Mapping[str, Any]],
        target: str,
    ) -> None:
        self._ledger = ledger
        self._folder = ledger.sweep(sweep)
        self._objective = objective
        self._target = target
        self._records: dict[str, Mapping[str, Any]] = {}
        self._sent = self._folder.offsets(target)
        self._saved = dict(self._sent)
        self._curves: dict[str, CurveReader] = {}
        self._finals: dict[str, _Final] = {}
        self._begun: frozenset[str] = frozenset()
        self._closed: set[str] = set()
        self.problems: dict[str, str] = {}  # trials whose files cannot be read, by key
        self.extend(records)

    def extend(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Follow these trials, too."""
        self._records |= {record["key"]: record for record in records}

    def open(self) -> list[str]:
        """The trials that were begun and may have something new; one look at the whole ledger."""
        self._begun = self._ledger.keys() & self._records.keys()
        self.problems = {}
        for key, final in list(self._finals.items()):
            if final.name == "failed" and self._is_reopened(key, final):
                self._closed.discard(key)
                del self._finals[key]
        return [key for key in self._records if key in self._begun and key not in self._closed]

    def update(self, key: str) -> Update | None:
        """Everything new of one trial; None when its files cannot be read, see `problems`."""
        try:
            return self._update(key)
        except LedgerError as error:
            self.problems[key] = str(error)
            return None

    def left(self) -> int:
        """How many points the tracker does not have."""
        updates = (self.update(key) for key in self.open())
        return sum(len(update.points) for update in updates if update is not None)

    def sent(self, key: str, step: int) -> None:
        """The tracker has confirmed all points of a trial up to this step."""
        self._sent[key] = max(step, self._sent.get(key, step))

    def closed(self, key: str) -> None:
        """The tracker has confirmed the outcome of a trial too; it is not looked at again."""
        self._closed.add(key)
        self._curves.pop(key, None)

    def ending(self, key: str) -> Ending | None:
        """How a trial ended, if it has.

        Raises:
            LedgerError: the files of the trial cannot be read.
        """
        return self._ledger.trial(key).ended()

    def closed_before(self, key: str, ending: Ending, latest: Mapping[str, float]) -> None:
        """As `closed`, of a trial that somebody has published; its curve need not be read again."""
        metric = self._objective.metric
        objective = ending.outcome.metrics.get(metric, latest.get(metric, math.nan))
        wall_s = latest.get("wall_s", 0.0)
        worker = _worker(self._ledger.trial(key).attempts())
        self._finals[key] = _Final(ending.outcome.name, ending.time_ms, objective, wall_s, worker)
        self.closed(key)

    def drift(self, key: str) -> str:
        """The changes of code or machine that were allowed in the middle of a trial; often empty.

        Raises:
            LedgerError: the files of the trial cannot be read.
        """
        return _drift(self._ledger.trial(key).attempts())

    def confirm(self, key: str, latest: Mapping[str, float]) -> None:
        """Keep the offset of a trial only if the tracker's last values are those of that step.

        A tracker may have been emptied or set back; what it has already is dropped when it comes
        again, so all points are sent once more.

        Raises:
            LedgerError: the files of the trial cannot be read.
        """
        sent = self._sent.get(key)
        if sent is None:
            return
        points = {point.step: point for point in self._curve(key).read()}
        if not (sent in points and _agrees(points[sent], latest)):
            del self._sent[key]

    def forget(self, keys: AbstractSet[str]) -> None:
        """The tracker has no runs of these trials: everything is sent from the start."""
        for key in keys:
            self._sent.pop(key, None)
            self._closed.discard(key)

    def save(self) -> None:
        """Store how far each trial has been published."""
        if self._sent != self._saved:
            self._folder.save_offsets(self._target, self._sent)
            self._saved = dict(self._sent)

    def standing(self) -> Standing:
        """The sweep as the last look into the ledger saw it."""
        for key in self._begun - self._finals.keys() - self.problems.keys():
            try:
                self._look_for_the_end(key)
            except LedgerError as error:
                self.problems[key] = str(error)
        finals = {key: final for key, final in self._finals.items() if key not in self.problems}
        names = [final.name for final in finals.values()]
        return Standing(
            total=len(self._records),
            running=len(self._begun) - len(finals),
            finished=names.count("finished"),
            diverged=names.count("diverged"),
            stopped=names.count("stopped"),
            failed=names.count("failed"),
            device_hours=_device_hours(finals.values()),
            best=_ranked(finals, self._objective),
        )

    def _look_for_the_end(self, key: str) -> None:
        """Take up the end of a trial that was published by somebody before."""
        ending = self._ledger.trial(key).ended()
        if ending is not None:
            reader = CurveReader(self._ledger.trial(key).path)
            self._keep(key, ending, reader.read(), _wall_s(reader))

    def _is_reopened(self, key: str, final: _Final) -> bool:
        """Whether a failed trial is tried again."""
        try:
            ending = self._ledger.trial(key).ended()
        except LedgerError:  # the pass looks at the trial itself, and says it
            return True
        return ending is None or ending.time_ms != final.time_ms

    def _keep(self, key: str, ending: Ending, curve: Sequence[TimedPoint], wall_s: float) -> None:
        metric = self._objective.metric
        values = (point.values[metric] for point in reversed(curve) if metric in point.values)
        objective = ending.outcome.metrics.get(metric, next(values, math.nan))
        worker = _worker(self._ledger.trial(key).attempts())
        self._finals[key] = _Final(ending.outcome.name, ending.time_ms, objective, wall_s, worker)

    def _curve(self, key: str) -> CurveReader:
        return self._curves.setdefault(key, CurveReader(self._ledger.trial(key).path))

    def _update(self, key: str) -> Update:
        record, folder = self._records[key], self._ledger.trial(key)
        ending = folder.ended()  # before the curve, so that the curve has all that came before
        reader = self._curve(key)
        curve = reader.read()
        attempts = folder.attempts()
        started_ms = Attempt(attempts[0]).started_ms() if attempts else None
        wall_s = 0.0
        if ending is not None:
            wall_s = _wall_s(reader)
            self._keep(key, ending, curve, wall_s)
            self._curves.pop(key, None)  # it does not grow any more, and memory is short
        sent = self._sent.get(key, -1)
        return Update(
            record=record,
            points=tuple(
                point
                for point in thinned(curve, record, ended=ending is not None)
                if point.step > sent
            ),
            curve=curve,
            started_ms=started_ms or (curve[0].time_ms if curve else 0),
            attempts=len(attempts),
            drift=_drift(attempts),
            begun=Attempt(attempts[-1]).begun() if attempts else None,
            ending=ending,
            wall_s=wall_s,
        )


def _wall_s(reader: CurveReader) -> float:
    """As `TrialFolder.wall_s`, of a curve that has been read."""
    spent_ms = 0
    for file, (first_ms, last_ms) in reader.spans().items():
        started_ms = Attempt(file.parent).started_ms()
        spent_ms += last_ms - (first_ms if started_ms is None else min(first_ms, started_ms))
    return spent_ms / 1000


def _worker(attempts: Sequence[Path]) -> str:
    """The process that trained a trial last."""
    begun = Attempt(attempts[-1]).begun() if attempts else None
    return "" if begun is None else f"{begun.host}:{begun.pid}"


def _device_hours(finals: Iterable[_Final]) -> float:
    """Hours in which each worker trained at least one of these trials, summed over the workers.

    The time of a trial that was interrupted is counted as if it had ended without a break.
    """
    spans = sorted(
        (each.worker, each.time_ms - 1000 * each.wall_s, each.time_ms) for each in finals
    )
    spent_ms, worker, until = 0.0, "", float("-inf")
    for name, begun, ended in spans:
        if name != worker:
            worker, until = name, float("-inf")
        spent_ms += max(0.0, ended - max(begun, until))
        until = max(until, ended)
    return spent_ms / 3_600_000


def _drift(attempts: Iterable[Path]) -> str:
    begun = [Attempt(attempt).begun() for attempt in attempts]
    words = "; ".join(
        f"from step {each.drift.from_step:,}: {each.drift.words}"
        for each in begun
        if each is not None and each.drift is not None
    )
    return words[:LONGEST_TAG]


def _agrees(point: TimedPoint, latest: Mapping[str, float]) -> bool:
    finite = {name: value for name, value in point.values.items() if math.isfinite(value)}
    return bool(finite) and all(latest.get(name) == value for name, value in finite.items())


def _ranked(finals: Mapping[str, _Final], objective: Objective) -> tuple[tuple[str, float], ...]:
    found = [
        (key, final.objective)
        for key, final in finals.items()
        if final.name == "finished" and math.isfinite(final.objective)
    ]
    sign = 1 if objective.mode == "min" else -1
    return tuple(sorted(found, key=lambda pair: (sign * pair[1], pair[0])))
