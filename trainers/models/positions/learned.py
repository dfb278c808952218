from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from trainers.models.position import Position
from trainers.models.stack import Parameter, Weights, embedding


class Learned(Position):
    """One learned vector for each place, no more places than the sequence has.

    Source: Gehring et al. 2017, arXiv:1705.03122, section 3.1.
    """

    kind: Literal["learned"] = "learned"

    @override
    def parameters(self, name: str, length: int, width: int) -> tuple[Parameter, ...]:
        return (Parameter(f"{name}.place", (length, width), "normal", width**-0.5),)

    @override
    def embed(
        self, weights: Weights, name: str, at: Int[Tensor, "trial batch pos"]
    ) -> Float[Tensor, "trial batch pos width"]:
        return embedding(weights[f"{name}.place"], at)

    @override
    def rotate(
        self, x: Float[Tensor, "rows head pos dim"], at: Int[Tensor, "rows pos"]
    ) -> Float[Tensor, "rows head pos dim"]:
        return x
