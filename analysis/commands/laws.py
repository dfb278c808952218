"""The command that lists laws."""

from __future__ import annotations

from analysis.commands.declared import law_of
from analysis.commands.options import (
    LawName,
)
from trainers.schema import InputError


def list_laws(name: LawName = None) -> None:
    """List the laws that can be fitted; with a name, one of them in full."""
    from rich.console import Console

    from analysis.law import all_laws
    from analysis.reporting.show_laws import show_law, show_laws

    if name is None:
        show_laws(all_laws(), Console())
    elif "=" in name:
        raise InputError("law: expected a name or a YAML file; a formula says all that it is")
    else:
        show_law(law_of(name, ()), name, Console())
