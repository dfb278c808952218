"""Multi-head attention of a stack: heads and trials are folded into one batched product."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trainers.models.position import Position
from trainers.models.stack import Parameter, Weights, linear, linear_parameters
from trainers.models.tables import kept

Mask = Float[Tensor, "#rows 1 #query key"]
"""Added to scores: 0 where a query may look at a key, else -inf; rows are trials times examples."""


_FEW_KEYS, _NARROW = 48, 32  # up to which small products beat the fused kernel
_VECTOR = 16  # numbers that vector code takes at once

Queries = Float[Tensor, "rows head pos dim"]


@dataclass(frozen=True)
class Memory:
    """Keys and values of one attention layer, for every place seen so far."""

    keys: Float[Tensor, "rows head pos dim"]
    values: Float[Tensor, "rows head pos dim"]

    def extended(self, more: "Memory") -> "Memory":
        """What was seen so far, followed by later places."""
        return Memory(
            torch.cat([self.keys, more.keys], dim=2), torch.cat([self.values, more.values], dim=2)
        )


@dataclass(frozen=True)
class Sight:
    """Where the tokens of a line stand, and which places each of them sees."""

    at: Int[Tensor, "rows pos"]
    mask: Mask | None  # None: every place
    causal: bool  # whether no place sees a later one

    def last(self, places: int) -> "Sight":
        """The sight of the last places alone."""
        mask = self.mask
        if mask is not None and mask.shape[2] > 1:
            mask = mask[:, :, -places:]
        return Sight(self.at[:, -places:], mask, self.causal)

    def of_last(
        self, x: Float[Tensor, "trial token width"], places: int
    ) -> Float[Tensor, "trial scored width"]:
        """The tokens of x that stand at the last places of their rows."""
        trials, _, width = x.shape
        rows = x.view(trials, -1, self.at.shape[1], width)
        return rows[:, :, -places:].reshape(trials, -1, width)


def attention_parameters(name: str, width: int) -> tuple[Parameter, ...]:
    """Maps to queries, to keys and values, and out of the heads."""
    return (
        *linear_parameters(f"{name}.query", width, width),
        *linear_parameters(f"{name}.memory", width, 2 * width),
        *linear_parameters(f"{name}.out", width, width),
    )


def ask(
    weights: Weights,
    name: str,
    heads: int,
    x: Float[Tensor, "trial token width"],
    position: Position,
    at: Int[Tensor, "rows pos"],
) -> Queries:
    """Queries of every token of x, which are those of the rows, one after the other."""
    return position.rotate(_split(linear(weights, f"{name}.query", x), at, heads), at)


def remember(
    weights: Weights,
    name: str,
    heads: int,
    x: Float[Tensor, "trial token width"],
    position: Position,
    at: Int[Tensor, "rows pos"],
) -> Memory:
    """Keys and values of every token of x."""
    rows, places = at.shape
    both = linear(weights, f"{name}.memory", x)
    both = both.view(rows, places, 2, heads, -1).permute(2, 0, 3, 1, 4)
    if _by_products(both):
        both = both.contiguous()  # one copy here, instead of one of each later
    keys, values = both.unbind()
    return Memory(position.rotate(keys, at), values)


def attend(
    weights: Weights,
    name: str,
    queries: Queries,
    memory: Memory,
    position: Position,
    sight: Sight,
    score: float,
    *,
    itself: bool,
) -> Float[Tensor, "trial token width"]:
    """What each query reads from the memory, which is of the line `itself` or of another one.

    `score` multiplies the products of queries and keys beyond their 1 / sqrt(dim).
    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.
    """
    keys = memory.keys  # as a learned term of the scores meets them
    if score != 1:
        queries, keys = queries * score, keys * score
    mask = sight.mask
    if itself:
        terms = position.relate(weights, name, queries, keys, causal=sight.causal)
        if terms is not None:
            mask = terms if mask is None else terms + mask
    read = _read(queries, memory, mask)
    trials = weights[f"{name}.out.weight"].shape[0]
    joined = read.transpose(1, 2).reshape(trials, -1, read.shape[1] * read.shape[3])
    return linear(weights, f"{name}.out", joined)


def seen(present: Bool[Tensor, "rows key"]) -> Mask:
    """Every place sees the present ones."""
    return torch.where(present, 0.0, -math.inf)[:, None, None, :]


@kept
def before(places: int, device: torch.device) -> Mask:
    """Each place sees itself and those before it, in lines without padding."""
    return torch.full((1, 1, places, places), -math.inf, device=device).triu_(1)


def seen_before(present: Bool[Tensor, "rows pos"]) -> Mask:
    """Each place sees itself and the present places before it.

    Padding sees itself as well: the softmax of an empty row would be NaN.
    """
    places = present.shape[-1]
    # of numbers, since vector code adds and compares them many at a time, and does not choose
    return torch.maximum(
        before(places, present.device) + seen(present), _itself(places, present.device)
    )


@kept
def _itself(places: int, device: torch.device) -> Mask:
    """Each place sees itself alone."""
    return torch.full((places, places), -math.inf, device=device).fill_diagonal_(0.0)[None, None]


def _read(
    queries: Queries, memory: Memory, mask: Float[Tensor, "#rows #head #query key"] | None
) -> Float[Tensor, "rows head query dim"]:
    """The sum of values, weighted by the softmax of the scores.

    On a CPU two products of all small matrices at once are up to twice as fast as the fused kernel,
    which pays from about 50 keys on, or for wide heads (measured, forward and backward). The choice
    must not depend on the number of rows: a trial's bits would depend on its pack.
    """
    places, width = queries.shape[2:]
    keys = memory.keys.shape[2]
    if places == 1 or mask is None or not _by_products(memory.keys):
        return F.scaled_dot_product_attention(queries, memory.keys, memory.values, attn_mask=mask)
    scores = torch.bmm(
        queries.reshape(-1, places, width), memory.keys.reshape(-1, keys, width).mT
    ).view(*queries.shape[:3], keys)
    shares = _softmax(torch.add(mask, scores, alpha=width**-0.5)).flatten(0, 1)
    read = torch.bmm(shares, memory.values.reshape(-1, keys, width))
    return read.view(queries.shape)


def _by_products(keys: Float[Tensor, "... pos dim"]) -> bool:
    return keys.device.type == "cpu" and keys.shape[-2] <= _FEW_KEYS and keys.shape[-1] <= _NARROW


def _softmax(scores: Float[Tensor, "rows head query key"]) -> Float[Tensor, "rows head query key"]:
    """Softmax over the keys; vector code takes less than 16 numbers of a row one at a time."""
    keys = scores.shape[-1]
    if keys >= _VECTOR:
        return scores.softmax(dim=-1)
    padded = torch.constant_pad_nd(scores, (0, _VECTOR - keys), -math.inf)
    return padded.softmax(dim=-1)[..., :keys]


def _split(
    x: Float[Tensor, "trial token width"], at: Int[Tensor, "rows pos"], heads: int
) -> Float[Tensor, "rows head pos dim"]:
    rows, places = at.shape
    return x.view(rows, places, heads, -1).transpose(1, 2)
