"""The lists of plug-ins, and the fields of each, as a person reads them."""

import io
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from sweeps.inspecting.plugin_help import show_plugin, show_plugins
from trainers import models
from trainers.data import encodings, tasks
from trainers.data.encoding import Encoding
from trainers.data.task import Task
from trainers.models import positions
from trainers.models.model import Model
from trainers.models.position import Position
from trainers.plugins import kinds
from trainers.schema import InputError

FOLDERS: list[tuple[str, ModuleType, type[Any]]] = [
    ("task", tasks, Task),
    ("encoding", encodings, Encoding),
    ("model", models, Model),
    ("position", positions, Position),
]


def screen(width: int = 120) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=width), text


@pytest.mark.parametrize(("title", "folder", "base"), FOLDERS)
def test_a_list_names_every_one_with_its_source(
    title: str, folder: ModuleType, base: type[Any]
) -> None:
    console, text = screen()
    show_plugins(title, folder, base, console)
    lines = text.getvalue().splitlines()
    for name in kinds(folder, base):
        (row,) = [number for number, line in enumerate(lines) if line.split(" ")[0] == name]
        about = " ".join(lines[row : row + 5])
        assert "arXiv:" in about or "doi:" in about


@pytest.mark.parametrize(("title", "folder", "base"), FOLDERS)
def test_every_field_of_every_one_is_shown_with_its_default(
    title: str, folder: ModuleType, base: type[Any]
) -> None:
    for name, kind in kinds(folder, base).items():
        console, text = screen(200)
        show_plugin(title, folder, base, name, console)
        rows = {line.split(" ")[0]: line for line in text.getvalue().splitlines()}
        for field, info in kind.model_fields.items():
            if field == "kind":
                continue
            assert field in rows
            assert info.is_required() == rows[field].rstrip().endswith("required")


def test_values_are_written_as_in_a_sweep_file() -> None:
    console, text = screen(200)
    show_plugin("task", tasks, Task, "gcd", console)
    shown = " ".join(text.getvalue().split())
    assert "operands uniform | log_uniform uniform" in shown
    assert "top_class integer 1..1000 100" in shown
    assert "1_000_000" in shown


def test_an_unknown_name_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"expected a task, one of addition, .* got 'gdc'"):
        show_plugin("task", tasks, Task, "gdc", screen()[0])
