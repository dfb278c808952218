"""A real MLflow knows what the ledger knows: each point once, one run a trial, whatever breaks."""

import json
import math
from pathlib import Path

import pytest

from sweeps.address import tracker_uri
from sweeps.publishing import published, tracker, views
from sweeps.publishing.publisher import Publisher
from sweeps.storage.ledger import Ledger
from sweeps.storage.start import Drift
from sweeps.tracking import (
    links,
    read_trials,
    server_command,
)
from tests.integration.tracked import assert_complete, history, runs_by_key
from tests.integration.trackers import free_port
from tests.small_sweep import (
    START_MS,
    STEPS,
    curve_of,
    outcome_of,
    records_of,
    sweep_of,
    write_trial,
)
from trainers.result import Outcome, Point
from trainers.schema import InputError


@pytest.fixture(scope="module")
def storage(tmp_path_factory) -> Path:
    """One database for all tests of this file; each has a sweep of its own name."""
    return tmp_path_factory.mktemp("storage")


@pytest.fixture
def uri(storage) -> str:
    return tracker_uri(None, storage)


def test_a_sweep_comes_back_from_mlflow_as_it_was_trained(storage, uri):
    ledger, sweep = Ledger(storage), sweep_of("whole", bases=(6, 31))
    records = records_of(sweep)
    for record in records:
        write_trial(ledger, record)
    result = Publisher(uri, ledger, sweep, records).publish()
    assert (result.points_sent, result.points_left, result.error) == (5 * len(records), 0, None)
    assert_complete(uri, "whole", records)

    read, trials = read_trials(uri, "whole")
    assert read == sweep
    assert len(trials) == len(records) == 16
    by_key = {trial.key: trial for trial in trials}
    for record in records:
        trial = by_key[record["key"]]
        assert (trial.outcome, trial.reason, trial.details) == ("finished", "", {"learned": [1, 2]})
        assert trial.fields["data.distinct"] == record["point"]["data.distinct"]
        assert trial.fields["seed"] == record["config"]["seed"]
        assert trial.metrics == {
            **curve_of(record)[-1].values,
            **outcome_of(record).metrics,
            "params": record["params"],
            "flops": record["flops"],
            "examples": record["examples"],
            "tokens": record["tokens"],
            "wall_s": ledger.trial(record["key"]).wall_s(),
            "diverged": 0.0,
        }


def test_a_run_says_what_varies_and_how_it_ended(storage, uri):
    ledger, sweep = Ledger(storage), sweep_of("endings", bases=(5,))
    records = records_of(sweep)
    names = ("finished", "diverged", "stopped", "failed")
    for record, name in zip(records, names, strict=False):
        attempt = ledger.trial(record["key"]).begin(record["config"])
        attempt.append([Point(1_000, {"loss": 1.5})], START_MS)
        attempt.finish(Outcome(name, 1_000, reason="" if name == "finished" else f"why {name}"))
    Publisher(uri, ledger, sweep, records).publish()
    runs = runs_by_key(uri, "endings")
    status = dict(zip(names, ("FINISHED", "FINISHED", "KILLED", "FAILED"), strict=True))
    for record, name in zip(records, names, strict=False):
        (run,) = runs[record["key"]]
        assert run.info.status == status[name]
        assert run.data.tags["outcome"] == name
        assert run.data.tags["trial.attempts"] == "1"
        if name == "failed":  # it may be tried again, and MLflow would keep both
            assert run.data.metrics == {"loss": 1.5}
        else:
            assert run.data.metrics["diverged"] == (name == "diverged")
            assert run.data.metrics["examples"] == record["examples"] * 1_000 / STEPS
        assert run.data.params.keys() == {"encoding.base", "model.width", "data.distinct", "seed"}
    assert runs[records[0]["key"]][0].info.run_name == "base5 width32 distinct2000 seed0"
    (parent,) = runs["sweep"]
    shown = {name: parent.data.metrics[name] for name in (*names, "running", "waiting")}
    assert shown == {**dict.fromkeys(names, 1.0), "running": 0.0, "waiting": 4.0}
    assert parent.data.tags["mlflow.note.content"].startswith("4 of 8 trials have ended")
    assert len(runs) == 5  # a trial that was never begun has no run


def test_infinities_and_nan_survive_although_mlflow_cannot_store_infinity(storage, uri):
    ledger, sweep = Ledger(storage), sweep_of("nonfinite", bases=(7,))
    records = records_of(sweep)[:1]
    attempt = ledger.trial(records[0]["key"]).begin(records[0]["config"])
    values = [
        {"loss": 2.0, "spike": math.inf},
        {"loss": -math.inf, "test_loss": math.nan, "spike": 1.0},
    ]
    for number, found in enumerate(values):
        attempt.append([Point(number + 1, found)], START_MS + number)
    attempt.finish(Outcome("diverged", 2, reason="the loss was not finite"))
    Publisher(uri, ledger, sweep, records).publish()
    (run,) = runs_by_key(uri, "nonfinite")[records[0]["key"]]
    assert all(abs(value) < 1e300 for value in run.data.metrics.values() if value == value)
    (trial,) = read_trials(uri, "nonfinite")[1]
    assert trial.metrics["loss"] == -math.inf
    assert trial.metrics["spike"] == 1.0
    assert math.isnan(trial.metrics["test_loss"])
    assert trial.metrics["diverged"] == 1.0


def test_a_curve_that_grows_is_sent_piece_by_piece_and_goes_on_in_the_same_run(storage, uri):
    ledger, sweep = Ledger(storage), sweep_of("growing", bases=(8,))
    records = records_of(sweep)[:2]
    publisher = Publisher(uri, ledger, sweep, records)
    sent = []
    attempts = {r["key"]: ledger.trial(r["key"]).begin(r["config"]) for r in records}
    for number in range(5):
        for record in records:
            attempts[record["key"]].append([curve_of(record)[number]], START_MS + 1_000 * number)
        if number == 2:  # the driver is replaced: nothing but the ledger and MLflow is left
            publisher = Publisher(uri, ledger, sweep, records)
        sent.append(publisher.publish().points_sent)
    assert sent == [2, 2, 2, 2, 2]
    assert_complete(uri, "growing", records)
    (run,) = runs_by_key(uri, "growing")[records[0]["key"]]
    assert (run.info.status, run.data.tags["outcome"]) == ("RUNNING", "running")


def test_what_has_not_ended_when_the_driver_stops_waits_and_is_taken_up_again(storage, uri):
    ledger, sweep = Ledger(storage), sweep_of("paused", bases=(9,))
    records = records_of(sweep)[:1]
    write_trial(ledger, records[0], until=3)
    publisher = Publisher(uri, ledger, sweep, records)
    publisher.start()
    assert publisher.stop(60).error is None
    runs = runs_by_key(uri, "paused")
    assert {found[0].info.status for found in runs.values()} == {"SCHEDULED"}
    write_trial(ledger, records[0])  # the next launch replays what it had, and ends it
    publisher = Publisher(uri, ledger, sweep, records)
    assert publisher.publish().points_sent == 2
    assert_complete(uri, "paused", records)
    runs = runs_by_key(uri, "paused")
    assert {found[0].info.status for found in runs.values()} == {"FINISHED"}


def test_runs_are_found_by_key_when_all_that_was_remembered_locally_is_lost(storage, uri):
    ledger, sweep = Ledger(storage), sweep_of("forgotten", bases=(10,))
    records = records_of(sweep)[:3]
    write_trial(ledger, records[0])
    write_trial(ledger, records[1], until=3)
    Publisher(uri, ledger, sweep, records).publish()
    for file in (ledger.sweep("forgotten").path / "offsets").iterdir():
        file.unlink()
    write_trial(ledger, records[2])
    Publisher(uri, ledger, sweep, records).publish()
    write_trial(ledger, records[1])
    Publisher(uri, ledger, sweep, records).publish()
    assert_complete(uri, "forgotten", records)


def test_a_tracker_that_was_emptied_gets_everything_again(storage, uri):
    ledger, sweep = Ledger(storage), sweep_of("emptied", bases=(11,))
    records = records_of(sweep)[:2]
    for record in records:
        write_trial(ledger, record, until=3)
    Publisher(uri, ledger, sweep, records).publish()
    client = tracker.connect(uri)
    lost = runs_by_key(uri, "emptied")[records[0]["key"]][0].info.run_id
    client.delete_run(lost)
    for record in records:
        write_trial(ledger, record)
    Publisher(uri, ledger, sweep, records).publish()
    assert_complete(uri, "emptied", records)


def test_trials_of_an_earlier_plan_are_left_out_until_they_are_planned_again(storage, uri):
    ledger = Ledger(storage)
    wide, narrow = sweep_of("replanned", bases=(12, 13)), sweep_of("replanned", bases=(12,))
    for record in records_of(wide):
        write_trial(ledger, record)
    for sweep, expected in ((wide, 16), (narrow, 8), (wide, 16)):
        assert Publisher(uri, ledger, sweep, records_of(sweep)).publish().error is None
        read, trials = read_trials(uri, "replanned")
        assert (read, len(trials)) == (sweep, expected)


def test_a_damaged_trial_is_named_and_the_others_are_published(storage, uri):
    ledger, sweep = Ledger(storage), sweep_of("damaged", bases=(14,))
    records = records_of(sweep)[:2]
    for record in records:
        write_trial(ledger, record)
    file = ledger.trial(records[0]["key"]).attempts()[0] / "metrics.jsonl"
    file.write_bytes(file.read_bytes().replace(b"loss", b"lass", 1))
    result = Publisher(uri, ledger, sweep, records).publish()
    assert str(file) in (result.error or "")
    assert_complete(uri, "damaged", records[1:])


def test_a_trial_that_is_damaged_after_it_was_published_stops_no_later_driver(storage, uri):
    ledger, sweep = Ledger(storage), sweep_of("rotten", bases=(22,))
    records = records_of(sweep)[:3]
    write_trial(ledger, records[0])
    write_trial(ledger, records[1], until=3)
    Publisher(uri, ledger, sweep, records).publish()
    for record in records[:2]:
        file = ledger.trial(record["key"]).attempts()[0] / "metrics.jsonl"
        file.write_bytes(file.read_bytes().replace(b"loss", b"lass", 1))
    write_trial(ledger, records[2])
    result = Publisher(uri, ledger, sweep, records).publish()
    assert result.points_sent == 5
    assert records[0]["key"] not in (result.error or "")  # published whole: not read again
    assert records[1]["key"] in (result.error or "")


def test_a_long_curve_is_thinned_the_same_way_however_it_is_cut_into_passes(storage, uri):
    ledger, sweep = Ledger(storage), sweep_of("long", bases=(15,))
    record = records_of(sweep, points=2_000)[0]
    curve = curve_of(record)
    publisher = Publisher(uri, ledger, sweep, [record])
    attempt = ledger.trial(record["key"]).begin(record["config"])
    for first in range(0, len(curve), 613):
        attempt.append(curve[first : first + 613], START_MS)
        publisher.publish()
    attempt.finish(outcome_of(record))
    publisher.publish()
    client = tracker.connect(uri)
    (run,) = runs_by_key(uri, "long")[record["key"]]
    steps = [step for step, _, _ in history(client, run.info.run_id, "loss")]
    whole = published.thinned(ledger.trial(record["key"]).points(), record, ended=True)
    assert steps == [point.step for point in whole]
    assert published.CURVE_POINTS - 5 <= len(steps) <= published.CURVE_POINTS
    assert steps[-1] == STEPS
    kept = client.download_artifacts(run.info.run_id, "curve.csv")
    assert len(Path(kept).read_text().splitlines()) == 1 + len(curve)


def test_texts_too_long_for_a_tag_come_back_whole(storage, uri):
    ledger, sweep = Ledger(storage), sweep_of("wordy", bases=(16,))
    record = records_of(sweep)[0]
    record["config"]["note"] = "x" * 9_000
    details = {"answers": {str(number): number * 7 for number in range(2_000)}}
    attempt = ledger.trial(record["key"]).begin(record["config"])
    attempt.finish(Outcome("failed", 0, details=details, reason="because " * 1_500))
    Publisher(uri, ledger, sweep, [record]).publish()
    (trial,) = read_trials(uri, "wordy")[1]
    assert trial.fields["note"] == "x" * 9_000
    assert trial.details == details
    assert trial.reason == "because " * 1_500


def test_a_hundred_trials_are_published_without_a_point_missing(storage, uri):
    ledger, sweep = Ledger(storage), sweep_of("many", bases=tuple(range(2, 15)))
    records = records_of(sweep, points=20)
    assert len(records) == 104
    for record in records:
        attempt = ledger.trial(record["key"]).begin(record["config"])
        attempt.append(curve_of(record), START_MS)
        attempt.finish(outcome_of(record))
    result = Publisher(uri, ledger, sweep, records).publish()
    assert (result.points_sent, result.error) == (2_080, None)
    assert len(read_trials(uri, "many")[1]) == 104


def test_a_database_that_is_not_there_is_not_made_by_looking(tmp_path):
    with pytest.raises(InputError, match="expected a sweep that is tracked in sqlite"):
        read_trials(tracker_uri(None, tmp_path), "gcd")
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_that_refuses_connections_is_an_answer_without_its_password(tmp_path):
    ledger, sweep = Ledger(tmp_path), sweep_of("away", bases=(17,))
    records = records_of(sweep)[:1]
    write_trial(ledger, records[0])
    uri = f"http://ann:s3cret@127.0.0.1:{free_port()}"
    result = Publisher(uri, ledger, sweep, records).publish()
    assert (result.points_sent, result.points_left) == (0, 5)
    assert result.error
    assert "s3cret" not in result.error
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and b"s3cret" in p.read_bytes()]


def test_the_server_command_hides_the_database_and_names_exactly_its_own_hosts(tmp_path):
    command, environment = server_command(tmp_path, "postgresql://ann:s3cret@db/x", 5123)
    assert "s3cret" not in " ".join(command)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql://ann:s3cret@db/x"
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--allowed-hosts") + 1] == "127.0.0.1:5123,localhost:5123"
    with pytest.raises(InputError, match="expected a database to serve"):
        server_command(tmp_path, "https://tracker.example", 5123)


def test_the_saved_view_has_the_form_that_mlflows_page_reads(storage, uri):
    sweep = sweep_of("view", bases=(18, 19))
    view = json.loads(views.saved_views(sweep, records_of(sweep))["lawsweep"])
    state = json.loads(view["state"])  # a text inside the text
    assert isinstance(view["createdAt"], int)
    assert state["orderByKey"] == "metrics.`accuracy`"
    assert not state["orderByAsc"]
    assert "params.`encoding.base`" in state["selectedColumns"]
    assert {chart["type"] for chart in state["compareRunCharts"]} == {"SCATTER", "PARALLEL", "LINE"}
    sections = {section["uuid"] for section in state["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} == sections
    Publisher(uri, Ledger(storage), sweep, records_of(sweep)).publish()
    found = links("http://127.0.0.1:5000/", uri, "view")
    assert found.runs.endswith("viewStateShareKey=lawsweep")
    assert found.report is None


def test_trials_that_are_added_while_a_sweep_runs_are_published_with_it(storage, uri):
    ledger, sweep = Ledger(storage), sweep_of("extended", bases=(23,))
    records = records_of(sweep)
    for record in records:
        write_trial(ledger, record)
    publisher = Publisher(uri, ledger, sweep, records[:1])
    assert publisher.publish().points_sent == 5
    for number in range(1, 4):
        publisher.extend([records[number]])
        assert publisher.publish().points_sent == 5
    assert len(read_trials(uri, "extended")[1]) == 4
    publisher = Publisher(uri, ledger, sweep, records[:1])  # a search that is rebuilt step by step
    assert publisher.publish().points_sent == 0
    assert len(read_trials(uri, "extended")[1]) == 1
    publisher.extend(records)
    assert publisher.publish().points_sent == 5 * 4
    assert len(read_trials(uri, "extended")[1]) == 8
    assert_complete(uri, "extended", records)


def test_a_failed_trial_that_is_tried_again_goes_on_in_its_run_and_keeps_nothing_twice(
    storage, uri
):
    ledger, sweep = Ledger(storage), sweep_of("retried", bases=(24,))
    (record,) = records_of(sweep)[:1]
    folder = ledger.trial(record["key"])
    attempt = folder.begin(record["config"])
    for number, point in enumerate(curve_of(record)[:2]):
        attempt.append([point], START_MS + 1_000 * number)
    attempt.finish(Outcome("failed", 1_600, reason="out of memory"))
    publisher = Publisher(uri, ledger, sweep, [record])
    publisher.publish()
    (trial,) = read_trials(uri, "retried")[1]
    assert (trial.outcome, trial.reason) == ("failed", "out of memory")
    folder.reopen()
    write_trial(ledger, record)  # by the same driver, so the publisher is the same too
    assert publisher.publish().points_sent == 3
    assert_complete(uri, "retried", [record])
    (trial,) = read_trials(uri, "retried")[1]
    assert (trial.outcome, trial.reason) == ("finished", "")
    client = tracker.connect(uri)
    (run,) = runs_by_key(uri, "retried")[record["key"]]
    assert run.data.tags["trial.attempts"] == "2"
    assert all(len(history(client, run.info.run_id, name)) in {1, 5} for name in run.data.metrics)


def test_points_that_no_longer_count_because_code_has_changed_leave_mlflow_too(storage, uri):
    ledger, sweep = Ledger(storage), sweep_of("drifted", bases=(25,))
    (record,) = records_of(sweep)[:1]
    curve = curve_of(record)
    first = ledger.trial(record["key"]).begin(record["config"])
    wrong = [Point(point.step, {"loss": 9.0, "accuracy": 0.0}) for point in curve[2:4]]
    for number, point in enumerate([*curve[:2], *wrong]):
        first.append([point], START_MS + 1_000 * number)
    publisher = Publisher(uri, ledger, sweep, [record])
    assert publisher.publish().points_sent == 4
    drift = Drift("torch 2.13.0 -> 2.14.0", curve[1].step)
    second = ledger.trial(record["key"]).begin(record["config"], drift=drift)
    for number, point in enumerate(curve[2:], start=2):
        second.append([point], START_MS + 1_000 * number)
    second.finish(outcome_of(record))
    assert publisher.publish().error is None
    assert_complete(uri, "drifted", [record])
    (run,) = runs_by_key(uri, "drifted")[record["key"]]
    assert run.data.tags["trial.drift"] == "from step 1,600: torch 2.13.0 -> 2.14.0"


def test_a_trial_that_mlflow_refuses_is_named_and_the_others_are_published(storage, uri):
    ledger, sweep = Ledger(storage), sweep_of("refused", bases=(26,))
    records = records_of(sweep)[:3]
    attempt = ledger.trial(records[0]["key"]).begin(records[0]["config"])
    attempt.append([Point(1, {"a<b": 1.0})], START_MS)
    for record in records[1:]:
        write_trial(ledger, record)
    result = Publisher(uri, ledger, sweep, records).publish()
    assert records[0]["key"] in (result.error or "")
    assert "a<b" in (result.error or "")
    assert (result.points_sent, result.points_left) == (10, 1)
