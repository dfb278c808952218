"""The progress of a sweep as one live screen, or as plain lines where there is no terminal."""

import time
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweeps.watching.grid import Cell, Grid
from sweeps.watching.watch import Snapshot
from sweeps.wording import duration

_LINE_EVERY_S = 10.0
_LONGEST = 200  # signs of a text that other programs have written
_STYLES = {
    "finished": "green",
    "running": "cyan",
    "waiting": "dim",
    "diverged": "yellow",
    "stopped": "yellow",
    "failed": "bold red",
}


def show(snap: Snapshot) -> RenderableType:
    """A sweep on one screen: how far, how long, in which states, the best, the axes, what failed."""
    head = Table.grid(padding=(0, 2), expand=False)
    bar = ProgressBar(total=1.0, completed=snap.share, width=24)
    head.add_row(
        Text(snap.sweep, style="bold"), bar, Text(f"{snap.ended:,} of {snap.total:,} trials")
    )
    parts: list[RenderableType] = [head]
    parts += [part for part in (_times(snap), _states(snap), _speed(snap)) if part.plain]
    if snap.best:
        parts.append(Text.assemble(("best so far  ", "dim"), snap.best))
    if snap.grid is not None and any(cell.mean is not None for cell in snap.grid.cells.values()):
        parts += [Text(), _table(snap.grid)]
    for failure in snap.failures:
        # Reasons and notes are texts of other programs: never read as markup, and never long.
        parts.append(_short(f"failed  {failure.text}", style="red"))
        if failure.log:
            parts.append(Text(f"  {failure.log}", style="dim", overflow="fold"))
    if snap.publishing:
        parts.append(_short(snap.publishing, style="dim"))
    return Group(*parts)


def line(snap: Snapshot) -> str:
    """The same in one line."""
    states = ", ".join(f"{count} {name}" for name, count in _counts(snap).items() if count)
    parts = [f"{snap.sweep}: {snap.ended:,} of {snap.total:,} ended", states, _times(snap).plain]
    if snap.elapsed_s is not None:
        parts.append(", ".join(_speed(snap).plain.split("   ")))
    if snap.best:
        parts.append(f"best {snap.best}")
    return "; ".join(part for part in parts if part)


def finish_time(now: datetime, left_s: float) -> str:
    """When it will be done, by the clock on the wall: `17:42`, `Tue 17:42`, `2 Mar 17:42`."""
    end = now + timedelta(seconds=left_s)
    days = (end.date() - now.date()).days
    if days == 0:
        return f"{end:%H:%M}"
    return f"{end:%a %H:%M}" if days < 7 else f"{end.day} {end:%b %H:%M}"


class Screen:
    """Shows snapshots while a block runs: in place on a terminal, else a line every ten seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._last: Snapshot | None = None
        self._printed = ""
        self._printed_at = float("-inf")

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        elif self._last is not None:
            self._print(self._last)

    def update(self, snap: Snapshot) -> None:
        """Show a newer snapshot."""
        self._last = snap
        if self._live is not None:
            self._live.update(show(snap), refresh=True)
        elif time.monotonic() - self._printed_at >= _LINE_EVERY_S:
            self._print(snap)

    def _print(self, snap: Snapshot) -> None:
        text = line(snap)
        if text != self._printed:
            self._console.print(Text(text), soft_wrap=True)
        self._printed, self._printed_at = text, time.monotonic()


def _counts(snap: Snapshot) -> dict[str, int]:
    return {name: getattr(snap, name) for name in _STYLES}


def _states(snap: Snapshot) -> Text:
    text = Text()
    for name, count in _counts(snap).items():
        if count:
            text.append(f"{count:,} {name}", style=_STYLES[name])
            text.append("   ")
    if snap.reused:
        text.append(f"{snap.reused:,} of them from before", style="dim")
    return text


def _speed(snap: Snapshot) -> Text:
    """How busy workers and devices are, and what they get done; nothing when nobody trains."""
    if snap.elapsed_s is None:
        return Text()
    parts: list[str] = []
    if snap.workers is not None:
        parts.append(f"{snap.busy} of {max(snap.busy, snap.workers)} workers busy")
    elif snap.busy:
        parts.append(f"{snap.busy} workers busy")
    if snap.devices:
        parts.append(snap.devices)
    if snap.examples_per_s is not None:
        parts.append(f"{snap.examples_per_s:,.0f} examples/s")
    return Text("   ".join(parts), style="dim")


def _times(snap: Snapshot) -> Text:
    if snap.elapsed_s is None:
        return Text("" if snap.ended == snap.total else "nobody runs it now")
    text = duration(snap.elapsed_s)
    if snap.left_s is not None and snap.ended < snap.total:
        end = finish_time(datetime.now(), snap.left_s)
        text = f"{text}, {duration(snap.left_s)} left, done at {end}"
    return Text(text)


def _short(text: str, style: str) -> Text:
    words = " ".join(text.split())
    return Text(words if len(words) <= _LONGEST else f"{words[: _LONGEST - 3]}...", style=style)


def _table(grid: Grid) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    row_name, column_name = (
        field.rpartition(".")[2] for field in (grid.row_field, grid.column_field)
    )
    table.add_column(row_name, style="bold")
    for column in grid.columns:
        title = f"{column_name}={column}" if column_name else grid.metric
        table.add_column(title, justify="right")
    for row in grid.rows:
        cells = [grid.cells.get((row, column)) for column in grid.columns]
        table.add_row(row, *(_written(cell) for cell in cells))
    if grid.column_field:
        table.title = Text(f"mean {grid.metric} so far", style="dim")
        table.title_justify = "left"
    return table


def _written(cell: Cell | None) -> Text:
    """A value that is still moving is dim."""
    if cell is None or cell.mean is None:
        return Text("-", style="dim")
    return Text(f"{cell.mean:.4g}", style="" if cell.ended == cell.total else "dim")
