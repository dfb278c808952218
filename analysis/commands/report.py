"""The command that writes the report of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeps.secrets import private_files
from trainers.schema import InputError


def report(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A sweep that was launched.")],
    storage: Annotated[Path, typer.Option(file_okay=False, help="Folder of the ledger.")] = Path(
        "lawsweep-data"
    ),
    tracking: Annotated[
        str | None,
        typer.Option(
            envvar="LAWSWEEP_TRACKING",
            help="MLflow URI [default: SQLite inside the storage folder].",
        ),
    ] = None,
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

    from analysis.reporting.report import write_report
    from analysis.reporting.show import show_claims
    from analysis.study import study
    from analysis.tracked import load_runs
    from sweeps.address import tracker_uri
    from sweeps.tracking import attach_report, check_artifacts

    context.with_resource(private_files())
    uri = tracker_uri(tracking, storage)
    check_artifacts(uri, name, storage)
    sweep, runs = load_runs(uri, name)
    found = study(sweep, runs)
    folder = out or storage / "sweeps" / sweep.name / "report"
    page = write_report(found, folder)
    attach_report(uri, name, folder)
    console = Console()
    show_claims(found, console)
    console.print(f"{page.resolve()}", soft_wrap=True, markup=False, highlight=False)
