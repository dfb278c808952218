"""Shapes are checked in every test: the annotations of `trainers` are verified at each call."""

from jaxtyping import install_import_hook

install_import_hook(["trainers"], "beartype.beartype")

from trainers.machine import prepare  # noqa: E402 (the hook comes before what it watches)

prepare()
