"""How a transformer knows where a token stands: the interface of a position encoding."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from trainers.data.draws import mix_tensor
from trainers.data.encoding import PAD
from trainers.data.shape import TokenShape
from trainers.models.stack import Parameter, Weights
from trainers.models.tables import kept
from trainers.schema import Frozen


@dataclass(frozen=True)
class Line:
    """The tokens in front of one stack of layers, and what is known of where they stand."""

    tokens: Int[Tensor, "trial batch pos"]
    at: Int[Tensor, "trial #batch pos"]  # counted from 0 at the first true token
    question: Int[Tensor, "trial batch question"]
    asks: bool  # whether the question is a part of this line
    slots: int  # places of the answer in this line, those still to be filled included

    def followed_by(self, token: Int[Tensor, "trial batch 1"]) -> "Line":
        """The line with one more token."""
        tokens = torch.cat([self.tokens, token], dim=-1)
        at = torch.cat([self.at, self.at[..., -1:] + 1], dim=-1)
        return replace(self, tokens=tokens, at=at)

    @property
    def total(self) -> Int[Tensor, "trial batch"] | int:
        """Places that the line has once the answer is whole, without the question's padding."""
        return self.slots + ((self.question != PAD).sum(dim=-1) if self.asks else 0)

    @property
    def chance(self) -> Int[Tensor, "trial batch"]:
        """64 bits that look random and are a function of the question's true tokens alone."""
        place = torch.arange(1, self.question.shape[-1] + 1, device=self.at.device)
        # padding counts for nothing, so that the bits do not depend on how far a batch is padded
        word = mix_tensor(mix_tensor(place) + self.question) * (self.question != PAD)
        return mix_tensor(word.sum(dim=-1))


class Position(Frozen, ABC):
    """What a place does to embeddings, queries and keys, or scores: a subclass of one of three."""

    kind: Any  # a subclass says Literal[its file's name]

    @abstractmethod
    def parameters(
        self, side: str, shape: TokenShape, length: int, width: int
    ) -> tuple[Parameter, ...]:
        """What is learned once for lines of up to `length` tokens; names of tables end in `place`.

        Raises:
            ValueError: the encoding cannot write lines of this shape.

        """

    @abstractmethod
    def layer_parameters(
        self, name: str, length: int, width: int, *, causal: bool
    ) -> tuple[Parameter, ...]:
        """What each self-attention learns, shared by its heads, which have this width."""

    @abstractmethod
    def places(self, line: Line) -> Int[Tensor, "trial #batch pos"]:
        """The place of each token, as the methods below take it; one row where all rows are alike."""

    @abstractmethod
    def embed(
        self,
        weights: Weights,
        side: str,
        at: Int[Tensor, "trial #batch pos"],
        *,
        columns: int,
        width: int,
    ) -> Float[Tensor, "trial #batch pos width"] | None:
        """What is added to the embedding of the token at each place; None adds nothing.

        `columns` is how many the line has, so that counted places are below it.
        """

    @abstractmethod
    def rotate(
        self, x: Float[Tensor, "rows head pos dim"], at: Int[Tensor, "rows pos"]
    ) -> Float[Tensor, "rows head pos dim"]:
        """Queries or keys as turned by their place."""

    @abstractmethod
    def relate(
        self,
        weights: Weights,
        name: str,
        queries: Float[Tensor, "rows head query dim"],
        keys: Float[Tensor, "rows head key dim"],
        *,
        causal: bool,
    ) -> Float[Tensor, "#rows head query key"] | None:
        """What is added to the scores of self-attention, which are products over sqrt(dim).

        The queries stand at the last places of the keys. A line is padded at one end only, so that
        two columns are as far apart as their tokens. Cross-attention has no such term: a place in
        the answer is at no distance from a place in the question.
        """

    @abstractmethod
    def products(self) -> int:
        """Products of `relate` that are as large as that of queries and keys."""


class AddedPosition(Position, ABC):
    """Adds a vector to each embedding, and leaves attention as it is."""

    @override
    def layer_parameters(
        self, name: str, length: int, width: int, *, causal: bool
    ) -> tuple[Parameter, ...]:
        return ()

    @override
    def rotate(
        self, x: Float[Tensor, "rows head pos dim"], at: Int[Tensor, "rows pos"]
    ) -> Float[Tensor, "rows head pos dim"]:
        return x

    @override
    def relate(
        self,
        weights: Weights,
        name: str,
        queries: Float[Tensor, "rows head query dim"],
        keys: Float[Tensor, "rows head key dim"],
        *,
        causal: bool,
    ) -> None:
        return None

    @override
    def products(self) -> int:
        return 0


class TurnedPosition(Position, ABC):
    """Turns queries and keys, and leaves embeddings and scores as they are."""

    @override
    def parameters(
        self, side: str, shape: TokenShape, length: int, width: int
    ) -> tuple[Parameter, ...]:
        return ()

    @override
    def layer_parameters(
        self, name: str, length: int, width: int, *, causal: bool
    ) -> tuple[Parameter, ...]:
        return ()

    @override
    def places(self, line: Line) -> Int[Tensor, "trial #batch pos"]:
        return line.at

    @override
    def embed(
        self,
        weights: Weights,
        side: str,
        at: Int[Tensor, "trial #batch pos"],
        *,
        columns: int,
        width: int,
    ) -> None:
        return None

    @override
    def relate(
        self,
        weights: Weights,
        name: str,
        queries: Float[Tensor, "rows head query dim"],
        keys: Float[Tensor, "rows head key dim"],
        *,
        causal: bool,
    ) -> None:
        return None

    @override
    def products(self) -> int:
        return 0


class RelativePosition(Position, ABC):
    """Adds a term to the scores of self-attention, and leaves embeddings, queries and keys."""

    @override
    def parameters(
        self, side: str, shape: TokenShape, length: int, width: int
    ) -> tuple[Parameter, ...]:
        return ()

    @override
    def places(self, line: Line) -> Int[Tensor, "trial #batch pos"]:
        return line.at

    @override
    def embed(
        self,
        weights: Weights,
        side: str,
        at: Int[Tensor, "trial #batch pos"],
        *,
        columns: int,
        width: int,
    ) -> None:
        return None

    @override
    def rotate(
        self, x: Float[Tensor, "rows head pos dim"], at: Int[Tensor, "rows pos"]
    ) -> Float[Tensor, "rows head pos dim"]:
        return x


@kept
def sinusoids(
    places: int, width: int, base: float, device: torch.device
) -> Float[Tensor, "place width"]:
    """Sines and cosines of places from 0 on, in turn, over sqrt(width).

    The source adds them to embeddings times sqrt(width); divided here, they weigh as much as there.
    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5.
    """
    place = torch.arange(places, dtype=torch.float64, device=device)[:, None]
    exponent = -torch.arange(0, width, 2, dtype=torch.float64, device=device) / width
    angle = place * base**exponent  # radians
    both = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
    return (both[:, :width] * width**-0.5).to(torch.float32)
