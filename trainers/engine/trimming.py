"""Batches without the columns that are padding in every example, trials of equal lengths together.

A trial's numbers may depend on how long its lines are, to the last bit, and so on no other trial's:
each trial is cut to its own lengths, and stacked with those that have the same ones.
"""

from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from trainers.batches import Batch, TokenBatch
from trainers.data.encoding import PAD
from trainers.models.model import Model, Trimmable
from trainers.models.stack import can_look

_LENGTHS = 8  # or a few more, that a line may be cut to: trials of a pack then often share one


@dataclass(frozen=True)
class Trimmed:
    """Some trials of a pack, and what is left of their examples."""

    rows: list[int]
    batch: Batch


def trimmed(model: Model, batch: Batch) -> list[Trimmed]:
    """The whole pack in as few stacks as there are lengths; one where nothing is to be cut.

    What lies on a GPU, or has no content, is left as it is: its lengths cannot be looked at.
    """
    if not (isinstance(batch, TokenBatch) and isinstance(model, Trimmable)):
        return [_whole(batch)]
    if not (model.leaves_out_padding() and can_look(batch.question)):
        return [_whole(batch)]
    lengths = list(zip(_lengths(batch.question), _lengths(batch.answer), strict=True))
    stacks: dict[tuple[int, int], list[int]] = {}
    for row, pair in enumerate(lengths):
        stacks.setdefault(pair, []).append(row)
    return [
        Trimmed(rows, _cut(batch if len(stacks) == 1 else batch.of(rows), *pair))
        for pair, rows in stacks.items()
    ]


def _whole(batch: Batch) -> Trimmed:
    first = batch.question if isinstance(batch, TokenBatch) else batch.inputs
    return Trimmed(list(range(first.shape[0])), batch)


def _lengths(tokens: Int[Tensor, "trial batch pos"]) -> list[int]:
    """The places that each trial needs, of the few numbers of places that lines are cut to."""
    places = tokens.shape[2]
    unit = max(1, places // _LENGTHS)
    used: list[list[bool]] = (tokens != PAD).any(dim=1).tolist()
    needed = [places - row[::-1].index(True) if True in row else 1 for row in used]
    return [min(places, -(-each // unit) * unit) for each in needed]


def _cut(batch: TokenBatch, question: int, answer: int) -> TokenBatch:
    auxiliary = None if batch.auxiliary is None else batch.auxiliary[..., :answer]
    return TokenBatch(batch.question[..., :question], batch.answer[..., :answer], auxiliary)
