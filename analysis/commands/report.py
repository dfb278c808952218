"""The command that writes the report of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeps.commands.options import DEFAULT_STORAGE, StorageOption, TrackingOption
from sweeps.secrets import private_files
from trainers.schema import InputError


def report(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A sweep that was launched.")],
    storage: StorageOption = DEFAULT_STORAGE,
    tracking: TrackingOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write [default: beside the sweep's ledger].")
    ] = None,
) -> None:
    """Write the report of a sweep: claims, tables, laws and figures in one HTML file."""
    if tracking is None and not (storage / "mlflow.db").is_file():
        raise InputError(
            f"--storage {storage}: expected a folder with a published sweep, there is no mlflow.db"
        )
    if out is not None and out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: expected a folder, got a file")
    from rich.console import Console

    from analysis.commands.studied import studied
    from analysis.reporting.show import show_claims

    context.with_resource(private_files())
    found, page = studied(name, storage, tracking, out)
    console = Console()
    show_claims(found, console)
    console.print(f"{page.resolve()}", soft_wrap=True, markup=False, highlight=False)
