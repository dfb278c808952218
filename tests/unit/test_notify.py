"""The webhook at the end of a sweep, against a real server on this machine."""

import http.server
import io
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from sweeps.storage.ledger import Ledger
from sweeps.storage.sweep_folder import SweepLocked
from sweeps.watching.notify import announced, hook_address, message, notify
from tests.small_sweep import records_of, store, sweep_of, write_trial
from trainers.schema import InputError

SECRET = "T0K3N-in-the-path-4711"


class Listener:
    """A server that keeps what it is sent and answers as it is told."""

    def __init__(self, answer: int) -> None:
        self.bodies: list[dict] = []
        self.paths: list[str] = []
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                listener.bodies.append(json.loads(self.rfile.read(length)))
                listener.paths.append(self.path)
                self.send_response(answer)
                self.send_header("Location", "http://example.invalid/elsewhere")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook/{SECRET}?token={SECRET}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener(200)
    yield found
    found.server.shutdown()


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path)


@pytest.fixture
def sweep(ledger):
    made = sweep_of("gcd", bases=(6, 31))
    records = records_of(made)
    store(ledger, made, records)
    for record in records[:3]:
        write_trial(ledger, record)
    return made


def quiet() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=200)


def said(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_sweep_that_is_done_is_told_once(listener, ledger, sweep):
    console = quiet()
    assert announced(lambda: True, listener.url, ledger, sweep, console)
    (body,) = listener.bodies
    assert body["sweep"] == "gcd"
    assert body["exit"] == 0
    assert body["counts"]["finished"] == 3
    assert body["trials"] == 16
    assert body["best"].startswith("accuracy 0.9")
    assert body["hours"] >= 0
    assert body["text"].startswith("gcd is done after 0 s; 3 finished, 13 waiting; best accuracy")
    assert listener.paths == [f"/hook/{SECRET}?token={SECRET}"]
    assert said(console) == ""


class Stopped(Exception):  # noqa: N818 - as `Interrupted`
    exit_code = 143


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (KeyboardInterrupt(), 130),
        (Stopped(), 143),
        (RuntimeError("broken"), 1),
        (InputError("no cluster there"), 2),
    ],
)
def test_whatever_ends_a_sweep_is_told_and_goes_on(listener, ledger, sweep, raised, code):
    def run() -> bool:
        raise raised

    with pytest.raises(type(raised)):
        announced(run, listener.url, ledger, sweep, quiet())
    assert [body["exit"] for body in listener.bodies] == [code]


def test_failed_trials_are_told(listener, ledger, sweep):
    assert not announced(lambda: False, listener.url, ledger, sweep, quiet())
    assert listener.bodies[0]["exit"] == 1


def test_a_sweep_that_another_driver_runs_is_not_over(listener, ledger, sweep):
    def run() -> bool:
        raise SweepLocked("sweep gcd is run by somebody")

    with pytest.raises(SweepLocked):
        announced(run, listener.url, ledger, sweep, quiet())
    assert listener.bodies == []


@pytest.mark.parametrize("answer", [301, 302, 307, 404, 500])
def test_a_webhook_that_refuses_costs_one_line_without_its_address(answer, ledger, sweep):
    listener, console = Listener(answer), quiet()
    assert announced(lambda: True, listener.url, ledger, sweep, console)
    listener.server.shutdown()
    assert said(console) == f"the webhook was not told: http://127.0.0.1: it answered {answer}\n"
    assert len(listener.bodies) == 1  # a redirect is not followed


def test_a_webhook_that_is_not_there_costs_one_line(ledger, sweep):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and never listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/{SECRET}"
        console = quiet()
        assert announced(lambda: True, url, ledger, sweep, console)
    expected = "the webhook was not told: http://127.0.0.1: ConnectionRefusedError\n"
    assert said(console) == expected


def test_a_webhook_that_never_answers_is_left_after_its_time():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        problem = notify(f"http://127.0.0.1:{silent.getsockname()[1]}/", {}, timeout_s=0.5)
        assert problem is not None
        assert time.monotonic() - began < 5


def test_a_webhook_that_answers_a_byte_at_a_time_is_left_after_its_time():
    with socket.socket() as slow:
        slow.bind(("127.0.0.1", 0))
        slow.listen()

        def trickle() -> None:
            connection, _ = slow.accept()
            with connection:
                for _ in range(50):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return
                    time.sleep(0.1)

        threading.Thread(target=trickle, daemon=True).start()
        began = time.monotonic()
        problem = notify(f"http://127.0.0.1:{slow.getsockname()[1]}/", {}, timeout_s=0.5)
        assert problem is not None
        assert time.monotonic() - began < 3


def test_a_proxy_of_the_environment_is_not_told_of_this_machine(listener, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert notify(listener.url, {"a": 1}) is None
    assert listener.bodies == [{"a": 1}]


@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.example.org/services/x", "http://127.0.0.1:8080/x", "http://localhost/x",
        "http://[::1]:80/",
    ],
)  # fmt: skip
def test_https_anywhere_and_http_here_are_taken(address):
    assert hook_address(address) == address


@pytest.mark.parametrize(
    "address",
    [
        f"http://example.org/{SECRET}", f"ftp://127.0.0.1/{SECRET}", f"file:///etc/{SECRET}", SECRET,
        f"https://user:{SECRET}@example.org/", f"https:///{SECRET}", f"https://[::1/{SECRET}", "https://",
        f"https://host:port/{SECRET}", f"https://host:99999/{SECRET}", f"https://host/{SECRET} x",
        f"https://host/{SECRET}\nHost: other", f"https://hôst/{SECRET}", f"http://127.0.0.1.example.org/{SECRET}",
        f"http://0.0.0.0/{SECRET}", "",
    ],
)  # fmt: skip
def test_any_other_address_is_refused_without_a_word_of_it(address):
    with pytest.raises(InputError) as refused:
        hook_address(address)
    assert SECRET not in str(refused.value)
    assert "--notify" in str(refused.value)


def test_a_sweep_that_never_began_is_told_without_counts(tmp_path, sweep):
    told = message(Ledger(tmp_path / "empty"), sweep, 2, 1.0)
    assert told["trials"] == 0
    assert told["text"] == "gcd was refused after 1 s"
