"""Layers that keep no activations for the backward pass, where memory is short: they are made again."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from torch import Tensor
from torch.utils.checkpoint import checkpoint

from trainers.models.stack import Weights

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Recomputed(dict[str, Tensor]):
    """Weights, by whose type each layer knows that it is to be made again."""


def through(
    function: Callable[Concatenate[Weights, Given], Result],
    weights: Weights,
    *given: Given.args,
    **named: Given.kwargs,
) -> Result:
    """What a layer makes of its input, and the same once more in the backward pass if that is wanted.

    Source: Chen et al. 2016, arXiv:1604.06174.
    """
    if not isinstance(weights, Recomputed):
        return function(weights, *given, **named)
    # nothing here is drawn, so no state of a generator has to be kept
    return checkpoint(
        function, weights, *given, use_reentrant=False, preserve_rng_state=False, **named
    )


def like(weights: Weights, found: dict[str, Tensor]) -> Weights:
    """Weights that are to be treated as these are."""
    return Recomputed(found) if isinstance(weights, Recomputed) else found
