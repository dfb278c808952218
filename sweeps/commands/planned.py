"""From the name of a sweep to what it trains: shared by the commands that plan and launch."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer
from rich.console import Console

if TYPE_CHECKING:
    from sweeps.planning.plan import Plan
    from sweeps.searching.outline import Outline
    from sweeps.searching.survey import Survey
    from sweeps.spec import Sweep
    from sweeps.storage.ledger import Ledger

    Check = Callable[[Sweep], None]


def planned(name_or_path: str, changes: list[str], check: Check | None) -> Plan | Outline:
    """The plan of a sweep; of a search only an outline, since its trials are suggested one by one.

    `check` knows what only the packages above this one can refuse.

    Raises:
        SpecError: the file, or a change of it, is no sweep that can be run.
    """
    from sweeps.planning.plan import plan
    from sweeps.spec import SpecError, load, located

    try:
        sweep = load(name_or_path, changes)
        if check is not None:
            check(sweep)
        if sweep.search is None:
            return plan(sweep)
        from sweeps.searching.outline import outline

        return outline(sweep, sweep.search)
    except SpecError as error:
        raise located(name_or_path, error) from error


def surveyed(searched: Outline, ledger: Ledger, device: str, workers: int) -> Survey:
    """What there is of a search, and what it costs."""
    from sweeps.searching.survey import survey

    return survey(searched, ledger, device=device, workers=workers)


def show_search(survey: Survey, *, as_json: bool = False) -> None:
    """Print a search with its price."""
    from sweeps.searching.survey import show_survey, survey_document

    if as_json:
        typer.echo(json.dumps(survey_document(survey), indent=1))
    else:
        show_survey(survey, Console())


def here() -> tuple[str, int]:
    """The device of this machine and the number of its workers."""
    import torch

    from sweeps.planning.pace.rates import cpu_workers

    if torch.cuda.is_available():
        return "cuda", torch.cuda.device_count()
    return "cpu", cpu_workers()
