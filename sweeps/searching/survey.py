"""What a search costs, as far as that can be said before it starts, on a screen and as JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.table import Table

from sweeps.planning.cost import PricedTrial, price
from sweeps.planning.plan import PlannedTrial
from sweeps.searching.book import so_far
from sweeps.searching.outline import Outline
from sweeps.spec import SpecError
from sweeps.storage.ledger import Ledger
from sweeps.wording import duration, written

_CELLS_SHOWN = 6


@dataclass(frozen=True)
class Survey:
    """A search, what there is of it, and the price of three of its points."""

    outline: Outline
    known: tuple[tuple[PlannedTrial, str], ...]  # its trials so far, and how each stands
    cheapest: PricedTrial
    median: PricedTrial
    dearest: PricedTrial
    workers: int  # at once

    @property
    def left(self) -> int:
        """Trials that have not ended: open ones, and those that are not suggested yet."""
        open_ones = sum(state in {"open", "failed"} for _, state in self.known)
        return self.outline.search.trials - len(self.known) + open_ones

    @property
    def seconds(self) -> float:
        """Until the last trial has ended, if all were of the median price and none were stopped."""
        return self.median.seconds * -(-self.left // self.workers)

    @property
    def most_seconds(self) -> float:
        """As `seconds`, if all trials took as long as the slowest of the three."""
        slowest = max(each.seconds for each in (self.cheapest, self.median, self.dearest))
        return slowest * -(-self.left // self.workers)

    def check_budget(self) -> None:
        """Refuse what could cost more than the sweep file allows, were all of it the dearest point.

        Raises:
            SpecError: it could.
        """
        too_much = self.outline.sweep.budget.exceeded(
            gpu_hours=self.left * self.dearest.seconds / 3600,
            flops=self.left * self.dearest.trial.flops,
            trials=self.left,
        )
        if too_much:
            raise SpecError(f"{too_much[0]}, if every trial were of the dearest point")


def survey(outline: Outline, ledger: Ledger, *, device: str, workers: int) -> Survey:
    """Look at what is stored of a search, and price the cheapest, median and dearest point."""
    known = so_far(outline, ledger).trials
    looks = ledger.look([trial.key for trial in known])
    endings = {key: look.ending for key, look in looks.items() if look.ending is not None}
    states = [
        endings[trial.key].outcome.name if trial.key in endings else "open" for trial in known
    ]
    by_price = sorted(outline.samples.trials, key=lambda trial: trial.flops)
    three = (by_price[0], by_price[len(by_price) // 2], by_price[-1])
    priced = price(
        replace(outline.samples, trials=three), ledger, device=device, workers=workers
    ).trials
    return Survey(
        outline,
        tuple(zip(known, states, strict=True)),
        *priced,
        workers=min(workers, outline.search.at_once or workers),
    )


def survey_document(found: Survey) -> dict[str, Any]:
    """What `plan --json` prints for a search; the names are public."""
    search, sweep = found.outline.search, found.outline.sweep
    return {
        "sweep": sweep.name,
        "search": search.model_dump(mode="json"),
        "cells": list(found.outline.cells),
        "trials": [
            {
                "key": trial.key,
                "config": trial.config.model_dump(mode="json"),
                "point": trial.point,
                "replicate": 0,
                "params": trial.params,
                "flops": trial.flops,
                "state": state,
            }
            for trial, state in found.known
        ],
        "prices": {
            name: {
                "point": each.trial.point,
                "params": each.trial.params,
                "flops": each.trial.flops,
                "seconds": each.seconds,
            }
            for name, each in _three(found)
        },
        "total": {
            "trials": search.trials,
            "open": found.left,
            "seconds": found.seconds,
            "workers": found.workers,
        },
    }


def show_survey(found: Survey, console: Console) -> None:
    """The search as a screen: how it goes on, its space, and what a trial costs."""
    search, sweep = found.outline.search, found.outline.sweep
    states = Counter(state for _, state in found.known)
    counted = [f"{number} {state}" for state, number in states.most_common()]
    coming = search.trials - len(found.known)
    counted += [f"{coming} to be suggested"] if coming else []
    console.print(
        f"[bold]{sweep.name}[/]  {search.trials} trials, {search.words()}: {', '.join(counted)}",
        highlight=False,
    )
    if sweep.axes:
        cells = [_place(cell) for cell in found.outline.cells]
        shown = cells if len(cells) <= _CELLS_SHOWN else [*cells[: _CELLS_SHOWN - 1], "..."]
        console.print(
            f"  in {len(cells)} cells, each searched by itself: {'; '.join(shown)}", highlight=False
        )
    space = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    for field, one in search.space.items():
        space.add_row(f"  {field}", one.words())
    console.print(space)
    if not found.left:
        console.print("  nothing is left to train")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("of the points looked at")
    for name in ("point", "params", "TFLOP", "one takes"):
        table.add_column(name, justify="right")
    for name, each in _three(found):
        table.add_row(
            f"  {name}",
            _place(each.trial.point),
            f"{each.trial.params:,}",
            f"{each.trial.flops / 1e12:.3f}",
            duration(each.seconds),
        )
    console.print(table)
    early = "" if search.scheduler.kind == "none" else " and none is stopped"
    console.print(
        f"  {found.left} trials: about [bold]{duration(found.seconds)}[/] with {found.workers} at once"
        f" if they are of the median price{early}, at most"
        f" {duration(found.most_seconds)}",
        highlight=False,
    )


def _three(found: Survey) -> Sequence[tuple[str, PricedTrial]]:
    return (("cheapest", found.cheapest), ("median", found.median), ("dearest", found.dearest))


def _place(point: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{field.rpartition('.')[2]} {written(value)}" for field, value in point.items()
    )
