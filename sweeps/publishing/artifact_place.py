"""Where the artifacts of a sweep may lie: in its own storage folder, or behind a server."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from trainers.schema import InputError

FOLDER = "mlflow-artifacts"


def refuse_other_place(location: str, sweep_name: str, storage: Path) -> None:
    """A tracker names where artifacts lie; files are written to no other place of this machine.

    Raises:
        InputError: a folder outside of the storage: a stranger's choice, or the storage has moved.
    """
    parts = urlsplit(location)
    if parts.scheme not in {"", "file"}:  # behind the server, or a bucket that the user's keys open
        return
    place, inside = Path(unquote(parts.path)).resolve(), (storage / FOLDER).resolve()
    if not place.is_relative_to(inside):
        raise InputError(
            f"expected the artifacts of {sweep_name} in {inside}, the tracker has them in {place};"
            f" if the storage was moved, remove its mlflow.db and `lawsweep sync {sweep_name}`"
        )
