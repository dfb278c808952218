"""Tell a webhook how a sweep ended: one POST of JSON, which never changes how it ended."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPException
from ipaddress import ip_address
from typing import Any
from urllib.error import HTTPError
from urllib.parse import SplitResult, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from rich.console import Console
from rich.text import Text
from typing_extensions import override

from sweeps.spec import Sweep
from sweeps.storage.ledger import Ledger
from sweeps.storage.sweep_folder import SweepLocked
from sweeps.watching.watch import snapshot
from sweeps.wording import duration
from trainers.schema import InputError

_TIMEOUT_S = 10.0
_STATES = ("finished", "diverged", "stopped", "failed", "running", "waiting")
_INTERRUPTED = 130


def hook_address(given: str) -> str:
    """The address of a webhook, checked; what it says beside its host is never repeated.

    Raises:
        InputError: neither https nor http on this machine.
    """
    try:
        parts = urlsplit(given)
        right = parts.hostname is not None and (parts.port is None or parts.port > 0)
    except ValueError as error:  # a port that is no number, brackets that are not closed
        raise InputError("--notify: expected an address with https://, got none") from error
    if not given.isascii() or not given.isprintable() or " " in given or not right:
        raise InputError("--notify: expected an address with https://, got none")
    if parts.username is not None or parts.password is not None:
        raise InputError("--notify: expected an address without user and password, got one")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_here(parts)):
        raise InputError(
            "--notify: expected an address with https://, or http:// on this machine alone,"
            f" got {_host(parts)}"
        )
    return given


def announced(
    run: Callable[[], bool], address: str | None, ledger: Ledger, sweep: Sweep, console: Console
) -> bool:
    """What `run` returns or raises, after the webhook at `address` was told of it.

    A sweep that another driver runs is not over, so nothing is told of it.
    """
    if address is None:
        return run()
    began, code = time.time(), 1
    try:
        done = run()
        code = 0 if done else 1
    except SweepLocked:
        address = None
        raise
    except KeyboardInterrupt:
        code = _INTERRUPTED
        raise
    except InputError:
        code = 2
        raise
    except Exception as error:
        code = getattr(error, "exit_code", 1)  # of a sweep that was asked to stop
        raise
    finally:
        if address is not None:
            problem = notify(address, message(ledger, sweep, code, time.time() - began))
            if problem is not None:
                console.print(Text(f"the webhook was not told: {problem}", style="yellow"))
    return done


def message(ledger: Ledger, sweep: Sweep, code: int, seconds: float) -> dict[str, Any]:
    """What the webhook is sent; `text` is what Slack and its like show."""
    counts: Counter[str] = Counter()
    best = ""
    try:
        snap = snapshot(ledger, sweep, ledger.sweep(sweep.name).trials())
        counts.update({name: getattr(snap, name) for name in _STATES})
        best = snap.best
    except InputError:  # it never began, or the ledger is damaged; the command itself says so
        best = ""
    ended = {0: "is done", 1: "has failures", 2: "was refused"}.get(code, "was stopped")
    counted = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    told = [f"{sweep.name} {ended} after {duration(seconds)}", counted, best and f"best {best}"]
    return {
        "text": "; ".join(part for part in told if part),
        "sweep": sweep.name,
        "exit": code,
        "counts": {name: counts[name] for name in _STATES},
        "trials": counts.total(),
        "best": best,
        "hours": round(seconds / 3600, 4),
    }


def notify(address: str, content: dict[str, Any], *, timeout_s: float = _TIMEOUT_S) -> str | None:
    """Send one POST; what kept it from being taken in one line without the address, or None."""
    answers: list[str | None] = []
    host = _host(urlsplit(address))
    # The timeout of a socket begins anew with each byte, and looking up a name has none.
    thread = threading.Thread(
        target=lambda: answers.append(_post(address, content, timeout_s)), daemon=True
    )
    thread.start()
    thread.join(timeout_s)
    problem = answers[0] if answers else f"no answer within {timeout_s:g} s"
    return None if problem is None else f"{host}: {problem}"


def _post(address: str, content: dict[str, Any], timeout_s: float) -> str | None:
    # To this machine directly, whatever proxy the environment names.
    direct = [ProxyHandler({})] if _is_here(urlsplit(address)) else []
    request = Request(  # noqa: S310 - https, or http on this machine: `hook_address`
        address,
        data=json.dumps(content, allow_nan=False).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "lawsweep"},
    )
    try:
        with build_opener(_NoRedirect, *direct).open(request, timeout=timeout_s):
            return None
    except HTTPError as error:
        return f"it answered {error.code}"
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None)
        return type(reason if isinstance(reason, Exception) else error).__name__


class _NoRedirect(HTTPRedirectHandler):
    """An address that sends us on is not the one that the user gave."""

    @override
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _is_here(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.hostname}"
