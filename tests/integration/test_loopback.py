"""While a sweep trains, nothing of it can be reached from another machine."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration import sweeping

# a Ray cluster is started here: one at a time is enough for a machine of two cores
pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(900)]

LISTENING = "0A"
LOOPBACK = {
    "0100007F",  # 127.0.0.1
    "0000000000000000FFFF00000100007F",  # the same as an IPv6 address
    "00000000000000000000000001000000",  # ::1
}


def listeners() -> dict[str, str]:
    """The local address of every listening socket of this machine, by inode."""
    found: dict[str, str] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == LISTENING:
                found[columns[9]] = columns[1].split(":")[0]
    return found


def descendants(pid: int) -> set[int]:
    """The process and all below it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:  # it has just ended
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    family, size = {pid}, 0
    while len(family) > size:
        size = len(family)
        family |= {child for child, parent in parents.items() if parent in family}
    return family


def sockets(pids: set[int]) -> set[str]:
    """The inodes of the sockets that these processes hold."""
    found: set[str] = set()
    for pid in pids:
        try:
            entries = list(Path(f"/proc/{pid}/fd").iterdir())
        except OSError:  # it has just ended
            continue
        for entry in entries:
            try:
                link = os.readlink(entry)
            except OSError:  # closed meanwhile; the others are still there
                continue
            if link.startswith("socket:["):
                found.add(link[8:-1])
    return found


def gcs_address(pids: set[int]) -> str:
    """Where the cluster of these processes is asked."""
    for pid in pids:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has just ended
            continue
        found = re.search(r"--gcs-address=(\S+)", words)
        if found is not None:
            return found[1]
    raise AssertionError("no cluster runs")


def asked_as_a_stranger(address: str) -> str:
    """What the cluster answers somebody without a token."""
    asked = subprocess.run(
        [sys.executable, "-m", "sweeps.running.gcs_probe", address],
        env={
            **sweeping.environment(),
            "RAY_AUTH_MODE": "disabled",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # loopback is not this machine's outward address
        },
        capture_output=True,
        check=True,
    )
    return json.loads(asked.stdout)["answer"]


def test_the_embedded_cluster_listens_on_loopback_alone_and_asks_for_a_token(tmp_path):
    storage = tmp_path / "storage"
    launch = sweeping.command("launch", sweeping.write_sweep(tmp_path), "--storage", storage)
    # what a user has set for another cluster changes nothing
    others = {"RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "127.0.0.1:1", "HOME": str(tmp_path)}
    driver = subprocess.Popen(
        launch, env={**sweeping.environment(), **others}, stdout=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 240
        while sweeping.points_written(storage) == 0:
            assert time.monotonic() < until, "no points came"
            time.sleep(0.1)
        held, known = sockets(descendants(driver.pid)), listeners()
        addresses = {known[inode] for inode in held if inode in known}
        assert addresses, "no listening socket was found: the test showed nothing"
        assert addresses <= LOOPBACK
        assert asked_as_a_stranger(gcs_address(descendants(driver.pid))) == "closed"
        assert not (tmp_path / ".ray").exists()  # the token is in no file
        workers = sweeping.wait_until_training(storage, driver)
        priorities = {os.getpriority(os.PRIO_PROCESS, pid) for pid in workers}
        assert priorities == {os.getpriority(os.PRIO_PROCESS, driver.pid)}  # Ray's own would be 15
    finally:
        assert driver.wait(timeout=400) == 0
