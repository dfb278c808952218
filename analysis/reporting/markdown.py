"""A page as Markdown, for a pull request, a wiki or a terminal; it says what the HTML says."""

import re
from collections.abc import Iterator

from analysis.reporting.page import Page
from analysis.reporting.sections import Grid, Section

_SPECIAL = re.compile(r"[\\`*\[\]<>|$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def as_markdown(page: Page) -> str:
    """The page in GitHub's Markdown; figures are those of the folder beside it."""
    return "\n\n".join(block for block in _blocks(page) if block) + "\n"


def escaped(text: str) -> str:
    """Text of one line that stays text: nothing in it is markup."""
    return _SPECIAL.sub(lambda found: f"\\{found.group()}", " ".join(text.split()))


def _blocks(page: Page) -> Iterator[str]:
    yield f"# {escaped(page.title)}"
    asked = f"*{escaped(page.question)}*" if page.question else ""
    yield " ".join(part for part in (asked, *map(escaped, page.answer[:1])) if part)
    yield escaped(page.about)
    yield escaped(page.facts)
    for one in page.judged:
        found = ", ".join(each.text for each in one.trust.headlines)
        reasons = "; ".join(one.trust.reasons)
        subject = f" for {escaped(one.subject)}" if one.subject else ""
        yield (
            f"**{escaped(found)}: {one.trust.verdict}**{subject}, `{one.formula.replace('`', '')}`, "
            f"because {escaped(reasons)}."
        )
    if len(page.answer) > 1:
        yield "\n".join(f"- {escaped(sentence)}" for sentence in page.answer[1:])
    for section in page.sections:
        yield from _section(section)


def _section(one: Section) -> Iterator[str]:
    yield f"{'#' * one.level} {escaped(one.title)}"
    yield escaped(one.answer)
    if one.picture is not None:
        yield f"![{escaped(one.picture.alt)}](figures/{one.picture.name}.png)"
        yield escaped(one.picture.caption)
    if one.table is not None and one.table.rows:
        yield _table(one.table)
    yield "\n".join(
        f"- {f'**{each.status}**: ' if each.status else ''}{escaped(each.text)} (`{each.code}`)"
        for each in one.findings
    )
    yield escaped(one.note)
    if one.code:
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", one.code)), default=0))
        yield f"{fence}\n{one.code.rstrip()}\n{fence}"


def _table(grid: Grid) -> str:
    lines = [grid.headers, ("---",) * len(grid.headers)]
    written = [_line(cells, escape=at != 1) for at, cells in enumerate(lines)]
    return "\n".join([*written, *(_line(row) for row in grid.rows)])


def _line(cells: tuple[str, ...], *, escape: bool = True) -> str:
    return f"| {' | '.join(_cell(cell) if escape else cell for cell in cells)} |"


def _cell(cell: str) -> str:
    """A second line, which a page shows smaller, stands in brackets."""
    first, _, rest = cell.partition("\n")
    return escaped(f"{first} ({rest})" if rest else first)
