"""MLflow's pages on this machine alone, and the links to those of each sweep."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from sweeps.storage.ledger import Ledger
from sweeps.tracking import is_serving, links, server_command
from trainers.schema import InputError

LOG = "mlflow-server.log"
_UP_WITHIN_S = 120.0


def serve(storage: Path, tracking_uri: str, port: int, console: Console) -> int:
    """Serve until a signal comes; print the links once they can be opened. The server's exit code.

    Raises:
        InputError: the tracker is a server already, or something else has the port.
    """
    command, environment = server_command(storage, tracking_uri, port)
    _check_free(port)
    with (
        (storage / LOG).open("w") as log,
        _ended(
            subprocess.Popen(  # noqa: S603 - our own words
                command, env={**os.environ, **environment}, stdout=log, stderr=log
            )
        ) as server,
    ):
        address = f"http://127.0.0.1:{port}"
        if _is_up(server, address):
            for name in Ledger(storage).sweeps():
                _show_links(name, address, tracking_uri, console)
            console.print("Ctrl-C ends it")
        return server.wait()


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(f"--port {port}: expected a free port, got one in use") from error


def _is_up(server: subprocess.Popen[bytes], address: str) -> bool:
    until = time.monotonic() + _UP_WITHIN_S
    while server.poll() is None and time.monotonic() < until:
        if is_serving(address):
            return True
        time.sleep(0.2)
    return False


def _show_links(name: str, address: str, tracking_uri: str, console: Console) -> None:
    try:
        found = links(address, tracking_uri, name)
    except InputError as missing:  # launched here, and published elsewhere or not yet
        console.print(f"{name}: {missing}", markup=False, highlight=False)
        return
    lines = [
        f"{name}",
        f"  charts  {found.charts}",
        f"  runs    {found.runs}",
        f"  sweep   {found.sweep}",
        f"  report  {found.report or f'none yet: lawsweep report {name}'}",
    ]
    for line in lines:  # never broken: a link is clicked, or copied in one piece
        console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _ended(server: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End the server with the block, also when a signal ends the block."""
    before = signal.signal(signal.SIGTERM, _raise_exit)
    try:
        yield server
    finally:
        signal.signal(signal.SIGTERM, before)
        if server.poll() is None:
            server.terminate()
            server.wait()


def _raise_exit(number: int, frame: FrameType | None) -> None:
    del frame
    raise SystemExit(128 + number)
