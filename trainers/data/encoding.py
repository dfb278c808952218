"""How an example is written: the interface of an encoding, integers to tokens and back."""

from abc import ABC, abstractmethod

from jaxtyping import Int
from torch import Tensor

from trainers.data.shape import TokenShape
from trainers.data.task import Bounds
from trainers.schema import Frozen

PAD, START, END = 0, 1, 2
"""Tokens of every vocabulary: nothing stands here; the decoder's first input; the answer is over."""

SPECIAL_TOKENS = 3


class Encoding(Frozen, ABC):
    """Writes integers as tokens. Sequences are of fixed length, tokens first and padding after them."""

    @abstractmethod
    def vocabulary(self) -> int:
        """Number of tokens, the special ones included."""

    @abstractmethod
    def length(self, bounds: tuple[int, ...]) -> int:
        """Tokens that suffice for numbers of these largest magnitudes, written one after the other."""

    @abstractmethod
    def encode(
        self, numbers: Int[Tensor, "*batch numbers"], bounds: tuple[int, ...]
    ) -> Int[Tensor, "*batch length"]:
        """Tokens of each row of numbers, padded to `length(bounds)`."""

    @abstractmethod
    def decode(self, tokens: list[int]) -> list[int] | None:
        """The numbers that a sequence spells, up to its first END or PAD; None when it spells none."""

    def shape(self, bounds: Bounds) -> TokenShape:
        """Lengths of a question and of an answer with its END."""
        return TokenShape(
            vocabulary=self.vocabulary(),
            question=self.length(bounds.question),
            answer=self.length(bounds.answer) + 1,
        )
