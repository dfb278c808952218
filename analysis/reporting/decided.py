"""What is decided from a table: sentences, sections of a report, and plain data."""

from dataclasses import dataclass
from typing import Any

from analysis.finding import Finding
from analysis.reporting.page import Page
from analysis.reporting.sections import Grid, Section


@dataclass(frozen=True)
class Decided:
    """What a table says of a decision: sentences, sections of a report, and plain data."""

    title: str
    sentences: tuple[str, ...]
    sections: tuple[Section, ...]
    document: dict[str, Any]

    @property
    def tables(self) -> tuple[Grid, ...]:
        """The tables of the sections, for the terminal."""
        return tuple(one.table for one in self.sections if one.table is not None)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Everything that a reader must know first."""
        return tuple(finding for one in self.sections for finding in one.findings)

    def page(self, command: str) -> Page:
        """The report."""
        end = Section("To reproduce", "The same command gives the same bytes:", code=command)
        return Page(
            title=self.title,
            about="",
            facts="",
            question="",
            judged=(),
            answer=self.sentences,
            sections=(*self.sections, end),
        )
