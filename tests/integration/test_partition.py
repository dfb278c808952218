"""A node that is cut off from the network is missed, and comes back: nothing of it is lost or doubled."""

import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from sweeps.address import tracker_uri
from sweeps.storage.ledger import Ledger
from tests.integration import sweeping
from tests.integration.machines import Machine, machines, needs_machines
from tests.integration.ray_cluster import environment_of, write_token

pytestmark = [
    needs_machines,
    pytest.mark.xdist_group("ray"),
    pytest.mark.timeout(900),
    pytest.mark.slow,  # three minutes
]

PORT = 6380
LONGER = ("--set", "budget.steps=1500")  # than it takes until a node is missed
RAY = Path(sys.executable).with_name("ray")
ALL_ARE_THERE = """\
import sys, time
import ray

ray.init(sys.argv[1], log_to_driver=False)
while sum(node["Alive"] for node in ray.nodes()) < int(sys.argv[2]):
    time.sleep(0.2)
"""


@dataclass(frozen=True)
class Joined:
    """A Ray cluster over several machines: the first one drives, the others train."""

    head: Machine
    others: tuple[Machine, ...]
    environment: dict[str, str]

    @property
    def address(self) -> str:
        return f"{self.head.address}:{PORT}"


@pytest.fixture
def joined() -> Iterator[Joined]:
    home = Path(tempfile.mkdtemp(prefix="rp-", dir="/tmp"))  # a socket's path has 107 characters
    write_token(home, secrets.token_hex(32))
    environment = environment_of(home, with_token=True)
    always = ("--object-store-memory=80000000", "--disable-usage-stats")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        head, *others = stack.enter_context(machines(3))
        cluster = Joined(head, tuple(others), environment)

        def start(machine: Machine, *more: str) -> None:
            where = f"--node-ip-address={machine.address}"
            subprocess.run(
                machine.command(RAY, "start", where, *always, *more),
                env=environment,
                stdout=subprocess.DEVNULL,
                timeout=120,
                check=True,
            )

        start(head, "--head", f"--port={PORT}", "--num-cpus=0", "--include-dashboard=false")
        for other in others:
            start(other, f"--address={cluster.address}", "--num-cpus=2")
        subprocess.run(
            head.command(sys.executable, "-c", ALL_ARE_THERE, cluster.address, "3"),
            env=environment,
            timeout=120,
            check=True,
        )
        yield cluster


def test_a_node_that_is_cut_off_and_comes_back_loses_and_doubles_nothing(joined, tmp_path):
    launch = ["launch", sweeping.write_sweep(tmp_path), *LONGER]
    storage, alone = tmp_path / "storage", tmp_path / "alone"
    driver = subprocess.Popen(
        joined.head.command(
            *sweeping.command(*launch, "--storage", storage),
            *("--address", joined.address, "--save-every", "0.5"),
        ),
        env=joined.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    lost = joined.others[1]
    until = time.monotonic() + 240
    while not sweeping.training_pids(storage) & lost.pids():
        assert driver.poll() is None, driver.communicate()[1]
        assert time.monotonic() < until, "nothing was trained on the node that is to be lost"
        time.sleep(0.05)
    lost.cut()
    time.sleep(30)
    lost.join()
    assert driver.wait(timeout=400) == 0, driver.communicate()[1]
    ran = sweeping.run_here(*launch, "--storage", alone, "--inline")
    assert ran.returncode == 0, ran.stderr
    expected = sweeping.curves(alone)
    assert sweeping.curves(storage) == expected
    assert sweeping.published(tracker_uri(None, storage)) == expected
    assert {key: Ledger(storage).trial(key).outcome() for key in expected} == {
        key: Ledger(alone).trial(key).outcome() for key in expected
    }
    attempts = [len(Ledger(storage).trial(key).attempts()) for key in sweeping.keys(storage)]
    assert max(attempts) > 1, "no trial was begun again: the test showed nothing"
