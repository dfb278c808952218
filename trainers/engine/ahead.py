"""Examples that were made several steps ahead, each row of a pack at its own place."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.batches import Batch, NumberBatch, TokenBatch


@dataclass
class Ahead:
    """The examples of the next steps of a pack, of which some are used up."""

    made: Batch
    steps: int  # that were made
    repeats: bool  # whether every step shows the same ones, of which there is then one
    used: int = 0

    @property
    def is_used_up(self) -> bool:
        """Whether more have to be made before the next step."""
        return self.used == self.steps and not self.repeats

    def next(self) -> Batch:
        """The examples of the next step."""
        place = 0 if self.repeats else self.used
        self.used += 1
        size = examples_of(self.made) // self.steps
        return self.made.part(place * size, (place + 1) * size)

    def replace(self, rows: Sequence[int], made: Batch) -> None:
        """Other trials have taken these rows: show them their own examples from the next step on."""
        first = 0 if self.repeats else self.used * (examples_of(self.made) // self.steps)
        self.made = replaced(self.made, rows, first, made)

    def keep(self, rows: list[int]) -> None:
        """Go on with these rows alone."""
        self.made = self.made.of(rows)


def examples_of(batch: Batch) -> int:
    """Examples of each trial."""
    return (batch.inputs if isinstance(batch, NumberBatch) else batch.question).shape[1]


def tensors_of(batch: Batch) -> list[Tensor]:
    """What a batch consists of, always in the same order."""
    if isinstance(batch, NumberBatch):
        return [batch.inputs, batch.targets]
    parts = [batch.question, batch.answer]
    return parts if batch.auxiliary is None else [*parts, batch.auxiliary]


def batch_of(tensors: Sequence[Tensor], like: Batch) -> Batch:
    """The batch that consists of these."""
    return NumberBatch(*tensors) if isinstance(like, NumberBatch) else TokenBatch(*tensors)


def replaced(batch: Batch, rows: Sequence[int], first: int, made: Batch) -> Batch:
    """A batch in which these rows show others from example `first` on, one trial of `made` a row."""
    found: list[Tensor] = []
    for old, new in zip(tensors_of(batch), tensors_of(made), strict=True):
        tensor = old.clone(memory_format=torch.contiguous_format)
        tensor[list(rows), first:] = new
        found.append(tensor)
    return batch_of(found, batch)
