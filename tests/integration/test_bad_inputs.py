"""Every mistake of a user: one line that says where, exit code 2, and nothing written."""

import json
import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from analysis.cli import main
from tests.integration import bad_values as bad
from tests.integration import sweeping

GOOD = """\
name: good
trial:
  task: {kind: gcd, largest: 1000}
  encoding: {kind: digits, base: 10}
  model: {kind: transformer, width: 16, heads: 2}
  budget: {steps: 20}
axes:
  - {kind: values, field: encoding.base, values: [6, 10]}
replicates: 2
objective: {metric: accuracy, mode: max}
report:
  tables:
    - {title: by base, rows: [encoding.base], metrics: [accuracy]}
  fits:
    - {name: width, law: power, inputs: {x: model.width}, metric: test_loss}
claims:
  - {say: it learns, metric: accuracy, at_least: 0.1}
"""

AXIS, STEPS = "values: [6, 10]}", "budget: {steps: 20}"

# what replaces what in the good file, and what the message must point at
CHANGED = [
    ("name: good", "name: ../escape", "name"),
    ("name: good", "name: a/b", "name"),
    ("name: good", "name: .hidden", "name"),
    ("name: good", "name: ''", "name"),
    ("name: good", "name: 7", "name"),
    ("name: good", f"name: {'x' * 65}", "name"),
    ("name: good", 'name: "nul\\0byte"', "name"),
    ("name: good", "nmae: good", "name"),
    ("name: good", "name: good\nname: twice", "twice"),
    ("name: good", "name: good\nextra: 1", "extra"),
    ("trial:", "trials:", "trial"),
    ("replicates: 2", "replicates: 0", "replicates"),
    ("replicates: 2", "replicates: -1", "replicates"),
    ("replicates: 2", "replicates: 1.5", "replicates"),
    ("replicates: 2", "replicates: true", "replicates"),
    ("replicates: 2", "replicates: '2'", "replicates"),
    ("replicates: 2", "replicates: null", "replicates"),
    ("replicates: 2", "replicates: 1e999", "replicates"),
    ("replicates: 2", f"replicates: {'9' * 5000}", "bad.yaml:9: "),
    ("kind: gcd, largest: 1000", "kind: gdc", "trial.task.kind"),
    ("kind: gcd, largest: 1000", "largest: 1000", "trial.task.kind"),
    ("kind: gcd, largest: 1000", "kind: gcd, largest: 1", "trial.task.largest"),
    ("kind: gcd, largest: 1000", "kind: gcd, largest: -5", "trial.task.largest"),
    ("kind: gcd, largest: 1000", "kind: gcd, largest: .nan", "trial.task.largest"),
    ("kind: gcd, largest: 1000", "kind: gcd, largest: .inf", "trial.task.largest"),
    ("kind: gcd, largest: 1000", "kind: gcd, biggest: 3", "trial.task.biggest"),
    ("{kind: gcd, largest: 1000}", "gcd", "trial.task"),
    ("{kind: gcd, largest: 1000}", "[gcd]", "trial.task"),
    ("{kind: gcd, largest: 1000}", "{kind: square}", "trial"),
    ("  encoding: {kind: digits, base: 10}\n", "", "encoding"),
    ("{kind: digits, base: 10}", "{kind: roman}", "encoding.kind"),
    ("values: [6, 10]", "values: [1]", "axes[0]"),
    ("values: [6, 10]", "values: [6, 0]", "axes[0]"),
    ("values: [6, 10]", "values: [6, ten]", "axes[0]"),
    ("values: [6, 10]", "values: []", "axes[0].values"),
    ("values: [6, 10]", "values: 6", "axes[0].values"),
    ("kind: values, field", "kind: value, field", "axes[0].kind"),
    ("field: encoding.base", "field: encoding.bass", "axes[0]"),
    ("field: encoding.base", "field: encoding..base", "axes[0].field"),
    ("field: encoding.base", "field: seed", "seed"),
    ("field: encoding.base", "field: task.kind.deep", "axes"),
    (AXIS, f"{AXIS}\n  - {{kind: values, field: encoding.base, values: [3]}}", "encoding.base"),
    (AXIS, f"{AXIS}\n  - {{kind: zip, fields: {{model.width: [16, 32], model.heads: [2]}}}}", "axes[1]"),
    (AXIS, f"{AXIS}\n  - {{kind: log_range, field: a, low: 9, high: 3, count: 2}}", "axes[1]"),
    ("width: 16, heads: 2", "width: 16, heads: 3", "trial.model"),
    ("width: 16, heads: 2", "width: -16, heads: 2", "trial.model.width"),
    ("width: 16, heads: 2", "width: 16.5, heads: 2", "trial.model.width"),
    ("kind: transformer, width", "kind: mlp, width", "trial.model"),
    ("kind: transformer, width", "position: {kind: nowhere}, kind: transformer, width", "position.kind"),
    ("budget: {steps: 20}", "budget: {steps: 0}", "trial.budget.steps"),
    ("budget: {steps: 20}", "budget: {}", "trial.budget"),
    ("budget: {steps: 20}", "budget: {steps: 20, examples: 20}", "trial.budget"),
    ("budget: {steps: 20}", "budget: {steps: 20}\n  optimizer: {kind: adam, lr: fast}", "optimizer.lr"),
    ("budget: {steps: 20}", "budget: {steps: 20}\n  optimizer: {kind: adam, lr: 0}", "optimizer.lr"),
    ("budget: {steps: 20}", "budget: {steps: 20}\n  optimizer: {kind: sgdd}", "optimizer.kind"),
    ("budget: {steps: 20}", "budget: {steps: 20}\n  data: {distinct: 0}", "data.distinct"),
    (STEPS, f"{STEPS}\n  data: {{distinct: 9, hot: {{size: 10, share: 0.5}}}}", "data"),
    ("budget: {steps: 20}", "budget: {steps: 20}\n  data: {corrupt: 1.5}", "data.corrupt"),
    ("budget: {steps: 20}", "budget: {steps: 5}\n  evaluation: {points: 10}", "points"),
    ("metric: accuracy, mode: max", "metric: accurracy, mode: max", "objective.metric"),
    ("metric: accuracy, mode: max", "metric: accuracy, mode: maximum", "objective.mode"),
    ("objective: {metric: accuracy, mode: max}\n", "", "objective"),
    ("metrics: [accuracy]", "metrics: [acc]", "report.tables[0]"),
    ("rows: [encoding.base]", "rows: [encoding.bass]", "report.tables[0]"),
    ("inputs: {x: model.width}", "inputs: {x: model.depth}", "report.fits[0]"),
    ("law: power", "law: powr", "powr"),
    ("at_least: 0.1", "at_leest: 0.1", "claims[0]"),
    ("at_least: 0.1", "at_least: 0.9, at_most: 0.1", "claims[0]"),
    (", at_least: 0.1", "", "claims[0]"),
    ("metric: accuracy, at_least", "metric: happiness, at_least", "claims[0].metric"),
    ("metric: accuracy, at_least", "where: {no.field: 1}, metric: accuracy, at_least", "claims[0]"),
    ("replicates: 2", "replicates: [2", "YAML"),
    ("replicates: 2", "\treplicates: 2", "YAML"),
    ("replicates: 2", "replicates: &a 2\nabout: *a", "alias"),
    ("replicates: 2", "replicates: !!python/object:os.system 2", "tag"),
    ("replicates: 2", "? [1, 2]\n: 3\nreplicates: 2", "name before the colon"),
]  # fmt: skip

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)

WHOLE = {
    "an alias bomb": (BOMB.encode(), "alias"),
    "nothing at all": (b"", "mapping"),
    "a list": (b"- 1\n- 2\n", "mapping"),
    "two documents": (b"name: a\n---\nname: b\n", "YAML"),
    "bytes that are no text": (b"name: \xff\xfe\n", "UTF-8"),
    "two megabytes": (b"# " + b"x" * 2_000_000, "bytes"),
    "a hundred levels": (b"a: " + b"[" * 100 + b"]" * 100, "nesting"),
    "five thousand levels": (b"a: " + b"[" * 5000 + b"]" * 5000, "nesting"),
}

COMMANDS = [
    (["plan", "no-such-sweep"], "no-such-sweep"),
    (["plan", "missing.yaml"], "missing.yaml"),
    (["plan", "."], "folder"),
    (["plan"], "SWEEP"),
    (["plan", "quickstart", "--set", "replicates"], "--set"),
    (["plan", "quickstart", "--set", "task.kind.x=1"], "task.kind"),
    (["plan", "quickstart", "--set", "=1"], "--set"),
    (["plan", "quickstart", "--set", "replicates=[1"], "--set"),
    (["plan", "quickstart", "--nonsense"], "--nonsense"),
    (["plan", "quickstart", "--set", "replicates=2", "--set", "replicates=x"], "replicates"),
    (["plan", "quickstart", "--set", "name=../x"], "name"),
    (["plan", "quickstart", "--set", "model.width=*a"], "--set"),
    (["plan", "quickstart", "--set", "model.width=!!python/none x"], "tag"),
    (["plan", "quickstart", "--storage"], "--storage"),
    (["plan", "quickstart", "again"], "again"),
    (["plan", "\0"], "expected"),
    (["plan", ""], "expected"),
    (["plan", "x" * 5000 + ".yaml"], "File name too long"),
    (["launch", "quickstart", "--save-every", "nan"], "--save-every"),
    (["launch", "quickstart", "--workers", "0"], "--workers"),
    (["launch", "quickstart", "--workers", "1e3"], "--workers"),
    (["launch", "quickstart", "--packs-per-gpu", "0"], "--packs-per-gpu"),
    (["launch", "quickstart", "--gpus-per-trial", "0"], "--gpus-per-trial"),
    (
        ["launch", "quickstart", "--gpus-per-trial", "64"],
        "gpus_per_trial: expected a machine with 64",
    ),
    (["launch", "quickstart", "--inline", "--gpus-per-trial", "2"], "--inline: expected gpus_per"),
    (
        ["launch", "quickstart", "--gpus-per-trial", "2", "--packs-per-gpu", "2"],
        "--gpus-per-trial: expected 1 where 2 packs share a GPU, got 2",
    ),
    (["launch", "quickstart", "--inline", "--notify", "http://example.org/x"], "--notify"),
    (["launch", "quickstart", "--inline", "--notify", "x"], "--notify"),
    (["launch", "quickstart", "--inline", "--tracking", ""], "--tracking"),
    (["launch", "quickstart", "--inline", "--tracking", "http//x"], "--tracking"),
    (["launch", "quickstart", "--inline", "--tracking", "javascript:alert(1)"], "--tracking"),
    (["predict"], "key"),
    (["predict", "abc"], "abc"),
    (["predict", "zzzz"], "zzzz"),
    (["predict", "0123", "--examples", "0"], "--examples"),
    (["predict", "0123", "--examples", "many"], "--examples"),
    (["rerun", ""], "key"),
    (["gc", "../x"], "--storage"),
    (["gc", "never-launched"], "--storage"),
    (["ui", "--port", "0"], "--port"),
    (["ui", "--port", "-1"], "--port"),
    (["status", "--storage", "bad.file"], "--storage"),
    (["plan", "quickstart", "--storage", "bad.file"], "--storage"),
    (["tasks", "square_root"], "square_root"),
    (["models", "../x"], "../x"),
    (["laws", "gravity"], "gravity"),
    (["launch", "quickstart", "--inline", "--address", "auto"], "--inline"),
    (["launch", "quickstart", "--save-every", "-1"], "--save-every"),
    (["launch", "quickstart", "--inline", "--tracking", "nonsense"], "--tracking"),
    (["launch", "quickstart", "--inline", "--tracking", "ftp://somewhere"], "--tracking"),
    (["launch", "quickstart", "--inline", "--tracking", "file:///tmp/runs"], "--tracking"),
    (["launch", "quickstart", "--tracking", "mysql+nodriver://u:pw@h/db"], "--tracking"),
    (["report", "quickstart", "--tracking", "nonsense"], "--tracking"),
    (["sync", "quickstart", "--tracking", "nonsense"], "quickstart"),
    (["fit", ".", "--law", "power", "--map", "x=a", "--map", "loss=b"], "folder"),
    (["launch", "quickstart", "--save-every", "soon"], "--save-every"),
    (["status", "never-launched"], "never-launched"),
    (["status", "../../etc"], "../../etc"),
    (["rerun", "../../../etc/passwd"], "key"),
    (["rerun", "0123456789abcdef0123"], "0123456789abcdef0123"),
    (["sync", "never-launched"], "never-launched"),
    (["sync", "a/b"], "a/b"),
    (["report", "never-launched"], "--storage lawsweep-data"),
    (["report", "../escape"], "lawsweep-data"),
    (["ui", "--port", "99999999"], "--port"),
    (["ui"], "expected a sweep"),
    (["fit", "missing.csv", "--law", "power", "--map", "x=a", "--map", "loss=b"], "missing.csv"),
    (["fit", "missing.csv", "--law", "gravity", "--map", "x=a"], "missing.csv"),
    (["no-such-command"], "no-such-command"),
]


def refused(arguments: list[str], about: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the command in an empty folder; it must refuse in one line and leave the folder as it was."""
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    began = time.process_time()
    code = main(arguments)
    assert time.process_time() - began < 2
    said = capsys.readouterr()
    assert code == 2, said.err
    assert said.out == ""
    assert said.err.endswith("\n")
    assert said.err.count("\n") == 1, said.err
    assert said.err[:-1].isprintable()
    assert about in said.err
    assert "pw@" not in said.err
    assert len(said.err) < 700
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """What the commands import counts for the first of them alone, and is not what is measured."""
    import_module("sweeps.tracking")
    import_module("sweeps.running.drive")
    import_module("analysis.reporting.report")


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("old", "new", "about"), CHANGED, ids=[f"{n[:50]}" for _, n, _ in CHANGED])
@pytest.mark.parametrize("command", ["plan", "launch"])
def test_a_sweep_file_with_a_mistake_is_refused_at_its_place(command, old, new, about, capsys):
    assert GOOD.count(old) >= 1
    Path("bad.yaml").write_text(GOOD.replace(old, new, 1))
    refused([command, "bad.yaml"], about, capsys)


def test_the_message_names_the_file_and_the_line(capsys):
    Path("bad.yaml").write_text(GOOD.replace("heads: 2", "heads: two"))
    refused(["plan", "bad.yaml"], "bad.yaml:5: trial.model.heads", capsys)


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_that_is_no_sweep_is_refused(name, capsys):
    content, about = WHOLE[name]
    Path("bad.yaml").write_bytes(content)
    refused(["plan", "bad.yaml"], about, capsys)


@pytest.mark.parametrize(("arguments", "about"), COMMANDS, ids=[" ".join(a) for a, _ in COMMANDS])
def test_a_command_with_a_mistake_is_refused(arguments, about, capsys):
    Path("bad.file").write_text("a file, and no folder")
    refused(arguments, about, capsys)


def test_the_good_file_is_planned(capsys):
    Path("good.yaml").write_text(GOOD)
    assert main(["plan", "good.yaml"]) == 0
    assert "4 trials" in capsys.readouterr().out


def test_the_installed_command_refuses_in_the_same_way(tmp_path):
    command = Path(sys.executable).with_name("lawsweep")
    ran = subprocess.run(
        [command, "plan", "nowhere.yaml"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_whole_good_file_is_planned(capsys):
    Path("good.yaml").write_text(bad.as_yaml(bad.GOOD))
    assert main(["plan", "good.yaml"]) == 0
    assert "trials" in capsys.readouterr().out


BAD_VALUES = bad.bad_values()


@pytest.mark.parametrize(
    ("place", "value"), BAD_VALUES, ids=[f"{place}={value!r}"[:60] for place, value in BAD_VALUES]
)
def test_a_bad_value_is_refused_at_its_place(place, value, capsys):
    Path("bad.yaml").write_text(bad.as_yaml(bad.changed(place, value)))
    refused(["launch", "bad.yaml", "--inline", "--yes"], "", capsys)


shared = pytest.mark.xdist_group("damaged")  # what is trained once


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with trials that have ended."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "good.yaml").write_text(GOOD)
    arguments = ["launch", str(folder / "good.yaml"), "--storage", str(folder / "storage")]
    assert main([*arguments, "--inline"]) == 0
    return folder / "storage"


# which file, and which commands cannot do without it
NEEDED_BY = {
    "trial.json": (["rerun", "KEY"], ["predict", "KEY"]),
    "outcome.json": (["launch", "good.yaml", "--inline"],),
    "start.json": (["rerun", "KEY"],),
    "metrics.jsonl": (["rerun", "KEY"],),
    "sweep.json": (["status", "good"], ["sync", "good"]),
    "trials.json": (["status", "good"], ["status", "good", "--json"], ["sync", "good"]),
}
BAD_FILES = [
    *((file, name) for file in NEEDED_BY for name in bad.NO_JSON if file != "metrics.jsonl"),
    *(("outcome.json", name) for name in bad.bad_outcomes({"name": "", "time_ms": 0})),
    *(("metrics.jsonl", name) for name in bad.bad_curves(b'0 {"step": 1, "time_ms": 1}\n')),
    *(("trials.json", name) for name in bad.bad_plans([{"key": ""}])),
]


@shared
@pytest.mark.parametrize(("file", "name"), BAD_FILES, ids=[" ".join(pair) for pair in BAD_FILES])
def test_a_damaged_ledger_is_refused_in_a_line_that_names_the_file(file, name, trained, capsys):
    path = bad.files_of(trained)[file]
    good = path.read_bytes()
    contents = dict(bad.NO_JSON)
    if file == "outcome.json":
        contents |= bad.bad_outcomes(json.loads(good))
    elif file == "metrics.jsonl":
        contents |= bad.bad_curves(good)
    elif file == "trials.json":
        contents |= bad.bad_plans(json.loads(good))
    key = bad.files_of(trained)["trial.json"].parent.name
    Path("good.yaml").write_text(GOOD)
    try:
        path.write_bytes(contents[name])
        before = contents_of(trained)
        for command in NEEDED_BY[file]:
            arguments = [key if word == "KEY" else word for word in command]
            refused([*arguments, "--storage", str(trained)], str(path), capsys)
        assert contents_of(trained) == before
    finally:
        path.write_bytes(good)


def contents_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@shared
def test_a_damaged_trial_hides_no_other_from_who_asks_where_a_sweep_stands(trained, capsys):
    path = bad.files_of(trained)["outcome.json"]
    good = path.read_bytes()
    try:
        path.write_bytes(good[:-9])
        for options in ([], ["--json"]):
            assert main(["status", "good", "--storage", str(trained), *options]) == 0
            said = capsys.readouterr()
            assert path.parent.name[:5] in said.out.replace("\n", "")
            assert said.err == ""
    finally:
        path.write_bytes(good)


def test_at_least_three_hundred_bad_inputs_are_tried():
    tried = len(CHANGED) + len(WHOLE) + len(COMMANDS) + len(BAD_VALUES) + len(BAD_FILES)
    assert tried >= 300


@pytest.mark.slow  # a minute: the installed command starts once for each
@pytest.mark.parametrize("arguments", [a for a, _ in COMMANDS], ids=" ".join)
def test_the_installed_command_refuses_what_the_function_refuses(arguments, tmp_path):
    (tmp_path / "bad.file").write_text("a file, and no folder")
    ran = subprocess.run(
        sweeping.command(*arguments), capture_output=True, text=True, cwd=tmp_path,
        env=sweeping.environment(),
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["bad.file"]
