"""Laws of users: formulas and files that are read without running them, or refused in one line."""

import math
from pathlib import Path

import numpy as np
import pytest

from analysis.cli import main
from analysis.custom import any_law
from analysis.engine.compiled import predict
from trainers.schema import InputError

COLUMNS = ("x", "loss", "n")
X = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "runs.csv"
    rows = "".join(f"{x},{0.5 + 3 * x**-0.5},{2 * x}\n" for x in X)
    path.write_text(f"x,loss,n\n{rows}")
    return path


def _refused(capsys: pytest.CaptureFixture[str], table: Path, law: str) -> str:
    before = sorted(table.parent.iterdir())
    folder = str(table.parent / "report")
    assert main(["fit", str(table), "--law", law, "--bootstrap", "0", "--report", folder]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("lawsweep: ")
    assert sorted(table.parent.iterdir()) == before
    return printed.err


@pytest.mark.parametrize(
    "formula",
    [
        "loss = E + b / x^c",
        "loss = E + b / x**c",
        "loss=E+b*x^-c",
        "loss = E + (b) / ((x))^(c)",
        "loss = E + b * exp(-c * log(x))",
    ],
)
def test_every_way_of_writing_a_formula_is_the_same_law(formula: str):
    law = any_law(formula, COLUMNS)
    assert law.target == "loss"
    assert law.input_names == ("x",)
    found = predict(law, {"E": 0.5, "b": 3.0, "c": 0.5}, {"x": np.array(X)})
    assert found == pytest.approx([0.5 + 3 * x**-0.5 for x in X], rel=1e-12)


@pytest.mark.parametrize(
    ("formula", "at_four"),
    [
        ("loss = a * min(x, 3)", 6.0),
        ("loss = a * max(x, 3) + 1", 9.0),
        ("loss = a + sqrt(x)", 4.0),
        ("loss = a * log(x)", 2 * math.log(4)),
        ("loss = a * log10(x)", 2 * math.log10(4)),
        ("log(loss) = a - log(x)", math.exp(2) / 4),
        ("log10(loss) = a - log10(x)", 100 / 4),
        ("loss = a * softplus(x)", 2 * math.log(1 + math.exp(4))),
        ("loss = a * logistic(x)", 2 / (1 + math.exp(-4))),
        ("loss = a * loggamma(x)", 2 * math.log(6)),
        ("loss = a * -(-x)", 8.0),
        ("loss = x^-2^a", 4.0 ** -(2.0**2)),  # powers bind from the right, and before a sign
    ],
)
def test_functions_are_those_of_mathematics(formula: str, at_four: float):
    law = any_law(formula, COLUMNS)
    assert predict(law, {"a": 2.0}, {"x": np.array([4.0])}) == pytest.approx([at_four], rel=1e-12)


@pytest.mark.parametrize("name", ["E", "I", "S", "N", "Q", "O", "pi", "zoo", "oo", "nan", "beta",
                                  "gamma", "Symbol", "os", "print", "__a", "λ", "x_0"])  # fmt: skip
def test_a_coefficient_may_have_a_name_that_means_something_elsewhere(name: str):
    law = any_law(f"loss = {name} * x", COLUMNS)
    assert predict(law, {name: 3.0}, {"x": np.array([2.0])}).tolist() == [6.0]


@pytest.mark.parametrize(
    "formula",
    [
        "loss = __import__('os').system('touch report')",
        "loss = eval(x)",
        "loss = open(x)",
        "loss = x.__class__",
        "loss = a[x]",
        "loss = {a: x}",
        "loss = [a for a in x]",
        "loss = lambda: a",
        "loss = (a := x)",
        "loss = f'{x}'",
        "loss = 'a' * x",
        "loss = a if x else b",
        "loss = a * x and b",
        "loss = not a * x",
        "loss = a * x + True",
        "loss = a * x + None",
        "loss = a * x + 1j",
        "loss = a * x; b",
        "loss = a * x # b",
        "loss = a * x\nb",
        "loss = a * x\x00",
        "loss = a @ x",
        "loss = a // x",
        "loss = a % x",
        "loss = ~a * x",
        "loss = a * x²",
        "loss = class * x",
    ],
)
def test_what_is_no_arithmetic_is_refused_and_never_run(
    capsys: pytest.CaptureFixture[str], table: Path, formula: str
):
    assert "formula: expected" in _refused(capsys, table, formula)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("loss = exp(x, a)", "expected 1 argument(s) of exp"),
        ("loss = min(x)", "expected 2 argument(s) of min"),
        ("loss = exp", "expected names, numbers"),
        ("loss = a * exp", "expected names, numbers"),
        ("loss = a * log = x", "expected `target = expression`"),
        ("loss = a * x = b", "expected `target = expression`"),
        ("= a * x", "expected an expression"),
        ("loss =", "expected an expression"),
        ("log(log(loss)) = a * x", "expected a name, log(name) or log10(name)"),
        ("loss * 2 = a * x", "expected a name, log(name) or log10(name)"),
        ("3 = a * x", "expected a name, log(name) or log10(name)"),
        ("loss.y = a * x", "expected a name, log(name) or log10(name)"),
        ("exp(loss) = a * x", "expected a name, log(name) or log10(name)"),
        ("loss = loss * a", "expected loss on the left side only"),
        ("loss = x", "expected a coefficient to fit"),
        ("loss = a * b", "expected one of the inputs loss, n, x"),
        ("loss = a * x * 1e999", "expected finite numbers"),
        ("loss = a * x * 9^9^9^9", "expected finite numbers"),
        ("loss = a * x^(10^10^10)", "expected finite numbers"),
        ("loss = a * x^999999999", "found no coefficients"),
        ("loss = a / 0 * x", "expected finite real numbers"),
        ("loss = a / (x - x)", "expected finite real numbers"),
        ("loss = sqrt(-a * x)", "expected"),
        ("loss = a * x * (-2)^0.5", "expected finite numbers"),
        ("loss = a * x + " + "9" * 3_000, "expected at most 2000 characters"),
        ("loss = " + "+".join(["a * x"] * 200), "expected at most 60 nested operations"),
        ("loss = " + "exp(" * 70 + "a * x" + ")" * 70, "expected at most 60 nested operations"),
        ("loss = " + "-" * 500 + "a * x", "expected at most 60 nested operations"),
        ("loss = " + "(" * 300 + "a * x" + ")" * 300, "expected an expression"),
        ("nope = a * x", "expected a column 'nope'"),
        ("log(loss)", "expected one that `lawsweep laws` lists, or a formula"),
    ],
)  # fmt: skip
def test_a_formula_that_cannot_be_fitted_is_refused_with_the_reason(
    capsys: pytest.CaptureFixture[str], table: Path, formula: str, words: str
):
    assert words in _refused(capsys, table, formula)


def test_several_formulas_with_commas_inside_are_compared(
    capsys: pytest.CaptureFixture[str], table: Path
):
    laws = "loss = a + b / max(x, n), loss = E + b / x^c,power"
    assert main(["compare", str(table), "--laws", laws]) == 0
    printed = capsys.readouterr().out
    assert "max(x, n)" in printed
    assert "loss = E + b / x^c" in printed


GOOD = """\
name: mine
formula: loss = E + b / x^c
source: a notebook
inputs:
  x: {meaning: width, levels: 3}
coefficients:
  E: {meaning: floor, low: 0}
  c: {low: 0.1, high: 2, starts: [0.2, 1.5]}
objective: squares
residual: plain
"""


def test_a_file_gives_a_law_with_its_meanings_bounds_and_objective(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    law = any_law(str(path), ())
    assert (law.name, law.source, law.objective.kind) == ("mine", "a notebook", "squares")
    assert (law.inputs[0].meaning, law.inputs[0].levels) == ("width", 3)
    assert law.coefficient("c").starts == (0.2, 1.5)
    assert law.coefficient("E").meaning == "floor"


def test_a_law_of_a_file_is_fitted_and_shown_in_full(
    capsys: pytest.CaptureFixture[str], table: Path
):
    path = table.parent / "mine.yaml"
    path.write_text(GOOD)
    assert main(["fit", str(table), "--law", str(path), "--bootstrap", "0"]) == 0
    assert "c = 0.5000" in capsys.readouterr().out
    assert main(["laws", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "0.1 to 2" in printed
    assert "width" in printed
    assert "a notebook" in printed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("formula: loss = E + b / x^c\n", ""), "formula: expected this field, it is missing"),
        (("E + b / x^c", "E +"), "formula: expected an expression"),
        (("E + b / x^c", "__import__('os').system('true')"), "formula: expected names"),
        (("source: a notebook", "sauce: a notebook"), "sauce: unknown field"),
        (("x: {meaning", "y: {meaning"), "expected y in the formula"),
        (("  E: {", "  Z: {"), "expected Z in the formula"),
        (("levels: 3", "levels: 0"), "inputs.x.levels: expected"),
        (("levels: 3", "levels: three"), "inputs.x.levels: expected"),
        (("low: 0.1, high: 2", "low: 3, high: 2"), "c: expected low < high"),
        (("starts: [0.2, 1.5]", "starts: [0.01, 1.5]"), "expected starts within the bounds"),
        (("starts: [0.2, 1.5]", "starts: [1.5]"), "coefficients.c.starts"),
        (("starts: [0.2, 1.5]", "starts: [1.5, 0.2]"), "expected starts within the bounds"),
        (("high: 2", "high: .nan"), "coefficients.c.high"),
        (("starts: [0.2, 1.5]", "of: nothing"), "expected"),
        (("objective: squares", "objective: cubes"), "objective: expected"),
        (("residual: plain", "residual: both"), "residual: expected"),
        (("residual: plain", "residual: [plain"), "not valid YAML"),
        (("name: mine", "name: !!python/object/apply:os.system ['true']"), "expected plain YAML"),
        ((GOOD, ""), "law: expected"),
        ((GOOD, "- 1\n- 2\n"), "law: expected"),
        ((GOOD, "just text"), "law: expected"),
        ((GOOD, "a: &a [*a]"), "expected"),
        ((GOOD, "[" * 3_000), "levels of nesting"),
        (("source: a notebook", "source: a\nsource: b"), "stands twice"),
    ],
)
def test_a_file_that_is_no_law_is_refused_with_the_place(
    capsys: pytest.CaptureFixture[str], table: Path, change: tuple[str, str], words: str
):
    path = table.parent / "mine.yaml"
    assert change[0] in GOOD
    path.write_text(GOOD.replace(*change))
    assert words in _refused(capsys, table, str(path))


def test_a_law_file_that_is_missing_large_or_no_text_is_refused(
    capsys: pytest.CaptureFixture[str], table: Path
):
    path = table.parent / "mine.yaml"
    assert "there is no such file" in _refused(capsys, table, str(path))
    path.write_text("#" * 200_000)
    assert "at most 100000 bytes" in _refused(capsys, table, str(path))
    path.write_bytes(b"\xff\xfe\x00name")
    assert "expected UTF-8" in _refused(capsys, table, str(path))
    with pytest.raises(InputError, match="expected one that `lawsweep laws` lists"):
        any_law("mine.txt", ())
