"""The options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

SweepArgument = Annotated[str, typer.Argument(metavar="SWEEP", help="A file, or a catalogue name.")]
SetOption = Annotated[
    list[str], typer.Option("--set", metavar="F=V", help="Change one field for this launch.")
]
StorageOption = Annotated[
    Path, typer.Option(file_okay=False, help="Folder of the ledger, seen by every node.")
]
TrackingOption = Annotated[
    str | None,
    typer.Option(
        envvar="LAWSWEEP_TRACKING", help="MLflow URI; without it, SQLite inside the storage folder."
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, max=100_000, help="How many at once, where the cluster grows."
    ),
]
DeviceKindOption = Annotated[
    str | None, typer.Option(help="The kind of GPU to train on, as Ray names it: A100, H100, T4.")
]
PacksPerGpuOption = Annotated[
    int | None, typer.Option(min=1, max=64, help="How many packs share a GPU.")
]
GpusPerTrialOption = Annotated[
    int | None,
    typer.Option(min=1, max=64, help="How many GPUs of one machine train one trial together."),
]
ExecutionOption = Annotated[
    str | None,
    typer.Option(help="How steps are run: eager, compiled, graphed, or auto: what is fastest."),
]
NameArgument = Annotated[str | None, typer.Argument(help="One of them, with its fields.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
AddressOption = Annotated[
    str | None, typer.Option(help="A running Ray cluster: host:port, or auto.")
]

DEFAULT_STORAGE = Path("lawsweep-data")
