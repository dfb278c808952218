"""A page: what a report says, before it is written as HTML, Markdown or JSON."""

from dataclasses import dataclass

from analysis.judgement.trust import Trust
from analysis.reporting.sections import Picture, Section


@dataclass(frozen=True)
class Judged:
    """A verdict at the top of a page: on what, how it came out, and for which law."""

    subject: str
    trust: Trust
    formula: str


@dataclass(frozen=True)
class Page:
    """What a report says: `answer` is read first, the rest by who wants to know why."""

    title: str
    about: str
    facts: str
    question: str
    judged: tuple[Judged, ...]
    answer: tuple[str, ...]
    sections: tuple[Section, ...]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Every figure, in the order of the page."""
        return tuple(one.picture for one in self.sections if one.picture is not None)
