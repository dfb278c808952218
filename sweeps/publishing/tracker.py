"""The calls to MLflow: its experiment, its runs, and how texts and errors are kept in bounds."""

import logging
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# MLflow reports its use over the internet from the moment it is imported, unless told before.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from sweeps.address import DATABASES
from sweeps.publishing import pages, published, views
from sweeps.publishing.artifact_place import refuse_other_place
from sweeps.publishing.datasets import SOURCE_TYPE, DataSet
from sweeps.publishing.new_database import ensure_database
from sweeps.publishing.provenance import FOLDER, files_of_provenance, read_provenance
from sweeps.publishing.published import Row, Update
from sweeps.secrets import masked
from sweeps.spec import Sweep, resolved_text
from trainers.schema import InputError

AWAY = (MlflowException, SQLAlchemyError, OSError)
"""What a tracker that is down, full, locked or unreachable may raise."""

STATUS = {
    "finished": "FINISHED",
    "diverged": "FINISHED",  # a result; the tag `outcome` says which
    "stopped": "KILLED",
    "failed": "FAILED",
}
PAUSED = "SCHEDULED"  # to be continued by the next launch
PER_CALL = 1_000  # metrics; the tracker's own limit
PARENT = "mlflow.parentRunId"
_PER_PAGE = 250  # runs; a slow server must answer before we give up
_AT_ONCE = 4  # trials; while the tracker writes one, the next is read and encoded
_VIEW = "mlflow.sharedViewState."


def is_database(uri: str) -> bool:
    """Whether MLflow itself would open this store, without a server in between."""
    return uri.partition(":")[0].partition("+")[0] in DATABASES


def connect(uri: str) -> MlflowClient:
    """A client that gives up soon: who waits here is never training, and asks again later."""
    # Not even once: a run that was asked for twice is there twice. We ask again ourselves.
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    for name in ("mlflow", "alembic"):  # a new database is a page of migrations at INFO
        logging.getLogger(name).setLevel(logging.WARNING)
    # The error of a database with its traceback; we say it in one line.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    # Every attempt to reach a server that is away; `Published.error` says it once.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    if uri.startswith("sqlite:///"):
        ensure_database(uri)
    elif is_database(uri):
        _probe(uri)  # MLflow itself would try for two minutes
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _probe(uri: str) -> None:
    os.environ.setdefault("PGCONNECT_TIMEOUT", "10")
    engine = create_engine(uri)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def threads_for(uri: str) -> int:
    """How many trials are best sent at once; a SQLite file has one writer at a time."""
    return 1 if uri.startswith("sqlite") else _AT_ONCE


def is_refusal(problem: Exception) -> bool:
    """Whether the tracker is there and refuses what it was sent."""
    return getattr(problem, "error_code", "") in {
        "INVALID_PARAMETER_VALUE",
        "RESOURCE_DOES_NOT_EXIST",
    }


def in_one_line(problem: Exception) -> str:
    """The text of an error, without user and password of an address in it."""
    text = " ".join(str(problem).split())
    text = masked(re.sub(r"//[^/@\s]*@", "//", text))
    return text if len(text) <= 300 else f"{text[:297]}..."


def open_experiment(uri: str, sweep_name: str) -> tuple[MlflowClient, str]:
    """A client, and the experiment of a sweep that is there already.

    Raises:
        InputError: there is none.
    """
    file = uri.removeprefix("sqlite:///")
    if file == uri or Path(file).exists():  # a look must not create a database
        client = connect(uri)
        experiment = client.get_experiment_by_name(sweep_name)
        if experiment is not None:
            return client, experiment.experiment_id
    place = in_one_line(ValueError(uri))
    raise InputError(f"expected a sweep that is tracked in {place}, got {sweep_name}")


def ensure_experiment(
    client: MlflowClient,
    uri: str,
    storage: Path,
    sweep: Sweep,
    records: Sequence[Mapping[str, Any]],
) -> str:
    """The experiment of a sweep, made if need be, with its note and its saved view up to date."""
    tags = {
        published.NOTE: pages.experiment_note(sweep, records),
        **{f"{_VIEW}{name}": text for name, text in views.saved_views(sweep, records).items()},
        "mlflow.experimentKind": "custom_model_development",
    }
    tags = {name: text for name, text in tags.items() if len(text) <= published.LONGEST_TAG}
    experiment = client.get_experiment_by_name(sweep.name)
    if experiment is None:
        # A server decides for itself where artifacts lie; a bare database would take the folder
        # in which we happen to stand.
        location = (storage.resolve() / "mlflow-artifacts").as_uri() if is_database(uri) else None
        try:
            return client.create_experiment(sweep.name, artifact_location=location, tags=tags)
        except MlflowException as problem:
            if problem.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        experiment = client.get_experiment_by_name(sweep.name)  # another machine was faster
        assert experiment is not None
    if experiment.lifecycle_stage != "active":
        raise OSError(f"the experiment {sweep.name} was deleted in MLflow; restore it to publish")
    try:
        refuse_other_place(experiment.artifact_location, sweep.name, storage)
    except InputError as problem:  # a tracker that cannot be used is one that is away
        raise OSError(str(problem)) from problem
    for name, text in tags.items():
        if experiment.tags.get(name) != text:
            client.set_experiment_tag(experiment.experiment_id, name, text)
    return experiment.experiment_id


def runs_of(client: MlflowClient, experiment_id: str) -> list[Run]:
    """Every run of an experiment, the oldest first."""
    found: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id],
            max_results=_PER_PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        found += page
        token = page.token
        if not token:
            return sorted(found, key=_age)


def _age(run: Run) -> tuple[int, str]:
    """Runs sorted by it stand in one order, whoever looks, and whatever they hold by then."""
    return int(run.data.tags.get(published.TRACKED_MS, run.info.start_time)), run.info.run_id


def sweep_runs(client: MlflowClient, experiment_id: str) -> list[Run]:
    """The run of the whole sweep in a list, without those of its trials, of which there may be many."""
    found = client.search_runs(
        [experiment_id], filter_string=f"tags.`{published.SWEEP_NAME}` LIKE '%'", max_results=10
    )
    return sorted(found, key=_age)


def trial_runs(runs: Sequence[Run]) -> dict[str, Run]:
    """The run of each trial; should there be two, the one that has ended, or else has more of it."""
    found: dict[str, Run] = {}
    for run in runs:
        key = run.data.tags.get(published.KEY)
        if key is not None and (key not in found or _fullness(run) > _fullness(found[key])):
            found[key] = run
    return found


def _fullness(run: Run) -> tuple[bool, int]:
    return run.data.tags.get(published.OUTCOME) != "running", len(run.data.metrics)


def without_duplicates(client: MlflowClient, runs: Sequence[Run]) -> list[Run]:
    """Of the runs of one trial, and of those of the whole sweep, the oldest; others are deleted.

    Which is kept depends on nothing that changes: two publishers must not delete each other's.
    """
    kept: dict[str, Run] = {}
    others: list[Run] = []
    for run in sorted(runs, key=_age):
        key = run.data.tags.get(published.KEY) or run.data.tags.get(published.SWEEP_NAME)
        if key is None:
            others.append(run)
        elif key in kept:
            client.set_tag(run.info.run_id, published.DUPLICATE_OF, kept[key].info.run_id)
            client.delete_run(run.info.run_id)
        else:
            kept[key] = run
    return sorted([*kept.values(), *others], key=_age)


def withdraw(client: MlflowClient, run_id: str) -> None:
    """Delete a run with points that no longer count; MLflow keeps it among the deleted ones."""
    client.set_tag(run_id, published.OUTCOME, "superseded")
    client.delete_run(run_id)


def is_deleted(client: MlflowClient, run_id: str) -> bool:
    """Whether a run that we made is no longer there."""
    try:
        return client.get_run(run_id).info.lifecycle_stage != "active"
    except MlflowException as problem:
        if problem.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return True


def tag_if_other(client: MlflowClient, run: Run, name: str, text: str) -> None:
    """Set a tag, unless the run has it already."""
    if run.data.tags.get(name) != text:
        client.set_tag(run.info.run_id, name, text)
        run.data.tags[name] = text  # it may be planned again before the next search


def sweep_run(runs: Sequence[Run]) -> Run | None:
    """The run that stands for the whole sweep."""
    return next((run for run in runs if published.SWEEP_NAME in run.data.tags), None)


def ensure_sweep_run(
    client: MlflowClient, experiment_id: str, runs: Sequence[Run], sweep: Sweep, folder: Path
) -> str:
    """The run that stands for the whole sweep, made if need be, with the sweep as it is now.

    `folder` is that of the sweep, with its provenance.
    """
    run = sweep_run(runs)
    if run is None:
        tags = {published.SWEEP_NAME: sweep.name}
        run = client.create_run(experiment_id, tags=tags, run_name=sweep.name)
    elif run.info.status != "RUNNING":
        client.update_run(run.info.run_id, status="RUNNING")
    if read_text(client, run, published.SWEEP) != resolved_text(sweep):
        tags = as_tags(client, run.info.run_id, {published.SWEEP: resolved_text(sweep)})
        log(client, run.info.run_id, (), tags=tags)
    told = read_provenance(folder)
    if any(run.data.tags.get(name) != text for name, text in told.items()):
        for file in files_of_provenance(folder):
            client.log_artifact(run.info.run_id, str(file), FOLDER)
        log(client, run.info.run_id, (), tags=told)  # last: they say that the files are there
    return run.info.run_id


def log_data_sets(client: MlflowClient, run_id: str, data_sets: Sequence[DataSet]) -> None:
    """What a trial was trained and tested on; a second time changes nothing."""
    inputs = [
        DatasetInput(
            Dataset(each.name, each.digest, SOURCE_TYPE, each.source, profile=each.profile),
            [InputTag(MLFLOW_DATASET_CONTEXT, each.context)],
        )
        for each in data_sets
    ]
    try:
        client.log_inputs(run_id, inputs)
    except MlflowException as problem:
        if problem.error_code != "BAD_REQUEST":
            raise
        # Another machine has brought the same new data at this moment; now the tracker has them.
        client.log_inputs(run_id, inputs)


def create_trial_run(
    client: MlflowClient,
    experiment_id: str,
    parent_id: str,
    update: Update,
    config: str,
    *,
    tracked_ms: int,
    machine: Mapping[str, str],
) -> Run:
    """A run for one trial, with all that is known of it from the start.

    `machine` is of `provenance.of_trial`.
    """
    tags = {
        **machine,
        PARENT: parent_id,
        published.KEY: update.record["key"],
        published.PLANNED: "true",
        published.OUTCOME: "running",
        published.TRACKED_MS: str(tracked_ms),
        **({published.DRIFT: update.drift} if update.drift else {}),
    }
    short = len(config) <= published.LONGEST_TAG
    run = client.create_run(
        experiment_id,
        start_time=update.started_ms,
        tags={**tags, published.CONFIG: config} if short else tags,
        run_name=published.run_name(update.record),
    )
    if not short:
        tags = as_tags(client, run.info.run_id, {published.CONFIG: config})
        log(client, run.info.run_id, (), tags=tags)
    return run


def log(
    client: MlflowClient,
    run_id: str,
    rows: Sequence[Row],
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """One call, answered before this returns."""
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, time_ms, step) for name, value, time_ms, step in rows],
        params=[Param(name, text) for name, text in (params or {}).items()],
        tags=[RunTag(name, text) for name, text in (tags or {}).items()],
        synchronous=True,
    )


def log_file(client: MlflowClient, artifact_uri: str, name: str, text: str) -> None:
    """An artifact of a run, whose folder is known: the client would ask for it first."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_text(text)
        get_artifact_repository(artifact_uri, client.tracking_uri).log_artifact(str(file))


def set_note(client: MlflowClient, run_id: str, rows: Sequence[Row], note: str) -> None:
    """The numbers and the text of the sweep's own run."""
    log(client, run_id, rows, tags={published.NOTE: note})


def as_tags(client: MlflowClient, run_id: str, texts: Mapping[str, str]) -> dict[str, str]:
    """Texts by name as tags; one that is too long becomes an artifact, and its tag says so."""
    tags: dict[str, str] = {}
    for name, text in texts.items():
        tags[name] = text
        if len(text) > published.LONGEST_TAG:
            tags[name] = f"{published.MARK_OF_ARTIFACT}{name}.json"
            client.log_text(run_id, text, f"{name}.json")
    return tags


def read_text(client: MlflowClient, run: Run, name: str) -> str | None:
    """The inverse of `as_tags` for one name; None when it was never written."""
    text = run.data.tags.get(name)
    if text is None or not text.startswith(published.MARK_OF_ARTIFACT):
        return text
    with tempfile.TemporaryDirectory() as folder:
        artifact = text.removeprefix(published.MARK_OF_ARTIFACT)
        return Path(client.download_artifacts(run.info.run_id, artifact, folder)).read_text()
