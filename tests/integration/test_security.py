"""What a stranger, a curious neighbour or a careless text could do, and what comes of it."""

import hashlib
import io
import json
import os
import pickle
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient

from analysis.cli import main
from sweeps.storage.ledger import Ledger
from tests.integration import canaries, sweeping
from tests.integration.test_loopback import LOOPBACK, descendants, listeners, sockets
from tests.integration.test_resume import free_port, stop, wait_for_points
from trainers import checkpoint

pytestmark = pytest.mark.xdist_group("security")  # they share a trained sweep and a server

SMALL = sweeping.SWEEP.replace("steps: 300", "steps: 20").replace("points: 50", "points: 4")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The storage folder of a sweep that was trained under a umask that hides nothing."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "small.yaml").write_text(SMALL)
    before = os.umask(0)
    try:
        storage = ["--storage", str(folder / "storage")]
        assert main(["launch", str(folder / "small.yaml"), *storage, "--inline"]) == 0
        assert main(["report", "small", *storage]) == 0
    finally:
        os.umask(before)
    return folder / "storage"


def test_nothing_that_a_launch_or_a_report_writes_can_be_read_by_others(trained):
    assert canaries.open_to_others(trained) == []
    kinds = {path.suffix for path in trained.rglob("*")}
    assert {".json", ".jsonl", ".pt", ".db", ".html"} <= kinds  # all that there is was looked at


# --- names

EVIL = [
    "..", "../escape", "../../escape", "/tmp/escape", "a/../../escape", "a/b", "a\\b", "..\\escape",
    ".", ".hidden", "-rf", "--storage", "~", "~root", "$HOME", "${HOME}", "`id`", "$(id)", "a;id", "a|id",
    "a&id", "a>b", "a\nb", "a\rb", "a\tb", "a b", " ", "", "a\0b", "\0", "CON:", "C:\\x", "file:///etc/passwd",
    "%2e%2e%2f", "%2e%2e/escape", "..%2fescape", "%252e%252e%252f", "..%c0%af", "\u2025/escape",
    "\uff0e\uff0e\uff0fescape", "a\u202eb", "ü", "é", "名前", "😀", "\u200b", "a\x1b[31mb", "*", "?", "[a]",
    "{a,b}", "x" * 65, "x" * 300, "x" * 5000, "a\\0b", "a%00b", "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>", "javascript:alert(1)", "=cmd()", "'; DROP TABLE runs;--",
    "{{7*7}}", "%s%n", "a:b", "@a", "#a", "!a", "a,b", "_a",
]  # fmt: skip


def everything_in(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.lstat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("name", EVIL, ids=ascii)
def test_a_name_that_is_no_plain_name_writes_nothing_anywhere(name, tmp_path, monkeypatch, capsys):
    (tmp_path / "here" / "storage" / "sweeps").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    text = SMALL.replace("name: small", f"name: {json.dumps(name)}")
    Path("small.yaml").write_text(text)
    Path("good.yaml").write_text(SMALL)
    before = everything_in(tmp_path)
    storage = ["--storage", "storage"]
    commands = [
        ["launch", "small.yaml", *storage, "--inline", "--yes"],
        ["launch", "good.yaml", *storage, "--inline", "--yes", "--set", f"name={json.dumps(name)}"],
        ["launch", "good.yaml", *storage, "--inline", "--yes", "--set", f"{name}=1"],
        ["status", *storage, "--", name],
        ["sync", *storage, "--", name],
        ["report", *storage, "--", name],
        ["rerun", *storage, "--", name],
        ["predict", *storage, "--", name],
    ]
    for command in commands:
        assert main(command) == 2, command
        said = capsys.readouterr()
        assert said.err.count("\n") == 1, said.err
        assert said.err.rstrip("\n").isprintable()
    assert everything_in(tmp_path) == before


def test_there_are_at_least_sixty_evil_names():
    assert len(set(EVIL)) >= 60


def test_a_folder_of_the_ledger_that_leads_elsewhere_is_not_followed(trained, tmp_path, capsys):
    storage, outside = tmp_path / "storage", tmp_path / "outside"
    shutil.copytree(trained, storage)
    key = next(iter(Ledger(storage).keys()))
    folder = Ledger(storage).trial(key).path
    for outcome in (folder / "outcome.json", *folder.glob("attempt-*/outcome.json")):
        outcome.unlink()  # so that a launch would go on with it
    shutil.move(folder, outside)
    folder.symlink_to(outside)
    before = everything_in(outside)
    for command in (["predict", key], ["launch", str(_file(tmp_path)), "--inline"]):
        assert main([*command, "--storage", str(storage)]) in (1, 2), command
        said = capsys.readouterr()
        assert key in said.out + said.err
        assert "link" in said.out + said.err
    assert everything_in(outside) == before


def _file(folder: Path) -> Path:
    (folder / "small.yaml").write_text(SMALL)
    return folder / "small.yaml"


# --- checkpoints


class Bomb:
    """What runs a command when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


def bombs(canary: Path) -> Iterator[bytes]:
    """As a plain pickle, as what torch writes, and inside of what torch writes."""
    yield pickle.dumps(Bomb(canary))
    written = io.BytesIO()
    torch.save({"tensors": Bomb(canary), "numbers": {}}, written)
    yield written.getvalue()
    torch.save({"tensors": {}, "numbers": {}}, written := io.BytesIO())
    changed = io.BytesIO()
    with zipfile.ZipFile(written) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            evil = name.endswith("data.pkl")
            new.writestr(name, pickle.dumps(Bomb(canary), 2) if evil else old.read(name))
    yield changed.getvalue()


def test_the_bomb_of_these_tests_would_go_off(tmp_path):
    for number, content in enumerate(bombs(tmp_path / "canary")):
        if number == 0:
            pickle.loads(content)
        else:
            torch.load(io.BytesIO(content), weights_only=False)
        (tmp_path / "canary").unlink()  # it was there


def seal_bomb(marker: Path, content: bytes) -> None:
    """Put a bomb in the place of a checkpoint, with a marker that vouches for it."""
    record = json.loads(marker.read_bytes())
    record |= {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    del record["seal"]
    marker.with_suffix(".pt").write_bytes(content)
    marker.write_bytes(checkpoint._sealed(record))


def test_a_pickle_bomb_as_checkpoint_does_not_run(trained, tmp_path, capsys):
    storage, canary = tmp_path / "storage", tmp_path / "canary"
    shutil.copytree(trained, storage)
    folders = [Ledger(storage).trial(key) for key in sorted(Ledger(storage).keys())]
    for number, folder in enumerate(folders):
        for marker in folder.path.glob("attempt-*/checkpoint-*.json"):
            seal_bomb(marker, list(bombs(canary))[number % 3])
    for folder in folders[:3]:
        asked = main(["predict", folder.path.name, "160 120", "--storage", str(storage)])
        assert asked == 2
        assert capsys.readouterr().err.count("\n") == 1
    for outcome in storage.glob("trials/*/*/**/outcome.json"):  # so that a launch resumes
        outcome.unlink()
    (storage / "mlflow.db").unlink()
    again = main(["launch", str(_file(tmp_path)), "--storage", str(storage), "--inline"])
    assert again == 0
    assert not canary.exists()
    notes = [file.read_text() for file in storage.glob("trials/*/*/attempt-0002/notes.txt")]
    assert len(notes) == sweeping.TRIALS
    assert all("passed over checkpoint-" in note for note in notes)


# --- the pages of MLflow


@pytest.fixture(scope="module")
def served(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `lawsweep ui` on the trained sweep."""
    storage = tmp_path_factory.mktemp("served") / "storage"
    shutil.copytree(trained, storage)
    port = free_port()
    ui = subprocess.Popen(
        sweeping.command("ui", "--storage", storage, "--port", str(port)),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=sweeping.environment(),
        start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 200
    try:
        while True:
            assert ui.poll() is None, ui.stdout and ui.stdout.read()
            assert time.monotonic() < until, "the server did not start"
            try:
                if answer(f"http://127.0.0.1:{port}/health") == 200:
                    break
            except OSError:
                time.sleep(0.3)
        held, known = sockets(descendants(ui.pid)), listeners()
        addresses = {known[inode] for inode in held if inode in known}
        assert addresses, "no listening socket was found: the test showed nothing"
        assert addresses <= LOOPBACK
        yield f"http://127.0.0.1:{port}"
    finally:
        ui.send_signal(signal.SIGINT)
        try:
            ui.wait(timeout=60)
        finally:
            stop(ui)
            assert ui.stdout is not None
            ui.stdout.close()


def answer(url: str, method: str = "GET", body: object = None, **headers: str) -> int:
    """The status with which the server answers."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **given},
        method=method,
    )
    return answered(request)[0]


def answered(request: urllib.request.Request) -> tuple[int, bytes]:
    """Status and body."""
    try:
        with urllib.request.urlopen(request, timeout=30) as found:
            return found.status, found.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


HOSTS = [
    "evil.com", "127.0.0.1.evil.com", "evil.com:{port}", "localhost.evil.com:{port}", "localhost:1",
    "127.0.0.1:1", "127.0.0.1", "localhost", "0.0.0.0:{port}", "[::1]:{port}", "169.254.169.254:{port}",
    "127.0.0.1:{port}@evil.com", "evil.com#127.0.0.1:{port}", "LOCALHOST.:{port}", "127.1:{port}",
    "2130706433:{port}", "127.0.0.1:{port}.evil.com",
]  # fmt: skip


def test_foreign_hosts_are_refused(served):
    port = served.rpartition(":")[2]
    wrong = {
        host: answer(f"{served}/api/2.0/mlflow/experiments/get-by-name?experiment_name=small", Host=host)
        for host in (each.format(port=port) for each in HOSTS)
    }  # fmt: skip
    assert {host: code for host, code in wrong.items() if code not in (400, 403)} == {}
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        url = f"{served}/api/2.0/mlflow/experiments/get-by-name?experiment_name=small"
        assert answer(url, Host=host) == 200


@pytest.mark.parametrize("origin", ["http://evil.com", "null", "https://127.0.0.1.evil.com"])
def test_pages_of_strangers_cannot_write(served, origin):
    url = f"{served}/api/2.0/mlflow/experiments/create"
    assert answer(url, "POST", {"name": f"by {origin}"}, Origin=origin) == 403
    known = MlflowClient(served).search_experiments()
    assert {experiment.name for experiment in known} <= {"Default", "small"}


TRAVERSALS = [
    "../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd",
    "..%252f..%252fetc%252fpasswd", "/etc/passwd", "%2fetc%2fpasswd", "..\\..\\etc\\passwd",
    "..%5c..%5cetc%5cpasswd", "file:///etc/passwd", "a/../../../../../etc/passwd", "%00/etc/passwd",
    "....//....//etc/passwd", "..;/..;/etc/passwd", "~/.bashrc",
]  # fmt: skip


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_path_leads_out_of_the_artifacts(served, path):
    client = MlflowClient(served)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    run = client.search_runs([experiment.experiment_id])[0].info.run_id
    for url in (
        f"{served}/get-artifact?run_uuid={run}&path={path}",
        f"{served}/api/2.0/mlflow-artifacts/artifacts/{path}",
        f"{served}/api/2.0/mlflow/artifacts/list?run_id={run}&path={path}",
        f"{served}/static-files/{path}",
    ):
        code, text = answered(urllib.request.Request(url.replace("\\", "%5C")))
        assert code in (200, 400, 403, 404, 405, 500), (url, code)
        assert b"root:" not in text, url
        assert not re.search(rb"/bin/(ba)?sh", text), url


def test_a_link_out_of_the_artifacts_is_not_followed(served, tmp_path):
    client = MlflowClient(served)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    run = client.search_runs([experiment.experiment_id])[0]
    secret = tmp_path / "secret.txt"
    secret.write_text("c4n4ry")
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "link.txt").symlink_to(secret)
    url = f"{served}/get-artifact?run_uuid={run.info.run_id}&path=link.txt"
    assert b"c4n4ry" not in answered(urllib.request.Request(url))[1]
    (folder / "link.txt").unlink()


def test_a_sweep_is_not_published_into_artifacts_that_lie_elsewhere(trained, tmp_path, capsys):
    storage, elsewhere = tmp_path / "storage", tmp_path / "elsewhere"
    shutil.copytree(trained, storage)
    with sqlite3.connect(storage / "mlflow.db") as database:
        database.execute(
            "update experiments set artifact_location = ? where name = 'small'", (elsewhere.as_uri(),)
        )  # fmt: skip
    for code, command in ((2, "report"), (1, "sync")):
        assert main([command, "small", "--storage", str(storage)]) == code
        said = capsys.readouterr()
        assert str(elsewhere) in said.err
        assert said.err.count("\n") == 1
    assert not elsewhere.exists()


# --- secrets


@pytest.mark.timeout(900)
def test_no_secret_is_in_any_byte_that_a_sweep_leaves(tmp_path):
    environment = canaries.with_leaky_task(tmp_path)
    file, storage = tmp_path / "canary.yaml", tmp_path / "storage"
    file.write_text(canaries.SWEEP.format(about="what it learns"))
    scratch = Path(tempfile.mkdtemp(prefix="lawsweep-"))  # the path of a socket may not be long
    away = f"http://someone:{canaries.IN_ADDRESS}@127.0.0.1:9"
    environment |= {
        "RAY_TMPDIR": str(scratch),
        "LAWSWEEP_NOTIFY": f"http://127.0.0.1:9/hook/{canaries.IN_HOOK}",
    }
    try:
        launched = canaries.run(environment, "launch", file, "--storage", storage)
        assert launched.returncode == 1, launched.stdout + launched.stderr
        logs = list(scratch.rglob("*.log"))
        assert logs, "Ray has left nothing: the test showed nothing"
        assert list(canaries.leaks_under(scratch)) == []
    finally:
        shutil.rmtree(scratch)
    after = canaries.run_all(
        environment,
        (0, "plan", file, "--storage", storage),
        (0, "status", "canary", "--storage", storage),
        (0, "status", "canary", "--json", "--storage", storage),
        (1, "sync", "canary", "--tracking", away, "--storage", storage),
        (0, "report", "canary", "--storage", storage),
        (1, "launch", file, "--inline", "--storage", storage),
    )
    said = launched.stdout + launched.stderr + after
    assert canaries.leaks(said) == []
    assert said.count(b"could not sign in with *** ***") >= 3
    assert said.count(b"the webhook was not told: http://127.0.0.1") == 2
    assert b"127.0.0.1" in after
    assert list(canaries.leaks_under(storage)) == []
    for notes in storage.glob("trials/*/*/attempt-*/notes.txt"):
        assert "could not sign in with ***" in notes.read_text()


@pytest.mark.parametrize(
    "text",
    [
        "signs in with token=c4n4ry-7f3a9b2d", "http://me:c4n4ry-7f3a9b2d@host/", "ghp_" + "a1" * 18,
        "sk-" + "a1" * 12, "AKIAIOSFODNN7EXAMPLE", canaries.CANARIES["AWS_SECRET_ACCESS_KEY"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["about", "source", "say", "title", "set"])
def test_a_sweep_file_with_a_secret_is_refused_without_repeating_it(
    place, text, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    secret = canaries.CANARIES["AWS_SECRET_ACCESS_KEY"]
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    written, quoted = SMALL, json.dumps(text)
    if place in {"about", "source"}:
        written += f"{place}: {quoted}\n"
    elif place == "say":
        written += f"claims:\n  - {{say: {quoted}, metric: accuracy, at_least: 0}}\n"
    elif place == "title":
        written += f"report: {{tables: [{{title: {quoted}, rows: [seed], metrics: [loss]}}]}}\n"
    Path("small.yaml").write_text(written)
    changes = ["--set", f"about={quoted}"] if place == "set" else []
    for command in (["plan"], ["launch", "--inline"]):
        assert main([*command, "small.yaml", *changes]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert "expected no password and no token" in said.err
        assert {"set": "about"}.get(place, place) in said.err
        assert text not in said.err
        assert "c4n4ry" not in said.err
    assert [path.name for path in Path().iterdir()] == ["small.yaml"]


# --- the webhook, at the real command


@pytest.mark.parametrize("number", [pytest.param(None, marks=pytest.mark.slow), signal.SIGINT])
def test_the_webhook_is_told_at_the_end_and_at_ctrl_c(number, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(200)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/{canaries.IN_HOOK}"
        storage, file = tmp_path / "storage", tmp_path / "small.yaml"
        file.write_text(SMALL if number is None else sweeping.SWEEP)
        driver = sweeping.start("launch", file, "--storage", storage, "--inline", "--notify", url)
        try:
            if number is not None:
                wait_for_points(storage, 5, driver)
                driver.send_signal(number)
            connection, _ = listener.accept()
            with connection:
                received = b""
                while b"\r\n\r\n" not in received or not received.rstrip().endswith(b"}"):
                    received += connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            code = driver.wait(timeout=100)
        finally:
            driver.kill()
            driver.wait()
    assert code == (0 if number is None else 130)
    assert received.startswith(f"POST /{canaries.IN_HOOK} HTTP/1.1\r\n".encode())
    told = json.loads(received.partition(b"\r\n\r\n")[2])
    assert told["sweep"] == "small"
    assert told["exit"] == code
    assert told["trials"] == sweeping.TRIALS
    assert (told["counts"]["finished"] == sweeping.TRIALS) == (number is None)
    assert list(canaries.leaks_under(storage)) == []
