"""A page as one HTML file that loads nothing and runs nothing; all text is escaped."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from analysis.reporting.page import Page
from analysis.reporting.sections import Picture, Section
from analysis.reporting.svg import inlined

TEMPLATES = Path(__file__).parent / "templates"
LONG = 60  # characters of a cell from which a table is stacked on a narrow screen

# How good news, bad news and everything between look; every other word is plain text.
TONES = {
    "trust": "yes",
    "reproduced": "yes",
    "converged": "yes",
    "with care": "care",
    "at a bound": "care",
    "not comparable": "open",
    "no fit": "open",
    "do not use": "no",
    "not reproduced": "no",
    "not identified": "no",
    "not converged": "no",
}


def as_html(page: Page) -> str:
    """The page as one file that loads nothing and runs nothing."""
    template = _environment().get_template("page.html.j2")
    return template.render(page=page, places=_places(page.sections))


def _environment() -> Environment:
    """Escaping is on for every value: names and notes come from files and trackers."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_unbroken,
    )
    environment.filters.update(tone=_tone, inlined=_inlined, side=_side, verbatim=_verbatim)
    environment.globals.update(numeric=_numeric, wide=_wide)
    return environment


def _unbroken(value: object) -> object:
    """A number keeps its per cent sign on its line."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", value)
    return value


def _verbatim(text: str) -> Markup:
    """Text to be copied: escaped, and no sign of it changed."""
    return escape(text)


def _tone(words: str) -> str:
    """The look of a verdict; empty for text that is none."""
    return TONES.get(words.split(",")[0], "")


def _inlined(picture: Picture) -> Markup:
    """A figure as markup: drawn by us, and rid of everything but shapes."""
    return Markup(inlined(picture))  # noqa: S704


def _side(left: float) -> str:
    """Where a tip has room: right of its point, left of it, or above."""
    return "l" if left < 0.35 else "r" if left > 0.65 else "m"


_DIGITS = r"[+−-]?[\d.,]*\d(e[+-]?\d+)?"
_NUMBER = re.compile(rf"{_DIGITS}( (to|of) {_DIGITS})?( ?%| times)?|none|no value|no pairs|")


def _numeric(rows: Sequence[Sequence[str]], column: int) -> bool:
    """Whether a column holds numbers, which are set flush right."""
    cells = [row[column].split("\n")[0] for row in rows]
    return any(cells) and all(_NUMBER.fullmatch(cell) for cell in cells)


def _wide(rows: Sequence[Sequence[str]]) -> bool:
    """Whether some cell is a sentence, so that rows become cards on a narrow screen."""
    return any(len(line) > LONG for row in rows for cell in row for line in cell.split("\n"))


def _places(sections: Sequence[Section]) -> tuple[str, ...]:
    """An address within the page for every section."""

    def made() -> Iterator[str]:
        for number, one in enumerate(sections, 1):
            words = re.sub(r"[^a-z0-9]+", "-", one.title.lower()).strip("-")[:40]
            yield f"s{number}-{words}" if words else f"s{number}"

    return tuple(made())
