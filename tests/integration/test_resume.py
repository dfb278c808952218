"""A driver that is killed, and a tracker that goes away, cost no trial, no metric and no bit."""

import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sweeps.storage.ledger import Ledger
from tests.integration import sweeping

# a Ray cluster is started here: one at a time is enough for a machine of two cores
pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]


def wait_for_points(storage: Path, count: int, driver: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while sweeping.points_written(storage) < count:
        assert driver.poll() is None, "the sweep ended before it could be disturbed"
        assert time.monotonic() < until, "no points came"
        time.sleep(0.05)


def test_a_driver_killed_twice_loses_nothing_and_doubles_nothing(tmp_path, small_alone):
    storage = tmp_path / "storage"
    launch = ["launch", sweeping.write_sweep(tmp_path), "--storage", storage, "--save-every", "0.3"]
    moments = random.Random(7)
    for _ in range(2):
        driver = sweeping.start(*launch)
        enough = sweeping.points_written(storage) + moments.randint(15, 130)
        wait_for_points(storage, enough, driver)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    interrupted = [
        key for key in sweeping.keys(storage) if len(Ledger(storage).trial(key).attempts()) > 1
    ]
    finished = sweeping.run(*launch)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert interrupted, "no trial was interrupted: the test showed nothing"

    expected = sweeping.curves(small_alone)
    assert len(expected) == sweeping.TRIALS
    assert all(len(curve) == sweeping.POINTS for curve in expected.values())
    assert sweeping.curves(storage) == expected
    weights = sweeping.weights(storage)
    for key, tensor in sweeping.weights(small_alone).items():
        assert torch.equal(weights[key], tensor)
    assert sweeping.published(f"sqlite:///{storage}/mlflow.db") == expected

    again = sweeping.run(*launch)
    assert again.returncode == 0
    assert "nothing is left to train" in again.stdout
    assert sweeping.published(f"sqlite:///{storage}/mlflow.db") == expected


@pytest.mark.slow  # `test_outage` has the shorter one
def test_a_tracker_that_is_away_costs_no_time_and_no_point(tmp_path, small_alone):
    storage, port = tmp_path / "storage", free_port()
    uri = f"http://127.0.0.1:{port}"
    server = start_server(tmp_path, port)
    launch = ["launch", sweeping.write_sweep(tmp_path), "--storage", storage, "--tracking", uri]
    driver = sweeping.start(*launch)
    try:
        wait_for_points(storage, 20, driver)
        stop(server)
        before = sweeping.points_written(storage)
        wait_for_points(storage, before + 100, driver)  # it trains on while nobody listens
        driver.wait(timeout=400)
        assert driver.returncode == 0
        assert sweeping.curves(storage) == sweeping.curves(small_alone)
        away = sweeping.run("sync", "small", "--storage", storage, "--tracking", uri)
        assert away.returncode == 1
        assert away.stderr.count("\n") == 1
        server = start_server(tmp_path, port)
        synced = sweeping.run("sync", "small", "--storage", storage, "--tracking", uri)
        assert synced.returncode == 0, synced.stderr
        assert sweeping.published(uri) == sweeping.curves(small_alone)
    finally:
        stop(server)
        driver.kill()


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_a_signal_saves_everything_and_the_same_command_goes_on(
    tmp_path, small_alone, number, code
):
    storage = tmp_path / "storage"
    launch = ["launch", sweeping.write_sweep(tmp_path), "--storage", storage]
    driver = sweeping.start(*launch)
    wait_for_points(storage, 60, driver)
    driver.send_signal(number)
    assert driver.wait(timeout=300) == code
    half = sweeping.points_written(storage)
    finished = sweeping.run(*launch)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert sweeping.curves(storage) == sweeping.curves(small_alone)
    assert sweeping.points_written(storage) == sweeping.TRIALS * sweeping.POINTS  # none twice
    assert half < sweeping.TRIALS * sweeping.POINTS


def test_a_second_driver_of_the_same_sweep_is_turned_away(tmp_path):
    storage = tmp_path / "storage"
    launch = ["launch", sweeping.write_sweep(tmp_path), "--storage", storage, "--inline"]
    first = sweeping.start(*launch)
    try:
        wait_for_points(storage, 1, first)
        second = sweeping.run(*launch)
        assert second.returncode == 3
        assert second.stderr.startswith("sweep small is run by ")
        assert second.stderr.count("\n") == 1
    finally:
        first.kill()
        first.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start_server(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A real MLflow server on SQLite; returns once it answers."""
    server = subprocess.Popen(
        [
            *[str(Path(sys.executable).with_name("mlflow")), "server", "--workers", "1"],
            *["--backend-store-uri", f"sqlite:///{folder}/tracker.db"],
            *["--artifacts-destination", str(folder / "artifacts")],
            *["--host", "127.0.0.1", "--port", str(port)],
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**sweeping.environment(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < until, "the MLflow server did not start"
            time.sleep(0.2)
        else:
            return server


def stop(server: subprocess.Popen[bytes]) -> None:
    """Kill the server with its workers."""
    if server.poll() is None:
        subprocess.run(["pkill", "-KILL", "-s", str(server.pid)], check=False)
        server.wait()
