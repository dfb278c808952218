"""How a transformer knows where a token stands: the interface of a position encoding."""

from abc import ABC, abstractmethod
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from trainers.models.stack import Parameter, Weights
from trainers.schema import Frozen


class Position(Frozen, ABC):
    """Adds something to the embeddings, or turns queries and keys, or both; `at` counts from 0."""

    kind: Any  # a subclass says Literal[its file's name]

    @abstractmethod
    def parameters(self, name: str, length: int, width: int) -> tuple[Parameter, ...]:
        """What is learned for sequences of up to `length` tokens."""

    @abstractmethod
    def embed(
        self, weights: Weights, name: str, at: Int[Tensor, "trial batch pos"]
    ) -> Float[Tensor, "trial batch pos width"] | None:
        """What is added to the embedding of the token at each place; None adds nothing."""

    @abstractmethod
    def rotate(
        self, x: Float[Tensor, "rows head pos dim"], at: Int[Tensor, "rows pos"]
    ) -> Float[Tensor, "rows head pos dim"]:
        """Queries or keys as turned by their place."""
