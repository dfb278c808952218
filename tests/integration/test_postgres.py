"""PostgreSQL as the tracker, by itself and behind a server with passwords: each point once."""

import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sweeps.publishing.publisher import Publisher
from sweeps.storage.ledger import Ledger
from tests.integration.tracked import assert_complete, runs_by_key
from tests.integration.trackers import (
    Postgres,
    Server,
    needs_postgres,
    over_postgres,
    postgres,
)
from tests.small_sweep import (
    START_MS,
    curve_of,
    outcome_of,
    records_of,
    store,
    sweep_of,
    write_trial,
)

pytestmark = [needs_postgres, pytest.mark.xdist_group("tracker")]


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as started:
        yield started


@pytest.fixture(scope="module")
def server(database, tmp_path_factory) -> Iterator[Server]:
    with over_postgres(tmp_path_factory.mktemp("server"), database) as started:
        yield started


def written(folder) -> bytes:
    """Every byte of every file below a folder, and every name."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return b"\n".join([*(path.read_bytes() for path in files), *(os.fsencode(p) for p in files)])


def test_a_database_stopped_in_the_middle_of_passes_misses_no_point_and_doubles_none(
    tmp_path, database, capfd, caplog
):
    ledger, sweep = Ledger(tmp_path), sweep_of("stopped-database", bases=(20,))
    records = records_of(sweep, points=60)
    store(ledger, sweep, records)
    publisher = Publisher(database.uri, ledger, sweep, records)
    for record in records[:2]:
        write_trial(ledger, record)
    assert publisher.publish().error is None
    failures = 0
    for part in (records[2:5], records[5:]):
        for record in part:
            write_trial(ledger, record)
        with ThreadPoolExecutor(1) as beside:
            passing = beside.submit(publisher.publish)
            until = time.monotonic() + 30
            while len(runs_by_key(database.uri, sweep.name)) < 2 + records.index(part[0]):
                assert time.monotonic() < until
            database.stop_immediately()
            result = passing.result(60)
            failures += result.error is not None
            assert database.password not in str(result)
        database.start()
    assert failures, "no pass was disturbed: the test showed nothing"
    assert publisher.stop(60).error is None
    assert_complete(database.uri, sweep.name, records)
    assert database.password.encode() not in written(tmp_path)
    told = "".join([*capfd.readouterr(), caplog.text])
    assert "Traceback" not in told  # a driver shows its progress there
    assert database.password not in told


def test_a_database_that_hangs_keeps_nobody_and_goes_on_where_it_was(tmp_path, database):
    ledger, sweep = Ledger(tmp_path), sweep_of("frozen-database", bases=(21,))
    records = records_of(sweep)[:3]
    write_trial(ledger, records[0])
    publisher = Publisher(database.uri, ledger, sweep, records)
    assert publisher.publish().error is None
    for record in records[1:]:
        write_trial(ledger, record)
    database.freeze()
    try:
        started = time.monotonic()
        given_up = publisher.stop(3)
        assert time.monotonic() - started < 10
        assert given_up.error is not None
        assert given_up.points_left == 10
    finally:
        database.thaw()
    again = Publisher(database.uri, ledger, sweep, records)
    until = time.monotonic() + 60
    while again.publish().locked:  # the pass that was given up ends first
        assert time.monotonic() < until
        time.sleep(0.2)
    assert again.stop(60).error is None
    assert_complete(database.uri, sweep.name, records)


@pytest.mark.slow  # a minute; `test_cluster` trains over such a server
def test_behind_a_server_with_passwords_every_point_arrives_once(
    tmp_path, database, server, monkeypatch
):
    for name, text in server.credentials.items():
        monkeypatch.setenv(name, text)
    ledger, sweep = Ledger(tmp_path), sweep_of("with-password", bases=(22,))
    records = records_of(sweep, points=20)[:3]
    store(ledger, sweep, records)
    attempts = {r["key"]: ledger.trial(r["key"]).begin(r["config"]) for r in records}
    publisher = Publisher(server.uri, ledger, sweep, records)

    def report(first: int, last: int) -> None:
        for record in records:
            for number in range(first, last):
                point = curve_of(record)[number]
                attempts[record["key"]].append([point], START_MS + 1_000 * number)

    report(0, 5)
    assert publisher.publish().error is None
    report(5, 10)
    with ThreadPoolExecutor(1) as beside:
        passing = beside.submit(publisher.publish)
        time.sleep(0.2)
        database.stop_immediately()
        passing.result(60)
    report(10, 15)
    assert publisher.publish().error is not None
    database.start()
    with ThreadPoolExecutor(1) as beside:
        passing = beside.submit(publisher.publish)
        time.sleep(0.3)
        server.restart()
        passing.result(60)
    report(15, 20)
    for record in records:
        attempts[record["key"]].finish(outcome_of(record))
    assert publisher.stop(60).error is None
    assert_complete(server.uri, sweep.name, records)
    stored = written(tmp_path)
    for secret in (server.password, database.password):
        assert secret.encode() not in stored


def test_a_password_in_the_address_works_and_is_neither_shown_nor_stored(
    tmp_path, server, capfd, caplog
):
    ledger, sweep = Ledger(tmp_path / "storage"), sweep_of("in-the-address", bases=(23,))
    records = records_of(sweep, points=400)[:1]
    write_trial(ledger, records[0])
    wrong = server.uri_with_password.replace(server.password, "wr0ng-passw0rd")
    refused = Publisher(wrong, ledger, sweep, records).publish()
    assert refused.error is not None
    assert "wr0ng-passw0rd" not in refused.error
    assert Publisher(server.uri, ledger, sweep, records).publish().error is not None  # without one
    sent = Publisher(server.uri_with_password, ledger, sweep, records).publish()
    assert sent.error is None
    (run,) = runs_by_key(server.uri_with_password, sweep.name)[records[0]["key"]]
    assert run.info.status == "FINISHED"
    told = "".join([*capfd.readouterr(), caplog.text, str(sent), str(refused), str(run)])
    for secret in (server.password, "wr0ng-passw0rd"):
        assert secret not in told
        assert secret.encode() not in written(tmp_path)
        assert secret.encode() not in written(server.log.parent / "mlflow-artifacts")
        assert secret not in server.log.read_text()


@pytest.mark.slow  # about four minutes
def test_ten_outages_in_a_row_of_server_and_database_lose_and_double_nothing(
    tmp_path, database, server, monkeypatch
):
    for name, text in (*server.credentials.items(), ("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")):
        monkeypatch.setenv(name, text)
    ledger, sweep = Ledger(tmp_path), sweep_of("ten-outages", bases=(24, 25))
    records, moments = records_of(sweep, points=100), random.Random(3)
    store(ledger, sweep, records)
    publisher = Publisher(server.uri, ledger, sweep, records)
    publisher.start()
    attempts = {r["key"]: ledger.trial(r["key"]).begin(r["config"]) for r in records}
    for outage in range(10):
        for record in records:
            for number in range(10 * outage, 10 * outage + 10):
                point = curve_of(record)[number]
                attempts[record["key"]].append([point], START_MS + 1_000 * number)
        time.sleep(moments.uniform(1.0, 4.0))
        kind = outage % 4
        if kind == 0:
            server.restart()
        elif kind == 1:
            server.freeze()
            time.sleep(5)  # longer than anybody waits for an answer
            server.thaw()
        elif kind == 2:
            database.stop_immediately()
            time.sleep(moments.uniform(0.0, 3.0))
            database.start()
        else:
            database.freeze()
            time.sleep(5)
            database.thaw()
    for record in records:
        attempts[record["key"]].finish(outcome_of(record))
    result = publisher.stop(300)
    assert (result.points_left, result.error) == (0, None)
    assert_complete(server.uri, sweep.name, records)
