"""Send what is new in the ledger to MLflow, exactly once, whatever breaks in between."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from sweeps.publishing import pages, published, tracker
from sweeps.publishing.backlog import Backlog, Standing
from sweeps.publishing.published import Row, Update
from sweeps.spec import Sweep
from sweeps.storage.curve import LedgerError
from sweeps.storage.ledger import Ending, Ledger

_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 60.0
_ESTIMATE_EVERY_S = 30.0  # the time that is left changes always; the tracker need not follow


@dataclass(frozen=True)
class Published:
    """What one pass has sent, in points of curves, and what kept it from sending the rest."""

    points_sent: int
    points_left: int
    error: str | None  # one line without credentials


@dataclass
class _Connection:
    """The experiment and its runs: what a search has found, and what we have done since."""

    client: MlflowClient
    experiment_id: str
    parent_id: str
    run_ids: dict[str, str] = field(default_factory=dict[str, str])
    statuses: dict[str, str] = field(default_factory=dict[str, str])
    with_params: set[str] = field(default_factory=set[str])
    standing: Standing | None = None  # what the sweep's own run shows
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    shown_at: float = float("-inf")


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
        self._storage = ledger.root
        self._sweep = sweep
        self._records = {record["key"]: record for record in trials}
        self._backlog = Backlog(ledger, sweep.name, trials, uri)
        self._connection: _Connection | None = None
        self._one_pass = threading.Lock()
        self._stop = threading.Event()
        self._loop: Future[None] | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="publisher")

    def publish(self) -> Published:
        """Send everything new; a tracker that is away is an answer, not an exception.

        Raises:
            MlflowException: the tracker refuses what it was sent, which is a mistake of ours.
        """
        with self._one_pass:
            return self._pass()

    def start(self) -> None:
        """Publish in the background, every two seconds; less often while the tracker is away."""
        self._loop = self._executor.submit(self._until_stopped)

    def stop(self, timeout_s: float) -> Published:
        """End the background work with a last pass, and mark what has not ended as paused."""
        deadline = time.monotonic() + timeout_s
        self._stop.set()
        last = self._executor.submit(self._last_pass)
        self._executor.shutdown(wait=False)
        try:
            if self._loop is not None:
                self._loop.result(timeout_s)
            return last.result(max(0.0, deadline - time.monotonic()))
        except FutureTimeoutError:
            last.cancel()
            return Published(0, self._backlog.left(), f"no answer within {timeout_s:g} s")

    def _until_stopped(self) -> None:
        pause_s = _PAUSE_S
        while not self._stop.wait(pause_s):
            done = self.publish()
            pause_s = _PAUSE_S if done.error is None else min(2 * pause_s, _LONGEST_PAUSE_S)

    def _last_pass(self) -> Published:
        done = self.publish()
        connection = self._connection
        if connection is not None:
            try:
                _pause(connection)
            except tracker.AWAY as problem:
                return Published(done.points_sent, done.points_left, tracker.in_one_line(problem))
        return done

    def _pass(self) -> Published:
        sent = 0
        error: str | None = None
        try:
            connection = self._connected()
            for update in self._backlog.updates():
                sent += self._send(connection, update)
            self._show(connection)
        except tracker.AWAY as problem:
            if tracker.is_our_mistake(problem):
                raise
            error = tracker.in_one_line(problem)
            self._connection = None  # what is there is looked up again
        finally:
            self._backlog.save()
        left = self._backlog.left() if error else 0
        damaged = "; ".join(self._backlog.problems.values())
        return Published(sent, left, error or damaged or None)

    def _connected(self) -> _Connection:
        if self._connection is not None:
            return self._connection
        client = tracker.connect(self._uri)
        experiment_id = tracker.ensure_experiment(
            client, self._uri, self._storage, self._sweep, list(self._records.values())
        )
        runs = tracker.runs_of(client, experiment_id)
        parent_id = tracker.ensure_sweep_run(client, experiment_id, runs, self._sweep)
        connection = _Connection(client, experiment_id, parent_id)
        for key, run in tracker.trial_runs(runs).items():
            planned = json.dumps(key in self._records)
            if run.data.tags.get(published.PLANNED) != planned:
                client.set_tag(run.info.run_id, published.PLANNED, planned)
            if key in self._records:
                self._take_up(connection, key, run)
        self._backlog.forget(self._records.keys() - connection.run_ids.keys())
        self._connection = connection
        return connection

    def _take_up(self, connection: _Connection, key: str, run: Run) -> None:
        """Go on with a run that is there already, from where it really is."""
        connection.run_ids[key] = run.info.run_id
        connection.statuses[key] = run.info.status
        if run.data.params:
            connection.with_params.add(key)
        try:
            outcome = self._backlog.outcome(key)
            told = (run.info.status, run.data.tags.get(published.OUTCOME))
            if outcome is not None and told == (tracker.STATUS[outcome], outcome):
                self._backlog.closed(key)
            else:
                self._backlog.confirm(key, run.data.metrics)
        except LedgerError:
            # The pass itself looks at the trial again, and says it.
            return

    def _send(self, connection: _Connection, update: Update) -> int:
        """Bring one run up to date; the number of points that were sent."""
        key, ending = update.record["key"], update.ending
        run_id = self._run_for(connection, update)
        if connection.statuses[key] != "RUNNING" and (update.points or ending is None):
            connection.client.update_run(run_id, status="RUNNING")
            tracker.log(connection.client, run_id, (), tags={published.OUTCOME: "running"})
            connection.statuses[key] = "RUNNING"
        groups = [published.rows_of_point(point) for point in update.points]
        tags: dict[str, str] = {}
        if ending is not None:
            groups.append(published.rows_of_ending(update, ending))
            texts = published.texts_of_ending(update, ending)
            tags = tracker.as_tags(connection.client, run_id, texts)
        batches = published.batches(groups, tracker.PER_CALL)
        for number, batch in enumerate(batches, start=1):
            params = {} if key in connection.with_params else published.params(update.record)
            is_last = number == len(batches)
            tracker.log(connection.client, run_id, batch, params, tags if is_last else None)
            connection.with_params.add(key)
            if batch:
                self._backlog.sent(key, batch[-1][3])
        if update.points:  # the last of them may have had nothing that can be sent
            self._backlog.sent(key, update.points[-1].step)
        if ending is not None:
            self._end(connection, update, ending)
        return len(update.points)

    def _run_for(self, connection: _Connection, update: Update) -> str:
        key = update.record["key"]
        if key not in connection.run_ids:
            connection.run_ids[key] = tracker.create_trial_run(
                connection.client,
                connection.experiment_id,
                connection.parent_id,
                update,
                json.dumps(update.record["config"]),
            )
            connection.statuses[key] = "RUNNING"
        return connection.run_ids[key]

    def _end(self, connection: _Connection, update: Update, ending: Ending) -> None:
        key, client = update.record["key"], connection.client
        run_id, status = connection.run_ids[key], tracker.STATUS[ending.outcome.name]
        if len(update.curve) > published.CURVE_POINTS:
            client.log_text(run_id, published.curve_text(update.curve), "curve.csv")
        # The status comes last: a run that has it needs no further look.
        client.set_terminated(run_id, status, end_time=ending.time_ms)
        connection.statuses[key] = status
        self._backlog.closed(key)

    def _show(self, connection: _Connection) -> None:
        """Bring the sweep's own run up to date, if anything has changed."""
        standing = self._backlog.standing(self._sweep.objective)
        is_old = time.monotonic() - connection.shown_at >= _ESTIMATE_EVERY_S
        if standing == connection.standing and not is_old:
            return
        metrics = self._metrics_of(standing)
        changed = {
            name: value for name, value in metrics.items() if connection.metrics.get(name) != value
        }
        if changed:
            now_ms = time.time_ns() // 1_000_000
            rows: list[Row] = [
                (name, value, now_ms, standing.ended) for name, value in changed.items()
            ]
            note = pages.sweep_note(self._sweep, list(self._records.values()), standing)
            tracker.set_note(connection.client, connection.parent_id, rows, note)
        if standing.ended == standing.total and standing != connection.standing:
            connection.client.set_terminated(connection.parent_id, "FINISHED")
        connection.standing, connection.metrics = standing, metrics
        connection.shown_at = time.monotonic()

    def _metrics_of(self, standing: Standing) -> dict[str, float]:
        counts = ("finished", "diverged", "stopped", "failed", "running", "waiting")
        found = {name: float(getattr(standing, name)) for name in counts}
        found["trial_hours"] = standing.trial_hours
        if standing.best:
            found[f"best_{self._sweep.objective.metric}"] = standing.best[0][1]
        if self.seconds_left is not None:
            found["seconds_left"] = self.seconds_left
        return found


def _pause(connection: _Connection) -> None:
    """Nothing runs any more: what has not ended waits for the next launch."""
    for key, status in connection.statuses.items():
        if status == "RUNNING":
            connection.client.update_run(connection.run_ids[key], status=tracker.PAUSED)
            connection.statuses[key] = tracker.PAUSED
    standing = connection.standing
    if standing is not None and standing.ended < standing.total:
        connection.client.update_run(connection.parent_id, status=tracker.PAUSED)
