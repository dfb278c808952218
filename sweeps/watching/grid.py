"""The objective so far over the first two axes of a sweep."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sweeps.publishing.published import shortly
from sweeps.watching.seen import Seen

_MOST_ROWS = 8
_MOST_COLUMNS = 6


@dataclass(frozen=True)
class Cell:
    """The trials at one place of the grid."""

    mean: float | None  # of the objective so far, over trials that neither diverged nor failed
    ended: int
    total: int


@dataclass(frozen=True)
class Grid:
    """The objective so far over the first axis, and over the second where there is one."""

    metric: str
    row_field: str
    column_field: str  # empty when there is one axis
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: dict[tuple[str, str], Cell]


def grid(
    metric: str,
    fields: Sequence[str],
    records: Iterable[Mapping[str, Any]],
    seen: Iterable[Seen],
) -> Grid | None:
    """The trials over the first two of these fields; None where nothing varies."""
    if not fields:
        return None
    row_field, column_field = fields[0], fields[1] if len(fields) > 1 else ""
    places: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for record in records:
        places.setdefault(_place(record, row_field, column_field), []).append(record)
    rows = tuple(dict.fromkeys(row for row, _ in places))[:_MOST_ROWS]
    columns = tuple(dict.fromkeys(column for _, column in places))[:_MOST_COLUMNS]
    by_key = {trial.record["key"]: trial for trial in seen}
    cells = {
        place: _cell([by_key.get(record["key"]) for record in members])
        for place, members in places.items()
        if place[0] in rows and place[1] in columns
    }
    return Grid(metric, row_field, column_field, rows, columns, cells)


def two_fields(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The first field that varies, and the first beside it that does not merely follow it."""
    columns: dict[str, list[str]] = {}
    for record in records:
        for field, value in record["point"].items():
            columns.setdefault(field, []).append(shortly(value))
    varied = [
        field
        for field, values in columns.items()
        if len(values) == len(records) and len(set(values)) > 1
    ]
    for second in varied[1:]:
        pairs = set(zip(columns[varied[0]], columns[second], strict=True))
        if len(pairs) > max(len({first for first, _ in pairs}), len({after for _, after in pairs})):
            return [varied[0], second]
    return varied[:1] or list(columns)[:1]


def _place(record: Mapping[str, Any], row_field: str, column_field: str) -> tuple[str, str]:
    point = record["point"]
    return shortly(point.get(row_field)), shortly(point.get(column_field)) if column_field else ""


def _cell(trials: Sequence[Seen | None]) -> Cell:
    values: list[float] = []
    ended = 0
    for trial in trials:
        if trial is None:
            continue
        ended += trial.ending is not None
        sound = trial.ending is None or trial.ending.outcome.name in {"finished", "stopped"}
        if sound and trial.objective is not None and math.isfinite(trial.objective):
            values.append(trial.objective)
    return Cell(fmean(values) if values else None, ended, len(trials))
