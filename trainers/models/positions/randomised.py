from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from trainers.data.draws import mix_tensor
from trainers.data.shape import TokenShape
from trainers.models.position import AddedPosition, Line, sinusoids
from trainers.models.stack import Parameter, Weights, embedding


class Randomised(AddedPosition):
    """Places drawn from a larger range and sorted, so that short lines meet those of long ones.

    A line of n places takes n numbers from 0 to range - n, sorted, the i-th of them raised by i; the
    places next to each other are a little rarer than in the source, which draws n of them without
    replacement. The numbers are a function of the question alone, in training and in tests: equal
    questions stand at equal places, and an answer is a function of what is asked.
    Source: Ruoss et al. 2023, arXiv:2305.16843.
    """

    kind: Literal["randomised"] = "randomised"
    range: int = Field(default=2_048, ge=2, le=10**6)
    vectors: Literal["sinusoidal", "learned"] = "sinusoidal"

    @override
    def parameters(
        self, side: str, shape: TokenShape, length: int, width: int
    ) -> tuple[Parameter, ...]:
        if length > self.range:
            raise ValueError(
                f"expected a position.range of at least the {length} tokens of a line,"
                f" got {self.range}"
            )
        if self.vectors == "sinusoidal":
            return ()
        return (Parameter(f"{side}.place", (self.range, width), "normal", width**-0.5),)

    @override
    def places(self, line: Line) -> Int[Tensor, "trial batch pos"]:
        total = line.total  # a number must not be copied to the device: a captured step cannot
        if isinstance(total, int):
            total = torch.full_like(line.chance, total)
        column = torch.arange(line.question.shape[-1] + line.slots, device=line.at.device)
        bits = mix_tensor(line.chance[..., None] ^ mix_tensor(column + 1))
        free = (self.range - total).clamp(min=0)[..., None]
        drawn = (bits & ((1 << 62) - 1)) % (free + 1)
        # what is past the end of the line is sorted behind all else
        ranked = torch.where(column < total[..., None], drawn, self.range).sort(dim=-1).values
        place = (ranked + column).clamp(max=self.range - 1)
        return place.gather(-1, line.at.expand(line.tokens.shape))

    @override
    def embed(
        self,
        weights: Weights,
        side: str,
        at: Int[Tensor, "trial batch pos"],
        *,
        columns: int,
        width: int,
    ) -> Float[Tensor, "trial batch pos width"]:
        if self.vectors == "sinusoidal":
            return sinusoids(self.range, width, 10_000.0, at.device)[at]
        return embedding(weights[f"{side}.place"], at)
