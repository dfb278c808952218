"""Killed drivers, machines that are taken away and absent trackers cost no trial, no metric and no bit."""

import os
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
from sweeps.storage.left import read_left
from tests.integration import sweeping

# a Ray cluster is started here: one at a time is enough for a machine of two cores
pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]


def wait_for_points(storage: Path, count: int, driver: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 240
    while sweeping.points_written(storage) < count:
        assert driver.poll() is None, "the sweep ended before it could be disturbed"
        assert time.monotonic() < until, "no points came"
        time.sleep(0.05)


def test_preempted_interrupted_and_killed_a_sweep_loses_nothing_and_doubles_nothing(
    tmp_path, small_alone
):
    storage = tmp_path / "storage"
    launch = ["launch", sweeping.write_sweep(tmp_path), "--storage", storage, "--save-every", "0.3"]
    driver = sweeping.start(*launch)
    take_away(sweeping.wait_until_training(storage, driver))
    wait_for_points(storage, 60, driver)
    driver.send_signal(signal.SIGINT)
    assert driver.wait(timeout=300) == 130
    left = {found.cause for attempt in sweeping.attempts(storage) if (found := read_left(attempt))}
    assert left == {"terminated", "stopped"}
    half = sweeping.points_written(storage)
    assert half == sum(map(len, sweeping.curves(storage).values())), "a step was trained twice"
    assert half < sweeping.TRIALS * sweeping.POINTS

    driver = sweeping.start(*launch)
    wait_for_points(storage, half + 10, driver)
    kill_with_a_worker(driver, storage)
    assert sweeping.run(*launch).returncode == 0
    tries = [Ledger(storage).trial(key).attempts() for key in sweeping.keys(storage)]
    assert [each for made in tries for each in made[:-1] if read_left(each) is None], "none died"
    assert_as_if_undisturbed(storage, small_alone)

    again = sweeping.run_here(*launch)
    assert again.returncode == 0
    assert "nothing is left to train" in again.stdout
    assert_as_if_undisturbed(storage, small_alone)


def take_away(pids: set[int]) -> None:
    """Tell workers that their machine goes, and wait until they have left."""
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + 120
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < until, "a worker did not leave"
        time.sleep(0.05)


def kill_with_a_worker(driver: "subprocess.Popen[bytes]", storage: Path) -> None:
    """SIGKILL the driver and one worker; the others train on until they notice."""
    worker = min(sweeping.wait_until_training(storage, driver))
    os.kill(worker, signal.SIGKILL)
    driver.kill()
    driver.wait()


def assert_as_if_undisturbed(storage: Path, undisturbed: Path) -> None:
    """Every point and every weight, in the ledger and in MLflow, to the bit."""
    expected = sweeping.curves(undisturbed)
    assert len(expected) == sweeping.TRIALS
    assert all(len(curve) == sweeping.POINTS for curve in expected.values())
    assert sweeping.curves(storage) == expected
    weights = sweeping.weights(storage)
    for key, tensor in sweeping.weights(undisturbed).items():
        assert torch.equal(weights[key], tensor)
    assert sweeping.published(f"sqlite:///{storage}/mlflow.db") == expected


@pytest.mark.slow  # a minute, as are the next two
def test_a_driver_killed_twice_loses_nothing_and_doubles_nothing(tmp_path, small_alone):
    storage = tmp_path / "storage"
    launch = ["launch", sweeping.write_sweep(tmp_path), "--storage", storage, "--save-every", "0.3"]
    moments = random.Random(7)
    for _ in range(2):
        driver = sweeping.start(*launch)
        enough = sweeping.points_written(storage) + moments.randint(15, 130)
        wait_for_points(storage, enough, driver)
        kill_with_a_worker(driver, storage)
    finished = sweeping.run(*launch)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    tries = [len(Ledger(storage).trial(key).attempts()) for key in sweeping.keys(storage)]
    assert max(tries) > 1, "no trial was interrupted: the test showed nothing"
    assert_as_if_undisturbed(storage, small_alone)


@pytest.mark.slow
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


@pytest.mark.slow
def test_told_to_end_the_driver_saves_everything_and_the_same_command_goes_on(
    tmp_path, small_alone
):
    storage = tmp_path / "storage"
    launch = ["launch", sweeping.write_sweep(tmp_path), "--storage", storage]
    driver = sweeping.start(*launch)
    wait_for_points(storage, 60, driver)
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(timeout=300) == 143
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
    until = time.monotonic() + 240
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
