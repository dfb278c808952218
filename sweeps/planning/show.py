"""The plan as a person reads it: what is done, what is left, what it takes, and every place."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.planning.cost import Price, PricedTrial
from sweeps.planning.room import disk_bytes, free_bytes, memory_bytes
from sweeps.planning.show_shapes import (
    fields_of,
    in_a_line,
    short_names,
    show_shapes,
    to_try,
    values_of,
)
from sweeps.wording import duration

_ROWS_SHOWN = 12
_LEFT_OUT_FIRST = ("params", "off")  # where the screen is narrow
_NAMES_SHOWN = 3
_DAY_S = 86_400.0
_UNITS = ((1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"))
_SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def show_price(price: Price, console: Console) -> None:
    """The plan as a screen: what is done, what is left, what it costs, and where the trials lie."""
    states = Counter(each.state for each in price.trials)
    counted = ", ".join(f"{number:,} {state}" for state, number in states.most_common())
    console.print(
        f"[bold]{price.plan.sweep.name}[/]  {len(price.trials):,} trials: {counted}",
        highlight=False,
    )
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim")
    for name, text in _facts(price):
        facts.add_row(f"  {name}", text)
    console.print(facts, highlight=False)
    if price.open:
        if len(price.shapes) > 1:
            show_shapes(price, console)
        _show_places(price, console)


def _facts(price: Price) -> Iterator[tuple[str, Text]]:
    """What there is to say of the whole plan, each with its name."""
    said = [
        (price.plan.excluded, "places by `exclude`"),
        (price.plan.duplicates, "places that name a trial which is there already"),
    ]
    left_out = ", ".join(f"{number:,} {what}" for number, what in said if number)
    if left_out:
        yield "left out", Text(left_out)
    if price.shared:
        yield "shared", Text(_shared(price))
    if not price.open:
        yield "to train", Text("nothing is left to train")
        return
    yield "to train", Text(_to_train(price))
    levels = _furthest_off(price.open)
    if levels:
        yield "levels", Text(levels)
    yield "time", _time(price)
    yield "pace", Text(_pace(price))
    if len(price.shapes) == 1:
        yield "at once", Text(in_a_line(price.shapes[0].choice))
    if price.untried:
        yield "to try", Text(to_try(price))
    memory = memory_bytes(price)
    room = "less than 1 GB" if memory is None else f"about {_scaled(memory, _SIZES, 1)}"
    yield "memory", Text(f"{room} for the largest pack, and 0.3 GB for torch in each worker")
    yield "disk", _disk(price)
    yield from _limits(price)


def _to_train(price: Price) -> str:
    flops = sum(each.flops_left for each in price.open)
    widest = max(pack.width for pack in price.packs)
    packed = "each by itself" if widest == 1 else f"up to {widest} at once on a worker"
    return f"{len(price.open):,} trials, {packed}, {_scaled(flops, _UNITS, 2)}"


def _time(price: Price) -> Text:
    hours = f"{price.device_hours:{',.0f' if price.device_hours >= 10 else '.2g'}}"
    return Text.assemble(
        "about ",
        (duration(price.seconds), "bold"),
        f" on {price.workers} workers, done {_clock(price.seconds)}; {hours} device-hours",
    )


def _clock(seconds: float) -> str:
    """When that many seconds are over."""
    now = datetime.now().astimezone()
    end = now + timedelta(seconds=seconds)
    if end.date() == now.date():
        return f"at {end:%H:%M}"
    return f"on {end:%a} at {end:%H:%M}" if seconds < 6 * _DAY_S else f"on {end:%d %B %Y}"


def _pace(price: Price) -> str:
    learned, left = price.learned, len(price.open)
    if learned == left:
        source = "as finished trials of these shapes took"
    elif learned:
        source = f"as finished trials took for {learned:,} trials, measured for the others"
    else:
        source = "measured at a few shapes, and between them by FLOPs"
    return f"{source}, on {price.device}"


def _disk(price: Price) -> Text:
    wanted, free = disk_bytes(price), free_bytes(price.storage)
    text = (
        f"at most {_scaled(wanted, _SIZES, 1)} in the storage, {_scaled(free, _SIZES, 0)} are free"
    )
    return Text(text, style="bold red" if wanted > free else "")


def _limits(price: Price) -> Iterator[tuple[str, Text]]:
    limits = price.plan.sweep.budget
    for text in price.exceeded:
        yield "budget", Text(text.removeprefix("budget."), style="bold red")
    if not price.exceeded and limits != type(limits)():
        words = [f"{name} {limit:,g}" for name, limit in limits.model_dump().items() if limit]
        yield "budget", Text(f"within {', '.join(words)}")


def _shared(price: Price) -> str:
    names = Counter(name for names in price.shared.values() for name in names)
    most = [f"{number:,} in {name}" for name, number in names.most_common(_NAMES_SHOWN)]
    more = f" and {len(names) - _NAMES_SHOWN} more sweeps" if len(names) > _NAMES_SHOWN else ""
    return f"{len(price.shared):,} trials are in other sweeps too: {', '.join(most)}{more}"


def _furthest_off(trials: Sequence[PricedTrial]) -> str:
    off = [abs(share) for each in trials if (share := _off(each)) is not None]
    return f"the FLOPs aimed at are met within {100 * max(off):.2g} %" if off else ""


def _off(each: PricedTrial) -> float | None:
    """How far the FLOPs of a trial are from those for which it was solved, as a share of them."""
    aim = each.trial.aim
    return None if aim is None else each.trial.flops / aim.flops - 1


def _show_places(price: Price, console: Console) -> None:
    """A row for each place with trials that are left to train."""
    cells: dict[int, list[PricedTrial]] = {}
    for each in price.open:
        cells.setdefault(id(each.trial.variant), []).append(each)
    shown = list(cells.values())
    shown = shown if len(shown) <= _ROWS_SHOWN + 1 else shown[:_ROWS_SHOWN]
    columns = dict(_columns(price, [cell[0] for cell in shown]))
    if len({len(cell) for cell in cells.values()}) > 1:
        columns["trials"] = [str(len(cell)) for cell in shown]
    for name in _LEFT_OUT_FIRST:
        if _width(columns) > console.width:
            columns.pop(name, None)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("")
    for name in columns:
        table.add_column(_folded(name), justify="right", no_wrap=True, vertical="bottom")
    for row in zip(*columns.values(), strict=True):
        table.add_row("", *row)
    console.print(table)
    if len(shown) < len(cells):
        console.print(f"  [dim]and {len(cells) - len(shown):,} more places, all with `--json`[/]")


def _width(columns: Mapping[str, Sequence[str]]) -> int:
    heads = {name: max(map(len, _folded(name).split("\n"))) for name in columns}
    widths = [max(heads[name], *map(len, cells)) for name, cells in columns.items()]
    return 2 + sum(widths) + 2 * len(widths)


def _folded(name: str) -> str:
    return name.replace("_", "_\n")


def _columns(price: Price, firsts: Sequence[PricedTrial]) -> Iterator[tuple[str, list[str]]]:
    """What is said of the first trial of each place, column by column."""
    fields = fields_of(price.plan.sweep)
    for name, field in zip(short_names(fields), fields, strict=True):
        yield name, values_of([each.trial.point for each in firsts], field)
    yield "params", [f"{each.trial.params:,}" for each in firsts]
    largest = max(each.trial.flops for each in firsts)
    unit, name = next((pair for pair in _UNITS if largest >= pair[0]), (1.0, "FLOP"))
    yield name, [f"{each.trial.flops / unit:.3g}" for each in firsts]
    off = [_off(each) for each in firsts]
    if any(share is not None for share in off):
        yield "off", ["" if share is None else f"{100 * share:+.1f} %" for share in off]
    yield "one takes", [duration(each.seconds) for each in firsts]


def _scaled(number: float, units: Sequence[tuple[float, str]], digits: int) -> str:
    unit, name = next((pair for pair in units if number >= pair[0]), units[-1])
    return f"{number / unit:,.{digits}f} {name}"
