"""What the tests ask MLflow after a sweep was published to it."""

from mlflow import MlflowClient

from sweeps.publishing import published, tracker
from tests.small_sweep import START_MS, curve_of


def runs_by_key(uri: str, name: str) -> dict[str, list]:
    """The runs of each trial, deleted ones left out; those of the whole sweep under `sweep`."""
    runs = tracker.runs_of(*tracker.open_experiment(uri, name))
    found: dict[str, list] = {}
    for run in runs:
        found.setdefault(run.data.tags.get(published.KEY, "sweep"), []).append(run)
    return found


def history(client: MlflowClient, run_id: str, name: str) -> list[tuple[int, int, str]]:
    """All that MLflow has of one metric: step, time in ms, and the value to the bit."""
    found = client.get_metric_history(run_id, name)
    return sorted((metric.step, metric.timestamp, repr(metric.value)) for metric in found)


def assert_complete(uri: str, name: str, records: list[dict], metrics=("loss", "accuracy")) -> None:
    """Every trial has one run, which has every point of its curve once, to the bit and to the ms."""
    client = tracker.connect(uri)
    runs = runs_by_key(uri, name)
    assert {key: len(found) for key, found in runs.items()} == {
        "sweep": 1,
        **{record["key"]: 1 for record in records},
    }
    for record in records:
        for metric in metrics:
            assert history(client, runs[record["key"]][0].info.run_id, metric) == [
                (point.step, START_MS + 1_000 * number, repr(point.values[metric]))
                for number, point in enumerate(curve_of(record))
            ]
