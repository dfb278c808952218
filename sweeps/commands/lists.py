"""The commands that say what there is: tasks, encodings, models, positions, sweeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.commands.options import NameArgument
from trainers.schema import InputError

if TYPE_CHECKING:
    from pathlib import Path
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


def catalog(
    name: Annotated[
        str | None, typer.Argument(help="One of them: its file, to copy and change.")
    ] = None,
) -> None:
    """List the sweeps that ship (`reproduce` runs those of a scale); with a name, print its file."""
    from sweeps.planning.plan import plan
    from sweeps.shipped import TOPICS, like, scale_of
    from sweeps.shipped import catalog as files
    from sweeps.spec import load

    if name is not None:
        shipped = {file.stem: file for file in files()}
        if name not in shipped:
            raise InputError(f"{name}: expected {like(name, shipped)}")
        typer.echo(shipped[name].read_text(), nl=False)
        return
    table = Table(box=None, pad_edge=False)
    for title in ("sweep", "scale"):
        table.add_column(title, no_wrap=True)
    table.add_column("trials", justify="right")
    table.add_column("what it asks")
    by_topic: dict[str, list[Path]] = {topic: [] for topic in TOPICS}
    sweeps = {file: load(str(file)) for file in files()}
    for file, sweep in sweeps.items():
        by_topic[sweep.topic].append(file)
    for topic, found in by_topic.items():
        table.add_row(Text(topic, style="bold"))
        for file in found:
            trials = f"{len(plan(sweeps[file]).trials):,}"
            asks = sweeps[file].report.question or sweeps[file].about
            table.add_row(f"  {file.stem}", scale_of(file), trials, asks)
    Console().print(table)


def _list_plugins(title: str, folder: ModuleType, base: type[BaseModel], name: str | None) -> None:
    from sweeps.inspecting.plugin_help import show_plugin, show_plugins

    if name is None:
        show_plugins(title, folder, base, Console())
    else:
        show_plugin(title, folder, base, name, Console())
