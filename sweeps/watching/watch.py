"""Where a sweep stands, followed in the ledger while it grows; no Ray, no MLflow, no torch."""

import math
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.publishing.published import run_name
from sweeps.search import whole_count
from sweeps.spec import Sweep
from sweeps.storage.attempt import NOTES_FILE
from sweeps.storage.curve import CurveReader
from sweeps.storage.ledger import Ledger
from sweeps.storage.records import LedgerError
from sweeps.watching.device_use import DeviceUse
from sweeps.watching.forecast import Forecast
from sweeps.watching.grid import Grid, grid, two_fields
from sweeps.watching.seen import Seen, look_at

_RATE_OVER_S = 60.0  # long enough that the reports of packs even out
_MOST_FAILURES = 3


@dataclass(frozen=True)
class Failure:
    """Trials that failed for one reason, or files that are damaged."""

    text: str
    log: str = ""  # the path of the newest one's traceback


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
    busy: int  # workers that train something
    workers: int | None  # None where only the driver knows
    devices: str
    examples_per_s: float | None  # None until something was seen to move
    elapsed_s: float | None  # since the launch; None when nobody runs the sweep
    left_s: float | None
    best: str
    failures: tuple[Failure, ...]  # the newest first
    grid: Grid | None
    publishing: str

    @property
    def ended(self) -> int:
        """Trials with an outcome, whatever it is."""
        return self.finished + self.diverged + self.stopped + self.failed


class Watch:
    """Looks again and again: ended trials are read once, growing curves from the last byte read.

    A driver passes what the plan expects, and what tells how busy this machine is.
    """

    def __init__(
        self,
        ledger: Ledger,
        sweep: Sweep,
        trials: Sequence[Mapping[str, Any]],
        forecast: Forecast | None = None,
        devices: DeviceUse | None = None,
    ) -> None:
        self._ledger = ledger
        self._sweep = sweep
        self._records = {record["key"]: record for record in trials}
        self._fields = () if sweep.search is not None else two_fields(trials)
        self._forecast = forecast
        self._devices = devices
        self._curves: dict[str, CurveReader] = {}
        self._ended: dict[str, Seen] = {}
        self._resting: dict[str, tuple[int, Seen]] = {}  # begun by an earlier driver, and its time
        self._first_steps: dict[str, int] | None = None
        self._rates: deque[tuple[float, float, float]] = deque()  # time, examples, FLOPs

    def extend(self, trials: Sequence[Mapping[str, Any]]) -> None:
        """Follow more trials of the sweep from the next look on; from any thread."""
        self._records = {**self._records, **{record["key"]: record for record in trials}}

    def snapshot(self, publishing: str = "") -> Snapshot:
        """The sweep now; `publishing` is a note about the tracker, passed on as it is."""
        since_ms = self._ledger.sweep(self._sweep.name).since_ms()
        seen, problems = self._look(since_ms)
        if self._first_steps is None:
            # a trial that this driver has begun already is all its work
            self._first_steps = {
                trial.record["key"]: 0 if _is_of(trial, since_ms) else trial.step for trial in seen
            }
        ended = [trial for trial in seen if trial.ending is not None]
        running = [
            trial
            for trial in seen
            if trial.ending is None and trial.worker is not None and _is_of(trial, since_ms)
        ]
        names = Counter(trial.ending.outcome.name for trial in ended if trial.ending is not None)
        known = sum(record["flops"] for record in self._records.values())
        total = whole_count(self._sweep.search, len(self._records))
        # trials that are not suggested yet are taken to be as dear as those that are
        planned = known * total / max(1, len(self._records))
        left = planned - sum(
            trial.record["flops"] * (1.0 if trial.ending is not None else trial.trained)
            for trial in seen
        )
        rate = self._rate(seen)
        return Snapshot(
            sweep=self._sweep.name,
            total=total,
            finished=names["finished"],
            diverged=names["diverged"],
            stopped=names["stopped"],
            failed=names["failed"],
            running=len(running),
            waiting=total - len(ended) - len(running),
            reused=len(ended) - sum(_is_of(trial, since_ms) for trial in ended) if since_ms else 0,
            share=1.0 - left / planned if planned else 0.0,
            busy=len({trial.worker for trial in running}),
            workers=None if self._forecast is None else self._forecast.workers,
            devices="" if self._devices is None else self._devices.look(),
            examples_per_s=None if rate is None else rate[0],
            elapsed_s=None if since_ms is None else max(0.0, time.time() - since_ms / 1000),
            left_s=self._left_s(seen, since_ms, left, rate),
            best=_best(self._sweep, ended),
            failures=(*problems, *self._failures(ended))[:_MOST_FAILURES],
            grid=grid(self._sweep.objective.metric, self._fields, self._records.values(), seen),
            publishing=publishing,
        )

    def _look(self, since_ms: int | None) -> tuple[list[Seen], list[Failure]]:
        """Every trial that was begun, and what is wrong with the files of some."""
        seen = list(self._ended.values())
        problems: list[Failure] = []
        for key in sorted((self._ledger.keys() & self._records.keys()) - self._ended.keys()):
            try:
                trial = self._trial(key, since_ms)
            except LedgerError as error:
                problems.append(Failure(str(error)))
                continue
            seen.append(trial)
            if trial.ending is not None:
                self._ended[key] = trial
                self._curves.pop(key, None)
                self._resting.pop(key, None)
        return seen, problems

    def _trial(self, key: str, since_ms: int | None) -> Seen:
        folder = self._ledger.trial(key)
        changed_ns = folder.path.stat().st_mtime_ns  # a new attempt, or the outcome
        if key in self._resting and self._resting[key][0] == changed_ns:
            return self._resting[key][1]
        curve = self._curves.setdefault(key, CurveReader(folder.path))
        metric = self._sweep.objective.metric
        trial = look_at(folder, self._records[key], metric, curve, since_ms)
        if trial.ending is None and since_ms is not None and trial.started_ms < since_ms:
            self._resting[key] = (changed_ns, trial)
        return trial

    def _left_s(
        self,
        seen: Sequence[Seen],
        since_ms: int | None,
        left_flops: float,
        rate: tuple[float, float] | None,
    ) -> float | None:
        if self._forecast is not None and since_ms is not None:
            return self._forecast.left_s(seen, self._first_steps or {}, since_ms)
        return None if rate is None else max(0.0, left_flops) / rate[1]

    def _rate(self, seen: Sequence[Seen]) -> tuple[float, float] | None:
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

    def _failures(self, ended: Iterable[Seen]) -> list[Failure]:
        """Failed trials by their reason, the newest first, with the log of the newest of each."""
        by_reason: dict[str, list[tuple[int, Seen]]] = {}
        for trial in ended:
            if trial.ending is not None and trial.ending.outcome.name == "failed":
                reason = trial.ending.outcome.reason
                by_reason.setdefault(reason, []).append((trial.ending.time_ms, trial))
        newest = [
            (*max(trials, key=lambda pair: pair[0]), len(trials), reason)
            for reason, trials in by_reason.items()
        ]
        found: list[Failure] = []
        for _, trial, count, reason in sorted(newest, key=lambda one: -one[0])[:_MOST_FAILURES]:
            name = run_name(trial.record)
            others = f" and {count - 1:,} more" if count > 1 else ""
            attempts = self._ledger.trial(trial.record["key"]).attempts()
            log = attempts[-1] / NOTES_FILE if attempts else None
            there = log is not None and log.exists()
            found.append(Failure(f"{name}{others}: {reason}", str(log) if there else ""))
        return found


def snapshot(ledger: Ledger, sweep: Sweep, trials: Sequence[Mapping[str, Any]]) -> Snapshot:
    """One look, for a command that looks once; without a second look nothing is known of speed."""
    return Watch(ledger, sweep, trials).snapshot()


def _is_of(trial: Seen, since_ms: int | None) -> bool:
    """Whether the driver of now has trained this trial; without a driver nothing runs."""
    if since_ms is None:
        return False
    return (trial.started_ms if trial.ending is None else trial.ending.time_ms) >= since_ms


def _best(sweep: Sweep, ended: Iterable[Seen]) -> str:
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
