"""The command: documents on standard output, mistakes in one line on standard error."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.cli import main
from analysis.engine.compiled import predict
from analysis.engine.objective import KINDS
from analysis.law import all_laws, find_law
from analysis.uncertainty.resamples import RESAMPLES

TABLE = Path(__file__).parents[1] / "data" / "chinchilla_epoch_245.csv"
NEEDY = ("clusters", "replicates", "counts")  # resamples that need another option beside them
MAP = ["--map", "params=params", "tokens=tokens", "loss=loss"]


def _fit(capsys: pytest.CaptureFixture[str], *options: str) -> dict:
    arguments = ["fit", str(TABLE), "--law", "chinchilla", "--bootstrap", "0", "--json", *options]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return json.loads(printed.out)


def test_fit_prints_one_document_with_the_public_names(capsys: pytest.CaptureFixture[str]):
    found = _fit(capsys, *MAP, "--where", "loss < 3.44")
    assert found["law"] == "chinchilla"
    assert set(found["coefficients"]) == {"E", "A", "B", "alpha", "beta"}
    assert set(found["coefficients"]["A"]) == {"value", "standard_error", "low", "high"}
    assert found["objective"] <= 0.001018274018
    assert (found["status"], found["rows"], len(found["omitted"])) == ("converged", 240, 5)
    assert found["warnings"] == []


@pytest.mark.parametrize(
    "mapping",
    [
        ["--map", "params=params", "--map", "tokens=tokens", "--map", "loss=loss"],
        ["--map", "params=params tokens=tokens loss=loss"],
        ["--map", "params=params", "tokens=tokens", "--delta", "1e-3"],
        [],
    ],
)
def test_columns_may_be_mapped_in_every_way_of_writing(
    capsys: pytest.CaptureFixture[str], mapping: list[str]
):
    assert _fit(capsys, *mapping)["objective"] == pytest.approx(0.00182601052, rel=1e-8)


def test_a_column_with_a_space_can_be_mapped(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    table = tmp_path / "runs.csv"
    table.write_text("hidden width,final loss\n2,4\n4,2\n8,1\n16,0.5\n")
    arguments = ["fit", str(table), "--law", "power", "--map", "x=hidden width loss=final loss"]
    assert main([*arguments, "--json", "--bootstrap", "0"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["coefficients"]["c"]["value"] == pytest.approx(1.0)


def test_hold_out_is_part_of_the_document(capsys: pytest.CaptureFixture[str]):
    found = _fit(capsys, *MAP, "--hold-out", "largest:3")["hold_out"]
    assert (found["largest"], found["fitted"], len(found["points"])) == (3, 242, 3)
    assert 0 < found["error"] < 0.2


def test_compare_ranks_laws_in_one_document(capsys: pytest.CaptureFixture[str]):
    arguments = ["compare", str(TABLE), "--laws", "power,power_floor", "--map", "x=flops"]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["law"] for one in found["laws"]] == ["power_floor", "power"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "none.csv", "--law", "power"], "none.csv: expected a CSV file"),
        (["fit", str(TABLE), "--law", "nope"], "law: expected one that `lawsweep laws` lists"),
        (["fit", str(TABLE)], "Missing option '--law'"),
        (["fit", str(TABLE), "--law", "power"], "expected a column 'x'"),
        (
            ["fit", str(TABLE), "--law", "power", "--map", "y=flops"],
            "--map y=flops: expected x=COL",
        ),
        (["fit", str(TABLE), "--law", "chinchilla", "--delta", "-1"], "delta: expected"),
        (
            ["fit", str(TABLE), "--law", "chinchilla", "--resample", "columns"],
            "--resample: expected",
        ),
        (["fit", str(TABLE), "--law", "chinchilla", "--hold-out", "2"], "--hold-out: expected"),
        (["fit", str(TABLE), "--law", "chinchilla", "--where", "a.b()"], "--where: expected"),
        (["compare", str(TABLE), "--laws", ""], "law: expected one that"),
        (["report", "quickstart", "--storage", "nowhere"], "there is no mlflow.db"),
        (["nonsense"], "No such command 'nonsense'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
):
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("columns", ["80", "120"])
def test_laws_are_listed_with_what_they_are_for_within_the_width_of_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
):
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["laws"]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= int(columns)
    for law in all_laws():
        assert f"\n{law.name} " in f"\n{printed}"
    assert "loss = E + b / x^c" in printed


@pytest.mark.parametrize("name", [*(law.name for law in all_laws()), "broken:2"])
def test_one_law_is_shown_with_every_input_and_coefficient_and_a_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["laws", name]) == 0
    printed = capsys.readouterr().out
    law = find_law(name)
    for one in (*law.inputs, *law.coefficients):
        assert f"\n{one.name} " in printed
        assert one.meaning.split()[0] in printed
    assert law.source.split(",")[0] in printed
    assert f"lawsweep fit runs.csv --law {name} --map {law.input_names[0]}=COLUMN" in printed


def test_the_command_that_a_law_is_shown_with_can_be_typed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["laws", "power"]) == 0
    line = capsys.readouterr().out.strip().splitlines()[-1].split()
    Path("runs.csv").write_text("COLUMN,loss\n1,8\n2,4\n4,2\n8,1.1\n")
    arguments = [*line[1:-2], "--bootstrap", "0"]  # without its report
    assert main([one.replace("loss=COLUMN", "loss=loss") for one in arguments]) == 0


@pytest.mark.parametrize("command", ["fit", "compare", "tuning", "isoflop"])
def test_help_is_in_panels_and_explains_every_option(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERMINAL_WIDTH", "100")
    assert main([command, "--help"]) == 0
    printed = capsys.readouterr().out
    assert "What is fitted" in printed
    assert "Output" in printed
    for line in printed.splitlines():
        if " --" in line[:9]:  # an option begins: its name, what it takes, and a sentence
            assert len(line.strip("│* ").split()) >= 4, line


def test_help_names_every_choice_that_a_fit_accepts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TERMINAL_WIDTH", "100")
    assert main(["fit", "--help"]) == 0
    words = set(re.findall(r"[a-z]+", capsys.readouterr().out))
    assert set(KINDS) | set(RESAMPLES) | {"log", "plain", "none", "median", "mean"} <= words


@pytest.mark.parametrize("kind", [one for one in RESAMPLES if one not in NEEDY])
def test_every_resample_of_the_help_can_be_asked_for(capsys: pytest.CaptureFixture[str], kind: str):
    arguments = ["fit", str(TABLE), "--law", "power", "--map", "x=flops", "--resample", kind]
    assert main([*arguments, "--bootstrap", "20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["resamples"] == 20


@pytest.mark.parametrize("name", ["[red]x[/red] <script>alert(1)</script>", "two words = a=b"])
def test_the_name_of_a_column_is_neither_markup_nor_a_program(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
):
    table, folder = tmp_path / "[bold]runs[bold].csv", tmp_path / "report"
    table.write_text(f"{name},loss\n1,4\n2,2\n4,1\n8,0.5\n")
    arguments = ["fit", str(table), "--law", "power", "--map", f"x={name}", "--bootstrap", "0"]
    assert main([*arguments, "--report", str(folder)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "c = 1" in printed.out
    page = (folder / "report.html").read_text()
    assert "<script>alert" not in page
    assert "[bold]runs[bold].csv" in page


@pytest.mark.parametrize(
    "predict", ["params=1e9", "params=1e9 tokens=0", "params=1e9 tokens=-1", "params=1e9 tokens=x",
                "params=1e9 params=1e9 tokens=1", "params=1e300 tokens=1", "params=nan tokens=1",
                "nope=1", "="],
)  # fmt: skip
def test_a_place_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], predict: str):
    assert main(["fit", str(TABLE), "--law", "chinchilla", "--predict", predict]) == 2
    assert "--predict" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_refused_before_the_fit(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "report"):
        assert main(["fit", str(TABLE), "--law", "chinchilla", "--report", str(folder)]) == 2
        assert "--report" in capsys.readouterr().err
    assert (tmp_path / "file").read_bytes() == b""


def test_bytes_that_are_no_text_are_refused_as_arguments(capsys: pytest.CaptureFixture[str]):
    assert main(["fit", "\udcff.csv", "--law", "power"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_closed_pipe_is_no_error_to_read_about():
    command = f"{sys.executable} -m analysis.cli laws | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


@pytest.mark.slow
@pytest.mark.parametrize(("law", "planted"), [
    ("power_floor", {"E": 0.5, "b": 3.0, "c": 0.4}),
    ("chinchilla", {"E": 1.8, "A": 480.0, "B": 2_100.0, "alpha": 0.35, "beta": 0.37}),
])  # fmt: skip
def test_a_million_rows_give_back_what_was_planted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, law: str, planted: dict[str, float]
):
    random = np.random.default_rng(0)
    names = find_law(law).input_names
    low, high = (0, 10) if names == ("x",) else (16, 24)
    values = {name: np.exp(random.uniform(low, high, 1_000_000)) for name in names}
    loss = predict(find_law(law), planted, values) * np.exp(
        0.01 * random.standard_normal(1_000_000)
    )
    table = tmp_path / "runs.csv"
    pd.DataFrame({**values, "loss": loss}).to_csv(table, index=False)
    assert main(["fit", str(table), "--law", law, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["status"]) == (1_000_000, "converged")
    for name, value in planted.items():
        one = found["coefficients"][name]
        # five standard errors: a chance of one in a million
        assert abs(one["value"] - value) < 5 * one["standard_error"]
        assert one["standard_error"] < 0.02 * value


def test_a_fit_waits_for_neither_torch_nor_a_tracker_nor_figures():
    code = (
        "import sys; from analysis.cli import main;"
        f"main(['fit', {str(TABLE)!r}, '--law', 'chinchilla', '--bootstrap', '0', '--json']);"
        "print(sorted({'torch', 'ray', 'mlflow', 'matplotlib'} & set(sys.modules)),file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
