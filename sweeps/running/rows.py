"""The trials that train together: an attempt begins when one takes a row, and is over when it leaves."""

import gc
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

import torch

from sweeps.running.desk import LINE_BYTES, Desk, Opened
from sweeps.running.drift import drift_of
from sweeps.running.halted import writing
from sweeps.secrets import masked
from sweeps.storage.attempt import Attempt, TrialEnded
from sweeps.storage.left import Cause, Left, write_left
from trainers.checkpoint import find_checkpoint, fingerprint, write_checkpoint
from trainers.config import TrialConfig
from trainers.engine.execution import Execution
from trainers.engine.pack import Start
from trainers.loop import train
from trainers.result import Ended, Event, Outcome, Point, Reported, Saved

Next = Callable[[], Opened | Ended | None]
"""The next trial of a queue, or how it ends without training; None once there is none."""


@dataclass(frozen=True)
class Problem:
    """An exception in words alone: its frames would hold the tensors of the pack."""

    reason: str
    traceback: str
    is_memory: bool


@dataclass
class Rows:
    """The attempts of trials that train together, until each has ended or is left."""

    desk: Desk
    execution: Execution
    width: int
    following: Next
    attempts: dict[str, Attempt] = field(default_factory=dict[str, Attempt])  # that have not ended
    configs: dict[str, TrialConfig] = field(default_factory=dict[str, TrialConfig])
    last: dict[str, Point] = field(default_factory=dict[str, Point])
    size: int = 0  # most trials that were there at once
    problem: Problem | None = None  # the exception that ended training
    unseen: Exception | None = None  # why the ledger could not be read meanwhile
    _ended: deque[Ended] = field(default_factory=deque[Ended])  # without training

    def begin(self, opened: Opened) -> Start | None:
        """Begin an attempt at the newest valid checkpoint; None when the trial is not to be trained."""
        config, folder = opened.config, opened.folder
        key = config.key()
        found = find_checkpoint(folder.attempts(), key)
        drift = drift_of(folder, found, self.execution)
        now = fingerprint(self.execution)
        try:
            with writing(folder.path, LINE_BYTES):
                if drift is not None and not self.desk.allow_drift:
                    folder.leave_open(f"changed since it was left: {drift.words}")
                    return None
                attempt = folder.begin(
                    config.model_dump(), fingerprint=now, drift=drift, rows=self.width
                )
        except TrialEnded:
            return None
        for each in found.damaged:
            attempt.note(f"passed over {each.path.name} of {each.path.parent.name}: {each.reason}")
        if found.saved is not None:
            before = [point for point in folder.points() if point.step <= found.saved.step]
            if before:
                self.last[key] = Point(before[-1].step, before[-1].values)
        self.attempts[key], self.configs[key] = attempt, config
        self.size = max(self.size, len(self.attempts))
        return Start(config, found.saved)

    def train(self, starts: list[Start]) -> Iterator[Event]:
        """Train these, and what follows as rows become free; each event once it is on the disk.

        What training raises is in `problem` afterwards.
        """
        watchdog = self.desk.watchdog
        if watchdog is not None:
            weight = max(_largest_test(start.config) for start in starts)
            watchdog.guard([attempt.path for attempt in self.attempts.values()], weight)
        try:
            yield from self._events(starts)
        finally:
            if watchdog is not None:
                watchdog.release()

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

    def failed(self, problem: Problem) -> Generator[Event, None, list[TrialConfig]]:
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
            attempt, config = self.attempts[key], self.configs[key]
            ended = self.desk.fail(attempt, config, self._step(key), problem.reason)
            if ended is not None:
                yield ended
        return []

    def _events(self, starts: list[Start]) -> Iterator[Event]:
        events = train(
            starts,
            waiting=self._joining(),
            execution=self.execution,
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
                self.problem = problem_of(error)
                return
            while self._ended:
                yield self._ended.popleft()
            if event is None:
                if self.unseen is not None:
                    raise self.unseen
                return
            if self._written(event):
                if watchdog is not None:
                    watchdog.rest()
                yield event

    def _joining(self) -> Iterator[Start]:
        """The trials that follow, each with an attempt that begins when its row is free."""
        while not self._should_leave():
            try:
                found = self.following()
                start = None if found is None else self._joined(found)
            except Exception as error:  # noqa: BLE001 - the ledger's, inside the training of others
                self.unseen = error
                return
            if found is None:
                return
            if start is not None:
                yield start

    def _joined(self, found: Opened | Ended) -> Start | None:
        if isinstance(found, Ended):
            self._ended.append(found)
            return None
        start = self.begin(found)
        if start is not None and self.desk.watchdog is not None:
            path = self.attempts[start.config.key()].path
            self.desk.watchdog.join(path, _largest_test(start.config))
        return start

    def _should_leave(self) -> bool:
        if self.desk.watchdog is not None:
            self.desk.watchdog.alive()
        if self.unseen is not None:
            return True
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
                with writing(attempt.path, LINE_BYTES):
                    attempt.append([point], time.time_ns() // 1_000_000)
                self.last[key] = point
                if self.desk.watchdog is not None:
                    # The tests before an outcome may be far larger than those of a report.
                    self.desk.watchdog.pace(known=point.step < config.steps)
            case Saved(_, step):
                if attempt.is_fenced():
                    return False
                size = sum(tensor.nbytes for tensor in event.tensors.values()) + LINE_BYTES
                with writing(attempt.path / f"checkpoint-{step:08d}.pt", size):
                    write_checkpoint(attempt.path, event, self.execution)
            case Ended(_, outcome):
                del self.attempts[key]
                if self.desk.watchdog is not None:
                    self.desk.watchdog.leave(attempt.path)
                with writing(attempt.path, LINE_BYTES):
                    if not attempt.finish(_completed(outcome, self.last.get(key))):
                        return False
                if self.desk.breaker is not None:
                    self.desk.breaker.sound(config)
        return True

    def _leave(self, key: str, cause: Cause, words: str = "") -> None:
        attempt = self.attempts[key]
        with writing(attempt.path, LINE_BYTES):
            write_left(attempt.path, Left(cause, self._step(key), self.size, words))

    def _step(self, key: str) -> int:
        return self.last[key].step if key in self.last else 0


def problem_of(error: Exception) -> Problem:
    """What became of a pack that raised this, and whether it was memory that ran out."""
    words = str(error)
    is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        and ("DefaultCPUAllocator" in words or "can't allocate memory" in words)
    )
    reason = masked(f"{type(error).__name__}: {' '.join(words.split())}")[:300]
    return Problem(reason, "".join(traceback.format_exception(error)), is_memory)


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
