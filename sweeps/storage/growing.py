"""The list of a sweep's trials while it grows: whole in one file, and what came since line by line.

trials.json     the trials that were known when the launch began
trials.jsonl    those that a search has suggested since, one to a line, each on the disk before it starts
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sweeps.storage import durable
from sweeps.storage.records import LedgerDamaged, json_value
from trainers.schema import shown

_WHOLE, _SINCE = "trials.json", "trials.jsonl"
_KEY = re.compile(r"[0-9a-f]{20}")
_FIELDS: dict[str, set[type]] = {
    "key": {str},
    "config": {dict},
    "point": {dict},
    "replicate": {int},
    "steps": {int},
    "flops": {int, float},
    "examples": {int, float},
}


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
        LedgerDamaged: a file is not what was written.
    """
    file, grown = folder / _WHOLE, folder / _SINCE
    found = json_value(file.read_bytes(), file)
    if not isinstance(found, list):
        raise LedgerDamaged(f"{file}: expected a list of trials, got {shown(found)}")
    records = [_checked(record, file) for record in found]
    try:
        since = grown.read_bytes()
    except FileNotFoundError:
        return records
    whole = since[: since.rfind(b"\n") + 1].splitlines()
    records += [_checked(json_value(line, grown), grown) for line in whole]
    return list({record["key"]: record for record in records}.values())


def _checked(record: Any, file: Path) -> dict[str, Any]:
    """A trial that has what others rely on."""
    if not isinstance(record, dict):
        raise LedgerDamaged(f"{file}: expected trials, got {shown(record)}")
    for name, kinds in _FIELDS.items():
        if type(record.get(name)) not in kinds:
            raise LedgerDamaged(f"{file}: {name}: got {shown(record.get(name))} of a trial")
    if not _KEY.fullmatch(record["key"]) or record["steps"] < 1:
        came = f"{shown(record['key'])} of {shown(record['steps'])} steps"
        raise LedgerDamaged(f"{file}: expected the key of a trial and its steps, got {came}")
    return record
