"""How an example is written: the interface of an encoding, integers to tokens and back."""

from abc import ABC, abstractmethod
from typing import Any

from jaxtyping import Int
from torch import Tensor

from trainers.data.shape import TokenShape
from trainers.data.task import Bounds
from trainers.schema import Frozen

PAD, START, END = 0, 1, 2
"""Tokens of every vocabulary: nothing stands here; the first input of a decoder; the end."""

SPECIAL_TOKENS = 3


class Encoding(Frozen, ABC):
    """Writes integers as tokens. Sequences have a fixed length: tokens first, then padding."""

    kind: Any  # a subclass says Literal[its file's name]

    @abstractmethod
    def vocabulary(self) -> int:
        """Number of tokens, the special ones included."""

    @abstractmethod
    def length(self, bounds: tuple[int, ...]) -> int:
        """Tokens that suffice for numbers up to these magnitudes, one after the other."""

    @abstractmethod
    def encode(
        self, numbers: Int[Tensor, "*batch numbers"], bounds: tuple[int, ...]
    ) -> Int[Tensor, "*batch length"]:
        """Tokens of each row of numbers, padded to `length(bounds)`."""

    @abstractmethod
    def decode(self, tokens: list[int]) -> list[int] | None:
        """The numbers that a sequence spells, up to its first END or PAD.

        None where `encode` would write no numbers so: what is not written exactly is not right.
        """

    def shape(self, bounds: Bounds) -> TokenShape:
        """Lengths of a question and of an answer with its END."""
        return TokenShape(
            vocabulary=self.vocabulary(),
            question=self.length(bounds.question),
            answer=self.length(bounds.answer) + 1,
        )
