"""Where a sweep stands, followed in the ledger while it grows; no Ray, no MLflow, no torch."""

import math
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sweeps.publishing.published import run_name, shortly
from sweeps.spec import Sweep
from sweeps.storage.curve import CurveReader, LedgerError
from sweeps.storage.ledger import Attempt, Ending, Ledger

_RATE_OVER_S = 60.0  # long enough that the reports of packs even out
_MOST_FAILURES = 3
_MOST_ROWS = 10
_MOST_COLUMNS = 6


@dataclass(frozen=True)
class Cell:
    """The trials at one place of the grid."""

    mean: float | None  # of the objective so far, over trials that neither diverged nor failed
    ended: int
    total: int


@dataclass(frozen=True)
class Grid:
    """The objective so far over the first axis, and over the second where there is one."""

    metric: str
    row_field: str
    column_field: str  # empty when there is one axis
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: dict[tuple[str, str], Cell]


@dataclass(frozen=True)
class Snapshot:
    """A sweep at one moment."""

    sweep: str
    total: int
    finished: int
    diverged: int
    stopped: int
    failed: int
    running: int
    waiting: int
    reused: int  # ended before this launch
    share: float  # of the planned FLOPs that need no more work
    examples_per_s: float | None  # None until something was seen to move
    elapsed_s: float | None  # since the launch; None when nobody runs the sweep
    left_s: float | None
    best: str
    failures: tuple[str, ...]  # the newest first
    grid: Grid | None
    publishing: str

    @property
    def ended(self) -> int:
        """Trials with an outcome, whatever it is."""
        return self.finished + self.diverged + self.stopped + self.failed


@dataclass(frozen=True)
class _Seen:
    """One trial at the last look."""

    record: Mapping[str, Any]
    step: int
    objective: float | None
    ending: Ending | None
    started_ms: int  # of its last attempt

    @property
    def trained(self) -> float:
        """The share of its steps that are done."""
        return min(1.0, self.step / self.record["steps"])


class Watch:
    """Looks again and again: ended trials are read once, growing curves from the last byte read."""

    def __init__(self, ledger: Ledger, sweep: Sweep, trials: Sequence[Mapping[str, Any]]) -> None:
        self._ledger = ledger
        self._sweep = sweep
        self._records = {record["key"]: record for record in trials}
        self._curves: dict[str, CurveReader] = {}
        self._ended: dict[str, _Seen] = {}
        self._rates: deque[tuple[float, float, float]] = deque()  # time, examples, FLOPs

    def snapshot(self, publishing: str = "") -> Snapshot:
        """The sweep now; `publishing` is a note about the tracker, passed on as it is."""
        since_ms = self._ledger.sweep(self._sweep.name).since_ms()
        seen, problems = self._look()
        ended = [trial for trial in seen if trial.ending is not None]
        running = [trial for trial in seen if trial.ending is None and _is_of(trial, since_ms)]
        names = [trial.ending.outcome.name for trial in ended if trial.ending is not None]
        planned = sum(record["flops"] for record in self._records.values())
        left = planned - sum(
            trial.record["flops"] * (1.0 if trial.ending is not None else trial.trained)
            for trial in seen
        )
        rate = self._rate(seen)
        return Snapshot(
            sweep=self._sweep.name,
            total=len(self._records),
            finished=names.count("finished"),
            diverged=names.count("diverged"),
            stopped=names.count("stopped"),
            failed=names.count("failed"),
            running=len(running),
            waiting=len(self._records) - len(ended) - len(running),
            reused=len(ended) - sum(_is_of(trial, since_ms) for trial in ended) if since_ms else 0,
            share=1.0 - left / planned if planned else 0.0,
            examples_per_s=None if rate is None else rate[0],
            elapsed_s=None if since_ms is None else max(0.0, time.time() - since_ms / 1000),
            left_s=None if rate is None else max(0.0, left) / rate[1],
            best=_best(self._sweep, ended),
            failures=(*problems, *_failures(ended))[:_MOST_FAILURES],
            grid=_grid(self._sweep, self._records.values(), seen),
            publishing=publishing,
        )

    def _look(self) -> tuple[list[_Seen], list[str]]:
        """Every trial that was begun, and what is wrong with the files of some."""
        seen = list(self._ended.values())
        problems: list[str] = []
        for key in sorted((self._ledger.keys() & self._records.keys()) - self._ended.keys()):
            try:
                trial = self._trial(key)
            except LedgerError as error:
                problems.append(str(error))
                continue
            seen.append(trial)
            if trial.ending is not None:
                self._ended[key] = trial
                del self._curves[key]
        return seen, problems

    def _trial(self, key: str) -> _Seen:
        folder = self._ledger.trial(key)
        ending = folder.ended()  # before the curve, so that the curve has all that came before
        points = self._curves.setdefault(key, CurveReader(folder.path)).read()
        metric = self._sweep.objective.metric
        found = [point.values[metric] for point in points if metric in point.values]
        objective = found[-1] if found else None
        step = points[-1].step if points else 0
        if ending is not None:
            step = ending.outcome.step
            objective = ending.outcome.metrics.get(metric, objective)
        attempts = folder.attempts()
        started_ms = Attempt(attempts[-1]).started_ms() if attempts else None
        return _Seen(self._records[key], step, objective, ending, started_ms or 0)

    def _rate(self, seen: Sequence[_Seen]) -> tuple[float, float] | None:
        """Examples and FLOPs a second over the last minute; None when nothing has moved."""
        now = time.monotonic()
        examples = sum(trial.record["examples"] * trial.trained for trial in seen)
        flops = sum(trial.record["flops"] * trial.trained for trial in seen)
        self._rates.append((now, examples, flops))
        while now - self._rates[0][0] > _RATE_OVER_S:
            self._rates.popleft()
        then, examples_then, flops_then = self._rates[0]
        if flops <= flops_then:
            return None
        return (examples - examples_then) / (now - then), (flops - flops_then) / (now - then)


def snapshot(ledger: Ledger, sweep: Sweep, trials: Sequence[Mapping[str, Any]]) -> Snapshot:
    """One look, for a command that looks once; without a second look nothing is known of speed."""
    return Watch(ledger, sweep, trials).snapshot()


def _is_of(trial: _Seen, since_ms: int | None) -> bool:
    """Whether the driver of now has begun this trial; without a driver nothing runs."""
    return since_ms is not None and trial.started_ms >= since_ms


def _best(sweep: Sweep, ended: Iterable[_Seen]) -> str:
    metric = sweep.objective.metric
    found = [
        (trial.objective, trial)
        for trial in ended
        if trial.ending is not None
        and trial.ending.outcome.name == "finished"
        and trial.objective is not None
        and math.isfinite(trial.objective)
    ]
    if not found:
        return ""
    sign = 1 if sweep.objective.mode == "min" else -1
    value, trial = min(found, key=lambda pair: sign * pair[0])
    return f"{metric} {value:.4g} at {run_name(trial.record)}"


def _failures(ended: Iterable[_Seen]) -> list[str]:
    found = [
        (trial.ending.time_ms, f"{run_name(trial.record)}: {trial.ending.outcome.reason}")
        for trial in ended
        if trial.ending is not None and trial.ending.outcome.name == "failed"
    ]
    return [text for _, text in sorted(found, reverse=True)]


def _grid(sweep: Sweep, records: Iterable[Mapping[str, Any]], seen: Iterable[_Seen]) -> Grid | None:
    # one field for each axis: fields that are zipped change together and would leave a grid half empty
    fields = [next(iter(axis.points()[0])) for axis in sweep.axes][:2]
    if not fields:
        return None
    row_field, column_field = fields[0], fields[1] if len(fields) > 1 else ""
    places: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for record in records:
        places.setdefault(_place(record, row_field, column_field), []).append(record)
    rows = tuple(dict.fromkeys(row for row, _ in places))[:_MOST_ROWS]
    columns = tuple(dict.fromkeys(column for _, column in places))[:_MOST_COLUMNS]
    by_key = {trial.record["key"]: trial for trial in seen}
    cells = {
        place: _cell([by_key.get(record["key"]) for record in members])
        for place, members in places.items()
        if place[0] in rows and place[1] in columns
    }
    return Grid(sweep.objective.metric, row_field, column_field, rows, columns, cells)


def _place(record: Mapping[str, Any], row_field: str, column_field: str) -> tuple[str, str]:
    point = record["point"]
    return shortly(point.get(row_field)), shortly(point.get(column_field)) if column_field else ""


def _cell(trials: Sequence[_Seen | None]) -> Cell:
    values: list[float] = []
    ended = 0
    for trial in trials:
        if trial is None:
            continue
        ended += trial.ending is not None
        sound = trial.ending is None or trial.ending.outcome.name in {"finished", "stopped"}
        if sound and trial.objective is not None and math.isfinite(trial.objective):
            values.append(trial.objective)
    return Cell(fmean(values) if values else None, ended, len(trials))
