"""How the trials of each shape train, as a person reads it: how many at once, how fast, and why."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from sweeps.planning.cost import Price, PricedShape
from sweeps.planning.pace.choice import LIKELY_PREPARATION_S, Choice
from sweeps.spec import Sweep
from sweeps.wording import duration, written

_ROWS_SHOWN = 12


def show_shapes(price: Price, console: Console) -> None:
    """A row for each shape; of many, those that take longest."""
    shown, hidden = price.shapes, len(price.shapes) - _ROWS_SHOWN
    if hidden > 1:
        shown = sorted(shown, key=lambda shape: -sum(each.seconds for each in shape.trials))
        shown = shown[:_ROWS_SHOWN]
    fields = _telling(price)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("")
    for name in (*short_names(fields), "trials", "a step", "packed"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("at once, and why")
    points = [shape.trials[0].trial.point for shape in shown]
    columns = [values_of(points, field) for field in fields]
    for row, shape in enumerate(shown):
        choice, cells = shape.choice, [column[row] for column in columns]
        packed = _short_s(choice.seconds) if choice.seconds != choice.alone else ""
        table.add_row(
            "", *cells, f"{len(shape.trials):,}", _short_s(choice.alone), packed, choice.line
        )
    console.print(table)
    if hidden > 1:
        console.print(f"  [dim]and {hidden:,} more shapes, all with `--json`[/]")
    console.print()


def in_a_line(choice: Choice) -> str:
    """How all trials train, if they are of one shape."""
    alone, packed = _short_s(choice.alone), _short_s(choice.seconds)
    if choice.seconds == choice.alone:
        return f"{choice.line}; a step takes {alone}"
    return f"{choice.line}; a step of one trial takes {packed} instead of {alone}"


def to_try(price: Price) -> str:
    """What a launch measures before it starts."""
    count = len(price.untried)
    takes = duration(LIKELY_PREPARATION_S * count)
    saves = f"about {duration(sum(shape.choice.saves_s for shape in price.untried))}"
    what = "compiled steps" if count == 1 else f"compiled steps of {count} shapes"
    return f"a launch measures {what} first: {takes}, which may save {saves}"


def fields_of(sweep: Sweep) -> list[str]:
    """The fields that the axes of a sweep set."""
    return list(dict.fromkeys(field for axis in sweep.axes for field in axis.may_set()))


def short_names(fields: Sequence[str]) -> list[str]:
    """The last part of each path, and more of it where two would read alike."""
    last = [field.rpartition(".")[2] for field in fields]
    return [
        name if last.count(name) == 1 else field for name, field in zip(last, fields, strict=True)
    ]


def values_of(points: Sequence[Mapping[str, Any]], field: str) -> list[str]:
    """A value of each place; nothing where the axis does not exist there.

    Of whole parts of a trial, such as tasks, the kind alone where that tells them apart.
    """
    full = [_value_of(point, field) for point in points]
    kinds = [_kind_of(point.get(field)) for point in points]
    if None not in kinds and len(set(kinds)) == len(set(full)):
        return [str(kind) for kind in kinds]
    return full


def _kind_of(value: Any) -> Any:
    return value.get("kind") if isinstance(value, Mapping) else None


def _value_of(point: Mapping[str, Any], field: str) -> str:
    if field not in point:
        return ""
    value = point[field]
    return f"{value:.4g}" if isinstance(value, float) else written(value)


def _telling(price: Price) -> list[str]:
    """The fields by which shapes can be told apart: of one value in each, and not the same in all."""
    values = [_values(shape, fields_of(price.plan.sweep)) for shape in price.shapes]
    return [
        field
        for field in fields_of(price.plan.sweep)
        if all(len(each[field]) == 1 for each in values)
        and len({value for each in values for value in each[field]}) > 1
    ]


def _values(shape: PricedShape, fields: Sequence[str]) -> dict[str, set[str]]:
    points = {id(each.trial.point): each.trial.point for each in shape.trials}.values()
    return {field: {_value_of(point, field) for point in points} for field in fields}


def _short_s(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{1e3 * seconds:.2f} ms" if seconds < 0.1 else f"{1e3 * seconds:.0f} ms"
