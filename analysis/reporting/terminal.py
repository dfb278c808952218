"""Text for a terminal: sentences, headings, tables and warnings, in which no cell is ever markup."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analysis.finding import Finding
from analysis.reporting.sections import Grid

COLOURS = {"trust": "green", "with care": "yellow", "do not use": "red"}
COLOURS |= {"converged": "green", "at a bound": "yellow", "not identified": "red"}
COLOURS |= {"not converged": "red"}
COLOURS |= {"reproduced": "green", "not reproduced": "red", "not comparable": "dim"}


def plain(text: str, style: str = "") -> Text:
    """Text as it stands: neither its brackets nor its control characters do anything."""
    return Text("".join(map(_harmless, text)), style=style)


def say(console: Console, text: str | Text, style: str = "") -> None:
    """A paragraph, folded at the width of the terminal."""
    console.print(plain(text, style) if isinstance(text, str) else text)


def heading(console: Console, text: str) -> None:
    """A line that begins a part."""
    console.print()
    console.print(plain(text, "bold"))


def show_grid(console: Console, grid: Grid, *, right: Sequence[int] = ()) -> None:
    """A table; the columns at the places `right` hold numbers, and end together."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for place, name in enumerate(grid.headers):
        shown.add_column(plain(name), justify="right" if place in right else "left")
    for row in grid.rows:
        shown.add_row(*(plain(cell, COLOURS.get(cell.partition(",")[0], "")) for cell in row))
    console.print(shown)


def show_findings(console: Console, findings: Sequence[Finding]) -> None:
    """Warnings: the code of each, and beside it what it says."""
    shown = Table.grid(padding=(0, 2, 0, 0))
    shown.add_column(no_wrap=True, style="yellow")
    shown.add_column()
    for one in findings:
        shown.add_row(plain(one.code), plain(one.text))
    console.print(shown)


def _harmless(letter: str) -> str:
    return letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1]
