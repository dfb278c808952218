"""Is this machine ready to run sweeps?"""

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sweeps.storage.ledger import Ledger

_NEEDED_BYTES = 1_000_000_000
_PACKAGES = ("torch", "ray", "mlflow", "numpy", "pandas", "scipy", "pydantic")


def check(storage: Path, more: Iterable[tuple[str, str, str]], console: Console) -> bool:
    """Print what was found and whether it will do; True when all of it will.

    `more` is what only other parts know: what, what was found, and what to do about it.
    """
    table = Table("", "found", "", box=None, pad_edge=False)
    rows = [*_rows(storage), *more]
    for name, found, problem in rows:
        table.add_row(
            escape(name), escape(found), f"[red]{escape(problem)}[/]" if problem else "[green]ok[/]"
        )
    console.print(table)
    return not any(problem for _, _, problem in rows)


def _rows(storage: Path) -> Iterator[tuple[str, str, str]]:
    """What, what was found, and what is wrong with it; nothing where all is well."""
    too_old = "" if sys.version_info >= (3, 11) else "expected 3.11 or later"
    yield "python", platform.python_version(), too_old
    for package in _PACKAGES:
        try:
            yield package, importlib.metadata.version(package), ""
        except importlib.metadata.PackageNotFoundError:
            yield package, "-", "expected it to be installed"
    yield "processors", str(len(os.sched_getaffinity(0))), ""
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    yield "GPUs", ", ".join(gpus) or "none, trials train on the CPU", ""
    place = storage.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    problem = "" if free >= _NEEDED_BYTES else "expected at least 1 GB free"
    if not os.access(place, os.W_OK):
        problem = "expected a folder that you may write into"
    yield "storage", f"{storage.resolve()}, {free / 1e9:,.0f} GB free", problem
    doubt = Ledger(storage).doubt()
    if doubt is not None:
        yield "storage", "", doubt
