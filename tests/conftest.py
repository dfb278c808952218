"""Shapes of `trainers` and `analysis` are checked, but in the folders whose tests train for long."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

# before numpy: its threads get in each other's way where tests run side by side
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import settings
from jaxtyping import config as jaxtyping_config
from jaxtyping import install_import_hook

from tests.shapes import check_again

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
# until a test begins: to collect them, every process makes thousands of configs
jaxtyping_config.update("jaxtyping_disable", True)

# a shell starts what runs in its background deaf to Ctrl-C, and tests send that to their children
signal.signal(signal.SIGINT, signal.default_int_handler)

import torch  # noqa: E402 (the hook comes before what it watches)

from trainers.machine import prepare  # noqa: E402

prepare()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Integration tests first: those on Ray follow one another, and are the longest chain."""
    items.sort(key=lambda item: "integration" not in item.path.parts)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse versions of pytest and xdist that do not keep the tests of a group together."""
    if getattr(session.config.option, "loadgroup", False):
        groups = [each for each in session.items if each.get_closest_marker("xdist_group")]
        lost = [each.nodeid for each in groups if "@" not in each.nodeid]
        assert not lost, f"xdist knows no group of {lost[0]}: install with constraints.txt"


# what these call is checked in the unit and conformance tests, and checking takes longer than training
UNCHECKED = {"property", "integration", "reproduction", "chaos"}


@pytest.fixture(autouse=True)
def _shapes(request: pytest.FixtureRequest) -> None:
    """Shapes are checked or not, by the folder of the test."""
    check_again()
    jaxtyping_config.update("jaxtyping_disable", not UNCHECKED.isdisjoint(request.path.parts))


@pytest.fixture(autouse=True)
def _denormal_numbers() -> Iterator[None]:
    """Hypothesis draws denormal numbers, which a process that trains takes for zero."""
    torch.set_flush_denormal(False)
    yield
    torch.set_flush_denormal(False)
