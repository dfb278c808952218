"""The sweeps of a catalogue that are meant, how far each is, and what is left of it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from sweeps.commands.planned import planned
from sweeps.shipped import catalog, of_scale, scale_of
from sweeps.wording import duration
from trainers.schema import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from sweeps.commands.planned import Check
    from sweeps.planning.cost import Price
    from sweeps.planning.plan import Plan
    from sweeps.shipped import Scale
    from sweeps.spec import Sweep


@dataclass(frozen=True)
class Work:
    """One sweep of a catalogue: what it is, how far it is, and what is left of it."""

    file: Path
    scale: str
    plan: Plan
    ended: int  # trials that need no more training
    price: Price | None = None  # None where it was not asked for

    @property
    def sweep(self) -> Sweep:
        """The sweep as the file says it."""
        return self.plan.sweep

    @property
    def trials(self) -> int:
        """How many trials it has."""
        return len(self.plan.trials)

    @property
    def left(self) -> int:
        """How many trials are left to train."""
        return self.trials - self.ended

    @property
    def keys(self) -> frozenset[str]:
        """The trials that the file plans now; those of an earlier version of it are not meant."""
        return frozenset(trial.key for trial in self.plan.trials)

    @property
    def flops(self) -> float:
        """Of all its trials."""
        return float(sum(one.flops for one in self.plan.trials))

    @property
    def seconds(self) -> float:
        """Until what is left is done, by the plan."""
        return 0.0 if self.price is None else self.price.seconds

    @property
    def device_hours(self) -> float:
        """What is left, in hours of one worker."""
        return 0.0 if self.price is None else self.price.device_hours


def chosen(names: Sequence[str], scale: Scale, folder: Path) -> tuple[Path, ...]:
    """The sweep files that are meant: by their own names, by a topic's, or all of a scale.

    A name means that sweep, of whichever scale; a topic means its sweeps of this one.

    Raises:
        InputError: there is no such sweep and no such topic.
    """
    if not names:
        found = of_scale(scale, folder)
        if not found:
            raise InputError(f"{folder / scale}: expected sweep files, there are none")
        return found
    by_name = {file.stem: file for file in catalog(folder)}
    by_topic: dict[str, list[Path]] | None = None
    files: list[Path] = []
    for name in names:
        if name in by_name:
            files.append(by_name[name])
            continue
        by_topic = _by_topic(of_scale(scale, folder)) if by_topic is None else by_topic
        if name.casefold() not in by_topic:
            known = [*by_name, *by_topic]
            near = difflib.get_close_matches(name, known, n=3) or sorted(by_name)
            raise InputError(
                f"{name}: expected a sweep of the catalogue or a topic of its {scale} scale,"
                f" such as {', '.join(near)}"
            )
        files += by_topic[name.casefold()]
    return tuple(dict.fromkeys(files))


def worked_out(files: Sequence[Path], storage: Path, check: Check | None) -> tuple[Work, ...]:
    """The plan of every sweep and how far it is; nothing is measured, so nothing is priced.

    Raises:
        InputError: a file is no sweep that can be run, or one without a fixed list of trials.
    """
    from sweeps.planning.plan import Plan
    from sweeps.planning.standing import OPEN, standing
    from sweeps.storage.ledger import Ledger

    found: list[Work] = []
    for file in files:
        plan = planned(str(file), [], check)
        if not isinstance(plan, Plan):
            raise InputError(
                f"{file}: expected a sweep whose trials are known before it starts, got a search"
            )
        looks = Ledger(storage).look(trial.key for trial in plan.trials)
        ended = sum(standing(look).state not in OPEN for look in looks.values())
        found.append(Work(file, scale_of(file), plan, ended))
    return tuple(found)


def show_work(several: Sequence[Work], workers: int, console: Console) -> None:
    """What will be trained and how long that takes, before anything starts."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("sweep", no_wrap=True)
    table.add_column("topic")
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column("to train", justify="right", no_wrap=True)
    table.add_column("takes about", justify="right", no_wrap=True)
    for work in several:
        left = f"{work.left:,}" if work.left else ""
        takes = duration(work.seconds) if work.left else "finished"
        cells = (work.sweep.name, work.sweep.topic, f"{work.trials:,}", left, takes)
        table.add_row(*(Text(cell) for cell in cells), style="" if work.left else "dim")
    console.print(table)
    trials = sum(work.left for work in several)
    if not trials:
        console.print("nothing is left to train")
        return
    seconds = sum(work.seconds for work in several)
    hours = sum(work.device_hours for work in several)
    spent = f"{60 * hours:,.0f} core-minutes" if hours < 10 else f"{hours:,.0f} hours of a worker"
    console.print(
        f"{trials:,} trials on {workers} workers: about [bold]{says_when(seconds)}[/] ({spent}),"
        " and some seconds for each report",
        highlight=False,
    )


def says_when(seconds: float) -> str:
    """How long, and when that is over: `12 min 20 s, at 14:05`."""
    end = datetime.now().astimezone() + timedelta(seconds=seconds)
    day = "" if end.date() == datetime.now().astimezone().date() else f"{end:%a} "
    return f"{duration(seconds)}, at {day}{end:%H:%M}"


def _by_topic(files: Sequence[Path]) -> dict[str, list[Path]]:
    from sweeps.spec import load

    found: dict[str, list[Path]] = {}
    for file in files:
        found.setdefault(load(str(file)).topic.casefold(), []).append(file)
    return found
