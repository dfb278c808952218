"""A batch in parts, whose losses add up to that of the whole, and whose gradients are summed in place."""

from collections.abc import Iterator
from functools import partial

from jaxtyping import Float
from torch import Tensor

from trainers.batches import Batch, NumberBatch
from trainers.config import TrialConfig
from trainers.engine.execution import Execution
from trainers.losses import Counts, training_loss
from trainers.models.recompute import Recomputed
from trainers.models.stack import Layout

Loss = Float[Tensor, " trial"]
Flat = Float[Tensor, "trial row"]


def parts_of(batch: Batch, parts: int) -> Iterator[Batch]:
    """The examples of a batch in so many parts, the largest first; none of them is empty."""
    examples = (batch.inputs if isinstance(batch, NumberBatch) else batch.question).shape[1]
    size, longer = divmod(examples, parts)
    first = 0
    for number in range(min(parts, examples)):
        last = first + size + (number < longer)
        yield batch.part(first, last)
        first = last


def add_gradient(
    config: TrialConfig,
    layout: Layout,
    flat: Flat,
    part: Batch,
    counts: Counts,
    gradient: Flat,
    execution: Execution,
) -> Loss:
    """The loss of a part of a batch, whose whole has these counts; its gradient is added in place.

    Each parameter's gradient is added as soon as it is there, so that there is never another one of
    all weights.
    """
    weights = layout.views(flat.detach())
    for weight, sums in zip(weights.values(), layout.views(gradient).values(), strict=True):
        weight.requires_grad_().register_post_accumulate_grad_hook(partial(_move_gradient, sums))
    kept = Recomputed(weights) if execution.recompute else weights
    loss = training_loss(config, kept, part, counts)
    loss.sum().backward()
    return loss.detach()


def _move_gradient(sums: Tensor, weight: Tensor) -> None:
    assert weight.grad is not None  # it has just been made
    sums.add_(weight.grad)
    weight.grad = None
