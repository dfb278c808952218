"""A real Ray cluster of several nodes on loopback, in a process of its own, whose nodes can be killed.

The driver is whatever a test starts with `cluster.environment()`: the real command, usually.
Run as a script, this file is that process: it takes one JSON request a line and answers each.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

TWO_NODES: tuple[Mapping[str, Any], ...] = ({"num_cpus": 2}, {"num_cpus": 2})
"""What trains, beside a head that does not."""

_NO_WORK = {"ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent"}
_QUICK_DEATHS = {  # milliseconds, but for the number of checks: a killed node is missed after 5 s
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "5",
}


class RayCluster:
    """A head without processors, numbered 0, and the nodes that train, numbered from 1.

    Every process is in one session and listens on 127.0.0.1; `token` is None for a cluster that asks
    nobody for one.
    """

    def __init__(
        self, nodes: Sequence[Mapping[str, Any]] = TWO_NODES, *, with_token: bool = True
    ) -> None:
        # a socket's path is at most 107 characters, which a test's own folder would exceed
        self.home = Path(tempfile.mkdtemp(prefix="rc-", dir="/tmp"))
        self.token = secrets.token_hex(32) if with_token else None
        if self.token is not None:
            write_token(self.home, self.token)
        with (self.home / "cluster.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self.environment(),
                start_new_session=True,
            )
        try:
            self.address: str = self._ask(do="start", nodes=list(nodes))["address"]
        except BaseException:
            self.stop()
            raise

    @property
    def token_file(self) -> Path:
        """Where Ray looks for the token."""
        return _token_file(self.home)

    def environment(self) -> dict[str, str]:
        """What a driver on this cluster needs: its home, its token, and loopback as its address."""
        return {
            **environment_of(self.home, with_token=self.token is not None),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        }

    def add_node(self, **node: Any) -> int:
        """Start one more node, of two processors unless said otherwise; returns its number."""
        return self._ask(do="add", node=node or dict(TWO_NODES[0]))["number"]

    def raylet_pid(self, number: int) -> int:
        """The process that is the node: its workers end some seconds after it."""
        return self._ask(do="raylet", number=number)["pid"]

    def kill_raylet(self, number: int) -> None:
        """SIGKILL a node; its workers live on for seconds, as they do when a network fails."""
        self._ask(do="kill", number=number)

    def kill_node(self, number: int) -> None:
        """SIGKILL a node with everything that runs on it, as when the machine loses its power."""
        workers = self.worker_pids(number)
        self.kill_raylet(number)
        for pid in workers:
            _kill(pid)

    def nodes(self) -> tuple[int, ...]:
        """The numbers of the nodes that train and were not killed."""
        return tuple(self._ask(do="nodes")["numbers"])

    def worker_pids(self, number: int | None = None) -> list[int]:
        """The processes that hold an actor or run a task, on one node or on all that were not killed."""
        numbers = self.nodes() if number is None else (number,)
        raylets = {self.raylet_pid(each) for each in numbers}
        return sorted(
            pid for pid, parent in _parents().items() if parent in raylets and _is_busy(pid)
        )

    def stop(self) -> None:
        """End the cluster, with whatever is left of it, and remove its folder."""
        if self._process.stdin is not None:
            self._process.stdin.close()  # it ends at the end of its input
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        until = time.monotonic() + 20
        while left := _session(self._process.pid):
            for pid in left:
                _kill(pid)
            if time.monotonic() > until:
                raise TimeoutError(f"processes of the cluster would not end: {left}")
            time.sleep(0.1)
        shutil.rmtree(self.home, ignore_errors=True)

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:  # it has ended; what it said last tells why
            pass
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError((self.home / "cluster.log").read_text()[-4_000:])
        return json.loads(answer)


def environment_of(home: Path, *, with_token: bool) -> dict[str, str]:
    """That of all processes of a cluster whose user has this home, which may hold a token."""
    inherited = {name: value for name, value in os.environ.items() if name[:4] != "RAY_"}
    return {
        **inherited,
        "HOME": str(home),
        "RAY_TMPDIR": str(home),
        "RAY_AUTH_MODE": "token" if with_token else "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "100",
        "RAY_worker_niceness": "0",  # as an embedded cluster has it
        **_QUICK_DEATHS,
    }


def write_token(home: Path, token: str) -> None:
    """Give the cluster's user a token."""
    file = _token_file(home)
    file.parent.mkdir(mode=0o700)
    file.touch(mode=0o600)
    file.write_text(token)


def _token_file(home: Path) -> Path:
    return home / ".ray" / "auth_token"


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it was faster
        os.kill(pid, signal.SIGKILL)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none when the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _parents() -> dict[int, int]:
    stats = {pid: _stat(pid) for pid in _pids()}
    return {pid: int(stat[1]) for pid, stat in stats.items() if stat}


def _session(number: int) -> list[int]:
    """The processes of a session that have not ended."""
    stats = {pid: _stat(pid) for pid in _pids()}
    return [
        pid for pid, stat in stats.items() if stat and stat[0] != "Z" and int(stat[3]) == number
    ]


def _is_busy(pid: int) -> bool:
    """Whether it is a worker with an actor or a task; Ray writes its name over the command line."""
    try:
        name = Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0].decode()
    except OSError:
        return False
    return name.startswith("ray::") and name not in _NO_WORK


def _serve() -> None:
    """Hold the cluster while requests come; Ray's own words go to the log."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    nodes: dict[int, Any] = {}
    killed: set[int] = set()

    def add(**node: Any) -> int:
        number = len(nodes)
        nodes[number] = cluster.add_node(
            **{"include_dashboard": False, "object_store_memory": 80_000_000, **node}
        )
        return number

    def raylet(number: int) -> subprocess.Popen[bytes]:
        return nodes[number].all_processes["raylet"][0].process

    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        match request["do"]:
            case "start":
                add(num_cpus=0)
                for node in request["nodes"]:
                    add(**node)
                answer["address"] = cluster.address
            case "add":
                answer["number"] = add(**request["node"])
            case "raylet":
                answer["pid"] = raylet(request["number"]).pid
            case "kill":
                raylet(request["number"]).kill()
                raylet(request["number"]).wait()
                killed.add(request["number"])
            case "nodes":
                answer["numbers"] = [number for number in nodes if number and number not in killed]
            case unknown:
                raise ValueError(unknown)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    cluster.shutdown()


if __name__ == "__main__":
    _serve()
