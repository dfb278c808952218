"""The command that trains what is not finished of a sweep, here or on a cluster."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sweeps.commands.launching import Means, checked_nodes, driver, prepared, publisher_of
from sweeps.commands.options import (
    DEFAULT_STORAGE,
    AddressOption,
    DeviceKindOption,
    ExecutionOption,
    GpusPerTrialOption,
    PacksPerGpuOption,
    SetOption,
    StorageOption,
    SweepArgument,
    TrackingOption,
    WorkersOption,
)
from sweeps.commands.planned import here, planned, show_search, surveyed
from sweeps.running.where import InProcess, OnRay
from sweeps.secrets import private_files
from trainers.schema import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sweeps.planning.plan import Plan
    from sweeps.publishing.late import LatePublisher
    from sweeps.searching.outline import Outline
    from sweeps.storage.ledger import Ledger

_ASK_ABOVE_S = 3600.0


def launch(
    context: typer.Context,
    sweep: SweepArgument,
    changes: SetOption = [],  # noqa: B006 - typer copies it
    storage: StorageOption = DEFAULT_STORAGE,
    tracking: TrackingOption = None,
    address: AddressOption = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Join a cluster without a token, on loopback only.")
    ] = False,
    asked: WorkersOption = None,
    device_kind: DeviceKindOption = None,
    packs_per_gpu: PacksPerGpuOption = None,
    gpus_per_trial: GpusPerTrialOption = None,
    execution: ExecutionOption = None,
    inline: Annotated[bool, typer.Option("--inline", help="Train here, without Ray.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a long sweep.")] = False,
    save_every: Annotated[
        float, typer.Option(min=0, help="Seconds between the checkpoints of a trial.")
    ] = 60.0,
    allow_drift: Annotated[
        bool,
        typer.Option("--allow-drift", help="Go on although code, torch or machine has changed."),
    ] = False,
    notify: Annotated[
        str | None,
        typer.Option(
            metavar="URL", envvar="LAWSWEEP_NOTIFY", help="A webhook to tell how the sweep ended."
        ),
    ] = None,
) -> None:
    """Train what is not finished. Also resumes: the same command, again. Ctrl-C stops cleanly."""
    from sweeps.watching.notify import announced, hook_address

    context.with_resource(private_files())
    hook = hook_address(notify) if notify else None
    address = prepared(address, inline=inline, insecure=insecure)
    from sweeps.planning.plan import Plan  # these import torch, as does the wait for a cluster
    from sweeps.running.drift import refuse_drift
    from sweeps.running.stopping import Interrupted
    from sweeps.spec import SpecError, located
    from sweeps.storage.ledger import Ledger
    from sweeps.storage.sweep_folder import SweepLocked

    console = Console()
    ledger = Ledger(storage)
    found = planned(sweep, changes, context.obj)
    trials = found if isinstance(found, Plan) else _suggested(found, ledger, inline=inline)
    device, workers = here()
    wanted = trials.sweep.workers.but(
        count=asked,
        device_kind=device_kind,
        packs_per_gpu=packs_per_gpu,
        gpus_per_trial=gpus_per_trial,
        execution=execution,
    )
    if inline and wanted.gpus_per_trial > 1:
        raise InputError(
            f"--inline: expected gpus_per_trial 1 beside it, got {wanted.gpus_per_trial}"
        )
    if address is None:
        workers = wanted.on_one_machine(device, workers)
    if storage.exists() and not storage.is_dir():
        raise InputError(f"--storage {storage}: expected a folder, got a file")
    if not allow_drift:
        refuse_drift(
            ledger,
            [trial.key for trial in trials.trials],
            trains_here=address is None,
            mode=wanted.mode,
        )
    if address is not None:
        workers = checked_nodes(address, storage, wanted, context)
    publisher = publisher_of(trials, ledger, tracking, console)
    where = (
        InProcess(device, save_every, allow_drift)
        if inline
        else OnRay(address, workers, save_every, wanted, allow_drift)
    )
    means = Means(where, device, workers, wanted)
    run_of = driver if isinstance(found, Plan) else partial(_search_driver, found)
    try:
        seconds, run = run_of(trials, ledger, means, publisher, console)
    except SpecError as error:  # beyond its own limits
        raise located(sweep, error) from error
    doubt = ledger.doubt()
    if doubt:  # others could change what the storage holds
        console.print(doubt, style="yellow", markup=False, highlight=False)
    if not yes and seconds > _ASK_ABOVE_S and sys.stdin.isatty():
        typer.confirm("Start?", abort=True)
    try:
        done = announced(run, hook, ledger, trials.sweep, console)
    except SweepLocked as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from error
    except Interrupted as error:
        typer.echo(f"{error}: every trial is saved; the same command goes on", err=True)
        raise typer.Exit(error.exit_code) from error
    if not done:
        raise typer.Exit(1)


def _suggested(searched: Outline, ledger: Ledger, *, inline: bool) -> Plan:
    """The trials that earlier launches of a search have suggested."""
    from sweeps.searching.book import so_far
    from sweeps.searching.inline import check_inline

    if inline:
        check_inline(searched.search)
    return so_far(searched, ledger)


def _search_driver(
    searched: Outline,
    trials: Plan,
    ledger: Ledger,
    means: Means,
    publisher: LatePublisher | None,
    console: Console,
) -> tuple[float, Callable[[], bool]]:
    """The seconds that a search takes, and what runs it."""
    from sweeps.searching.drive import drive_search

    survey = surveyed(searched, ledger, means.device, means.workers)
    survey.check_budget()
    show_search(survey)
    train = means.search_trainer()
    run = partial(drive_search, searched, ledger, train=train, publisher=publisher, console=console)
    return survey.seconds, run
