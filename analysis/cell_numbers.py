"""Cells read as numbers; where one cannot be, a line says what stands there and what would do instead."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from trainers.schema import InputError, shown

LARGEST = 1e50  # of a number: products of six such are still numbers
UNITS = {"k": 3, "K": 3, "M": 6, "m": 6, "B": 9, "b": 9, "G": 9, "T": 12, "t": 12}

_WITH_UNIT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*([kKmMbBGtT])")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?")
_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
_PERCENT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*%")


@dataclass(frozen=True)
class Place:
    """Where cells come from: the file, the column, what a law calls it, and the number of each row."""

    path: str
    column: str
    name: str
    rows: Sequence[int]


def numbers(cells: Sequence[str], at: Place, *, positive: bool) -> Float[np.ndarray, " run"]:
    """The cells of a column as finite numbers, positive ones if so wanted.

    Raises:
        InputError: a cell is none; the message names the first, counts the others, and says which
            `--where` would leave them out.
    """
    try:
        values = np.fromiter(map(float, cells), dtype=np.float64, count=len(cells))
    except ValueError:
        values = np.array([_value(text) for text in cells])
    size = np.abs(values)
    good = (size <= LARGEST) & ((values > 0) | (not positive))
    good &= (size >= 1 / LARGEST) | (values == 0)
    if good.all():
        return values
    bad = np.flatnonzero(~good)
    raise InputError(_words(cells[int(bad[0])], len(bad), int(bad[0]), at, positive=positive))


def _words(text: str, count: int, first: int, at: Place, *, positive: bool) -> str:
    """What is wrong with a cell that is no number, or not one that can be used."""
    wanted = "a positive finite number" if positive else "a finite number"
    name = at.name if at.name.isidentifier() else f"'{at.column}'"
    value, hint, way_out = _value(text), "", ""
    if not text:
        wanted, got, way_out = "a number", "an empty cell", f"{name} != ''"
    elif math.isnan(value) and "nan" not in text.casefold():
        wanted, got, hint = "a number", shown(text), _instead(text)
        way_out = "" if hint else f"{name} != '{text}'"
    else:
        got = text if len(text) < 30 else shown(text)
        if math.isfinite(value) and not (positive and value <= 0):
            wanted = f"a number between {1 / LARGEST:g} and {LARGEST:g} in size"
            way_out = f"{name} < {LARGEST:g}" if value > 1 else f"{name} > {1 / LARGEST:g}"
        else:
            way_out = f"{name} > 0" if positive and not value > 0 else f"{name} != '{text}'"
    also = "" if count == 1 else f", and {count - 1:,} more such cell{'' if count == 2 else 's'}"
    # A hint that a shell would read as something else is none.
    safe = way_out.isprintable() and way_out.count("'") in (0, 2, 4) and len(way_out) < 80
    safe = safe and not set('"`$!\\') & set(way_out.replace("!=", ""))
    leave = f' (--where "{way_out}" leaves out such rows)' if way_out and safe else ""
    return (
        f"{at.path}: row {at.rows[first]}, column {_named(at.column)}: expected {wanted}, "
        f"got {got}{hint}{also}{leave}"
    )


def _instead(text: str) -> str:
    """How to write what a person can read but a program cannot."""
    unit = _WITH_UNIT.fullmatch(text)
    if unit is not None:
        return f": write {unit[1]}e{UNITS[unit[2]]} if that is meant"
    if _THOUSANDS.fullmatch(text):
        return f": write {text.replace(',', '')} if that is meant"
    if _COMMA.fullmatch(text):
        return f": write {text.replace(',', '.')}, with a point"
    percent = _PERCENT.fullmatch(text)
    if percent is not None:
        return f": write {float(percent[1]) / 100:.15g} if that is meant"
    return ""


def _value(text: str) -> float:
    """A cell as a number; NaN where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _named(name: str) -> str:
    return name if name.isprintable() else shown(name)
