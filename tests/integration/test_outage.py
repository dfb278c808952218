"""A tracker that is killed, hangs, or loses its answers: nothing is lost, doubled or waited for."""

import itertools
import os
import shutil
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from sweeps.address import tracker_uri
from sweeps.publishing import published, tracker
from sweeps.publishing.publisher import Publisher
from sweeps.storage.ledger import Ledger
from sweeps.tracking import attach_report, read_trials
from tests.integration import sweeping
from tests.integration.tracked import assert_complete, runs_by_key
from tests.integration.trackers import Server, over_sqlite
from tests.small_sweep import (
    START_MS,
    curve_of,
    outcome_of,
    records_of,
    store,
    sweep_of,
    write_trial,
)

pytestmark = pytest.mark.xdist_group("tracker")  # they share one server, and kill it


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with over_sqlite(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """A tracker that hangs is given up after two seconds, so that the tests need not wait ten."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")


@pytest.fixture(autouse=True)
def _answering(server):
    """A test that failed while the server was away fails alone."""
    yield
    if server.process is None:
        server.start()
    server.thaw()


class Growing:
    """Trials that report a point at a time, all of them in step, until they end."""

    def __init__(self, ledger: Ledger, records: list[dict]) -> None:
        self._records = records
        self._attempts = {r["key"]: ledger.trial(r["key"]).begin(r["config"]) for r in records}

    def report(self, first: int, last: int) -> None:
        for record in self._records:
            curve = curve_of(record)
            for number in range(first, last):
                self._attempts[record["key"]].append([curve[number]], START_MS + 1_000 * number)

    def end(self) -> None:
        for record in self._records:
            self._attempts[record["key"]].finish(outcome_of(record))


def test_a_server_killed_in_the_middle_of_passes_misses_no_point_and_doubles_none(tmp_path, server):
    ledger, sweep = Ledger(tmp_path), sweep_of("killed", bases=(20,))
    records = records_of(sweep, points=60)
    store(ledger, sweep, records)
    growing = Growing(ledger, records)
    publisher = Publisher(server.uri, ledger, sweep, records)
    disturbed = False
    for part in range(6):  # one pass is enough that had not ended before the server was killed
        growing.report(10 * part, 10 * part + 10)
        if disturbed:
            continue
        with ThreadPoolExecutor(1) as beside:
            passing = beside.submit(publisher.publish)
            time.sleep(0.1)
            server.restart()
            disturbed = passing.result().error is not None
    growing.end()
    assert disturbed, "no pass was disturbed: the test showed nothing"
    assert publisher.stop(60).error is None
    assert_complete(server.uri, "killed", records)


def test_a_server_that_hangs_is_given_up_and_what_it_does_later_doubles_nothing(tmp_path, server):
    ledger, sweep = Ledger(tmp_path), sweep_of("frozen", bases=(21,))
    records = records_of(sweep, points=10)
    growing = Growing(ledger, records)
    growing.report(0, 5)
    publisher = Publisher(server.uri, ledger, sweep, records[:4])
    assert publisher.publish().error is None
    growing.report(5, 10)
    publisher.extend(records[4:])  # whose runs are asked for while the server hangs
    server.freeze()
    started = time.monotonic()
    assert publisher.publish().error is not None
    assert publisher.publish().error is not None
    assert time.monotonic() - started < 15
    server.thaw()
    growing.end()
    assert publisher.stop(60).error is None
    assert_complete(server.uri, "frozen", records)


def test_a_run_whose_creation_was_not_answered_is_found_and_not_made_again(tmp_path, server):
    ledger, sweep = Ledger(tmp_path), sweep_of("unanswered", bases=(22,))
    records = records_of(sweep)
    for record in records:
        write_trial(ledger, record)
    with cut_off(server.port, b"runs/create", every=3) as (port, cut):
        publisher = Publisher(f"http://127.0.0.1:{port}", ledger, sweep, records)
        passes = 1
        while publisher.publish().error is not None:
            passes += 1
            assert passes < 20
    assert len(cut) > 1, "no answer was lost: the test showed nothing"
    assert passes > 1
    assert_complete(server.uri, "unanswered", records)


def test_every_seventh_answer_lost_loses_and_doubles_nothing(tmp_path, server):
    ledger, sweep = Ledger(tmp_path), sweep_of("deaf", bases=(23,))
    records = records_of(sweep)
    for record in records:
        write_trial(ledger, record)
    with cut_off(server.port, b"POST", every=7) as (port, cut):
        publisher = Publisher(f"http://127.0.0.1:{port}", ledger, sweep, records)
        while publisher.publish().error is not None:
            assert len(cut) < 40
    assert len(cut) > 2, "no answer was lost: the test showed nothing"
    assert Publisher(server.uri, ledger, sweep, records).publish().points_sent == 0
    assert_complete(server.uri, "deaf", records)


def test_two_machines_that_publish_the_same_trials_at_once_leave_one_run_of_each(tmp_path, server):
    sweep = sweep_of("twice", bases=(24,))
    records = records_of(sweep)
    for record in records:
        write_trial(Ledger(tmp_path / "one"), record)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    publishers = [
        Publisher(server.uri, Ledger(tmp_path / name), sweep, records) for name in ("one", "two")
    ]
    together = threading.Barrier(2)

    def publish(publisher: Publisher) -> None:
        together.wait()
        for _ in range(10):  # a busy machine may not answer within two seconds
            if publisher.publish().error is None:
                return
        raise AssertionError("expected one of ten passes to send everything")

    with ThreadPoolExecutor(2) as both:
        list(both.map(publish, publishers))
    _, trials = read_trials(server.uri, "twice")
    assert sorted(trial.key for trial in trials) == sorted(record["key"] for record in records)
    for name in ("one", "two"):  # as the next launch, or `sync`, does
        assert Publisher(server.uri, Ledger(tmp_path / name), sweep, records).stop(60).error is None
    assert_complete(server.uri, "twice", records)


def test_of_two_runs_of_a_trial_the_older_is_kept_and_gets_all_points(tmp_path, server):
    ledger, sweep = Ledger(tmp_path), sweep_of("doubled", bases=(25,))
    records = records_of(sweep)[:2]
    write_trial(ledger, records[0])
    write_trial(ledger, records[1], until=3)
    publisher = Publisher(server.uri, ledger, sweep, records)
    publisher.publish()
    client, experiment = tracker.open_experiment(server.uri, "doubled")
    older = {}
    for record in records:
        (run,) = runs_by_key(server.uri, "doubled")[record["key"]]
        tags = {**run.data.tags, published.TRACKED_MS: "1"}
        older[record["key"]] = client.create_run(
            experiment, start_time=run.info.start_time, tags=tags
        ).info.run_id
    fullest = {trial.key: trial for trial in read_trials(server.uri, "doubled")[1]}
    assert "accuracy" in fullest[records[0]["key"]].metrics  # not the empty one
    write_trial(ledger, records[1])
    assert Publisher(server.uri, ledger, sweep, records).publish().error is None
    assert publisher.publish().error is None  # it wrote to runs that are gone by now
    assert_complete(server.uri, "doubled", records)
    for key, run_id in older.items():
        assert runs_by_key(server.uri, "doubled")[key][0].info.run_id == run_id


def test_sync_copies_a_folder_from_elsewhere_once_and_waits_for_who_is_publishing(tmp_path, server):
    sweep = sweep_of("moved", bases=(26,))
    records = records_of(sweep)
    for record in records[:-1]:
        write_trial(Ledger(tmp_path / "there"), record)
    write_trial(Ledger(tmp_path / "there"), records[-1], until=2)
    store(Ledger(tmp_path / "there"), sweep, records)
    here = Path(shutil.copytree(tmp_path / "there", tmp_path / "here"))
    sync = ("sync", "moved", "--storage", here, "--tracking", server.uri)
    first = sweeping.run(*sync)
    assert first.returncode == 0, first.stderr
    assert f"{5 * 7 + 2} points sent" in first.stdout
    publisher = Publisher(server.uri, Ledger(here), sweep, records)
    publisher.start()
    until = time.monotonic() + 30
    while not list(here.glob("sweeps/moved/offsets/*.lock")) or not _is_locked(publisher):
        assert time.monotonic() < until
        time.sleep(0.1)
    refused = sweeping.run(*sync)
    assert refused.returncode == 3
    assert f"is being published there by process {os.getpid()} on" in refused.stderr
    other = Publisher(tracker_uri(None, tmp_path / "other"), Ledger(here), sweep, records)
    assert other.stop(60).error is None  # another tracker is nobody's business
    assert publisher.stop(60).error is None
    second = sweeping.run(*sync)
    assert second.returncode == 0, second.stderr
    assert " 0 points sent" in second.stdout
    write_trial(Ledger(here), records[-1])
    assert Publisher(server.uri, Ledger(here), sweep, records).stop(60).points_sent == 3
    assert_complete(server.uri, "moved", records)


def _is_locked(publisher: Publisher) -> bool:
    return publisher._has_turn


def test_a_driver_trains_on_and_ends_well_while_the_server_hangs_or_is_gone(
    tmp_path, server, monkeypatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    storage = tmp_path / "storage"
    arguments = (sweeping.write_sweep(tmp_path), "--storage", storage, "--tracking", server.uri)
    driver = sweeping.start("launch", *arguments, "--inline")
    try:
        until = time.monotonic() + 240
        while sweeping.points_written(storage) < 60:
            assert time.monotonic() < until
            assert driver.poll() is None
            time.sleep(0.02)
        server.freeze()
        away_ms = time.time() * 1_000
        while sweeping.points_written(storage) < 220:
            assert time.monotonic() < until
            time.sleep(0.02)
        server.kill()
        assert driver.wait(timeout=200) == 0
    finally:
        driver.kill()
        driver.wait()
    # an answer that training waits for takes 20 s; how short gaps are on a quiet machine, chaos measures
    assert longest_gap_s(storage, away_ms) < 10
    server.start()
    synced = sweeping.run("sync", "small", *arguments[1:])
    assert synced.returncode == 0, synced.stderr
    assert sweeping.published(server.uri) == {
        key: {
            step: {name: bits for name, bits in point.items() if name in WATCHED}
            for step, point in curve.items()
        }
        for key, curve in sweeping.curves(storage).items()
    }


WATCHED = ("loss", "test_loss", "accuracy")


def longest_gap_s(storage: Path, away_ms: float) -> float:
    """The longest time between two reports of one trial, of which the later came after `away_ms`."""
    longest = 0.0
    for key in sweeping.keys(storage):
        times = [point.time_ms for point in Ledger(storage).trial(key).points()]
        gaps = (later - one for one, later in itertools.pairwise(times) if later > away_ms)
        longest = max([longest, *gaps])
    return longest / 1_000


def test_a_server_shows_the_report_and_answers_to_its_own_names_alone(tmp_path, server):
    ledger, sweep = Ledger(tmp_path), sweep_of("shown", bases=(27,))
    Publisher(server.uri, ledger, sweep, records_of(sweep)).publish()
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "report.html").write_text("<p>the report</p>")
    attach_report(server.uri, "shown", folder)
    (parent,) = runs_by_key(server.uri, "shown")["sweep"]
    listed = tracker.connect(server.uri).list_artifacts(parent.info.run_id)
    assert "report.html" in {artifact.path for artifact in listed}
    page = f"{server.uri}/api/2.0/mlflow/experiments/get?experiment_id=0"
    with urllib.request.urlopen(page, timeout=10) as answer:
        assert answer.status == 200
    foreign = urllib.request.Request(page, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(foreign, timeout=10)


@contextmanager
def cut_off(behind: int, words: bytes, every: int) -> Iterator[tuple[int, list[int]]]:
    """A wire to the server that breaks: the answer to each `every`-th request with `words` is lost.

    The request itself arrives and is carried out.
    """
    asked: list[int] = []
    cut: list[int] = []
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]  # the server refuses hosts that are not its own

    def carry(near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", behind)) as far:
            while request := _message(near):
                far.sendall(request.replace(b":%d\r\n" % port, b":%d\r\n" % behind, 1))
                answer = _message(far)
                if words in request.partition(b"\r\n")[0]:
                    asked.append(1)
                    if len(asked) % every == 0:
                        cut.append(1)
                        return
                near.sendall(answer)

    def accept() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:  # closed: the test is over
                return
            threading.Thread(target=carry, args=(near,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield port, cut
    finally:
        listener.close()


def _message(connection: socket.socket) -> bytes:
    """One HTTP request or answer with its body; empty when the connection has ended."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65_536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.partition(b":")[2]):
                body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body
