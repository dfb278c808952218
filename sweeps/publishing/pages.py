"""What a person reads in the tracker: the notes of a sweep and of its own run, in Markdown."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from scipy import special

from sweeps.publishing.backlog import Standing
from sweeps.publishing.published import LONGEST_TAG, run_name, shortly
from sweeps.spec import Sweep
from sweeps.wording import duration

_RUNS_ON_A_PAGE = 100  # MLflow's own number
_PAGE_NOTE = (
    f"This page loads {_RUNS_ON_A_PAGE} trials at a time, the best first, and its charts draw those;"
    " *Load more* below the table brings the next. The table of all is in the description of the"
    " sweep's own run, and in its report."
)
_BEST_SHOWN = 5
_COLUMNS = 8  # values of the last axis that stand side by side in the grid
_NO_BREAK = "\N{NO-BREAK SPACE}"
_SPARE = 200  # characters for headings


def experiment_note(sweep: Sweep, records: Sequence[Mapping[str, Any]]) -> str:
    """What the sweep asks; the first line is plain: the list of experiments shows it raw."""
    about = _one_line(sweep.about or f"Sweep {sweep.name}")
    first, *rest = re.split(r"(?<=[.?!]) ", about, maxsplit=1)
    searched = {} if sweep.search is None else sweep.search.space
    fields = {field: _several(values) for field, values in varied(records).items()}
    fields |= {field: one.words() for field, one in searched.items()}  # the same as it grows
    rows = [f"| `{field}` | {words} |" for field, words in fields.items()]
    table = ["| axis | values |", "|---|---|", *rows] if rows else []
    facts = [
        f"{_count(sweep, records)}; objective: {sweep.objective.metric}, {_best_word(sweep)}.",
        *([f"Source: {sweep.source}"] if sweep.source else []),
        *([_PAGE_NOTE] if len(records) > _RUNS_ON_A_PAGE else []),
    ]
    return "\n\n".join([first, *rest, *facts, "\n".join(table)]).strip() + "\n"


def sweep_note(
    sweep: Sweep,
    records: Sequence[Mapping[str, Any]],
    standing: Standing,
    seconds_left: float | None = None,
) -> str:
    """Where the sweep stands, its objective at each point of the axes, and what is best so far.

    Never longer than a tag: of very many points the last are left out, and their number is said.
    """
    metric, fields = sweep.objective.metric, list(varied(records))
    parts = [_how_it_stands(sweep, records, standing, seconds_left)]
    if standing.best and fields:
        by_key = {record["key"]: record for record in records}
        best = _table(
            [*(f"`{field}`" for field in fields), "seed", metric],
            [
                [*_cells(by_key[key], fields), f"{value:.6g}"]
                for key, value in standing.best[:_BEST_SHOWN]
            ],
        )
        parts += [f"The {_best_word(sweep)} {metric} so far:", best]
        room = LONGEST_TAG - len("\n\n".join(parts)) - _SPARE
        parts[1:1] = pooled(metric, records, dict(standing.best), room)
    return "\n\n".join(parts)[:LONGEST_TAG].rstrip() + "\n"


def _how_it_stands(
    sweep: Sweep,
    records: Sequence[Mapping[str, Any]],
    standing: Standing,
    seconds_left: float | None,
) -> str:
    """One paragraph, because the page shows little more before it is asked for all."""
    text = f"{standing.ended:,} of {standing.total:,} trials have ended"
    others = [
        f"{count:,} {state}"
        for state in ("diverged", "stopped", "failed", "running", "waiting")
        if (count := getattr(standing, state))
    ]
    if others:
        text += f" ({', '.join(others)})"
    if standing.device_hours:
        text += f", {duration(3600 * standing.device_hours)} of training"
    if seconds_left and standing.ended < standing.total:
        text += f", about {duration(seconds_left)} left"
    if standing.best:
        key, value = standing.best[0]
        where = next(run_name(record) for record in records if record["key"] == key)
        text += f"; best {sweep.objective.metric} {value:.4g} at {where}"
    return f"{text}."


def pooled(
    metric: str, records: Sequence[Mapping[str, Any]], values: Mapping[str, float], room: int
) -> list[str]:
    """A heading and a grid: the mean at each point of the axes, with its interval over the seeds.

    The values of the last axis stand side by side if they are few; `room` is in characters.
    """
    axes = varied(records)
    *down, across = axes
    if not down or len(axes[across]) > _COLUMNS:
        down, across = list(axes), None
    cells: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for record in records:
        point = record["point"]
        row = cells.setdefault(tuple(_place(point, field) for field in down), {})
        column = row.setdefault("" if across is None else _place(point, across), [])
        if record["key"] in values:
            column.append(values[record["key"]])
    columns = list(dict.fromkeys(column for row in cells.values() for column in row))
    last = across.rpartition(".")[2] if across is not None else ""
    head = [metric if across is None else f"{last} {column}" for column in columns]
    rows = [
        [*row, *(_mean(found.get(column, [])) for column in columns)]
        for row, found in cells.items()
    ]
    names = [*(f"`{field}`" for field in down), *head]
    shown = len(rows)
    while shown and len(_table(names, rows[:shown])) > room:
        shown = shown * 3 // 4
    if not shown:
        return []
    more = f"\n\n... and {len(rows) - shown:,} more rows" if shown < len(rows) else ""
    title = f"{metric}: the mean over seeds, and the half-width of its 95 % Student t interval"
    return [title, _table(names, rows[:shown]) + more]


def _mean(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.4g}"
    spread = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    half = float(special.stdtrit(len(values) - 1, 0.975)) * math.sqrt(spread / len(values))
    return f"{mean:.4g}{_NO_BREAK}±{_NO_BREAK}{half:.2g}"


def _place(point: Mapping[str, Any], field: str) -> str:
    return shortly(point[field]).replace("|", "\\|") if field in point else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    # The page draws its tables without any space between two columns.
    wide = [[f"{_NO_BREAK}{cell}{_NO_BREAK}" for cell in line] for line in (head, *rows)]
    lines = [wide[0], ["---:"] * len(head), *wide[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def varied(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The fields of the axes, each with its values in the order of the plan."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        for field, value in record["point"].items():
            found.setdefault(field, {}).setdefault(shortly(value), value)
    return {field: list(values.values()) for field, values in found.items()}


def _cells(record: Mapping[str, Any], fields: Sequence[str]) -> list[str]:
    point = record["point"]
    cells = [shortly(point[field]) if field in point else "" for field in fields]
    return [cell.replace("|", "\\|") for cell in [*cells, str(record["config"].get("seed", 0))]]


def _several(values: Sequence[Any]) -> str:
    texts = [shortly(value).replace("|", "\\|") for value in values]
    return ", ".join(texts if len(texts) <= 12 else [*texts[:6], "...", *texts[-2:]])


def _count(sweep: Sweep, records: Sequence[Mapping[str, Any]]) -> str:
    if sweep.search is None:
        return f"{len(records)} trials, {sweep.replicates} for each point"
    return f"{sweep.search.trials} trials, {sweep.search.words()}"


def _best_word(sweep: Sweep) -> str:
    return "lowest" if sweep.objective.mode == "min" else "highest"


def _one_line(text: str) -> str:
    return " ".join(text.split())
