"""One step of a recurrent layer, for every kind of cell.

A memory is what a layer hands on to the next step, its output first.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float
from torch import Tensor

from trainers.models.stack import Weights, elementwise

Cell = Literal["relu", "tanh", "lstm", "gru", "diagonal", "signed_diagonal"]

GATES: dict[Cell, int] = {
    "relu": 1,
    "tanh": 1,
    "lstm": 4,
    "gru": 3,
    "diagonal": 3,
    "signed_diagonal": 3,
}
"""Linear maps of the input to the width of a layer."""

LINEAR: frozenset[Cell] = frozenset({"diagonal", "signed_diagonal"})
"""Cells whose state enters the next one by numbers of its own alone, never mixed."""

ONE: frozenset[Cell] = frozenset({"relu", "tanh", "gru"})
"""Cells whose memory is their output and nothing else."""

Memory = tuple[Float[Tensor, "trial batch width"], ...]
Step = Float[Tensor, "trial batch width"]
Given = Float[Tensor, "trial batch gates"]


def run(
    cell: Cell,
    weights: Weights,
    name: str,
    memory: Memory,
    inputs: Sequence[Given],
    present: Bool[Tensor, "trial batch pos"] | None,
) -> tuple[list[Step], Memory]:
    """Outputs of a layer at every place, and its memory after the last, from maps of its inputs.

    What is not `present` changes nothing; None says that everything is.
    """
    outputs: list[Step] = []
    here = [None] * len(inputs) if present is None else present[..., None].unbind(2)
    for given, now in zip(inputs, here, strict=True):
        after = _STEPS[cell](weights, name, memory, given)
        memory = after if now is None else _kept(now, after, memory)
        outputs.append(memory[0])
    return outputs, memory


def _kept(here: Bool[Tensor, "trial batch 1"], new: Memory, old: Memory) -> Memory:
    """The new memory of the rows that have a token here, the old one of the others."""
    return tuple(torch.where(here, after, before) for after, before in zip(new, old, strict=True))


def _plain(weights: Weights, name: str, memory: Memory, given: Given) -> Given:
    return torch.baddbmm(given, memory[0], weights[f"{name}.state.weight"])


def _relu(weights: Weights, name: str, memory: Memory, given: Given) -> Memory:
    return (torch.relu(_plain(weights, name, memory, given)),)


def _tanh(weights: Weights, name: str, memory: Memory, given: Given) -> Memory:
    return (elementwise(torch.tanh, _plain(weights, name, memory, given)),)


def _lstm(weights: Weights, name: str, memory: Memory, given: Given) -> Memory:
    """Input, forget, cell and output gate, in this order.

    Source: Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; the forget gate:
    Gers, Schmidhuber and Cummins 2000, doi:10.1162/089976600300015015.
    """
    sums = _plain(weights, name, memory, given).chunk(4, dim=-1)
    into, forget, out = (elementwise(torch.sigmoid, sums[n].contiguous()) for n in (0, 1, 3))
    new = elementwise(torch.tanh, sums[2].contiguous())
    state = forget * memory[1] + into * new
    return out * elementwise(torch.tanh, state), state


def _gru(weights: Weights, name: str, memory: Memory, given: Given) -> Memory:
    """Reset and update gate and new value, in this order; reset acts after the product, as cuDNN's.

    Source: Cho et al. 2014, arXiv:1406.1078, in the variant of torch.nn.GRU.
    """
    # a view, so that its gradients are added up before others join them, however much is padding
    state = memory[0].view_as(memory[0])
    recalled = torch.bmm(state, weights[f"{name}.state.weight"]).chunk(3, dim=-1)
    asked = given.chunk(3, dim=-1)
    reset, update = (elementwise(torch.sigmoid, asked[n] + recalled[n]) for n in (0, 1))
    bias = weights[f"{name}.state.bias"][:, None]
    new = elementwise(torch.tanh, asked[2] + reset * (recalled[2] + bias))
    return (new + update * (state - new),)


def _diagonal(weights: Weights, name: str, memory: Memory, given: Given) -> Memory:
    """The state h becomes a h + u with a = sigmoid of the input, in (0, 1); the output is h silu(z).

    Source: Grazzi et al. 2024, arXiv:2411.12537.
    """
    decay, update, gate = _parts(given)
    state = memory[1] * elementwise(torch.sigmoid, decay) + update
    return state * elementwise(F.silu, gate), state


def _signed_diagonal(weights: Weights, name: str, memory: Memory, given: Given) -> Memory:
    """As `_diagonal`, with a = 2 sigmoid - 1 of the input in (-1, 1)."""
    decay, update, gate = _parts(given)
    state = memory[1] * (2 * elementwise(torch.sigmoid, decay) - 1) + update
    return state * elementwise(F.silu, gate), state


def _parts(given: Given) -> list[Step]:
    return [part.contiguous() for part in given.chunk(3, dim=-1)]


_STEPS = {
    "relu": _relu,
    "tanh": _tanh,
    "lstm": _lstm,
    "gru": _gru,
    "diagonal": _diagonal,
    "signed_diagonal": _signed_diagonal,
}


def first_memory(cell: Cell, like: Sequence[int], value: float, device: torch.device) -> Memory:
    """The memory before the first token: every state has this value."""
    state = torch.full(tuple(like), value, device=device)
    return (state, state) if cell == "lstm" or cell in LINEAR else (state,)
