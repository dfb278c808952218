"""The command: documents on standard output, mistakes in one line on standard error."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.cli import main

TABLE = Path(__file__).parents[1] / "data" / "chinchilla_epoch_245.csv"
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


def test_laws_are_listed(capsys: pytest.CaptureFixture[str]):
    assert main(["laws"]) == 0
    assert "chinchilla" in capsys.readouterr().out


def test_a_fit_waits_for_neither_torch_nor_a_tracker_nor_figures():
    code = (
        "import sys; from analysis.cli import main;"
        f"main(['fit', {str(TABLE)!r}, '--law', 'chinchilla', '--bootstrap', '0', '--json']);"
        "print(sorted({'torch', 'ray', 'mlflow', 'matplotlib'} & set(sys.modules)),file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
