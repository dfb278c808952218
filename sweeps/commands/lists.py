"""The commands that say what there is: tasks, encodings, models, positions, sweeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from sweeps.commands.options import NameArgument

if TYPE_CHECKING:
    from types import ModuleType

    from pydantic import BaseModel


def tasks(name: NameArgument = None) -> None:
    """List the tasks that a trial can train on; with a name, its fields."""
    from trainers.data import tasks as folder
    from trainers.data.task import Task

    _list_plugins("task", folder, Task, name)


def positions(name: NameArgument = None) -> None:
    """List the position encodings of a transformer; with a name, its fields."""
    from trainers.models import positions as folder
    from trainers.models.position import Position

    _list_plugins("position", folder, Position, name)


def encodings(name: NameArgument = None) -> None:
    """List the ways in which questions and answers are written; with a name, its fields."""
    from trainers.data import encodings as folder
    from trainers.data.encoding import Encoding

    _list_plugins("encoding", folder, Encoding, name)


def models(name: NameArgument = None) -> None:
    """List the models that a trial can train; with a name, its fields."""
    from trainers import models as folder
    from trainers.models.model import Model

    _list_plugins("model", folder, Model, name)


def axes(name: NameArgument = None) -> None:
    """List the kinds of axes that a sweep can have; with a name, its fields."""
    from sweeps.any_axis import folder
    from sweeps.axis import Axis

    _list_plugins("axis", folder, Axis, name)


def catalog() -> None:
    """List the sweeps that ship with lawsweep."""
    from sweeps.spec import catalog as files
    from sweeps.spec import load

    table = Table("sweep", "what it asks", "source", box=None, pad_edge=False)
    for file in files():
        sweep = load(str(file))
        table.add_row(file.stem, sweep.report.question or sweep.about, sweep.source)
    Console().print(table)


def _list_plugins(title: str, folder: ModuleType, base: type[BaseModel], name: str | None) -> None:
    from sweeps.inspecting.plugin_help import show_plugin, show_plugins

    if name is None:
        show_plugins(title, folder, base, Console())
    else:
        show_plugin(title, folder, base, name, Console())
