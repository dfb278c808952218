"""What the commands on tables share: where a page goes, how a decision is shown, what was typed."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sweeps.secrets import masked
from trainers.schema import InputError

if TYPE_CHECKING:
    from analysis.reporting.decided import Decided

given: list[str] = []
"""What was typed, for the report that says how to make it again."""


def show_decision(found: Decided, folder: Path | None, as_json: bool) -> None:
    """Print a decision, as a screen or as JSON, and write its page where one is wanted."""
    from rich.console import Console

    from analysis.reporting.files import finite, write_page
    from analysis.reporting.show import show_decided

    page = None
    if folder is not None:
        page = write_page(found.page(written_command()), found.document, folder)
    if as_json:
        typer.echo(json.dumps(finite(found.document), indent=1))
        return
    show_decided(found, Console())
    if page is not None:
        Console().print(f"{page.resolve()}", soft_wrap=True, markup=False, highlight=False)


def check_folder(path: Path | None) -> None:
    """Refuse a place for a page before anything is computed.

    Raises:
        InputError: a page cannot be written there.
    """
    if path is None:
        return
    if path.exists() and not path.is_dir():
        raise InputError(f"--report {path}: expected a folder, got a file")
    above = next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise InputError(f"--report {path}: expected a folder that can be written, {above} cannot")


def written_command() -> str:
    """The command that is running, as a person would type it again."""
    return masked(shlex.join(["lawsweep", *given]))


def largest_of(text: str | None) -> int | None:
    """How many of the largest scales `--hold-out largest:K` leaves out.

    Raises:
        InputError: it says something else.
    """
    if text is None:
        return None
    matched = re.fullmatch(r"largest:(\d{1,6})", text)
    if matched is None or int(matched[1]) < 1:
        raise InputError(f"--hold-out: expected largest:K with K at least 1, got {text!r}")
    return int(matched[1])
