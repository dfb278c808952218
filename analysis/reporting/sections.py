"""Sections: what any module wants a report to say, as plain text with at most one table and figure."""

from dataclasses import dataclass
from typing import Literal

from analysis.finding import Finding


@dataclass(frozen=True)
class Tip:
    """What hovering at a place of a figure says; `left` and `top` are shares of its size."""

    left: float
    top: float
    text: str


@dataclass(frozen=True)
class Picture:
    """One figure: its file name without ending, what it shows in words, its bytes and its tips."""

    name: str
    alt: str
    svg: bytes
    png: bytes
    tips: tuple[Tip, ...] = ()
    caption: str = ""


@dataclass(frozen=True)
class Grid:
    """A table of text. A second line of a cell is shown smaller: an interval, a reason.

    Raises:
        ValueError: a row has not one cell for each header.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.headers):
                raise ValueError(f"expected {len(self.headers)} cells, got {len(row)}: {row}")


@dataclass(frozen=True)
class Section:
    """A heading, the answer in one sentence, then figure, table, warnings and notes, all optional.

    `level` 3 stands below the last section of level 2. `code` is shown as it is. `folded` hides
    everything but the answer and the findings, until it is asked for.
    """

    title: str
    answer: str = ""
    table: Grid | None = None
    picture: Picture | None = None
    findings: tuple[Finding, ...] = ()
    note: str = ""
    code: str = ""
    level: Literal[2, 3] = 2
    folded: bool = False
