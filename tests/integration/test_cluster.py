"""A sweep on a Ray cluster of three nodes: who may join it, what is checked, what a dead node costs."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.storage.ledger import Ledger
from tests.integration import sweeping
from tests.integration.ray_cluster import RayCluster
from tests.integration.trackers import needs_postgres, over_postgres, postgres

# a Ray cluster is started here: one at a time is enough for a machine of two cores
pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
STRANGER = "0" * 64


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """Three nodes, two of which train; a test that kills one starts another."""
    running = RayCluster()
    yield running
    running.stop()


@pytest.fixture
def open_cluster() -> Iterator[RayCluster]:
    """A cluster that asks nobody for a token."""
    running = RayCluster([{"num_cpus": 1}], with_token=False)
    yield running
    running.stop()


@pytest.fixture
def gpu_cluster() -> Iterator[RayCluster]:
    """Nodes that say they have GPUs, of two kinds; torch finds none and trains on the processor."""
    running = RayCluster(
        [
            {"num_cpus": 2, "num_gpus": 1, "resources": {"accelerator_type:A100": 1}},
            {"num_cpus": 2, "num_gpus": 1, "resources": {"accelerator_type:H100": 1}},
        ]
    )
    yield running
    running.stop()


def launch(cluster: RayCluster, folder: Path, *more: str | Path) -> list[str]:
    """The command that trains the small sweep there, into a storage folder below `folder`."""
    where = ["--storage", folder / "storage", "--address", cluster.address]
    return sweeping.command("launch", sweeping.write_sweep(folder), *where, *more)


def ran(command: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=400, check=False
    )


def refused(command: list[str], environment: dict[str, str], storage: Path) -> str:
    """The one line with which a launch is refused that has written nothing."""
    before = list(storage.parent.iterdir())
    done = ran(command, environment)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert list(storage.parent.iterdir()) == before
    return done.stderr


def pids_of_attempts(storage: Path) -> set[int]:
    """The processes that have begun a trial."""
    starts = storage.glob("trials/*/*/attempt-*/start.json")
    return {json.loads(file.read_text())["pid"] for file in starts}


@needs_postgres
def test_a_sweep_on_three_nodes_loses_nothing_with_one_of_them(
    cluster, small_alone, tmp_path, monkeypatch
):
    expected = sweeping.curves(small_alone)

    storage = tmp_path / "storage"
    first, second = cluster.nodes()
    seen: dict[int, set[int]] = {first: set(), second: set()}
    with postgres() as database, over_postgres(tmp_path / "tracker", database) as server:
        environment = {**cluster.environment(), **server.credentials}
        command = launch(cluster, tmp_path, "--tracking", server.uri, "--save-every", "0.5")
        stranger = {**environment, "MLFLOW_TRACKING_PASSWORD": STRANGER}
        problem = refused(command, stranger, storage)
        assert "expected a user and a password that the tracker takes" in problem
        assert STRANGER not in problem
        driver = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        until = time.monotonic() + 200
        while not all(seen[node] & pids_of_attempts(storage) for node in seen):
            assert driver.poll() is None, "the sweep ended before a node could be killed"
            assert time.monotonic() < until, "no trial began on one of the nodes"
            for node in seen:
                seen[node] |= set(cluster.worker_pids(node))
            time.sleep(0.1)
        cluster.kill_raylet(second)
        cluster.add_node()
        assert driver.wait(timeout=400) == 0, driver.communicate()[1]
        for name, value in server.credentials.items():
            monkeypatch.setenv(name, value)
        assert len(expected) == sweeping.TRIALS
        assert sweeping.curves(storage) == expected
        assert sweeping.published(server.uri) == expected
    attempts = [len(Ledger(storage).trial(key).attempts()) for key in sweeping.keys(storage)]
    assert max(attempts) > 1, "no trial was interrupted: the test showed nothing"
    secret = server.password.encode()
    written = [file for file in storage.rglob("*") if file.is_file()]
    assert [file for file in written if secret in file.read_bytes()] == []


def test_a_cluster_is_not_joined_without_its_own_token_in_a_private_file(cluster, tmp_path):
    storage = tmp_path / "storage"
    command = launch(cluster, tmp_path)
    environment = cluster.environment()

    wrong = refused(command, {**environment, "RAY_AUTH_TOKEN": STRANGER}, storage)
    assert "expected the cluster's own token in RAY_AUTH_TOKEN" in wrong
    assert STRANGER not in wrong

    missing = refused(command, {**environment, "HOME": str(tmp_path)}, storage)
    assert f"expected a token in {tmp_path}/.ray/auth_token or in RAY_AUTH_TOKEN" in missing

    cluster.token_file.chmod(0o644)
    try:
        readable = refused(command, environment, storage)
    finally:
        cluster.token_file.chmod(0o600)
    assert f"chmod 600 {cluster.token_file}" in readable


def test_a_cluster_that_asks_nobody_for_a_token_is_joined_only_by_who_says_so(
    open_cluster, tmp_path
):
    storage = tmp_path / "storage"
    environment = open_cluster.environment()
    with_token = {**environment, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": STRANGER}
    for each in (environment, with_token):
        problem = refused(launch(open_cluster, tmp_path), each, storage)
        assert "expected a cluster that asks for a token" in problem
    short = ["--set", "budget.steps=50", "--set", "replicates=1"]
    joined = ran(launch(open_cluster, tmp_path, "--insecure", *short), environment)
    assert joined.returncode == 0, joined.stderr


def test_an_address_without_a_cluster_is_refused_at_once(cluster, tmp_path):
    storage = tmp_path / "storage"
    for address, words in {
        "127.0.0.1:1": "expected a Ray cluster there",
        "ray://127.0.0.1:10001": "expected host:port or auto",
        "nobody.invalid:6379": "expected a Ray cluster there",
    }.items():
        command = [*launch(cluster, tmp_path), "--address", address]
        started = time.monotonic()
        assert words in refused(command, cluster.environment(), storage)
        assert time.monotonic() - started < 30  # Ray itself tries for 40 s, and then again


def test_a_node_with_other_code_is_found_before_the_first_trial(cluster, tmp_path):
    other = tmp_path / "code"
    for package in ("trainers", "sweeps", "analysis"):
        shutil.copytree(ROOT / package, other / package)
    (other / "trainers" / "loop.py").open("a").write("\n# changed\n")
    environment = {**cluster.environment(), "PYTHONPATH": str(other)}
    problem = refused(launch(cluster, tmp_path), environment, tmp_path / "storage")
    assert ": expected code " in problem
    assert "node " in problem
    assert "; 1 more nodes have problems too" in problem


def test_the_doctor_says_what_a_cluster_has_and_what_is_wrong_with_a_node(cluster, tmp_path):
    storage = tmp_path / "storage"
    command = sweeping.command("doctor", "--storage", storage, "--address", cluster.address)
    environment = {**cluster.environment(), "COLUMNS": "300"}
    well = ran(command, environment)
    assert well.returncode == 0, well.stdout
    assert f"{cluster.address} asks for a token, and takes ours" in well.stdout
    assert "2 with 2 processors" in well.stdout
    assert "1 with no processors: it drives" in well.stdout
    assert not storage.exists()

    storage.mkdir()
    storage.chmod(0o777)
    ill = ran(command, {**environment, "RAY_AUTH_TOKEN": STRANGER})
    assert ill.returncode == 1
    assert "expected the cluster's own token in RAY_AUTH_TOKEN" in ill.stdout
    assert "can be written by others: chmod go-w" in ill.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a mount of its own for the driver")
def test_a_node_that_does_not_see_the_storage_folder_is_found_before_the_first_trial(
    cluster, tmp_path
):
    storage = tmp_path / "storage"
    storage.mkdir()
    command = launch(cluster, tmp_path)
    script = f"mount -t tmpfs none {storage} && exec " + " ".join(command)
    problem = refused(["unshare", "--mount", "sh", "-c", script], cluster.environment(), storage)
    assert f"expected to see the storage folder {storage} of this machine" in problem
    assert list(storage.iterdir()) == []


@pytest.mark.slow  # half a minute
def test_packs_go_to_the_kind_of_gpu_that_is_asked_for_and_share_it(gpu_cluster, tmp_path):
    storage = tmp_path / "storage"
    wanted = ["--device-kind", "H100", "--packs-per-gpu", "2"]
    driver = subprocess.Popen(
        launch(gpu_cluster, tmp_path, *wanted),
        env=gpu_cluster.environment(),
        stdout=subprocess.DEVNULL,
    )
    most = 0
    while driver.poll() is None:
        most = max(most, len(set(gpu_cluster.worker_pids(2)) & pids_of_attempts(storage)))
        assert set(gpu_cluster.worker_pids(1)) & pids_of_attempts(storage) == set()
        time.sleep(0.2)
    assert driver.returncode == 0
    assert most == 2
    problem = refused(
        [*launch(gpu_cluster, tmp_path), "--device-kind", "T4", "--set", "seed=99"],
        gpu_cluster.environment(),
        tmp_path / "storage",
    )
    assert "expected a node with a GPU of the kind T4, got A100, H100" in problem
