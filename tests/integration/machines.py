"""Machines that a network joins, on one machine: a namespace each, whose cable can be pulled.

    with machines(3) as (head, first, second):
        subprocess.run(head.command("ray", "start", ...))
        second.cut()       # it lives on, and hears and reaches nobody
        second.join()

The namespaces know no network but their own. A test that needs them has the mark `needs_machines`.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

_NETWORK = "10.77.0"

needs_machines = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None,
    reason="needs root, and network namespaces: apt-get install iproute2",
)


@dataclass(frozen=True)
class Machine:
    """One of them: the first holds the bridge to which the cables of the others lead."""

    name: str
    number: int
    head: str

    @property
    def address(self) -> str:
        """Where the others reach it."""
        return f"{_NETWORK}.{self.number}"

    def command(self, *words: str | Path) -> list[str]:
        """A command as it is run there."""
        return ["ip", "netns", "exec", self.name, *map(str, words)]

    def cut(self) -> None:
        """Pull its cable."""
        _ip("-n", self.head, "link", "set", _cable(self.number), "down")

    def join(self) -> None:
        """Put it back."""
        _ip("-n", self.head, "link", "set", _cable(self.number), "up")

    def pids(self) -> set[int]:
        """The processes that run there."""
        found = subprocess.run(
            ["ip", "netns", "pids", self.name], capture_output=True, text=True, check=True
        )
        return set(map(int, found.stdout.split()))


@contextmanager
def machines(count: int) -> Iterator[tuple[Machine, ...]]:
    """So many of them, gone with all that runs there at the end of the block."""
    names = [f"lawsweep-{os.getpid()}-{number}" for number in range(1, count + 1)]
    found = tuple(Machine(name, number, names[0]) for number, name in enumerate(names, 1))
    head, *others = found
    if subprocess.run(["ip", "netns", "add", head.name], check=False).returncode:
        pytest.skip(
            "no network can be made here: the container needs --cap-add NET_ADMIN,SYS_ADMIN"
        )
    try:
        for other in others:
            _ip("netns", "add", other.name)
        for each in found:
            _ip("-n", each.name, "link", "set", "lo", "up")
        _ip("-n", head.name, "link", "add", "bridge", "type", "bridge")
        _connect(head, "bridge")
        for other in others:
            cable = _cable(other.number)
            ends = ("netns", head.name, "type", "veth", "peer", "name", "cable")
            _ip("link", "add", cable, *ends, "netns", other.name)
            _ip("-n", head.name, "link", "set", cable, "master", "bridge", "up")
            _connect(other, "cable")
        yield found
    finally:
        for each in found:
            _remove(each)


def _cable(number: int) -> str:
    return f"to-{number}"


def _connect(machine: Machine, device: str) -> None:
    _ip("-n", machine.name, "address", "add", f"{machine.address}/24", "dev", device)
    _ip("-n", machine.name, "link", "set", device, "up")
    # Ray asks which address would be used to reach the world
    _ip("-n", machine.name, "route", "add", "default", "dev", device)


def _remove(machine: Machine) -> None:
    if not Path("/run/netns", machine.name).exists():
        return
    for pid in machine.pids():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _ip("netns", "delete", machine.name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
