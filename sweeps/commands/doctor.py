"""The command that says whether a machine, or a cluster, is ready."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import typer
from rich.console import Console

from sweeps.commands.options import (
    DEFAULT_STORAGE,
    AddressOption,
    StorageOption,
    TrackingOption,
)
from trainers.schema import InputError


def doctor(
    storage: StorageOption = DEFAULT_STORAGE,
    tracking: TrackingOption = None,
    address: AddressOption = None,
) -> None:
    """Say whether this machine is ready; with --address, whether a cluster and its nodes are."""
    from sweeps.inspecting.doctor import check

    more = [*_tracker_findings(tracking, storage), *_cluster_findings(address, storage)]
    if not check(storage, more, Console()):
        typer.echo("doctor: this machine is not ready", err=True)
        raise typer.Exit(1)


def _tracker_findings(tracking: str | None, storage: Path) -> list[tuple[str, str, str]]:
    """Whether MLflow answers where runs would be published."""
    if importlib.util.find_spec("mlflow") is None:
        return []
    from sweeps.address import tracker_uri
    from sweeps.publishing.reach import absence
    from sweeps.secrets import masked

    try:
        uri = tracker_uri(tracking, storage)
        return [("MLflow", masked(uri), absence(uri))]
    except InputError as error:
        return [("MLflow", "", str(error))]


def _cluster_findings(address: str | None, storage: Path) -> list[tuple[str, str, str]]:
    """This user's token; and of a cluster, who is let in and what its nodes have."""
    from sweeps.running.survey import admission, token_finding

    found = [token_finding()]
    if address is None:
        return found
    place, finding = admission(address)
    if place is None:
        return [*found, finding]
    from sweeps.running.nodes import findings

    return [*found, finding, *findings(place, storage)]
