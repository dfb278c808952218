"""Shapes are checked in every test: those of `trainers` and `analysis` are verified at each call."""

import os
from collections.abc import Iterator
from pathlib import Path

# before numpy: its threads get in each other's way where tests run side by side
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

import tests.shapes  # noqa: F401 (the hook below takes its name apart, and looks it up)

# the same examples in every run, and no limit on one of them: a busy machine is not a failure
settings.register_profile("lawsweep", deadline=None, derandomize=True)
settings.load_profile("lawsweep")

# all but the commands: typer hands these a context of another class than it names
ANALYSIS = {
    f"analysis.{path.stem}"
    for path in (Path(__file__).parents[1] / "analysis").iterdir()
    if path.stem not in {"__init__", "__pycache__", "cli", "commands"}
}
install_import_hook(["trainers", *sorted(ANALYSIS)], "tests.shapes.checked")

import torch  # noqa: E402 (the hook comes before what it watches)

from trainers.machine import prepare  # noqa: E402

prepare()


@pytest.fixture(autouse=True)
def _denormal_numbers() -> Iterator[None]:
    """Hypothesis draws denormal numbers, which a process that trains takes for zero."""
    torch.set_flush_denormal(False)
    yield
    torch.set_flush_denormal(False)
