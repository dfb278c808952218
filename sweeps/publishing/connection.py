"""A sweep's experiment and its runs, as they were found and as we have left them; one run a trial."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from sweeps.publishing import published, tracker
from sweeps.publishing.backlog import Backlog
from sweeps.publishing.datasets import DataSet, data_sets
from sweeps.publishing.provenance import of_trial, read_provenance
from sweeps.publishing.published import Update
from sweeps.spec import Sweep
from sweeps.storage.attempt import Ending
from sweeps.storage.ledger import Ledger
from sweeps.storage.records import LedgerError


@dataclass
class Connection:
    """What a search has found, and what was done since; different trials may be sent at once."""

    client: MlflowClient
    experiment_id: str
    parent_id: str
    provenance: Mapping[str, str] = field(default_factory=dict[str, str])
    in_logs: tuple[str, ...] = ()  # fields of axes
    run_ids: dict[str, str] = field(default_factory=dict[str, str])
    artifact_uris: dict[str, str] = field(default_factory=dict[str, str])
    statuses: dict[str, str] = field(default_factory=dict[str, str])
    drifts: dict[str, str] = field(default_factory=dict[str, str])
    data_sets: set[DataSet] = field(default_factory=set[DataSet])  # that the tracker knows
    new_data: threading.Lock = field(default_factory=threading.Lock)
    with_params: set[str] = field(default_factory=set[str])
    others: dict[str, Run] = field(default_factory=dict[str, Run])  # of trials not in the plan


def open_connection(
    uri: str,
    storage: Path,
    sweep: Sweep,
    records: Mapping[str, Mapping[str, Any]],
    backlog: Backlog,
) -> Connection:
    """Find what the tracker has of a sweep, make what is missing, and correct the backlog by it.

    Should a trial have two runs, the older is kept and the other deleted: an answer was lost, or two
    machines have published the same trial.

    Raises:
        tracker.AWAY: the tracker cannot be reached, or does not let us.
    """
    client = tracker.connect(uri)
    experiment_id = tracker.ensure_experiment(client, uri, storage, sweep, list(records.values()))
    runs = tracker.without_duplicates(client, tracker.runs_of(client, experiment_id))
    folder = Ledger(storage).sweep(sweep.name).path
    parent_id = tracker.ensure_sweep_run(client, experiment_id, runs, sweep, folder)
    connection = Connection(
        client,
        experiment_id,
        parent_id,
        read_provenance(folder),
        published.log_fields(records.values()),
    )
    for key, run in tracker.trial_runs(runs).items():
        if key not in records:
            connection.others[key] = run
            tracker.tag_if_other(client, run, published.PLANNED, "false")
        else:
            _take_up(connection, backlog, records[key], run)
    backlog.forget(records.keys() - connection.run_ids.keys())
    return connection


def plan_more(
    connection: Connection, backlog: Backlog, records: Sequence[Mapping[str, Any]]
) -> None:
    """Take up the runs that trials have which were just planned; most have none."""
    for record in records:
        run = connection.others.pop(record["key"], None)
        if run is not None:
            _take_up(connection, backlog, record, run)
        elif record["key"] not in connection.run_ids:
            backlog.forget({record["key"]})


def _take_up(connection: Connection, backlog: Backlog, record: Mapping[str, Any], run: Run) -> None:
    """Go on with a run that is there already, from where it really is."""
    key, client = record["key"], connection.client
    tags = run.data.tags
    try:
        ending, drift = backlog.ending(key), backlog.drift(key)
        if tags.get(published.DRIFT, "") != drift:
            tracker.withdraw(client, run.info.run_id)
            return
        told = (run.info.status, tags.get(published.OUTCOME))
        if ending is not None and told == _as_told(ending):
            backlog.closed_before(key, ending, run.data.metrics)
        else:
            backlog.confirm(key, run.data.metrics)
    except LedgerError:
        pass  # the pass itself looks at the trial again, and says it
    tracker.tag_if_other(client, run, published.PLANNED, "true")
    tracker.tag_if_other(client, run, tracker.PARENT, connection.parent_id)
    if published.CONFIG not in tags:  # its maker was killed in between
        texts = {published.CONFIG: json.dumps(record["config"])}
        tracker.log(
            client, run.info.run_id, (), tags=tracker.as_tags(client, run.info.run_id, texts)
        )
    connection.run_ids[key] = run.info.run_id
    connection.artifact_uris[key] = str(run.info.artifact_uri)
    connection.statuses[key] = run.info.status
    connection.drifts[key] = tags.get(published.DRIFT, "")
    if run.data.params:
        connection.with_params.add(key)


def _as_told(ending: Ending) -> tuple[str, str]:
    return tracker.STATUS[ending.outcome.name], ending.outcome.name


def send(connection: Connection, backlog: Backlog, update: Update) -> int:
    """Bring one run up to date; the number of points that were sent.

    Raises:
        tracker.AWAY: the tracker cannot be reached, or refuses what it was sent.
    """
    key, ending, client = update.record["key"], update.ending, connection.client
    run_id = _run_for(connection, update)
    ended_before = connection.statuses[key] not in {"RUNNING", tracker.PAUSED}
    if connection.statuses[key] != "RUNNING" and (update.points or ending is None):
        client.update_run(run_id, status="RUNNING")
        tracker.log(client, run_id, (), tags={**_NO_ENDING, published.OUTCOME: "running"})
        connection.statuses[key] = "RUNNING"
    groups = [published.rows_of_point(point) for point in update.points]
    tags: dict[str, str] = {}
    if ending is not None:
        groups.append(published.rows_of_ending(update, ending))
        texts = published.texts_of_ending(update, ending)
        texts = {**_NO_ENDING, **texts} if ended_before else texts
        # What trained it last may be another machine than what began it.
        tags = {**of_trial({}, update.begun), **tracker.as_tags(client, run_id, texts)}
    if key not in connection.with_params:
        _log_data_sets(connection, run_id, data_sets(update.record))
    batches = published.batches(groups, tracker.PER_CALL)
    for number, batch in enumerate(batches, start=1):
        params = (
            {}
            if key in connection.with_params
            else published.params(update.record, connection.in_logs)
        )
        is_last = number == len(batches)
        tracker.log(client, run_id, batch, params, tags if is_last else None)
        connection.with_params.add(key)
        if batch:
            backlog.sent(key, batch[-1][3])
    if update.points:  # the last of them may have had nothing that can be sent
        backlog.sent(key, update.points[-1].step)
    if ending is not None:
        _end(connection, update, ending)
        backlog.closed(key)
    return len(update.points)


_NO_ENDING = {published.REASON: "", published.NOTE: ""}
"""What a trial that is tried again must not keep of its failure."""


def _log_data_sets(connection: Connection, run_id: str, found: Sequence[DataSet]) -> None:
    """Two runs that bring the same new data at once would be refused: its first run goes alone."""
    if connection.data_sets.issuperset(found):
        tracker.log_data_sets(connection.client, run_id, found)
        return
    with connection.new_data:
        tracker.log_data_sets(connection.client, run_id, found)
        connection.data_sets.update(found)


def _run_for(connection: Connection, update: Update) -> str:
    key = update.record["key"]
    if key not in connection.run_ids:
        run = tracker.create_trial_run(
            connection.client,
            connection.experiment_id,
            connection.parent_id,
            update,
            json.dumps(update.record["config"]),
            tracked_ms=time.time_ns() // 1_000_000,
            machine=of_trial(connection.provenance, update.begun),
        )
        connection.run_ids[key] = run.info.run_id
        connection.artifact_uris[key] = str(run.info.artifact_uri)
        connection.statuses[key] = "RUNNING"
        connection.drifts[key] = update.drift
    return connection.run_ids[key]


def is_superseded(connection: Connection, update: Update) -> bool:
    """Whether the trial's run has points that no longer count, because code or machine changed."""
    key = update.record["key"]
    return key in connection.run_ids and connection.drifts[key] != update.drift


def begin_again(connection: Connection, backlog: Backlog, key: str) -> None:
    """Take back the run of a trial, whose points no longer count; a new one gets them all."""
    tracker.withdraw(connection.client, connection.run_ids.pop(key))
    backlog.forget({key})


def is_gone(connection: Connection, key: str) -> bool:
    """Whether the trial's run, to which we wrote, was deleted by somebody else."""
    return key in connection.run_ids and tracker.is_deleted(
        connection.client, connection.run_ids[key]
    )


def _end(connection: Connection, update: Update, ending: Ending) -> None:
    key, client = update.record["key"], connection.client
    run_id, status = connection.run_ids[key], tracker.STATUS[ending.outcome.name]
    if len(update.curve) > published.CURVE_POINTS:
        text = published.curve_text(update.curve)
        tracker.log_file(client, connection.artifact_uris[key], published.CURVE, text)
    # The status comes last: a run that has it needs no further look.
    client.set_terminated(run_id, status, end_time=ending.time_ms)
    connection.statuses[key] = status


def pause(connection: Connection) -> None:
    """Nothing runs any more: what has not ended waits for the next launch."""
    for key, status in connection.statuses.items():
        if status == "RUNNING":
            connection.client.update_run(connection.run_ids[key], status=tracker.PAUSED)
            connection.statuses[key] = tracker.PAUSED
