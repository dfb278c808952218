"""The files of a report: HTML, Markdown, JSON and figures, each replaced whole."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from analysis.reporting.markdown import as_markdown
from analysis.reporting.page import Page
from analysis.reporting.webpage import as_html

HTML, MARKDOWN, DATA, FIGURES = "report.html", "report.md", "study.json", "figures"


def write_page(page: Page, data: Mapping[str, Any], folder: Path) -> Path:
    """Write `report.html`, `report.md`, `study.json` and `figures/`; returns the HTML's path.

    The same page gives the same bytes. Every file is replaced at once, so a reader of the folder
    never sees half of one.

    Raises:
        ValueError: two figures have the same name.
    """
    names = [one.name for one in page.pictures]
    if len(set(names)) < len(names):
        raise ValueError(f"expected figures of different names, got {', '.join(sorted(names))}")
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    for picture in page.pictures:
        replace_file(folder / FIGURES / f"{picture.name}.svg", picture.svg)
        replace_file(folder / FIGURES / f"{picture.name}.png", picture.png)
    text = json.dumps(finite(data), indent=1, allow_nan=False)
    replace_file(folder / DATA, f"{text}\n".encode())
    replace_file(folder / MARKDOWN, as_markdown(page).encode())
    replace_file(folder / HTML, as_html(page).encode())
    return folder / HTML


def finite(value: Any) -> Any:
    """Plain data as JSON can hold it: numbers of numpy as numbers, infinities and NaN as null."""
    if isinstance(value, Mapping):
        return {str(key): finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    if isinstance(value, np.generic):
        return finite(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:  # for whom it is, the umask says
            file.write(content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
