"""Runs: the trials that a fit may use, as a table, and those that it may not, with the reason."""

import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
from jaxtyping import Float

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
    for a table from elsewhere, the names it was mapped to (`params`, `tokens`, `loss`).
    """

    table: pd.DataFrame
    omitted: tuple[Omitted, ...] = ()

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
        return Runs(self.table[np.array(kept, dtype=bool)], left)

    def without(self, bad: Iterable[Omitted]) -> "Runs":
        """The runs without some of them, which are listed as omitted."""
        bad = tuple(bad)
        return Runs(self.table.drop(index=[one.key for one in bad]), self.omitted + bad)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a finite number (and not a truth value)."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return bool(math.isfinite(value))


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
    raw = _read(path)
    for name, column in [*mapping.items(), *((name, name) for name in extra)]:
        if column not in raw.columns:
            known = ", ".join(map(str, raw.columns))
            raise InputError(f"{path}: expected a column {column!r} for {name}, got {known}")
    left_out: list[Omitted] = []
    chosen = raw
    if conditions:
        kept = []
        for number, row in zip(raw.index, rows_of(raw), strict=True):
            aliases = {name: row[column] for name, column in mapping.items()}
            failed = next((one for one in conditions if not holds(one, {**aliases, **row})), None)
            if failed is None:
                kept.append(number)
            else:
                left_out.append(Omitted(f"row {number}", f"left out by --where {failed}"))
        if not kept:
            raise InputError(f"{path}: expected runs, --where leaves none of {len(raw)} rows")
        chosen = raw.loc[kept]
    columns: dict[str, Any] = {
        name: _numbers(path, chosen[column], column, positive=name not in signed)
        for name, column in mapping.items()
    }
    for column in extra:
        columns.setdefault(column, chosen[column].to_numpy())
    table = pd.DataFrame(columns, index=[f"row {number}" for number in chosen.index])
    return Runs(table, tuple(left_out))


def headers(path: Path) -> tuple[str, ...]:
    """The names of the columns of a CSV file.

    Raises:
        InputError: the file is not a CSV file.
    """
    return tuple(map(str, _cells(path, rows=0).columns))


def _read(path: Path) -> pd.DataFrame:
    """The cells of a CSV file as text, indexed by line."""
    raw = _cells(path)
    raw = raw.fillna("")
    raw.index = pd.RangeIndex(2, len(raw) + 2)
    raw = raw[(raw != "").any(axis=1)]
    if len(raw) < 2:
        raise InputError(f"{path}: expected at least 2 rows of runs, got {len(raw)}")
    return raw


def _cells(path: Path, rows: int | None = None) -> pd.DataFrame:
    """The first rows of a CSV file, or all of them."""
    if path.is_dir():
        raise InputError(f"{path}: expected a CSV file, got a folder")
    if not path.is_file():
        raise InputError(f"{path}: expected a CSV file, there is no such file")
    try:
        with warnings.catch_warnings():
            # Rows longer than the header are cut with a warning only, and would shift columns.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            raw = pd.read_csv(
                path,
                dtype=str,
                keep_default_na=False,
                skipinitialspace=True,
                index_col=False,
                skip_blank_lines=False,
                nrows=rows,
            )
    except pd.errors.EmptyDataError as error:
        raise InputError(f"{path}: expected a CSV file with a header, got an empty file") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, UnicodeDecodeError) as error:
        words = " ".join(str(error).split())
        raise InputError(f"{path}: expected a CSV file in UTF-8: {words}") from error
    raw.columns = [str(name).strip() for name in raw.columns]
    return raw


def _numbers(
    path: Path, cells: "pd.Series[Any]", column: str, *, positive: bool
) -> Float[np.ndarray, " run"]:
    """The cells of a column as finite numbers."""
    try:
        values = np.array(cells.tolist(), dtype=str).astype(np.float64)
    except ValueError:
        values = np.array([_number(path, row, column, text) for row, text in cells.items()])
    good = np.isfinite(values) & ((values > 0) | (not positive))
    if good.all():
        return values
    bad = int(np.flatnonzero(~good)[0])
    words = "a positive finite number" if positive else "a finite number"
    place = f"{path}: row {cells.index[bad]}, column {column}"
    raise InputError(f"{place}: expected {words}, got {cells.iloc[bad]}")


def _number(path: Path, row: object, column: str, text: Any) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(
            f"{path}: row {row}, column {column}: expected a number, got {shown(text)}"
        ) from error
