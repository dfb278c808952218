"""An SVG file as a part of a page: its own ids, the page's colours, and nothing but shapes."""

import html
import re

from analysis.reporting.figures.colours import COLOURS, EDGE, INK, LINES, PAPER, SOFT
from analysis.reporting.sections import Picture

# The page gives these variables another value on a dark screen.
_PAINT = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    EDGE: "var(--edge)",
    LINES: "var(--line)",
    PAPER: "var(--paper)",
    **{paint.lower(): f"var(--c{place})" for place, paint in enumerate(COLOURS)},
}
_DROPPED = re.compile(
    r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>|<title>.*?</title>",
    re.DOTALL,
)
_ACTIVE = re.compile(
    r"<(script|foreignobject|iframe|a)\b|\son\w+\s*=|href=\"(?!#|data:image/png)", re.IGNORECASE
)
_ID = re.compile(r'(\bid="|url\(#|href="#)')
_COLOUR = re.compile("|".join(map(re.escape, _PAINT)), re.IGNORECASE)
_FRAME = re.compile(r"<svg[^>]*?viewBox=\"([^\"]*)\"[^>]*>", re.DOTALL)


def inlined(picture: Picture) -> str:
    """The drawing of a picture for an HTML page that shows several.

    Comments and titles go, since they hold text of other people; ids get the picture's name, since
    two pictures use the same.

    Raises:
        ValueError: the drawing holds something that could run or load.
    """
    text = _DROPPED.sub("", picture.svg.decode())
    if _ACTIVE.search(text):
        raise ValueError(f"figure {picture.name}: expected shapes only, got something that runs")
    text = _ID.sub(lambda found: f"{found.group()}{picture.name}-", text)
    text = _COLOUR.sub(lambda found: _PAINT[found.group().lower()], text)
    label = html.escape(picture.alt, quote=True)
    return _FRAME.sub(
        lambda found: f'<svg viewBox="{found.group(1)}" role="img" aria-label="{label}">',
        text,
        count=1,
    ).strip()
