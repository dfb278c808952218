"""Train one pack out of the ledger and back into it; knows neither Ray nor MLflow."""

import gc
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from sweeps.running.breaker import Breaker
from sweeps.running.drift import drift_of
from sweeps.running.halted import writing
from sweeps.running.history import History, history
from sweeps.running.watchdog import Watchdog
from sweeps.secrets import masked
from sweeps.storage.attempt import Attempt, TrialEnded
from sweeps.storage.ledger import Ledger, TrialFolder
from sweeps.storage.left import Cause, Left, write_left
from trainers.checkpoint import find_checkpoint, fingerprint, write_checkpoint
from trainers.config import TrialConfig
from trainers.loop import train
from trainers.memory import training_bytes
from trainers.pack import Start
from trainers.result import Ended, Event, Outcome, Point, Reported, Saved

_LINE_BYTES = 4096  # of a report, at most, and of any small file


def train_pack(
    ledger: Ledger,
    configs: Sequence[TrialConfig],
    *,
    device: str,
    save_every_s: float,
    should_stop: Callable[[], bool],
    leaves_as: Callable[[], Cause] = lambda: "stopped",
    allow_drift: bool = False,
    watchdog: Watchdog | None = None,
    breaker: Breaker | None = None,
) -> Iterator[Event]:
    """Train what is open of a pack, each trial from its newest valid checkpoint.

    Yields each event once it is on the disk. Asked to stop, every trial is saved, to go on later. What
    fails ends as `failed`: where it is not clear whose fault it was, parts of the pack are tried again,
    one after the other, as `history` tells. A trial that has an outcome is not touched, also a failed one.
    A trial whose code, torch or machine has changed since it was left stays open, and says so, unless
    `allow_drift`. `leaves_as` says why it was asked to stop.

    Raises:
        Halted: the disk is full.
        OSError: the ledger could not be written; nothing that was is lost.
    """
    desk = _Desk(
        ledger, device, save_every_s, should_stop, leaves_as, allow_drift, watchdog, breaker
    )
    parts = deque([list(configs)])
    while parts and not should_stop():
        opened: list[_Opened] = []
        for config in parts.popleft():
            opened += yield from desk.opened(config)
        if not opened:
            continue
        size = min(each.history.largest_pack(len(opened)) for each in opened)
        if size < len(opened):
            again = [each.config for each in opened]
            parts.extendleft(
                again[first : first + size] for first in reversed(range(0, len(again), size))
            )
            continue
        again = yield from desk.train(opened)
        if again:
            parts.appendleft(again)


@dataclass(frozen=True)
class _Opened:
    """A trial that may be trained now, and what its earlier attempts say."""

    config: TrialConfig
    folder: TrialFolder
    history: History


@dataclass(frozen=True)
class _Problem:
    """An exception in words alone: its frames would hold the tensors of the pack."""

    reason: str
    traceback: str
    is_memory: bool


@dataclass(frozen=True)
class _Desk:
    """What training a part of a pack needs, whichever part it is."""

    ledger: Ledger
    device: str
    save_every_s: float
    should_stop: Callable[[], bool]
    leaves_as: Callable[[], Cause]
    allow_drift: bool
    watchdog: Watchdog | None
    breaker: Breaker | None

    def opened(self, config: TrialConfig) -> Generator[Event, None, list[_Opened]]:
        """The trial if it may be trained; nothing when it has ended, or ends here without training."""
        folder = self.ledger.trial(config.key())
        if folder.outcome() is not None:
            return []
        if self.breaker is not None and self.breaker.refuses(config):
            return []
        found = history(folder)
        reason = found.verdict()
        if reason is None:
            return [_Opened(config, folder, found)]
        if found.out_of_memory or found.crashes:
            needed = training_bytes([config], self.device)
            reason += f", it needs about {needed / 1e9:.1f} GB beside torch itself"
        yield from self.fail(Attempt(folder.attempts()[-1]), config, found.step, reason)
        return []

    def train(self, opened: Sequence[_Opened]) -> Generator[Event, None, list[TrialConfig]]:
        """Train a part of a pack; what is to be tried again, in smaller parts."""
        run = _Run(self)
        starts = [start for each in opened if (start := run.begin(each)) is not None]
        if not starts:
            return []
        if self.watchdog is not None:
            weight = max(_largest_test(start.config) for start in starts)
            self.watchdog.guard([attempt.path for attempt in run.attempts.values()], weight)
        try:
            problem = yield from run.events(starts)
        finally:
            if self.watchdog is not None:
                self.watchdog.release()
        if problem is None:
            return run.leave()
        return (yield from run.failed(problem))

    def fail(
        self, attempt: Attempt, config: TrialConfig, step: int, reason: str
    ) -> Iterator[Ended]:
        """End a trial as failed."""
        outcome = Outcome("failed", step, reason=reason)
        with writing(attempt.path, _LINE_BYTES):
            if not attempt.finish(outcome):
                return
        if self.breaker is not None:
            self.breaker.failed(config, reason)
        yield Ended(config.key(), outcome)


@dataclass
class _Run:
    """The attempts of trials that train together, until each has ended or is left."""

    desk: _Desk
    attempts: dict[str, Attempt] = field(default_factory=dict[str, Attempt])
    configs: dict[str, TrialConfig] = field(default_factory=dict[str, TrialConfig])
    last: dict[str, Point] = field(default_factory=dict[str, Point])
    size: int = 0
    unseen: OSError | None = None  # why it cannot be seen whether to stop

    def begin(self, opened: _Opened) -> Start | None:
        """Begin an attempt at the newest valid checkpoint; None when the trial is not to be trained."""
        config, folder = opened.config, opened.folder
        key = config.key()
        found = find_checkpoint(folder.attempts(), key)
        drift = drift_of(folder, found)
        try:
            with writing(folder.path, _LINE_BYTES):
                if drift is not None and not self.desk.allow_drift:
                    folder.leave_open(f"changed since it was left: {drift.words}")
                    return None
                attempt = folder.begin(config.model_dump(), fingerprint=fingerprint(), drift=drift)
        except TrialEnded:
            return None
        for each in found.damaged:
            attempt.note(f"passed over {each.path.name} of {each.path.parent.name}: {each.reason}")
        if found.saved is not None:
            before = [point for point in folder.points() if point.step <= found.saved.step]
            if before:
                self.last[key] = Point(before[-1].step, before[-1].values)
        self.attempts[key], self.configs[key] = attempt, config
        self.size += 1
        return Start(config, found.saved)

    def events(self, starts: Sequence[Start]) -> Generator[Event, None, _Problem | None]:
        """What training gives, once it is on the disk; the exception that ended it, if one did."""
        events = train(
            starts,
            device=self.desk.device,
            save_every_s=self.desk.save_every_s,
            should_stop=self._should_leave,
        )
        watchdog = self.desk.watchdog
        while True:
            if watchdog is not None:
                watchdog.alive()
            try:
                event = next(events, None)
            except Exception as error:  # noqa: BLE001 - a task or a model may raise anything
                return _problem(error)
            if event is None:
                if self.unseen is not None:
                    raise self.unseen
                return None
            if self._written(event):
                if watchdog is not None:
                    watchdog.rest()
                yield event

    def leave(self) -> list[TrialConfig]:
        """Say of each trial that has not ended why not; those that nobody else has taken go on."""
        cause = self.desk.leaves_as() if self.desk.should_stop() else "superseded"
        again: list[TrialConfig] = []
        for key, attempt in self.attempts.items():
            if attempt.is_fenced():
                self._leave(key, "superseded")
            else:
                # Beside one that a newer attempt has taken, it is saved and starts anew.
                self._leave(key, "stopped" if cause == "superseded" else cause)
                again.append(self.configs[key])
        return again if cause == "superseded" else []

    def failed(self, problem: _Problem) -> Generator[Event, None, list[TrialConfig]]:
        """Training raised: a trial that was alone fails, of several each is tried again."""
        left = [key for key, attempt in self.attempts.items() if not attempt.is_fenced()]
        for key in left:
            self.attempts[key].note(problem.traceback)
        if problem.is_memory or self.size > 1:
            for key in left:
                self._leave(key, "memory" if problem.is_memory else "error", problem.reason)
            if problem.is_memory:
                _free_memory(self.desk.device)
            return [self.configs[key] for key in left]
        for key in left:
            yield from self.desk.fail(
                self.attempts[key], self.configs[key], self._step(key), problem.reason
            )
        return []

    def _should_leave(self) -> bool:
        if self.desk.watchdog is not None:
            self.desk.watchdog.alive()
        try:
            return self.desk.should_stop() or any(
                each.is_fenced() for each in self.attempts.values()
            )
        except OSError as error:  # no mistake of the trial, inside whose training this is called
            self.unseen = error
            return True

    def _written(self, event: Event) -> bool:
        """Write an event; False when it is of an attempt that a newer one has overtaken."""
        key = event.key
        attempt, config = self.attempts[key], self.configs[key]
        match event:
            case Reported(_, point):
                with writing(attempt.path, _LINE_BYTES):
                    attempt.append([point], time.time_ns() // 1_000_000)
                self.last[key] = point
                if self.desk.watchdog is not None:
                    # The tests before an outcome may be far larger than those of a report.
                    self.desk.watchdog.pace(known=point.step < config.steps)
            case Saved(_, step):
                if attempt.is_fenced():
                    return False
                size = sum(tensor.nbytes for tensor in event.tensors.values()) + _LINE_BYTES
                with writing(attempt.path / f"checkpoint-{step:08d}.pt", size):
                    write_checkpoint(attempt.path, event)
            case Ended(_, outcome):
                del self.attempts[key]
                with writing(attempt.path, _LINE_BYTES):
                    if not attempt.finish(_completed(outcome, self.last.get(key))):
                        return False
                if self.desk.breaker is not None:
                    self.desk.breaker.sound(config)
        return True

    def _leave(self, key: str, cause: Cause, words: str = "") -> None:
        attempt = self.attempts[key]
        with writing(attempt.path, _LINE_BYTES):
            write_left(attempt.path, Left(cause, self._step(key), self.size, words))

    def _step(self, key: str) -> int:
        return self.last[key].step if key in self.last else 0


def _problem(error: Exception) -> _Problem:
    words = str(error)
    is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        and ("DefaultCPUAllocator" in words or "can't allocate memory" in words)
    )
    reason = masked(f"{type(error).__name__}: {' '.join(words.split())}")[:300]
    return _Problem(reason, "".join(traceback.format_exception(error)), is_memory)


def _free_memory(device: str) -> None:
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def _largest_test(config: TrialConfig) -> float:
    """How much larger than an ordinary test the largest before the final ones is."""
    evaluation = config.evaluation
    last = evaluation.last_examples or evaluation.examples
    return max(1.0, last / evaluation.examples)


def _completed(outcome: Outcome, last: Point | None) -> Outcome:
    """The outcome with the metrics of the last point beside those of the final tests."""
    values = {} if last is None else last.values
    return Outcome(
        outcome.name,
        outcome.step,
        {**values, **outcome.metrics},
        outcome.details,
        outcome.reason,
    )
