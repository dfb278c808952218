"""Real trackers for tests: MLflow servers on loopback that can be killed, frozen and started again,
over SQLite or over a throw-away PostgreSQL.

    with over_sqlite(tmp_path) as server:                  # mlflow server, its database in tmp_path
    with postgres() as database:                           # PostgreSQL alone: database.uri
    with postgres() as database, over_postgres(tmp_path, database) as server:    # basic auth

A test that needs PostgreSQL has the mark `needs_postgres`.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sweeps.address import tracker_uri

_UP_WITHIN_S = 120.0  # two idle cores need 8 s, busy ones a minute
_DOWN_WITHIN_S = 30.0
_ORDINARY_USER = "postgres"  # PostgreSQL refuses to run as root; Debian's package makes this user


def _postgres_programs() -> Path | None:
    """The folder with `initdb` and `postgres`: Debian's newest, or that of the search path."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda file: int(file.parents[1].name),
    )
    in_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    return None if in_path is None else Path(in_path).resolve().parent


needs_postgres = pytest.mark.skipif(
    _postgres_programs() is None, reason="needs PostgreSQL: apt-get install postgresql"
)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Server:
    """An `mlflow server` in a process group of its own; killed without warning at the end."""

    port: int
    command: list[str]
    environment: dict[str, str]
    log: Path
    username: str = ""  # empty: everybody may read and write
    password: str = field(default="", repr=False)
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Its address, without credentials."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def uri_with_password(self) -> str:
        """Its address with user and password in it."""
        who = f"{self.username}:{self.password}@" if self.username else ""
        return f"http://{who}127.0.0.1:{self.port}"

    @property
    def credentials(self) -> dict[str, str]:
        """What a client of this server needs in its environment."""
        if not self.username:
            return {}
        return {
            "MLFLOW_TRACKING_USERNAME": self.username,
            "MLFLOW_TRACKING_PASSWORD": self.password,
        }

    def start(self) -> None:
        """Start it, again after `kill` on the same port, and wait until it answers."""
        self.launch()
        _wait_until(self._answers, f"{self.uri} does not answer", self.log)

    def launch(self) -> None:
        """Start it without waiting for it."""
        assert self.process is None, "the server runs already"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL to the whole group: whatever it was doing ends here."""
        if self.process is not None:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        """Kill it and start it on the same port and database."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP to the whole group: connections are taken, and nothing is answered."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: what was asked meanwhile is done now, whether or not anybody still waits."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGCONT)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the server ended by itself:\n{_tail(self.log)}"
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False


@contextmanager
def over_sqlite(folder: Path, workers: int = 1) -> Iterator[Server]:
    """A server without passwords; its database and artifacts lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    server = _server(folder, tracker_uri(None, folder), "--workers", str(workers))
    with _running(server):
        yield server


@contextmanager
def over_postgres(folder: Path, database: "Postgres") -> Iterator[Server]:
    """A server with basic authentication over PostgreSQL; its artifacts lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "basic_auth.ini"
    config.touch(mode=0o600)
    users = f"sqlite:///{folder}/users.db"
    config.write_text(f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {users}\n")
    name, password = "admin", secrets.token_urlsafe(16)
    server = _server(
        folder,
        database.uri,
        "--workers",
        "1",
        "--app-name",
        "basic-auth",
        MLFLOW_AUTH_CONFIG_PATH=str(config),
        MLFLOW_AUTH_ADMIN_USERNAME=name,
        MLFLOW_AUTH_ADMIN_PASSWORD=password,
        MLFLOW_FLASK_SERVER_SECRET_KEY=secrets.token_urlsafe(32),
    )
    server.username, server.password = name, password
    with _running(server):
        yield server


def _server(folder: Path, database_uri: str, *more: str, **environment: str) -> Server:
    port = free_port()
    hosts = [f"{host}:{port}" for host in ("127.0.0.1", "localhost")]
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--artifacts-destination", (folder / "mlflow-artifacts").as_uri()),
        *("--allowed-hosts", ",".join(hosts)),
        *("--cors-allowed-origins", ",".join(f"http://{host}" for host in hosts)),
        *more,
    ]
    needed = {
        "MLFLOW_BACKEND_STORE_URI": database_uri,  # everybody here can read an argument
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    inherited = {name: text for name, text in os.environ.items() if "MLFLOW" not in name}
    return Server(
        port=port,
        command=command,
        environment={**inherited, **needed, **environment},
        log=folder / "server.log",
    )


@contextmanager
def _running(server: Server) -> Iterator[None]:
    try:
        server.start()
        yield
    finally:
        server.kill()


@dataclass
class Postgres:
    """A PostgreSQL of one test: one user with a random password, on loopback, in a folder of its own."""

    programs: Path
    folder: Path
    port: int
    password: str = field(repr=False)
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """The address of its database, with user and password."""
        who = f"lawsweep:{self.password}"
        return f"postgresql+psycopg://{who}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, after whatever ended it, and wait until it takes connections."""
        assert self.process is None, "the database runs already"
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(self.programs / "postgres", "-D", self.folder / "data"),
                    *("-p", str(self.port), "-c", "listen_addresses=127.0.0.1"),
                    *("-c", "unix_socket_directories=", "-c", "fsync=off"),
                ],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                **_as_ordinary_user(),
            )
        _wait_until(self._answers, "PostgreSQL takes no connections", self.folder / "log")

    def stop_immediately(self) -> None:
        """As `pg_ctl stop -m immediate`: no client is waited for, nothing is written any more."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(_DOWN_WITHIN_S)
            self.process = None

    def freeze(self) -> None:
        """SIGSTOP to the database and the processes of its connections."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT to all of them."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in (self.process.pid, *map(int, children.split())):
            os.kill(pid, number)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"it ended:\n{_tail(self.folder / 'log')}"
        command = [self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that is gone with its folder at the end of the block."""
    programs = _postgres_programs()
    assert programs is not None, "the test lacks the mark `needs_postgres`"
    # not below pytest's folders: those of root cannot be entered by an ordinary user
    folder = Path(tempfile.mkdtemp(prefix="lawsweep-postgres-"))
    database = Postgres(programs, folder, free_port(), secrets.token_urlsafe(16))
    try:
        password_file = folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(database.password)
        for path in (folder, password_file):
            if os.geteuid() == 0:
                shutil.chown(path, _ORDINARY_USER, _ORDINARY_USER)
        subprocess.run(
            [
                *(programs / "initdb", "-D", folder / "data", "--username=lawsweep"),
                *(f"--pwfile={password_file}", "--auth=scram-sha-256"),
                *("--no-sync", "--encoding=UTF8", "--locale=C"),
            ],
            cwd=folder,
            check=True,
            capture_output=True,
            **_as_ordinary_user(),
        )
        password_file.unlink()
        database.start()
        yield database
    finally:
        if database.process is not None:
            database.thaw()
        database.stop_immediately()
        shutil.rmtree(folder)


def _as_ordinary_user() -> Mapping[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": _ORDINARY_USER, "group": _ORDINARY_USER, "extra_groups": []}


def _wait_until(answers: Callable[[], bool], complaint: str, log: Path) -> None:
    until = time.monotonic() + _UP_WITHIN_S
    while not answers():
        assert time.monotonic() < until, f"{complaint} after {_UP_WITHIN_S:g} s:\n{_tail(log)}"
        time.sleep(0.1)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2_000:]
