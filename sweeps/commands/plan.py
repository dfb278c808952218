"""The command that shows a sweep with its price."""

from __future__ import annotations

import gc

import typer
from rich.console import Console

from sweeps.commands.options import (
    DEFAULT_STORAGE,
    ExecutionOption,
    JsonOption,
    SetOption,
    StorageOption,
    SweepArgument,
)
from sweeps.commands.planned import here, planned, show_search, surveyed


def plan(
    context: typer.Context,
    sweep: SweepArgument,
    changes: SetOption = [],  # noqa: B006 - typer copies it
    storage: StorageOption = DEFAULT_STORAGE,
    execution: ExecutionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every trial with its price, before anything starts."""
    gc.disable()  # nothing is let go of before the end; looking for it takes a tenth of the time
    context.call_on_close(gc.enable)
    from sweeps.planning.cost import price
    from sweeps.planning.document import plan_text
    from sweeps.planning.plan import Plan
    from sweeps.planning.show import show_price
    from sweeps.storage.ledger import Ledger

    found = planned(sweep, changes, context.obj)
    device, workers = here()
    if not isinstance(found, Plan):
        show_search(surveyed(found, Ledger(storage), device, workers), as_json=as_json)
        return
    wanted = found.sweep.workers.but(execution=execution)
    priced = price(found, Ledger(storage), device=device, workers=workers, wanted=wanted)
    if priced.rates is not None:
        priced.rates.save()  # also where a launch would be refused
    if as_json:
        typer.echo(plan_text(priced))
    else:
        show_price(priced, Console())
