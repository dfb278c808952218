"""The list of a sweep's trials while it grows: whole in one file, and what came since line by line.

trials.json     the trials that were known when the launch began
trials.jsonl    those that a search has suggested since, one to a line, each on the disk before it starts
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sweeps.storage import durable

_WHOLE, _SINCE = "trials.json", "trials.jsonl"


def write_trials(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Store the whole list, over any earlier one."""
    text = json.dumps(list(records), allow_nan=False, indent=1)
    durable.write_over(folder / _WHOLE, text.encode())
    (folder / _SINCE).unlink(missing_ok=True)  # after a kill just before it, all of it is in both


def add_trial(folder: Path, record: Mapping[str, Any]) -> None:
    """Add one trial; it is on the disk when this returns."""
    line = json.dumps(record, allow_nan=False, separators=(",", ":")).encode() + b"\n"
    durable.append(folder / _SINCE, line)


def read_trials(folder: Path) -> list[dict[str, Any]]:
    """Every trial, each once, in the order in which they came; a torn last line is left out.

    Raises:
        FileNotFoundError: there never was a list.
    """
    found: list[dict[str, Any]] = json.loads((folder / _WHOLE).read_bytes())
    try:
        since = (folder / _SINCE).read_bytes()
    except FileNotFoundError:
        return found
    whole = since[: since.rfind(b"\n") + 1].splitlines()
    by_key = {record["key"]: record for record in [*found, *map(json.loads, whole)]}
    return list(by_key.values())
