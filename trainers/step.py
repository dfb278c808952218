"""The loss of every trial of a pack on one batch, and its gradient."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from trainers.batches import Batch, NumberBatch
from trainers.config import TrialConfig
from trainers.execution import Execution
from trainers.losses import Counts, counts_of, training_loss
from trainers.models.recompute import Recomputed
from trainers.models.stack import Layout

Loss = Float[Tensor, " trial"]
Flat = Float[Tensor, "trial row"]


def gradient_of(
    config: TrialConfig,
    layout: Layout,
    flat: Flat,
    batch: Batch,
    execution: Execution = Execution(),  # noqa: B008 - frozen
) -> tuple[Loss, Flat]:
    """The loss of each trial and the gradient of its own loss alone; `config` is that of any of them.

    Taken in parts, the losses of the parts add up to the loss of the whole batch.
    """
    if execution.parts == 1:
        return _gradient(config, layout, flat, batch, counts_of(batch), execution)
    loss, gradient = flat.new_zeros(flat.shape[0]), torch.zeros_like(flat)
    counts = counts_of(batch)
    for part in parts_of(batch, execution.parts):
        part_loss, part_gradient = _gradient(config, layout, flat, part, counts, execution)
        loss += part_loss
        gradient += part_gradient
    return loss, gradient


def parts_of(batch: Batch, parts: int) -> Iterator[Batch]:
    """The examples of a batch in so many parts, the largest first; none of them is empty."""
    examples = (batch.inputs if isinstance(batch, NumberBatch) else batch.question).shape[1]
    size, longer = divmod(examples, parts)
    first = 0
    for number in range(min(parts, examples)):
        last = first + size + (number < longer)
        yield batch.part(first, last)
        first = last


def loss_of(
    config: TrialConfig,
    layout: Layout,
    flat: Flat,
    batch: Batch,
    counts: Counts,
    execution: Execution,
) -> Loss:
    """The loss of each trial; what the backward pass needs is kept, or not."""
    weights = layout.views(flat)
    kept = Recomputed(weights) if execution.recompute else weights
    return training_loss(config, kept, batch, counts)


def _gradient(
    config: TrialConfig,
    layout: Layout,
    flat: Flat,
    batch: Batch,
    counts: Counts,
    execution: Execution,
) -> tuple[Loss, Flat]:
    flat = flat.detach().requires_grad_()
    loss = loss_of(config, layout, flat, batch, counts, execution)
    (gradient,) = torch.autograd.grad(loss.sum(), flat)
    return loss.detach(), gradient
