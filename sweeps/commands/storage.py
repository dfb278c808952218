"""The commands over the storage folder: where sweeps stand, what is published, what room is freed."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from sweeps.commands.options import DEFAULT_STORAGE, JsonOption, StorageOption, TrackingOption
from sweeps.secrets import private_files
from trainers.schema import InputError

_PUBLISH_S = 3600.0


def status(
    name: Annotated[str | None, typer.Argument(help="A sweep; without it, all of them.")] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    as_json: JsonOption = False,
) -> None:
    """Say where sweeps stand, from the ledger alone: also when no driver lives."""
    from sweeps.storage.ledger import Ledger
    from sweeps.watching.status import show_status, status_document

    ledger = Ledger(storage)
    names = ledger.sweeps() if name is None else (name,)
    if as_json:
        typer.echo(json.dumps(status_document(ledger, names), indent=1))
    else:
        show_status(ledger, names, Console())


def sync(
    context: typer.Context,
    name: str,
    storage: StorageOption = DEFAULT_STORAGE,
    tracking: TrackingOption = None,
) -> None:
    """Publish to MLflow what is not yet published; to another server with --tracking."""
    from sweeps.address import tracker_uri
    from sweeps.publishing.publisher import Publisher
    from sweeps.storage.ledger import Ledger

    context.with_resource(private_files())
    folder = Ledger(storage).sweep(name)
    sweep, trials = folder.sweep(), folder.trials()
    publisher = Publisher(tracker_uri(tracking, storage), Ledger(storage), sweep, trials)
    published = publisher.stop(timeout_s=_PUBLISH_S)  # and close the runs of a killed driver
    if published.locked:
        typer.echo(f"sync: {published.error}", err=True)
        raise typer.Exit(3)
    if published.error is not None:
        typer.echo(f"sync: {published.points_left:,} points wait: {published.error}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{name}: {published.points_sent:,} points sent, nothing is left to publish")


def gc(
    name: Annotated[str | None, typer.Argument(help="A sweep; without it, all of them.")] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    keep: Annotated[
        str,
        typer.Option(
            metavar="last|best:K|none",
            help="Of which ended trials the newest checkpoint stays: all, the K best of a sweep, none.",
        ),
    ] = "last",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say it, and remove nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Free the room that checkpoints of ended trials take; what is open stays as it is.

    Metrics and outcomes stay. With `last`, predictions can be asked of all trials as before; of a trial
    that keeps no checkpoint they cannot.
    """
    from sweeps.inspecting.freed import freed_document, show_freed
    from sweeps.inspecting.freeing import Keep, free
    from sweeps.storage.ledger import Ledger
    from sweeps.storage.sweep_folder import SweepLocked

    kept = Keep.parsed(keep)
    if not storage.is_dir():
        raise InputError(f"--storage {storage}: expected the storage folder of sweeps, found none")
    say = partial(typer.echo, err=True)
    try:
        freed = free(Ledger(storage), name, kept, dry=dry_run, say=say)
    except SweepLocked as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from error
    if as_json:
        typer.echo(json.dumps(freed_document(freed, keep=keep, dry=dry_run), indent=1))
    else:
        show_freed(freed, Console(), dry=dry_run)


def ui(
    context: typer.Context,
    storage: StorageOption = DEFAULT_STORAGE,
    tracking: TrackingOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 5000,
) -> None:
    """Serve MLflow on this machine alone, and print the links to each sweep's own pages."""
    from sweeps.address import tracker_uri
    from sweeps.inspecting.serve import LOG, serve

    context.with_resource(private_files())
    uri = tracker_uri(tracking, storage)
    if tracking is None and not (storage / "mlflow.db").exists():
        raise InputError(f"{storage}: expected a sweep that was launched here, found none")
    try:
        code = serve(storage, uri, port, Console())
    except KeyboardInterrupt:
        return
    if code:
        typer.echo(f"ui: the server ended with exit code {code}, see {storage / LOG}", err=True)
        raise typer.Exit(1)
