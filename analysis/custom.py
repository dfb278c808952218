"""Laws of users: a formula on the command line or in a sweep file, or a small file of its own."""

import ast
import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from analysis.engine.compiled import compiled, positive_terms
from analysis.engine.formula import Formula, parse
from analysis.engine.objective import Objective
from analysis.law import Coefficient, Input, Law, find_law
from sweeps.document import read_document
from trainers.schema import Frozen, InputError, first_problem, shown, spelled

EXPONENT = (-20.0, 20.0), (0.02, 3.0)  # bounds and starts of a coefficient inside an exponent
SCALE = (1e-30, 1e30), (1e-4, 1e4)  # of one beside an input: multiples of that input
LARGEST_FILE = 100_000  # bytes


class InputSpec(Frozen):
    """An input of a law in a file."""

    meaning: str = ""
    levels: int = Field(default=2, ge=1, le=1_000)
    positive: bool = True


class CoefficientSpec(Frozen):
    """A coefficient of a law in a file; what is left out is chosen from the formula."""

    meaning: str = ""
    low: float | None = None
    high: float | None = None
    starts: tuple[float, float] | None = None
    log: bool = False
    of: str = ""


class LawSpec(Frozen):
    """A law in a file: only the formula must be there."""

    name: str = Field(default="", max_length=64)
    formula: str = Field(min_length=3)
    source: str = Field(default="", max_length=300)
    inputs: dict[str, InputSpec]
    coefficients: dict[str, CoefficientSpec] = {}
    objective: Literal["huber", "squares", "laplace", "student", "normal"] = "huber"
    residual: Literal["log", "plain"] = "log"


def any_law(text: str, columns: Collection[str]) -> Law:
    """A law by its name, by a formula such as `loss = E + b / x^c`, or from a YAML file.

    In a formula, a name that is one of `columns` is an input; every other name is a coefficient.

    Raises:
        InputError: there is no such law, or the formula or the file is not one.
    """
    if "=" in text:
        formula = parse(text)
        inputs = tuple(
            Input(name, f"the column {name}") for name in formula.names if name in columns
        )
        if not inputs:
            known = ", ".join(sorted(columns)) or "none"
            raise InputError(f"formula: expected one of the inputs {known}, got {shown(text)}")
        return law_of(LawSpec(formula=text, inputs={one.name: InputSpec() for one in inputs}), "")
    if text.endswith((".yaml", ".yml")):
        return law_of(_read(Path(text)), Path(text).stem)
    return find_law(text)


def law_of(spec: LawSpec, name: str) -> Law:
    """A law from what a user wrote; bounds and starts that are left out follow from the formula.

    Raises:
        InputError: the formula cannot be read, or names and numbers do not fit together.
    """
    formula = parse(spec.formula)
    unknown = [one for one in (*spec.inputs, *spec.coefficients) if one not in formula.names]
    if unknown:
        raise InputError(f"law: expected {unknown[0]} in the formula {shown(spec.formula)}")
    names = [one for one in formula.names if one not in spec.inputs]
    if not names:
        raise InputError(f"law: expected a coefficient to fit in {shown(spec.formula)}")
    positive = {key for key, one in spec.inputs.items() if one.positive}
    inputs = tuple(
        Input(key, one.meaning or f"the column {key}", one.levels, one.positive)
        for key, one in spec.inputs.items()
    )
    bare = Law(
        name=spec.name or name or formula.text,
        formula=formula.text,
        source=spec.source or "given by the user",
        inputs=inputs,
        coefficients=tuple(Coefficient(one, "") for one in names),
        objective=Objective(spec.objective, spec.residual),
    )
    curved = _curved(bare)
    # Signs are written in a formula; where every term is positive, so is every amplitude.
    least = 0.0 if positive_terms(bare, "log", frozenset(curved)) else -math.inf
    try:
        return Law(
            bare.name,
            bare.formula,
            bare.source,
            inputs,
            tuple(
                _coefficient(
                    formula, one, spec.coefficients.get(one), one in curved, positive, least
                )
                for one in names
            ),
            bare.objective,
        )
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"law: {error}") from error


def _coefficient(
    formula: Formula,
    name: str,
    given: CoefficientSpec | None,
    curved: bool,
    positive: set[str],
    least: float,
) -> Coefficient:
    """What is given, and the rest by where the coefficient stands in the formula."""
    given = given or CoefficientSpec()
    low, high, starts, log, of = given.low, given.high, given.starts, given.log, given.of
    meaning = given.meaning or f"the coefficient {name}"
    if not curved and starts is None:
        low, high = (
            least if low is None else low,
            math.inf if high is None else high,
        )
        return Coefficient(name, meaning, low, high)
    if starts is None and not log and _in_exponent(formula.right, name):
        bounds, starts = EXPONENT
        low, high = bounds[0] if low is None else low, bounds[1] if high is None else high
        starts = max(low, starts[0]), min(high, starts[1])
        if not starts[0] < starts[1]:
            starts = low, high
    elif starts is None:
        bounds, starts = SCALE
        low, high = bounds[0] if low is None else low, bounds[1] if high is None else high
        of = of or (next(iter(_beside(formula.right, name, positive)), "") if not given.low else "")
        starts, log = (max(low, starts[0]), min(high, starts[1])), low > 0
        if not starts[0] < starts[1]:
            starts = low, high
    low, high = starts[0] if low is None else low, starts[1] if high is None else high
    return Coefficient(name, meaning, low, high, starts, log, of)


def _curved(bare: Law) -> set[str]:
    """The coefficients that do not enter linearly together with those before them."""
    curved: set[str] = set()
    for one in bare.coefficients:
        try:
            compiled(bare, "log", frozenset(_after(bare, one.name) | curved))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            curved.add(one.name)
    return curved


def _after(bare: Law, name: str) -> set[str]:
    place = bare.place[name]
    return {one.name for one in bare.coefficients[place + 1 :]}


def _in_exponent(node: ast.AST, name: str) -> bool:
    """Whether a name stands in the exponent of a power or inside exp."""
    for one in ast.walk(node):
        inner: ast.AST | None = None
        if isinstance(one, ast.BinOp) and isinstance(one.op, ast.Pow):
            inner = one.right
        elif isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == "exp":
            inner = one.args[0]
        if inner is not None and name in _names(inner):
            return True
    return False


def _beside(node: ast.AST, name: str, inputs: set[str]) -> Iterator[str]:
    """The inputs that a coefficient is added to or divides."""
    for one in ast.walk(node):
        if isinstance(one, ast.BinOp) and not isinstance(one.op, ast.Pow):
            for mine, other in ((one.left, one.right), (one.right, one.left)):
                if isinstance(mine, ast.Name) and mine.id == name and isinstance(other, ast.Name):
                    yield from sorted({other.id} & inputs)


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _read(path: Path) -> LawSpec:
    if not path.is_file():
        raise InputError(f"{path}: expected a law file, there is no such file")
    if path.stat().st_size > LARGEST_FILE:
        raise InputError(f"{path}: expected a law file of at most {LARGEST_FILE} bytes")
    value = read_document(path).value
    try:
        return LawSpec.model_validate(value, strict=False)
    except ValidationError as error:
        place, words = first_problem(error, value)
        raise InputError(f"{path}: {spelled(place) or 'law'}: {words}") from error
