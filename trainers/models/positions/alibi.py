import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from trainers.models.position import RelativePosition
from trainers.models.stack import Parameter, Weights
from trainers.models.tables import kept


class Alibi(RelativePosition):
    """Scores fall with the distance, in each head at its own slope; nothing is learned.

    Where tokens see both sides it is symmetric, and cross-attention has no slope: a decoder that
    reads an encoder cannot tell a question from its mirror image. The slopes of 2^k heads are
    2^(-8 i / 2^k); other numbers of heads take those of the next smaller power of two, then every
    second one of the next larger.
    Source: Press, Smith and Lewis 2021, arXiv:2108.12409.
    """

    kind: Literal["alibi"] = "alibi"

    @override
    def layer_parameters(
        self, name: str, length: int, width: int, *, causal: bool
    ) -> tuple[Parameter, ...]:
        return ()

    @override
    def relate(
        self,
        weights: Weights,
        name: str,
        queries: Float[Tensor, "rows head query dim"],
        keys: Float[Tensor, "rows head key dim"],
        *,
        causal: bool,
    ) -> Float[Tensor, "1 head query key"]:
        slope = _slopes(queries.shape[1], queries.device).to(queries.dtype)
        key = torch.arange(keys.shape[2], device=keys.device)
        distance = (key[-queries.shape[2] :, None] - key).abs()
        return -slope[None, :, None, None] * distance

    @override
    def products(self) -> int:
        return 0


@kept  # a captured step may copy nothing from the host
def _slopes(heads: int, device: torch.device) -> Float[Tensor, " head"]:
    return torch.tensor(slopes(heads), device=device)


def slopes(heads: int) -> list[float]:
    """How much a score falls with each token of distance, one slope a head.

    Source: Press, Smith and Lewis 2021, arXiv:2108.12409, and its published code.
    """
    power = 1 << int(math.log2(heads))
    first = [2.0 ** (-8 * head / power) for head in range(1, power + 1)]
    between = [2.0 ** (-8 * head / (2 * power)) for head in range(1, 2 * power + 1, 2)]
    return first + between[: heads - power]
