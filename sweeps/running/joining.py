"""Before a Ray cluster is started or joined: its token, and whether it asks everybody for one."""

import ipaddress
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trainers.schema import InputError, shown

_PROBE_S = 60.0
_ADDRESS = re.compile(r"auto|[A-Za-z0-9._-]+:[0-9]{1,5}|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}")


@dataclass(frozen=True)
class Token:
    """Where Ray finds the token of this user, and what is wrong with it; "" where nothing is."""

    place: str
    problem: str


def own_token() -> Token:
    """The token that Ray would use here: of the environment, or of a file that is its owner's alone."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return Token("RAY_AUTH_TOKEN", "")
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    file = Path(named) if named else Path.home() / ".ray" / "auth_token"
    try:
        mode = file.stat().st_mode & 0o777
        is_empty = not file.read_text().strip()
    except FileNotFoundError:
        return Token(str(file), f"expected a token in {file} or in RAY_AUTH_TOKEN, found none")
    except (OSError, UnicodeDecodeError) as error:
        return Token(str(file), f"expected a token in {file}, which cannot be read: {error}")
    if is_empty:
        return Token(str(file), f"expected a token in {file}, which is empty")
    if mode & 0o077:
        return Token(
            str(file), f"expected {file} to be readable by you alone, its mode is {mode:04o}: "
            f"chmod 600 {file}"
        )  # fmt: skip
    return Token(str(file), "")


def prepare_own() -> None:
    """Set what Ray reads when it is imported, for a cluster of this process alone.

    It listens on loopback, and asks every caller for a token that only this process and its workers know.
    """
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    os.environ["RAY_AUTH_MODE"] = "token"
    # in no file; Ray would write one that everybody can read
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def prepare_joining(
    address: str, *, insecure: bool, meanwhile: Callable[[], None] = lambda: None
) -> str:
    """Set what Ray reads when it is imported, for the cluster at `address`; returns host:port.

    The cluster is asked twice, in processes of their own: as a stranger, and with this user's token.
    `meanwhile` is done while they wait for it.

    Raises:
        InputError: no address, nobody there, no token or a wrong one; or the cluster asks nobody for
            a token, and is not one of this machine alone that the user wants so.
    """
    if not _ADDRESS.fullmatch(address):
        raise InputError(f"--address: expected host:port or auto, got {shown(address)}")
    without = {name: text for name, text in os.environ.items() if not name.startswith("RAY_AUTH_")}
    token = own_token()
    asked = [_started(address, {**without, "RAY_AUTH_MODE": "disabled"})]
    if not token.problem:
        asked.append(_started(address, {**os.environ, "RAY_AUTH_MODE": "token"}))
    meanwhile()
    answers = [_answer(address, process) for process in asked]
    found = answers[0].get("address", address)
    if answers[0]["answer"] == "away":
        raise InputError(
            f"--address {address}: expected a Ray cluster there: {answers[0]['words']}"
        )
    if answers[0]["answer"] == "open":
        if not insecure:
            raise InputError(
                f"--address {address}: expected a cluster that asks for a token; whoever reaches this"
                " one runs what he likes there. Start it with RAY_AUTH_MODE=token, as in cluster.yaml"
            )
        if not is_loopback(found):
            raise InputError(
                f"--insecure: expected a cluster on loopback beside it, got one at {found}"
            )
        os.environ["RAY_AUTH_MODE"] = "disabled"
        return found
    if token.problem:
        raise InputError(f"--address {address}: the cluster asks for a token: {token.problem}")
    if answers[1]["answer"] != "open":
        raise InputError(
            f"--address {address}: expected the cluster's own token in {token.place}, got another one;"
            " it is in ~/.ray/auth_token on the cluster's head"
        )
    os.environ["RAY_AUTH_MODE"] = "token"
    return found


def is_loopback(address: str) -> bool:
    """Whether `host:port` or a host can be reached from this machine alone."""
    host = address.rpartition(":")[0] if _ADDRESS.fullmatch(address) else address
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _started(address: str, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603 - our own words; the address has passed its pattern
        [sys.executable, "-m", "sweeps.running.gcs_probe", address],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _answer(address: str, process: "subprocess.Popen[str]") -> dict[str, str]:
    try:
        out, problem = process.communicate(timeout=_PROBE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {"answer": "away", "words": f"no answer within {_PROBE_S:g} s", "address": address}
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if process.returncode or not lines:
        words = " ".join(problem.split())[-200:]
        return {"answer": "away", "words": words, "address": address}
    return json.loads(lines[-1])
