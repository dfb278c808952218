"""What is asked of a table on the command line, as the objects that a fit takes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from analysis.cell_numbers import LARGEST
from analysis.cells import read_cells
from analysis.custom import any_law
from analysis.engine.objective import KINDS, Objective
from analysis.law import Input, Law
from analysis.points import Columns, Pool
from analysis.runs import Runs, runs_of
from analysis.where import parse_where
from trainers.schema import InputError, shown


@dataclass(frozen=True)
class Request:
    """The options that `fit` and `compare` share, as they were written; empty means not given."""

    table: Path
    mapping: Sequence[str] = ()
    where: str = ""
    objective: str = ""
    residual: str = ""
    delta: float | None = None
    fix: Sequence[str] = ()
    tie: Sequence[str] = ()
    pool: str = "none"
    noise: str = ""
    censored: str = ""
    counts: str = ""
    cluster: str = ""


@dataclass(frozen=True)
class Asked:
    """A table ready to be fitted: `inputs` are columns of `runs`, `objective` None is the law's."""

    laws: tuple[Law, ...]
    runs: Runs
    inputs: dict[str, str]
    target: str
    objective: Objective | None
    pool: Pool
    columns: Columns


def asked(request: Request, laws: Sequence[str]) -> Asked:
    """Read the laws and the table.

    Raises:
        InputError: an option, the table or one of its values cannot be used.
    """
    cells = read_cells(request.table)
    pairs = _mapping(request.mapping, cells.names)
    known = {*cells.columns, *pairs}
    found = tuple(_held(any_law(text, known), request) for text in laws)
    wanted = list(dict.fromkeys(name for law in found for name in law.input_names))
    targets = list(dict.fromkeys(law.target for law in found))
    unknown = [name for name in pairs if name not in (*wanted, *targets, "loss")]
    if unknown:
        words = " ".join(f"{one}=COL" for one in (*wanted, *targets))
        raise InputError(f"--map {unknown[0]}={pairs[unknown[0]]}: expected {words}")
    target = _target(targets, {name: pairs[name] for name in pairs if name not in wanted})
    numbers = [one for one in (request.noise, request.counts) if one]
    signed = {one.name for law in found for one in law.inputs if not one.positive}
    plain = any(_objective(law, request).residual == "plain" for law in found)
    binomial = any(_objective(law, request).kind == "binomial" for law in found)
    mapping = {name: pairs.get(name, name) for name in wanted}
    mapping[targets[0]] = target
    free = signed | ({targets[0]} if plain or binomial else set())
    for column in (request.cluster, request.censored):
        if column and column not in mapping:
            cells.column(column, "its option")
    if request.pool not in ("none", "median", "mean"):
        raise InputError(f"--pool: expected none, median or mean, got {request.pool!r}")
    runs = runs_of(
        cells,
        {**{one: one for one in numbers}, **mapping},
        parse_where(request.where) if request.where else (),
        tuple(cells.columns),
        signed=frozenset(free),
    )
    return Asked(
        laws=found,
        runs=runs,
        inputs={name: name for name in wanted},
        target=targets[0],
        objective=_objective(found[0], request) if _changed(request) else None,
        pool=request.pool,
        columns=Columns(
            request.cluster or None,
            request.noise or None,
            request.censored or None,
            request.counts or None,
        ),
    )


def place_of(text: str, inputs: Sequence[Input]) -> dict[str, np.ndarray]:
    """`params=1e9 tokens=2e10` as inputs of a prediction.

    Raises:
        InputError: an input is missing, unknown, named twice, or no number that it may be.
    """
    known = {one.name: one for one in inputs}
    found: dict[str, np.ndarray] = {}
    for part in re.split(r"[,\s]+", text.strip()):
        name, _, value = part.partition("=")
        try:
            number = float(value)
        except ValueError as error:
            raise InputError(f"--predict {shown(part)}: expected NAME=NUMBER") from error
        if name not in known or name in found:
            words = " ".join(f"{one}=NUMBER" for one in known)
            raise InputError(f"--predict {shown(text)}: expected {words}, each once")
        size, positive = abs(number), known[name].positive
        # The same numbers as in a table, whose squares and products are still numbers.
        if not size <= LARGEST or (positive and number < 1 / LARGEST):
            words = "a positive number" if positive else "a number"
            raise InputError(f"--predict {part}: expected {words} of at most {LARGEST:g}")
        found[name] = np.array([number])
    missing = [name for name in known if name not in found]
    if missing:
        raise InputError(f"--predict {shown(text)}: expected {missing[0]}=NUMBER too")
    return found


def numbers_of(option: str, texts: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """`NAME=NUMBER`, each once.

    Raises:
        InputError: a text is something else.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError as error:
            raise InputError(f"{option} {text}: expected NAME=NUMBER") from error
        if name in found:
            raise InputError(f"{option} {text}: expected {name} once")
        found[name] = number
    return tuple(found.items())


def _held(law: Law, request: Request) -> Law:
    """The law with what `--fix` and `--tie` say of coefficients that it has."""
    fixed: dict[str, float] = {}
    for text in request.fix:
        name, _, value = text.partition("=")
        try:
            fixed[name.strip()] = float(value)
        except ValueError as error:
            raise InputError(f"--fix {text}: expected NAME=NUMBER") from error
    tied: dict[str, str] = {}
    for text in request.tie:
        name, equals, other = text.partition("=")
        if not equals:
            raise InputError(f"--tie {text}: expected NAME=NAME")
        tied[name.strip()] = other.strip()
    return law.held(fixed, tied)


def _objective(law: Law, request: Request) -> Objective:
    result = law.objective
    if request.objective:
        if request.objective not in KINDS:
            raise InputError(
                f"--objective: expected one of {', '.join(KINDS)}, got {request.objective!r}"
            )
        result = replace(result, kind=request.objective)
    if request.residual:
        if request.residual not in ("log", "plain"):
            raise InputError(f"--residual: expected log or plain, got {request.residual!r}")
        result = replace(result, residual=request.residual)
    return result if request.delta is None else replace(result, delta=request.delta)


def _changed(request: Request) -> bool:
    return bool(request.objective or request.residual or request.delta is not None)


def _target(targets: Sequence[str], pairs: dict[str, str]) -> str:
    """The column of the target, which may be mapped as `loss` whatever a law calls it."""
    columns = {pairs[name] for name in (*targets, "loss") if name in pairs}
    if len(columns) > 1:
        raise InputError(f"--map: expected one column for the target, got {', '.join(columns)}")
    if len(targets) > 1:
        raise InputError(f"laws: expected laws of one target, got laws of {' and '.join(targets)}")
    return next(iter(columns), targets[0])


def _mapping(texts: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    """`NAME=COL` pairs; the name of a column may hold spaces and `=` itself."""
    pairs: dict[str, str] = {}
    for text in texts:
        name, _, column = text.strip().partition("=")
        if column in columns and name.isidentifier():
            pairs[name] = column
            continue
        for pair in re.split(r"\s+(?=[A-Za-z_][A-Za-z0-9_]*=)", text.strip()):
            name, _, column = pair.partition("=")
            if not name.isidentifier() or not column:
                raise InputError(f"--map {shown(pair)}: expected NAME=COL")
            pairs[name] = column
    return pairs
