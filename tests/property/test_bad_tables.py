"""Any table and any options: a fit, or one line that says what is wrong; never a traceback."""

import contextlib
import io
import json
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.cli import main

LAWS = (
    "power",
    "power_floor",
    "logarithmic",
    "shifted",
    "chinchilla",
    "kaplan",
    "priming_power",
    "coverage_power",
    "loss = E + b / x^c",
    "loss = a + b*x",
    "log(loss) = a - c*log(x)",
    "loss = a*exp(-x/s)",
    "loss = x",
    "loss = a * x^1000",
    "nothing",
)
NAMES = ("x", "loss", "params", "tokens", "k", "seed", "final loss", "a=b", "[red]", "", "loss")
ODD_CELLS = (
    "", " ", "nan", "inf", "-inf", "0", "-1", "1e308", "-1e308", "1e-308", "1e400", "1e49", "1e-49",
    "1,000", "3.2e9", "6.7B", "true", "[bold]x[/bold]", "<script>alert(1)</script>", "=1+1", "'",
    '"', '"unclosed', "\x1b[31m", "\x00", "ü", "\u2028", "1_000", "12 %", "3,5", "-", "N/A",
)  # fmt: skip
SEPARATORS = (",", ",", ",", ";", "\t", "|", " ")
LINE_ENDS = ("\n", "\n", "\r\n", "\r")

UNITS = (1.0, 1.0, 1.0, 1e-9, 1e9, 1e-45, 1e45)

numbers = st.one_of(
    st.floats(1e-3, 1e3),
    st.sampled_from([1.0, 2.0, 4.0, 8.0]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-10, 10**12),
)
cells = st.one_of(numbers.map(repr), st.sampled_from(ODD_CELLS), st.text(max_size=5))


@st.composite
def grids(draw: st.DrawFn) -> bytes:
    """A header and rows, some of them right, some of them of other lengths."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5))
    separator, end = draw(st.sampled_from(SEPARATORS)), draw(st.sampled_from(LINE_ENDS))
    rows = [
        draw(st.lists(cells, min_size=len(names), max_size=len(names) + draw(st.integers(0, 1))))
        for _ in range(draw(st.integers(0, 8)))
    ]
    text = end.join(separator.join(row) for row in [names, *rows])
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])), "replace")


@st.composite
def laws_of_nature(draw: st.DrawFn) -> bytes:
    """A table that follows a law, but for a few cells and a scale that may be far out."""
    rows = draw(st.integers(2, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    reach, unit = (
        draw(st.sampled_from([0.0, 1e-12, 0.1, 3.0, 3.0, 10.0, 60.0])),
        draw(st.sampled_from(UNITS)),
    )
    noise = draw(st.sampled_from([0.0, 0.01, 1.0, 10.0]))
    scales = np.exp(random.uniform(0, reach, (rows, 2)))
    if draw(st.booleans()):
        scales = np.round(scales, 0)
    target = (0.5 + scales[:, 0] ** -0.4 + scales[:, 1] ** -0.3) * unit
    target = target * np.exp(noise * random.standard_normal(rows))
    seed = random.integers(0, draw(st.integers(1, 5)), rows)
    table = np.stack([scales[:, 0], target, scales[:, 0], scales[:, 1], seed], 1)
    names = ["x", "loss", "params", "tokens", "seed"]
    text = [names, *(list(map(repr, map(float, one))) for one in table)]
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2]))):
        text[draw(st.integers(1, rows))][draw(st.integers(0, 4))] = draw(cells)
    return "\n".join(map(",".join, text)).encode("utf-8", "replace")


texts = st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
tables = st.one_of(st.binary(max_size=200), texts, grids(), *(laws_of_nature() for _ in range(5)))


def _pool(*options: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    """No more than two of some options, each with one of its values, right or wrong."""
    one = st.sampled_from(options).flatmap(
        lambda option: st.sampled_from(option[1:]).map(lambda value: [option[0], value])
    )
    several = st.one_of(st.just([]), st.lists(one, max_size=1), st.lists(one, max_size=2))
    return several.map(lambda found: [word for pair in found for word in pair])


def _command(
    name: str, *parts: st.SearchStrategy[list[str]]
) -> st.SearchStrategy[tuple[str, list[str]]]:
    return st.tuples(*parts).map(lambda found: (name, [word for part in found for word in part]))


WHERE = (
    "--where", "loss > 0", "loss != ''", "x < 1e9 and loss > 0", "'final loss' = 3", "nope = 1",
    "loss", "x > abc", "",
)  # fmt: skip
SHARED = (
    WHERE,
    ("--map", "x=params", "x=loss", "loss=final loss", "loss=a=b", "y=x", "x", "=x", "x="),
    ("--objective", "huber", "squares", "laplace", "student", "normal", "binomial", "mean"),
    ("--residual", "log", "plain", "both"),
    ("--delta", "1e-3", "1", "0", "-1", "nan", "inf", "1e-300", "1e300", "x"),
    ("--pool", "none", "mean", "median", "max"),
    ("--cluster", "seed", "x", "loss", "nope", ""),
    ("--seed", "0", "1", "-1", "4294967296", "x"),
)
FIT = (
    *SHARED,
    ("--resample", "auto", "rows", "clusters", "replicates", "residual", "wild", "x", ""),
    ("--fix", "c=0.5", "E=0", "E=1e300", "E=nan", "E=", "=", "nope=1", "c=-3", "a=1"),
    ("--tie", "b=c", "c=c", "beta=alpha", "x=y", "=", "E"),
    ("--noise", "x", "loss", "params", "nope"),
    ("--censored", "seed", "x", "nope"),
    ("--counts", "params", "seed", "nope"),
    ("--level", "0.9", "0", "1", "0.999999", "nan", "x"),
    ("--hold-out", "largest:1", "largest:3", "largest:99", "largest:0", "smallest:1"),
    ("--budget", "1e9", "1e24", "0", "nan", "x"),
    ("--reach", "0.5", "1", "1e-9", "nan", "x"),
    ("--narrow", "c", "alpha", "best_size=1e9", "reach=0.6", "loss x=1e3", "nope", ""),
    ("--cost", "6nd", "transformer context=512", "x^2", "", "nope"),
    ("--held", "x=1", "nope=1", ""),
    ("--spend", "1e9", "0", "nan"),
    ("--predict", "x=1e9", "x=1e300", "x=0", "x=-1", "x", "params=1e9 tokens=1e10", "x=nan"),
)
COMMANDS = st.one_of(
    _command(
        "fit",
        st.sampled_from(LAWS).map(lambda law: ["--law", law]),
        st.sampled_from(["0", "0", "20", "20", "1", "-1"]).map(lambda n: ["--bootstrap", n]),
        _pool(*FIT),
    ),
    _command(
        "compare",
        st.lists(st.sampled_from(LAWS), min_size=1, max_size=3).map(
            lambda laws: ["--laws", ",".join(laws)]
        ),
        _pool(*SHARED),
    ),
    _command(
        "tuning",
        st.sampled_from([["--setting", "x"], ["--setting", "x", "--setting", "tokens"], []]),
        st.sampled_from([["--by", "params"], ["--by", "seed"], ["--by", "x"], []]),
        _pool(
            ("--loss", "loss", "final loss", "nope"),
            ("--over", "params", "seed", "x", "nope"),
            ("--along", "params", "seed", "x", "nope"),
            WHERE,
        ),
    ),
    _command(
        "isoflop",
        _pool(
            ("--loss", "loss", "x", "nope"),
            ("--params", "x", "params", "nope"),
            ("--level", "1e3", "1e20", "0", "-1", "nan", "x"),
            ("--at", "1e9", "0", "-1", "nan", "1e300"),
            WHERE,
        ),
    ),
)


def _refused_constant(text: str) -> float:
    raise AssertionError(f"expected strict JSON, got {text}")


def _told(command: str, table: bytes, options: Sequence[str], report: bool, as_json: bool) -> None:
    """Run a command and hold it to what every command promises."""
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning of numpy would stand on standard error
        folder = Path(name)
        (folder / "runs.csv").write_bytes(table)
        arguments = [command, str(folder / "runs.csv"), *options]
        arguments += ["--report", str(folder / "report")] if report else []
        arguments += ["--json"] if as_json else []
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(arguments)
        printed, said = out.getvalue(), err.getvalue()
        assert code in (0, 2)
        if code == 2:
            assert printed == ""
            assert said.count("\n") == 1
            assert said.endswith("\n")
            assert said.rstrip("\n").isprintable()
            assert sorted(one.name for one in folder.iterdir()) == ["runs.csv"]
        else:
            assert said == ""
            assert printed
            assert (folder / "report" / "report.html").is_file() == report
            if as_json:
                json.loads(printed, parse_constant=_refused_constant)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(table=tables, asked=COMMANDS, as_json=st.booleans())
def test_any_table_gives_an_answer_or_one_line(
    table: bytes, asked: tuple[str, list[str]], as_json: bool
):
    _told(asked[0], table, asked[1], False, as_json)


@pytest.mark.slow
@settings(
    max_examples=20_000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(table=tables, asked=COMMANDS, as_json=st.booleans())
def test_twenty_thousand_tables_give_an_answer_or_one_line(
    table: bytes, asked: tuple[str, list[str]], as_json: bool
):
    _told(asked[0], table, asked[1], False, as_json)


@pytest.mark.slow
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(table=laws_of_nature(), asked=COMMANDS)
def test_a_report_is_written_whole_or_not_at_all(table: bytes, asked: tuple[str, list[str]]):
    _told(asked[0], table, asked[1], True, False)
