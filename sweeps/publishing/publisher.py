"""Send what is new in the ledger to MLflow, exactly once, whatever breaks in between."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import Any

from sweeps.publishing import connection as connections
from sweeps.publishing import pages, tracker
from sweeps.publishing.background import in_background, side_by_side
from sweeps.publishing.backlog import Backlog, Standing
from sweeps.publishing.connection import Connection
from sweeps.publishing.late import Published
from sweeps.publishing.published import Row
from sweeps.publishing.turn import TurnTaken, turn
from sweeps.search import whole_count
from sweeps.spec import Sweep
from sweeps.storage.ledger import Ledger

_PAUSE_S = 2.0
_SHARE = 0.2  # of the time, to publish in: training needs the same processors
_LIVE_S = 10.0  # what is looked at is not older, however long a pass takes
_LONGEST_PAUSE_S = 60.0
_ESTIMATE_EVERY_S = 30.0  # the time that is left changes always; the tracker need not follow
_LOOK_AGAIN_S = 30.0  # what a hanging tracker was asked it may do later, unseen by our next search
_TRIES = 3


@dataclass
class _Shown:
    """What the sweep's own run shows."""

    standing: Standing | None = None
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    at_s: float = float("-inf")


@dataclass
class _Pass:
    """What one pass has done so far."""

    sent: list[int] = field(default_factory=list[int])  # points, by trial
    refused: dict[str, str] = field(default_factory=dict[str, str])  # trials, and the answer
    found_gone: bool = False  # somebody has deleted a run that we wrote to

    def published(self, error: str | None, *, locked: bool = False) -> Published:
        return Published(sum(self.sent), 0, error, locked)


class Publisher:
    """Sends what is new in the ledger to MLflow, as often as it is asked.

    A point is sent until the tracker has confirmed it, always with the time that the ledger gives
    it, so the tracker recognizes what it has already. Infinite values are not sent (MLflow would
    store 1.8e308): the run's tag `nonfinite` names them, and the ledger has them.
    """

    def __init__(
        self, uri: str, ledger: Ledger, sweep: Sweep, trials: Sequence[Mapping[str, Any]]
    ) -> None:
        self.seconds_left: float | None = None  # a driver may set it; shown on the sweep's run
        self._uri = uri
        self._ledger = ledger
        self._sweep = sweep
        self._records = {record["key"]: record for record in trials}
        self._new: SimpleQueue[Mapping[str, Any]] = SimpleQueue()
        self._backlog = self._fresh_backlog()
        self._connection: Connection | None = None
        self._shown = _Shown()
        self._look_again_at: float | None = None
        self._turn = ExitStack()
        self._has_turn = False
        self._one_pass = threading.Lock()
        self._stop = threading.Event()
        self._given_up = threading.Event()
        self._loop: Future[None] | None = None

    def extend(self, trials: Sequence[Mapping[str, Any]]) -> None:
        """Follow more trials of the sweep from the next pass on; from any thread."""
        for trial in trials:
            self._new.put(trial)

    def publish(self) -> Published:
        """Send everything new; a tracker that is away is an answer, not an exception."""
        with self._one_pass:
            done = self._pass()
            if self._loop is None:
                self._give_turn_back()
        return self._with_what_is_left(done)

    def start(self) -> None:
        """Publish in the background, every two to ten seconds; less often while the tracker is away."""
        self._loop = in_background(self._until_stopped)

    def stop(self, timeout_s: float) -> Published:
        """End the background work with a last pass, and mark what has not ended as paused.

        A tracker that hangs longer than `timeout_s` is left alone; the process can end.
        """
        deadline = time.monotonic() + timeout_s
        self._stop.set()
        last = in_background(self._last_pass)
        try:
            if self._loop is not None:
                self._loop.result(timeout_s)
            done = last.result(max(0.0, deadline - time.monotonic()))
        except FutureTimeoutError:
            self._given_up.set()
            done = Published(0, 0, f"no answer within {timeout_s:g} s")
        return self._with_what_is_left(done)

    def _with_what_is_left(self, done: Published) -> Published:
        """A backlog of its own counts it, because that of a pass that hangs is in use."""
        if done.error is None:
            return done
        left = self._fresh_backlog().left()
        return Published(done.points_sent, left, done.error, done.locked)

    def _fresh_backlog(self) -> Backlog:
        sweep = self._sweep
        records = list(self._records.values())
        return Backlog(self._ledger, sweep.name, sweep.objective, records, self._uri)

    def _until_stopped(self) -> None:
        pause_s = _PAUSE_S
        while not self._stop.wait(pause_s):
            began = time.monotonic()
            with self._one_pass:
                self._pass()
                reached = self._connection is not None
            if reached:
                took_s = time.monotonic() - began
                pause_s = min(max(_PAUSE_S, took_s / _SHARE), _LIVE_S)
            else:
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _last_pass(self) -> Published:
        with self._one_pass:
            done = self._pass()
            if self._look_again_at is not None and self._connection is not None:
                self._connection = None
                again = self._pass()
                done = Published(done.points_sent + again.points_sent, 0, again.error)
            if self._connection is not None:
                try:
                    self._pause(self._connection)
                except tracker.AWAY as problem:
                    done = Published(done.points_sent, 0, tracker.in_one_line(problem))
            self._give_turn_back()
        return done

    def _pass(self) -> Published:
        """Send everything new; what is left is not counted."""
        done = _Pass()
        try:
            self._take_turn()
            for _ in range(_TRIES):
                self._send_all(self._connected(), done)
                if not done.found_gone:
                    break
                self._connection, done.found_gone = None, False
            if self._connection is not None:
                self._show(self._connection)
        except TurnTaken as taken:
            return done.published(str(taken), locked=True)
        except tracker.AWAY as problem:
            self._connection = None  # what is there is looked up again
            self._look_again_at = time.monotonic() + _LOOK_AGAIN_S
            return done.published(tracker.in_one_line(problem))
        finally:
            if self._has_turn:
                self._backlog.save()
        wrong = [*self._backlog.problems.values(), *done.refused.values()]
        return done.published("; ".join(wrong) or None)

    def _take_turn(self) -> None:
        if not self._has_turn:
            self._turn.enter_context(turn(self._ledger.sweep(self._sweep.name).path, self._uri))
            self._has_turn = True

    def _give_turn_back(self) -> None:
        self._turn.close()
        self._has_turn = False

    def _connected(self) -> Connection:
        self._take_up_new_trials()
        is_late = self._look_again_at is not None and time.monotonic() > self._look_again_at
        if self._connection is None or is_late:
            self._connection = None
            self._connection = connections.open_connection(
                self._uri, self._ledger.root, self._sweep, self._records, self._backlog
            )
            self._shown = _Shown()
        if is_late:
            self._look_again_at = None
        return self._connection

    def _take_up_new_trials(self) -> None:
        new: list[Mapping[str, Any]] = []
        while not self._new.empty():
            new.append(self._new.get())
        if not new:
            return
        self._records = {**self._records, **{record["key"]: record for record in new}}
        self._backlog.extend(new)
        if self._connection is not None:
            connections.plan_more(self._connection, self._backlog, new)
            tracker.ensure_experiment(
                self._connection.client,
                self._uri,
                self._ledger.root,
                self._sweep,
                list(self._records.values()),
            )

    def _send_all(self, connection: Connection, done: _Pass) -> None:
        def send(key: str) -> None:
            if self._given_up.is_set() or key in done.refused:
                return
            update = self._backlog.update(key)
            if update is not None and connections.is_superseded(connection, update):
                connections.begin_again(connection, self._backlog, key)
                update = self._backlog.update(key)
            if update is None:
                return
            try:
                done.sent.append(connections.send(connection, self._backlog, update))
            except tracker.AWAY as problem:
                if not tracker.is_refusal(problem):
                    raise
                if connections.is_gone(connection, key):
                    done.found_gone = True
                else:
                    done.refused[key] = f"{key}: {tracker.in_one_line(problem)}"

        side_by_side(self._backlog.open(), send, tracker.threads_for(self._uri))

    def _show(self, connection: Connection) -> None:
        """Bring the sweep's own run up to date, if anything has changed."""
        standing, shown = self._backlog.standing(), self._shown
        whole = whole_count(self._sweep.search, standing.total)
        standing = replace(standing, total=whole)
        is_old = time.monotonic() - shown.at_s >= _ESTIMATE_EVERY_S
        if standing == shown.standing and not is_old:
            return
        metrics = self._metrics_of(standing)
        changed = {
            name: value for name, value in metrics.items() if shown.metrics.get(name) != value
        }
        if changed:
            now_ms = time.time_ns() // 1_000_000
            rows: list[Row] = [
                (name, value, now_ms, standing.ended) for name, value in changed.items()
            ]
            note = pages.sweep_note(
                self._sweep, list(self._records.values()), standing, self.seconds_left
            )
            tracker.set_note(connection.client, connection.parent_id, rows, note)
        if standing.ended == standing.total and standing != shown.standing:
            connection.client.set_terminated(connection.parent_id, "FINISHED")
        self._shown = _Shown(standing, metrics, time.monotonic())

    def _metrics_of(self, standing: Standing) -> dict[str, float]:
        counts = ("finished", "diverged", "stopped", "failed", "running", "waiting")
        found = {name: float(getattr(standing, name)) for name in counts}
        found["device_hours"] = standing.device_hours
        if standing.best:
            found[f"best_{self._sweep.objective.metric}"] = standing.best[0][1]
        if self.seconds_left is not None:
            found["seconds_left"] = self.seconds_left
        return found

    def _pause(self, connection: Connection) -> None:
        """Nothing runs any more: what has not ended waits for the next launch."""
        connections.pause(connection)
        standing = self._shown.standing
        if standing is not None and standing.ended < standing.total:
            connection.client.update_run(connection.parent_id, status=tracker.PAUSED)
