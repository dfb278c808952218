"""A sweep in MLflow: publish it, read its runs back, and serve its pages."""

import csv
import json
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from mlflow import MlflowClient
from mlflow.entities import Run

from sweeps.publishing import published, tracker, views
from sweeps.publishing.artifact_place import refuse_other_place
from sweeps.spec import Sweep, from_resolved
from trainers.schema import InputError, flattened

_REPORT = "report.html"


@dataclass(frozen=True)
class TrackedTrial:
    """One trial as MLflow holds it."""

    key: str
    run_id: str
    outcome: str  # finished, diverged, stopped, failed, or running
    reason: str  # why it did not finish; empty when it did
    fields: dict[str, Any]  # the resolved config by dotted path: {"encoding.base": 30, "seed": 1}
    metrics: dict[str, float]  # the last value of each metric, with params, flops, examples, wall_s
    details: dict[str, Any]  # what is not a number: {"learned": [1, 2, 3]}


def read_trials(uri: str, sweep_name: str) -> tuple[Sweep, tuple[TrackedTrial, ...]]:
    """The sweep and its trials as MLflow holds them; those of an earlier plan are left out.

    Raises:
        InputError: no such sweep is tracked there.
    """
    client, experiment_id = tracker.open_experiment(uri, sweep_name)
    runs = tracker.runs_of(client, experiment_id)
    parent = tracker.sweep_run(runs)
    text = None if parent is None else tracker.read_text(client, parent, published.SWEEP)
    if text is None:
        raise InputError(f"expected an experiment that lawsweep has made, got {sweep_name}")
    found = [
        _tracked(client, key, run)
        for key, run in tracker.trial_runs(runs).items()
        if run.data.tags.get(published.PLANNED) == "true"
    ]
    return from_resolved(text), tuple(found)


def _tracked(client: MlflowClient, key: str, run: Run) -> TrackedTrial:
    config = tracker.read_text(client, run, published.CONFIG)
    details = tracker.read_text(client, run, published.DETAILS)
    tags = run.data.tags
    infinite = published.last_infinities(tags.get(published.NONFINITE, "{}"))
    return TrackedTrial(
        key=key,
        run_id=run.info.run_id,
        outcome=tags.get(published.OUTCOME, "running"),
        reason=tracker.read_text(client, run, published.REASON) or "",
        fields=flattened(json.loads(config or "{}")),
        metrics={
            name: value
            for name, value in {**run.data.metrics, **infinite}.items()
            if not name.startswith(published.LOG)
        },
        details=json.loads(details or "{}"),
    )


TrackedCurve = Mapping[int, float]
"""What a metric was after so many steps, in their order."""


def read_curves(
    uri: str, sweep_name: str, trials: Sequence[TrackedTrial], metrics: Collection[str]
) -> dict[str, dict[str, TrackedCurve]]:
    """The curves of some metrics, by the trial's key; every point where the tracker has them all.

    A metric that was measured once, at the end, has no curve.

    Raises:
        InputError: no such sweep is tracked there.
    """
    if not trials or not metrics:
        return {}
    client, _ = tracker.open_experiment(uri, sweep_name)
    return {one.key: _curves(client, one, metrics) for one in trials}


def _curves(
    client: MlflowClient, trial: TrackedTrial, metrics: Collection[str]
) -> dict[str, TrackedCurve]:
    wanted = [name for name in metrics if name in trial.metrics]
    whole = _whole_curves(client, trial) if wanted else {}
    found: dict[str, TrackedCurve] = {}
    for name in wanted:
        history = client.get_metric_history(trial.run_id, name)
        # What is measured again at the end, on more examples, is the last of its step.
        kept = {each.step: each.value for each in sorted(history, key=lambda one: one.timestamp)}
        points = {**whole.get(name, {}), **kept}
        points.pop(0, None)  # there stands what a trial has once
        if points:
            found[name] = dict(sorted(points.items()))
    return found


def _whole_curves(client: MlflowClient, trial: TrackedTrial) -> dict[str, dict[int, float]]:
    """The curves before they were thinned; empty where they were not."""
    if trial.fields.get("evaluation.points", 0) <= published.CURVE_POINTS:
        return {}
    files = {file.path for file in client.list_artifacts(trial.run_id)}
    if published.CURVE not in files:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        text = Path(client.download_artifacts(trial.run_id, published.CURVE, folder)).read_text()
    found: dict[str, dict[int, float]] = {}
    for row in csv.DictReader(text.splitlines()):
        for name, value in row.items():
            if value and name not in ("step", "time_ms"):
                found.setdefault(name, {})[int(row["step"])] = float(value)
    return found


def check_artifacts(uri: str, sweep_name: str, storage: Path) -> None:
    """Refuse a tracker that keeps the artifacts of a sweep elsewhere on this machine.

    Raises:
        InputError: it does, or no such sweep is tracked there.
    """
    client, experiment_id = tracker.open_experiment(uri, sweep_name)
    location = client.get_experiment(experiment_id).artifact_location
    refuse_other_place(location, sweep_name, storage)


def attach_report(uri: str, sweep_name: str, folder: Path) -> None:
    """Put the report beside the sweep's own run; `report.html` shows inline in its artifacts.

    Raises:
        InputError: no such sweep is tracked there.
    """
    client, experiment_id = tracker.open_experiment(uri, sweep_name)
    runs = tracker.runs_of(client, experiment_id)
    parent = tracker.sweep_run(runs)
    if parent is None:
        raise InputError(f"expected an experiment that lawsweep has made, got {sweep_name}")
    client.log_artifacts(parent.info.run_id, str(folder))


@dataclass(frozen=True)
class Links:
    """Where MLflow's pages show a sweep."""

    runs: str  # a table of its trials, the best first
    charts: str  # drawn as the page opens
    sweep: str  # its own run: where it stands, and what each point of the axes gives
    report: str | None  # None before one is attached


def links(uri_of_ui: str, uri: str, sweep_name: str) -> Links:
    """The addresses of a sweep's pages, under the address of MLflow's.

    Raises:
        InputError: no such sweep is tracked there.
    """
    client, experiment_id = tracker.open_experiment(uri, sweep_name)
    parent = tracker.sweep_run(tracker.sweep_runs(client, experiment_id))
    if parent is None:
        raise InputError(f"expected an experiment that lawsweep has made, got {sweep_name}")
    files = {file.path for file in client.list_artifacts(parent.info.run_id)}
    experiment = f"{uri_of_ui.rstrip('/')}/#/experiments/{experiment_id}/runs"
    run = f"{experiment}/{parent.info.run_id}"
    kind = "workflowType=machine_learning"  # without it MLflow opens its pages of language models
    view = f"{experiment}?{kind}&viewStateShareKey"
    return Links(
        runs=f"{view}={views.TABLE}",
        charts=f"{view}={views.CHARTS}&compareRunsMode=CHART",
        sweep=f"{run}?{kind}",
        report=f"{run}/artifacts/{_REPORT}?{kind}" if _REPORT in files else None,
    )


def is_serving(uri_of_ui: str) -> bool:
    """Whether MLflow's server answers at this address."""
    try:
        with urlopen(f"{uri_of_ui}/health", timeout=2) as answer:  # noqa: S310 - our own loopback
            return answer.status == 200
    except OSError:
        return False


def server_command(storage: Path, tracking_uri: str, port: int) -> tuple[list[str], dict[str, str]]:
    """How to serve MLflow's pages on this machine alone: the command, and its environment.

    Raises:
        InputError: the tracker is a server already.
    """
    if not tracker.is_database(tracking_uri):
        place = tracker.in_one_line(ValueError(tracking_uri))
        raise InputError(f"expected a database to serve, got {place}: open it in a browser")
    hosts = [f"{host}:{port}" for host in ("127.0.0.1", "localhost")]
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--app-name", "lawsweep"),  # `publishing.server`
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--artifacts-destination", (storage.resolve() / "mlflow-artifacts").as_uri()),
        *("--allowed-hosts", ",".join(hosts)),
        *("--cors-allowed-origins", ",".join(f"http://{host}" for host in hosts)),
        *("--x-frame-options", "SAMEORIGIN"),
    ]
    environment = {
        "MLFLOW_BACKEND_STORE_URI": tracking_uri,  # not an argument, which everybody here can read
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONSAFEPATH": "1",  # what is installed is run, and nothing of the folder we stand in
    }
    return command, environment
