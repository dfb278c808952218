"""One layer of a transformer: self-attention, cross-attention where there is one, and an MLP."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from trainers.models.activation import ACTIVATIONS, Activation
from trainers.models.attention import (
    Memory,
    Sight,
    ask,
    attend,
    attention_parameters,
    remember,
)
from trainers.models.position import Position
from trainers.models.stack import (
    Parameter,
    Weights,
    elementwise,
    layer_norm,
    linear,
    linear_parameters,
    norm_parameters,
)

Hidden = Float[Tensor, "trial token width"]
"""The stream of every token: those of the examples of a trial one after the other."""

_CLOSED = -3.0  # where the bias of a copy gate starts: 95 % of a layer's input is copied


@dataclass(frozen=True)
class Style:
    """What all layers of a transformer have in common."""

    width: int
    heads: int
    hidden: int  # neurons of the MLP
    activation: Activation
    norm: Literal["pre", "post"]
    gated: bool
    position: Position
    score: float  # times the scores of attention
    branch: float  # times what each part adds to the stream


@dataclass(frozen=True)
class Other:
    """What a layer reads from another line, through its cross-attention."""

    memory: Memory
    sight: Sight


def block_parameters(
    style: Style, name: str, length: int, *, causal: bool, crosses: bool
) -> Iterator[Parameter]:
    """What one layer learns, for lines of up to `length` tokens."""
    width, hidden = style.width, style.hidden
    for part in ("self", "cross") if crosses else ("self",):
        yield from norm_parameters(f"{name}.{part}.norm", width)
        yield from attention_parameters(f"{name}.{part}", width)
    yield from style.position.layer_parameters(
        f"{name}.self", length, width // style.heads, causal=causal
    )
    yield from norm_parameters(f"{name}.mlp.norm", width)
    yield from linear_parameters(f"{name}.mlp.in", width, hidden)
    yield from linear_parameters(f"{name}.mlp.out", hidden, width)
    if style.gated:
        yield from linear_parameters(f"{name}.gate.in", width, width)
        weight, bias = linear_parameters(f"{name}.gate.out", width, width)
        yield weight
        yield Parameter(bias.name, bias.shape, "constant", _CLOSED)


def block(
    weights: Weights,
    style: Style,
    name: str,
    x: Hidden,
    sight: Sight,
    past: Memory | None,
    other: Other | None,
    scored: int | None,
) -> tuple[Float[Tensor, "trial scored width"], Memory]:
    """The stream after this layer at its last `scored` places, and the layer's memory.

    Only keys and values are needed at places that are not scored, so nothing else is computed
    there. Norms stand before each part (Xiong et al. 2020, arXiv:2002.04745) or after its sum with
    the stream (Vaswani et al. 2017, arXiv:1706.03762).
    """
    position, heads, part = style.position, style.heads, f"{name}.self"
    normed = _before(style, weights, part, x)
    memory = remember(weights, part, heads, normed, position, sight.at)
    if past is not None:
        memory = past.extended(memory)
    if scored is not None:
        x, normed = sight.of_last(x, scored), sight.of_last(normed, scored)
        sight = sight.last(scored)
    queries = ask(weights, part, heads, normed, position, sight.at)
    read = attend(weights, part, queries, memory, position, sight, style.score, itself=True)
    y = _after(style, weights, part, torch.add(x, read, alpha=style.branch))
    if other is not None:
        part, there = f"{name}.cross", Sight(sight.at, other.sight.mask, causal=False)
        normed = _before(style, weights, part, y)
        queries = ask(weights, part, heads, normed, position, sight.at)
        read = attend(
            weights, part, queries, other.memory, position, there, style.score, itself=False
        )
        y = _after(style, weights, part, torch.add(y, read, alpha=style.branch))
    normed = _before(style, weights, f"{name}.mlp", y)
    added = _mlp(style, weights, name, normed)
    y = _after(style, weights, f"{name}.mlp", torch.add(y, added, alpha=style.branch))
    return (_gated(weights, name, x, y, normed) if style.gated else y), memory


def _before(style: Style, weights: Weights, name: str, x: Hidden) -> Hidden:
    return layer_norm(weights, f"{name}.norm", x) if style.norm == "pre" else x


def _after(style: Style, weights: Weights, name: str, x: Hidden) -> Hidden:
    return layer_norm(weights, f"{name}.norm", x) if style.norm == "post" else x


def _mlp(style: Style, weights: Weights, name: str, x: Hidden) -> Hidden:
    hidden = elementwise(ACTIVATIONS[style.activation], linear(weights, f"{name}.mlp.in", x))
    return linear(weights, f"{name}.mlp.out", hidden)


def _gated(weights: Weights, name: str, before: Hidden, after: Hidden, normed: Hidden) -> Hidden:
    """A copy gate: each number of the stream is copied from before the layer, or updated by it.

    The gate sees what the MLP sees. Source: Csordas, Irie and Schmidhuber 2021, arXiv:2110.07732,
    section 2.1; unlike there, the MLP keeps its sum with the stream.
    """
    hidden = torch.relu(linear(weights, f"{name}.gate.in", normed))
    gate = elementwise(torch.sigmoid, linear(weights, f"{name}.gate.out", hidden))
    return torch.lerp(before, after, gate.to(before.dtype))
