"""The plan as a person reads it, and as one JSON document."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from sweeps.planning.cost import Price, PricedTrial
from sweeps.spec import Sweep
from sweeps.wording import duration, written
from trainers.config import TrialConfig
from trainers.memory import training_bytes

_BYTES_OF_PARAMETER = 16  # float32 weight, gradient and two moments
_ROWS_SHOWN = 12
_PER_NUMBER = 20  # numbers that are kept for the backward pass, for each of a layer's inputs
_MANY_NUMBERS = 50_000_000  # of a step: fewer stay below a gigabyte, however many layers there are


def plan_document(price: Price) -> dict[str, Any]:
    """What `plan --json` prints; the names are public."""
    return {
        "sweep": price.plan.sweep.name,
        "trials": [
            {
                "key": each.trial.key,
                "config": each.trial.config.model_dump(),
                "point": each.trial.point,
                "replicate": each.trial.replicate,
                "params": each.trial.params,
                "flops": each.trial.flops,
                "seconds": each.seconds,
                "state": each.state,
            }
            for each in price.trials
        ],
        "packs": [
            {"trials": [each.trial.key for each in pack.trials], "seconds": pack.seconds}
            for pack in price.packs
        ],
        "total": {
            "trials": len(price.trials),
            "open": len(price.open),
            "duplicates": price.plan.duplicates,
            "flops": sum(each.trial.flops for each in price.open),
            "state_bytes": _largest_bytes(price),
            "memory_bytes": _memory_bytes(price),
            "core_seconds": sum(each.seconds for each in price.open),
            "seconds": price.seconds,
            "workers": price.workers,
        },
    }


def show_price(price: Price, console: Console) -> None:
    """The plan as a screen: what is done, what is left, what it costs, and the dearest packs."""
    sweep, left = price.plan.sweep, price.open
    states = Counter(each.state for each in price.trials)
    counted = ", ".join(f"{number} {state}" for state, number in states.most_common())
    console.print(f"[bold]{sweep.name}[/]  {len(price.trials)} trials: {counted}", highlight=False)
    if price.plan.duplicates:
        console.print(f"  {price.plan.duplicates} places name a trial that is there already")
    if not left:
        console.print("  nothing is left to train")
        return
    flops = sum(each.trial.flops for each in left)
    console.print(
        f"  {flops / 1e12:,.2f} TFLOP in {len(price.packs)} packs: about"
        f" [bold]{duration(price.seconds)}[/] on {price.workers} workers\n"
        f"  {_memory(price)}",
        highlight=False,
    )
    names = [field.rpartition(".")[2] for field in _fields(sweep)]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in (*names, "trials", "in packs of", "params", "TFLOP", "one takes"):
        table.add_column(name, justify="right")
    sizes = {each.trial.key: len(pack.trials) for pack in price.packs for each in pack.trials}
    cells: dict[str, list[PricedTrial]] = {}
    for each in left:
        cells.setdefault(repr(each.trial.point), []).append(each)
    shown = len(cells) if len(cells) <= _ROWS_SHOWN + 1 else _ROWS_SHOWN
    for cell in list(cells.values())[:shown]:
        first = cell[0]
        table.add_row(
            *(_cell(first.trial.point, field) for field in _fields(sweep)),
            str(len(cell)),
            str(sizes[first.trial.key]),
            f"{first.trial.params:,}",
            f"{first.trial.flops / 1e12:.3f}",
            duration(first.seconds),
        )
    console.print(table)
    if shown < len(cells):
        console.print(f"  [dim]and {len(cells) - shown} more places, all with `--json`[/]")


def _fields(sweep: Sweep) -> list[str]:
    return list(dict.fromkeys(field for axis in sweep.axes for field in axis.may_set()))


def _cell(point: Mapping[str, Any], field: str) -> str:
    """A value of a place; nothing where the axis does not exist there."""
    return written(point[field]) if field in point else ""


def _memory(price: Price) -> str:
    memory = _memory_bytes(price)
    room = "less than 1 GB" if memory is None else f"about {memory / 1e9:,.1f} GB"
    return f"{room} of memory for the largest pack, beside 0.3 GB for torch in each worker"


def _memory_bytes(price: Price) -> int | None:
    """Memory of the largest pack; None where it is too small to be worth the seconds of finding out."""
    packs = [[each.trial.config for each in pack.trials] for pack in price.packs]
    largest = max(packs, key=_numbers_of_step, default=None)
    if largest is None or _numbers_of_step(largest) < _MANY_NUMBERS:
        return None
    return training_bytes(largest)


def _numbers_of_step(configs: Sequence[TrialConfig]) -> int:
    """A rough measure by which packs can be told apart: weights, and tokens times the width."""
    config = configs[0]
    width = getattr(config.model, "width", 1)
    numbers = config.batch_size * config.training_shape().numbers * width
    return len(configs) * (4 * config.cost().all_params + _PER_NUMBER * numbers)


def _largest_bytes(price: Price) -> int:
    packs = (
        sum(each.trial.config.cost().all_params for each in pack.trials) for pack in price.packs
    )
    return _BYTES_OF_PARAMETER * max(packs, default=0)
