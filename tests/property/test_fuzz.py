"""Any sweep file, any command line and any bytes in a ledger: an answer, or one line; never more."""

import contextlib
import io
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.cli import main
from sweeps.storage.ledger import Ledger
from sweeps.storage.records import sealed
from tests.integration import bad_values
from tests.small_sweep import records_of, store, sweep_of, write_trial

BUSY = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
few = settings(max_examples=75, suppress_health_check=BUSY)
many = settings(max_examples=5_000, suppress_health_check=BUSY)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def told(arguments: Sequence[str], *, refused: bool | None = None) -> int:
    """Run a command here and hold it to what every command promises; its exit code."""
    before = contents(Path())
    out, err = io.StringIO(), io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        warnings.simplefilter("error")  # a warning would stand on standard error
        code = main(list(arguments))
    printed, said = out.getvalue(), err.getvalue()
    assert code in ((0, 2) if refused is None else (2,) if refused else (0,)), (code, said)
    if code == 2:
        assert printed == ""
        assert said.count("\n") == 1
        assert said.endswith("\n")
        assert said[:-1].isprintable()
        assert len(said) < 2_000
    else:
        assert said == ""
    assert contents(Path()) == before
    return code


# --- sweep files

numbers = st.one_of(
    st.integers(-5, 300),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0, 1, -1, 2**31, 2**63, 10**30, 1e-3, 1e308, 0.1, True, False]),
)
words = st.one_of(
    st.text(max_size=8),
    st.sampled_from([
        "gcd", "digits", "transformer", "values", "zip", "when", "random", "isoflop", "log_range",
        "mlp", "accuracy", "max", "min", "power", "encoding.base", "model.width", "seed", "1e-3",
        "null", "~", "../x", "[bold]x[/bold]", "\x1b[31m", "\x00", "{{7*7}}", "loss = a*x", "*a",
        "&a", "!!str", "x" * 600,
    ]),
)  # fmt: skip
plain = st.recursive(
    st.none() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in plain data."""
    yield place
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*place, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*place, number))


PLACES = [place for place in places(bad_values.GOOD) if place]


@st.composite
def changed_sweeps(draw: st.DrawFn) -> bytes:
    """The good sweep with a few places taken out, put in or given another value."""
    sweep: Any = json.loads(json.dumps(bad_values.GOOD))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(PLACES))
        inside = sweep
        try:
            for part in place[:-1]:
                inside = inside[part]
            match draw(st.sampled_from(["change", "change", "take", "add"])):
                case "take":
                    del inside[place[-1]]
                case "add" if isinstance(inside[place[-1]], dict):
                    inside[place[-1]][draw(words)] = draw(plain)
                case _:
                    inside[place[-1]] = draw(plain)
        except (KeyError, IndexError, TypeError):  # an earlier change took it away
            continue
    return bad_values.as_yaml(sweep).encode("utf-8", "replace")


@st.composite
def changed_texts(draw: st.DrawFn) -> bytes:
    """The text of a good sweep with pieces cut out, doubled or put in."""
    text = SWEEP_TEXT
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from([0, 1, 2, 10, 100])))
        piece = draw(st.sampled_from([
            "", "", " ", "\n", "\t", ":", "- ", "{", "}", "[", "]", '"', "'", "|", ">", "#", "&a ",
            "*a", "!!int ", "? ", "---\n", "...\n", "%YAML 9.9\n", "<<: ", "\x00", "\ufeff",
            "\u2028", "0x1F", "1e999", ".nan", "-",
        ]))  # fmt: skip
        text = (
            text[:start] + piece + text[start:end] * draw(st.sampled_from([0, 1, 2])) + text[end:]
        )
    return text.encode("utf-8", "replace")


SWEEP_TEXT = """\
name: good
about: what it asks
trial:
  task: {kind: gcd, largest: 1000, top_class: 5}
  encoding: {kind: digits, base: 10}
  model: {kind: transformer, width: 16, heads: 2}
  budget: {steps: 20}
  evaluation: {points: 2, examples: 20}
axes:
  - {kind: values, field: encoding.base, values: [6, 10]}
replicates: 2
objective: {metric: accuracy, mode: max}
"""

files = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")),
    changed_texts(),
    changed_texts(),
    changed_sweeps(),
    changed_sweeps(),
    changed_sweeps(),
)


def _any_sweep_file(content: bytes) -> None:
    Path("any.yaml").write_bytes(content)
    # Refused in any case, and only after the file was read and planned: nothing trains here.
    told(["launch", "any.yaml", "--inline", "--yes", "--device-kind", "../x"], refused=True)


@few
@given(content=files)
def test_any_sweep_file_is_refused_in_one_line_or_planned(content: bytes):
    _any_sweep_file(content)


@pytest.mark.slow  # ten minutes
@pytest.mark.timeout(3600)
@settings(many, max_examples=10_000)
@given(content=files)
def test_ten_thousand_sweep_files_are_refused_in_one_line_or_planned(content: bytes):
    _any_sweep_file(content)


# --- command lines

COMMANDS = (
    "plan", "launch", "status", "rerun", "predict", "sync", "gc", "ui", "tasks", "positions", "encodings",
    "models", "axes", "laws", "report", "fit", "compare", "tuning", "isoflop", "crossover", "nothing", "",
)  # fmt: skip
OPTIONS = (
    "--storage", "--tracking", "--set", "--json", "--inline", "--address", "--yes", "--save-every",
    "--port", "--notify", "--workers", "--packs-per-gpu", "--gpus-per-trial", "--device-kind",
    "--allow-drift", "--insecure", "--examples", "--law", "--laws", "--map", "--bootstrap",
    "--report", "--out",
    "--keep", "--setting", "--by", "--where", "--help", "-h", "--", "-", "--nothing", "--storage=",
    "--set=a=b",
)  # fmt: skip
VALUES = (
    "nowhere.yaml", "nowhere.csv", ".", "..", "/", "/etc/passwd", "empty.yaml", "table.csv",
    "empty", "0", "1", "-1", "1e9", "nan", "inf", "x", "a=b", "a=b=c", "=", "power", "loss = a*x",
    "x=x", "loss=loss", "../x", "0123456789abcdef0123", "0123", "name", "http://127.0.0.1:9",
    "sqlite:////nowhere/x.db", "ftp://x", "https://", "\x1b[31m", "\x00", "\udcff", "ü", "", " ",
    "x" * 300,
)  # fmt: skip
lines = st.lists(
    st.one_of(st.sampled_from(OPTIONS), st.sampled_from(VALUES), st.text(max_size=6)), max_size=6
)


def _any_command(command: str, rest: list[str]) -> None:
    Path("empty.yaml").write_text("")
    Path("empty").mkdir(exist_ok=True)
    Path("table.csv").write_text("x,loss\n1,2\n2,1\n")
    if "--out" in rest or "--report" in rest:  # an answer that is asked to be written is
        rest = [word for word in rest if word not in ("--out", "--report")]
    told([command, *rest])


@few
@given(command=st.sampled_from(COMMANDS), rest=lines)
def test_any_command_line_gives_an_answer_or_one_line(command: str, rest: list[str]):
    _any_command(command, rest)


@pytest.mark.slow  # four minutes
@pytest.mark.timeout(3600)
@many
@given(command=st.sampled_from(COMMANDS), rest=lines)
def test_five_thousand_command_lines_give_an_answer_or_one_line(command: str, rest: list[str]):
    _any_command(command, rest)


# --- ledgers


@pytest.fixture(scope="module")
def ledger() -> Iterator[Path]:
    """A trial that has ended, one that is open, and one that has failed."""
    folder = Path(tempfile.mkdtemp(prefix="lawsweep-"))
    sweep = sweep_of("gcd", bases=(6,))
    records = records_of(sweep)
    store(Ledger(folder), sweep, records)
    write_trial(Ledger(folder), records[0])
    write_trial(Ledger(folder), records[1], until=3)
    write_trial(Ledger(folder), records[2], until=1)
    yield folder
    shutil.rmtree(folder)


@st.composite
def changes(draw: st.DrawFn) -> tuple[int, str, list[Any]]:
    """Which file, what to do with it, and with what."""
    number = draw(st.integers(0, 1_000))
    how = draw(st.sampled_from(["bytes", "cut", "flip", "put", "sealed", "sealed", "line", "line"]))
    given_ = [draw(st.integers(0, 100_000)), draw(st.integers(1, 255)), draw(plain), draw(words)]
    return number, how, [*given_, draw(st.binary(max_size=60))]


def _damaged(content: bytes, how: str, given_: list[Any]) -> bytes:
    where, byte, value, name, some = given_
    at = where % (len(content) + 1)
    match how:
        case "bytes":
            return some
        case "cut":
            return content[:at]
        case "flip" if content:
            at = where % len(content)
            return content[:at] + bytes([content[at] ^ byte]) + content[at + 1 :]
        case "line":
            text = _json(value)
            return bad_values.line_of(text) + content
        case "sealed":
            return _resealed(content, where, value, name)
        case _:
            return content[:at] + some + content[at:]


def _resealed(content: bytes, where: int, value: Any, name: str) -> bytes:
    """An object with one other value and the right checksum, as only a program of ours would write it."""
    try:
        record = json.loads(content)
    except ValueError:
        return (
            bad_values.line_of(_json({"step": value, "time_ms": 1, "values": {name: value}}))
            + content
        )
    if isinstance(record, list):
        inside = record[where % len(record)] if record else {}
        inside[sorted([*inside, name])[where % (len(inside) + 1)]] = value
        return _json(record).encode()
    record.pop("crc32", None)
    names = sorted([*record, name])
    record[names[where % len(names)]] = value
    try:
        return sealed(record)
    except (ValueError, UnicodeEncodeError):  # no JSON can hold it
        return _json(record).encode()


def _json(value: Any) -> str:
    return json.dumps(value).encode("utf-8", "replace").decode()


def _any_ledger(storage: Path, change: tuple[int, str, list[Any]]) -> None:
    found = sorted(path for path in storage.rglob("*") if path.is_file())
    path = found[change[0] % len(found)]
    good = path.read_bytes()
    before = contents(storage)
    os.chdir(storage.parent)  # `told` looks at what is here; the storage is compared below
    here = tempfile.mkdtemp()
    os.chdir(here)
    try:
        path.write_bytes(_damaged(good, change[1], change[2]))
        damaged = contents(storage)
        for arguments in (
            ["status"],
            ["status", "gcd", "--json"],
            ["predict", path.parent.name[:20]],
        ):
            told([*arguments, "--storage", str(storage)])
        assert contents(storage) == damaged
    finally:
        path.write_bytes(good)
        os.chdir(storage)
        os.rmdir(here)
    assert contents(storage) == before


@few
@given(change=changes())
def test_any_damage_to_a_ledger_is_shown_or_refused_in_one_line(ledger: Path, change):
    _any_ledger(ledger, change)


@pytest.mark.slow  # five minutes
@pytest.mark.timeout(3600)
@many
@given(change=changes())
def test_five_thousand_damages_to_a_ledger_are_shown_or_refused_in_one_line(ledger: Path, change):
    _any_ledger(ledger, change)
