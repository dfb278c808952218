"""Shapes are checked in every test: the annotations of `trainers` are verified at each call."""

from collections.abc import Iterator

import pytest
from jaxtyping import install_import_hook

install_import_hook(["trainers"], "beartype.beartype")

import torch  # noqa: E402 (the hook comes before what it watches)

from trainers.machine import prepare  # noqa: E402

prepare()


@pytest.fixture(autouse=True)
def _denormal_numbers() -> Iterator[None]:
    """Hypothesis draws denormal numbers, which a process that trains takes for zero."""
    torch.set_flush_denormal(False)
    yield
    torch.set_flush_denormal(False)
