"""Runs: the trials that a fit may use, as a table, and those that it may not, with the reason."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
from jaxtyping import Float

from analysis.cell_numbers import Place, numbers
from analysis.cells import Cells, listed, read_cells
from analysis.curves import Curve, Curves
from analysis.where import Condition, holds
from trainers.schema import InputError, shown


@dataclass(frozen=True)
class Omitted:
    """A trial or a row that no fit uses: its key (or row number), what became of it, and why."""

    key: str
    reason: str
    outcome: str = "omitted"
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Runs:
    """A table with one row per run, indexed by key or row number; it is never changed in place.

    Columns are dotted fields of the trial (`model.width`), metrics (`test_loss`) and details, or,
    for a table from elsewhere, the names it was mapped to (`params`, `tokens`, `loss`). `curves` are
    those that were asked for.
    """

    table: pd.DataFrame
    omitted: tuple[Omitted, ...] = ()
    curves: Curves = field(default_factory=dict[str, Mapping[str, Curve]])

    def __len__(self) -> int:
        return len(self.table)

    def numbers(self, column: str, positive: bool = True) -> Float[np.ndarray, " run"]:
        """A column as finite numbers, positive ones unless said otherwise.

        Raises:
            InputError: the column is missing, or holds something else.
        """
        if column not in self.table.columns:
            raise InputError(f"{column}: expected a column or field of that name, there is none")
        known = self.table[column]
        if known.dtype == np.float64:
            numbers = known.to_numpy()
            if (np.isfinite(numbers) & ((numbers > 0) | (not positive))).all():
                return numbers.copy()
        values = known.tolist()
        allowed, words = (is_positive, "positive finite") if positive else (is_number, "finite")
        for key, value in zip(self.table.index, values, strict=True):
            if not allowed(value):
                raise InputError(
                    f"{column}: expected a {words} number, got {shown(value)} in {key}"
                )
        return np.array(values, dtype=np.float64)

    def matching(self, where: Mapping[str, Any]) -> "Runs":
        """The runs whose fields have these values, with the omitted ones that match too."""
        if not where:
            return self
        kept = [matches(row, where) for row in rows_of(self.table)]
        left = tuple(one for one in self.omitted if matches(one.fields, where))
        return Runs(self.table[np.array(kept, dtype=bool)], left, self.curves)

    def only(self, keys: Collection[str]) -> "Runs":
        """The runs with these keys, with the omitted ones among them."""
        kept = self.table[self.table.index.isin(list(keys))]
        return Runs(kept, tuple(one for one in self.omitted if one.key in keys), self.curves)

    def without(self, bad: Iterable[Omitted]) -> "Runs":
        """The runs without some of them, which are listed as omitted."""
        bad = tuple(bad)
        kept = self.table.drop(index=[one.key for one in bad])
        return Runs(kept, self.omitted + bad, self.curves)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a finite number (and not a truth value)."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return bool(math.isfinite(value))


def has_value(row: Mapping[str, Any], metric: str) -> bool:
    """Whether a row has a value; one that is infinite is a milestone never reached."""
    return is_number(row.get(metric)) or row.get(metric) == math.inf


def is_positive(value: Any) -> TypeGuard[float]:
    """Whether a value is a positive finite number (and not a truth value)."""
    return is_number(value) and value > 0


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Every row as a plain mapping from column to value."""
    columns = [table[name].tolist() for name in table.columns]
    names = list(table.columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def matches(row: Mapping[str, Any], where: Mapping[str, Any]) -> bool:
    """Whether every named field of a row has the wanted value; 1 is not true."""
    return all(name in row and same(row[name], wanted) for name, wanted in where.items())


def same(left: Any, right: Any) -> bool:
    """Equality of two values of a sweep file: 64 is 64.0, but 1 is not true; lists equal tuples."""
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def read_table(
    path: Path,
    mapping: Mapping[str, str],
    conditions: tuple[Condition, ...] = (),
    extra: tuple[str, ...] = (),
    signed: frozenset[str] = frozenset(),
) -> Runs:
    """Read a CSV file of runs; `mapping` gives the column behind each name that a law uses.

    Rows are numbered as in the file: the header is row 1. `extra` columns are kept as they are; the
    numbers of `signed` names may be zero or negative.

    Raises:
        InputError: the file or one of its values is not what a fit needs.
    """
    return runs_of(read_cells(path), mapping, conditions, extra, signed)


def runs_of(
    cells: Cells,
    mapping: Mapping[str, str],
    conditions: tuple[Condition, ...] = (),
    extra: tuple[str, ...] = (),
    signed: frozenset[str] = frozenset(),
) -> Runs:
    """The rows of a table that meet the conditions, as `read_table` gives them.

    Raises:
        InputError: a column is missing, or one of its cells is not what a fit needs.
    """
    texts = {name: cells.column(column, name) for name, column in mapping.items()}
    others = {name: cells.column(name) for name in extra if name not in texts}
    kept = np.arange(len(cells))
    left_out: list[Omitted] = []
    for one in conditions:
        column = _compared(cells, one, mapping)
        met = holds(one, [column[row] for row in kept.tolist()])
        reason = f"left out by --where {one}"
        left_out += [Omitted(f"row {cells.rows[row]}", reason) for row in kept[~met].tolist()]
        kept = kept[met]
    if not len(kept):
        raise InputError(f"{cells.path}: expected runs, --where leaves none of {len(cells)} rows")
    chosen = kept.tolist()
    rows = [cells.rows[row] for row in chosen]
    columns: dict[str, Any] = {
        name: numbers(
            [texts[name][row] for row in chosen],
            Place(str(cells.path), column, name, rows),
            positive=name not in signed,
        )
        for name, column in mapping.items()
    }
    for name, column in others.items():
        columns[name] = np.array([column[row] for row in chosen], dtype=object)
    left_out.sort(key=lambda one: int(one.key.removeprefix("row ")))
    return Runs(pd.DataFrame(columns, index=[f"row {row}" for row in rows]), tuple(left_out))


def with_numbers(runs: Runs, names: Iterable[str]) -> Runs:
    """The runs with some columns of texts as numbers, where every text of a column is one."""
    found: dict[str, Any] = {}
    for name in names:
        if name in runs.table.columns:
            values = pd.to_numeric(runs.table[name], errors="coerce")
            if np.isfinite(values).all():
                found[name] = values
    return Runs(runs.table.assign(**found), runs.omitted)


def _compared(cells: Cells, condition: Condition, mapping: Mapping[str, str]) -> list[str]:
    """The cells that a condition compares: of a column of the table, or of a mapped name."""
    name = condition.column
    if name in cells.names or name not in mapping:
        if name not in cells.names:
            known = listed(list(dict.fromkeys([*cells.names, *mapping])))
            raise InputError(f"--where {condition}: expected one of the columns {known}")
        return cells.column(name)
    return cells.column(mapping[name])
